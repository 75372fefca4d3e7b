"""Fixtures of all integration tests: real programs, real sockets, real PostgreSQL.

    postgres   a private cluster, one for the whole run
    database   a new database of it, for one test
    site       a Switchboard (switchboard.py): starts any number of programs, ends all of them
    control    a control daemon of the site, ready
    worker     a worker of the site with that control daemon, ready
    sim        a simulated provider of the site
    world      providers, a catalogue that knows them and a worker (gateway.py), one for the whole
               run: for tests of the data plane, which need no site of their own

Programs come from $SB_BUILD (default: build/asan).  They are ended by their pid, and a test fails
when one of them did not end well.  The report of a failure has the ends of their logs.
"""
import pytest

from gateway import World
from postgres import Postgres
from program import wait_until
from switchboard import Switchboard

LINES_SHOWN = 60  # of each log in the report of a failure


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as cluster:
        yield cluster


@pytest.fixture
def database(postgres):
    one = postgres.database()
    yield one
    one.close()  # the server lets in a hundred, and each test keeps one


@pytest.fixture
def site(database):
    one = Switchboard(database)
    yield one
    one.close()


@pytest.fixture
def control(site):
    one = site.control()
    wait_until(one.is_ready, "the control daemon is ready")
    return one


@pytest.fixture
def worker(site, control):
    return site.worker([control])


@pytest.fixture
def sim(site):
    return site.sim("--tokens", "5")


@pytest.fixture(scope="session")
def shared_world(postgres):
    with World(postgres.database()) as one:
        yield one


@pytest.fixture
def world(shared_world):
    shared_world.reset()
    yield shared_world


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Adds the ends of the programs' logs to the report of a failure."""
    outcome = yield
    report = outcome.get_result()
    used = getattr(item, "funcargs", {})
    site = used.get("site") or getattr(used.get("world"), "site", None)
    if report.failed and site is not None:
        for name, lines in site.logs().items():
            report.sections.append((f"end of the log of {name}", "\n".join(lines[-LINES_SHOWN:])))
