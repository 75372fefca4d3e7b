"""switchboard-control on a real PostgreSQL, spoken to by a worker made of Python."""
import pytest

from control import Control, Home
from fake_worker import CREDITS, GENERATION, KEY, FakeWorker, beat_row, record
from postgres import Postgres


@pytest.fixture(scope="module", name="server")
def fixture_server():
    with Postgres() as server:
        yield server


@pytest.fixture(name="database")
def fixture_database(server):
    return server.database()


@pytest.fixture(name="home")
def fixture_home(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("h"))


@pytest.fixture(name="control")
def fixture_control(database, home):
    with Control(database, home) as control:
        yield control


@pytest.fixture(name="worker")
def fixture_worker(control):
    with FakeWorker(control) as worker:
        worker.hello_until_leader()
        yield worker


def test_a_worker_gets_the_snapshot_and_is_synced(control, worker):
    snapshot = worker.get_snapshot()
    assert (snapshot.epoch, snapshot.revision) == worker.version
    worker.beat()
    worker.receive("HEARTBEAT")
    [entry] = control.get("workers")["data"]
    assert entry["worker"] == "w-0" and entry["state"] == "synced"
    assert entry["version"] == {"epoch": snapshot.epoch, "revision": snapshot.revision}


def test_a_batch_that_is_sent_twice_is_stored_once(database, worker):
    records = [record(generation=f"gen-{n}") for n in range(3)]
    assert worker.batch(1, records).last == 3
    assert worker.batch(1, records).last == 3
    assert worker.batch(3, [records[2], record(generation="gen-3")]).last == 4
    assert database.rows("SELECT sequence, generation FROM audit_requests ORDER BY sequence") == [
        (1, "gen-0"), (2, "gen-1"), (3, "gen-2"), (4, "gen-3")]
