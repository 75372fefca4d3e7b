"""Providers by hand: what a simulated one does not do, byte by byte.

The first endpoint of a model of kind "odd" is the test itself: world.odd accepts the gateway's
connections.
"""
import json
import re
from multiprocessing.pool import ThreadPool

import pytest

from asking import CHAT, HI, ask, chat, refusal
from catalog import STEADY
from gateway import KEYS
from program import wait_until
from wire import Wire, chunks_of, events, text_of

ANSWER = {"id": "x", "object": "chat.completion", "created": 1, "model": "m",
          "choices": [{"index": 0, "message": {"role": "assistant", "content": "said by odd"},
                       "finish_reason": "stop"}],
          "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}


def whole(body=None, *fields, status="200 OK", version="1.1"):
    text = body if isinstance(body, bytes) else json.dumps(body or ANSWER).encode()
    lines = [f"HTTP/{version} {status}", "Content-Type: application/json", *fields,
             f"Content-Length: {len(text)}", "", ""]
    return "\r\n".join(lines).encode() + text


def stream(events_, *fields):
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream; charset=utf-8", *fields, "", ""]
    return "\r\n".join(lines).encode() + events_


def begin(world, wire, model=None, worker=None, **more):
    """Sends a request that comes to us; gives the provider's side of it, its request read."""
    wire.post(CHAT, chat(model or world.fresh("odd"), ["odd"], **more),
              (worker or world.worker).auth, "X-Switchboard-Metadata: enabled")
    provider = world.odd.accept()
    provider.request()
    return provider


def outcomes(answer, streamed=False):
    body = chunks_of(answer.body)[-1] if streamed else answer.json()
    return [(one["endpoint"], one["outcome"]) for one in body["switchboard_metadata"]["attempts"]]


# --- connections that are used again -------------------------------------------------------------


def test_a_connection_is_used_again(world):
    model = world.fresh("odd")
    with world.worker.wire() as wire, begin(world, wire, model) as provider:
        provider.send(whole())
        assert wire.answer().json()["choices"][0]["message"]["content"] == "said by odd"
        wire.post(CHAT, chat(model, ["odd"]), world.worker.auth)
        provider.request()
        provider.send(whole())
        assert wire.answer().status == 200


@pytest.mark.parametrize("fields,version", [(["Connection: close"], "1.1"), ([], "1.0")])
def test_a_connection_that_is_to_close_is_not_used_again(world, fields, version):
    with world.worker.wire() as wire, begin(world, wire) as provider:
        provider.send(whole(None, *fields, version=version))
        assert wire.answer().status == 200
        assert provider.is_closed()


def test_bytes_behind_an_answer_reach_nobody(world):
    model = world.fresh("odd")
    evil = whole({**ANSWER, "choices": [{"index": 0, "message": {"content": "smuggled"}}]})
    with world.worker.wire() as wire:
        with begin(world, wire, model) as provider:
            provider.send(whole() + evil)
            assert b"said by odd" in wire.answer().body
            assert provider.is_closed()
        with begin(world, wire, model) as provider:  # another connection
            provider.send(whole())
            assert b"said by odd" in wire.answer().body
            provider.send(evil)  # between two requests
            assert provider.is_closed()
        with begin(world, wire, model) as provider:
            provider.send(whole())
            assert b"said by odd" in wire.answer().body


def test_bytes_behind_a_stream_reach_nobody(world):
    model = world.fresh("odd")
    events_ = b'data: {"choices":[{"index":0,"delta":{"content":"said by odd"},' \
              b'"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n' \
              b"data: [DONE]\n\n"
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(events_), events_)
    with world.worker.wire() as wire:
        with begin(world, wire, model, stream=True) as provider:
            provider.send(stream(framed, "Transfer-Encoding: chunked") + whole())
            assert text_of(wire.answer().body) == "said by odd"
            assert provider.is_closed()
        with begin(world, wire, model, stream=True) as provider:
            provider.send(stream(framed, "Transfer-Encoding: chunked"))
            assert text_of(wire.answer().body) == "said by odd"
            wire.post(CHAT, chat(model, ["odd"]), world.worker.auth)
            provider.request()  # the same connection
            provider.send(whole())
            assert wire.answer().status == 200


# --- heads and bodies ----------------------------------------------------------------------------


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 40_000,
    b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(120)) + b"\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
    b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
], ids=["long", "many fields", "many interim ones", "folded", "bare LF", "HTTP/2", "status"])
def test_a_head_that_is_none_is_left_to_the_next(world, head):
    with world.worker.wire() as wire, begin(world, wire) as provider:
        try:
            provider.send(head)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = wire.answer()
        assert answer.status == 200
        assert outcomes(answer) == [("odd", "bad_answer"), ("p1", "success")]


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-", whole()[:-30]],
                         ids=["no byte", "half a head", "most of the body"])
def test_a_whole_answer_that_does_not_come_whole_is_left_to_the_next(world, part):
    with world.worker.wire() as wire:
        with begin(world, wire, switchboard={"attempt_timeout_ms": 200}) as provider:
            provider.send(part)
            answer = wire.answer()
            assert answer.status == 200
            assert outcomes(answer) == [("odd", "attempt_timeout"), ("p1", "success")]
            assert provider.is_closed()


@pytest.mark.parametrize("drip", [b": still thinking\n\n", b"data: no JSON\n\n",
                                  b'data: {"choices":[{"index":0,"delta":{"content":""}}]}\n\n'],
                         ids=["comments", "garbage", "empty deltas"])
def test_nothing_but_content_keeps_the_first_token_limit_away(world, drip):
    with world.worker.wire() as wire:
        with begin(world, wire, stream=True,
                   switchboard={"first_token_timeout_ms": 300}) as provider:
            provider.send(stream(b""))
            try:
                while True:  # until we are left; others are served meanwhile
                    provider.send(drip)
                    assert world.worker.chat(chat(STEADY, None)).status_code == 200
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = wire.answer()
        assert outcomes(answer, True) == [("odd", "first_token_timeout"), ("p1", "success")]
        assert text_of(answer.body).startswith("p1 here")


def test_an_answer_that_comes_before_the_body_was_read_counts(world):
    text = "x" * 20_000_000  # more than the buffers of two sockets
    with world.worker.wire() as wire:
        wire.post(CHAT, chat(world.fresh("odd"), ["odd"], metadata={"pad": text}),
                  world.worker.auth, "X-Switchboard-Metadata: enabled")
        with world.odd.accept() as provider:
            provider.until(b"\r\n\r\n")
            provider.send(whole({"error": {"message": "far too much"}},
                                status="413 Content Too Large"))
            provider.socket.shutdown(1)
            answer = wire.answer()
        assert answer.status == 413
        assert answer.json()["error"]["message"] == "far too much"


def test_a_large_body_reaches_a_provider_with_a_small_window_whole(world):
    text = "x" * 20_000_000
    with world.worker.wire() as wire:
        wire.post(CHAT, chat(world.fresh("odd"), ["odd"], metadata={"pad": text}),
                  world.worker.auth)
        with world.odd.accept() as provider:
            _, body = provider.request()
            assert json.loads(body)["metadata"]["pad"] == text
            provider.send(whole())
            assert wire.answer().status == 200


def test_a_provider_may_answer_before_it_has_read_the_body(world):
    text = "x" * 20_000_000
    with world.worker.wire() as wire:
        wire.post(CHAT, chat(world.fresh("odd"), ["odd"], stream=True, metadata={"pad": text}),
                  world.worker.auth)
        with world.odd.accept() as provider:
            head = provider.until(b"\r\n\r\n")
            provider.send(stream(b"data: %b\n\n" % ONE))
            answer = wire.head()
            assert answer.status == 200 and b"one " in next(wire.chunks())
            length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
            assert json.loads(provider.take(length))["metadata"]["pad"] == text
            provider.send(b"data: %b\n\ndata: [DONE]\n\n" % TWO)
            provider.socket.shutdown(1)
            assert b"two" in b"".join(wire.chunks())


@pytest.mark.parametrize("pieces", [[1, 70_000, 300_000], [65_536, 65_536], [200_000, 1]])
def test_a_body_that_comes_in_pieces_arrives_whole(world, pieces):
    body = json.dumps(chat(world.fresh("odd"), ["odd"],
                           metadata={"pad": "y" * (sum(pieces) + 50_000)})).encode()
    with world.worker.wire() as wire:
        wire.send(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{world.worker.auth}\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n".encode())
        at = 0
        for piece in pieces:
            wire.send(body[at:at + piece])
            at += piece
        # the last piece brings the next request along
        wire.send(body[at:] + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        with world.odd.accept() as provider:
            _, got = provider.request()
            assert json.loads(got)["metadata"] == json.loads(body)["metadata"]
            provider.send(whole())
            assert wire.answer().status == 200
            assert wire.answer().status == 200


def test_a_client_that_leaves_while_its_body_goes_out_ends_that(world):
    with world.worker.wire() as wire:
        wire.post(CHAT, chat(world.fresh("odd"), ["odd"], metadata={"pad": "x" * 20_000_000}),
                  world.worker.auth)
        provider = world.odd.accept()
        provider.until(b"\r\n\r\n")
    with provider:
        assert len(provider.rest()) < 20_000_000


# --- streams in other shapes ---------------------------------------------------------------------

DELTA = b'{"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]}'
ONE, TWO = DELTA % (b"one ", b"null"), DELTA % (b"two", b'"stop"')
SHAPES = {
    "LF": b"data: %b\n\ndata: %b\n\ndata: [DONE]\n\n" % (ONE, TWO),
    "CRLF": b"data: %b\r\n\r\ndata: %b\r\n\r\ndata: [DONE]\r\n\r\n" % (ONE, TWO),
    "CR": b"data: %b\r\rdata: %b\r\rdata: [DONE]\r\r" % (ONE, TWO),
    "no space": b"data:%b\n\ndata:%b\n\ndata:[DONE]\n\n" % (ONE, TWO),
    "a byte order mark": b"\xef\xbb\xbfdata: %b\n\ndata: %b\n\ndata: [DONE]\n\n" % (ONE, TWO),
    "several lines": b"data: %b\ndata: %b\n\ndata: %b\n\ndata: [DONE]\n\n" % (
        ONE[:12], ONE[12:], TWO),
    "names and numbers": b"event: message\nid: 1\nretry: 9\ndata: %b\n\n"
                         b"event: message\nid: 2\ndata: %b\n\ndata: [DONE]\n\n" % (ONE, TWO),
    "comments": b": hi\n\ndata: %b\n\n:\n: hi\ndata: %b\n\n: bye\n\ndata: [DONE]\n\n" % (ONE, TWO),
    "many empty lines": b"\n\n\ndata: %b\n\n\n\n\ndata: %b\n\n\n\ndata: [DONE]\n\n\n" % (ONE, TWO),
    "no end of the last line": b"data: %b\n\ndata: %b\n\ndata: [DONE]" % (ONE, TWO),
    "no end of the last event": b"data: %b\n\ndata: %b\n" % (ONE, TWO),
    "errors that are none": b'data: {"error":null,%b\n\ndata: {"error":{},%b\n\n'
                            b"data: [DONE]\n\n" % (ONE[1:], TWO[1:]),
    "events that are none": b"data: {}\n\ndata: []\n\ndata: null\n\ndata: 7\n\ndata: %b\n\n"
                            b'data: {"choices":[]}\n\ndata: {"choices":null}\n\n'
                            b'data: {"choices":7,"usage":"no"}\n\ndata: %b\n\n'
                            b"data: [DONE]\n\n" % (ONE, TWO),
}


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", SHAPES)
def test_a_stream_is_understood_in_every_shape(world, name, size):
    events_ = SHAPES[name]
    with world.worker.wire() as wire, begin(world, wire, stream=True) as provider:
        provider.send(stream(b"", f"Content-Length: {len(events_)}"))
        for at in range(0, len(events_), size):
            provider.send(events_[at:at + size])
        answer = wire.answer()
        assert text_of(answer.body) == "one two"
        assert events(answer.body)[-1] == "[DONE]"
        assert outcomes(answer, True) == [("odd", "success")]
        for chunk in chunks_of(answer.body):
            assert chunk["object"] == "chat.completion.chunk"
            assert chunk["choices"][0]["index"] == 0
        assert answer.body.endswith(b"\n\n")
        assert b"\r" not in answer.body


@pytest.mark.parametrize("error,outcome", [
    (b'{"error":{"code":429,"message":"slow down"}}', "rate_limited"),
    (b'{"error":{"code":"overloaded","message":"busy"}}', "bad_answer"),
    (b'{"error":"busy"}', "bad_answer"),
    (b'{"error":{"message":"busy"},"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}',
     "bad_answer"),
])
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_with_a_good_status_are_errors(world, error, outcome, streamed):
    with world.worker.wire() as wire, begin(world, wire, stream=streamed) as provider:
        if streamed:
            provider.send(stream(b"data: %b\n\n" % error))
        else:
            provider.send(whole(error))
        provider.close()
        answer = wire.answer()
        assert answer.status == 200
        assert outcomes(answer, streamed) == [("odd", outcome), ("p1", "success")]


def test_a_finish_reason_of_each_choice_is_waited_for(world):
    first = b'{"choices":[{"index":%d,"delta":{"content":"a"},"finish_reason":"stop"}]}'
    with world.worker.wire() as wire, begin(world, wire, stream=True, n=2) as provider:
        provider.send(stream(b"data: %b\n\n" % (first % 0)))
        got = wire.head().headers  # the first choice is on its way
        provider.send(b"data: %b\n\ndata: [DONE]\n\n" % (first % 1))
        body = b"".join(wire.chunks())
        assert got["x-switchboard-endpoint"] == "odd"
        assert events(body)[-1] == "[DONE]"
        finished = [choice["index"] for chunk in chunks_of(body) for choice in chunk["choices"]
                    if choice["finish_reason"] == "stop"]
        assert finished == [0, 1]


def test_numbers_and_texts_pass_untouched(world):
    body = json.dumps(ANSWER)[:-1].encode() + \
        b',"big":12345678901234567890123,"small":1e-400,"text":"\\u00e9\\ud83d\\ude00\xc3\xa9"}'
    with world.worker.wire() as wire, begin(world, wire) as provider:
        provider.send(whole(body))
        answer = wire.answer().body
        assert b'"big":12345678901234567890123,"small":1e-400' in answer
        assert b'"text":"\\u00e9\\ud83d\\ude00\xc3\xa9"' in answer


# --- connecting ----------------------------------------------------------------------------------


def test_a_provider_that_never_answers_a_handshake_is_left(world):
    with world.another("--connect-timeout", "150ms") as worker:
        result = ask(world, world.fresh("mute"), ["mute"], worker=worker)
    assert result.attempts == [("mute", "connect_timeout", 0), ("p1", "success", 200)]


def test_a_provider_is_asked_no_more_than_it_allows(world):
    model, only = world.fresh("narrow"), world.fresh("narrow_only")
    world[2].behave(hold_after=0)
    with world.another("--connect-timeout", "30s") as worker, \
            worker.wire() as first, worker.wire() as second:
        first.post(CHAT, chat(model, ["narrow"]), worker.auth)
        world[2].wait(held=1)
        second.post(CHAT, chat(model, ["narrow"]), worker.auth)  # waits for its only connection
        wait_until(lambda: worker.metric("switchboard_pool_waiting") == 1, "it waits")
        result = ask(world, model, ["narrow"], worker=worker)  # no room: the next endpoint
        assert result.attempts == [("narrow", "overloaded", 0), ("p1", "success", 200)]
        result = ask(world, only, worker=worker)  # nor is there another one
        assert result.status == 503 and int(result.headers["Retry-After"]) > 0
        assert {outcome for _, outcome, _ in result.attempts} == {"overloaded"}
        assert "max_in_flight" in result.error["message"]
        assert result.error["availability"]["code"] == "capacity_exhausted"
        world[2].behave(hold_after=None)
        world[2].release()
        for wire in (first, second):
            assert wire.answer().headers["x-switchboard-endpoint"] == "narrow"
    assert {request["connection"] for request in world.received(2)} == \
        {world.received(2)[0]["connection"]}


def test_waiting_for_a_connection_of_ours_is_no_fault_of_the_provider(world):
    model = world.fresh("tight")
    world[2].behave(hold_after=0)
    with world.another("--connect-timeout", "500ms") as worker, \
            worker.wire() as first, worker.wire() as patient:
        first.post(CHAT, chat(model, ["tight"]), worker.auth)
        world[2].wait(held=1)
        # Without another candidate it waits on, also when others have given up.
        patient.post(CHAT, chat(world.fresh("tight_only"), None), worker.auth)
        with ThreadPool(8) as pool:  # more than it takes to open a breaker
            results = pool.map(lambda n: ask(world, model, ["tight"], worker=worker), range(8))
        for result in results:
            assert result.attempts == [("tight", "overloaded", 0), ("p1", "success", 200)]
        assert worker.metric("switchboard_breakers_open") == 0
        worker.log.wait(r'"no connection" .*endpoint=tight outcome=overloaded .*max_connections')
        world[2].behave(hold_after=None)
        world[2].release()
        assert first.answer().status == 200
        assert patient.answer().headers["x-switchboard-endpoint"] == "tight"
        assert ask(world, model, ["tight"], worker=worker).attempts == [("tight", "success", 200)]
    generation = results[0].headers["X-Generation-Id"]
    (row,) = wait_until(lambda: world.control.get(
        "audit/requests", params={"generation_id": generation})["data"], "the record is stored")
    assert [(one["tag"], one["outcome"]) for one in row["attempts"]] == [
        ("tight", "overloaded"), ("p1", "success")]


# --- keys with a policy --------------------------------------------------------------------------


def test_a_policy_limits_what_a_key_may_use(world):
    limited = {"Authorization": f"Bearer {KEYS['limited']}"}
    answer = world.worker.chat(chat(world.fresh("single")), headers=limited)
    refusal(answer, 403, "permission_denied")
    model = world.fresh("limited")
    result = ask(world, model, ["p2", "p1"], headers=limited)  # only p0 keeps nothing
    assert result.attempts == [("p0", "success", 200)]
    body = {"model": model, "messages": HI, "provider": {"only": ["p1"]}}
    error = refusal(world.worker.chat(body, headers=limited), 404)
    assert "zdr" in json.dumps(error)
    ids = [one["id"] for one in world.worker.get("/v1/models", headers=limited).json()["data"]]
    assert STEADY in ids and model in ids
    assert all(one.split("/")[0] in ("steady", "limited") for one in ids)
    refusal(world.worker.get("/v1/models/test/embed", headers=limited), 404)


def test_an_expired_key_is_401(world):
    with Wire(world.worker.port) as wire:
        wire.post(CHAT, chat(STEADY), f"Authorization: Bearer {KEYS['expired']}")
        answer = wire.answer()
    assert answer.status == 401
    assert "expired" in answer.json()["error"]["message"]
