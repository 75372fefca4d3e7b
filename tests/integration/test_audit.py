"""Audit queries against rows of every sort; how the rows get there is for other tests."""
import csv
import io
import json
import os

import pytest
from requests.exceptions import ChunkedEncodingError

from program import Http, wait_until

ROWS = 1234  # more than two pages of a stream

# One request a second from 2026-01-01 on; what varies, varies with n.
FILL = """
INSERT INTO audit_requests
SELECT timestamptz '2026-01-01Z' + n * interval '1 second', 'w-' || n %% 3, 7, n, 'gen-' || n,
       CASE n WHEN 5 THEN '=cmd()' END, 1500 + n, CASE WHEN n %% 10 <> 0 THEN 200 END, n %% 3,
       n %% 2 = 0, 1 + n %% 2, 1, CASE n %% 2 WHEN 0 THEN 'app' ELSE 'batch' END, 'default',
       CASE n WHEN 7 THEN 'say "hi", you' ELSE 'llama' END, 'meta/llama-70b', 1,
       CASE n %% 2 WHEN 0 THEN 'acme/turbo' ELSE 'bolt' END,
       CASE n %% 2 WHEN 0 THEN 'acme' ELSE 'bolt' END, CASE n %% 2 WHEN 0 THEN 'DE' ELSE 'US' END,
       1, 1, 3, CASE WHEN n %% 4 = 0 THEN 3 ELSE 0 END, CASE WHEN n %% 4 = 0 THEN 'eu' END,
       CASE WHEN n %% 4 = 0 THEN
         '[{"claim": "zdr", "value": "yes", "evidence": "contract"}]'::jsonb END,
       '[{"endpoint_id": 2, "tag": "bolt", "outcome": 7, "status": 500, "credential_kind": 1},
         {"endpoint_id": 1, "tag": "acme/turbo", "outcome": 1, "status": 200}]'::jsonb,
       100, n, 0, 0, 0, 1, n * 100000000000, n * 90000000000, 200,
       CASE WHEN n %% 10 = 0 THEN 19 ELSE 1 END, 'stop', 300, 400
  FROM generate_series(0, %s) n
"""


@pytest.fixture(name="api")
def fixture_api(control):
    return Http(control.url, control.home.token)


@pytest.fixture(name="requests")
def fixture_requests(api, database):
    database.rows(FILL, ROWS - 1)

    def query(**params):
        answer = api.get("/admin/v1/audit/requests", params=params)
        assert answer.status_code == 200, answer.text
        return answer
    return query


def ids(answer):
    return [one["generation_id"] for one in answer.json()["data"]]


def test_a_row_says_it_all(requests):
    (row,) = requests(generation_id="gen-4").json()["data"]
    assert row == {
        "generation_id": "gen-4", "request_id": None, "received_at": "2026-01-01T00:00:04.000000Z",
        "took_ms": 1.504, "first_token_ms": 0.2, "api": "completions", "streamed": True,
        "key": "app", "tenant": "default", "model_asked": "llama", "model_served":
        "meta/llama-70b", "endpoint_id": 1, "endpoint": "acme/turbo", "provider": "acme",
        "region": "DE", "credential": "house",
        "demanded": {"residency": "eu", "eu_resident": True, "zdr": True, "no_training": False,
                     "distillable": False, "by_policy": None},
        "evidence": [{"claim": "zdr", "value": "yes", "evidence": "contract"}],
        "epoch": 1, "revision": 3,
        "attempts": [
            {"tag": "bolt", "status": 500, "outcome": "server_error", "credential": "house",
             "endpoint_id": 2},
            {"tag": "acme/turbo", "status": 200, "outcome": "success", "endpoint_id": 1}],
        "tokens": {"prompt": 100, "completion": 4, "cached": 0, "cache_write": 0, "reasoning": 0,
                   "source": "provider"},
        "cost": "0.0004", "upstream_cost": "0.00036", "status": 200, "outcome": "success",
        "finish_reason": "stop", "request_bytes": 300, "response_bytes": 400, "worker": "w-1",
        "boot": 7, "sequence": 4, "client_address": None,
        "request_digest": None, "response_digest": None, "leaf": None}


def test_pages_come_newest_first_without_a_gap(requests):
    seen, cursor = [], None
    while True:
        page = requests(limit=500, **({"cursor": cursor} if cursor else {}))
        seen += ids(page)
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
        assert len(page.json()["data"]) == 500
    assert seen == [f"gen-{n}" for n in reversed(range(ROWS))]
    assert len(ids(requests())) == 100


def test_rows_of_one_moment_are_told_apart(requests, database):
    database.rows("CREATE TEMP TABLE t AS SELECT * FROM audit_requests WHERE sequence < 100;"
                  "UPDATE t SET received_at = '2026-02-01Z';"
                  "INSERT INTO audit_requests SELECT * FROM t")
    seen, cursor = [], None
    while cursor is not None or not seen:
        page = requests(limit=7, **{"from": "2026-02-01"},
                        **({"cursor": cursor} if cursor else {}))
        seen += ids(page)
        cursor = page.json()["next_cursor"]
    assert sorted(seen) == sorted(f"gen-{n}" for n in range(100))


@pytest.mark.parametrize("filters, wanted", [
    ({"from": "2026-01-01T00:20:30Z"}, lambda n: n >= 1230),
    ({"to": "2026-01-01T00:00:03Z"}, lambda n: n < 3),
    ({"from": "2026-01-01T01:00:01+01:00", "to": "2026-01-01T00:00:03Z"}, lambda n: 1 <= n < 3),
    ({"from": "2026-01-02"}, lambda n: False),
    ({"key": "batch", "to": "2026-01-01T00:00:09Z"}, lambda n: n < 9 and n % 2),
    ({"model": "meta/llama-70b", "to": "2026-01-01T00:00:02Z"}, lambda n: n < 2),
    ({"model": 'say "hi", you'}, lambda n: n == 7),
    ({"provider": "acme", "to": "2026-01-01T00:00:05Z"}, lambda n: n < 5 and n % 2 == 0),
    ({"endpoint": "acme/turbo", "to": "2026-01-01T00:00:05Z"}, lambda n: n < 5 and n % 2 == 0),
    ({"endpoint": "meta/llama-70b@bolt", "to": "2026-01-01T00:00:05Z"}, lambda n: n < 5 and n % 2),
    ({"region": "US", "to": "2026-01-01T00:00:05Z"}, lambda n: n < 5 and n % 2),
    ({"outcome": "stream_cut", "to": "2026-01-01T00:00:30Z"}, lambda n: n < 30 and n % 10 == 0),
    ({"outcome": "stream_cut,success", "to": "2026-01-01T00:00:30Z"}, lambda n: n < 30),
    ({"zdr": "true", "to": "2026-01-01T00:00:30Z"}, lambda n: n < 30 and n % 4 == 0),
    ({"zdr": "false", "to": "2026-01-01T00:00:30Z"}, lambda n: n < 30 and n % 4),
    ({"residency": "eu", "to": "2026-01-01T00:00:30Z"}, lambda n: n < 30 and n % 4 == 0),
    ({"residency": "EU", "to": "2026-01-01T00:00:30Z"}, lambda n: n < 30 and n % 4 == 0),
    ({"distillable": "true"}, lambda n: False),
    ({"min_cost": "0.1230"}, lambda n: n >= 1230),
])
def test_filters_find_what_they_say(requests, filters, wanted):
    assert ids(requests(limit=1000, **filters)) == [
        f"gen-{n}" for n in reversed(range(ROWS)) if wanted(n)]


def test_filters_that_cannot_be_read_are_all_told(api):
    answer = api.get("/admin/v1/audit/requests", params={
        "from": "yesterday", "outcome": "sucess", "min_cost": "much", "zdr": "maybe",
        "format": "xml", "cursor": "x~y", "limit": "many", "modell": "x"})
    assert answer.status_code == 400
    problems = {one["path"]: one["problem"] for one in answer.json()["error"]["details"]}
    assert problems == {"modell": "there is no such parameter; did you mean 'model'?"}  # before anything is read
    answer = api.get("/admin/v1/audit/requests", params={
        "from": "yesterday", "outcome": "sucess", "min_cost": "much", "zdr": "maybe",
        "client": "nobody", "format": "xml", "cursor": "x~y", "limit": "many"})
    problems = {one["path"]: one["problem"] for one in answer.json()["error"]["details"]}
    assert set(problems) == {"from", "outcome", "min_cost", "zdr", "client", "format", "cursor",
                             "limit"}
    assert problems["outcome"] == "'sucess' is no outcome; did you mean 'success'?"


# Dispatched and not heard of since: two by a worker that began a later boot, one by another.
OPEN = """
INSERT INTO audit_dispatches
       (received_at, worker_id, boot_id, sequence, generation, key_id, tenant_id, key_name,
        tenant_name, model_asked, endpoint_id, tag, provider, region, epoch, revision, api,
        streamed, demanded, residency, evidence, request_bytes, client_address)
SELECT now() - n * interval '1 second', CASE n WHEN 2 THEN 'alive' ELSE 'dead' END, 7, 5000 + n,
       'open-' || n, 1, 1, 'app', 'default', 'llama', 1, 'acme/turbo', 'acme', 'DE', 1, 3, 0, true,
       2, 'eu', '[{"claim": "zdr", "value": "yes"}]', 300, '192.0.2.7'
  FROM generate_series(1, 3) n;
INSERT INTO open_dispatches
SELECT worker_id, boot_id, sequence, received_at FROM audit_dispatches;
INSERT INTO ingest_cursor (worker_id, boot_id, last_seq)
VALUES ('dead', 7, 5003), ('alive', 7, 5002), ('dead', 8, 1)
"""


def test_a_request_that_was_dispatched_and_has_no_end_is_found(requests, database):
    database.rows(OPEN)
    assert ids(requests(limit=5)) == ["open-1", "open-2", "open-3", "gen-1233", "gen-1232"]
    assert ids(requests(outcome="abandoned")) == ["open-1", "open-3"]
    assert ids(requests(outcome="dispatched")) == ["open-2"]
    assert ids(requests(client="192.0.2.0/24")) == ["open-1", "open-2", "open-3"]
    assert ids(requests(client="198.51.100.0/24")) == []
    (row,) = requests(generation_id="open-1").json()["data"]
    assert (row["outcome"], row["status"], row["took_ms"], row["attempts"]) == (
        "abandoned", 0, None, [])
    assert (row["endpoint"], row["provider"], row["region"], row["client_address"]) == (
        "acme/turbo", "acme", "DE", "192.0.2.7")
    assert row["demanded"]["zdr"] and row["evidence"] == [{"claim": "zdr", "value": "yes"}]
    page = requests(limit=2).json()
    assert ids(requests(limit=2, cursor=page["next_cursor"])) == ["open-3", "gen-1233"]
    rows = list(csv.DictReader(io.StringIO(requests(format="csv").text, newline="")))
    assert len(rows) == ROWS + 3
    assert (rows[0]["outcome"], rows[0]["took_us"], rows[0]["client_address"]) == (
        "abandoned", "", "192.0.2.7")


def test_csv_is_streamed_whole(requests):
    answer = requests(format="csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["generation_id"] for row in rows] == [f"gen-{n}" for n in reversed(range(ROWS))]
    last = {row["generation_id"]: row for row in rows}
    assert last["gen-7"]["model_asked"] == 'say "hi", you'
    assert last["gen-4"]["attempts"] == "bolt:server_error acme/turbo:success"
    assert last["gen-4"]["demanded"] == "eu_resident zdr"
    assert last["gen-4"]["cost_usd"] == "0.0004"
    assert last["gen-5"]["request_id"] == "'=cmd()"  # not a formula
    assert len(list(csv.reader(io.StringIO(requests(format="csv", limit=3).text)))) == 4
    assert len(list(csv.reader(io.StringIO(requests(format="csv", key="x").text)))) == 1


def test_ndjson_is_streamed_whole(requests):
    lines = [json.loads(line) for line in requests(format="ndjson").text.splitlines()]
    assert [row["generation_id"] for row in lines] == [f"gen-{n}" for n in reversed(range(ROWS))]
    assert lines[-5] == requests(generation_id="gen-4").json()["data"][0]
    assert requests(format="ndjson", key="nobody").text == ""
    assert len(requests(format="ndjson", limit=501).text.splitlines()) == 501


def test_a_stream_that_cannot_go_on_is_broken_off(requests, api, database):
    """What is short must not look whole."""
    columns = [row[0] for row in database.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'audit_requests'::regclass"
        " AND attnum > 0 ORDER BY attnum")]
    columns[columns.index("cost")] = "below(sequence, cost) AS cost"
    # costly, so that the planner asks it for the rows of the page only
    database.rows("CREATE FUNCTION below(n bigint, cost bigint) RETURNS bigint STABLE COST 100000"
                  " LANGUAGE plpgsql AS 'BEGIN RETURN cost / (n / 500); END';"
                  "ALTER TABLE audit_requests RENAME TO hidden;"
                  f"CREATE VIEW audit_requests AS SELECT {', '.join(columns)} FROM hidden;"
                  "GRANT SELECT ON audit_requests TO switchboard_service")
    assert len(requests(format="csv", limit=600).text.splitlines()) == 601
    with pytest.raises(ChunkedEncodingError):
        requests(format="csv")
    assert api.get("/admin/v1/audit/requests?format=csv&to=2026-01-01T00:05:00Z"
                   ).status_code == 503  # nothing was sent yet


def test_one_row_can_be_found_among_many_days(requests, database):
    """The planner knows the values: filters that are not asked for cost nothing."""
    assert requests(generation_id="gen-3").status_code == 200
    plan = "\n".join(row[0] for row in database.rows(
        "SET plan_cache_mode = force_custom_plan;"
        "PREPARE q (timestamptz) AS SELECT * FROM audit_requests"
        " WHERE ($1 IS NULL OR received_at >= $1) ORDER BY received_at DESC LIMIT 1;"
        "EXPLAIN EXECUTE q ('2100-01-01')"))
    assert "IS NULL" not in plan


def test_changes_are_found_by_whom_and_what(api):
    api.put("/admin/v1/tenants/one", json={}, params={"note": "for the shop"})
    api.put("/admin/v1/keys/first", json={"tenant": "one"})
    api.delete("/admin/v1/keys/first")

    def query(**params):
        answer = api.get("/admin/v1/audit/changes", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]
    assert [(one["action"], one["kind"], one["name"]) for one in query()] == [
        ("removed", "keys", "first"), ("added", "keys", "first"), ("added", "tenants", "one")]
    (tenant,) = query(kind="tenant")
    assert (tenant["author"], tenant["note"], tenant["by"]) == ("admin", "for the shop", "put")
    assert tenant["after"] == {"name": "one"}
    assert len(query(name="first")) == 2
    assert len(query(revision=1)) == 1
    assert query(author="nobody") == []
    first = api.get("/admin/v1/audit/changes?limit=2").json()
    rest = api.get("/admin/v1/audit/changes",
                   params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["revision"] for one in first["data"] + rest["data"]] == [3, 2, 1]
    text = api.get("/admin/v1/audit/changes?format=csv").text
    assert len(list(csv.reader(io.StringIO(text)))) == 4
    assert api.get("/admin/v1/audit/changes?kind=nothing").status_code == 400


def resident(process):
    """Bytes."""
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_many_rows_are_streamed_in_little_memory(site, database, monkeypatch):
    """Held, they would be hundreds of megabytes.  The sanitizer holds back what was freed: not here."""
    monkeypatch.setenv("ASAN_OPTIONS", "quarantine_size_mb=1")
    control = site.control()
    wait_until(control.is_ready, "the control daemon is ready")
    many = 400_000
    database.rows(FILL, many - 1)
    api = Http(control.url, control.home.token)
    api.get("/admin/v1/audit/requests?format=csv&limit=10000")  # what is kept for ever
    before, most, size, lines = resident(control.process), 0, 0, 0
    with api.get("/admin/v1/audit/requests?format=csv", stream=True) as answer:
        for piece in answer.iter_content(1 << 20):
            size += len(piece)
            lines += piece.count(b"\n")
            most = max(most, resident(control.process))
    assert lines == many + 1 and size > many * 200
    assert most - before < 32 << 20, f"{(most - before) >> 20} MiB more"


def test_a_generation_is_looked_for_in_its_second(requests, database):
    name = "gen-1767225604-0123456789abcdefghij"  # 2026-01-01T00:00:04Z
    database.rows("UPDATE audit_requests SET generation = %s WHERE sequence = 4", name)
    assert ids(requests(generation_id=name)) == [name]
    assert ids(requests(generation_id=name, key="app", **{"from": "2026-01-01"})) == [name]
    assert ids(requests(generation_id=name, to="2026-01-01T00:00:04Z")) == []
    assert ids(requests(generation_id="gen-1767225605-0123456789abcdefghij")) == []
