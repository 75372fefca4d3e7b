"""What is kept, for how long, and in which files: exported days as an auditor checks them without us,
legal holds, dropping, and forgetting a person."""
import datetime
import json
import pathlib
import subprocess

import pytest
import psycopg2

import log_rows
import tlog
from fake_worker import FakeWorker, record
from program import Http, wait_until
from test_audit_log import Log, findings
from test_digests import KEYS, catalogue, digest
from asking import CHAT

FORMAT = "switchboard-export-1"


def days_ago(days):
    return datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=days)


# --- a file, read by nothing of ours ------------------------------------------------------------------


def lines_of(path):
    done = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True)
    assert done.stdout.endswith(b"\n")
    return done.stdout.split(b"\n")[:-1]


def pack(path, lines):
    subprocess.run(["zstd", "-qf", "-o", str(path)], input=b"".join(line + b"\n" for line in lines),
                   check=True)
    return path


def grow(edge, leaf, size):
    """The edge of one leaf more."""
    edge = [*edge, leaf]
    while size & 1:
        right, left = edge.pop(), edge.pop()
        edge.append(tlog.node_hash(left, right))
        size >>= 1
    return edge


def root_of_edge(edge):
    root = edge[-1] if edge else tlog.sha256(b"")
    for left in edge[-2::-1]:
        root = tlog.node_hash(left, root)
    return root


def check_file(path, key, before=None):
    """(head, entries, (size, root) at the end) of a file that is what it says, after the description of
    the form in controlplane/log/export.h; before: what the file before it ended with."""
    first, *rest = lines_of(path)
    head = json.loads(first)
    assert head["format"] == FORMAT
    size, edge = head["from"], [bytes.fromhex(one) for one in head["edge"]]
    assert len(edge) == bin(size).count("1")
    if size:
        assert tlog.open_checkpoint(head["start"], key) == (size, root_of_edge(edge))
    else:
        assert "start" not in head
    if before is not None:
        assert (size, root_of_edge(edge)) == before
    entries, end = [], None
    for line in rest:
        value = json.loads(line)
        end = None
        if set(value) == {"checkpoint"}:
            end = tlog.open_checkpoint(value["checkpoint"], key)
            assert end == (size, root_of_edge(edge))
            continue
        if set(value) == {"hash"}:
            leaf = bytes.fromhex(value["hash"])
        else:
            assert line == json.dumps(value, sort_keys=True, separators=(",", ":"),
                                      ensure_ascii=False).encode()
            leaf = tlog.leaf_hash(line)
            entries.append(value)
        edge, size = grow(edge, leaf, size), size + 1
    assert end is not None and size == head["to"] == end[0]
    return head, entries, end


class Place(Log):
    """A log whose days can be moved into the past: only then are they over."""

    def move(self, days, above=0):
        """Checkpoints of more than that size were signed so many days ago."""
        self.site.database.rows("UPDATE log_checkpoints SET at = now() - %s * interval '1 day'"
                                " WHERE size > %s", days, above)
        return str(days_ago(days))

    def seal(self, days):
        """What was logged so far is of that day; gives it and the size."""
        before = self.sealed
        self.sealed = self.wait_signed()
        return self.move(days, before)

    sealed = 0

    def export(self, day, **options):
        return self.site.ctl("audit", "export", day, "--out", self.site.home.path,
                             control=self.control, **options)

    def check(self, *files, more=()):
        """audit verify, with nothing of the site but the public key; no server could be asked."""
        done = self.site.ctl("audit", "verify", "-o", "json", "--log-key", f"{self.key_file}.pub",
                             *more, *files, check=False)
        assert done.returncode in (0, 1) and done.stdout, done.stderr
        result = json.loads(done.stdout)
        assert result["ok"] == (done.returncode == 0) == (not result["findings"]), result
        return result

    def actions(self):
        return [(one["action"], one["subject"])
                for one in self.control.get("audit/actions")["data"]][::-1]


@pytest.fixture(name="place")
def fixture_place(site):
    return Place(site)


# --- exports ----------------------------------------------------------------------------------------------


def test_days_are_exported_and_continue_each_other(place):
    place.fill(300, days=2)
    first = place.seal(2)
    place.fill(4500, first=301, batch=500, days=1)
    place.wait_signed()
    place.fill(500, first=4801, days=1)
    second = place.seal(1)
    files, before, entries = [], None, []
    for day in (first, second):
        assert day in place.export(day).stdout
        files.append(place.site.home.path / f"{day}.ndjson.zst")
        head, more, before = check_file(files[-1], place.key, before)
        assert head["day"] == day
        entries += more
    assert before[0] == place.sealed == len(entries)
    wanted = [json.loads(one) for one in place.entries(to=place.sealed)]
    assert entries == wanted
    result = place.check(*files)
    assert result["ok"] and result["entries"] == result["signed"] == place.sealed
    assert result["checkpoints"] >= 3  # between two of them a line that was changed is named
    assert place.check(files[1])["from"] == 300 + (place.sealed - 5300)
    assert place.check(*files, more=("--checkpoints", place.file))["ok"]
    plain = place.site.home.path / "plain.ndjson"
    plain.write_bytes(b"".join(line + b"\n" for line in lines_of(files[0])))
    assert place.check(plain)["ok"]


def test_a_day_that_is_not_over_or_empty_is_not_exported(place):
    place.fill(3)
    place.wait_signed()
    done = place.export(str(days_ago(0)), check=False)
    assert done.returncode == 1 and "is not over" in done.stderr
    done = place.export("2020-01-01", check=False)
    assert done.returncode == 1 and "nothing was logged" in done.stderr
    assert place.export("yesterday", check=False).returncode == 2
    assert not list(place.site.home.path.glob("*.zst*"))


def test_what_is_not_what_was_signed_is_not_exported(place, database):
    place.fill(20)
    day = place.seal(1)
    database.rows("UPDATE audit_requests SET cost = cost + 1 WHERE generation = 'gen-1-7'")
    done = place.export(day, check=False)
    assert done.returncode == 1 and "does not fit its hash: its row was changed" in done.stderr
    database.rows("DELETE FROM audit_requests WHERE generation = 'gen-1-7'")
    done = place.export(day, check=False)
    assert done.returncode == 1 and "is missing, and retention did not drop it" in done.stderr
    assert not list(place.site.home.path.glob("*.zst*"))


@pytest.fixture(name="days", scope="module")
def fixture_days(tmp_path_factory, postgres):
    """Two exported days, and the key: (first, second, key file)."""
    from switchboard import Switchboard
    site = Switchboard(postgres.database())
    try:
        place = Place(site)
        place.fill(40, days=2)
        names = [place.seal(2)]
        place.fill(30, first=41, days=1)
        names.append(place.seal(1))
        for name in names:
            place.export(name)
        kept = tmp_path_factory.mktemp("days")
        files = []
        for name in names:
            path = kept / f"{name}.ndjson.zst"
            path.write_bytes((site.home.path / path.name).read_bytes())
            files.append(path)
        public = kept / "log.key.pub"
        public.write_text((site.home.path / "log.key.pub").read_text())
    finally:
        site.close()
    return (*files, public)


def verify(ctl, public, *files):
    done = ctl("audit", "verify", "-o", "json", "--log-key", public, *files, check=False)
    assert done.returncode in (0, 1) and done.stdout, done.stderr
    return json.loads(done.stdout)["findings"]


def changed(lines):
    at = next(i for i, line in enumerate(lines) if b'"gen-1-7"' in line)
    lines[at] = lines[at].replace(b'"cost":1200000', b'"cost":1200001')
    return lines


def removed(lines):
    return [line for line in lines if b'"gen-1-7"' not in line]


def doubled(lines):
    at = next(i for i, line in enumerate(lines) if b'"gen-1-7"' in line)
    return lines[:at] + [lines[at]] + lines[at:]


def swapped(lines):
    at = next(i for i, line in enumerate(lines) if b'"gen-1-7"' in line)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return lines


def hidden(lines):
    at = next(i for i, line in enumerate(lines) if b'"gen-1-7"' in line)
    lines[at] = b'{"hash":"%s"}' % tlog.leaf_hash(lines[at]).hex().encode()
    return lines


def garbage(lines):
    at = next(i for i, line in enumerate(lines) if b'"gen-1-7"' in line)
    lines[at] = b"garbage"
    return lines


@pytest.mark.parametrize("damage, kind, words", [
    (changed, "changed", "was changed, or entries were reordered"),
    (swapped, "changed", "was changed, or entries were reordered"),
    (removed, "missing", "1 line missing between entries"),
    (doubled, "inserted", "1 line too many"),
    (hidden, "missing", "is missing"),
    (garbage, "changed", "this is no entry"),
    (lambda lines: lines[:-1], "shorter", "its end was cut off"),
    (lambda lines: lines[:-3], "shorter", "its end was cut off"),
    (lambda lines: lines + [lines[-2]], "inserted", "behind its last checkpoint"),
    (lambda lines: lines[1:], "broken", "no head of an export"),
    (lambda lines: [lines[0].replace(b'"from":0', b'"from":1')] + lines[1:], "broken", "edge"),
    (lambda lines: lines[:-1] + [lines[-1].replace(b"\\n", b"\\n1", 1)], "other_key",
     "is not signed by this key"),
])
def test_a_tampered_export_is_found_and_named(site, days, tmp_path, damage, kind, words):
    path = pack(tmp_path / "day.ndjson.zst", damage(lines_of(days[0])))
    found = verify(site.ctl, days[2], path)
    assert any(one["kind"] == kind and words in one["text"] for one in found), found
    if kind != "missing" or damage is removed:
        assert any(str(path) in one["text"] for one in found)


def test_a_file_of_one_day_is_none_of_another(site, days, tmp_path):
    first, second, public = days
    renamed = tmp_path / f"{days_ago(9)}.ndjson.zst"
    renamed.write_bytes(first.read_bytes())
    assert [one["kind"] for one in verify(site.ctl, public, renamed)] == ["other_day"]
    for other in (days_ago(3), days_ago(1)):
        head, *rest = lines_of(first)
        path = pack(tmp_path / f"{other}.ndjson.zst",
                    [head.replace(str(days_ago(2)).encode(), str(other).encode()), *rest])
        found = verify(site.ctl, public, path)
        assert [one["kind"] for one in found] == ["other_day"] and "is not proven to be" in found[0]["text"]
    assert verify(site.ctl, public, first, second) == []


def test_an_export_that_was_cut_or_flipped_is_damaged(site, days, tmp_path):
    whole = days[0].read_bytes()
    path = tmp_path / "day.ndjson.zst"
    path.write_bytes(whole[:-30])
    assert any("cut off" in one["text"] for one in verify(site.ctl, days[2], path))
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    assert verify(site.ctl, days[2], path)


def test_days_that_do_not_continue_each_other_are_named(site, days, tmp_path):
    first, second, public = days
    assert verify(site.ctl, public, first, second) == []
    assert "name each day once, in order" in verify(site.ctl, public, second, first)[0]["text"]
    assert "name each day once" in verify(site.ctl, public, first, first)[0]["text"]
    other = tmp_path / "other"
    site.ctl("log-key", "new", other, "--name", "example.com/log")
    assert {one["kind"] for one in verify(site.ctl, f"{other}.pub", second)} == {"other_key"}


def test_the_leader_exports_each_day_once_and_before_it_drops(site, database):
    exports = site.home.path / "exports"
    place = Place(site, "--export-dir", str(exports))
    place.fill(20, days=3)
    first = place.seal(3)
    place.fill(20, boot=2, days=2)
    second = place.seal(2)
    place.control.stop()
    place.control.start()
    wait_until(lambda: database.one("SELECT count(*) FROM log_exports") == 2, "both days")
    files = [exports / f"{day}.ndjson.zst" for day in (first, second)]
    assert sorted(exports.iterdir()) == files
    _, _, end = check_file(files[0], place.key)
    check_file(files[1], place.key, end)
    assert place.check(*files)["ok"]
    # What ctl writes of an exported day is the same.
    place.export(first)
    assert lines_of(site.home.path / files[0].name) == lines_of(files[0])
    # A record of a day that no file has yet stays, the others go.
    with FakeWorker(place.control, "w-1", boot=9) as fake:
        fake.hello_until_leader()
        fake.batch(1, [record(generation="late", received_at=1790000000000000)])
    owner = database.connect("switchboard_owner")
    cursor = owner.cursor()
    cursor.execute("SET search_path = switchboard; SELECT make_partition('audit_requests', '2026-09-21')")
    cursor.execute("SELECT drop_partitions('audit_requests', '2026-09-22', true)")
    assert cursor.fetchone() == (0,)
    owner.commit()
    place.seal(1)
    place.control.stop()
    place.control.start()
    wait_until(lambda: database.one("SELECT count(*) FROM log_exports") == 3, "the third day")
    cursor.execute("SELECT drop_partitions('audit_requests', '2026-09-22', true)")
    assert cursor.fetchone() == (1,)
    owner.commit()
    owner.close()
    assert any("late" in line.decode() for line in lines_of(exports / f"{days_ago(1)}.ndjson.zst"))


def test_a_daemon_killed_between_file_and_row_writes_the_day_again(site, database):
    exports = site.home.path / "exports"
    place = Place(site, "--export-dir", str(exports))
    place.fill(20, days=3)
    day = place.seal(3)
    place.control.stop()
    file = exports / f"{day}.ndjson.zst"
    owner = database.connect("switchboard_owner")
    owner.autocommit = False
    owner.cursor().execute("LOCK TABLE switchboard.log_exports IN EXCLUSIVE MODE")  # may be read
    place.control.start()
    wait_until(file.exists, "the file is there")
    wait_until(lambda: database.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                    " AND query LIKE 'INSERT INTO log_exports%%'") == 1, "its row waits")
    place.control.kill()
    owner.rollback()
    owner.close()
    wait_until(lambda: database.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE"
                                    " 'INSERT INTO log_exports%%'") == 0, "the session is over")
    assert database.one("SELECT count(*) FROM log_exports") == 0
    before = lines_of(file)
    pathlib.Path(f"{file}.part").write_bytes(b"of another crash")
    place.control.start()
    wait_until(lambda: database.one("SELECT count(*) FROM log_exports") == 1, "the row")
    assert list(exports.iterdir()) == [file] and lines_of(file) == before
    head, entries, (size, _) = check_file(file, place.key)
    assert database.rows("SELECT day::text, from_leaf, to_leaf, file FROM log_exports") == [
        (day, head["from"], head["to"], file.name)]
    assert (head["from"], head["to"]) == (0, size) == (0, len(entries))
    assert place.check(file)["ok"]


def test_what_was_dropped_before_is_a_hash_in_its_export(place, database):
    with FakeWorker(place.control, "w-1", boot=1) as fake:
        fake.hello_until_leader()
        fake.batch(1, [record(generation=f"old-{n}", received_at=1790000000000000 + n)
                       for n in range(10)])
    place.fill(1, boot=3, worker="w-2", days=3)
    first = place.seal(3)
    owner = database.connect("switchboard_owner")
    with owner, owner.cursor() as cursor:
        cursor.execute("SET search_path = switchboard;"
                       "SELECT make_partition('audit_requests', '2026-09-21');"
                       "SELECT drop_partitions('audit_requests', '2026-09-22')")
    owner.close()
    wait_until(lambda: database.one("SELECT count(*) FROM log_dropped") == 1, "that is in the log")
    place.fill(5, boot=2, days=2)
    second = place.seal(2)
    for day in (first, second):
        place.export(day)
    files = [place.site.home.path / f"{day}.ndjson.zst" for day in (first, second)]
    _, entries, end = check_file(files[0], place.key)
    assert [one["generation"] for one in entries if one["kind"] == "request"] == ["gen-3-1"]
    check_file(files[1], place.key, end)
    result = place.check(*files)
    assert result["ok"] and result["dropped"] == 10
    # Without the day that says why they are missing nothing does.
    assert findings(place.check(files[0]), "missing")
    # What remains of the log itself still verifies.
    assert place.verify()["ok"]


# --- holds -----------------------------------------------------------------------------------------------------


def test_days_under_a_hold_are_not_dropped(place, database):
    ctl = place.site.ctl
    with FakeWorker(place.control, "w-1", boot=1) as fake:
        fake.hello_until_leader()
        fake.batch(1, [record(generation="old", received_at=1790000000000000)])
    done = ctl("hold", "set", "case-7", "--from", "2026-09-01", "--to", "2026-09-30", "--note",
               "order of the court", control=place.control)
    assert "held" in done.stdout
    owner = database.connect("switchboard_owner")
    cursor = owner.cursor()
    cursor.execute("SET search_path = switchboard; SELECT make_partition('audit_requests', '2026-09-21')")
    cursor.execute("SELECT drop_partitions('audit_requests', '2026-10-01')")
    assert cursor.fetchone() == (0,)
    owner.commit()
    listed, = json.loads(ctl("hold", "list", "-o", "json", control=place.control).stdout)
    assert (listed["from"], listed["to"], listed["state"], listed["set_by"]) == (
        "2026-09-01", "2026-09-30", "active", "admin")
    again = ctl("hold", "set", "case-7", "--from", "2026-01-01", "--note", "x",
                control=place.control, check=False)
    assert again.returncode == 1 and "a name is used once" in again.stderr
    ctl("hold", "lift", "case-7", control=place.control)
    again = ctl("hold", "lift", "case-7", control=place.control, check=False)
    assert again.returncode == 1 and "was lifted already, by admin" in again.stderr
    cursor.execute("SELECT drop_partitions('audit_requests', '2026-10-01')")
    assert cursor.fetchone() == (1,)
    owner.commit()
    owner.close()
    assert place.actions() == [("hold_set", "case-7"), ("hold_lifted", "case-7")]
    wait_until(lambda: database.one("SELECT count(*) FROM log_actions") == 2, "they are in the log")
    log = log_rows.read(database)
    log_actions = [one for one in log.entries if one["kind"] == "action"]
    assert [(one["action"], one["author"], one["role"], one["detail"]) for one in log_actions] == [
        ("hold_set", "admin", "admin", {"from": "2026-09-01", "to": "2026-09-30",
                                         "note": "order of the court"}),
        ("hold_lifted", "admin", "admin", {})]
    place.wait_signed()
    assert place.verify()["ok"]
    database.rows("UPDATE admin_actions SET author = 'nobody' WHERE action = 'hold_lifted'")
    assert findings(place.verify(), "changed")


@pytest.mark.parametrize("wish, words", [
    ({}, "name: is 1 to 64"), ({"name": "a/b"}, "name: is 1 to 64"),
    ({"from": "soon"}, "'soon' is no day"), ({"to": "2025-01-01"}, "is before from"),
    ({"note": ""}, "says why"), ({"more": 1}, "there is no such member")])
def test_a_hold_that_is_none_is_refused(control, wish, words):
    whole = {"name": "a", "from": "2026-01-01", "to": "2026-01-02", "note": "why", **wish}
    if not wish:
        del whole["name"]
    answer = Http(control.url, control.home.token).post("/admin/v1/holds", json=whole)
    assert answer.status_code == 422 or answer.status_code == 400
    assert words.split(": ")[-1] in answer.text, answer.text


# --- forgetting ---------------------------------------------------------------------------------------------------


@pytest.fixture(name="served")
def fixture_served(site):
    """A log that real requests are in."""
    place = Place(site)
    sim = site.sim("--tokens", "5")
    revision = place.control.apply(catalogue(sim))["revision"]
    place.worker = site.worker([place.control], "--answer-hold", "64KiB")
    place.worker.wait_revision(revision)
    place.clients = {name: place.worker.client(f"sb-digest-key-{name}") for name in KEYS}

    def ask(user, key="app"):
        body = json.dumps({"model": "m/one", "user": user,
                           "messages": [{"role": "user", "content": "hi"}]}).encode()
        answer = place.clients[key].post(CHAT, data=body)
        assert answer.status_code == 200, answer.text
        generation = answer.headers["X-Generation-Id"]
        wait_until(lambda: site.database.rows("SELECT 1 FROM audit_requests WHERE generation = %s",
                                              generation), "the record is stored")
        return generation
    place.ask = ask
    return place


def row(database, generation):
    (salt, user_hash, plain), = database.rows(
        "SELECT salt, user_hash, user_plain FROM audit_requests WHERE generation = %s", generation)
    return salt, bytes(user_hash), plain


def test_a_person_is_forgotten_and_the_log_verifies(served, database):
    site, name = served.site, "jo \u00e4 'x'"
    mine, plain, other = served.ask(name), served.ask(name, "plain"), served.ask("somebody")
    salt, user_hash, _ = row(database, mine)
    assert user_hash == digest(salt, b"user\0", name.encode())
    assert row(database, plain)[2] == name
    unknown = site.ctl("erase", "--tenant", "other", "--user", name, control=served.control,
                       check=False)
    assert unknown.returncode == 1 and "there is no tenant 'other'" in unknown.stderr
    erase = ("erase", "--tenant", "default", "--user", name)
    counted = json.loads(site.ctl(*erase, "--dry-run", "-o", "json", control=served.control).stdout)
    assert counted == {"tenant": "default", "records": 2, "held": 0, "dry_run": True}
    assert row(database, mine)[0] is not None
    assert "erased: nothing in 2 records" in site.ctl(*erase, control=served.control).stdout
    for generation in (mine, plain):
        salt, user_hash, kept = row(database, generation)
        assert salt is None and kept is None
    assert row(database, other)[0] is not None
    assert json.loads(site.ctl(*erase, "-o", "json", control=served.control).stdout)["records"] == 0
    # The name is written down nowhere, the rest is in the log.
    dump = json.dumps([str(database.rows(f"SELECT t::text FROM {table} t")) for table in
                       ("audit_requests", "admin_actions", "log_erasures", "audit_dispatches")])
    assert "jo " not in dump
    wait_until(lambda: database.one("SELECT count(*) FROM log_erased") == 1
               and database.one("SELECT count(*) FROM log_actions") == 2, "that is in the log")
    log = log_rows.read(database)
    log.check()
    erased, = [one for one in log.entries if one["kind"] == "erased"]
    assert (erased["author"], erased["rows"]) == ("admin", 2)
    assert served.actions() == [("erasure", "default"), ("erasure", "default")]
    served.wait_signed()
    result = served.verify()
    assert result["ok"] and result["erased"] == 2
    receipt = served.clients["app"].get(f"/api/v1/generation/{mine}/receipt")
    if receipt.status_code == 404:
        receipt = served.clients["app"].get(f"/v1/generation/{mine}/receipt")
    assert receipt.json()["erased"] is True and "salt" not in receipt.json()


def test_plain_data_that_was_changed_is_named(served, database):
    generation = served.ask("jo \u00e4 \"x\"", "plain")
    other = served.ask("somebody", "plain")
    served.wait_signed()
    assert served.verify()["ok"]
    leaf, = database.rows("SELECT leaf FROM audit_requests WHERE generation = %s", generation)[0]
    for change in ("user_plain = 'eve'", "salt = NULL", "salt = sha256('x')"):
        before = row(database, generation)
        database.rows(f"UPDATE audit_requests SET {change} WHERE generation = %s", generation)
        result = served.verify()
        assert findings(result, "plain_changed") == [(leaf, leaf)] and result["findings_total"] == 1
        database.rows("UPDATE audit_requests SET salt = %s, user_plain = %s WHERE generation = %s",
                      before[0], before[2], generation)
    database.rows("UPDATE audit_requests SET user_plain = 'eve' WHERE generation = %s", other)
    leaf, = database.rows("SELECT leaf FROM audit_requests WHERE generation = %s", other)[0]
    assert findings(served.verify(), "plain_changed") == [(leaf, leaf)]
    # Of a record of which nothing is plain the salt was destroyed, and nobody erased it.
    database.rows("UPDATE audit_requests SET user_plain = 'somebody' WHERE generation = %s", other)
    hidden = served.ask("x")
    served.wait_signed()
    assert served.verify()["ok"]
    leaf, = database.rows("SELECT leaf FROM audit_requests WHERE generation = %s", hidden)[0]
    database.rows("UPDATE audit_requests SET salt = NULL WHERE generation = %s", hidden)
    result = served.verify()
    assert findings(result, "plain_changed") == [(leaf, leaf)] and result["erased"] == 0
    # Nor is it told from a body alone that it was exchanged: the entry has its hash.
    database.rows("UPDATE audit_requests SET salt = decode(repeat('5a', 16), 'hex')"
                  " WHERE generation = %s", hidden)
    result = served.verify()
    assert findings(result, "plain_changed") == [(leaf, leaf)]
    assert "the salt beside it is not the one" in json.dumps(result)


def test_under_a_hold_nobody_is_forgotten(served, database):
    site = served.site
    mine = served.ask("jo")
    site.ctl("hold", "set", "h", "--from", str(days_ago(1)), "--to", str(days_ago(-1)), "--note", "x",
             control=served.control)
    erase = ("erase", "--tenant", "default", "--user", "jo")
    done = site.ctl(*erase, control=served.control, check=False)
    assert done.returncode == 1 and "1 of the 1 records are of days under a legal hold" in done.stderr
    assert row(database, mine)[0] is not None
    # Nor by who may call the function itself.
    service = database.connect()
    cursor = service.cursor()
    cursor.execute("SET ROLE switchboard_service")
    service.commit()
    call = ("SET search_path = switchboard; SELECT erase_records('me', 'default', (SELECT"
            " jsonb_agg(to_jsonb(r)) FROM audit_requests r))")
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState):
        cursor.execute(call)
    service.rollback()
    site.ctl("hold", "lift", "h", control=served.control)
    cursor.execute(call)
    assert cursor.fetchone() == (1,)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("UPDATE switchboard.audit_requests SET salt = NULL")
    service.rollback()
    service.close()


def test_only_an_admin_holds_and_erases(control, database):
    api = Http(control.url, control.home.token)
    secret = api.post("/admin/v1/tokens", json={"name": "eve", "role": "auditor"}).json()["secret"]
    eve = Http(control.url, secret)
    hold = {"name": "h", "from": "2026-01-01", "to": "2026-01-01", "note": "x"}
    assert eve.post("/admin/v1/holds", json=hold).status_code == 403
    assert eve.post("/admin/v1/erasures", json={"tenant": "default", "user": "jo"}).status_code == 403
    assert api.post("/admin/v1/holds", json=hold).status_code == 201
    assert eve.get("/admin/v1/holds").json()["data"][0]["name"] == "h"
    assert eve.delete("/admin/v1/holds/h").status_code == 403
    auditor = database.connect()
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        auditor.cursor().execute("SET ROLE switchboard_auditor;"
                                 " SELECT switchboard.erase_records('me', 'default', '[]')")
    auditor.close()
