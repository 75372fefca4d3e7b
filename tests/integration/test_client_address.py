"""From where a request came: in its record and in the log, behind proxies or not."""
import re
import subprocess

import pytest

from asking import ask
from program import BUILD, wait_until


def recorded(world, answer):
    """The client's address in the record of an answer."""
    generation = answer.headers["X-Generation-Id"]
    (row,) = wait_until(lambda: world.control.get(
        "audit/requests", params={"generation_id": generation})["data"], "the record is stored")
    return row["client_address"]


def test_without_trusted_proxies_it_is_the_peers(world):
    answer = ask(world, world.fresh(), headers={"X-Forwarded-For": "198.51.100.7"})
    assert answer.status == 200
    assert recorded(world, answer) == "127.0.0.1"


@pytest.mark.parametrize("said, meant", [
    ("198.51.100.7", "198.51.100.7"), ("2001:DB8::7", "2001:db8::7"),
    ("6.6.6.6, 198.51.100.7, 10.0.0.9", "198.51.100.7"),
    ("198.51.100.7, unknown", "127.0.0.1"), (None, "127.0.0.1")])
def test_a_trusted_proxy_names_it(world, trusting, said, meant):
    answer = ask(world, world.fresh(), worker=trusting,
                 headers={"X-Forwarded-For": said} if said else {})
    assert answer.status == 200
    assert recorded(world, answer) == meant
    assert not said or all("x-forwarded-for" not in request["headers"]
                           for request in world.received(0))  # it does not go on to a provider


@pytest.fixture(name="trusting", scope="module")
def fixture_trusting(shared_world):
    with shared_world.another("--trusted-proxy", "127.0.0.1,10.0.0.0/8,::1") as worker:
        yield worker
        worker.stop()


def test_the_log_has_it_and_the_audit_finds_it_by_its_network(world, trusting):
    answer = ask(world, "no/such-model", worker=trusting, order=None,
                 headers={"X-Forwarded-For": "203.0.113.99"})
    assert answer.status == 400
    generation = re.escape(answer.headers["X-Generation-Id"])
    trusting.log.wait(rf'"request ended" id={generation} .*client=203\.0\.113\.99')
    assert recorded(world, answer) == "203.0.113.99"
    rows = world.control.get("audit/requests", params={"client": "203.0.113.0/24"})["data"]
    assert [row["generation_id"] for row in rows] == [answer.headers["X-Generation-Id"]]


def test_a_wrong_network_stops_the_start_and_is_named():
    done = subprocess.run([BUILD / "switchboard-worker", "--trusted-proxy", "10.0.0.1/8",
                           "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "10.0.0.1/8" in done.stderr and "2001:db8::/32" in done.stderr
