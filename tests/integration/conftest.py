"""Fixtures of all integration tests: real programs, real sockets, real PostgreSQL.

    postgres   a private cluster, one for the whole run
    database   a new database of it, for one test
    site       a Switchboard (switchboard.py): starts any number of programs, ends all of them
    control    a control daemon of the site, ready
    worker     a worker of the site with that control daemon, ready
    sim        a simulated provider of the site

Programs come from $SB_BUILD (default: build/asan).  They are ended by their pid, and a test fails
when one of them did not end well.  The report of a failure has the ends of their logs.
"""
import pytest
import requests

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
    return postgres.database()


@pytest.fixture
def site(database):
    one = Switchboard(database)
    yield one
    one.close()


def is_ready(control):
    """The bus listens before the admin API does."""
    try:
        return control.session.get(control.url + "/readyz").status_code == 200
    except requests.ConnectionError:
        assert not control.log.ended, "\n".join(control.log.lines[-LINES_SHOWN:])
        return False


@pytest.fixture
def control(site):
    one = site.control()
    wait_until(lambda: is_ready(one), "the control daemon is ready")
    return one


@pytest.fixture
def worker(site, control):
    return site.worker([control])


@pytest.fixture
def sim(site):
    return site.sim("--tokens", "5")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Adds the ends of the programs' logs to the report of a failure."""
    outcome = yield
    report = outcome.get_result()
    site = getattr(item, "funcargs", {}).get("site")
    if report.failed and site is not None:
        for name, lines in site.logs().items():
            report.sections.append((f"end of the log of {name}", "\n".join(lines[-LINES_SHOWN:])))
