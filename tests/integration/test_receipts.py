"""Receipts end to end: promised, given, and verified by proof.py and by switchboardctl."""
import base64
import json

import pytest

import proof
from asking import CHAT, HI, refusal
from program import wait_until

ASK = {"X-Switchboard-Receipt": "request"}
POLICIES = {"app": {}, "always": {"receipts": True, "zdr": True}, "other": {}}
EVIDENCE = "https://example.com/dpa"


def catalogue(sim):
    claim = {"value": "yes", "evidence": EVIDENCE, "attested_by": "jo", "attested_on": "2026-01-02"}
    long = {**claim, "evidence": "e" * 5000}
    return {
        "version": 1,
        "providers": [{"slug": "acme", "dialect": "openai", "base_url": f"{sim.url}/v1",
                       "credential": {"value": "house"}}],
        "models": [{"id": "m/one", "context_length": 100_000}],
        "endpoints": [{"model": "m/one", "provider": "acme", "tag": "acme/turbo", "region": "DE",
                       "zdr": claim, "no_training": long,
                       "pricing": {"prompt": "1", "completion": "1"}}],
        "tenants": [{"name": "elsewhere"}],
        "policies": [{"name": name, **rules} for name, rules in POLICIES.items()],
        "keys": [{"name": name, "policy": name, "secret": {"value": f"sb-receipt-key-{name}"},
                  **({"tenant": "elsewhere"} if name == "other" else {})} for name in POLICIES]}


class Place:
    """A log that is signed often, and clients."""

    def __init__(self, site, sim, *flags):
        """flags: of the worker."""
        self.site = site
        self.path = site.home.path
        site.ctl("log-key", "new", self.path / "log.key")
        self.key_file = self.path / "log.key.pub"
        self.key = site.ctl("log-key", "show", self.key_file).stdout.strip()
        self.control = site.control("--log-key", self.path / "log.key", "--checkpoint-interval",
                                    "200ms")
        wait_until(self.control.is_ready, "the control daemon is ready")
        revision = self.control.apply(catalogue(sim))["revision"]
        self.worker = self.site.worker([self.control], *flags)
        self.worker.wait_revision(revision)
        self.clients = {name: self.worker.client(f"sb-receipt-key-{name}") for name in POLICIES}

    def post(self, key="app", headers=None, **more):
        """(body, answer)"""
        body = json.dumps({"model": "m/one", "messages": HI, **more}).encode()
        return body, self.clients[key].post(CHAT, data=body, headers=headers)

    def certified(self):
        """Until the worker has its certificate, which comes behind the first snapshot."""
        wait_until(lambda: self.post(headers=ASK)[1].headers[proof.HEADER] != "none",
                   "the worker's key is certified")

    def ask_receipt(self, answer, key="app"):
        path = f"/v1/generation/{answer.headers['X-Generation-Id']}/receipt"
        return self.clients[key].get(path)

    def receipt(self, answer, key="app"):
        """Once it is there: until then it says when to come again."""
        def find():
            got = self.ask_receipt(answer, key)
            if got.status_code == 202:
                assert int(got.headers["Retry-After"]) > 0
                assert got.json()["status"] == "pending"
                return None
            if got.status_code == 404:  # on its way from the worker
                return None
            assert got.status_code == 200, got.text
            return got
        return wait_until(find, "the receipt is there")

    def verify(self, receipt, *flags, check=True, **files):
        """switchboardctl receipt verify; files: bytes of a flag's file."""
        path = self.path / "receipt.json"
        path.write_bytes(receipt if isinstance(receipt, bytes) else json.dumps(receipt).encode())
        words = []
        for name, content in files.items():
            file = self.path / name
            file.write_bytes(content)
            words += [f"--{name}", file]
        return self.site.ctl("receipt", "verify", path, "--log-key", self.key_file, *words, *flags,
                             check=check)


@pytest.fixture(name="place")
def fixture_place(site, sim):
    place = Place(site, sim)
    place.certified()
    return place


def head_of(answer):
    """As curl -D keeps it."""
    return ("HTTP/1.1 200 OK\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in answer.headers.items()) + "\r\n").encode()


@pytest.mark.parametrize("more, status", [
    ({}, 200),
    ({"stream": True}, 200),
    ({"provider": {"zdr": True, "data_collection": "deny"}}, 200),
    ({"provider": {"enforce_distillable_text": True}}, 404),
    ({"messages": 5}, 400),
])
def test_a_promise_is_kept_and_proven(place, more, status):
    body, answer = place.post(headers=ASK, **more)
    assert answer.status_code == status, answer.text
    promise = proof.check_promise(answer.headers[proof.HEADER], place.key)
    got = place.receipt(answer)
    receipt = got.json()
    entry = proof.check_receipt(receipt, place.key, body, answer.content)

    assert promise["generation"] == receipt["generation"] == answer.headers["X-Generation-Id"]
    assert promise["salt"] == receipt["salt"] and promise["logged_within"] == 60
    assert promise["request_digest"] == entry["request_digest"]
    for name in set(promise) - {"at", "certificate", "evidence", "logged_within", "salt"}:
        assert promise[name] == entry[name], name
    if status == 200:
        assert (promise["tag"], promise["provider"], promise["region"]) == ("acme/turbo", "acme",
                                                                            "DE")
    else:
        assert "tag" not in promise
    if "zdr" in more.get("provider", {}):
        zdr, no_training = promise["evidence"]
        assert zdr == {"claim": "zdr", "value": "yes", "evidence": EVIDENCE, "attested_by": "jo",
                       "attested_on": "2026-01-02"}
        assert no_training["evidence_digest"] == proof.digest(receipt["salt"], b"e" * 5000)

    shown = place.verify(got.content, promise=head_of(answer), request=body,
                         response=answer.content)
    assert shown.stdout.count("proven ") == 6 and "NOT PROVEN" not in shown.stdout
    assert receipt["generation"] in shown.stdout and not shown.stderr
    told = json.loads(place.verify(got.content, "-o", "json", promise=head_of(answer), request=body,
                                   response=answer.content).stdout)
    assert told["proven"] is True and told["leaf"] == receipt["leaf"] and told["entry"] == entry
    assert [one["check"] for one in told["checks"]] == [
        "checkpoint", "entry", "request", "response", "certificate", "promise"]


def test_the_promise_of_a_stream_that_had_to_wait_names_no_endpoint(site, sim):
    place = Place(site, sim, "--comment-interval", "100ms")
    place.certified()
    sim.behave(first_token_ms=1000)
    body, answer = place.post(headers=ASK, stream=True)
    assert answer.content.startswith(b": ")
    promise = proof.check_promise(answer.headers[proof.HEADER], place.key)
    assert "tag" not in promise and promise["request_digest"]
    receipt = place.receipt(answer).json()
    assert proof.check_receipt(receipt, place.key, body, answer.content)["tag"] == "acme/turbo"
    place.verify(receipt, promise=head_of(answer))


def test_a_policy_asks_for_all_and_nobody_else_gets_one(place):
    assert proof.HEADER not in place.post()[1].headers
    _, answer = place.post(key="always")
    promise = proof.check_promise(answer.headers[proof.HEADER], place.key)
    assert promise["demanded"] == 2
    refusal(place.post(headers={proof.HEADER: "please"})[1], 400)


def test_a_receipt_needs_no_promise_and_is_its_tenants_alone(place):
    body, answer = place.post()
    receipt = place.receipt(answer).json()
    proof.check_receipt(receipt, place.key, body, answer.content)
    shown = place.verify(receipt)
    assert "--request FILE" in shown.stderr and "--response FILE" in shown.stderr
    refusal(place.ask_receipt(answer, key="other"), 404)
    missing = place.clients["app"].get("/v1/generation/gen-1-none/receipt")
    refusal(missing, 404)
    assert place.clients["app"].get(f"/v1/generation/{'x' * 300}/receipt").status_code == 404


def test_every_part_that_is_changed_is_found(place):
    for _ in range(5):  # so that there is a path
        place.post()
    body, answer = place.post(headers=ASK, provider={"zdr": True})
    receipt = place.receipt(answer).json()
    head = head_of(answer)
    place.verify(receipt, promise=head, request=body, response=answer.content)

    def entry(**changes):
        return json.dumps({**json.loads(receipt["entry"]), **changes}, separators=(",", ":"),
                          sort_keys=True, ensure_ascii=False)
    checkpoint = receipt["checkpoint"].splitlines()
    size = int(checkpoint[1])
    flipped = "0" if receipt["proof"][0][0] != "0" else "1"
    changes = [
        {"entry": entry(region="US")}, {"entry": entry(cost=0)}, {"entry": entry(more=1)},
        {"entry": entry(tag="other")}, {"entry": receipt["entry"].replace(",", ", ", 1)},
        {"leaf": receipt["leaf"] + 1}, {"leaf": size}, {"generation": "gen-1-x"},
        {"proof": []}, {"proof": receipt["proof"] + ["00" * 32]},
        {"proof": [flipped + receipt["proof"][0][1:], *receipt["proof"][1:]]},
        {"proof": receipt["proof"][::-1] if len(receipt["proof"]) > 1 else ["11" * 32]},
        {"checkpoint": receipt["checkpoint"].replace(f"\n{size}\n", f"\n{size + 1}\n")},
        {"checkpoint": "\n".join([*checkpoint[:2], base64.b64encode(bytes(32)).decode(),
                                  *checkpoint[3:], ""])},
        {"salt": "00" * 16},
    ]
    for change in changes:
        with pytest.raises(proof.Wrong):
            proof.check_receipt({**receipt, **change}, place.key, body, answer.content)
        done = place.verify({**receipt, **change}, check=False, request=body,
                            response=answer.content)
        assert done.returncode == 1 and "NOT PROVEN" in done.stdout, (change, done.stdout)

    # also without a body
    done = place.verify({**receipt, "salt": "00" * 16}, check=False)
    assert done.returncode == 1 and "the salt is not the one" in done.stdout

    # bodies
    for files in [{"request": body + b" "}, {"request": b""},
                  {"response": answer.content[:-1]}, {"request": answer.content}]:
        done = place.verify(receipt, check=False, **files)
        assert done.returncode == 1 and "is not the one that was" in done.stdout

    # the promise
    value = answer.headers[proof.HEADER]
    version, payload, signature = value.split(".")
    said = json.loads(proof.from_base64url(payload))
    lied = base64.urlsafe_b64encode(json.dumps({**said, "region": "US"}).encode()).decode()
    for forged in [f"{version}.{lied.rstrip('=')}.{signature}", f"{version}.{payload}.{'A' * 86}"]:
        with pytest.raises(proof.Wrong):
            proof.check_promise(forged, place.key)
        done = place.verify(forged.encode(), check=False)
        assert done.returncode == 1 and "the promise was changed" in done.stdout
    # one of another request, and a record that does not keep it
    _, second = place.post(headers=ASK)
    done = place.verify(receipt, check=False, promise=head_of(second))
    assert done.returncode == 1 and "is not what was recorded" in done.stdout


def test_a_worker_may_digest_only_what_receipts_are_asked_for(site, sim):
    place = Place(site, sim, "--digests", "receipts")
    place.certified()
    body, asked = place.post(headers=ASK)
    (row,) = wait_until(lambda: place.site.database.rows(
        "SELECT salt, request_digest, response_digest FROM audit_requests WHERE generation = %s",
        asked.headers["X-Generation-Id"]), "the record is stored")
    salt, request, response = (bytes(value) for value in row)
    assert request.hex() == proof.digest(salt.hex(), body)
    assert response.hex() == proof.digest(salt.hex(), asked.content)
    _, silent = place.post()
    (row,) = wait_until(lambda: place.site.database.rows(
        "SELECT salt, request_digest, response_digest FROM audit_requests WHERE generation = %s",
        silent.headers["X-Generation-Id"]), "the record is stored")
    assert len(row[0]) == 16 and row[1:] == (None, None)
    assert place.receipt(silent).status_code == 200


def test_another_key_proves_nothing(place):
    body, answer = place.post(headers=ASK)
    receipt = place.receipt(answer).json()
    place.site.ctl("log-key", "new", place.path / "other.key")
    other = place.site.ctl("log-key", "show", place.path / "other.key").stdout.strip()
    with pytest.raises(proof.Wrong):
        proof.check_receipt(receipt, other)
    with pytest.raises(proof.Wrong):
        proof.check_promise(answer.headers[proof.HEADER], other)
    path = place.path / "receipt.json"
    path.write_text(json.dumps(receipt))
    for key in [other, place.path / "other.key.pub"]:
        done = place.site.ctl("receipt", "verify", path, "--log-key", key, check=False)
        assert done.returncode == 1 and "is not signed by the key" in done.stdout
    assert place.site.ctl("receipt", "verify", path, "--log-key", place.key).returncode == 0
    promise = place.path / "head"
    promise.write_bytes(head_of(answer))
    done = place.site.ctl("receipt", "verify", promise, "--log-key", place.key)
    assert "promised" in done.stdout and "promise only" in done.stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"no", b"v1.x.y", b'{"version": 1}'])
def test_what_is_no_receipt_is_said_so(site, sim, content):
    site.ctl("log-key", "new", site.home.path / "log.key")
    path = site.home.path / "receipt"
    path.write_bytes(content)
    done = site.ctl("receipt", "verify", path, "--log-key", site.home.path / "log.key.pub",
                    check=False)
    assert done.returncode == 1 and done.stderr and not done.stdout


def test_what_is_pending_is_to_be_asked_for_again(site, sim):
    site.ctl("log-key", "new", site.home.path / "log.key")
    path = site.home.path / "receipt"
    path.write_text(json.dumps({"status": "pending", "message": "ask again"}))
    done = site.ctl("receipt", "verify", path, "--log-key", site.home.path / "log.key.pub",
                    check=False)
    assert done.returncode == 1 and not done.stdout
    assert "no receipt yet" in done.stderr and "ask for it again" in done.stderr


def test_without_a_log_key_nothing_is_promised(site, sim, control):
    revision = control.apply(catalogue(sim))["revision"]
    worker = site.worker([control])
    worker.wait_revision(revision)
    client = worker.client("sb-receipt-key-app")
    answer = client.post(CHAT, json={"model": "m/one", "messages": HI}, headers=ASK)
    assert answer.status_code == 200 and answer.headers[proof.HEADER] == "none"
    def ask():
        got = client.get(f"/v1/generation/{answer.headers['X-Generation-Id']}/receipt")
        return [got] if got.status_code not in (202, 404) else None
    (got,) = wait_until(ask, "the record is stored")
    assert "--log-key" in refusal(got, 501)["message"]
    page = worker.status[0].get("/metrics").text
    assert "switchboard_receipts_missed_total 1" in page


def test_a_receipt_by_a_record_that_was_edited_does_not_verify(place):
    body, answer = place.post()
    receipt = place.receipt(answer).json()
    proof.check_receipt(receipt, place.key)
    place.site.database.rows("UPDATE audit_requests SET region = 'FR' WHERE generation = %s",
                             receipt["generation"])
    edited = place.receipt(answer).json()
    with pytest.raises(proof.Wrong):
        proof.check_receipt(edited, place.key)
    assert "NOT PROVEN" in place.verify(edited, check=False).stdout


def test_a_receipt_outlives_its_salt(place):
    body, answer = place.post(user="somebody")
    receipt = place.receipt(answer).json()
    place.site.database.rows("UPDATE audit_requests SET salt = NULL, user_plain = NULL"
                             " WHERE generation = %s", receipt["generation"])
    erased = place.receipt(answer).json()
    assert "salt" not in erased
    proof.check_receipt(erased, place.key)
    place.verify(erased)
    done = place.verify(erased, check=False, request=body)
    assert done.returncode == 1 and "was destroyed" in done.stdout
