"""What workers serve by: from the bus, from disk, after changes, after a rollback."""
import pytest

import traffic
from traffic import Traffic


@pytest.fixture(name="sim")
def fixture_sim(site):
    return site.sim(*traffic.SIM_FLAGS)


@pytest.fixture(name="pair")
def fixture_pair(site, control):
    """A worker of two processes."""
    return site.worker([control], workers=2)


def fresh_statuses(worker, key, count=16):
    """Of so many requests, each over a connection of its own: any process may get it."""
    statuses = set()
    for _ in range(count):
        client = worker.client(key)
        statuses.add(traffic.ask(client).status)
        client.close()
    return statuses


def test_a_worker_starts_from_disk_without_a_control_plane(control, pair, sim, database):
    key = traffic.apply(control, pair, sim)
    revision = traffic.snapshot(pair)["revision"]
    pair.stop()
    control.kill()
    pair.start()
    for n in range(pair.workers):
        status, body = pair.readiness(n)
        assert status == 200
        assert body["control_plane"] is False
        assert (body["snapshot"]["from"], body["snapshot"]["revision"]) == ("disk", revision)
    with Traffic(pair, key) as clients:
        clients.wait_more(20)
        control.start()
        for n in range(pair.workers):
            traffic.wait_until(lambda n=n: traffic.snapshot(pair, n)["from"] == "bus",
                               "a daemon confirms the snapshot")
        clients.wait_more(20)
    clients.check_none_failed()
    traffic.check_records(database, clients.answered)


def test_a_damaged_snapshot_on_disk_is_not_served(control, site, sim):
    worker = site.worker([control])
    key = traffic.apply(control, worker, sim)
    worker.stop()
    control.kill()
    damaged = list(worker.spool.glob("*/snapshot*"))
    assert damaged
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    worker.start(wait=False)
    worker.log.wait("cannot serve by the snapshot on disk")
    traffic.wait_until(lambda: worker.readiness()[0] == 503, "the worker says it is not ready")
    assert worker.readiness()[1]["reason"] == "no snapshot"
    assert traffic.ask(worker.client(key)).status == 503
    control.start()
    worker.wait_ready()
    assert traffic.snapshot(worker)["from"] == "bus"
    assert traffic.ask(worker.client(key)).status == 200


def test_a_snapshot_that_is_too_old_is_not_served(control, site, sim):
    worker = site.worker([control], "--snapshot-max-age", "1ms", "--start-wait", "10ms")
    traffic.apply(control, worker, sim)
    worker.stop()
    control.kill()
    worker.start(wait=False)
    worker.log.wait("cannot serve by the snapshot on disk")
    control.start()
    worker.wait_ready()


def test_a_new_credential_takes_effect_without_a_failed_request(control, pair, sim):
    key = traffic.apply(control, pair, sim)

    def sent():
        """Credentials that the provider has got since it was asked last."""
        found = {one["headers"]["authorization"] for one in sim.requests()
                 if one["target"].endswith("/chat/completions")}
        sim.forget()
        return found
    with Traffic(pair, key) as clients:
        clients.wait_more(20)
        assert sent() == {"Bearer house-1"}
        document = traffic.catalog(sim)
        document["providers"][0]["credential"]["value"] = "house-2"
        traffic.wait_revision(pair, control.apply(document)["revision"])
        clients.wait_more(len(clients.threads))  # those that were routed before
        sent()
        clients.wait_more(20)
        assert sent() == {"Bearer house-2"}
    clients.check_none_failed()


def test_a_revoked_key_is_refused_by_all_workers(control, pair, sim):
    key = traffic.apply(control, pair, sim)
    assert fresh_statuses(pair, key) == {200}
    answer = control.call("DELETE", "keys/app", params={"force": "true"})
    assert answer.status_code == 200, answer.text
    traffic.wait_revision(pair, answer.json()["revision"])
    assert fresh_statuses(pair, key) == {401}


def test_a_rollback_brings_back_what_was_served(control, pair, sim):
    key = traffic.apply(control, pair, sim)
    good = traffic.snapshot(pair)["revision"]
    answer = control.call("DELETE", f"endpoints/{traffic.MODEL}@acme")
    assert answer.status_code == 200, answer.text
    traffic.wait_revision(pair, answer.json()["revision"])
    assert fresh_statuses(pair, key, 4) <= {400, 404}
    answer = control.call("POST", f"revisions/{good}/rollback")
    assert answer.status_code == 200, answer.text
    assert answer.json()["revision"] > good
    traffic.wait_revision(pair, answer.json()["revision"])
    assert fresh_statuses(pair, key) == {200}
