"""Several daemons on one database: who leads, and what a dead or frozen one can do."""
import signal
import threading
import time

import psycopg2
import pytest

from control import Control
from fake_worker import FakeWorker, record
from test_control import CATALOG


@pytest.fixture(name="home")
def fixture_home(site):
    return site.home


@pytest.fixture(name="pair")
def fixture_pair(database, home):
    """a leads, b stands by."""
    with Control(database, home, name="a") as a:
        a.log.wait("msg=leading")
        with Control(database, home, name="b") as b:
            b.log.wait("msg=compiled")  # it is warm
            yield a, b


def test_a_standby_says_that_it_does_not_lead(pair):
    _, standby = pair
    with FakeWorker(standby) as worker:
        assert worker.hello().kind == "NOT_LEADER"
        worker.batch(1, [record()], wait=False)
        assert worker.receive("NOT_LEADER", "BATCH_OK").kind == "NOT_LEADER"
        assert worker.heard("HEARTBEAT").leader is False
    assert standby.call("GET", "workers").status_code == 503


def test_a_change_by_any_daemon_is_announced_by_the_leader(pair, record_property):
    leader, standby = pair
    with FakeWorker(leader) as worker:
        worker.hello_until_leader()
        worker.get_snapshot()
        took = []
        for n in range(5):
            CATALOG["models"][0]["name"] = f"T{n}"
            revision = standby.apply(CATALOG)["revision"]
            answered = time.monotonic()
            worker.heard("ANNOUNCE", where=lambda m: m.revision == revision)
            took.append(round(1000 * (time.monotonic() - answered)))
    record_property("announced_ms_after_the_answer", took)
    print(f"announced {took} ms after the answer to the change")


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP", "SIGTERM"])
def test_a_standby_takes_over(pair, database, how, record_property):
    leader, standby = pair
    with FakeWorker(leader, boot=5) as before:
        before.hello_until_leader()
        assert before.batch(1, [record()]).last == 1
    term = database.one("SELECT term FROM leadership")
    began = time.monotonic()
    if how == "SIGTERM":
        leader.stop()
    else:
        leader.signal(getattr(signal, how))
    standby.log.wait("msg=leading")
    took = round(1000 * (time.monotonic() - began))
    record_property("took_over_after_ms", took)
    print(f"{how}: took over after {took} ms")
    assert database.one("SELECT term FROM leadership") == term + 1
    with FakeWorker(standby, boot=5) as worker:
        assert worker.hello_until_leader().term == term + 1
        worker.get_snapshot()
        assert worker.batch(1, [record(), record()]).last == 2
    assert database.one("SELECT count(*) FROM audit_requests") == 2
    if how == "SIGKILL":
        leader.kill()


def test_a_frozen_leader_that_wakes_harms_nothing(pair, database):
    leader, standby = pair
    with FakeWorker(leader, boot=5) as old, FakeWorker(standby, boot=5) as new:
        term = old.hello_until_leader().term
        old.get_snapshot()
        leader.signal(signal.SIGSTOP)
        # What waits in the old one's sockets, and will be read when it wakes.
        old.batch(1, [record(generation="gen-1"), record(generation="gen-old")], wait=False)
        old.beat()
        standby.log.wait("msg=leading")
        new.hello_until_leader()
        assert new.batch(1, [record(generation="gen-1")]).last == 1
        leader.signal(signal.SIGCONT)
        leader.log.wait("not leading any more")
        assert old.hello().kind == "NOT_LEADER"
        # It may have said anything, but in its own term, which nobody follows.
        while old.sub.poll(0):
            assert old.parse(old.sub.recv_multipart()[1:]).term <= term
        assert new.batch(2, [record(generation="gen-2")]).last == 2
        assert new.hello().term == term + 1
    assert database.rows("SELECT sequence, generation FROM audit_requests ORDER BY 1") == [
        (1, "gen-1"), (2, "gen-2")]


def test_a_leader_frozen_inside_of_a_transaction_keeps_nobody_out(pair, database):
    leader, standby = pair
    stuck = psycopg2.connect(host=str(database.server.dir), dbname=database.name,
                             user="switchboard_daemon",
                             application_name="switchboard-control collector a")
    stuck.cursor().execute("SELECT term FROM switchboard.leadership FOR SHARE")
    leader.signal(signal.SIGSTOP)
    standby.log.wait("ended sessions of a stopped daemon")
    standby.log.wait("msg=leading")
    with pytest.raises(psycopg2.OperationalError):
        stuck.cursor().execute("SELECT 1")


class Frozen:
    """What a COPY reads from whoever was stopped: nothing."""

    def __init__(self):
        self.asked, self.goes_on = threading.Event(), threading.Event()

    def read(self, _size):
        self.asked.set()
        self.goes_on.wait()
        return b""


def test_a_collector_frozen_inside_of_a_copy_keeps_no_record_out(control, database):
    frozen = Frozen()
    stuck = psycopg2.connect(host=str(database.server.dir), dbname=database.name,
                             user="switchboard_daemon",
                             application_name="switchboard-control collector z")
    cursor = stuck.cursor()
    cursor.execute("SET ROLE switchboard_collector; CREATE TEMP TABLE t (a text);"
                   "SELECT size FROM switchboard.log_head FOR UPDATE")
    copy = threading.Thread(target=lambda: pytest.raises(
        psycopg2.Error, cursor.copy_expert, "COPY t FROM STDIN", frozen))
    copy.start()
    assert frozen.asked.wait(60)
    try:
        with FakeWorker(control) as worker:
            worker.hello_until_leader()
            assert worker.batch(1, [record()]).last == 1
        control.log.wait("ended sessions of a stopped daemon")
    finally:
        frozen.goes_on.set()
        copy.join()


def test_a_long_change_keeps_nobody_from_leading(pair, database):
    leader, standby = pair
    change = psycopg2.connect(host=str(database.server.dir), dbname=database.name, user="root")
    change.cursor().execute("UPDATE switchboard.config_head SET revision = revision + 1")
    leader.stop()
    standby.log.wait("msg=leading")
    change.rollback()


def test_the_lead_goes_round_and_nothing_is_lost_or_doubled(database, home):
    daemons = {name: Control(database, home, name=name) for name in "abc"}
    sequence = 0
    try:
        for name in daemons:
            daemons[name].start()
        for _ in range(4):
            leading = next_leader(daemons, database)
            with FakeWorker(leading, boot=7) as worker:
                worker.hello_until_leader()
                first = max(1, sequence)  # the last one again: its answer might have been lost
                records = [record(generation=f"gen-{n}") for n in range(first, sequence + 6)]
                sequence = worker.batch(first, records).last
            leading.kill()
            leading.start()
    finally:
        for daemon in daemons.values():
            daemon.stop()
    stored = database.rows("SELECT generation FROM audit_requests ORDER BY sequence")
    assert [row[0] for row in stored] == [f"gen-{n}" for n in range(1, sequence + 1)]


def next_leader(daemons, database):
    """The daemon of the newest term, once it leads."""
    while True:
        name, term = database.rows("SELECT leader, term FROM leadership")[0]
        if name is None:
            continue
        daemon = daemons[name]
        if daemon.log.found(f"msg=leading term={term} "):
            return daemon


def test_the_database_goes_away_and_comes_back(postgres, database, home):
    with Control(database, home) as control, FakeWorker(control) as worker:
        worker.hello_until_leader()
        worker.get_snapshot()
        assert worker.batch(1, [record()]).last == 1
        postgres.halt()
        try:
            control.log.wait("not leading any more")
            worker.heard("HEARTBEAT", where=lambda m: not m.leader)
            assert worker.hello().kind == "NOT_LEADER"
            worker.batch(2, [record()], wait=False)
            worker.receive("NOT_LEADER")
            assert control.session.get(control.url + "/healthz").status_code == 200
        finally:
            postgres.start()
        control.log.wait("msg=leading", 2)
        worker.hello_until_leader()
        assert worker.batch(1, [record(), record()]).last == 2
        assert worker.get_snapshot().revision == 0
    assert database.one("SELECT count(*) FROM audit_requests") == 2


def test_a_daemon_starts_before_its_database(postgres, database, home):
    postgres.halt()
    control = Control(database, home)
    try:
        control.start(expect="cannot prepare the database")
    finally:
        postgres.start()
    with control, FakeWorker(control) as worker:
        control.log.wait("msg=listening")
        worker.hello_until_leader()
        worker.get_snapshot()
