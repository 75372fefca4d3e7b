"""Every answered request has exactly one record, whatever goes wrong meanwhile."""
import os
import signal
import threading

import pytest

import traffic
from traffic import Traffic

SOME = 40  # answers that pass between one event and the next


@pytest.fixture(name="sim")
def fixture_sim(site):
    return site.sim(*traffic.SIM_FLAGS)


def nothing(control, postgres, clients):
    clients.wait_more(5 * SOME)


def the_control_daemon_is_killed(control, postgres, clients):
    control.kill()
    clients.wait_more(2 * SOME)
    control.start()


def the_database_is_killed(control, postgres, clients):
    postgres.halt(signal.SIGQUIT)
    clients.wait_more(2 * SOME)
    postgres.start()


def both_are_killed(control, postgres, clients):
    postgres.halt(signal.SIGQUIT)
    clients.wait_more(SOME)
    control.kill()
    clients.wait_more(SOME)
    postgres.start()
    control.start()


@pytest.mark.parametrize("event", [nothing, the_control_daemon_is_killed, the_database_is_killed,
                                   both_are_killed])
def test_each_answer_has_one_record_after(event, site, control, sim, postgres, database):
    worker = site.worker([control], workers=2)
    key = traffic.apply(control, worker, sim)
    with Traffic(worker, key) as clients:
        clients.wait_more(SOME)
        try:
            event(control, postgres, clients)
        finally:
            if postgres.process is None:
                postgres.start()
        clients.wait_more(SOME)
    clients.check_none_failed()
    traffic.check_records(database, clients.answered)


def test_a_killed_worker_loses_no_record_and_is_back(site, control, sim, database):
    worker = site.worker([control], "--start-wait", "0")
    key = traffic.apply(control, worker, sim)
    victim = int(worker.log.wait(r"worker started.* slot=0 worker_pid=(\d+)")[1])
    # What it has not sent by then can only come from its spool.
    control.signal(signal.SIGSTOP)
    with Traffic(worker, key) as clients:
        clients.wait_more(SOME)
        before = [one.generation for one in clients.answered]
        os.kill(victim, signal.SIGKILL)
        worker.log.wait(r"worker started.* slot=0", count=2)
        clients.wait_more(2 * SOME)
        control.signal(signal.SIGCONT)
        clients.wait_more(SOME)
    # Its successor accepts before it holds a snapshot, and says so until then.
    for one in clients.refused:
        assert one.status == 503 and int(one.headers["Retry-After"]) > 0, clients.summary()
    # Only what the killed process held: one request of each client.
    assert len(clients.failed) <= len(clients.threads), clients.summary()
    traffic.check_records(database, clients.answered)
    assert int(worker.log.wait(r"records of an earlier boot are stored.* last=(\d+)")[1]) >= SOME
    boots = database.rows("SELECT boot_id, count(*) FROM audit_requests WHERE generation = ANY(%s)"
                          " GROUP BY boot_id", before)
    assert [count for _, count in boots] == [len(before)]  # as its own, not as its successor's


def test_streams_that_run_are_finished_and_recorded_while_draining(site, control, sim, database):
    worker = site.worker([control], workers=2)
    key = traffic.apply(control, worker, sim)
    sim.behave(hold_after=3)
    answers = []
    threads = [threading.Thread(target=lambda n=n: answers.append(
        traffic.ask(worker.client(key), f"held-{n}", stream=True))) for n in range(6)]
    for thread in threads:
        thread.start()
    sim.wait(held=len(threads))
    worker.signal(signal.SIGTERM)
    sim.restore()
    sim.release()
    for thread in threads:
        thread.join()
    worker.stop()
    assert [one.status for one in answers] == [200] * len(threads)
    # The worker is gone, so what is stored was flushed by it.
    traffic.check_records(database, answers)


def test_draining_under_load_flushes_the_spool(site, control, sim, database):
    worker = site.worker([control], "--drain-delay", "300ms", workers=2)
    key = traffic.apply(control, worker, sim)
    with Traffic(worker, key) as clients:
        clients.wait_more(SOME)
        worker.stop()
    assert not clients.refused, clients.summary()
    traffic.check_records(database, clients.answered)


def test_a_record_that_the_database_refuses_holds_up_no_other(site, control, sim, database):
    worker = site.worker([control])
    key = traffic.apply(control, worker, sim)
    owner = database.connect("switchboard_owner")
    owner.cursor().execute("ALTER TABLE audit_requests ADD CHECK (model_asked <> 'lab/cursed')")
    owner.close()
    client = worker.client(key)
    cursed = []
    with Traffic(worker, key) as clients:
        for n in range(10):
            clients.wait_more(3)
            cursed.append(traffic.ask(client, f"cursed-{n}", model="lab/cursed"))
        clients.wait_more(SOME)
    client.close()
    clients.check_none_failed()
    assert [one.status for one in cursed] == [200] * len(cursed)
    traffic.check_records(database, clients.answered)
    traffic.wait_until(
        lambda: database.one("SELECT count(*) FROM quarantine") == len(cursed), "quarantine")
    assert database.one("SELECT count(*) FROM audit_requests WHERE model_asked = 'lab/cursed'"
                        ) == 0
    held = [bytes(row[0]) for row in database.rows("SELECT bytes FROM quarantine")]
    for one in cursed:
        assert sum(one.generation.encode() in record for record in held) == 1


def test_records_that_come_while_the_database_is_slow_need_no_other_to_be_sent(
        site, control, sim, database):
    worker = site.worker([control])
    key = traffic.apply(control, worker, sim)
    client = worker.client(key)
    locker = database.connect()
    locker.autocommit = False
    locker.cursor().execute("LOCK TABLE audit_requests")
    answered = [traffic.ask(client, "first")]
    traffic.wait_until(lambda: database.one("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0,
                       "the first record waits for the lock")
    answered += [traffic.ask(client, f"later-{n}") for n in range(3)]
    # Such a beat comes long after the worker has looked for new records, and gone to sleep.
    traffic.wait_until(lambda: control.get("workers")["data"][0].get("spool", {}).get("records")
                       == len(answered), "the worker says that all of them wait")
    locker.rollback()
    locker.close()
    traffic.check_records(database, answered)
    client.close()


def test_a_full_spool_refuses_requests_until_records_are_stored(site, control, sim, database):
    worker = site.worker([control], "--spool-limit", "1MiB")
    key = traffic.apply(control, worker, sim)
    control.kill()
    sim.behave(first_token_ms=0)
    with Traffic(worker, key) as clients:
        with clients.changed:
            assert clients.changed.wait_for(lambda: clients.refused, traffic.PATIENCE), \
                clients.summary()
    assert not clients.failed, clients.summary()
    for one in clients.refused:
        assert one.status == 503
        assert int(one.headers["Retry-After"]) > 0
    control.start()
    with Traffic(worker, key, threads=1, most=1) as probe:
        pass
    client = worker.client(key)
    again = traffic.wait_until(lambda: [one for one in [traffic.ask(client, "again")]
                                        if one.status == 200], "requests are answered again")
    client.close()
    traffic.check_records(database, clients.answered + probe.answered + again)


def test_the_admin_api_finds_records_by_filters(site, control, sim, database):
    worker = site.worker([control])
    key = traffic.apply(control, worker, sim)
    client = worker.client(key)
    plain = traffic.ask(client, "plain")
    streamed = traffic.ask(client, "streamed", stream=True)
    other = traffic.ask(client, "other", model="lab/cursed")
    client.close()
    traffic.check_records(database, [plain, streamed, other])

    def found(**filters):
        return {row["request_id"] for row in
                control.get("audit/requests", params=filters)["data"]}
    everything = {"plain", "streamed", "other"}
    assert found() == found(key="app") == found(provider="acme") == everything
    assert found(generation_id=streamed.generation) == {"streamed"}
    assert found(model="lab/cursed") == {"other"}
    assert found(model=traffic.MODEL, outcome="success") == {"plain", "streamed"}
    assert found(min_cost="0.0000025") == everything
    assert found(min_cost="0.0000026") == found(provider="bolt") == found(zdr="true") == set()
    [row] = control.get("audit/requests", params={"generation_id": plain.generation})["data"]
    assert (row["cost"], row["tokens"]["prompt"], row["tokens"]["completion"]) == (
        "0.0000025", traffic.PROMPT_TOKENS, traffic.COMPLETION_TOKENS)
