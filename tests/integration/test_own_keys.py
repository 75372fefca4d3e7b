"""Tenants' own keys (ROUTING.md 7), end to end: entered, sealed, published, used, and nobody else's."""
import base64
import contextlib
import itertools
import json
import os
import pathlib
import pty
import re
import subprocess
import termios
import threading

import pytest

from asking import CHAT, HI, Result, refusal
from program import BUILD, PATIENCE, Http, wait_until
from switchboard import Switchboard

MODELS = 60
HOUSE = {"p0": "Bearer house-p0", "p1": "Bearer house-p1"}
# Several of one tenant in a sequence; blue's must not spill; green has none.
OWN = [("red-one", "red", 1, True), ("red-two", "red", 2, True), ("blue-one", "blue", 0, False)]
KEYS = {"red": None, "blue": None, "green": None, "red-strict": "no-spill", "red-zdr": "zdr",
        "red-charged": "charged"}


def own(name):
    """What a provider sees of an own key."""
    return f"Bearer secret-{name}"


class Place:
    """Two providers with a house key each, three tenants; own keys are for p0."""

    def __init__(self, database):
        self.database = database
        self.site = Switchboard(database)
        self.models = (f"m/{n:03}" for n in itertools.count())

    def __enter__(self):
        site = self.site
        try:
            self.sims = [site.sim("--tokens", "5"), site.sim("--tokens", "5")]
            self.control = site.control()
            wait_until(self.control.is_ready, "the control daemon is ready")
            self.control.apply(self.catalogue())
            self.worker = site.worker([self.control])
        except BaseException:
            self.__exit__()
            raise
        self.clients = {name: self.worker.client(f"sb-gateway-key-of-{name}") for name in KEYS}
        return self

    def __exit__(self, *exc):
        self.site.close()

    def catalogue(self):
        models = [f"m/{n:03}" for n in range(MODELS)]
        return {
            "version": 1,
            "providers": [{"slug": slug, "dialect": "openai", "base_url": f"{sim.url}/v1",
                           "credential": {"value": f"house-{slug}"}}
                          for slug, sim in zip(HOUSE, self.sims)],
            "models": [{"id": model, "context_length": 100_000} for model in models],
            "endpoints": [{"model": model, "provider": slug,
                           "zdr": {"value": "yes" if slug == "p1" else "no", "evidence": "dpa"},
                           "pricing": {"prompt": price, "completion": price}}
                          for model in models for slug, price in [("p0", "2"), ("p1", "4")]],
            "policies": [{"name": "no-spill", "spill": False}, {"name": "zdr", "zdr": True},
                         {"name": "charged", "charge_own_keys": True}],
            "tenants": [{"name": "red"}, {"name": "blue"}, {"name": "green"}],
            "keys": [{"name": name, "tenant": name.split("-")[0], "policy": policy,
                      "secret": {"value": f"sb-gateway-key-of-{name}"}} for name, policy in KEYS.items()],
            "credentials": [{"name": name, "provider": "p0", "tenant": tenant, "spill": spill,
                             "sequence": sequence, "secret": {"value": f"secret-{name}"}}
                            for name, tenant, sequence, spill in OWN],
        }

    def fresh(self):
        """A model whose endpoints no test has used."""
        return next(self.models)

    def ask(self, key, model=None, stream=False, **more):
        answer = self.clients[key].post(
            CHAT, json={"model": model or self.fresh(), "messages": HI, "stream": stream, **more},
            headers={"X-Switchboard-Metadata": "enabled"})
        return Result(answer, stream)

    def seen(self, number=0):
        """The keys that a provider was shown, in the order of the requests."""
        return [one["headers"]["authorization"] for one in self.sims[number].requests()]

    def spills(self):
        page = self.worker.status[0].get("/metrics").text
        return int(re.search(r"^switchboard_spills_total(?:{.*})? (\d+)$", page, re.M).group(1))

    def audit(self, generation):
        path = f"audit/requests?generation_id={generation}"
        [row] = wait_until(lambda: self.control.get(path)["data"], "the record is stored")
        return row


@pytest.fixture(scope="module", name="shared")
def fixture_shared(postgres):
    with Place(postgres.database()) as place:
        yield place


@pytest.fixture(name="place")
def fixture_place(shared):
    for sim in shared.sims:
        sim.restore()
        sim.release()
        sim.forget()
    return shared


def tried(result):
    """Endpoint, credential, sequence and status of each attempt."""
    return [(one["endpoint"], one["credential"], one.get("sequence"), one["status"])
            for one in result.metadata["attempts"]]


# --- which key is used --------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_own_key_serves_and_costs_the_tenant_nothing_here(place, stream):
    result = place.ask("red", stream=stream, max_tokens=5)
    assert (result.status, place.seen()) == (200, [own("red-one")])
    assert tried(result) == [("p0", "own", 1, 200)]
    assert result.metadata["is_byok"] is True and result.metadata["spilled"] is False
    assert "X-Switchboard-Spilled" not in result.headers
    usage = result.body["usage"]
    assert usage["is_byok"] is True
    assert usage["cost"] == usage["cost_details"]["upstream_inference_cost"] > 0
    row = place.audit(result.headers["X-Generation-Id"])
    assert (row["credential"], row["cost"]) == ("own", "0")
    assert float(row["upstream_cost"]) == pytest.approx(usage["cost"])


def test_a_policy_may_charge_own_keys_like_the_houses(place):
    result = place.ask("red-charged")
    row = place.audit(result.headers["X-Generation-Id"])
    assert row["credential"] == "own" and row["cost"] == row["upstream_cost"] != "0"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_the_next_own_key_takes_over_at_the_same_endpoint(place, status, stream):
    place.sims[0].script({"fail": status})
    result = place.ask("red", stream=stream)
    assert result.status == 200
    assert place.seen() == [own("red-one"), own("red-two")] and place.seen(1) == []
    assert tried(result) == [("p0", "own", 1, status), ("p0", "own", 2, 200)]
    assert result.metadata["is_byok"] is True and result.metadata["spilled"] is False


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_when_all_own_keys_fail_the_house_steps_in_and_the_answer_says_so(place, status, stream):
    place.sims[0].script({"fail": status, "times": 2})
    before = place.spills()
    result = place.ask("red", stream=stream, provider={"sort": "price"})
    assert result.status == 200 and place.spills() == before + 1
    assert place.seen() == [own("red-one"), own("red-two"), HOUSE["p0"]]
    assert tried(result) == [("p0", "own", 1, status), ("p0", "own", 2, status),
                             ("p0", "house", None, 200)]
    assert result.metadata["is_byok"] is False and result.metadata["spilled"] is True
    assert result.headers["X-Switchboard-Spilled"] == "true"
    assert result.body["usage"]["is_byok"] is False
    row = place.audit(result.headers["X-Generation-Id"])
    assert row["credential"] == "house" and row["cost"] == row["upstream_cost"] != "0"


@pytest.mark.parametrize("status", [401, 402, 403, 429])
@pytest.mark.parametrize("key, switchboard, own_keys", [
    ("blue", {}, ["blue-one"]),                                # the credential forbids it
    ("blue", {"spill": True}, ["blue-one"]),                   # and no request allows it
    ("red", {"spill": False}, ["red-one", "red-two"]),         # the request forbids it
    ("red-strict", {}, ["red-one", "red-two"]),                # the policy forbids it
    ("red-strict", {"spill": True}, ["red-one", "red-two"]),   # and no request allows it
])
def test_without_spill_the_house_is_never_asked(place, key, switchboard, own_keys, status):
    place.sims[0].behave(fail=str(status), retry_after=60)
    result = place.ask(key, switchboard=switchboard)
    assert place.seen() == [own(name) for name in own_keys] and place.seen(1) == []
    assert result.status == (429 if status == 429 else 502)
    assert "own keys" in result.error["message"] and "spill is off" in result.error["message"]
    assert result.headers.get("Retry-After") == ("60" if status == 429 else None)
    assert f"secret-{own_keys[0]}" not in result.answer.text


@pytest.mark.parametrize("byok, expected", [
    ("first", ["own", "own", "house", "house"]), ("last", ["house", "house", "own", "own"]),
    ("only", ["own", "own"]), ("never", ["house", "house"])])
def test_byok_says_in_which_order_the_classes_are_tried(place, byok, expected):
    for sim in place.sims:
        sim.behave(fail="429", retry_after=60)
    result = place.ask("red", switchboard={"byok": byok})
    assert result.status == 429
    assert [one["credential"] for one in result.metadata["attempts"]] == expected


def test_byok_only_without_an_own_key_is_404_and_says_why(place):
    error = refusal(place.clients["green"].post(
        CHAT, json={"model": place.fresh(), "messages": HI, "switchboard": {"byok": "only"}}), 404)
    assert "switchboard.byok" in str(error)
    assert place.seen() == place.seen(1) == []


def test_compliance_filters_apply_to_own_keys(place):
    result = place.ask("red-zdr")
    assert tried(result) == [("p1", "house", None, 200)]
    refused = place.ask("red-zdr", switchboard={"byok": "only"})
    assert refused.status == 404 and place.seen() == []


# --- what is the endpoint's fault, not the key's -----------------------------------------------------


def test_after_a_server_error_the_next_endpoint_comes_before_the_next_key(place):
    place.sims[0].behave(fail="500")
    result = place.ask("red", provider={"sort": "price"})
    assert tried(result) == [("p0", "own", 1, 500), ("p1", "house", None, 200)]
    assert result.metadata["spilled"] is False  # no key was at its limit


def test_other_keys_are_tried_when_no_other_endpoint_is_left(place):
    place.sims[0].script({"fail": 500})
    result = place.ask("red", provider={"only": ["p0"]})
    assert tried(result) == [("p0", "own", 1, 500), ("p0", "own", 2, 200)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_endpoint_costs_one_limit_whatever_keys_there_are(place, stream):
    place.sims[0].behave(hang=1)
    limit = "first_token_timeout_ms" if stream else "attempt_timeout_ms"
    result = place.ask("red", stream=stream, switchboard={limit: 200})
    assert [one[:2] for one in tried(result)] == [("p0", "own"), ("p1", "house")]
    alone = place.ask("red", provider={"only": ["p0"]}, switchboard={limit: 200}, stream=stream)
    assert alone.status == 503
    assert [one[:2] for one in tried(alone)] == [("p0", "own")]


# --- nobody else's ---------------------------------------------------------------------------------


def test_faults_of_own_keys_mark_nothing_for_other_tenants(place):
    model = place.fresh()
    place.sims[0].behave(fail="401")
    for _ in range(6):  # five open a breaker
        place.ask("red", model, switchboard={"byok": "only"})
    place.sims[0].behave(fail="429", retry_after=60)
    place.ask("red", model, switchboard={"byok": "only"})
    place.sims[0].restore()
    place.sims[0].forget()

    def health(key):
        answer = place.control.call("POST", f"explain?key={key}", json={
            "model": model, "messages": HI, "provider": {"order": ["p0"]}}).json()
        return [(one["endpoint"], one["credential"], one["health"]) for one in answer["order"]]
    assert health("green") == [("p0", "house", "good"), ("p1", "house", "good")]
    assert {one[2] for one in health("red") if one[1] == "own"} != {"good"}
    assert {one[2] for one in health("red") if one[1] == "house"} == {"good"}
    assert tried(place.ask("green", model, provider={"order": ["p0"]})) == [
        ("p0", "house", None, 200)]
    # The tables hear of the house's attempts alone.
    [row] = wait_until(lambda: [one for one in place.control.get("tables?limit=1000")["data"]
                                if one["model"] == model and one["tag"] == "p0"
                                and one["samples"] > 0], "the tables know the endpoint")
    assert (row["samples"], row["faults"], row["health"]) == (1, 0, "up")


def test_two_tenants_at_once_never_use_each_others_keys(place):
    model, trouble = place.fresh(), []

    def run(tenant):
        try:
            for n in range(25):
                answer = place.worker.client(f"sb-gateway-key-of-{tenant}").post(CHAT, json={
                    "model": model, "messages": [{"role": "user", "content": f"from {tenant}"}],
                    "stream": n % 2 == 0, "provider": {"order": ["p0"]}})
                assert answer.status_code == 200, answer.text
        except AssertionError as error:
            trouble.append(error)
    threads = [threading.Thread(target=run, args=(tenant,))
               for tenant in ["red", "blue", "green"] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not trouble
    belongs = {"red": own("red-one"), "blue": own("blue-one"), "green": HOUSE["p0"]}
    received = place.sims[0].requests()
    assert len(received) == 150
    for request in received:
        [sender] = [tenant for tenant in belongs if f"from {tenant}" in request["body"]]
        assert request["headers"]["authorization"] == belongs[sender]


def test_explain_tells_own_keys_apart(place):
    shown = place.site.ctl("explain", "--model", place.fresh(), "--key", "red",
                           control=place.control).stdout
    order = shown[shown.index("Would be tried"):]
    assert [word for word in ("own 1", "own 2", "house") if word in order] == [
        "own 1", "own 2", "house"]
    assert order.index("own 1") < order.index("own 2") < order.index("house")


def test_another_tenants_generation_is_not_found(place):
    generation = place.ask("red").headers["X-Generation-Id"]
    path = f"/v1/generation?id={generation}"
    mine = wait_until(lambda: place.clients["red"].get(path), "the generation is known")
    assert mine.status_code == 200 and mine.json()["data"]["is_byok"] is True
    assert place.clients["blue"].get(path).status_code == 404


def test_usage_of_own_keys_is_told_apart_and_only_to_its_tenant(place):
    def usage(key):
        return place.clients[key].get("/v1/key").json()["data"]
    cost = place.ask("blue").body["usage"]["cost"]
    known = wait_until(lambda: (lambda data: data if data["byok_usage"] else None)(usage("blue")),
                       "the record is counted")
    assert known["usage"] == 0 and known["byok_usage"] >= cost
    assert usage("green")["byok_usage"] == 0


# --- secrets go in, never out ------------------------------------------------------------------------


def spellings(secret):
    """How its bytes may be written down."""
    plain = secret.encode()
    yield from (plain, plain.hex().encode(), plain.hex().upper().encode())
    for shift in range(3):  # base64 of a text that holds it anywhere: what no neighbour touches
        coded = base64.b64encode(b"\0" * shift + plain)
        yield coded[4:-4]


def test_the_plain_text_is_nowhere_but_at_the_provider(place):
    assert place.ask("red").status == 200  # it was unsealed and used
    assert place.ask("blue").status == 200
    place.database.rows("CHECKPOINT")
    store = pathlib.Path(place.database.server.dir)
    places = [path for root in (store, place.site.home.path) for path in root.rglob("*")
              if path.is_file()]
    snapshots = [path for path in places if path.name.startswith("snapshot")]
    assert snapshots and any("base" in path.parts for path in places)
    answers = {path: place.control.call("GET", path).content
               for path in ["credentials", "credentials/red-one", "catalog", "revisions",
                            "revisions/1", "audit/changes", "audit/requests", "workers"]}
    [(sent,)] = place.database.rows("SELECT bytes FROM compiled_snapshots"
                                    " ORDER BY revision DESC LIMIT 1")  # what the bus carries
    answers["the bus"] = bytes(sent)
    for name, lines in place.site.logs().items():
        answers[f"the log of {name}"] = "\n".join(lines).encode()
    assert b"red-one" in answers["credentials"] and b"m/000" in answers["the bus"]
    texts = [text for name in ["red-one", "red-two", "blue-one"]
             for text in spellings(f"secret-{name}")]
    for path in places:  # each read once: a cluster of many databases is large
        content = path.read_bytes()
        assert not [text for text in texts if text in content], path
    for where, content in answers.items():
        assert not [text for text in texts if text in content], where


def test_a_sealed_key_opens_in_no_other_row(place):
    """Moved by somebody who can write to the database, it is refused by the worker."""
    place.control.apply({"version": 1, "tenants": [{"name": "thief"}],
                         "keys": [{"name": "thief", "tenant": "thief",
                                   "secret": {"value": "sb-gateway-key-of-thief"}}],
                         "credentials": [{"name": "thief", "provider": "p0", "tenant": "thief",
                                          "secret": {"value": "worthless"}}]})
    place.database.rows("UPDATE credentials SET sealed ="
                        " (SELECT sealed FROM credentials WHERE name = 'red-one')"
                        " WHERE name = 'thief'")
    place.worker.wait_revision(place.control.call(
        "PUT", "tenants/any", json={}).json()["revision"])  # published with the stolen bytes
    answer = place.worker.client("sb-gateway-key-of-thief").post(CHAT, json={
        "model": place.fresh(), "messages": HI, "switchboard": {"byok": "only"}})
    refusal(answer, 502)
    assert place.seen() == []


# --- entering them -------------------------------------------------------------------------------------


@pytest.fixture(name="api")
def fixture_api(control):
    control.apply({"version": 1, "tenants": [{"name": "red"}, {"name": "blue"}],
                   "providers": [{"slug": slug, "dialect": "openai",
                                  "base_url": f"https://{slug}.example/v1"}
                                 for slug in ["acme", "bolt"]]})
    return Http(control.url + "/admin/v1", control.home.token)


def put(api, name, **members):
    """Makes a credential of red for acme unless it says otherwise."""
    return api.put(f"/credentials/{name}", json={
        "provider": "acme", "tenant": "red", "secret": {"value": f"secret-{name}"}, **members})


def test_a_credential_is_made_changed_and_removed(api):
    made = put(api, "one", sequence=3, spill=False)
    assert made.status_code == 201, made.text
    one = api.get("/credentials/one").json()
    assert {name: one[name] for name in ["provider", "tenant", "sequence", "spill", "suspended",
                                         "origin"]} == {
        "provider": "acme", "tenant": "red", "sequence": 3, "spill": False, "suspended": False,
        "origin": "https://acme.example"}
    assert "secret" not in one
    assert put(api, "one", sequence=3, spill=False).json()["is_changed"] is False
    patched = api.patch("/credentials/one", json={"spill": None})
    assert patched.json()["changed"] == 1
    assert "spill" not in api.get("/credentials/one").json()
    rotated = api.patch("/credentials/one", json={"secret": {"value": "another"}}).json()
    assert rotated["difference"][0]["secret_changed"] is True
    assert api.get("/credentials/one").json()["sequence"] == 3
    assert api.delete("/credentials/one").json()["removed"] == 1
    assert api.get("/credentials/one").status_code == 404


def test_writes_are_conditional_or_dry_when_asked(api):
    revision = put(api, "one").json()["revision"]
    stale = api.patch("/credentials/one", json={"sequence": 5},
                      headers={"If-Match": str(revision - 1)})
    assert stale.status_code == 409
    dry = api.patch("/credentials/one?dry_run=true", json={"sequence": 5}).json()
    assert dry["dry_run"] is True and dry["changed"] == 1
    assert "sequence" not in api.get("/credentials/one").json()
    assert api.patch("/credentials/one", json={"sequence": 5},
                     headers={"If-Match": f'"{revision}"'}).status_code == 200


def test_credentials_come_in_pages(api):
    for n in range(5):
        assert put(api, f"c{n}", sequence=n).status_code == 201
    first = api.get("/credentials?limit=3").json()
    rest = api.get("/credentials", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [one["name"] for one in first["data"] + rest["data"]] == [f"c{n}" for n in range(5)]
    assert rest["next_cursor"] is None


def test_what_is_wrong_with_a_credential_is_named(api):
    def problem(answer, path):
        assert answer.status_code == 400, answer.text
        return {one["path"]: one["problem"] for one in answer.json()["error"]["details"]}[path]
    assert "needs a secret" in problem(api.put("/credentials/a", json={
        "provider": "acme", "tenant": "red"}), "")
    assert "'nobody'" in problem(put(api, "a", tenant="nobody"), "tenant")
    assert "'nobody'" in problem(put(api, "a", provider="nobody"), "provider")
    assert problem(put(api, "a", sequence=-1), "sequence")
    assert put(api, "a", sequence=4).status_code == 201
    assert "'a'" in problem(put(api, "b", sequence=4), "sequence")
    assert put(api, "b", sequence=4, tenant="blue").status_code == 201
    assert put(api, "c", sequence=4, provider="bolt").status_code == 201
    assert "the tenant 'red'" in problem(put(api, "a", tenant="blue"), "tenant")
    assert "the provider 'acme'" in problem(put(api, "a", provider="bolt"), "provider")
    nobodys = api.put("/credentials/a", json={"provider": "acme", "secret": {"value": "x"}})
    assert problem(nobodys, "tenant")  # it does not become the house's


def test_a_tenant_with_credentials_stays(api):
    put(api, "one")
    answer = api.delete("/tenants/red")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "in_use")
    api.delete("/credentials/one")
    assert api.delete("/tenants/red").status_code == 200


def test_a_catalogue_file_holds_own_credentials(api, control, tmp_path):
    (tmp_path / "key").write_text("secret-from-a-file\n")
    document = {"version": 1, "credentials": [
        {"name": "one", "provider": "acme", "tenant": "red",
         "secret": {"file": str(tmp_path / "key")}},
        {"name": "two", "provider": "acme", "tenant": "red", "sequence": 1, "spill": False,
         "secret": {"value": "secret-2"}}]}
    assert control.apply(document)["added"] == 2
    shown = api.get("/catalog")
    assert [one["name"] for one in shown.json()["credentials"]] == ["one", "two"]
    assert "secret" not in shown.text
    assert control.apply(shown.json())["is_changed"] is False
    put(api, "by-hand", sequence=2)
    document["credentials"].pop()
    pruned = api.put("/catalog?prune=true", json={**api.get("/catalog").json(), **document}).json()
    assert [(one["kind"], one["name"]) for one in pruned["difference"]] == [("credentials", "two")]
    assert api.get("/credentials/by-hand").status_code == 200


def test_another_origin_suspends_a_key_until_it_is_entered_again(site, control):
    """And the new address never sees the old key."""
    old, new = site.sim("--tokens", "5"), site.sim("--tokens", "5")
    control.apply({
        "version": 1, "tenants": [{"name": "red"}],
        "providers": [{"slug": "acme", "dialect": "openai", "base_url": f"{old.url}/v1",
                       "credential": {"value": "house"}}],
        "models": [{"id": "a/m", "context_length": 1000}],
        "endpoints": [{"model": "a/m", "provider": "acme",
                       "pricing": {"prompt": "1", "completion": "1"}}],
        "keys": [{"name": "red", "tenant": "red", "secret": {"value": "sb-gateway-key-of-red-red"}}],
        "credentials": [{"name": "one", "provider": "acme", "tenant": "red",
                         "secret": {"value": "secret-one"}}]})
    worker = site.worker([control])
    client = worker.client("sb-gateway-key-of-red-red")

    def ask(revision):
        worker.wait_revision(revision)
        return client.post(CHAT, json={"model": "a/m", "messages": HI})

    def seen(sim):
        return [one["headers"]["authorization"] for one in sim.requests()]
    assert ask(0).json()["usage"]["is_byok"] is True and seen(old) == ["Bearer secret-one"]
    moved = control.call("PATCH", "providers/acme", json={"base_url": f"{new.url}/v1"}).json()
    assert sum("suspended" in note for note in moved["notes"]) == 2
    assert control.get("credentials/one")["suspended"] is True
    error = refusal(ask(moved["revision"]), 404)
    assert "credential" in str(error) and seen(new) == []
    back = control.call("PATCH", "providers/acme", json={"base_url": f"{old.url}/v1"}).json()
    assert ask(back["revision"]).status_code == 404  # who moved it may have had a reason
    control.call("PATCH", "providers/acme", json={"base_url": f"{new.url}/v1"})
    entered = site.ctl("credential", "enter", "one", "-o", "json", control=control,
                       stdin="secret-again\n")
    answer = ask(json.loads(entered.stdout)["revision"])
    assert answer.json()["usage"]["is_byok"] is True
    assert seen(new) == ["Bearer secret-again"] and len(seen(old)) == 1
    assert control.get("credentials/one")["suspended"] is False


# --- switchboardctl ------------------------------------------------------------------------------------


@pytest.fixture(name="ctl")
def fixture_ctl(site, control, api):
    assert api.get("/credentials").json()["data"] == []

    def run(*words, **options):
        return site.ctl(*words, control=control, **options)
    return run


def test_a_secret_is_read_from_input_file_or_variable(ctl, database, tmp_path):
    words = ["--provider", "acme", "--tenant", "red", "--sequence"]
    ctl("credential", "create", "one", *words, "1", stdin="secret-1\n")
    (tmp_path / "key").write_text("secret-2\n")
    ctl("credential", "create", "two", *words, "2", "--no-spill", "--secret-file",
        tmp_path / "key")
    ctl("credential", "create", "three", *words, "3", "--secret-env", "MY_KEY",
        env={"MY_KEY": "secret-3"})
    table = ctl("get", "credentials").stdout
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["one", "three", "two"]
    assert "false" in [line for line in table.splitlines() if line.startswith("two")][0]
    shown = json.loads(ctl("get", "credential", "two", "-o", "json").stdout)
    assert (shown["tenant"], shown["sequence"], shown["spill"]) == ("red", 2, False)
    changed = ctl("credential", "enter", "one", stdin="another\n")
    assert "1 changed" in changed.stdout
    assert "nothing to change" in ctl("credential", "enter", "one", stdin="another").stdout
    assert "dry run" in ctl("credential", "enter", "one", "--dry-run", stdin="third").stdout
    ctl("delete", "credential", "one")
    assert database.one("SELECT string_agg(name, ',' ORDER BY name) FROM credentials") == "three,two"


@pytest.mark.parametrize("words, status, says", [
    (["--provider", "acme"], 2, "--tenant NAME"),
    (["--provider", "acme", "--tenant", "red", "--house"], 2, "--tenant NAME"),
    (["--tenant", "red"], 2, "--provider"),
    (["--provider", "acme", "--house", "--sequence", "x"], 2, "--sequence x"),
    (["--provider", "acme", "--house", "--secret-env", "NO_SUCH"], 1, "NO_SUCH"),
    (["--provider", "acme", "--house", "--secret-file", "/nowhere"], 1, "/nowhere"),
    (["--provider", "acme", "--house"], 1, "the secret is empty"),
    (["--provider", "acme", "--tenant", "nobody", "--secret-env", "HOME"], 1, "'nobody'"),
])
def test_what_is_wrong_with_a_command_is_said(ctl, words, status, says):
    done = ctl("credential", "create", "one", *words, check=False, stdin="\n",
               env={"HOME": "secret"})
    assert done.returncode == status
    assert says in done.stderr
    assert "secret" not in done.stdout


def test_a_credential_that_is_there_is_not_made_again(ctl):
    words = ["credential", "create", "one", "--provider", "acme", "--house"]
    ctl(*words, stdin="secret-1")
    done = ctl(*words, stdin="secret-2", check=False)
    assert done.returncode == 1 and "already" in done.stderr
    done = ctl("credential", "enter", "two", stdin="secret-2", check=False)
    assert done.returncode == 1 and "there is no credential 'two'" in done.stderr


@pytest.mark.parametrize("typed, status", [("typed-secret\n", 0), ("typed\x03", 1)])
def test_at_a_terminal_the_secret_is_asked_for_and_not_shown(control, api, typed, status):
    leader, follower = pty.openpty()
    command = [str(BUILD / "switchboardctl"), "credential", "create", "one", "--provider", "acme",
               "--house", "--url", control.url, "--token-file", str(control.home.token_file)]
    before = termios.tcgetattr(follower)
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower) as program:
        wait_until(lambda: not termios.tcgetattr(follower)[3] & termios.ECHO, "the echo is off")
        os.write(leader, typed.encode())
        assert program.wait(PATIENCE) == status
        assert termios.tcgetattr(follower) == before
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # the end of what a terminal gives
            while piece := os.read(leader, 4096):
                shown += piece
    os.close(leader)
    assert b"Secret" in shown and b"typed" not in shown
    assert (b"1 added" in shown) == (status == 0)
    assert (api.get("/credentials/one").status_code == 200) == (status == 0)
