"""The log in the database, read as columns: every row is made a line again, after the description in
controlplane/log/entry.h and with nothing of the product, and the tree of the lines by tlog.py.

    log = log_rows.read(database)
    log.entries       the entries in their order
    log.check()       nothing is missing, twice or changed; the stored nodes and the edge fit
"""
import datetime
import json

import tlog

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
TABLES = {"request": "audit_requests", "dispatch": "audit_dispatches",
          "refusals": "audit_refusals"}
BESIDE = {"leaf", "salt", "user_plain", "metadata_plain"}
QUERIES = {
    "quarantined": "SELECT worker_id, boot_id, sequence, at, code, problem, leaf,"
                   " sha256(bytes) AS bytes_sha256 FROM quarantine",
    "change": "SELECT r.*, l.leaf, o.objects FROM revisions r JOIN log_changes l USING (revision)"
              " LEFT JOIN (SELECT revision, json_agg(json_build_array(kind, name, before, after,"
              "            secret_changed)) AS objects FROM audit_changes GROUP BY 1) o"
              " USING (revision)",
    "dropped": "SELECT d.*, l.leaf FROM log_drops d JOIN log_dropped l ON l.drop_id = d.id",
    "erased": "SELECT d.*, l.leaf FROM log_erasures d JOIN log_erased l ON l.erasure_id = d.id",
    "action": "SELECT a.*, l.leaf FROM admin_actions a JOIN log_actions l ON l.action_id = a.id",
}


def _objects(rows):
    objects = [{"kind": kind, "name": name, "secret_changed": secret,
                **({} if before is None else {"before": before}),
                **({} if after is None else {"after": after})}
               for kind, name, before, after, secret in rows]
    return sorted(objects, key=lambda o: (o["kind"].encode(), o["name"].encode()))


def _value(name, value):
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, memoryview):
        return bytes(value).hex()
    return _objects(value) if name == "objects" else value


def _line(entry):
    return json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


class Log:
    def __init__(self, entries, nodes, head):
        self._by_leaf, self._nodes, (self.size, self._edge) = entries, nodes, head

    @property
    def entries(self):
        return [entry for _, entry in sorted(self._by_leaf, key=lambda one: one[0])]

    def kinds(self):
        return [entry["kind"] for entry in self.entries]

    def check(self):
        assert sorted(leaf for leaf, _ in self._by_leaf) == list(range(self.size))
        leaves = [tlog.leaf_hash(_line(entry)) for entry in self.entries]
        for level in range(8):
            each = 256 ** level
            whole = range(self.size // each) if each <= self.size else ()
            want = [tlog.root_of(leaves[i * each:(i + 1) * each]) for i in whole]
            rows = [(first, hashes) for at, first, hashes in self._nodes if at == level]
            got = b"".join(bytes(hashes) for _, hashes in sorted(rows))
            assert got == b"".join(want), f"nodes of level {level}"
            starts = [first * 32 for first, _ in sorted(rows)]
            ends = [first * 32 + len(hashes) for first, hashes in sorted(rows)]
            assert starts == [0, *ends][:len(starts)], f"rows of level {level}"
        assert bytes(self._edge) == b"".join(tlog.edge_of(leaves))


def read(database):
    """In one snapshot of the database, so that it may be busy meanwhile."""
    connection = database.connect()
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    queries = {**{kind: f"SELECT * FROM {table} WHERE leaf IS NOT NULL"
                  for kind, table in TABLES.items()}, **QUERIES}
    entries = []
    with connection, connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        for kind, sql in queries.items():
            cursor.execute(sql)
            names = [column.name for column in cursor.description]
            for row in cursor.fetchall():
                columns = dict(zip(names, row))
                entry = {name: _value(name, value) for name, value in columns.items()
                         if value is not None and name not in BESIDE}
                entries.append((columns["leaf"], {"kind": kind, **entry}))
        cursor.execute("SELECT level, first, hashes FROM log_nodes")
        nodes = cursor.fetchall()
        cursor.execute("SELECT size, edge FROM log_head")
        head = cursor.fetchone()
    connection.close()
    return Log(entries, nodes, head)
