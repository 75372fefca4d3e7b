"""Where a request ends: malformed HTTP, smuggling, limits.  Bytes by hand, over real sockets.

What is refused is answered with the status that fits, the connection is closed, and nothing of it,
nor of what follows it, reaches a provider.
"""
import json

import pytest

from catalog import STEADY
from wire import Closed, events, post

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]


def head(world, *lines, body=b""):
    """A POST with a key, these fields, and this body."""
    lines = [f"POST {CHAT} HTTP/1.1", "Host: gateway", world.worker.auth, *lines, "", ""]
    text = "\r\n".join(lines)
    return text.encode("latin-1") + body


def good(world, text="good"):
    body = {"model": STEADY, "messages": [{"role": "user", "content": text}]}
    return post(CHAT, body, world.worker.auth)


def payload(**more):
    return json.dumps({"model": STEADY, "messages": HI, **more}).encode()


def seen(world):
    """What the providers were asked, after a request that surely came last."""
    with world.worker.wire() as wire:
        wire.send(good(world, "the last one"))
        assert wire.answer().status == 200
    texts = [json.loads(request["body"])["messages"][0]["content"]
             for sim in world.sims for request in sim.requests()]
    assert texts.pop() == "the last one"
    return texts


def refused(world, data, status, worker=None):
    """Sends bytes and a good request behind them; expects the refusal, the end, and no more."""
    with (worker or world.worker).wire() as wire:
        try:
            wire.send(data + good(world, "smuggled"))
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all was sent
        answer = wire.answer()
        assert answer.status == status, answer.head + answer.body
        assert answer.headers["connection"] == "close"
        assert answer.headers["content-type"] == "application/json"
        assert answer.whole
        error = answer.json()["error"]
        assert error["code"] == status
        assert error["message"]
        assert error["metadata"]["error_type"]
        assert wire.is_closed(), wire.got
    assert seen(world) == []
    return error


# --- what is no HTTP, or two things at once ------------------------------------------------------

# name: status, fields, body
LENGTHS = {
    "length and chunked": (400, ["Content-Length: 5", "Transfer-Encoding: chunked"],
                           b"0\r\n\r\n"),
    "chunked and length": (400, ["Transfer-Encoding: chunked", "Content-Length: 5"],
                           b"0\r\n\r\n"),
    "two lengths": (400, ["Content-Length: 5", "Content-Length: 0"], b"{}   "),
    "two equal lengths": (400, ["Content-Length: 5", "Content-Length: 5"], b"{}   "),
    "a list of lengths": (400, ["Content-Length: 5, 5"], b"{}   "),
    "a length with a sign": (400, ["Content-Length: +5"], b"{}   "),
    "a negative length": (400, ["Content-Length: -5"], b"{}   "),
    "a hexadecimal length": (400, ["Content-Length: 0x5"], b"{}   "),
    "a length of two numbers": (400, ["Content-Length: 5 5"], b"{}   "),
    "no digits": (400, ["Content-Length:"], b"{}   "),
    "a length beyond 64 bits": (400, ["Content-Length: 18446744073709551617"], b"{"),
    "chunked twice": (501, ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
                      b"0\r\n\r\n"),
    "a coding around chunked": (501, ["Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n"),
    "chunked inside": (501, ["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n"),
    "a coding that is none": (501, ["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    "identity": (501, ["Transfer-Encoding: identity"], b"{}"),
    "a hidden chunked": (400, ["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
    "a quoted chunked": (501, ['Transfer-Encoding: "chunked"'], b"0\r\n\r\n"),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_contradictory_lengths_are_refused(world, name):
    status, fields, body = LENGTHS[name]
    refused(world, head(world, *fields, body=body), status)


CHUNKS = {
    "a size that is no number": b"x\r\n{}\r\n0\r\n\r\n",
    "a negative size": b"-2\r\n{}\r\n0\r\n\r\n",
    "a size with a prefix": b"0x2\r\n{}\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "no size": b"\r\n{}\r\n0\r\n\r\n",
    "a size ended by LF": b"2\n{}\r\n0\r\n\r\n",
    "a size ended by CR": b"2\r{}\r\n0\r\n\r\n",
    "a space before the size": b" 2\r\n{}\r\n0\r\n\r\n",
    "a space after the size": b"2 \r\n{}\r\n0\r\n\r\n",
    "more bytes than its size": b"1\r\n{}\r\n0\r\n\r\n",
    "no end after its bytes": b"2\r\n{}0\r\n\r\n",
    "LF after its bytes": b"2\r\n{}\n0\r\n\r\n",
    "an extension with CR": b"2;a\rb\r\n{}\r\n0\r\n\r\n",
    "an extension with LF": b"2;a\nb\r\n{}\r\n0\r\n\r\n",
    "a trailer that is none": b"2\r\n{}\r\n0\r\nno colon\r\n\r\n",
    "a trailer with a space": b"2\r\n{}\r\n0\r\na : b\r\n\r\n",
    "a folded trailer": b"2\r\n{}\r\n0\r\na: b\r\n c\r\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_malformed_chunks_are_refused(world, name):
    refused(world, head(world, "Transfer-Encoding: chunked", body=CHUNKS[name]), 400)


FIELDS = {
    "a folded line": (400, "X-Odd: one\r\n two"),
    "a line folded by a tab": (400, "X-Odd: one\r\n\ttwo"),
    "a fold before all fields": (400, " X-Odd: one"),
    "a bare LF at a line's end": (400, "X-Odd: one\nX-Other: two"),
    "a bare CR inside a value": (400, "X-Odd: one\rX-Other: two"),
    "a CR at the end of a value": (400, "X-Odd: one\r\r\nX-Other: two"),
    "a NUL": (400, "X-Odd: one\0two"),
    "a control character": (400, "X-Odd: one\x01two"),
    "a space before the colon": (400, "X-Odd : one"),
    "no colon": (400, "X-Odd one"),
    "no name": (400, ": one"),
    "a space in the name": (400, "X Odd: one"),
    "a second host": (400, "Host: other"),
    "an expectation we do not know": (417, "Expect: 200-ok"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_malformed_fields_are_refused(world, name):
    status, field = FIELDS[name]
    body = payload()
    refused(world, head(world, field, f"Content-Length: {len(body)}", body=body), status)


LINES = {
    "a word": (501, b"hello\r\n\r\n"),
    "HTTP/0.9": (505, b"GET /healthz\r\n\r\n"),
    "two spaces": (400, b"GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a space in the target": (400, b"GET /health z HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a fragment": (400, b"GET /healthz#a HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a control character in the target": (400, b"GET /health\x01z HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a relative target": (400, b"GET healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
    "no host": (400, b"GET /healthz HTTP/1.1\r\n\r\n"),
    "two hosts in one": (400, b"GET /healthz HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "a line ended by LF": (400, b"GET /healthz HTTP/1.1\nHost: a\n\n"),
    "a method of the future": (501, b"BREW /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a method in small letters": (501, b"get /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a tunnel": (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/1.2": (505, b"GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n"),
    "a longer version": (400, b"GET /healthz HTTP/1.10\r\nHost: a\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "chunked in HTTP/1.0": (400, b"POST /v1/chat/completions HTTP/1.0\r\n"
                                 b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", LINES)
def test_malformed_request_lines_are_refused(world, name):
    status, data = LINES[name]
    refused(world, data, status)


def test_a_refusal_is_the_same_in_single_bytes(world):
    with world.worker.wire() as wire:
        for byte in head(world, "X-Odd: one\r\n two", "Content-Length: 2"):
            try:
                wire.send(bytes([byte]))
            except (BrokenPipeError, ConnectionResetError):
                break
        assert wire.answer().status == 400


def test_bytes_behind_a_refused_request_do_not_take_the_answer_away(world):
    # so much that the client is still sending when it is refused
    with world.worker.wire() as wire:
        wire.send(b"GET  / HTTP/1.1\r\n\r\n" + b"x" * 500_000)
        assert wire.answer().status == 400
        assert wire.is_closed()


# --- limits --------------------------------------------------------------------------------------


def test_a_head_over_its_limit_is_431(world):
    refused(world, head(world, "X-Long: " + "a" * 33_000, "Content-Length: 0"), 431)


def test_a_head_that_never_ends_is_431(world):
    with world.worker.wire() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ")
        for _ in range(40):
            wire.send(b"a" * 1024)
        assert wire.answer().status == 431
        assert wire.is_closed()


def test_a_hundred_fields_are_taken_and_no_more(world):
    fields = [f"X-{i}: {i}" for i in range(97)]  # with Host, the key and the length: 100
    body = payload()
    with world.worker.wire() as wire:
        wire.post(CHAT, body, world.worker.auth, *fields)
        assert wire.answer().status == 200
    world.reset()
    refused(world, post(CHAT, body, world.worker.auth, *fields, "X-98: 98"), 431)


def test_a_target_over_its_limit_is_414(world):
    refused(world, f"GET /{'a' * 8192} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 414)
    with world.worker.wire() as wire:
        wire.send(f"GET /{'a' * 8191} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert wire.answer().status == 404


def test_a_body_over_its_limit_is_413_before_it_comes(world):
    with world.worker.wire() as wire:
        wire.send(head(world, f"Content-Length: {(32 << 20) + 1}"))
        answer = wire.answer()
        assert answer.status == 413
        assert str(32 << 20) in answer.json()["error"]["message"]
        assert wire.is_closed()
    assert seen(world) == []


def test_a_client_that_sends_too_much_and_then_reads_gets_its_413(world):
    body = b'{"pad":"' + b"x" * (33 << 20) + b'"}'
    answer = world.worker.chat(body)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == 413


def test_a_chunked_body_over_its_limit_is_413(world):
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    with world.worker.wire() as wire:
        wire.send(head(world, "Transfer-Encoding: chunked"))
        try:
            for _ in range(33):
                wire.send(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert wire.answer().status == 413
    assert seen(world) == []


def test_an_encoded_body_is_415(world):
    with world.worker.wire() as wire:
        wire.send(head(world, "Content-Encoding: gzip", "Content-Length: 5", body=b"12345"))
        answer = wire.answer()
        assert answer.status == 415
        assert "encoded" in answer.json()["error"]["message"]


@pytest.fixture(scope="module", name="tight")
def fixture_tight(shared_world):
    """A worker that is soon full and has little patience."""
    with shared_world.another("--head-timeout", "300ms", "--body-timeout", "300ms",
                "--idle-timeout", "300ms", "--max-connections", "4", "--body-limit", "1MiB",
                "--body-memory", "1MiB", "--head-limit", "2KiB", "--target-limit", "100",
                "--json-depth", "8") as worker:
        yield worker


def test_a_head_that_is_slow_is_408(world, tight):
    with tight.wire() as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHo")
        answer = wire.answer()
        assert answer.status == 408
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()


def test_a_head_that_trickles_gets_no_more_time(world, tight):
    with tight.wire() as wire:
        with pytest.raises((Closed, OSError)):
            wire.send(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
            wire.socket.settimeout(0.02)
            for _ in range(1500):  # 30 s at most; each byte in time for a limit per read
                wire.send(b"a")
                try:
                    wire.got += wire.socket.recv(65536) or pytest.fail("closed without an answer")
                except TimeoutError:
                    continue
                if b"\r\n\r\n" in wire.got:
                    raise Closed
        assert b" 408 " in wire.got


def test_a_body_that_is_slow_is_408(world, tight):
    with tight.wire() as wire:
        wire.send(head(world, "Content-Length: 100", body=b'{"model"'))
        answer = wire.answer()
        assert answer.status == 408
        assert answer.json()["error"]["metadata"]["error_type"] == "timeout"
        assert wire.is_closed()


def test_a_silent_connection_is_closed_without_a_word(world, tight):
    with tight.wire() as wire:
        assert wire.is_closed()
    with tight.wire() as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.answer().status == 200
        assert wire.is_closed()  # idle


def test_connections_over_the_limit_are_503(world, tight):
    wires = [tight.wire() for _ in range(4)]
    try:
        for wire in wires:  # all are accepted
            wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert wire.answer().status == 200
        for wire in wires:  # and busy: no deadline closes them
            wire.post(CHAT, {"model": STEADY, "messages": HI}, tight.auth)
        with tight.wire() as wire:
            answer = wire.answer()
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"]["code"] == 503
            assert wire.is_closed()
        for wire in wires:
            assert wire.answer().status == 200
    finally:
        for wire in wires:
            wire.close()


def test_bodies_over_their_memory_are_503_and_it_is_given_back(world, tight):
    for sim in world.sims:
        sim.behave(hold_after=0)
    padding = " " * 700_000
    body = {"model": STEADY, "messages": HI}
    with tight.wire() as first, tight.wire() as second:
        first.post(CHAT, json.dumps(body).encode() + padding.encode(), tight.auth)
        world[0].wait(held=1)  # its body is kept until there is content
        second.post(CHAT, json.dumps(body).encode() + padding.encode(), tight.auth)
        answer = second.answer()
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        world[0].behave(hold_after=None)
        world[0].release()
        assert first.answer().status == 200
    with tight.wire() as third:
        third.post(CHAT, json.dumps(body).encode() + padding.encode(), tight.auth)
        assert third.answer().status == 200
    assert tight.metric("switchboard_body_bytes") == 0


def test_limits_are_settings(world, tight):
    with tight.wire() as wire:
        wire.send(f"GET /{'a' * 100} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert wire.answer().status == 414
    with tight.wire() as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: a\r\nX-Long: {'a' * 2048}\r\n\r\n".encode())
        assert wire.answer().status == 431
    with tight.wire() as wire:
        wire.send(head(world, f"Content-Length: {(1 << 20) + 1}"))
        assert wire.answer().status == 413
    deep = b'{"model":"m","messages":' + b"[" * 8 + b"]" * 8 + b"}"
    with tight.wire() as wire:
        wire.post(CHAT, deep, tight.auth)
        answer = wire.answer()
        assert answer.status == 400
        assert "nested too deep" in answer.json()["error"]["message"]


# --- connections ---------------------------------------------------------------------------------


def test_a_connection_serves_many_requests(world):
    with world.worker.wire() as wire:
        for i in range(20):
            wire.send(good(world, f"number {i}"))
            answer = wire.answer()
            assert answer.status == 200
            assert "connection" not in answer.headers
            wire.send(b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n")
            assert wire.answer().status == 404
    assert len(world.received(0)) == 20


def test_pipelined_requests_are_answered_in_order(world):
    world[0].script({"content": "one"}, {"content": "two", "first_token_ms": 50},
                    {"content": "three"}, {"content": "four"})
    chat = {"model": STEADY, "messages": HI}
    with world.worker.wire() as wire:
        wire.send(post(CHAT, chat, world.worker.auth) +
                  post(CHAT, {**chat, "stream": True}, world.worker.auth) +
                  b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" +
                  b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n" +
                  post(CHAT, b"{", world.worker.auth) +
                  post(CHAT, chat, world.worker.auth) +
                  post(CHAT, chat, world.worker.auth, "Connection: close"))
        assert wire.answer().json()["choices"][0]["message"]["content"] == "one"
        stream = wire.answer()
        assert events(stream.body)[-1] == "[DONE]"
        assert b"two" in stream.body
        assert wire.answer().body == b"ok\n"
        assert wire.answer(has_body=False).headers["content-length"] == "3"
        assert wire.answer().status == 400
        assert wire.answer().json()["choices"][0]["message"]["content"] == "three"
        last = wire.answer()
        assert last.json()["choices"][0]["message"]["content"] == "four"
        assert last.headers["connection"] == "close"
        assert wire.is_closed()


def test_many_more_pipelined_requests_than_are_kept_ahead_are_answered(world):
    world[0].behave(hold_after=0)
    chat = {"model": STEADY, "messages": HI, "metadata": {"pad": "x" * 2000}}
    with world.worker.wire() as wire:
        wire.send(post(CHAT, chat, world.worker.auth) * 40)  # 80 KiB; 32 are kept
        world[0].wait(held=1)
        world[0].behave(hold_after=None)
        world[0].release()
        for _ in range(40):
            assert wire.answer().status == 200
    assert len(world.received(0)) == 40


def test_a_client_that_pipelines_too_much_and_leaves_is_noticed(world):
    world[0].behave(hold_after=0)
    chat = {"model": STEADY, "messages": HI, "metadata": {"pad": "x" * 2000}}
    with world.worker.wire() as wire:
        wire.send(post(CHAT, chat, world.worker.auth) * 40)
        world[0].wait(held=1)
    world[0].wait(aborted=1, open_requests="0-0")
    assert len(world.received(0)) == 1


def test_a_request_in_single_bytes_is_answered(world):
    with world.worker.wire() as wire:
        for byte in good(world):
            wire.send(bytes([byte]))
        assert wire.answer().status == 200


def test_empty_lines_before_a_request_are_skipped(world):
    with world.worker.wire() as wire:
        wire.send(b"\r\n" + good(world))
        assert wire.answer().status == 200
        wire.send(b"\r\n" + good(world))
        assert wire.answer().status == 200


def test_http_1_0_gets_a_length_or_the_end(world):
    chat = {"model": STEADY, "messages": HI}
    with world.worker.wire() as wire:
        wire.post(CHAT, chat, world.worker.auth, version="1.0")
        answer = wire.answer()
        assert answer.status == 200 and answer.whole
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()
    with world.worker.wire() as wire:
        wire.post(CHAT, {**chat, "stream": True}, world.worker.auth, "Connection: keep-alive",
                  version="1.0")
        answer = wire.answer()
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"
        assert events(answer.body)[-1] == "[DONE]"


def test_http_1_0_may_keep_its_connection(world):
    chat = {"model": STEADY, "messages": HI}
    with world.worker.wire() as wire:
        for _ in range(2):
            wire.post(CHAT, chat, world.worker.auth, "Connection: keep-alive", version="1.0")
            answer = wire.answer()
            assert answer.status == 200
            # that version's clients take silence for a close
            assert answer.headers["connection"].lower() == "keep-alive"


def test_connection_close_is_honoured(world):
    with world.worker.wire() as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert wire.answer().headers["connection"] == "close"
        assert wire.is_closed()


def test_a_body_that_is_expected_is_asked_for(world):
    body = payload()
    with world.worker.wire() as wire:
        wire.send(head(world, "Expect: 100-continue", f"Content-Length: {len(body)}"))
        assert wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(body)
        assert wire.answer().status == 200


def test_a_body_that_is_not_wanted_is_not_asked_for(world):
    with world.worker.wire() as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                  b"Content-Length: 100\r\n\r\n")
        assert wire.answer().status == 401  # at once, and instead of 100
        assert wire.is_closed()


def test_a_chunked_body_is_taken_together(world):
    body = payload()
    chunks = b"".join(b"%x;ext=1\r\n%c\r\n" % (1, byte) for byte in body)
    with world.worker.wire() as wire:
        wire.send(head(world, "Transfer-Encoding: chunked",
                       body=chunks + b"0\r\nX-Trailer: one\r\n\r\n") + good(world))
        assert wire.answer().status == 200
        assert wire.answer().status == 200
    first = world.received(0)[0]
    assert "transfer-encoding" not in first["headers"]
    assert json.loads(first["body"])["messages"] == HI
    assert "x-trailer" not in first["headers"]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_of_20_megabytes_arrives_whole(world, framing):
    text = "Größe " * (20 * 1024 * 1024 // 8)
    chat = {"model": STEADY, "messages": HI, "metadata": {"pad": text}}
    body = json.dumps(chat, ensure_ascii=False).encode()
    with world.worker.wire() as wire:
        if framing == "length":
            wire.post(CHAT, body, world.worker.auth)
        else:
            wire.send(head(world, "Transfer-Encoding: chunked"))
            for at in range(0, len(body), 300_000):
                part = body[at:at + 300_000]
                wire.send(b"%x\r\n%b\r\n" % (len(part), part))
            wire.send(b"0\r\n\r\n")
        assert wire.answer().status == 200
    (request,) = world.received(0)
    assert request["body_bytes"] == len(body) - len(STEADY) + len("upstream-p0")
    assert world.worker.metric("switchboard_body_bytes") == 0


def test_head_has_the_head_of_get_and_no_body(world):
    for path in ["/healthz", "/readyz", "/v1/models", "/v1/models/count", "/v1/providers",
                 "/v1/nothing"]:
        with world.worker.wire() as wire:
            get, head_ = [f"{method} {path} HTTP/1.1\r\nHost: a\r\n{world.worker.auth}\r\n\r\n"
                          for method in ("GET", "HEAD")]
            wire.send(get.encode())
            full = wire.answer()
            wire.send(head_.encode() + get.encode())
            bare = wire.answer(has_body=False)
            assert bare.status == full.status
            assert abs(int(bare.headers["content-length"]) - len(full.body)) < 3, path  # an age
            assert wire.answer().status == full.status  # and the framing holds


@pytest.mark.parametrize("method,path,status", [
    ("GET", "/", 404), ("GET", "/v1", 404), ("POST", "/v1/nothing", 404),
    ("GET", "//v1/models", 404), ("GET", "/v1/models/", 404), ("GET", "/api/v2/models", 404), ("GET", "/metrics", 404),
    ("GET", "/admin/v1/keys", 404), ("OPTIONS", "*", 404), ("GET", "/v1/../healthz", 404),
    ("GET", CHAT, 405), ("DELETE", "/v1/models", 405), ("POST", "/healthz", 405),
    ("PUT", CHAT, 405), ("PATCH", "/v1/key", 405),
])
def test_other_paths_and_methods_are_404_and_405(world, method, path, status):
    with world.worker.wire() as wire:
        wire.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{world.worker.auth}\r\n"
                  "Content-Length: 2\r\n\r\n{}".encode())
        answer = wire.answer()
        assert answer.status == status
        assert answer.json()["error"]["code"] == status
        if status == 405:
            assert set(answer.headers["allow"].split(", ")) in ({"POST"}, {"GET", "HEAD"})
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.answer().status == 200  # the framing was never in doubt


@pytest.mark.parametrize("target", [
    "/api/v1/chat/completions", "http://gateway/v1/chat/completions",
    "/v1/chat/completions?api-version=1", "/api/v1/chat/completions?a=b&c"])
def test_openrouters_prefix_absolute_targets_and_queries_are_served(world, target):
    with world.worker.wire() as wire:
        wire.post(target, {"model": STEADY, "messages": HI}, world.worker.auth)
        assert wire.answer().status == 200
    assert world.received(0)[0]["target"] == "/v1/chat/completions"


# --- browsers --------------------------------------------------------------------------------------


def test_a_page_may_ask_when_its_origin_may(world):
    preflight = (f"OPTIONS {CHAT} HTTP/1.1\r\nHost: a\r\nOrigin: https://page.example\r\n"
                 "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "
                 "authorization,content-type,x-stainless-lang\r\n\r\n").encode()
    with world.another("--cors-origin", "https://page.example") as worker, worker.wire() as wire:
        wire.send(preflight)
        answer = wire.answer()
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "https://page.example"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == \
            "authorization,content-type,x-stainless-lang"
        for stream in [False, True]:
            wire.post(CHAT, {"model": STEADY, "messages": HI, "stream": stream}, worker.auth)
            answer = wire.answer()
            assert answer.status == 200
            assert answer.headers["access-control-allow-origin"] == "https://page.example"
            assert "X-Generation-Id" in answer.headers["access-control-expose-headers"]
        wire.post(CHAT, b"{", worker.auth)  # errors too, or the page learns nothing of them
        assert "access-control-allow-origin" in wire.answer().headers
        wire.send(preflight.replace(CHAT.encode(), b"/v1/nothing"))
        assert wire.answer().status == 404
    with world.worker.wire() as wire:  # off without the setting
        wire.send(preflight)
        answer = wire.answer()
        assert answer.status == 405
        assert "access-control-allow-origin" not in answer.headers
