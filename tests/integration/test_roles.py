"""Who may do what: roles and tokens of the admin API, roles of the database, with real daemons."""
import base64
import contextlib
import json
import os
import signal
import types

import psycopg2
import pytest

import traffic
from control import Control
from program import Http, wait_until
from test_admin import CATALOG

ROLES = ("viewer", "auditor", "operator", "admin")
TENANTS = {"version": 1, "tenants": [{"name": "red"}, {"name": "blue"}],
           "keys": [{"name": "red-1", "tenant": "red"}, {"name": "blue-1", "tenant": "blue"}]}


@pytest.fixture(name="api")
def fixture_api(control):
    return Http(control.url, control.home.token)


@pytest.fixture(name="token")
def fixture_token(control, api):
    """Makes a token and gives a session that has it."""
    def make(name, role, **wish):
        answer = api.post("/admin/v1/tokens", json={"name": name, "role": role, **wish})
        assert answer.status_code == 201, answer.text
        secret = answer.json()["secret"]
        assert secret.startswith("sbadm-")
        session = Http(control.url, secret)
        session.secret = secret
        return session
    return make


def error(answer):
    return answer.json()["error"]


def actions(api, **filters):
    answer = api.get("/admin/v1/audit/actions", params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


# --- roles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_a_role_does_what_openapi_says_and_no_more(control, api, token, role):
    """Every operation, as the document has it: 403 for those whose x-roles lack the role."""
    control.apply(CATALOG)
    session = token(f"the-{role}", role)
    document = api.get("/openapi.json").json()
    seen = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not path.startswith("/admin/"):
                assert "x-roles" not in operation
                continue
            target = path.replace("{name}", "nothing").replace("{revision}", "999999")
            answer = session.request(method, target, data=b"[]",
                                     headers={"Content-Type": "application/json"})
            refused = answer.status_code == 403
            assert refused == (role not in operation["x-roles"]), (method, path, answer.text)
            if refused:
                message = error(answer)["message"]
                assert error(answer)["code"] == "forbidden"
                assert f"'the-{role}' has the role {role}" in message
                assert operation["x-permission"] in message
                *others, last = operation["x-roles"]
                assert message.endswith((", ".join(others) + " and " if others else "; ")
                                        + last + " may")
            else:
                assert answer.status_code != 401
            seen += 1
    assert seen > 45


def test_what_a_role_may_it_can(control, api, token):
    control.apply(CATALOG)
    viewer, auditor, operator, admin = (token(role + "-1", role) for role in ROLES)
    for one in (viewer, auditor, operator, admin):
        assert len(one.get("/admin/v1/endpoints").json()["data"]) == 2
        assert one.get("/admin/v1/workers").status_code == 200
        assert one.get("/admin/v1/tables").status_code == 200
    for one in (auditor, admin):
        assert one.get("/admin/v1/audit/requests").json()["data"] == []
        assert len(one.get("/admin/v1/audit/changes").json()["data"]) == 9
    for one in (auditor, operator, admin):
        assert one.get("/admin/v1/revisions/1").json()["added"] == 9
    assert operator.put("/admin/v1/tenants/fresh", json={}).status_code == 201
    assert operator.post("/admin/v1/revisions/1/rollback").status_code == 200
    assert auditor.get("/admin/v1/tokens/viewer-1").json()["role"] == "viewer"
    assert admin.post("/admin/v1/tokens", json={"name": "more", "role": "admin"}).status_code == 201
    assert admin.delete("/admin/v1/tokens/more").json()["revoked_by"] == "admin-1"


def test_a_body_of_who_may_not_change_is_not_read(control, token):
    answer = token("looker", "viewer").put("/admin/v1/catalog", data=b"x" * 10_000_000,
                                           headers={"Expect": "100-continue"})
    assert answer.status_code == 403


# --- the life of a token ----------------------------------------------------------------------


def test_a_secret_is_shown_once_and_stored_nowhere(api, token, database):
    secret = token("ops", "operator").secret
    for path in ("/admin/v1/tokens", "/admin/v1/tokens/ops", "/admin/v1/audit/actions"):
        assert secret[6:] not in api.get(path).text
    dump = json.dumps([str(database.rows(f"SELECT t::text FROM {table} t"))
                       for table in ("admin_tokens", "admin_actions")])
    assert secret[6:] not in dump


def test_a_revoked_token_is_refused_by_another_daemon_at_once(site, control, api, token):
    ops = token("ops", "operator")
    other = site.control(name="b")
    wait_until(other.is_ready, "the other daemon is ready")
    there = Http(other.url, ops.secret)
    assert there.get("/admin/v1/catalog").status_code == 200
    assert api.delete("/admin/v1/tokens/ops").json()["state"] == "revoked"
    answer = there.get("/admin/v1/catalog")
    assert answer.status_code == 401
    assert "the token 'ops' (operator) was revoked at 20" in error(answer)["message"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert error(api.delete("/admin/v1/tokens/ops"))["message"] == (
        "the token 'ops' was revoked already, by admin")


def test_a_token_expires(api, token, database):
    brief = token("brief", "viewer", expires_at="2099-01-01")
    assert brief.get("/admin/v1/catalog").status_code == 200
    database.rows("UPDATE admin_tokens SET expires_at = '2001-02-03T04:05:06Z'")
    answer = brief.get("/admin/v1/catalog")
    assert answer.status_code == 401
    assert error(answer)["message"] == ("the token 'brief' (viewer) expired at "
                                        "2001-02-03T04:05:06Z; an admin makes another")
    assert api.get("/admin/v1/tokens/brief").json()["state"] == "expired"


@pytest.mark.parametrize("secret", ["sbadm-", "sbadm-" + "x" * 43, "sbadm-" + "x" * 5000])
def test_what_is_no_token_is_refused(control, secret):
    answer = Http(control.url, secret).get("/admin/v1/catalog")
    assert answer.status_code == 401
    assert error(answer)["message"] == "the token is none of this control plane's"


@pytest.mark.parametrize("wish,path,text", [
    ({"role": "viewer"}, "name", "1 to 64 letters"),
    ({"name": "admin", "role": "viewer"}, "name", "the token of the file"),
    ({"name": "x"}, "role", "there are viewer, auditor, operator and admin"),
    ({"name": "x", "role": "root"}, "role", "'root' is no role"),
    ({"name": "x", "role": "viewer", "expires_at": "2001-01-01"}, "expires_at", "in the past"),
    ({"name": "x", "role": "viewer", "expires_at": 7}, "expires_at", "is no time"),
    ({"name": "x", "role": "viewer", "scope": {}}, "scope", "limits nothing"),
    ({"name": "x", "role": "viewer", "scope": []}, "scope", "is an object"),
    ({"name": "x", "role": "viewer", "scope": {"kinds": []}}, "scope.kinds", "is empty"),
    ({"name": "x", "role": "viewer", "scope": {"kinds": ["king"]}}, "scope.kinds", "'king'"),
    ({"name": "x", "role": "viewer", "scope": {"tenants": "red"}}, "scope.tenants", "not a list"),
    ({"name": "x", "role": "viewer", "scope": {"tenants": [""]}}, "scope.tenants", "1 to 256"),
    ({"name": "x", "role": "viewer", "scope": {"kinds": ["models"], "tenants": ["red"]}}, "scope",
     "no tenant has any"),
    ({"name": "x", "role": "auditor", "scope": {"kinds": ["keys"]}}, "scope",
     "for viewers and operators"),
    ({"name": "x", "role": "viewer", "power": 1}, "power", "no such member"),
])
def test_a_wish_that_makes_no_sense_is_refused_with_its_place(api, wish, path, text):
    answer = api.post("/admin/v1/tokens", json=wish)
    assert answer.status_code == 400
    problems = {one["path"]: one["problem"] for one in error(answer)["details"]}
    assert text in problems[path], answer.text


def test_without_the_database_only_the_token_of_the_file_is_known(control, api, token, postgres):
    ops = token("ops", "operator")
    assert ops.get("/admin/v1/workers").status_code == 200
    postgres.halt(signal.SIGQUIT)
    try:
        answer = ops.get("/admin/v1/workers")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "tokens cannot be looked up, only that of the file is known" in (
            error(answer)["message"])
        assert api.get("/admin/v1/workers").status_code == 200
    finally:
        postgres.start()
    wait_until(lambda: ops.get("/admin/v1/workers").status_code == 200, "the token is known again")


# --- scopes -----------------------------------------------------------------------------------


def test_a_token_of_a_tenant_sees_and_changes_what_is_the_tenants(control, api, token):
    control.apply({**CATALOG, **TENANTS})
    red = token("red-ops", "operator", scope={"tenants": ["red"]})
    assert [one["name"] for one in red.get("/admin/v1/keys").json()["data"]] == ["red-1"]
    assert [one["name"] for one in red.get("/admin/v1/tenants").json()["data"]] == ["red"]
    assert red.get("/admin/v1/credentials").json()["data"] == []
    assert red.get("/admin/v1/keys/red-1").status_code == 200
    assert red.put("/admin/v1/keys/red-2", json={"tenant": "red"}).status_code == 201
    assert red.delete("/admin/v1/keys/red-2").status_code == 200
    for method, path, body, text in [
            ("GET", "keys/blue-1", None, "the key 'blue-1' is outside of the scope"),
            ("GET", "tenants/blue", None, "the tenant 'blue' is outside of the scope"),
            ("DELETE", "keys/blue-1", None, "the key 'blue-1' is outside of the scope"),
            ("PATCH", "keys/blue-1", {"tenant": "red"}, "the key 'blue-1' is outside"),
            ("PUT", "keys/red-1", {"tenant": "blue"}, "the key 'red-1' is outside"),
            ("PUT", "keys/fresh", {}, "the key 'fresh' is outside"),
            ("GET", "endpoints", None, "a scope without endpoints"),
            ("GET", "catalog", None, "more than objects of one kind"),
            ("PUT", "catalog", {"version": 1}, "more than objects of one kind"),
            ("POST", "revisions/1/rollback", None, "more than objects of one kind")]:
        answer = red.request(method, f"/admin/v1/{path}", json=body)
        assert answer.status_code == 403, (method, path, answer.text)
        assert text in error(answer)["message"]
        assert actions(api, subject=f"{method} /admin/v1/{path}")[0]["author"] == "red-ops"
    assert api.get("/admin/v1/keys/blue-1").json()["tenant"] == "blue"


def test_a_token_of_kinds_changes_those(control, token):
    control.apply(CATALOG)
    one = token("prices", "operator", scope={"kinds": ["endpoints", "model"]})
    assert one.patch("/admin/v1/endpoints/meta/llama-70b@bolt",
                     json={"region": "CA"}).status_code == 200
    assert one.get("/admin/v1/models").status_code == 200
    assert one.get("/admin/v1/keys").status_code == 403
    assert one.patch("/admin/v1/providers/acme", json={"name": "x"}).status_code == 403


# --- who, as whom, from where -----------------------------------------------------------------


def test_a_change_says_who_as_whom_and_from_where(control, api, token):
    ops = token("ops", "operator")
    ops.put("/admin/v1/tenants/one", json={}, headers={"X-Forwarded-For": "192.0.2.9"})
    api.put("/admin/v1/tenants/two", json={})
    revision = api.get("/admin/v1/revisions/1").json()
    assert (revision["author"], revision["role"], revision["address"]) == (
        "ops", "operator", "127.0.0.1")  # of the peer: no proxy is trusted here

    def changed(**filters):
        answer = api.get("/admin/v1/audit/changes", params=filters)
        return [one["name"] for one in answer.json()["data"]]
    assert changed(role="operator") == ["one"]
    assert changed(role="admin") == ["two"]
    assert changed(client="127.0.0.0/8") == ["two", "one"]
    assert changed(client="192.0.2.0/24") == []
    assert api.get("/admin/v1/audit/changes?role=king").status_code == 400
    lines = api.get("/admin/v1/audit/changes?format=csv").text.splitlines()
    assert lines[0].endswith("secret_changed,role,address")
    assert lines[1].endswith(",false,admin,127.0.0.1")


def test_what_tokens_do_and_are_refused_is_in_the_audit(api, token):
    looker = token("looker", "viewer")
    for _ in range(3):  # the same again is written once
        assert looker.delete("/admin/v1/keys/app").status_code == 403
    api.delete("/admin/v1/tokens/looker")
    assert looker.delete("/admin/v1/keys/app").status_code == 401  # of nobody: not written down
    found = actions(api)
    assert [(one["action"], one["author"], one["role"], one["subject"]) for one in found] == [
        ("token_revoked", "admin", "admin", "looker"),
        ("refused", "looker", "viewer", "DELETE /admin/v1/keys/app"),
        ("token_created", "admin", "admin", "looker")]
    assert {one["address"] for one in found} == {"127.0.0.1"}
    assert "lacks the permission change" in found[1]["detail"]["why"]
    assert found[2]["detail"] == {"role": "viewer"}
    assert [one["id"] for one in actions(api, action="refused", author="looker")] == [found[1]["id"]]
    assert actions(api, client="10.0.0.0/8") == []
    assert api.get("/admin/v1/audit/actions?action=refusd").status_code == 400
    page = api.get("/admin/v1/audit/actions?limit=2").json()
    rest = api.get("/admin/v1/audit/actions", params={"cursor": page["next_cursor"]}).json()
    assert page["data"] + rest["data"] == found


# --- switchboardctl ---------------------------------------------------------------------------


def test_switchboardctl_makes_lists_and_revokes_tokens(site, control):
    def ctl(*words, **options):
        return site.ctl(*words, control=control, **options)
    made = ctl("token", "create", "ci", "--role", "operator", "--expires", "90d",
               "--scope", "kind:endpoints,kind:keys,tenant:red")
    assert made.stdout.startswith("token ci (operator): sbadm-")
    assert "never shown again" in made.stderr
    (row,) = json.loads(ctl("token", "list", "-o", "json").stdout)
    assert row["scope"] == {"kinds": ["keys"], "tenants": ["red"]}
    assert (row["state"], row["created_by"]) == ("active", "admin")
    assert "operator" in ctl("token", "list").stdout
    auditor = json.loads(ctl("token", "create", "eve", "--role", "auditor", "-o", "json").stdout)
    as_eve = ["--url", control.url, "--token", auditor["secret"]]
    assert "token_created" in site.ctl("audit", "actions", *as_eve).stdout
    refused = site.ctl("token", "revoke", "ci", *as_eve, check=False)
    assert refused.returncode == 1
    assert "has the role auditor, which lacks the permission manage_tokens" in refused.stderr
    ctl("token", "revoke", "ci")
    assert "DELETE /admin/v1/tokens/ci" in ctl("audit", "actions", "--action", "refused").stdout
    ctl("apply", "-f", "-", stdin=json.dumps(CATALOG))
    assert "127.0.0.1" in ctl("revisions").stdout
    assert "by admin as admin from 127.0.0.1 (apply)" in ctl("revision", 1).stdout
    assert "127.0.0.1" in ctl("audit", "changes", "--role", "admin", "--client", "127.0.0.1").stdout


@pytest.mark.parametrize("words,text", [
    ([], "--role is missing"),
    (["--role", "viewer", "--expires", "soon"], "--expires soon is no time"),
    (["--role", "viewer", "--scope", "keys"], "--scope keys is no scope"),
    (["--role", "viewer", "--scope", "kind:keys,"], "is no scope"),
    (["--role", "viewer", "--scope", "kind:"], "is no scope"),
])
def test_wrong_words_are_told(site, words, text):
    done = site.ctl("token", "create", "x", *words, check=False)
    assert done.returncode == 2
    assert text in done.stderr


# --- files that are read again ----------------------------------------------------------------


def test_sighup_gives_a_daemon_the_keyring_that_is_there_now(site, control, api, token, database):
    ops = token("ops", "operator")
    kept = site.home.keyring.read_text()
    fresh = f"k2:{base64.b64encode(os.urandom(32)).decode()}\n"
    site.home.keyring.write_text("no keys\n")
    control.signal(signal.SIGHUP)
    control.log.wait("the keyring was not read again, keeping the old one")
    site.home.keyring.write_text(fresh)  # without the key that hashes
    control.signal(signal.SIGHUP)
    control.log.wait("no key named api-key-hash")
    assert ops.get("/admin/v1/catalog").status_code == 200
    site.home.keyring.write_text(fresh + kept)
    control.signal(signal.SIGHUP)
    control.log.wait("the keyring was read again")
    assert ops.get("/admin/v1/catalog").status_code == 200
    control.apply(CATALOG)  # sealed by the new key, in front
    assert {bytes(row[0])[2:4] for row in database.rows("SELECT sealed FROM credentials")} == {b"k2"}


# --- the database -----------------------------------------------------------------------------

LOGINS = {"sb_serves": "switchboard_service", "sb_collects": "switchboard_collector",
          "sb_audits": "switchboard_auditor"}


@pytest.fixture(name="logins")
def fixture_logins(control, database):
    """A login for each role and no other; the roles are there since a daemon migrated."""
    for login, role in LOGINS.items():
        if not database.rows("SELECT 1 FROM pg_roles WHERE rolname = %s", login):
            database.rows(f"CREATE ROLE {login} LOGIN IN ROLE {role}")
    control.stop()
    return {login: f"host={database.server.dir} dbname={database.name} user={login}"
            for login in LOGINS}


def test_a_daemon_serves_and_collects_by_logins_of_their_own(site, logins, database):
    """Records come, though who serves cannot write them."""
    apart = types.SimpleNamespace(service=logins["sb_serves"], owner=database.owner)
    control = site.start(Control(apart, site.home, "--collector-database", logins["sb_collects"],
                                 name="apart", owner=False))
    wait_until(control.is_ready, "the daemon is ready")
    sim = site.sim(*traffic.SIM_FLAGS)
    worker = site.worker([control])
    key = traffic.apply(control, worker, sim)
    with worker.client(key) as client:
        assert traffic.ask(client).status == 200
        assert Http(worker.url).post("/v1/chat/completions", json={}).status_code == 401
    wait_until(lambda: database.one("SELECT count(*) FROM audit_requests"), "the record is stored")
    assert database.one("SELECT count(*) FROM ingest_cursor WHERE last_seq > 0") > 0


@pytest.mark.parametrize("login", LOGINS)
def test_no_login_but_the_owner_can_touch_what_is_history(logins, database, login):
    database.rows("INSERT INTO audit_refusals VALUES (now(), 'w', 1, 1, 'no key', 1)")
    today = database.one("SELECT 'audit_refusals_' || to_char(now(), 'YYYYMMDD')")
    with contextlib.closing(database.connect(login)) as connection:
        cursor = connection.cursor()  # each statement is a transaction
        for statement in [
                "UPDATE audit_refusals SET refusals = 2",
                "DELETE FROM audit_refusals",
                "TRUNCATE audit_refusals",
                f"UPDATE {today} SET refusals = 2",
                f"DELETE FROM {today}",
                f"DROP TABLE {today}",
                f"ALTER TABLE audit_refusals DETACH PARTITION {today}",
                "CREATE TEMPORARY TABLE another (LIKE audit_refusals);"
                "ALTER TABLE audit_refusals ATTACH PARTITION another"
                " FOR VALUES FROM ('2001-01-01') TO ('2001-01-02')",
                "CREATE TABLE switchboard.another PARTITION OF audit_refusals"
                " FOR VALUES FROM ('2001-01-01') TO ('2001-01-02')",
                "ALTER TABLE audit_refusals ADD COLUMN x int",
                "ALTER TABLE audit_refusals OWNER TO CURRENT_USER",
                "SELECT drop_partitions('audit_refusals', '2100-01-01')",
                "SET ROLE switchboard_owner",
                *(f"SET ROLE {role}" for role in LOGINS.values() if role != LOGINS[login])]:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)
                pytest.fail(f"{login} may: {statement}")
    assert database.one("SELECT sum(refusals) FROM audit_refusals") == 1


def test_an_auditors_login_reads_everything_but_secrets(logins, database):
    assert logins
    tables = [row[0] for row in database.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'switchboard'::regnamespace"
        " AND relkind IN ('r', 'p', 'v') AND relname NOT IN"
        " ('keys', 'revoked_keys', 'credentials', 'cluster_keys', 'compiled_snapshots',"
        " 'admin_tokens')")]
    assert len(tables) > 25
    with contextlib.closing(database.connect("sb_audits")) as connection:
        cursor = connection.cursor()
        for table in tables:
            cursor.execute(f"SELECT * FROM {table} LIMIT 1")
        cursor.execute("SELECT name, label FROM keys; SELECT name, role FROM admin_tokens")
        for column in ("keys.hash", "revoked_keys.hash", "credentials.sealed", "cluster_keys.key",
                       "admin_tokens.hash", "compiled_snapshots.bytes"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(f"SELECT {column} FROM {column.split('.')[0]}")


def test_an_old_database_goes_on_with_the_login_it_has(site, control, database):
    """Before there was a role for the collector, one login did both."""
    assert control.is_ready()
    assert database.one("SELECT pg_has_role('switchboard_daemon', 'switchboard_collector', 'MEMBER')")
