"""Salted digests in the records, checked by hashlib: bodies, `user`, `metadata`."""
import hashlib
import json

import pytest

from asking import CHAT, HI
from program import wait_until

KEYS = {"app": {}, "plain": {"audit_personal": "plain"}, "eu": {"zdr": True}}


def digest(salt, *parts):
    return hashlib.blake2b(b"".join(parts), key=bytes(salt), digest_size=32).digest()


def catalogue(sim):
    claim = {"value": "yes", "evidence": "https://example.com/dpa"}
    return {
        "version": 1,
        "providers": [{"slug": "sim", "dialect": "openai", "base_url": f"{sim.url}/v1",
                       "credential": {"value": "house"}}],
        "models": [{"id": "m/one", "context_length": 100_000}],
        "endpoints": [{"model": "m/one", "provider": "sim", "region": "DE", "zdr": claim,
                       "no_training": claim, "pricing": {"prompt": "1", "completion": "1"}}],
        "policies": [{"name": name, **rules} for name, rules in KEYS.items()],
        "keys": [{"name": name, "policy": name, "secret": {"value": f"sb-digest-key-{name}"}}
                 for name in KEYS]}


class Place:
    def __init__(self, site, control, sim):
        self.database = site.database
        revision = control.apply(catalogue(sim))["revision"]
        self.worker = site.worker([control], "--answer-hold", "64KiB", "--body-limit", "1MiB")
        self.worker.wait_revision(revision)
        self.clients = {name: self.worker.client(f"sb-digest-key-{name}") for name in KEYS}

    def post(self, body, key="app", **options):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.clients[key].post(CHAT, data=body, **options)
        return body, answer

    def record(self, answer):
        """Its columns, once they are there."""
        def find():
            return self.database.rows(
                "SELECT salt, request_digest, response_digest, user_hash, metadata_hash,"
                " user_plain, metadata_plain, demanded, demanded_by_policy, request_bytes,"
                " response_bytes, outcome FROM audit_requests WHERE generation = %s",
                answer.headers["X-Generation-Id"])
        (row,) = wait_until(find, "the record is stored")
        names = ("salt request_digest response_digest user_hash metadata_hash user_plain "
                 "metadata_plain demanded demanded_by_policy request_bytes response_bytes outcome")
        return {name: bytes(value) if isinstance(value, memoryview) else value
                for name, value in zip(names.split(), row)}

    def check(self, body, answer):
        """The digests are those of what went in and out."""
        row = self.record(answer)
        assert len(row["salt"]) == 16
        assert row["request_digest"] == digest(row["salt"], body)
        assert row["response_digest"] == digest(row["salt"], answer.content)
        assert (row["request_bytes"], row["response_bytes"]) == (len(body), len(answer.content))
        return row


@pytest.fixture(name="place")
def fixture_place(site, control, sim):
    return Place(site, control, sim)


def ask(**more):
    return {"model": "m/one", "messages": HI, **more}


@pytest.mark.parametrize("name, more, behaviour", [
    ("whole", {}, {}),
    ("stream", {"stream": True}, {"tokens": 300}),
    ("raw", {}, {"content": "x" * 200_000}),  # over --answer-hold: relayed as it comes
    ("large", {"messages": [{"role": "user", "content": "long " * 50_000}]}, {}),
    ("broken stream", {"stream": True}, {"cut_after": 3}),
    ("failed", {}, {"fail": "500"}),
])
def test_bodies_are_as_the_client_saw_them(place, sim, name, more, behaviour):
    sim.behave(**behaviour)
    place.check(*place.post(ask(**more)))


@pytest.mark.parametrize("body, status", [
    (b"{\"model\": \"m/one\", ", 400),
    (b"", 400),
    (ask(temperature="warm", model=[]), 400),
    (ask(model="m/none"), 400),
    (ask(provider={"enforce_distillable_text": True}), 404),
])
def test_refused_requests_have_digests_too(place, body, status):
    body, answer = place.post(body)
    assert answer.status_code == status, answer.text
    place.check(body, answer)


def test_a_body_that_was_not_read_whole_has_none(place):
    _, answer = place.post(b"x" * (2 << 20))
    assert answer.status_code == 413
    row = place.record(answer)
    assert row["request_digest"] is None
    assert row["response_digest"] == digest(row["salt"], answer.content)


def test_chunks_and_pieces_of_a_body_make_no_difference(place):
    body = json.dumps(ask()).encode()
    pieces = [body[:10], body[10:11], body[11:]]
    answer = place.clients["app"].post(CHAT, data=iter(pieces))
    place.check(body, answer)


def test_each_request_has_a_salt_of_its_own(place):
    rows = [place.check(*place.post(ask())) for _ in range(3)]
    assert len({row["salt"] for row in rows}) == 3
    assert len({row["request_digest"] for row in rows}) == 3


METADATA = {"b": ["x", 1, None], "a": {"ü": "\u0001\"", "": True}}
CANONICAL = '{"a":{"":true,"ü":"\\u0001\\""},"b":["x",1,null]}'.encode()


@pytest.mark.parametrize("key", ["app", "plain"])
@pytest.mark.parametrize("stream", [False, True])
def test_user_and_metadata_are_hashed_and_plain_only_by_policy(place, key, stream):
    row = place.check(*place.post(ask(user="jörg", metadata=METADATA, stream=stream), key=key))
    assert row["user_hash"] == digest(row["salt"], b"user\0", "jörg".encode())
    assert row["metadata_hash"] == digest(row["salt"], b"metadata\0", CANONICAL)
    if key == "plain":
        assert (row["user_plain"], row["metadata_plain"]) == ("jörg", CANONICAL.decode())
    else:
        assert row["user_plain"] is row["metadata_plain"] is None


def test_a_refused_request_has_them_too(place):
    body, answer = place.post(ask(user="u", provider={"enforce_distillable_text": True}))
    assert answer.status_code == 404
    row = place.check(body, answer)
    assert row["user_hash"] == digest(row["salt"], b"user\0", b"u")
    assert row["metadata_hash"] is None


def test_what_the_policy_demanded_is_told_apart(place):
    zdr, no_training = 1 << 1, 1 << 2
    for key, more, demanded, by_policy in [
            ("app", {}, 0, 0),
            ("app", {"provider": {"zdr": True}}, zdr, 0),
            ("eu", {}, zdr, zdr),
            ("eu", {"provider": {"data_collection": "deny"}}, zdr | no_training, zdr),
            ("eu", {"provider": {"enforce_distillable_text": True}}, zdr | 8, zdr)]:
        row = place.check(*place.post(ask(**more), key=key))
        assert (row["demanded"], row["demanded_by_policy"]) == (demanded, by_policy)
