"""Two control daemons on one database: one leads, and the other takes over."""
import re
import signal
import time

import pytest

import traffic

TAKEOVER_KILLED, TAKEOVER_STOPPED = 10, 15  # seconds at most; 3 and 5 are what the design says


@pytest.fixture(name="sim")
def fixture_sim(site):
    return site.sim(*traffic.SIM_FLAGS)


@pytest.fixture(name="pair")
def fixture_pair(site, control):
    """(leader, standby)"""
    control.log.wait("leading term=")
    standby = site.control(name="b")
    traffic.wait_admin(standby)
    return control, standby


@pytest.fixture(name="both")
def fixture_both(site, pair):
    """A worker that knows both daemons."""
    return site.worker(pair, workers=2)


def rename(control, text):
    """A change that any daemon may be asked for; gives its revision."""
    answer = control.call("PATCH", f"models/{traffic.MODEL}", json={"name": text})
    assert answer.status_code == 200, answer.text
    return answer.json()["revision"]


def revisions_served(worker):
    """By process, in order."""
    served = {}
    for match in worker.log.found(r" pid=(\d+) .*serving snapshot.* epoch=(\d+) revision=(\d+)"):
        served.setdefault(match[1], []).append((int(match[2]), int(match[3])))
    return served


def test_a_change_made_through_the_standby_is_published_by_the_leader(pair, both, sim):
    leader, standby = pair
    key = traffic.apply(standby, both, sim)
    traffic.wait_revision(both, rename(standby, "through the standby"))
    assert leader.get("status")["leading"] is True
    assert standby.get("status")["leading"] is False
    assert not standby.log.found("leading term=")
    assert traffic.ask(both.client(key)).status == 200


@pytest.mark.parametrize("how, bound", [(signal.SIGKILL, TAKEOVER_KILLED),
                                        (signal.SIGSTOP, TAKEOVER_STOPPED)])
def test_the_standby_publishes_when_the_leader_is_gone(pair, both, sim, database, how, bound):
    leader, standby = pair
    key = traffic.apply(leader, both, sim)
    with traffic.Traffic(both, key, threads=2) as clients:
        clients.wait_more(20)
        began = time.monotonic()
        leader.signal(how)
        revision = rename(standby, "while nobody leads")
        traffic.wait_revision(both, revision)
        took = time.monotonic() - began
        print(f"{how.name}: published by the other after {took:.2f} s")
        term = int(standby.log.wait(r"leading term=(\d+)")[1])
        if how == signal.SIGSTOP:
            leader.signal(signal.SIGCONT)
            leader.log.wait("not leading any more")
            newer = rename(leader, "through the old leader")
            traffic.wait_revision(both, newer)
            assert standby.get("status")["leading"] is True
            assert leader.get("status")["leading"] is False
            assert not standby.log.found("not leading any more")
            assert len(leader.log.found("leading term=")) == 1
        else:
            leader.kill()
            leader.start()
            leader.log.wait("msg=listening")
        clients.wait_more(20)
    assert took < bound, f"{how.name}: {took:.2f} s"
    assert term == 2
    clients.check_none_failed()
    traffic.check_records(database, clients.answered)
    for process, served in revisions_served(both).items():
        assert served == sorted(set(served)), f"process {process} went back: {served}"
