"""Streams: what reaches the client when, what happens when either side stops, leaves or breaks."""
import json

import pytest

from asking import CHAT, ask, chat
from catalog import STEADY
from wire import chunks_of, events, text_of

MIB = 1 << 20


def stream(wire, worker, model, order=("p0", "p1", "p2"), **more):
    """Begins a stream; gives the head of its answer."""
    wire.post(CHAT, chat(model, order, stream=True, **more), worker.auth,
              "X-Switchboard-Metadata: enabled")
    return wire.head()


def rest_of(wire):
    """The rest of a chunked stream, whose framing ended well."""
    return b"".join(wire.chunks())


def generation(world, head):
    """What is on record of an answer."""
    answer = world.worker.get("/v1/generation", params={"id": head.headers["x-generation-id"]})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def serves(wire):
    """The connection is good for another request."""
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    return wire.answer().status == 200


# --- before the first content --------------------------------------------------------------------


def test_content_reaches_the_client_as_it_comes(world):
    world[0].behave(content="one two three four", hold_after=2)
    with world.worker.wire() as wire:
        stream(wire, world.worker, STEADY)
        first = wire.chunk()
        while b'"content":"one' not in first:
            first += wire.chunk()
        assert world[0].counters()["held"] == 1  # the rest is not even said yet
        world[0].release()
        assert text_of(first + rest_of(wire)) == "one two three four"


def test_nothing_is_sent_before_the_first_content(world):
    world[0].behave(hold_after=1, role_only_first=True, sse_comments=3)
    with world.worker.wire() as wire:
        wire.post(CHAT, chat(STEADY, stream=True), world.worker.auth)
        world[0].wait(held=1)
        # another request goes all the way meanwhile: the loop had every chance to write
        assert world.worker.chat(chat(world.fresh("large"), ["p1"])).status_code == 200
        wire.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            wire.socket.recv(1)
        wire.socket.settimeout(30)
        world[0].release()
        answer = wire.answer()
        assert events(answer.body)[-1] == "[DONE]"
        assert b": " not in answer.body.split(b"\n\n")[0][:2]  # the provider's comments stay here


@pytest.mark.parametrize("first", [
    {"reasoning": 2}, {"refusal": True}, {"finish_reason": "length", "tokens": 0}], ids=str)
def test_reasoning_refusal_and_a_finish_are_content_too(world, first):
    world[0].behave(**first)
    result = ask(world, world.fresh(), stream=True)
    assert result.attempts == [("p0", "success", 200)]
    assert result.is_done


@pytest.fixture(scope="module", name="talkative")
def fixture_talkative(shared_world):
    """A worker that comments often."""
    with shared_world.another("--comment-interval", "20ms") as worker:
        yield worker


def read_comments(wire, count):
    for _ in range(count):
        assert wire.chunk() == b": SWITCHBOARD PROCESSING\n\n"


def test_comments_keep_a_stream_alive_that_waits(world, talkative):
    world[0].behave(hold_after=0)
    with talkative.wire() as wire:
        head = stream(wire, talkative, STEADY)
        assert head.status == 200
        assert head.headers["x-generation-id"].startswith("gen-")
        assert "x-switchboard-snapshot" in head.headers
        assert "x-switchboard-endpoint" not in head.headers  # nobody knows yet
        assert "x-switchboard-attempts" not in head.headers
        read_comments(wire, 3)
        world[0].release()
        body = rest_of(wire)
        assert events(body)[-1] == "[DONE]"
        metadata = chunks_of(body)[-1]["switchboard_metadata"]
        assert metadata["attempts"][0]["endpoint"] == "p0"
        assert serves(wire)


@pytest.mark.parametrize("fails", [False, True])
def test_who_served_behind_comments_is_told_though_nobody_asked(world, talkative, fails):
    """The head went out before anyone knew."""
    world[0].behave(hold_after=0, **({"fail": "422"} if fails else {}))
    with talkative.wire() as wire:
        wire.post(CHAT, chat(world.fresh(), ("p0",), stream=True), talkative.auth)
        assert "x-switchboard-endpoint" not in wire.head().headers
        read_comments(wire, 1)
        world[0].release()
        *_, last = chunks_of(rest_of(wire))
        metadata = last["switchboard_metadata"]
        assert [(one["endpoint"], one["outcome"]) for one in metadata["attempts"]] == [
            ("p0", "bad_request" if fails else "success")]
        assert metadata["attempt"] == 1
        assert not {"funnel", "order"} & set(metadata)  # that has to be asked for


def test_failover_goes_on_behind_the_comments(world, talkative):
    world[0].behave(hold_after=1, role_only_first=True, cut_after=1)
    world[1].behave(content="said by p1")
    with talkative.wire() as wire:
        stream(wire, talkative, world.fresh())
        read_comments(wire, 1)
        world[0].release()
        body = rest_of(wire)
        assert text_of(body) == "said by p1"
        attempts = chunks_of(body)[-1]["switchboard_metadata"]["attempts"]
        assert [one["outcome"] for one in attempts] == ["reset", "success"]


@pytest.mark.parametrize("behaviour,status,error_type", [
    ({"fail": "401"}, 502, "provider_unavailable"),
    ({"fail": "429", "retry_after": 60}, 429, "rate_limit_exceeded"),
    ({"fail": "422"}, 422, "unprocessable"),
    ({"context_error": True}, 400, "context_length_exceeded"),
])
def test_a_final_failure_behind_comments_is_one_error_chunk(world, talkative, behaviour, status,
                                                            error_type):
    for sim in world.sims:
        sim.behave(hold_after=0, **behaviour)
    with talkative.wire() as wire:
        head = stream(wire, talkative, world.fresh())
        assert head.status == 200
        read_comments(wire, 1)
        for sim in world.sims:
            sim.behave(hold_after=None)
            sim.release()
        body = rest_of(wire)
        *comments, chunk = events(body)
        assert all(comment.startswith(": ") for comment in comments)
        assert chunk["error"]["code"] == status
        assert chunk["error"]["metadata"]["error_type"] == error_type
        assert chunk["id"] == head.headers["x-generation-id"]
        assert chunk["object"] == "chat.completion.chunk"
        assert isinstance(chunk["created"], int)
        assert isinstance(chunk["model"], str)
        assert chunk["choices"][0]["finish_reason"] == "error"
        assert len(chunk["switchboard_metadata"]["attempts"]) >= 1
        assert serves(wire)


def test_an_answer_that_is_not_streamed_has_no_comments(world, talkative):
    world[0].behave(hold_after=0)
    with talkative.wire() as wire:
        wire.post(CHAT, chat(STEADY), talkative.auth)
        world[0].wait(held=1)
        with talkative.wire() as other:  # another one meanwhile
            stream(other, talkative, STEADY)
            read_comments(other, 3)
            world[0].release()
            answer = wire.answer()
            rest_of(other)
        assert answer.status == 200
        assert answer.json()["choices"]


# --- after it ------------------------------------------------------------------------------------

CUTS = {
    "cut": {"cut_after": 3},
    "reset": {"cut_after": 3, "cut_reset": True},
    "ended in good form, unfinished": {"end_after": 3},
    "an error event": {"error_event_after": 3},
    "an error for its end": {"finish_reason": "error"},
    "no finish reason": {"no_finish": True, "no_done": True},
}


@pytest.mark.parametrize("name", CUTS)
def test_a_stream_that_breaks_after_content_ends_with_one_error(world, name):
    world[0].behave(content="one two three four", **CUTS[name])
    with world.worker.wire() as wire:
        head = stream(wire, world.worker, world.fresh())
        assert head.headers["x-switchboard-endpoint"] == "p0"
        body = rest_of(wire)
        *content, last = events(body)
        assert text_of(body).startswith("one")
        assert all("error" not in chunk for chunk in content)
        assert last["error"]["code"] == 502
        assert last["error"]["message"]
        assert last["error"]["metadata"]["error_type"] == "provider_unavailable"
        assert last["id"] == head.headers["x-generation-id"]
        assert last["provider"] == "Provider p0"
        assert last["choices"][0]["finish_reason"] == "error"
        assert last["usage"]["prompt_tokens"] > 0
        assert last["usage"]["cost"] == 0  # failures are not charged
        assert last["usage"]["cost_details"]["upstream_inference_cost"] > 0
        record = generation(world, head)
        assert record["switchboard"]["outcome"] == "stream_cut"
        assert [one["outcome"] for one in record["provider_responses"]] == ["stream_cut"]
        assert record["total_cost"] == 0
        assert record["upstream_inference_cost"] > 0
        (attempt,) = last["switchboard_metadata"]["attempts"]
        assert attempt["outcome"] == "stream_cut"
        assert serves(wire)
    assert world.received()[1:] == [0, 0]


@pytest.mark.parametrize("code,shown", [("invalid_api_key", False), ("overloaded", True)])
def test_an_error_inside_a_stream_is_told_unless_it_may_quote_a_key(world, code, shown):
    world[0].behave(error_event_after=3, error_code=code, error_message="it was house-p0")
    last = ask(world, world.fresh(), stream=True).chunks[-1]
    assert ("house-p0" in json.dumps(last["error"])) is shown
    assert last["error"]["message"]


def test_the_error_of_a_completions_stream_has_its_shape(world):
    world[0].behave(cut_after=3)
    answer = world.worker.post("/v1/completions", {"model": world.fresh("single"), "prompt": "x",
                                                   "stream": True})
    last = chunks_of(answer.content)[-1]
    assert last["object"] == "text_completion"
    assert last["choices"][0]["finish_reason"] == "error"
    assert last["choices"][0]["text"] == ""


def test_an_event_that_is_no_json_is_dropped_and_counted(world):
    before = world.worker.metric("switchboard_bad_events_total")
    world[0].behave(content="one two three four", malformed=1, malformed_at=2)
    result = ask(world, world.fresh(), stream=True)
    assert result.is_done
    assert result.attempts == [("p0", "success", 200)]
    assert world.worker.metric("switchboard_bad_events_total") == before + 1


@pytest.mark.parametrize("behaviour", [{"no_done": True}, {"no_done": True, "no_usage": True}],
                         ids=str)
def test_a_finish_reason_without_an_end_mark_is_an_end(world, behaviour):
    world[0].behave(**behaviour)
    result = ask(world, world.fresh(), stream=True)
    assert result.is_done
    assert result.attempts == [("p0", "success", 200)]
    assert result.body["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("held,behaviour", [(8, {}), (9, {}), (8, {"no_usage": True})], ids=str)
def test_a_stream_that_is_complete_does_not_wait_for_the_providers_end(world, held, behaviour):
    # a role, five tokens, the finish; then usage, and the end mark
    world[0].behave(hold_after=held, **behaviour)
    result = ask(world, world.fresh(), stream=True)
    assert result.is_done
    assert result.attempts == [("p0", "success", 200)]
    assert world[0].counters()["held"] == 1


def test_a_provider_that_falls_silent_in_a_stream_is_left(world):
    with world.another("--stream-silence", "150ms") as worker, worker.wire() as wire:
        world[0].behave(hold_after=3)
        stream(wire, worker, world.fresh())
        *content, last = events(rest_of(wire))
        assert content
        assert last["error"]["metadata"]["error_type"] == "timeout"
        assert last["switchboard_metadata"]["attempts"][0]["outcome"] == "stream_stalled"
        world[0].wait(streams_aborted=1)


def test_a_deadline_ends_a_stream_that_runs(world):
    world[0].behave(hold_after=3)
    with world.worker.wire() as wire:
        stream(wire, world.worker, world.fresh(), switchboard={"deadline_ms": 300})
        last = events(rest_of(wire))[-1]
        assert last["error"]["code"] == 408
        assert last["usage"]["cost"] > 0  # it is the client's own limit
        world[0].wait(streams_aborted=1)


# --- clients that leave --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("held", [0, 3])
def test_a_client_that_leaves_a_stream_cancels_it(world, held, how):
    world[0].behave(hold_after=held)
    with world.worker.wire() as wire:
        wire.post(CHAT, chat(STEADY, stream=True), world.worker.auth)
        world[0].wait(held=1)
        head = wire.head() if held else None
        getattr(wire, how)()
    world[0].wait(streams_aborted=1, open_requests="0-0")
    if held:
        assert generation(world, head)["total_cost"] > 0  # what came until then was wanted
    (request,) = world.received(0)
    assert request["outcome"] == "aborted"


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_does_not_wait_for_its_answer_cancels_it(world, how):
    world[0].behave(hang=1)
    with world.worker.wire() as wire:
        wire.post(CHAT, chat(STEADY), world.worker.auth)
        world[0].wait(hanging=1)
        getattr(wire, how)()
    world[0].wait(aborted=1, hanging="0-0")


def test_a_client_that_leaves_stops_the_search_for_another_endpoint(world):
    world[0].behave(fail="429", retry_after=4)
    with world.worker.wire() as wire:
        wire.post(CHAT, chat(world.fresh("single")), world.worker.auth)
        world[0].wait(answered=1)
    # the pause before the next go ends with the client
    world.worker.log.wait(r"request ended.*outcome=client_gone")


def test_a_client_that_leaves_inside_its_request_leaves_nothing(world):
    with world.worker.wire() as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" +
                  world.worker.auth.encode() + b"\r\nContent-Length: 1000\r\n\r\n{\"model\":")
    with world.worker.wire() as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHo")
    assert world.worker.chat(chat(STEADY)).status_code == 200
    assert world.worker.metric("switchboard_requests_in_flight") == 1  # the one that asks
    assert world.worker.metric("switchboard_body_bytes") == 0
    assert world.received(0)[0]["number"] == 1


# --- clients that do not read --------------------------------------------------------------------


def settled(sim, worker, model):
    """Bytes of a provider's stream, once they grow no more while others are served."""
    last, same = -1, 0
    for _ in range(300):
        for _ in range(5):
            assert worker.chat(chat(model, ["p2"])).status_code == 200
        events_now = sim.requests()[0]["events"]
        same = same + 1 if events_now == last else 0
        if same == 4:
            return events_now
        last = events_now
    raise AssertionError("the provider's stream never stops")


@pytest.mark.parametrize("kind", ["plain", "secure"])
def test_a_client_that_does_not_read_stops_the_provider(world, kind):
    count, size = 30_000, 1_000
    sim, slug = (world[0], "p0") if kind == "plain" else (world.secure, "secure")
    sim.behave(tokens=count, token_bytes=size)
    other = world.fresh()
    with world.another("--stream-silence", "100ms") as worker:
        with worker.wire(receive_buffer=4096) as wire:
            ask(world, other, ["p2"], worker=worker)
            before = worker.resident()
            head = stream(wire, worker, world.fresh(kind), [slug])
            said = settled(sim, worker, other)
            assert said < count * 2 // 3
            # of 30 MB; the address sanitizer's own copies of stack frames count, since gcc 13
            assert worker.resident() - before < 16 * MIB
            # nor is the provider blamed for the silence of a reader, however long
            world[2].behave(first_token_ms=300)
            assert ask(world, other, ["p2"], worker=worker).status == 200
            world[2].behave(first_token_ms=None)
            body = rest_of(wire)
        assert head.headers["x-switchboard-endpoint"] == slug
        assert events(body)[-1] == "[DONE]"
        assert len(text_of(body)) == count * size
        assert not worker.log.found("stream_stalled")


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_does_not_read_a_large_answer_stops_the_provider(world, framing):
    sim = world[0]
    sim.behave(tokens=1000, token_bytes=60_000, framing=framing)
    other = world.fresh()
    with world.another("--answer-hold", "64KiB") as worker:
        with worker.wire(receive_buffer=4096) as wire:
            ask(world, other, ["p2"], worker=worker)
            before = worker.resident()
            wire.post(CHAT, chat(world.fresh(), ["p0"]), worker.auth)
            head = wire.head()
            for _ in range(200):  # the loop turns
                assert worker.chat(chat(other, ["p2"])).status_code == 200
            assert sim.counters()["open_requests"] == 1  # it has not got rid of its answer
            assert worker.resident() - before < 16 * MIB
            if framing == "chunked":
                body = rest_of(wire)
            else:
                body = wire.take(int(head.headers["content-length"]))
        assert len(json.loads(body)["choices"][0]["message"]["content"]) >= 1000 * 60_000


def test_a_client_that_never_reads_is_closed_in_the_end(world):
    world[0].behave(tokens=30_000, token_bytes=1_000)
    with world.another("--write-timeout", "300ms") as worker:
        with worker.wire(receive_buffer=4096) as wire:
            stream(wire, worker, STEADY)
            world[0].wait(streams_aborted=1)
        worker.log.wait(r"request ended.*outcome=client_gone")


def test_a_slow_reader_of_small_reads_gets_all(world):
    world[0].behave(tokens=2_000, token_bytes=500)
    with world.worker.wire(receive_buffer=4096) as wire:
        stream(wire, world.worker, STEADY)
        body = b""
        while b"\r\n0\r\n\r\n" not in body[-12:]:
            part = wire.socket.recv(777)
            assert part
            body += part
    assert body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert body.count(b'"delta":{"content":') >= 1_990  # a few lie across two chunks


# --- TLS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", [{}, {"chunk_split": 3}, {"framing": "close"},
                                  {"tokens": 500, "token_bytes": 1000}], ids=str)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_provider_behind_tls_serves(world, streamed, wire):
    world.secure.behave(**wire)
    model = world.fresh("secure")
    for _ in range(3):
        result = ask(world, model, ["secure"], stream=streamed)
        assert result.attempts == [("secure", "success", 200)]
        assert len(result.text) >= wire.get("tokens", 1) * wire.get("token_bytes", 1)


def test_a_provider_behind_tls_that_breaks_is_masked(world):
    model = world.fresh("secure")
    for behaviour in [{"reset": True}, {"close_before_answer": True}, {"cut_after": 0},
                      {"requests_per_connection": 1}]:
        world.secure.restore()
        world.secure.behave(**behaviour)
        assert ask(world, model, ["secure"], stream=True).status == 200


def test_a_client_that_leaves_a_stream_over_tls_cancels_it(world):
    world.secure.behave(hold_after=3)
    with world.worker.wire() as wire:
        stream(wire, world.worker, world.fresh("secure"), ["secure"])
        world.secure.wait(held=1)
    world.secure.wait(streams_aborted=1)
