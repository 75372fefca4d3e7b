"""switchboard-control on a real PostgreSQL, spoken to by a worker made of Python."""
import json
import subprocess
import threading

import msgpack
import pytest
import zmq

from control import Control
from fake_worker import (CREDITS, EXPLAIN, GENERATION, KEY, SUCCESS, FakeWorker, beat_row,
                         record)
from program import BUILD, PATIENCE, wait_until

CATALOG = {
    "version": 1,
    "providers": [{"slug": "acme", "name": "Acme", "dialect": "openai",
                   "base_url": "http://127.0.0.1:9/v1", "credential": {"value": "secret"}}],
    "models": [{"id": "a/m", "name": "M", "context_length": 1000, "input_modalities": ["text"],
                "output_modalities": ["text"]}],
    "endpoints": [{"model": "a/m", "provider": "acme",
                   "pricing": {"prompt": "0.10", "completion": "0.30"}}],
}


@pytest.fixture(name="home")
def fixture_home(site):
    return site.home


@pytest.fixture(name="worker")
def fixture_worker(control):
    with FakeWorker(control) as worker:
        worker.hello_until_leader()
        yield worker


# --- snapshots -----------------------------------------------------------------


def test_a_worker_gets_the_snapshot_and_is_synced(control, worker):
    snapshot = worker.get_snapshot()
    assert (snapshot.epoch, snapshot.revision) == worker.version
    worker.beat()
    worker.receive("HEARTBEAT")
    [entry] = control.get("workers")["data"]
    assert entry["worker"] == "w-0" and entry["state"] == "synced"
    assert entry["version"] == {"epoch": snapshot.epoch, "revision": snapshot.revision}
    assert entry["load"] == {"in_flight": 1, "connections": 2, "requests": 3}


def test_a_change_is_announced_and_served(control, worker):
    first = worker.get_snapshot()
    applied = control.apply(CATALOG)
    announced = worker.heard("ANNOUNCE", where=lambda m: m.revision == applied["revision"])
    assert (announced.epoch, announced.revision) == (first.epoch, first.revision + 1)
    snapshot = worker.get_snapshot()
    assert snapshot.hash == announced.hash and b"a/m" in snapshot.bulk
    assert b"secret" not in snapshot.bulk


def test_many_changes_are_announced_a_few_times_and_the_last_one_is(control, worker):
    for n in range(20):
        CATALOG["models"][0]["name"] = f"M{n}"
        last = control.apply(CATALOG)["revision"]
    worker.heard("ANNOUNCE", where=lambda m: m.revision == last)
    assert len(control.log.found("msg=announced")) < 20


def test_a_worker_that_refuses_a_snapshot_is_shown_with_its_reason(control, worker):
    worker.get_snapshot()
    control.apply(CATALOG)
    announced = worker.heard("ANNOUNCE", where=lambda m: m.revision > 0)
    worker.send("NACK", [announced.epoch, announced.revision, -1002, "unreadable"])
    worker.beat()
    worker.receive("HEARTBEAT")
    [entry] = control.get("workers")["data"]
    assert entry["state"] == "nacked"
    assert entry["refused"]["code"] == "EPARSE" and entry["refused"]["text"] == "unreadable"


def test_a_silent_worker_is_gone_and_comes_back(control, worker):
    worker.get_snapshot()
    wait_until(lambda: control.get("workers")["data"][0]["state"] == "gone", "the worker is gone")
    worker.beat()
    worker.receive("HEARTBEAT")
    assert control.get("workers")["data"][0]["state"] == "synced"


def test_malformed_messages_are_refused_and_the_bus_goes_on(worker):
    worker.dealer.send_multipart([b"\xc1", b""])
    worker.dealer.send_multipart([msgpack.packb([9, 1, 0]), b""])
    worker.dealer.send_multipart([msgpack.packb([1, 99, 0]), b""])
    worker.dealer.send_multipart([b"x"] * 40)
    worker.send("HELLO", [])
    worker.send("BATCH", ["w-0", 2**63, 1, 1], b"")
    worker.send("BATCH", ["a b", 1, 1, 1], b"")
    worker.get_snapshot()


# --- records --------------------------------------------------------------------


def test_a_batch_that_is_sent_twice_is_stored_once(database, worker):
    records = [record(generation=f"gen-{n}") for n in range(3)]
    assert worker.batch(1, records).last == 3
    assert worker.batch(1, records).last == 3
    assert worker.batch(3, [records[2], record(generation="gen-3")]).last == 4
    assert database.rows("SELECT sequence, generation FROM audit_requests ORDER BY sequence") == [
        (1, "gen-0"), (2, "gen-1"), (3, "gen-2"), (4, "gen-3")]


def test_a_record_is_stored_with_all_that_it_says(database, worker):
    worker.batch(1, [record(
        generation="gen-full", request_id="req", received_at=1760000000123456, took=5000,
        demanded=3, residency="eu", finish_reason="length", cost=-1, upstream_cost=2**62,
        evidence=[[1, 2, 20000, 0, "https://e", "me"]],
        attempts=[[7, "acme/turbo", "m", 9, 1, 503, 7, 10, 0, 20],
                  [8, "other", "m", 9, 2, 200, SUCCESS, 40, 30, 900]])])
    [row] = database.rows(
        "SELECT to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), request_id,"
        " took_us, demanded, residency, finish_reason, cost, upstream_cost, evidence, attempts,"
        " prompt_tokens, completion_tokens, usage_source, region FROM audit_requests")
    assert row[:8] == ("2025-10-09 08:53:20.123456", "req", 5000, 3, "eu", "length", -1, 2**62)
    assert row[8] == [{"claim": "zdr", "value": "yes", "attested_on": "2024-10-04",
                       "evidence": "https://e", "attested_by": "me"}]
    assert [attempt["endpoint_id"] for attempt in row[9]] == [7, 8]
    assert row[9][0]["status"] == 503 and row[9][1]["took_us"] == 900
    assert row[10:] == (7, 5, 1, "DE")


def test_dispatches_and_refusals_have_tables_of_their_own(database, worker):
    assert worker.batch(1, [record(kind=2, generation="gen-d"),
                            record(kind=3, refusal="no_key", refusals=41),
                            record(generation="gen-d")]).last == 3
    assert database.rows("SELECT sequence, generation FROM audit_dispatches") == [(1, "gen-d")]
    assert database.rows("SELECT sequence, reason, refusals FROM audit_refusals") == [
        (2, "no_key", 41)]
    assert database.rows("SELECT sequence FROM audit_requests") == [(3,)]


BAD = {
    "garbage": b"\xc1garbage",
    "text that is not UTF-8": record(model_asked="\udcff\udcfe"),
    "a number that no column takes": record(took=2**63),
    "a time that the database has not": record(received_at=-2**62),
    "an id too long for its index": record(generation="x" * 64, request_id="\udcff"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_record_that_is_refused_is_quarantined_and_blocks_nothing(database, worker, bad):
    records = [record(generation=f"gen-{n}") for n in range(9)]
    records[4] = bad
    assert worker.batch(1, records).last == 9
    assert worker.batch(10, [record()]).last == 10
    stored = {row[0] for row in database.rows("SELECT sequence FROM audit_requests")}
    assert stored == {1, 2, 3, 4, 6, 7, 8, 9, 10}
    [(sequence, problem, kept)] = database.rows("SELECT sequence, problem, bytes FROM quarantine")
    assert sequence == 5 and bytes(kept) == bad and problem


def test_a_batch_that_is_broken_in_the_middle_is_kept_and_acknowledged(database, worker):
    good = record(generation="gen-good")
    bulk = len(good).to_bytes(4, "big") + good + b"\xff\xff\xff\xffrest"
    worker.send("BATCH", [worker.name, worker.boot, 1, 3], bulk)
    assert worker.receive("BATCH_OK").last == 2
    assert database.rows("SELECT sequence, generation FROM audit_requests") == [(1, "gen-good")]
    [(sequence, kept)] = database.rows("SELECT sequence, bytes FROM quarantine")
    assert sequence == 2 and bytes(kept) == b"\xff\xff\xff\xffrest"


def test_boots_are_counted_apart_and_an_adopted_spool_is_stored_too(database, worker):
    assert worker.batch(1, [record()], boot=100).last == 1
    assert worker.batch(1, [record()], boot=200).last == 1
    assert worker.batch(1, [record()], worker="w-1", boot=100).last == 1
    assert worker.batch(2, [record()], boot=100).last == 2
    assert database.rows("SELECT worker_id, boot_id, last_seq FROM ingest_cursor ORDER BY 1, 2") == [
        ("w-0", 100, 2), ("w-0", 200, 1), ("w-1", 100, 1)]


def test_records_of_other_days_find_their_place(database, worker):
    day = 86400 * 10**6
    assert worker.batch(1, [record(received_at=1600000000 * 10**6),
                            record(received_at=1600000000 * 10**6 + 10000 * day),
                            record()]).last == 3
    assert database.one("SELECT count(*) FROM audit_requests_default") == 2
    assert database.one("SELECT count(*) FROM audit_requests") == 3


def test_many_workers_at_once_are_stored_exactly_once(control, database):
    control.log.wait("msg=leading")
    workers, batches, size = 6, 12, 20

    def run(number):
        with FakeWorker(control, f"w-{number}") as worker:
            worker.hello_until_leader()
            for n in range(batches):
                records = [record(generation=f"gen-{number}-{n}-{i}") for i in range(size)]
                for _ in range(2):  # the second time as a worker that lost the answer
                    assert worker.batch(1 + n * size, records).last == (n + 1) * size

    threads = [threading.Thread(target=run, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    total = workers * batches * size
    assert database.one("SELECT count(*) FROM audit_requests") == total
    assert database.one("SELECT count(DISTINCT generation) FROM audit_requests") == total


# --- questions --------------------------------------------------------------------


def test_a_generation_is_found_by_its_tenant_alone(worker):
    worker.batch(1, [record(generation="gen-x", tenant=7)])
    answer = worker.ask(GENERATION, "gen-x", tenant=7)
    assert answer.status == 200
    data = json.loads(answer.bulk)["data"]
    assert data["id"] == "gen-x" and data["provider_name"] == "acme"
    assert len(data["provider_responses"]) == 1
    assert worker.ask(GENERATION, "gen-x", tenant=8).status == 404
    assert worker.ask(GENERATION, "gen-y", tenant=7).status == 404
    assert worker.ask(GENERATION, "\udcff", tenant=7).status == 404


def test_a_key_and_its_credits_add_up_exactly(control, database, worker):
    control.apply(CATALOG)
    made = control.call("PUT", "keys/app", json={"tenant": "default"})
    assert made.status_code in (200, 201), made.text
    [(key, tenant)] = database.rows("SELECT id, tenant_id FROM keys")
    worker.batch(1, [record(key=key, tenant=tenant, cost=1),
                     record(key=key, tenant=tenant, cost=3 * 10**15),
                     record(key=key, tenant=tenant, cost=0, upstream_cost=5, credential_kind=2),
                     record(key=key, tenant=tenant + 1, cost=10**15)])
    answer = worker.ask(KEY, tenant=tenant, key=key)
    assert answer.status == 200
    data = json.loads(answer.bulk, parse_float=str)["data"]
    assert data["usage"] == "4.000000000000001" and data["byok_usage"] == "0.000000000000005"
    assert data["limit"] is None and data["label"]
    credits = json.loads(worker.ask(CREDITS, tenant=tenant).bulk, parse_float=str)["data"]
    assert credits["total_usage"] == "3.000000000000001"
    assert worker.ask(KEY, tenant=tenant + 1, key=key).status == 404


def test_a_question_of_a_newer_worker_is_answered_501(worker):
    assert worker.ask(77).status == 501


def test_explain_asks_a_live_worker_and_gives_its_answer(control, worker):
    worker.get_snapshot()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(
        control.call("POST", "explain?worker=w-0&key=app", json={"model": "a/m"})))
    asking.start()
    query = worker.receive("QUERY")
    assert query.what == EXPLAIN and query.argument == "app"
    assert json.loads(query.bulk) == {"model": "a/m"}
    worker.send("ANSWER", [query.id + 1, 200], b'{"of": "nobody"}')
    worker.send("ANSWER", [query.id, 200], b'{"chosen": "acme"}')
    asking.join(PATIENCE)
    assert answers[0].status_code == 200 and answers[0].json() == {"chosen": "acme"}
    assert control.call("POST", "explain?worker=nobody", json={}).status_code == 404


# --- tables -----------------------------------------------------------------------


def test_telemetry_becomes_tables_for_all_and_on_demand(control, database, worker):
    control.apply(CATALOG)
    bad = database.one("SELECT id FROM endpoints")
    good = bad + 1000  # measured, and not in the catalogue any more
    worker.beat([beat_row(good, attempts=3, successes=3),
                 beat_row(bad, successes=0, faults=6, attempts=6)])
    update = worker.heard("TABLES")
    rows = {row.endpoint: row for row in update.rows}
    assert not update.complete and update.sequence == 1
    assert rows[good].samples == 3 and rows[good].uptime == 1000000 and not rows[good].outage
    assert rows[bad].outage and rows[bad].uptime == 0
    worker.send("GET", [2, 1, 0, 0])
    everything = worker.receive("TABLES")
    assert everything.complete and everything.sequence == update.sequence
    assert {row.endpoint for row in everything.rows} == {good, bad}
    [shown] = control.get("tables")["data"]
    assert shown["endpoint_id"] == bad and shown["health"] == "outage" and shown["faults"] == 6


# --- epochs -----------------------------------------------------------------------


@pytest.mark.parametrize("what", ["later", "other bytes", "later term"])
def test_a_worker_that_knows_another_history_makes_a_new_epoch(control, worker, what):
    old = worker.get_snapshot()
    if what == "later":
        worker.version = (old.epoch, old.revision + 5)
    elif what == "other bytes":
        worker.hash = bytes(32)
    worker.hello(term=99 if what == "later term" else 0)
    new = worker.heard("ANNOUNCE", where=lambda m: m.epoch > old.epoch)
    assert new.revision == old.revision
    snapshot = worker.get_snapshot()
    assert snapshot.epoch == new.epoch
    worker.hello()
    assert not control.log.found("far future")
    assert len(control.log.found("began a new epoch")) == 1


def test_an_epoch_above_the_workers_is_found_for_one_from_elsewhere(control, worker):
    old = worker.get_snapshot()
    seen = old.epoch + 10**12  # a fortnight ahead of the clock
    worker.version = (seen, 1)
    worker.hello()
    assert worker.heard("ANNOUNCE", where=lambda m: m.epoch > old.epoch).epoch == seen + 1


def test_nonsense_of_the_far_future_is_not_followed(control, worker):
    old = worker.get_snapshot()
    worker.version = (2**62, 1)
    worker.hello()
    control.log.wait("far future")
    worker.version = (0, 0)
    assert worker.get_snapshot().epoch == old.epoch


@pytest.mark.parametrize("sign", ["system_identifier", "timeline", "flag", "none"])
def test_a_database_from_elsewhere_begins_a_new_epoch(database, home, sign):
    with Control(database, home) as control:
        control.log.wait("msg=leading")
        epoch = database.one("SELECT epoch FROM config_head")
    if sign in ("system_identifier", "timeline"):
        database.rows(f"UPDATE leadership SET {sign} = {sign} + 1")
    flags = ["--new-epoch"] if sign == "flag" else []
    with Control(database, home, *flags) as control:
        control.log.wait("msg=leading")
        assert (database.one("SELECT epoch FROM config_head") > epoch) == (sign != "none")


# --- start and end ------------------------------------------------------------------


def test_settings_that_are_wrong_stop_the_start_with_a_sentence(database, home):
    for flags, said in ((["--control", "tcp://10.0.0.1:1"], "10.0.0.1"),
                        (["--bus-key", "x"], "bus-clients"), (["--tables-interval", "1"], "100")):
        command = [BUILD / "switchboard-control", "--database", database.service, *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 2 and said in done.stderr, done.stderr


def test_a_schema_of_the_future_is_left_alone(database, home):
    with Control(database, home) as control:
        control.log.wait("msg=leading")
    database.rows("INSERT INTO migrations (number, name, hash) VALUES (9999, 'future', '')")
    control = Control(database, home)
    control.start(expect_end=True)
    assert control.process.wait(PATIENCE) == 1
    assert control.log.found("newer than this program")


def test_a_daemon_without_owner_serves_a_schema_that_is_there(database, home):
    with Control(database, home) as control:
        control.log.wait("msg=leading")
    with Control(database, home, owner=False) as control, FakeWorker(control) as worker:
        worker.hello_until_leader()
        worker.get_snapshot()


# --- CURVE ------------------------------------------------------------------------------


def make_key(path):
    public, secret = zmq.curve_keypair()
    path.touch(0o600)
    path.write_text(f"# switchboard bus key\npublic: {public.decode()}\nsecret: {secret.decode()}\n")
    return public, secret


@pytest.fixture(name="secure")
def fixture_secure(database, home):
    server_public, _ = make_key(home.path / "server.key")
    clients = home.path / "clients"
    clients.mkdir()
    keys = zmq.curve_keypair()
    (clients / "host.pub").write_text(f"public: {keys[0].decode()}\n")
    with Control(database, home, "--bus-key", str(home.path / "server.key"), "--bus-clients",
                 str(clients), addresses=("tcp://127.0.0.1:*",) * 2) as control:
        listening = control.log.wait(r'control="?([^" ]+)"? publish="?([^" ]+)"? curve=yes')
        control.control, control.publish = listening.groups()
        control.log.wait("msg=leading")
        yield control, server_public, keys, clients


def test_a_worker_is_who_its_key_says(secure):
    control, server, keys, _ = secure
    with FakeWorker(control, "host-3", keys=keys, server_key=server) as worker:
        assert worker.hello_until_leader().kind == "WELCOME"
        worker.get_snapshot()
        assert worker.batch(1, [record()], worker="host-4").last == 1  # its neighbour's spool
        worker.batch(1, [record()], worker="other-0", wait=False)
        worker.name = "other-0"
        worker.hello(wait=False)
        control.log.wait("refused a message.* kind=BATCH key=host")
        control.log.wait("refused a message.* kind=HELLO key=host")
    assert [entry["worker"] for entry in control.get("workers")["data"]] == ["host-3"]


def test_an_unknown_key_gets_in_once_it_is_authorised_and_not_after(secure):
    control, server, _, clients = secure
    keys = zmq.curve_keypair()
    with FakeWorker(control, "late", keys=keys, server_key=server) as worker:
        control.log.wait("turned a worker away")
        (clients / "late.pub").write_text(f"public: {keys[0].decode()}\n")
        control.reload()
        control.log.wait("read the keys of the workers again")
        assert worker.hello_until_leader().kind == "WELCOME"
        (clients / "late.pub").unlink()
        control.reload()
        control.log.wait("read the keys of the workers again", 2)
        worker.hello(wait=False)
        control.log.wait("refused a message.*EAUTH")
