"""How a worker ends, and what a crash costs: SIGTERM, kill -9, connections that wait."""
import os
import signal
import socket
import threading

import pytest
import requests

from asking import CHAT, HI, chat
from catalog import STEADY
from wire import Wire, events, post

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


def can_connect(port):
    with socket.socket() as one:
        one.settimeout(30)
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_sigterm_ends_an_idle_worker(world):
    worker = world.another()
    with worker.wire() as wire:
        wire.send(HEALTHZ)
        assert wire.answer().status == 200
        worker.terminate()
        assert wire.is_closed()
    worker.ended()
    assert not can_connect(worker.port)


def test_running_requests_end_well_and_say_that_they_are_the_last(world):
    worker = world.another()
    world[0].behave(content="one two three four", hold_after=2)
    with worker.wire() as streaming, worker.wire() as whole, worker.wire() as idle:
        idle.send(HEALTHZ)
        assert idle.answer().status == 200
        streaming.post(CHAT, chat(STEADY, stream=True), worker.auth)
        head = streaming.head()
        world[0].wait(held=1)
        world[0].behave(hold_after=0)
        whole.post(CHAT, chat(STEADY), worker.auth)
        world[0].wait(held=2)
        worker.terminate()
        worker.log.wait("no new connections")
        world[0].release()
        body = b"".join(streaming.chunks())
        assert events(body)[-1] == "[DONE]"
        answer = whole.answer()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert head.status == 200
        assert streaming.is_closed() and whole.is_closed()
        assert idle.is_closed()
    worker.ended()


def test_during_the_delay_all_is_served_and_readyz_says_503(world):
    worker = world.another("--drain-delay", "10m")
    assert worker.get("/readyz").json()["ready"] is True
    with worker.wire() as early:
        early.send(HEALTHZ)
        assert "connection" not in early.answer().headers
        worker.terminate()
        worker.log.wait("draining")
        for answer in [worker.get("/readyz"), worker.status[0].get("/readyz")]:
            assert answer.status_code == 503
            assert answer.json()["ready"] is False
            assert answer.json()["reason"] == "draining"
        assert worker.get("/healthz").status_code == 200
        answer = worker.chat(chat(STEADY))  # a new connection
        assert answer.status_code == 200
        assert answer.headers["Connection"] == "close"
        early.post(CHAT, chat(STEADY), worker.auth)  # and one from before
        answer = early.answer()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert early.is_closed()
    worker.terminate()  # asked twice: no more delay
    worker.ended()


def test_new_connections_are_refused_once_the_delay_is_over(world):
    worker = world.another(workers=2)
    world[0].behave(hold_after=2)
    with worker.wire() as wire:
        wire.post(CHAT, chat(STEADY, stream=True), worker.auth)
        world[0].wait(held=1)
        wire.head()
        worker.terminate()
        worker.log.wait("no new connections", count=2)
        assert not can_connect(worker.port)
        # the worker that has the request still says how it is
        assert True in [can_connect(worker.status_port + slot) for slot in range(2)]
        world[0].release()
        assert events(b"".join(wire.chunks()))[-1] == "[DONE]"
    worker.ended()


def test_idle_connections_are_served_to_the_end(world):
    worker = world.another()
    world[0].behave(hold_after=2)
    with worker.wire() as running, worker.wire() as idle, worker.wire() as unused:
        idle.send(HEALTHZ)
        idle.answer()
        running.post(CHAT, chat(STEADY, stream=True), worker.auth)
        running.head()
        world[0].wait(held=1)
        worker.terminate()
        worker.log.wait("no new connections")
        for wire in [idle, unused]:
            wire.send(HEALTHZ)
            answer = wire.answer()
            assert answer.status == 200
            assert answer.headers["connection"] == "close"
            assert wire.is_closed()
        world[0].release()
        assert events(b"".join(running.chunks()))[-1] == "[DONE]"
    worker.ended()


def test_what_runs_when_the_time_is_over_is_told(world):
    worker = world.another("--drain-timeout", "100ms")
    world[0].behave(hold_after=2)
    with worker.wire() as streaming, worker.wire() as whole:
        streaming.post(CHAT, chat(STEADY, stream=True), worker.auth)
        streaming.head()
        world[0].wait(held=1)
        world[0].behave(hold_after=0)
        whole.post(CHAT, chat(STEADY), worker.auth)
        world[0].wait(held=2)
        worker.terminate()
        last = events(b"".join(streaming.chunks()))[-1]
        assert last["error"]["code"] == 503
        assert last["choices"][0]["finish_reason"] == "error"
        answer = whole.answer()
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        world[0].wait(aborted=2)
    worker.ended()


def test_a_request_that_is_still_arriving_is_served(world):
    worker = world.another()
    data = post(CHAT, chat(STEADY), worker.auth)
    with worker.wire() as body, worker.wire() as head:
        body.send(data[:-5])
        head.send(data[:40])
        # both have been read when a later connection has been served
        assert worker.status[0].get("/healthz").status_code == 200
        worker.terminate()
        worker.log.wait("no new connections")
        body.send(data[-5:])
        answer = body.answer()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        head.send(data[40:])
        assert head.answer().status == 200
    worker.ended()


def test_an_answer_that_a_slow_client_still_reads_is_not_cut(world):
    worker = world.another()
    world[0].behave(tokens=7_000, token_bytes=1_000)  # held, checked, and then in our queue
    with worker.wire(receive_buffer=4096) as wire:
        wire.post(CHAT, chat(STEADY), worker.auth)
        answer = wire.head()
        worker.terminate()
        worker.log.wait("draining")
        # a second of other things: the status address answers to the end
        for _ in range(3):
            with Wire(worker.status_port) as status:
                status.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                assert status.answer().status == 200
        world[1].behave(first_token_ms=1000)
        requests.post(f"{world[1].url}/v1/chat/completions", json={"model": "m", "messages": HI},
                      timeout=30)
        body = wire.take(int(answer.headers["content-length"]))
        assert body.endswith(b"}")
    worker.ended()


def test_no_request_is_lost_when_a_worker_drains_under_load(world):
    worker = world.another("--drain-delay", "2s", workers=2)
    failures, served, noticed = [], [0], threading.Event()

    def ask_on(keeps):
        """As a load balancer asks: until it notices that the worker is not ready."""
        wire = None
        try:
            while not noticed.is_set():
                wire = wire or worker.wire()
                wire.post(CHAT, chat(STEADY), worker.auth)
                answer = wire.answer()
                assert answer.status == 200 and answer.whole
                served[0] += 1
                if not keeps or answer.headers.get("connection") == "close":
                    wire.close()
                    wire = None
        except Exception as error:  # pylint: disable=broad-except
            failures.append(repr(error))
        finally:
            if wire:
                wire.close()

    threads = [threading.Thread(target=ask_on, args=(i % 2 == 0,)) for i in range(4)]
    for thread in threads:
        thread.start()
    try:
        world[0].wait(answered=50)
        before = served[0]
        worker.terminate()
        worker.log.wait("draining", count=2)
        for slot in range(2):
            assert worker.status[slot].get("/readyz").status_code == 503
        world[0].wait(answered=world[0].counters()["answered"] + 50)
    finally:
        noticed.set()
        for thread in threads:
            thread.join(30)
    worker.ended()
    assert failures == []
    assert served[0] >= before


# --- crashes -------------------------------------------------------------------------------------


def test_a_killed_worker_is_back_and_the_other_serves_on(world):
    with world.another(workers=2) as worker:
        first = worker.pid(0)
        os.kill(first, signal.SIGKILL)
        worker.log.wait('"worker started" slot=0', count=2)
        worker.log.wait("serving snapshot", count=3)
        assert worker.pid(0) != first
        for slot in range(2):
            assert worker.status[slot].get("/readyz").status_code == 200
        for _ in range(20):
            assert requests.get(worker.url + "/healthz", timeout=30).status_code == 200


def test_connections_that_wait_to_be_accepted_survive_a_crash(world):
    with world.another() as worker:
        os.kill(worker.pid(), signal.SIGSTOP)
        wires = [worker.wire() for _ in range(20)]
        try:
            for wire in wires:
                wire.post(CHAT, chat(STEADY), worker.auth)
            os.kill(worker.pid(), signal.SIGKILL)
            for wire in wires:
                assert wire.answer().status == 200
        finally:
            for wire in wires:
                wire.close()


def test_a_killed_worker_takes_its_own_connections_with_it_and_no_more(world):
    with world.another() as worker:
        world[0].behave(hold_after=2)
        with worker.wire() as wire:
            wire.post(CHAT, chat(STEADY, stream=True), worker.auth)
            wire.head()
            world[0].wait(held=1)
            os.kill(worker.pid(), signal.SIGKILL)
            assert not wire.rest().endswith(b"[DONE]\n\n0\r\n\r\n")
        world[0].wait(streams_aborted=1)
        world[0].behave(hold_after=None)
        assert worker.chat(chat(STEADY)).status_code == 200


def test_a_worker_that_is_terminated_alone_is_started_again(world):
    with world.another() as worker:
        os.kill(worker.pid(), signal.SIGTERM)
        worker.log.wait("serving snapshot", count=2)
        assert worker.chat(chat(STEADY)).status_code == 200


def test_workers_end_when_their_supervisor_is_killed(world):
    worker = world.another(workers=2)
    worker.process.kill()
    worker.log.wait("draining", count=2)
    with worker.log.changed:  # the last one that could write to the log goes
        assert worker.log.changed.wait_for(lambda: worker.log.ended, 30)
    worker.kill()


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(world, signal_):
    worker = world.another("--drain-delay", "10m", "--drain-timeout", "10m")
    world[0].behave(hang=1)
    with worker.wire() as wire:
        wire.post(CHAT, chat(STEADY), worker.auth)
        world[0].wait(hanging=1)
        worker.process.send_signal(signal_)
        worker.log.wait("draining")
        worker.process.send_signal(signal_)
        assert wire.answer().status == 503
    worker.ended()


def test_ctrl_c_in_a_terminal_drains_and_a_second_one_ends_at_once(world):
    """A terminal tells the supervisor and its workers, and the supervisor tells them too."""
    worker = world.another()
    world[0].behave(content="one two three four", hold_after=2)
    with worker.wire() as first, worker.wire() as second:
        for wire, held in [(first, 1), (second, 2)]:
            wire.post(CHAT, chat(STEADY, stream=True), worker.auth)
            wire.head()
            world[0].wait(held=held)
        os.killpg(worker.process.pid, signal.SIGINT)
        worker.log.wait("the workers drain")
        worker.log.wait("no new connections")
        for status in worker.status * 2:  # they have looked at their signals by then
            assert status.get("/healthz").status_code == 200
        world[0].release(1)
        assert events(b"".join(first.chunks()))[-1] == "[DONE]"
        os.killpg(worker.process.pid, signal.SIGINT)
        assert events(b"".join(second.chunks()))[-1]["error"]["code"] == 503
    worker.ended()


def test_whoever_tells_a_worker_twice_tells_it_once(world):
    """As a service manager does that signals every process."""
    worker = world.another()
    world[0].behave(content="one two three four", hold_after=2)
    with worker.wire() as wire:
        wire.post(CHAT, chat(STEADY, stream=True), worker.auth)
        wire.head()
        world[0].wait(held=1)
        for _ in range(3):
            os.kill(worker.pid(), signal.SIGTERM)
        worker.log.wait("no new connections")
        os.kill(worker.pid(), signal.SIGTERM)
        for _ in range(2):
            assert worker.status[0].get("/healthz").status_code == 200
        world[0].release()
        assert events(b"".join(wire.chunks()))[-1] == "[DONE]"
    worker.log.wait("worker ended, starting it again")
    worker.stop()


def test_sighup_is_no_end(world):
    with world.another() as worker:
        worker.process.send_signal(signal.SIGHUP)
        worker.log.wait("certificate authorities read again")
        assert worker.chat(chat(STEADY)).status_code == 200
