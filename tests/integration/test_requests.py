"""What a request gets: answers, refusals, and what each failure of a provider leads to.

The rows are those of ROUTING.md 8; the answers are those of ROUTING.md 9.
"""
import json
import re

import pytest

from asking import CHAT, HI, ORDER, ask, bodies, chat, refusal
from catalog import STEADY
from gateway import KEYS
from program import wait_until
from wire import chunks_of, events

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

# --- answers -------------------------------------------------------------------------------------


def check_usage(usage, prompt, completion, price):
    assert usage["prompt_tokens"] == prompt
    assert usage["completion_tokens"] == completion
    assert usage["total_tokens"] == prompt + completion
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0
    assert usage["is_byok"] is False
    cost = (prompt * price + completion * 3 * price) / 1e6
    assert usage["cost"] == pytest.approx(cost, abs=1e-15)
    assert usage["cost_details"]["upstream_inference_cost"] == usage["cost"]


def test_a_chat_is_answered(world):
    model = world.fresh()
    result = ask(world, model)
    body = result.body
    assert result.status == 200
    assert re.fullmatch(r"gen-\d{10}-[0-9A-Za-z]{20}", body["id"])
    assert body["id"] == result.headers["X-Generation-Id"]
    assert result.headers["X-Switchboard-Endpoint"] == "p0"
    assert result.headers["X-Switchboard-Attempts"] == "1"
    assert re.fullmatch(r"\d+\.\d+", result.headers["X-Switchboard-Snapshot"])
    assert body["object"] == "chat.completion"
    assert body["model"] == model
    assert body["provider"] == "Provider p0"
    assert isinstance(body["created"], int)
    assert "system_fingerprint" in body
    (choice,) = body["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert "p0 here" in choice["message"]["content"]
    check_usage(body["usage"], 9, 5, 1)


def test_a_stream_is_answered(world):
    model = world.fresh()
    result = ask(world, model, stream=True)
    assert result.headers["X-Switchboard-Endpoint"] == "p0"
    assert result.headers["X-Switchboard-Attempts"] == "1"
    assert result.headers["Cache-Control"] == "no-cache"
    assert result.is_done
    for chunk in result.chunks:
        assert chunk["id"] == result.headers["X-Generation-Id"]
        assert chunk["object"] == "chat.completion.chunk"
        assert isinstance(chunk["created"], int)
        assert chunk["model"] == model
        assert chunk["provider"] == "Provider p0"
        for choice in chunk["choices"]:
            assert choice["index"] == 0
            assert "delta" in choice and "finish_reason" in choice
    *content, last = result.chunks
    assert all("usage" not in chunk for chunk in content)
    assert content[-1]["choices"][0]["finish_reason"] == "stop"
    assert last["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""},
                                "finish_reason": None}]
    check_usage(last["usage"], 9, 5, 1)
    assert "p0 here" in result.text
    (sent,) = bodies(world, 0)
    assert sent["stream_options"]["include_usage"] is True


@BOTH
def test_what_strict_clients_reject_is_mended(world, stream):
    world[0].behave(compact=True, null_usage=True)
    result = ask(world, STEADY, stream=stream)
    for chunk in result.chunks[:-1]:
        assert "usage" not in chunk
        assert chunk.get("system_fingerprint", "") is not None
    for choice in result.body["choices"]:
        assert choice["index"] == 0 and "finish_reason" in choice
    assert result.body["usage"]["total_tokens"] == 14


@BOTH
def test_tokens_that_nobody_reported_are_estimated(world, stream):
    world[0].behave(no_usage=True, content="12345678")
    result = ask(world, STEADY, stream=stream)
    assert result.text == "12345678"
    assert result.body["usage"]["completion_tokens"] == 2
    assert result.body["usage"]["prompt_tokens"] > 0
    assert result.body["usage"]["cost"] > 0


def test_a_stream_whose_usage_is_not_reported_ends_with_its_end_mark(world):
    # and is not kept waiting for what will not come
    world[0].behave(no_usage=True, framing="close", hang=0)
    assert ask(world, STEADY, stream=True).is_done


def test_what_reaches_a_provider(world):
    body = {**chat(STEADY, order=None), "user": "alice", "session_id": "s", "transforms": [],
            "plugins": [], "route": "fallback", "switchboard": {"explain": True},
            "metadata": {"kept": "Ä\u2028"}, "temperature": 0.25, "top_a": 0.5, "max_tokens": 3,
            "unknown_member": [1e2, {"a": None}]}
    text = json.dumps(body, ensure_ascii=False, indent=1).encode()
    answer = world.worker.chat(text, headers={
        "Cookie": "secret=1", "X-Forwarded-For": "10.0.0.1", "X-Request-Id": "mine-1",
        "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "X-Anthropic-Beta": "one", "User-Agent": "test", "Accept-Encoding": "gzip",
        "Content-Type": "application/json"})
    assert answer.status_code == 200
    assert answer.headers["X-Request-Id"] == "mine-1"
    (request,) = world.received(0)
    headers = request["headers"]
    assert headers["authorization"] == "Bearer house-p0"
    assert headers["traceparent"].startswith("00-0af7")
    assert headers["x-anthropic-beta"] == "one"
    assert headers["accept-encoding"] == "identity"
    assert set(headers) == {"host", "authorization", "content-type", "accept", "accept-encoding",
                            "user-agent", "traceparent", "x-anthropic-beta", "content-length"}
    assert headers["user-agent"] != "test"
    sent = json.loads(request["body"])
    assert sent["model"] == "upstream-p0"
    assert sent["metadata"] == {"kept": "Ä\u2028"}
    assert sent["unknown_member"] == [1e2, {"a": None}]
    assert '[\n  100.0,' in request["body"]  # as it was written
    assert sent["temperature"] == 0.25 and sent["max_tokens"] == 3
    assert "top_a" not in sent  # not supported there
    assert answer.json()["switchboard_metadata"]["dropped_parameters"] == ["top_a"]
    assert sent["user"] and sent["user"] != "alice"
    for member in ["provider", "session_id", "transforms", "plugins", "route", "switchboard"]:
        assert member not in sent
    again = world.worker.chat({**chat(STEADY), "user": "alice"})
    assert again.status_code == 200
    assert bodies(world, 0)[1]["user"] == sent["user"]


@pytest.mark.parametrize("input", ["one text", ["two", "texts"], [1, 2, 3]],
                         ids=["text", "list", "tokens"])
def test_embeddings_are_served(world, input):
    answer = world.worker.post("/v1/embeddings", {"model": "test/embed", "input": input,
                                                  "dimensions": 4, "encoding_format": "float"})
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["object"] == "list"
    assert body["model"] == "test/embed"
    assert [item["index"] for item in body["data"]] == [0, 1][:len(body["data"])]
    assert all(len(item["embedding"]) == 4 for item in body["data"])
    assert body["usage"]["prompt_tokens"] > 0
    assert body["usage"]["cost"] > 0
    assert world.received(0)[0]["target"] == "/v1/embeddings"
    assert answer.headers["X-Switchboard-Endpoint"] == "p0"


def test_an_alias_names_its_model(world):
    answer = world.worker.post("/v1/embeddings", {"model": "embedder", "input": "x"})
    assert answer.json()["model"] == "test/embed"


@BOTH
def test_completions_are_served(world, stream):
    body = {"model": STEADY, "prompt": "Once", "max_tokens": 3, "stream": stream}
    answer = world.worker.post("/v1/completions", body)
    assert answer.status_code == 200
    parts = chunks_of(answer.content) if stream else [answer.json()]
    assert all(part["object"] == "text_completion" for part in parts)
    assert all(part["id"] == answer.headers["X-Generation-Id"] for part in parts)
    assert "".join(part["choices"][0]["text"] for part in parts)
    assert parts[-1]["usage"]["completion_tokens"] == 3
    if stream:
        assert events(answer.content)[-1] == "[DONE]"


def test_an_answer_larger_than_is_held_is_relayed(world):
    world[0].behave(tokens=3, token_bytes=60_000, framing="length")
    with world.another("--answer-hold", "64KiB") as worker:
        result = ask(world, STEADY, worker=worker)
        assert len(result.text) > 150_000
        assert result.headers["X-Switchboard-Endpoint"] == "p0"
        assert result.headers["Content-Length"] == str(len(result.answer.content))
        for framing in ["chunked", "close"]:
            world[0].behave(framing=framing)
            result = ask(world, STEADY, worker=worker)
            assert len(result.text) > 150_000
            assert result.headers["Transfer-Encoding"] == "chunked"
        world[0].behave(framing="chunked", cut_after=150_000)
        with worker.wire() as wire:  # it cannot be mended any more: the client must see that
            wire.post(CHAT, chat(STEADY), worker.auth)
            answer = wire.answer()
            assert answer.status == 200
            assert not answer.whole


def test_lists_show_the_catalogue(world):
    models = world.worker.get("/v1/models").json()
    ids = [model["id"] for model in models["data"]]
    assert STEADY in ids and "test/embed" in ids
    assert models["total_count"] == len(ids)
    assert world.worker.get("/v1/models/count").json()["data"]["count"] == len(ids)
    steady = models["data"][ids.index(STEADY)]
    assert steady["pricing"] == {"prompt": "0.000001", "completion": "0.000003"}
    assert steady["context_length"] == 100_000
    assert world.worker.get(f"/v1/models/{STEADY}").json()["id"] == STEADY
    assert world.worker.get(f"/v1/models/{STEADY.replace('/', '%2F')}").json()["id"] == STEADY
    assert world.worker.get(f"/v1/model/{STEADY}").json()["data"]["id"] == STEADY
    one = world.worker.get(f"/api/v1/models/{STEADY}/endpoints").json()["data"]
    assert [endpoint["tag"] for endpoint in one["endpoints"]] == ["p0"]
    slugs = [provider["slug"] for provider in world.worker.get("/v1/providers").json()["data"]]
    assert {"p0", "p1", "p2"} <= set(slugs)
    zdr = world.worker.get("/v1/endpoints/zdr").json()["data"]
    assert {endpoint["tag"] for endpoint in zdr} == {"p0"}
    refusal(world.worker.get("/v1/models/no/such"), 404, "not_found")
    refusal(world.worker.get("/v1/models/no/such/endpoints"), 404, "not_found")
    refusal(world.worker.get("/v1/models", headers={"Authorization": ""}), 401)


# --- refusals ------------------------------------------------------------------------------------

WRONG_KEYS = {
    "none": None,
    "another scheme": "Basic c2ItdGVzdDo=",
    "no secret": "Bearer ",
    "an unknown one": "Bearer sb-unknown",
    "a longer one": f"Bearer {KEYS['test']}1",
    "a shorter one": f"Bearer {KEYS['test'][:-1]}",
    "a disabled one": f"Bearer {KEYS['disabled']}",
}


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_a_wrong_key_is_401(world, name):
    for path, body in [(CHAT, chat(STEADY)), ("/v1/embeddings", {}), (CHAT, b"{")]:
        answer = world.worker.post(path, body, headers={"Authorization": WRONG_KEYS[name]})
        refusal(answer, 401, "authentication")
        assert "sb-t" not in answer.text and "sb-g" not in answer.text
    assert world.received() == [0, 0, 0]


def test_two_keys_are_400_whichever_is_good(world):
    good, bad = f"Authorization: Bearer {KEYS['test']}", "Authorization: Bearer sb-unknown"
    for fields in [(good, bad), (bad, good), (good, good)]:
        with world.worker.wire() as wire:
            wire.post(CHAT, chat(STEADY), *fields)
            answer = wire.answer()
            assert answer.status == 400 and "more than one" in answer.json()["error"]["message"]
    assert world.received() == [0, 0, 0]


# name: body, what the message says
BODIES = {
    "empty": (b"", "byte 0"),
    "no JSON": (b"hello", "byte 0"),
    "cut": (b'{"model": "a"', "byte 13"),
    "a list": (b"[]", "object"),
    "a word": (b'"model"', "object"),
    "something behind it": (b'{"model": "a"} x', "byte 15"),
    "a comma too many": (b'{"model": "a",}', "byte 14"),
    "single quotes": (b"{'model': 'a'}", "byte 1"),
    "a comment": (b'{"model": "a" /* b */}', "byte 14"),
    "NaN": (b'{"model": "a", "top_p": NaN}', "top_p"),
    "a zero before a number": (b'{"model": "a", "seed": 01}', "seed"),
    "a control character": (b'{"model": "a\nb"}', "model"),
    "a wrong escape": (b'{"model": "a", "messages": "\\x"}', "messages"),
    "half a surrogate": (b'{"model": "a", "messages": "\\ud800"}', "messages"),
    "a byte that is no UTF-8": (b'{"model": "a", "messages": "\xff"}', "messages"),
    "a UTF-8 surrogate": (b'{"model": "a", "messages": "\xed\xa0\x80"}', "messages"),
    "an overlong UTF-8": (b'{"model": "a", "messages": "\xc0\xaf"}', "messages"),
    "a cut UTF-8": (b'{"model": "a", "messages": "\xe2\x82"}', "messages"),
    "a byte order mark": (b'\xef\xbb\xbf{"model": "a"}', "byte 0"),
    "too deep": (b'{"model": "a", "messages": ' + b"[" * 64 + b"]" * 64 + b"}", "messages"),
    "two models": (b'{"model": "a", "messages": [], "model": "b"}', "model"),
    "two models, one hidden": (b'{"model": "a", "messages": [], "mod\\u0065l": "b"}',
                               "mod\\u0065l"),
    "no model": ({"messages": HI}, "model"),
    "a model of null": ({"model": None, "messages": HI}, "model"),
    "a model that is a number": ({"model": 1, "messages": HI}, "model"),
    "an empty model": ({"model": "", "messages": HI}, "model"),
    "models that are a text": ({"models": STEADY, "messages": HI}, "models"),
    "too many models": ({"models": [STEADY] * 9, "messages": HI}, "models"),
    "no messages": ({"model": STEADY}, "messages"),
    "no message": ({"model": STEADY, "messages": []}, "messages"),
    "messages that are a text": ({"model": STEADY, "messages": "hi"}, "messages"),
    "a message that is a text": ({"model": STEADY, "messages": [*HI, "hi"]}, "messages[1]"),
    "a message of nobody": ({"model": STEADY, "messages": [{"content": "hi"}]},
                            "messages[0].role"),
    "a content that is a number": ({"model": STEADY, "messages": [{"role": "user", "content": 1}]},
                                   "messages[0].content"),
    "a model with a NUL": (chat(STEADY + "\0"), "model:"),
    "a stream that is a text": ({**chat(STEADY), "stream": "true"}, "stream"),
    "a limit that is a text": ({**chat(STEADY), "max_tokens": "5"}, "max_tokens"),
    "a limit below zero": ({**chat(STEADY), "max_tokens": -1}, "max_tokens"),
    "a limit of half a token": ({**chat(STEADY), "max_tokens": 1.5}, "max_tokens"),
    "no answers": ({**chat(STEADY), "n": 0}, "n:"),
    "tools that are an object": ({**chat(STEADY), "tools": {}}, "tools"),
    "a format that is a text": ({**chat(STEADY), "response_format": "json"}, "response_format"),
    "a user that is a number": ({**chat(STEADY), "user": 7}, "user"),
    "options that are a flag": ({**chat(STEADY), "stream_options": True}, "stream_options"),
    "a rule that does not exist": ({"model": STEADY, "messages": HI, "provider": {"onyl": []}},
                                   "provider.onyl"),
    "a rule of a wrong type": ({"model": STEADY, "messages": HI, "provider": {"only": "p0"}},
                               "provider.only"),
    "a rule of ours that does not exist": (
        {"model": STEADY, "messages": HI, "switchboard": {"pni": "p0"}}, "switchboard.pni"),
    "an unknown slug, strictly": (
        {"model": STEADY, "messages": HI, "provider": {"only": ["nobody"]},
         "switchboard": {"strict": True}}, "nobody"),
    "an unknown model": (chat("no/such"), "no/such"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_wrong_is_400_and_named(world, name):
    body, place = BODIES[name]
    answer = world.worker.chat(body)
    error = refusal(answer, 400, "invalid_request")
    assert place in error["message"], error
    assert "X-Generation-Id" in answer.headers
    assert world.received() == [0, 0, 0]


@pytest.mark.parametrize("path,body,place", [
    ("/v1/completions", {"model": STEADY}, "prompt"),
    ("/v1/completions", {"model": STEADY, "prompt": 1}, "prompt"),
    ("/v1/embeddings", {"model": "test/embed"}, "input"),
    ("/v1/embeddings", {"model": "test/embed", "input": []}, "input"),
])
def test_bodies_of_the_other_interfaces_are_checked_too(world, path, body, place):
    assert place in refusal(world.worker.post(path, body), 400)["message"]


def test_an_endpoint_for_nobody_is_404_with_the_reasons(world):
    error = None
    body = {"model": world.fresh(), "messages": HI, "provider": {"ignore": ["p0"], "zdr": True}}
    answer = world.worker.chat(body)
    error = refusal(answer, 404, "not_found")
    assert error["availability"]["code"] == "privacy_restricted" or error["availability"]["code"]
    assert error["availability"]["requested_models"] == [body["model"]]
    assert error["availability"]["retryable"] is False
    funnel = json.dumps(answer.json())
    for endpoint, reason in [("p0", "ignore"), ("p1", "zdr"), ("p2", "zdr")]:
        assert re.search(rf'"endpoint": "{endpoint}"[^}}]*{reason}', funnel), funnel
    assert world.received() == [0, 0, 0]


@pytest.mark.parametrize("headers,switchboard,member", [
    ({"X-Switchboard-Metadata": "enabled"}, {}, "switchboard_metadata"),
    ({"X-OpenRouter-Metadata": "Enabled"}, {}, "openrouter_metadata"),
    ({}, {"explain": True}, "switchboard_metadata"),
    ({"X-Switchboard-Metadata": "yes"}, {}, None),
], ids=str)
def test_the_decision_goes_with_a_404_when_it_is_asked_for(world, headers, switchboard, member):
    model = world.fresh()
    answer = world.worker.chat({"model": model, "messages": HI, "provider": {"ignore": ORDER},
                                "switchboard": switchboard}, headers=headers)
    error = refusal(answer, 404, "not_found")
    assert answer.headers["X-Switchboard-Attempts"] == "0"
    assert "X-Switchboard-Endpoint" not in answer.headers
    assert error["metadata"]["relax"] == [{"rules": ["provider.ignore"], "endpoints": ORDER}]
    body = answer.json()
    assert set(body) == {"error", member} - {None}
    if member:
        told = body[member]
        assert told["requested"] == model
        assert told["strategy"] == "direct"
        assert told["attempt"] == 0 and told["attempts"] == []
        assert told["endpoints"] == {"total": 3, "available": []}
        assert told["funnel"] == error["metadata"]["funnel"]


def test_embeddings_of_a_chat_model_are_404(world):
    refusal(world.worker.post("/v1/embeddings", {"model": STEADY, "input": "x"}), 404)
    refusal(world.worker.chat(chat("test/embed")), 404)


# --- providers that fail: the table --------------------------------------------------------------

# what the first provider does; outcome; its status
FAILURES = {
    "resets": ({"reset": True}, "reset", 0),
    "closes": ({"close_before_answer": True}, "reset", 0),
    "500": ({"fail": "500"}, "server_error", 500),
    "502": ({"fail": "502"}, "server_error", 502),
    "503": ({"fail": "503", "retry_after": 1}, "server_error", 503),
    "529": ({"fail": "529"}, "server_error", 529),
    "408": ({"fail": "408"}, "server_error", 408),
    "409": ({"fail": "409"}, "busy", 409),
    "425": ({"fail": "425"}, "busy", 425),
    "401": ({"fail": "401"}, "credential", 401),
    "402": ({"fail": "402"}, "credential", 402),
    "403": ({"fail": "403"}, "credential", 403),
    "404": ({"fail": "404"}, "not_offered", 404),
    "405": ({"fail": "405"}, "not_offered", 405),
    "410": ({"fail": "410"}, "not_offered", 410),
    "451": ({"fail": "451"}, "not_offered", 451),
    "498": ({"fail": "498"}, "credential", 498),
    "429": ({"fail": "429", "retry_after": 60}, "rate_limited", 429),
    "429 without Retry-After": ({"fail": "429"}, "rate_limited", 429),
    "a redirect": ({"raw_response": "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                    "Content-Length: 0\r\n\r\n"}, "bad_answer", 302),
    "no HTTP": ({"raw_response": "hello\r\n\r\n"}, "bad_answer", 0),
    "half a head": ({"raw_response": "HTTP/1.1 200 OK\r\nContent-Le"}, "reset", 0),
    "two lengths": ({"raw_response": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                     "Content-Length: 3\r\n\r\n{}"}, "bad_answer", 0),
    "a length and chunks": ({"raw_response": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}, "bad_answer", 0),
    "a switch of protocols": ({"raw_response": "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: x\r\n\r\n"}, "bad_answer", 0),
    "nothing": ({"empty_body": True}, "bad_answer", 200),
    "204": ({"raw_response": "HTTP/1.1 204 No Content\r\n\r\n"}, "bad_answer", 204),
    "an encoded answer": ({"content_encoding": "gzip"}, "bad_answer", 200),
    "a page": ({"raw_response": "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                "Content-Length: 14\r\n\r\n<html>p0</html"}, "bad_answer", 200),
    "an error in a 200": ({"error_in_200": True}, "bad_answer", 200),
    "another JSON": ({"raw_response": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                      "Content-Length: 11\r\n\r\n{\"ok\":true}"}, "bad_answer", 200),
}
WHOLE_FAILURES = {
    "no JSON": ({"malformed": 1}, "bad_answer", 200),
    "half an answer": ({"cut_after": 40}, "reset", 200),
    "half an answer, reset": ({"cut_after": 40, "cut_reset": True}, "reset", 200),
    "an error for its end": ({"finish_reason": "error"}, "bad_answer", 200),
}
STREAM_FAILURES = {
    "a cut before any event": ({"cut_after": 0}, "reset", 200),
    "a cut after the role": ({"cut_after": 1, "role_only_first": True}, "reset", 200),
    "a reset after the role": ({"cut_after": 1, "cut_reset": True, "role_only_first": True},
                               "reset", 200),
    "an end after the role": ({"end_after": 1, "role_only_first": True}, "reset", 200),
    "an error first": ({"error_event_first": True}, "bad_answer", 200),
    "an error for its end": (
        {"raw_response": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
         "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\"}]}\n\n"},
        "bad_answer", 200),
    "an error after the role": ({"error_event_after": 1, "role_only_first": True},
                                "bad_answer", 200),
    "comments, then a cut": ({"sse_comments": 3, "cut_after": 0}, "reset", 200),
    "half an event": ({"raw_response": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                       "data: {\"choices\":[{\"index\":0,\"del"}, "bad_answer", 200),
    "an end mark alone": ({"raw_response": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                           "\r\ndata: [DONE]\n\n"}, "bad_answer", 200),
}


def check_masked(world, behaviour, outcome, status, stream):
    """The first fails, the second serves, and nothing of the first is seen."""
    world[0].close("all")  # a reset of a connection that was used before is nobody's fault
    model = world.fresh()
    world[0].behave(content="said by p0", **behaviour)
    world[1].behave(content="said by p1")
    result = ask(world, model, stream=stream)
    assert result.status == 200
    assert result.attempts == [("p0", outcome, status), ("p1", "success", 200)]
    assert result.text == "said by p1"
    assert result.headers["X-Switchboard-Endpoint"] == "p1"
    assert result.headers["X-Switchboard-Attempts"] == "2"
    assert world.received()[1:] == [1, 0]
    assert b"Provider p0" not in result.answer.content.split(b"switchboard_metadata")[0]
    if stream:
        assert result.is_done
        assert {chunk["provider"] for chunk in result.chunks} == {"Provider p1"}


@BOTH
@pytest.mark.parametrize("name", FAILURES)
def test_the_next_endpoint_serves_when_the_first(world, name, stream):
    check_masked(world, *FAILURES[name], stream)


@pytest.mark.parametrize("name", WHOLE_FAILURES)
def test_the_next_endpoint_serves_when_the_first_gives(world, name):
    check_masked(world, *WHOLE_FAILURES[name], False)


@pytest.mark.parametrize("name", STREAM_FAILURES)
def test_the_next_endpoint_streams_when_the_first_gives(world, name):
    check_masked(world, *STREAM_FAILURES[name], True)


@BOTH
@pytest.mark.parametrize("kind,outcomes", [
    ("refused", {"connect_failed"}), ("tls", {"tls_failed"}),
    ("dns", {"dns_failed", "connect_timeout"}),  # the last where the network swallows questions
])
def test_the_next_endpoint_serves_when_the_first_cannot_be_reached(world, kind, outcomes, stream):
    result = ask(world, world.fresh(kind), [kind, "p1"], stream=stream)
    (endpoint, outcome, status), second = result.attempts
    assert (endpoint, status) == (kind, 0)
    assert outcome in outcomes
    assert second == ("p1", "success", 200)


@pytest.mark.parametrize("stream,limit,outcome", [
    (False, "attempt_timeout_ms", "attempt_timeout"),
    (True, "first_token_timeout_ms", "first_token_timeout"),
    (True, "attempt_timeout_ms", "first_token_timeout"),
])
def test_a_silent_endpoint_is_left_and_cancelled(world, stream, limit, outcome):
    world[0].behave(hang=1)
    result = ask(world, world.fresh(), stream=stream, switchboard={limit: 200})
    assert result.attempts == [("p0", outcome, 0), ("p1", "success", 200)]
    world[0].wait(aborted=1, hanging="0-0")


def test_a_stream_that_says_only_its_role_is_silent(world):
    world[0].behave(hold_after=1, role_only_first=True, sse_comments=2)
    result = ask(world, world.fresh(), stream=True, switchboard={"first_token_timeout_ms": 200})
    assert result.attempts == [("p0", "first_token_timeout", 200), ("p1", "success", 200)]
    world[0].wait(streams_aborted=1)


@BOTH
def test_the_fourth_model_serves_when_nobody_else_does(world, stream):
    models = [world.fresh("single"), world.fresh("refused"), world.fresh("single"),
              world.fresh("large")]
    world[0].behave(fail="500")
    result = ask(world, models, ["p0", "refused"], stream=stream,
                 provider={"only": ["p0", "refused", "p1"], "order": ["p0", "refused"]})
    assert result.status == 200
    assert result.attempts[-1] == ("p1", "success", 200)


# --- when all of them fail -----------------------------------------------------------------------


@BOTH
def test_the_first_is_tried_once_more_and_then_it_is_503(world, stream):
    for sim in world.sims:
        sim.behave(fail="500", error_message="the secret is house-p0")
    result = ask(world, world.fresh(), stream=stream)
    assert result.status == 503
    assert world.received() == [2, 1, 1]
    assert [one[0] for one in result.attempts] == ["p0", "p1", "p2", "p0"]
    assert result.error["metadata"]["error_type"] == "provider_overloaded"
    assert result.error["availability"]["code"] == "temporarily_unavailable"
    assert result.error["availability"]["retryable"] is True
    assert result.headers["x-should-retry"] == "false"
    assert result.headers["X-Switchboard-Attempts"] == "4"
    assert "X-Switchboard-Endpoint" not in result.headers
    assert "house-p0" not in result.answer.text


def test_the_second_go_of_the_first_may_serve(world):
    world[0].script({"fail": "500"}, {})
    for sim in world.sims[1:]:
        sim.behave(fail="500")
    result = ask(world, world.fresh())
    assert result.attempts[-1] == ("p0", "success", 200)
    assert len(result.attempts) == 4


@pytest.mark.parametrize("failures,order", [
    (["500", "401", "404"], ["p0", "p1", "p2", "p0"]),
    (["401", "500", "404"], ["p0", "p1", "p2", "p1"]),
    (["401", "404", "409"], ["p0", "p1", "p2", "p2"]),
], ids=str)
def test_the_second_go_is_the_first_ranked_ones_that_may_have_it(world, failures, order):
    for sim, status in zip(world.sims, failures):
        sim.behave(fail=status)
    result = ask(world, world.fresh())
    assert [one[0] for one in result.attempts] == order
    assert result.status == 503


def test_a_retry_after_of_503_reaches_the_client(world):
    for sim, seconds in zip(world.sims, [30, 20, 40]):
        sim.behave(fail="503", retry_after=seconds)
    result = ask(world, world.fresh())
    assert result.status == 503
    assert result.headers["Retry-After"] == "20"


@BOTH
@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 410])
def test_a_broken_offer_is_502_without_its_text(world, status, stream):
    for sim in world.sims:
        sim.behave(fail=str(status), error_message="the secret is house-p0")
    result = ask(world, world.fresh(), stream=stream)
    assert result.status == 502
    assert world.received() == [1, 1, 1]  # never the same again
    assert result.error["metadata"]["error_type"] == "provider_unavailable"
    assert result.error["metadata"]["provider_code"] == str(status)
    assert result.headers["x-should-retry"] == "false"
    assert "house" not in result.answer.text.replace('"house"', "")
    assert "secret" not in result.answer.text


def test_answers_that_are_none_are_502(world):
    world[0].behave(malformed=1)
    world[1].behave(error_in_200=True)
    world[2].behave(empty_body=True)
    result = ask(world, world.fresh())
    assert result.status == 502
    assert world.received() == [1, 1, 1]


def test_silence_everywhere_is_503_and_nobody_is_asked_twice(world):
    for sim in world.sims:
        sim.behave(hang=1)
    result = ask(world, world.fresh(), switchboard={"attempt_timeout_ms": 100})
    assert result.status == 503
    assert world.received() == [1, 1, 1]


def test_limits_everywhere_are_429_with_the_shortest_wait(world):
    for sim, seconds in zip(world.sims, [60, 50, 70]):
        sim.behave(fail="429", retry_after=seconds)
    model = world.fresh()
    result = ask(world, model)
    assert result.status == 429
    assert world.received() == [1, 1, 1]
    assert result.headers["Retry-After"] == "50"
    assert result.error["metadata"]["error_type"] == "rate_limit_exceeded"
    availability = result.error["availability"]
    assert availability["code"] == "capacity_exhausted"
    assert availability["retryable"] is True
    assert availability["retry_after"] == 50
    assert availability["requested_models"] == [model]
    assert result.headers["x-should-retry"] == "false"


def test_limits_and_broken_offers_are_503_since_a_limit_ends(world):
    world[0].behave(fail="429", retry_after=60)
    for sim in world.sims[1:]:
        sim.behave(fail="401")
    result = ask(world, world.fresh())
    assert result.status == 503
    assert result.headers["Retry-After"] == "60"
    assert result.error["availability"]["retryable"] is True
    assert "provider_code" not in result.error["metadata"]


def test_a_limit_cools_an_endpoint_down(world):
    model = world.fresh()
    world[0].behave(fail="429", retry_after=60)
    assert ask(world, model).attempts[0] == ("p0", "rate_limited", 429)
    world[0].behave(fail=None)
    result = ask(world, model)  # behind the others now
    assert result.attempts == [("p1", "success", 200)]
    closed = ask(world, model, ["p0"], provider={"order": ["p0"], "allow_fallbacks": False})
    assert closed.attempts == [("p0", "success", 200)]  # but a closed order is obeyed


def test_a_short_limit_is_waited_for_when_nobody_else_is_left(world):
    world[0].script({"fail": "429", "retry_after": 1}, {"content": "at last"})
    result = ask(world, world.fresh("single"))
    assert result.text == "at last"
    assert result.attempts == [("p0", "rate_limited", 429), ("p0", "success", 200)]


def test_a_limit_in_milliseconds_counts_for_more_than_one_in_seconds(world):
    world[0].script({"fail": "429", "retry_after": 60, "retry_after_ms": 50},
                    {"content": "at last"})
    result = ask(world, world.fresh("single"))
    assert result.text == "at last"
    assert result.attempts == [("p0", "rate_limited", 429), ("p0", "success", 200)]


def test_of_several_limits_the_shortest_is_waited_for(world):
    for sim, seconds in zip(world.sims, [60, 1, 50]):
        sim.script({"fail": "429", "retry_after": seconds}, {"content": "at last"})
    result = ask(world, world.fresh())
    assert result.text == "at last"
    assert [one[0] for one in result.attempts] == ["p0", "p1", "p2", "p1"]


def test_a_limit_is_waited_for_when_the_others_fail_otherwise(world):
    world[0].script({"fail": "429", "retry_after": 1}, {"content": "at last"})
    world[1].behave(fail="500")
    world[2].behave(fail="401")
    result = ask(world, world.fresh())
    assert result.text == "at last"
    assert [one[0] for one in result.attempts] == ["p0", "p1", "p2", "p1", "p0"]


def test_a_limit_is_waited_for_twice_at_most(world):
    world[0].behave(fail="429", retry_after=1)
    result = ask(world, world.fresh("single"))
    assert result.status == 429
    assert world.received() == [3, 0, 0]


def test_a_wait_beyond_the_deadline_is_not_waited(world):
    world[0].behave(fail="429", retry_after=3)
    result = ask(world, world.fresh("single"), switchboard={"deadline_ms": 2000})
    assert result.status == 429
    assert world.received() == [1, 0, 0]


@BOTH
def test_a_deadline_is_over_all(world, stream):
    for sim in world.sims:
        sim.behave(hang=1)
    result = ask(world, world.fresh(), stream=stream, switchboard={"deadline_ms": 50})
    assert result.status == 408
    assert result.error["metadata"]["error_type"] == "timeout"
    assert result.attempts == [("p0", "deadline", 0)]
    world[0].wait(aborted=1)


def test_five_faults_open_the_breaker(world):
    model = world.fresh()
    world[0].behave(fail="500")
    for _ in range(5):
        assert len(ask(world, model).attempts) == 2
    world[0].behave(fail=None)
    assert ask(world, model).attempts == [("p1", "success", 200)]


@pytest.mark.parametrize("behaviour", [
    {"fail": "409"}, {"fail": "425"}, {"fail": "429", "retry_after": 0}, {"context_error": True},
    {"content_filter": True}, {"fail": "422"}], ids=str)
def test_what_is_not_an_endpoints_fault_opens_no_breaker(world, behaviour):
    before = world.worker.metric("switchboard_breakers_open")
    model = world.fresh("single")
    world[0].behave(**behaviour)
    for _ in range(6):
        ask(world, model, switchboard={"deadline_ms": 4000})
    assert world.worker.metric("switchboard_breakers_open") == before


def test_eight_attempts_at_most_and_one_kept_for_each_later_model(world):
    models = world.models.several(4)
    for sim in world.sims:
        sim.behave(fail="500")
    result = ask(world, models, order=None)
    assert result.status == 503
    tried = [one["model"] for one in result.metadata["attempts"]]
    assert len(tried) == 8
    assert [tried.count(model) for model in models] == [3, 3, 1, 1]


# --- errors that the request caused --------------------------------------------------------------


@BOTH
def test_a_prompt_that_is_too_long_goes_to_a_model_with_more_room(world, stream):
    models = [world.fresh(), world.fresh("same"), world.fresh("large")]
    world[0].behave(context_error=True)
    world[1].behave(content="there is room")
    result = ask(world, models, ["p0"], stream=stream)
    assert result.attempts == [("p0", "context_length", 400), ("p1", "success", 200)]
    assert result.metadata["attempts"][1]["model"] == models[2]
    assert result.metadata["strategy"] == "fallback"
    assert result.body["model"] == models[2]
    assert result.text == "there is room"
    assert world.received() == [1, 1, 0]


@BOTH
def test_a_prompt_that_is_too_long_for_all_is_400(world, stream):
    world[0].behave(context_error=True)
    result = ask(world, [world.fresh(), world.fresh("same")], stream=stream)
    assert result.status == 400
    assert result.error["metadata"]["error_type"] == "context_length_exceeded"
    assert world.received() == [1, 0, 0]


@BOTH
@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_by_a_content_filter_is_returned(world, status, stream):
    world[0].behave(fail=str(status), error_code="content_filter",
                    error_message="violence is not served")
    result = ask(world, [world.fresh(), world.fresh("same")], stream=stream)
    assert result.status == status
    assert result.error["metadata"]["error_type"] == "content_policy_violation"
    assert result.error["message"] == "violence is not served"
    assert world.received() == [1, 0, 0]


@BOTH
def test_a_refusal_may_go_to_the_next_model_when_asked_for(world, stream):
    models = [world.fresh(), world.fresh("same")]
    world[0].behave(content_filter=True)
    result = ask(world, models, stream=stream, switchboard={"fallback_on_refusal": True})
    assert result.attempts == [("p0", "refused", 400), ("p1", "success", 200)]
    assert result.body["model"] == models[1]
    assert world.received() == [1, 1, 0]


@BOTH
@pytest.mark.parametrize("status,error_type", [(400, "invalid_request"),
                                               (413, "payload_too_large"), (422, "unprocessable")])
def test_a_request_that_a_provider_rejects_is_returned(world, status, error_type, stream):
    world[0].behave(fail=str(status), error_message="tools[0] is odd")
    result = ask(world, world.fresh(), stream=stream)
    assert result.status == status
    assert result.error["message"] == "tools[0] is odd"
    assert result.error["metadata"]["error_type"] == error_type
    assert result.error["metadata"]["provider_code"] == str(status)
    assert result.headers["X-Switchboard-Endpoint"] == "p0"  # whose answer it is
    assert world.received() == [1, 0, 0]


@pytest.mark.parametrize("text", ['{"error":"in a word"}', '{"message":"in a word"}',
                                  '{"detail":"in a word","x":[]}',
                                  '{"error":{"message":"in \\u0061 word","code":7}}'])
@pytest.mark.parametrize("split", [0, 9])
def test_error_texts_of_all_shapes_are_passed_on(world, text, split):
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(text)}\r\n\r\n"
    world[0].behave(raw_response=head + text, chunk_split=split)
    result = ask(world, world.fresh("single"))
    assert result.status == 400
    assert result.error["message"] == "in a word"


def test_a_request_that_one_model_rejects_goes_to_the_next(world):
    models = [world.fresh(), world.fresh("same")]
    world[0].behave(fail="422")
    result = ask(world, models)
    assert result.attempts == [("p0", "bad_request", 422), ("p1", "success", 200)]


def test_what_one_model_rejects_is_no_failure_of_the_next(world):
    world[0].behave(fail="422")
    world[1].behave(fail="401")
    result = ask(world, [world.fresh("single"), world.fresh("same")])
    assert result.attempts == [("p0", "bad_request", 422), ("p1", "credential", 401)]
    assert result.status == 502
    assert result.error["metadata"]["provider_code"] == "401"


def test_without_fallbacks_the_first_error_is_the_answer(world):
    world[0].behave(fail="500")
    rules = {"order": ["p0"], "allow_fallbacks": False}
    result = ask(world, world.fresh(), provider=rules)
    assert result.status == 503
    assert world.received() == [2, 0, 0]
    world.reset()
    world[1].behave(fail="404")
    result = ask(world, world.fresh(), provider={"order": ["p1"], "allow_fallbacks": False})
    assert result.status == 502
    assert world.received() == [0, 1, 0]


# --- connections that went stale -----------------------------------------------------------------


@BOTH
def test_a_connection_closed_while_idle_is_not_used(world, stream):
    model = world.fresh()
    for _ in range(3):
        world[0].close("idle")
        world[0].close("idle", "reset")
        assert ask(world, model, stream=stream).attempts == [("p0", "success", 200)]


@BOTH
def test_a_connection_closed_as_the_request_comes_is_retried_without_a_fault(world, stream):
    world[0].behave(requests_per_connection=1)
    model = world.fresh()
    before = world.worker.metric("switchboard_stale_retries_total")
    for _ in range(8):  # more than five faults would be
        assert ask(world, model, stream=stream).attempts == [("p0", "success", 200)]
    assert world.worker.metric("switchboard_stale_retries_total") > before
    assert world.received()[1:] == [0, 0]


def test_a_fresh_connection_that_closes_is_a_fault(world):
    world[0].close("all")
    world[0].behave(close_before_answer=True)
    assert ask(world, world.fresh()).attempts[0] == ("p0", "reset", 0)


def test_an_answer_that_announces_a_close_is_believed(world):
    world[0].behave(announce_close=True)
    model = world.fresh()
    before = world.worker.metric("switchboard_stale_retries_total")
    for _ in range(3):
        assert ask(world, model).attempts == [("p0", "success", 200)]
    assert world.worker.metric("switchboard_stale_retries_total") == before


@BOTH
def test_interim_answers_are_skipped(world, stream):
    world[0].behave(interim_100=True)
    result = ask(world, STEADY, stream=stream)
    assert result.status == 200
    assert result.attempts == [("p0", "success", 200)]


@BOTH
@pytest.mark.parametrize("wire", [{"chunk_split": 1}, {"frame_split": 1}, {"framing": "close"},
                                  {"chunk_split": 7, "frame_split": 5}, {"early_head": True}],
                         ids=str)
def test_an_answer_is_the_same_however_it_is_cut(world, wire, stream):
    world[0].behave(content="Grüße, 世界 🙂", **wire)
    result = ask(world, STEADY, stream=stream)
    assert result.text == "Grüße, 世界 🙂"
    assert result.body["usage"]["completion_tokens"] > 0
    if stream:
        assert result.is_done


def test_a_request_id_is_kept_whole_or_refused(world):
    longest = "r" * 256
    result = ask(world, world.fresh(), headers={"X-Request-Id": longest})
    assert result.status == 200 and result.headers["X-Request-Id"] == longest
    (row,) = wait_until(lambda: world.control.get("audit/requests", params={
        "generation_id": result.headers["X-Generation-Id"]})["data"], "the record is stored")
    assert row["request_id"] == longest
    for path in [CHAT, "/v1/models"]:
        answer = world.worker.session.request(
            "POST" if path == CHAT else "GET", path, json=chat(STEADY),
            headers={"X-Request-Id": longest + "r"})
        error = refusal(answer, 400, "invalid_request")
        assert error["message"] == "x-request-id has 257 bytes; the limit is 256"
        assert "X-Request-Id" not in answer.headers


@pytest.mark.parametrize("name, most", [("x-session-id", 256), ("x-anthropic-beta", 1024)])
def test_a_field_that_is_too_long_is_refused_by_its_name(world, name, most):
    assert ask(world, STEADY, order=None, headers={name: "v" * most}).status == 200
    error = refusal(world.worker.chat(chat(STEADY), headers={name: "v" * (most + 1)}), 400)
    assert error["message"] == f"{name} has {most + 1} bytes; the limit is {most}"
