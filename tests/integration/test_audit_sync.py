"""Policies with "audit: sync": nothing is sent, and no answer ends, before its record is safe."""
import os
import re
import signal

import pytest

import traffic
from frozen import Frozen
from program import wait_until
from wire import Closed, Wire

AUTH = "Authorization: Bearer "
CHAT = "/v1/chat/completions"


@pytest.fixture(name="sim")
def fixture_sim(site):
    return site.sim(*traffic.SIM_FLAGS)


class Gateway:
    """A worker with a key of each kind."""

    def __init__(self, site, control, sim, *flags):
        self.site = site
        self.control = control
        # Without somebody who waits, nothing would be on the disk for a minute.
        self.worker = site.worker([control], "--spool-sync", "1m", *flags)
        applied = control.apply(traffic.catalog(
            sim, policies=[{"name": "synced", "audit": "sync"},
                           {"name": "nowhere", "audit": "sync", "allowed_models": ["lab/none"]}],
            keys=[{"name": "app"}, {"name": "synced", "policy": "synced"},
                  {"name": "nowhere", "policy": "nowhere"}]))
        traffic.wait_revision(self.worker, applied["revision"])
        self.keys = {key["name"]: key["secret"] for key in applied["keys"]}

    def ask(self, name, request_id, **options):
        with self.worker.client(self.keys[name]) as client:
            return traffic.ask(client, request_id, **options)

    def wire(self, stream, request_id):
        """A request under "audit: sync", sent."""
        wire = Wire(self.worker.port)
        wire.post(CHAT, {"model": traffic.MODEL, "stream": stream,
                         "messages": [{"role": "user", "content": "hi"}]},
                  AUTH + self.keys["synced"], f"X-Request-Id: {request_id}")
        return wire

    @property
    def pid(self):
        return int(self.worker.log.found(r"worker started.* worker_pid=(\d+)")[-1][1])

    def disk_hangs(self):
        """The courier syncs; it is stopped, and the loop goes on."""
        return Frozen(self.pid, "courier")

    def wait_written(self, count=1):
        """Until so many requests have written their record: what follows it is written too."""
        def is_written():
            page = self.worker.status[0].get("/metrics").text
            return f'switchboard_requests_total{{outcome="success"}} {count}\n' in page
        wait_until(is_written, f"{count} records are written")

    def in_flight(self):
        page = self.worker.status[0].get("/metrics").text
        return int(re.search(r"^switchboard_requests_in_flight (\d+)$", page, re.M)[1]) - 1  # its own

    def rows(self, **filters):
        return self.control.get("audit/requests", params=filters)["data"]

    def outcomes(self, request_id):
        return [row["outcome"] for row in self.rows() if row["request_id"] == request_id]


def test_a_synced_request_has_both_records_and_another_one_only_its_own(site, control, sim,
                                                                        database):
    gateway = Gateway(site, control, sim)
    answers = [gateway.ask(key, f"{key}-{stream}", stream=stream)
               for key in ("app", "synced") for stream in (False, True)]
    traffic.check_records(database, answers)
    dispatched = database.rows("SELECT request_id, generation, key_name, model_asked, tag, provider"
                               " FROM audit_dispatches ORDER BY sequence")
    assert dispatched == [(one.request_id, one.generation, "synced", traffic.MODEL, "acme", "acme")
                          for one in answers[2:]]
    assert database.one("SELECT count(*) FROM open_dispatches") == 0


def test_nothing_is_sent_before_the_dispatch_is_safe(site, control, sim):
    gateway = Gateway(site, control, sim, "--sync-timeout", "2s")
    with gateway.disk_hangs():
        refused = gateway.ask("synced", "refused")
        assert refused.status == 503 and int(refused.headers["Retry-After"]) > 0
        assert sim.requests() == []
        assert gateway.ask("app", "other").status == 200  # the loop waits for nothing
    gateway.worker.log.wait(rf"not on stable storage in time.* id={refused.generation}")
    wait_until(lambda: gateway.outcomes("refused") == ["overloaded"], "the refusal is recorded")
    assert gateway.ask("synced", "later").status == 200


def test_a_client_that_leaves_before_the_dispatch_is_safe_sends_nothing(site, control, sim):
    gateway = Gateway(site, control, sim)
    with gateway.disk_hangs():
        gateway.wire(False, "left").close()
        assert gateway.ask("app", "other").status == 200
    wait_until(lambda: gateway.outcomes("left") == ["client_gone"], "its record is stored")
    assert len(sim.requests()) == 1


# What of an answer has come when its record is written and not safe.
ENDS = {"whole": (False, {}, lambda got: got == b""),
        "stream": (True, {}, lambda got: b"data: " in got and b"[DONE]" not in got),
        # over --answer-hold: relayed as it comes
        "raw": (False, {"content": "x" * 100000},
                lambda got: got.count(b"x") > 90000 and not got.endswith(b"0\r\n\r\n"))}


@pytest.mark.parametrize("kind", ENDS)
def test_the_end_of_an_answer_waits_until_its_record_is_safe(kind, site, control, sim):
    stream, behaviour, is_kept_back = ENDS[kind]
    gateway = Gateway(site, control, sim, "--answer-hold", "64KiB", "--sync-timeout", "5m")
    sim.behave(hold_after=2 if stream else 0, **behaviour)
    with gateway.wire(stream, "slow") as wire:
        sim.wait(held=1)
        with gateway.disk_hangs():
            sim.release()
            gateway.wait_written()
            wire.socket.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    wire._more()  # pylint: disable=protected-access # all that has come, no more
            wire.socket.settimeout(60)
            assert is_kept_back(bytes(wire.got)), bytes(wire.got[-200:])
        answer = wire.answer()
        assert answer.status == 200 and answer.whole
        assert not stream or answer.body.endswith(b"data: [DONE]\n\n")
        # The connection is as good as new.
        sim.restore()
        wire.send(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + AUTH.encode()
                  + gateway.keys["app"].encode() + b"\r\n\r\n")
        assert wire.answer().status == 200


def test_an_answer_whose_record_does_not_get_safe_is_broken_off(site, control, sim):
    gateway = Gateway(site, control, sim, "--sync-timeout", "2s")
    sim.behave(hold_after=2)
    with gateway.wire(True, "broken") as wire:
        sim.wait(held=1)
        with gateway.disk_hangs():
            sim.release()
            gateway.wait_written()
            got = wire.rest()
        assert b"data: " in got and b"[DONE]" not in got and not got.endswith(b"0\r\n\r\n")
    wait_until(lambda: gateway.outcomes("broken") == ["success"], "its record is stored")


def test_a_client_that_leaves_while_its_record_waits_is_let_go(site, control, sim):
    gateway = Gateway(site, control, sim, "--sync-timeout", "5m")
    sim.behave(hold_after=2)
    wire = gateway.wire(True, "left")
    sim.wait(held=1)
    with gateway.disk_hangs():
        sim.release()
        gateway.wait_written()
        assert gateway.in_flight() == 1
        wire.close()
        wait_until(lambda: gateway.in_flight() == 0, "the request is gone")
    wait_until(lambda: gateway.outcomes("left") == ["success"], "its record is stored")


def test_a_request_that_dies_with_its_worker_is_reported(site, control, sim):
    gateway = Gateway(site, control, sim)
    sim.behave(hold_after=2)
    with gateway.wire(True, "victim") as wire:
        sim.wait(held=1)
        wait_until(lambda: gateway.outcomes("victim") == ["dispatched"], "its dispatch is stored")
        os.kill(gateway.pid, signal.SIGKILL)
        wire.until(b"data: ")
        assert b"[DONE]" not in wire.rest()
    sim.restore()
    gateway.worker.log.wait(r"worker started", count=2)
    gateway.worker.wait_ready()
    assert gateway.ask("app", "after").status == 200  # a record of the next boot
    wait_until(lambda: gateway.outcomes("victim") == ["abandoned"], "it counts as abandoned")
    (row,) = gateway.rows(outcome="abandoned")
    assert (row["request_id"], row["key"], row["endpoint"], row["provider"], row["streamed"]) == (
        "victim", "synced", "acme", "acme", True)
    assert row["took_ms"] is None and row["attempts"] == []


def test_a_record_that_comes_later_takes_the_place_of_its_dispatch(site, control, sim, database):
    gateway = Gateway(site, control, sim)
    sim.behave(hold_after=2)
    with gateway.wire(True, "late") as wire:
        sim.wait(held=1)
        wait_until(lambda: gateway.outcomes("late") == ["dispatched"], "its dispatch is stored")
        sim.release()
        assert wire.answer().whole
    wait_until(lambda: gateway.outcomes("late") == ["success"], "its record is stored")
    assert database.one("SELECT count(*) FROM audit_dispatches") == 1


def test_a_dispatch_that_was_not_sent_yet_is_found_in_the_spool_of_a_killed_worker(site, control,
                                                                                   sim):
    gateway = Gateway(site, control, sim)
    sim.behave(hold_after=2)
    control.signal(signal.SIGSTOP)
    with gateway.wire(True, "victim") as wire:
        sim.wait(held=1)
        os.kill(gateway.pid, signal.SIGKILL)
        with pytest.raises(Closed):
            while True:
                wire.until(b"data: ")
    sim.restore()
    control.signal(signal.SIGCONT)
    gateway.worker.log.wait(r"worker started", count=2)
    gateway.worker.wait_ready()
    assert gateway.ask("app", "after").status == 200
    wait_until(lambda: gateway.outcomes("victim") == ["abandoned"], "it counts as abandoned")


def test_a_refusal_by_the_policy_is_recorded_and_was_sent_nowhere(site, control, sim, database):
    gateway = Gateway(site, control, sim)
    assert gateway.ask("nowhere", "refused").status in (403, 404)
    wait_until(lambda: gateway.outcomes("refused") in (["forbidden"], ["no_endpoint"]),
               "its record is stored")
    assert database.one("SELECT count(*) FROM audit_dispatches") == 0


def test_many_at_once_are_each_recorded(site, control, sim, database):
    gateway = Gateway(site, control, sim)
    with traffic.Traffic(gateway.worker, gateway.keys["synced"], threads=16, most=20) as clients:
        for thread in clients.threads:
            thread.join()
    clients.check_none_failed()
    assert len(clients.answered) == 16 * 20
    traffic.check_records(database, clients.answered)
    wait_until(lambda: database.one("SELECT count(*) FROM open_dispatches") == 0,
               "nothing is open")
    assert database.one("SELECT count(*) FROM audit_dispatches") == len(clients.answered)


def test_draining_waits_for_the_records(site, control, sim, database):
    gateway = Gateway(site, control, sim)
    with traffic.Traffic(gateway.worker, gateway.keys["synced"], threads=8) as clients:
        clients.wait_more(40)
        gateway.worker.stop()
    assert not clients.refused, clients.summary()
    traffic.check_records(database, clients.answered)
    assert database.one("SELECT count(*) FROM open_dispatches") == 0
