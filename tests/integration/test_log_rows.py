"""What the daemon appends to the log, recomputed from the columns by an implementation that shares
nothing with it; also when daemons and PostgreSQL are killed while batches come."""
import copy
import itertools
import os
import signal
import threading

import psycopg2
import pytest

import log_rows
from control import Control
from fake_worker import FakeWorker, record
from program import wait_until
from test_control import CATALOG

COLLECTORS = ("SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
              " AND application_name LIKE '%%collector%%' LIMIT 1")
ODD = "\"\\\b\f\n\r\t\x01\x1f\x7f/<\u00e4\u2028\U0001f600"


@pytest.fixture(name="worker")
def fixture_worker(control):
    with FakeWorker(control) as worker:
        worker.hello_until_leader()
        yield worker


def catalog(provider="Acme"):
    document = copy.deepcopy(CATALOG)
    document["providers"][0]["name"] = provider
    return document


def appended(database, revision):
    wait_until(lambda: database.rows("SELECT 1 FROM log_changes WHERE revision = %s", revision),
               f"revision {revision} is in the log")


def test_all_that_is_stored_is_in_the_log_as_its_columns_say(control, worker, database):
    control.apply(catalog())
    worker.batch(1, [record(kind=2, generation="gen-d"), record(generation="gen-d"),
                     record(kind=3, refusal=ODD, refusals=41), b"\xc1garbage",
                     record(request_id=ODD, cost=-1, key_name="", model_served="", tag=ODD,
                            evidence=[[1, 2, 20000, 0, ODD, "me"], [0, 1, 0, 0, "", ""]],
                            attempts=[[2**64 - 1, ODD, "m", 9, 1, 503, 7, 10, 0, 2**32 - 1]] * 16)])
    second = control.apply(catalog(provider="\"\\/<\u00e4\u2028\U0001f600"))["revision"]
    appended(database, second)
    log = log_rows.read(database)
    log.check()
    assert sorted(log.kinds()) == sorted(
        ["dispatch", "request", "refusals", "quarantined", "request"] + ["change"] * second)
    assert [entry["sequence"] for entry in log.entries if "sequence" in entry] == [1, 2, 3, 4, 5]
    changed = [entry for entry in log.entries if entry.get("revision") == second][0]
    assert [(one["kind"], one["before"]["name"]) for one in changed["objects"]] == [
        ("providers", "Acme")]


@pytest.mark.parametrize("edit", [
    "UPDATE audit_requests SET cost = cost + 1 WHERE sequence = 2",
    "UPDATE audit_requests SET attempts = jsonb_set(attempts, '{0,added}', '1') WHERE sequence = 2",
    "DELETE FROM audit_requests WHERE sequence = 2",
    "UPDATE audit_requests SET leaf = (SELECT min(leaf) + max(leaf) FROM audit_requests"
    " WHERE sequence IN (2, 3)) - leaf WHERE sequence IN (2, 3)",
    "UPDATE audit_changes SET after = jsonb_set(after, '{name}', '\"B\"') WHERE kind = 'providers'"])
def test_the_check_sees_an_edit(control, worker, database, edit):
    appended(database, control.apply(catalog())["revision"])
    worker.batch(1, [record(), record(), record(), record()])
    log_rows.read(database).check()
    database.rows(edit)
    with pytest.raises(AssertionError):
        log_rows.read(database).check()


def test_changes_are_appended_by_the_leader_whoever_made_them(database, site):
    with Control(database, site.home, name="a") as leader:
        leader.log.wait("msg=leading")
        with Control(database, site.home, name="b") as standby:
            standby.log.wait("msg=compiled")
            appended(database, standby.apply(catalog())["revision"])
            leader.kill()
            standby.log.wait("msg=leading")
            appended(database, standby.apply(catalog(provider="Another"))["revision"])
            log = log_rows.read(database)
            log.check()
            revisions = [entry["revision"] for entry in log.entries if entry["kind"] == "change"]
            assert revisions == sorted(revisions)


class Sender(threading.Thread):
    """Sends batches until told to stop, each until it is acknowledged, to whoever leads."""

    def __init__(self, pair):
        super().__init__()
        self.pair, self.stopped, self.sent, self.failure = pair, threading.Event(), 0, None

    def run(self):
        try:
            while not self.stopped.is_set():
                self._send([record(generation=f"gen-{self.sent + i}") for i in range(40)])
        except Exception as failure:  # pylint: disable=broad-except; join() shows it
            self.failure = failure

    def _send(self, records):
        whom = itertools.cycle(self.pair)
        wait_until(lambda: self._stored_by(next(whom), records), "somebody stores the batch")
        self.sent += len(records)

    def _stored_by(self, control, records):
        with FakeWorker(control, boot=7) as worker:
            worker.dealer.rcvtimeo = 1000
            try:
                if worker.hello().kind != "WELCOME":
                    return False
                worker.batch(self.sent + 1, records, wait=False)
                return worker.receive("BATCH_OK").last == self.sent + len(records)
            except Exception:  # pylint: disable=broad-except; nobody answered
                return False


def test_whoever_is_killed_while_batches_come_the_log_is_whole(database, site):
    with Control(database, site.home, name="a") as a, Control(database, site.home, name="b") as b:
        wait_until(lambda: a.is_ready() and b.is_ready(), "both are ready")
        sender = Sender((a, b))
        sender.start()
        try:
            for round_ in range(6):
                before = sender.sent
                wait_until(lambda: sender.failure or sender.sent >= before + 120, "some are stored")
                if round_ % 3 == 2:
                    pid = wait_until(lambda: answer(database, COLLECTORS), "there is a collector")
                    os.kill(pid, signal.SIGKILL)  # and with it all others of the cluster
                else:
                    victim = (a, b)[round_ % 2]
                    victim.kill()
                    victim.start()
        finally:
            sender.stopped.set()
            sender.join()
        assert sender.failure is None
        wait_until(lambda: answer(database, "SELECT 1"), "the database answers")
        log = log_rows.read(database)
        log.check()
        sequences = [entry["sequence"] for entry in log.entries if entry["kind"] == "request"]
        assert sequences == list(range(1, sender.sent + 1))


def answer(database, sql):
    """None: the server is not up, or there is nothing."""
    try:
        rows = database.rows(sql)
    except psycopg2.Error:
        return None
    return rows[0][0] if rows else None
