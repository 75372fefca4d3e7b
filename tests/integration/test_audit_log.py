"""The audit log: proofs and checkpoints for readers that are not ours, and what who owns the database
cannot do unseen."""
import json
import os
import re
import time

import pytest

import tlog
from fake_worker import FakeWorker, record
from program import wait_until
from test_tables import Receiver

SOME = 600  # entries: more than two tiles of the lowest level


def private(path, text):
    path.touch(0o600)
    path.write_text(text)
    return path


class Log:
    """A control daemon that signs, and the log as an auditor has it: over REST, and by the file."""

    def __init__(self, site, *flags):
        self.site = site
        self.key_file = site.home.path / "log.key"
        self.file = site.home.path / "checkpoints"
        if not self.key_file.exists():
            site.ctl("log-key", "new", self.key_file, "--name", "example.com/log")
        public = (site.home.path / "log.key.pub").read_text()
        self.key = tlog.Key(re.search(r"^public: (.*)$", public, re.M)[1])
        self.flags = ["--log-key", str(self.key_file), "--checkpoint-file", str(self.file),
                      "--checkpoint-interval", "200ms", *flags]
        self.control = site.control(*self.flags)
        wait_until(self.control.is_ready, "the control daemon is ready")

    # --- filling it ---

    def fill(self, count, batch=50, first=1, boot=1, worker="w-0", days=0):
        """So many records of a worker's boot and so many days ago, in batches; they are stored when
        it returns."""
        at_time = int((time.time() - days * 86400) * 1e6)
        with FakeWorker(self.control, worker, boot=boot) as fake:
            fake.hello_until_leader()
            for at in range(first, first + count, batch):
                n = min(batch, first + count - at)
                fake.batch(at, [record(generation=f"gen-{boot}-{at + i}", received_at=at_time)
                                for i in range(n)])

    def checkpoints(self):
        """[(size, root)] of the file, as an independent reader understands them."""
        if not self.file.exists() or not self.file.read_text():
            return []
        return [tlog.open_checkpoint(note, self.key)
                for note in tlog.split_notes(self.file.read_text())]

    def newest(self):
        found = re.findall(r"^example\.com/log\n(\d+)\n", self.file.read_text(), re.M) \
            if self.file.exists() else []
        return int(found[-1]) if found else 0

    def wait_signed(self, size=None):
        """Until the file has a checkpoint of the log as it is (or of a size)."""
        if size is None:
            size = self.size()
        wait_until(lambda: self.newest() >= size, f"a checkpoint of {size} entries")
        return size

    # --- reading it ---

    def size(self):
        return self.control.get("audit/edge")["head"]

    def lines(self, **params):
        answer = self.control.call("GET", "audit/log", params=params)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        return answer.content.splitlines()

    def entries(self, **params):
        """The bytes of each entry, which have to be the canonical ones."""
        entries = []
        for line in self.lines(**params):
            whole = json.loads(line)
            entry = json.dumps(whole["entry"], sort_keys=True, separators=(",", ":"),
                               ensure_ascii=False).encode()
            assert line == (b'{"leaf":%d,"hash":"%s","entry":%s}'
                            % (whole["leaf"], whole["hash"].encode(), entry))
            assert whole["leaf"] == params.get("from", 0) + len(entries)
            entries.append(entry)
        return entries

    def verify(self, *words, key=None, file=None):
        done = self.site.ctl("audit", "verify", "--checkpoints", file or self.file, "--log-key",
                             key or f"{self.key_file}.pub", "-o", "json", *words,
                             control=self.control, check=False)
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout, done.stderr
        result = json.loads(done.stdout)
        assert result["ok"] == (done.returncode == 0) == (not result["findings"]), result
        return result


@pytest.fixture(name="log")
def fixture_log(site):
    return Log(site)


@pytest.fixture(name="full")
def fixture_full(log):
    """A log with some entries, in several checkpoints."""
    for first in (1, 201, 401):
        log.fill(SOME // 3, first=first)
        log.wait_signed()
    return log


# --- proofs, checked by others -----------------------------------------------------------------------


def test_roots_of_checkpoints_are_those_of_the_entries(full):
    leaves = [tlog.leaf_hash(entry) for entry in full.entries()]
    checkpoints = full.checkpoints()
    assert checkpoints[-1][0] == len(leaves) >= SOME
    assert [size for size, _ in checkpoints] == sorted({size for size, _ in checkpoints})
    for size, root in checkpoints:
        assert tlog.root_of(leaves[:size]) == root
    kinds = [json.loads(entry)["kind"] for entry in full.entries()]
    assert kinds.count("request") == SOME


def test_the_edge_is_that_of_the_tree_at_any_size(full):
    leaves = [tlog.leaf_hash(entry) for entry in full.entries()]
    for size in (0, 1, 2, 255, 256, 257, 511, 512, 513, len(leaves)):
        edge = full.control.get("audit/edge", params={"size": size})
        assert [bytes.fromhex(one) for one in edge["edge"]] == tlog.edge_of(leaves[:size])
        assert bytes.fromhex(edge["root"]) == tlog.root_of(leaves[:size])
    answer = full.control.call("GET", "audit/edge", params={"size": 10 ** 9})
    assert answer.status_code == 404 and "1000000000" in answer.json()["error"]["message"]


def test_inclusion_proofs_lead_to_the_signed_root(full):
    leaves = [tlog.leaf_hash(entry) for entry in full.entries()]
    signed = dict(full.checkpoints())
    for size in (1, 2, 3, 256, 257, 300, 512, 600, max(signed)):
        for leaf in {0, size // 3, size - 1}:
            proof = full.control.get("audit/proof", params={"leaf": leaf, "size": size})
            root = tlog.inclusion_root(tlog.leaf_hash(proof["entry"].encode()), leaf, size,
                                       [bytes.fromhex(one) for one in proof["proof"]])
            assert root == tlog.root_of(leaves[:size]), (leaf, size)
    proof = full.control.get("audit/proof", params={"generation_id": "gen-1-77"})
    assert json.loads(proof["entry"])["generation"] == "gen-1-77"
    size, root = tlog.open_checkpoint(proof["checkpoint"], full.key)
    assert size == proof["size"] == max(signed) and root == signed[size]
    assert tlog.inclusion_root(tlog.leaf_hash(proof["entry"].encode()), proof["leaf"], size,
                               [bytes.fromhex(one) for one in proof["proof"]]) == root


def test_consistency_proofs_join_two_checkpoints(full):
    leaves = [tlog.leaf_hash(entry) for entry in full.entries()]
    sizes = [1, 2, 128, 255, 256, 257, 384, 512, 513, len(leaves)]
    for first in sizes:
        for second in sizes:
            if first > second:
                continue
            answer = full.control.get("audit/consistency", params={"from": first, "to": second})
            assert tlog.is_consistent(first, tlog.root_of(leaves[:first]), second,
                                      tlog.root_of(leaves[:second]),
                                      [bytes.fromhex(one) for one in answer["proof"]])
    signed = full.checkpoints()
    answer = full.control.get("audit/consistency",
                              params={"from": signed[0][0], "to": signed[-1][0]})
    assert tlog.open_checkpoint(answer["from_checkpoint"], full.key) == signed[0]
    assert tlog.open_checkpoint(answer["to_checkpoint"], full.key) == signed[-1]


def test_questions_that_make_no_sense_are_refused(full):
    for path, params, status in [
            ("audit/proof", {}, 400), ("audit/proof", {"leaf": 1, "generation_id": "x"}, 400),
            ("audit/proof", {"leaf": 10 ** 9}, 404), ("audit/proof", {"leaf": -1}, 400),
            ("audit/proof", {"leaf": 5, "size": 5}, 404),
            ("audit/proof", {"generation_id": "gen-none"}, 404),
            ("audit/consistency", {"from": 5}, 400), ("audit/consistency", {"from": 5, "to": 4}, 400),
            ("audit/consistency", {"from": 5, "to": 10 ** 9}, 404),
            ("audit/log", {"from": "x"}, 400), ("audit/checkpoints", {"cursor": "x"}, 400)]:
        answer = full.control.call("GET", path, params=params)
        assert answer.status_code == status, (path, params, answer.text)
    assert full.lines(**{"from": 5, "to": 5}) == []
    assert [json.loads(one)["leaf"] for one in full.lines(**{"from": 3, "to": 6})] == [3, 4, 5]


def test_checkpoints_are_listed_newest_first(full):
    page = full.control.get("audit/checkpoints", params={"limit": 2})
    listed = page["data"]
    while page["next_cursor"]:
        page = full.control.get("audit/checkpoints",
                                params={"limit": 2, "cursor": page["next_cursor"]})
        listed += page["data"]
    assert [one["size"] for one in listed] == [size for size, _ in reversed(full.checkpoints())]
    latest = full.control.get("audit/checkpoints/latest")
    assert latest == listed[0]
    assert tlog.open_checkpoint(latest["note"], full.key) == full.checkpoints()[-1]


# --- the verifier, when all is well ---------------------------------------------------------------------


def test_a_log_that_nobody_touched_verifies(full):
    result = full.verify()
    assert result["ok"] and result["entries"] == result["signed"] == full.newest()
    assert result["checkpoints"] == len({size for size, _ in full.checkpoints()})


def test_a_part_of_the_log_verifies_from_checkpoint_to_checkpoint(full):
    sizes = [size for size, _ in full.checkpoints()]
    assert len(sizes) >= 3
    result = full.verify("--from", sizes[0] + 5, "--to", sizes[1] - 5)
    assert result["ok"]
    assert (result["from"], result["next"]) == (sizes[0], sizes[1])


def test_a_log_in_a_file_verifies_without_the_server(full, tmp_path):
    path = tmp_path / "log.ndjson"
    path.write_bytes(full.control.call("GET", "audit/log").content)
    words = ["audit", "verify", "--checkpoints", full.file, "--log-key", f"{full.key_file}.pub"]
    shown = full.site.ctl(*words, path).stdout
    assert "nothing was removed, changed, inserted or reordered" in shown
    text = path.read_bytes()
    path.write_bytes(text.replace(b'"generation":"gen-1-70"', b'"generation":"gen-1-71"'))
    done = full.site.ctl(*words, path, check=False)
    assert done.returncode == 1
    assert "its columns were changed" in done.stdout and "1 finding" in done.stdout
    path.write_bytes(text[:len(text) // 2])
    done = full.site.ctl(*words, path, check=False)
    assert done.returncode == 1 and "shorter" in done.stdout


def test_prove_and_consistency_say_what_they_proved(full):
    words = ["--checkpoints", full.file, "--log-key", f"{full.key_file}.pub"]
    shown = full.site.ctl("audit", "prove", "gen-1-10", *words, control=full.control).stdout
    assert shown.startswith("proved: entry ") and '"generation":"gen-1-10"' in shown
    bundle = json.loads(full.site.ctl("audit", "prove", "12", *words, "-o", "json",
                                      control=full.control).stdout)
    assert bundle["leaf"] == 12
    sizes = [size for size, _ in full.checkpoints()]
    shown = full.site.ctl("audit", "consistency", sizes[0], sizes[-1], *words,
                          control=full.control).stdout
    assert shown.startswith("proved: ")
    done = full.site.ctl("audit", "consistency", sizes[0] - 1, sizes[-1], *words,
                         control=full.control, check=False)
    assert done.returncode == 1 and "no checkpoint of" in done.stderr


def test_a_log_that_nobody_has_signed_yet_is_told_from_a_wrong_file(site, control):
    site.ctl("log-key", "new", site.home.path / "log.key", "--name", "example.com/log")
    words = ["audit", "verify", "--log-key", site.home.path / "log.key.pub"]
    done = site.ctl(*words, control=control, check=False,
                    env={**os.environ, "SWITCHBOARD_HOME": str(site.home.path)})
    assert done.returncode == 1 and "try again" in done.stderr, done.stderr
    assert f"neither in {site.home.path}/checkpoints nor in the database" in done.stderr
    empty = private(site.home.path / "none", "")
    log = private(site.home.path / "log.ndjson", "")
    done = site.ctl(*words, "--checkpoints", empty, log, check=False)
    assert done.returncode == 1 and f"is {empty} the right file?" in done.stderr, done.stderr


def test_a_terminal_gets_colours_and_a_pipe_does_not(full):
    words = ["audit", "verify", "--checkpoints", full.file, "--log-key", f"{full.key_file}.pub"]
    assert "\x1b" not in full.site.ctl(*words, control=full.control).stdout
    assert "\x1b[32m" in full.site.ctl(*words, "--color", "always", control=full.control).stdout


# --- attacks by who owns the database -------------------------------------------------------------------


def findings(result, kind):
    return [(one["from"], one["to"]) for one in result["findings"] if one["kind"] == kind]


def leaf_of(database, generation):
    return database.one("SELECT leaf FROM audit_requests WHERE generation = %s", generation)


def test_a_row_that_was_changed_is_named(full, database):
    leaf = leaf_of(database, "gen-1-250")
    database.rows("UPDATE audit_requests SET cost = cost + 1 WHERE generation = 'gen-1-250'")
    result = full.verify()
    assert findings(result, "changed") == [(leaf, leaf)]
    assert "gen-1-250" in result["findings"][0]["text"] and len(result["findings"]) == 1
    done = full.site.ctl("audit", "prove", "gen-1-250", "--checkpoints", full.file, "--log-key",
                         f"{full.key_file}.pub", control=full.control, check=False)
    assert done.returncode == 1 and "not what was signed" in done.stderr


@pytest.mark.parametrize("change", [
    "attempts = attempts || '[]'::jsonb || '[{\"tag\": \"x\"}]'::jsonb", "region = 'US'",
    "evidence = '[1]'", "leaf = NULL", "received_at = received_at + interval '1 us'",
    "client_address = '192.0.2.1'", "demanded = 1", "worker_id = 'w-1'"])
def test_whatever_column_was_changed_it_shows(log, database, change):
    log.fill(20)
    log.wait_signed()
    assert log.verify()["ok"]
    database.rows(f"UPDATE audit_requests SET {change} WHERE generation = 'gen-1-9'")
    assert not log.verify()["ok"]


def test_rows_that_were_removed_are_named(full, database):
    leaves = sorted(leaf_of(database, f"gen-1-{n}") for n in range(100, 110))
    database.rows("DELETE FROM audit_requests WHERE leaf BETWEEN %s AND %s", leaves[0], leaves[-1])
    result = full.verify()
    assert findings(result, "missing") == [(leaves[0], leaves[-1])]
    assert result["findings_total"] == 1  # the worker's sequence has the same hole


def test_rows_that_were_swapped_are_named(full, database):
    one, other = leaf_of(database, "gen-1-20"), leaf_of(database, "gen-1-30")
    database.rows("UPDATE audit_requests SET leaf = CASE leaf WHEN %s THEN %s ELSE %s END"
                  " WHERE leaf IN (%s, %s)", one, other, one, one, other)
    result = full.verify()
    assert findings(result, "moved") == [(one, one), (other, other)]
    assert f"was entry {other}" in result["findings"][0]["text"]


COPY = ("INSERT INTO audit_requests SELECT (jsonb_populate_record(r, jsonb_build_object("
        "'sequence', 100000, 'generation', 'gen-forged', 'leaf', {}::bigint))).*"
        " FROM audit_requests r WHERE r.generation = 'gen-1-40'")


def test_a_row_that_was_inserted_is_named(full, database):
    leaf = leaf_of(database, "gen-1-40")
    database.rows(COPY.format(leaf))
    result = full.verify()
    assert findings(result, "inserted") == [(leaf, leaf)]
    assert "gen-forged" in result["findings"][0]["text"] and result["findings_total"] == 1


def test_a_row_behind_the_end_is_named(full, database):
    database.rows(COPY.format(10 ** 6))
    assert findings(full.verify(), "inserted") == [(10 ** 6, 10 ** 6)]


def test_a_row_without_a_leaf_is_named(full, database):
    database.rows(COPY.format("NULL"))
    result = full.verify()
    assert [one["kind"] for one in result["findings"]] == ["inserted"]
    assert "gen-forged" in result["findings"][0]["text"]


def test_no_table_can_excuse_a_row_without_a_leaf(full, database):
    """When the log began is what the log itself says, not the migrations."""
    database.rows("UPDATE migrations SET applied_at = now() + interval '1 day'")
    database.rows(COPY.format("NULL"))
    assert [one["kind"] for one in full.verify()["findings"]] == ["inserted"]
    database.rows("UPDATE audit_requests SET leaf = -5 WHERE generation = 'gen-forged'")
    assert [one["kind"] for one in full.verify()["findings"]] == ["inserted"]
    # From before the first record: the log says nothing of it, and verify does not hide it.
    database.rows("UPDATE audit_requests SET leaf = NULL, received_at = received_at - interval"
                  " '1 day' WHERE generation = 'gen-forged'")
    result = full.verify()
    assert result["ok"] and result["older"] == 1


def test_a_row_that_was_squeezed_in_is_named(full, database):
    """All that follow move up by one."""
    leaf, last = leaf_of(database, "gen-1-40"), full.size() - 1
    database.rows("UPDATE audit_requests SET leaf = leaf + 1 WHERE leaf > %s", leaf)
    database.rows(COPY.format(leaf + 1))
    result = full.verify()
    changed = findings(result, "changed")
    assert changed[0] == (leaf + 1, leaf + 1)
    assert any(one["kind"] == "moved" and "was inserted before them" in one["text"]
               for one in result["findings"])
    assert (last + 1, last + 1) in findings(result, "inserted")


def test_a_table_that_was_emptied_is_named(full, database):
    database.rows("TRUNCATE audit_requests")
    result = full.verify()
    assert sum(to - at + 1 for at, to in findings(result, "missing")) == SOME


def test_a_hash_that_was_changed_is_told_from_a_row(full, database):
    leaf = leaf_of(database, "gen-1-40")
    database.rows("UPDATE log_nodes SET hashes = overlay(hashes placing '\\x0011223344'::bytea from"
                  " ((%s - first) * 32 + 1)::int) WHERE level = 0 AND first ="
                  " (SELECT max(first) FROM log_nodes WHERE level = 0 AND first <= %s)", leaf, leaf)
    assert findings(full.verify(), "hash_changed") == [(leaf, leaf)]


def rebuild(full, database, seed=None):
    """The tree as the collector would have made it of the rows as they are now, and with a seed
    checkpoints, too."""
    leaves = [tlog.leaf_hash(json.dumps(json.loads(line)["entry"], sort_keys=True, ensure_ascii=False,
                                        separators=(",", ":")).encode())
              for line in full.lines()]
    tiles = [tlog.root_of(leaves[at:at + 256]) for at in range(0, len(leaves) - 255, 256)]
    database.rows("DELETE FROM log_nodes")
    for level, hashes in ((0, leaves), (1, tiles)):
        database.rows("INSERT INTO log_nodes (level, first, hashes) VALUES (%s, 0, %s)", level,
                      b"".join(hashes))
    database.rows("UPDATE log_head SET edge = %s", b"".join(tlog.edge_of(leaves)))
    if seed:
        for (size,) in database.rows("SELECT size FROM log_checkpoints"):
            note = tlog.make_checkpoint("example.com/log", size, tlog.root_of(leaves[:size]), seed)
            database.rows("UPDATE log_checkpoints SET text = %s WHERE size = %s", note, size)


def test_a_tree_that_was_rebuilt_is_no_help(full, database):
    leaf = leaf_of(database, "gen-1-300")
    sizes = [0] + [size for size, _ in full.checkpoints()]
    database.rows("UPDATE audit_requests SET region = 'US' WHERE generation = 'gen-1-300'")
    rebuild(full, database)
    result = full.verify()
    (at, to), = findings(result, "rewritten")
    assert at <= leaf <= to and (at, to + 1) in zip(sizes, sizes[1:])  # between two checkpoints
    assert result["signed"] == at


def test_a_tree_that_was_rebuilt_and_signed_with_another_key_is_no_help(full, database):
    database.rows("UPDATE audit_requests SET region = 'US' WHERE generation = 'gen-1-300'")
    rebuild(full, database, seed=bytes(range(32)))
    result = full.verify()
    assert findings(result, "rewritten")
    other = [one for one in result["findings"] if one["kind"] == "other_key"]
    assert len(other) == 1 and "not signed by this key" in other[0]["text"]


def test_an_old_backup_is_noticed(full, database):
    size = full.size()
    leaves = [tlog.leaf_hash(entry) for entry in full.entries()]
    full.control.stop()
    for sql in ("DELETE FROM audit_requests WHERE leaf >= 300",
                "DELETE FROM log_nodes WHERE level = 1 AND first > 0",
                "DELETE FROM log_checkpoints WHERE size > 300", "DELETE FROM log_nodes WHERE level = 0"):
        database.rows(sql)
    database.rows("INSERT INTO log_nodes (level, first, hashes) VALUES (0, 0, %s)",
                  b"".join(leaves[:300]))
    database.rows("UPDATE log_head SET size = 300, edge = %s", b"".join(tlog.edge_of(leaves[:300])))
    full.control.start()
    wait_until(full.control.is_ready, "the control daemon is ready")
    assert findings(full.verify(), "shorter") == [(300, size - 1)]
    # The notary knows as well, from its file, and signs nothing that grows from there.
    wait_until(lambda: full.control.get("events", params={"kind": "log_forked"})["data"], "an event")
    event = full.control.get("events", params={"kind": "log_forked"})["data"][0]
    assert event["severity"] == "critical" and event["subject"] == "example.com/log"
    assert "only 300 entries" in event["text"]
    before = full.file.read_text()
    full.fill(10, boot=2)
    assert "switchboard_control_log_forked 1" in full.control.session.get(
        full.control.url + "/metrics").text
    assert full.file.read_text() == before
    assert database.one("SELECT max(size) FROM log_checkpoints") <= 300


def test_what_retention_dropped_is_no_finding(log, database):
    log.fill(10)
    with FakeWorker(log.control, "w-1", boot=1) as fake:
        fake.hello_until_leader()
        fake.batch(1, [record(generation=f"old-{n}", received_at=1790000000000000 + n)
                       for n in range(10)])
    log.fill(10, boot=2)
    log.wait_signed()
    owner = database.connect("switchboard_owner")
    owner.cursor().execute("SELECT switchboard.make_partition('audit_requests', '2026-09-21')")
    owner.cursor().execute("SELECT switchboard.drop_partitions('audit_requests', '2026-09-22')")
    owner.close()
    wait_until(lambda: database.one("SELECT count(*) FROM log_dropped") == 1, "that is in the log")
    log.wait_signed()
    result = log.verify()
    assert result["ok"] and result["dropped"] == 10
    # Who removes more than that is found.
    leaf = leaf_of(database, "gen-1-3")
    database.rows("DELETE FROM audit_requests WHERE leaf = %s", leaf)
    assert findings(log.verify(), "missing") == [(leaf, leaf)]


def test_a_row_that_was_removed_is_not_dropped_because_somebody_says_so(full, database):
    """The owner writes what retention would: the log takes it, and a checkpoint covers it."""
    leaf = leaf_of(database, "gen-1-250")
    day = database.one("SELECT (received_at AT TIME ZONE 'UTC')::date::text FROM audit_requests"
                       " WHERE leaf = %s", leaf)
    database.rows("DELETE FROM audit_requests WHERE leaf = %s", leaf)
    database.rows("INSERT INTO log_drops (at, history, day, first_leaf, last_leaf, rows) VALUES"
                  " (now() + interval '40 days', 'audit_requests', %s, %s, %s, 1)", day, leaf, leaf)
    wait_until(lambda: database.one("SELECT count(*) FROM log_dropped") == 1, "that is in the log")
    full.wait_signed()
    result = full.verify()
    assert findings(result, "missing") == [(leaf, leaf)]
    said, = findings(result, "no_drop")
    assert result["drops"] == [{**result["drops"][0], "table": "audit_requests", "day": day, "rows": 1,
                                "from": leaf, "to": leaf, "entry": said[0]}]
    shown = full.site.ctl("audit", "verify", "--checkpoints", full.file, "--log-key",
                          f"{full.key_file}.pub", control=full.control, check=False).stdout
    assert re.search(rf"audit_requests +{day} +1 ", shown), shown


def test_a_gap_in_what_a_worker_sent_is_named(log):
    log.fill(10)
    log.fill(10, first=15)  # as after a restore of the database: 11 to 14 were acknowledged
    log.wait_signed()
    result = log.verify()
    gap, = result["findings"]
    assert gap["kind"] == "sequence_gap"
    assert "records 11 to 14 of worker w-0 (boot 1)" in gap["text"]


# --- checkpoints elsewhere ----------------------------------------------------------------------------------


def test_checkpoints_reach_a_receiver_and_a_second_database(site, postgres):
    receiver = Receiver(fail=2)
    second = postgres.database()
    secret = private(site.home.path / "webhook.key", "0123456789abcdef0123\n")
    try:
        log = Log(site, "--checkpoint-url", receiver.url, "--webhook-secret-file", str(secret),
                  "--checkpoint-database", second.owner)
        log.fill(20)
        size = log.wait_signed()
        wait_until(lambda: any(json.loads(body)["size"] == size for _, body in receiver.got[2:]),
                   "the receiver has it")
        headers, body = receiver.got[-1]
        assert headers["X-Switchboard-Event"] == "checkpoint"
        assert headers["X-Switchboard-Delivery"] == str(size)
        assert tlog.open_checkpoint(json.loads(body)["note"], log.key) == log.checkpoints()[-1]
        wait_until(lambda: second.one("SELECT to_regclass('switchboard.log_checkpoints')"), "a table")
        wait_until(lambda: second.one("SELECT max(size) FROM log_checkpoints") == size,
                   "the second database has it")
        assert [tlog.open_checkpoint(text, log.key) for (text,) in second.rows(
            "SELECT text FROM log_checkpoints ORDER BY size")] == log.checkpoints()
    finally:
        receiver.close()


def test_a_receiver_that_is_away_gets_later_what_it_missed(site):
    receiver = Receiver()
    url = receiver.url
    secret = private(site.home.path / "webhook.key", "0123456789abcdef0123\n")
    log = Log(site, "--checkpoint-url", url, "--webhook-secret-file", str(secret))
    log.fill(5)
    size = log.wait_signed()
    wait_until(lambda: any(json.loads(body)["size"] == size for _, body in receiver.got), "taken")
    receiver.fail = 10 ** 6  # takes nothing any more; the file does not mind
    for first in (6, 11):
        log.fill(5, first=first)
        log.wait_signed()
    log.control.stop()
    taken = len(receiver.got)
    receiver.fail = 0
    log.control.start()
    try:
        wait_until(lambda: any(json.loads(body)["size"] == log.newest() for _, body in
                               receiver.got[taken:]), "taken after a restart")
        got = [json.loads(body)["size"] for _, body in receiver.got[taken:]]
        assert got == [one for one, _ in log.checkpoints() if one > size]
    finally:
        receiver.close()


def test_a_daemon_does_not_start_with_the_wrong_key(site, full):
    full.control.stop()
    other = site.home.path / "other.key"
    site.ctl("log-key", "new", other, "--name", "example.com/log")
    flags = [str(other) if word == str(full.key_file) else word for word in full.flags]
    full.control.flags = flags
    full.control.start(expect_end=True)
    assert full.control.process.wait() == 2
    assert full.control.log.found("holds no checkpoint of this log's key")
    full.control.process = None
