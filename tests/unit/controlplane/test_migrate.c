/* tests/unit/controlplane/test_migrate.c - against a real PostgreSQL. */
#include "controlplane/migrate.h"

#include "common/timefmt.h"
#include "controlplane/db.h"
#include "tests/lib/pg_cluster.h"
#include "tests/lib/test.h"

static struct pg_cluster cluster;

static struct cp_db *connect_as(const char *conninfo, const char *role)
{
    struct cp_db_conf conf = {.conninfo = conninfo, .role = role};
    struct cp_db *db = NULL;
    struct sb_errmsg err;

    if (cp_db_new(&conf, &db, &err) != SB_OK)
        fail_msg("%s", err.text);
    return db;
}

static void migrate(struct cp_db *db)
{
    struct sb_errmsg err = {{0}};

    if (cp_migrate(db, &err) != SB_OK)
        fail_msg("%s", err.text);
}

static int64_t number(struct cp_db *db, const char *sql)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;

    if (cp_db_query(db, sql, CP_NO_PARAMS, &rows) != SB_OK)
        fail_msg("%s: %s", sql, cp_db_last_error(db)->text.text);
    return cp_rows_i64(rows, 0, 0);
}

static void an_empty_database_is_brought_up_by_an_owner_without_superuser(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);
    int64_t epoch;

    (void)state;
    migrate(owner);
    assert_int_equal(number(owner, "SELECT max(number)::bigint FROM migrations"),
                     cp_migrate_latest());
    epoch = number(owner, "SELECT epoch FROM config_head");
    assert_true(epoch > 0);
    assert_int_equal(number(owner, "SELECT count(*) FROM tenants WHERE name = 'default'"), 1);
    assert_int_equal(number(owner, "SELECT count(*) FROM leadership WHERE term = 0"), 1);
    assert_int_equal(
        number(owner, "SELECT octet_length(key) FROM cluster_keys WHERE name = 'user'"), 32);
    assert_int_equal(
        number(owner, "SELECT octet_length(key) FROM cluster_keys WHERE name = 'sticky'"), 16);
    /* again: nothing is made anew */
    assert_int_equal(cp_db_script(owner, "CREATE TABLE kept AS SELECT * FROM cluster_keys"), SB_OK);
    migrate(owner);
    assert_int_equal(number(owner, "SELECT epoch FROM config_head"), epoch);
    assert_int_equal(number(owner, "SELECT count(*) FROM kept JOIN cluster_keys USING (name, key)"),
                     2);
}

static void a_schema_of_the_future_or_of_another_making_is_refused(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);
    struct sb_errmsg err;

    (void)state;
    migrate(owner);
    assert_int_equal(cp_db_script(owner, "UPDATE migrations SET hash = '\\x00' WHERE number = 1"),
                     SB_OK);
    assert_int_equal(cp_migrate(owner, &err), SB_EVERSION);
    assert_non_null(strstr(err.text, "0001_configuration"));
    assert_int_equal(cp_db_script(owner, "DELETE FROM migrations WHERE number = 1;"
                                         "INSERT INTO migrations VALUES (999, '0999_future', '')"),
                     SB_OK);
    assert_int_equal(cp_migrate(owner, &err), SB_EVERSION);
    assert_non_null(strstr(err.text, "0999_future"));
}

/* The owner made the role and may give it to itself; what it then does as that
 * role is what a login of that role alone can do. */
static void grant_to_owner(struct cp_db *owner, const char *role)
{
    char sql[100];

    (void)snprintf(sql, sizeof(sql), "GRANT %s TO switchboard_owner", role);
    if (cp_db_script(owner, sql) != SB_OK)
        fail_msg("%s: %s", sql, cp_db_last_error(owner)->text.text);
}

static void must_be_refused(struct cp_db *db, const char *role, const char *sql)
{
    if (cp_db_script(db, sql) != SB_EACCES)
        fail_msg("%s: %s: %s", role, sql, cp_db_last_error(db)->text.text);
}

/* Some column of a table, no identity; lives until the next call. */
static const char *some_column(struct cp_db *owner, const char *table)
{
    static char name[64];
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;

    assert_int_equal(cp_db_query(owner,
                                 "SELECT attname::text FROM pg_attribute"
                                 " WHERE attrelid = $1::text::regclass AND attnum = 2",
                                 CP_PARAMS(CP_P_STR(table)), &rows),
                     SB_OK);
    assert_true(sb_slice_copy_text(cp_rows_bytes(rows, 0, 0), name, sizeof(name)));
    return name;
}

/* What no role but the owner may do, to whatever is history. */
static void history_and_partitions_are_out_of_reach_of_every_role(void **state)
{
    static const char *const roles[] = {CP_DB_SERVICE_ROLE, CP_DB_COLLECTOR_ROLE,
                                        "switchboard_auditor"};
    static const char *const history[] = {
        "revisions",      "audit_changes",         "admin_actions", "audit_requests",
        "audit_refusals", "audit_dispatches",      "quarantine",    "revoked_keys",
        "events",         "audit_requests_default"};
    static const struct {
        const char *before, *after; /* the name of the table */
    } forms[] = {
        {"DELETE FROM ", ""},
        {"TRUNCATE ", ""},
        {"ALTER TABLE ", " ADD COLUMN x int"},
        {"DROP TABLE ", ""},
        {"ALTER TABLE ", " RENAME TO x"},
    };
    static const char *const others[] = {
        "INSERT INTO audit_requests_default SELECT * FROM audit_requests",
        "UPDATE cluster_keys SET key = ''",
        "UPDATE admin_tokens SET hash = ''",
        "UPDATE admin_tokens SET role = 'admin'",
        "DELETE FROM admin_tokens",
        "DELETE FROM ingest_cursor",
        "DELETE FROM config_head",
        "CREATE TABLE switchboard.x (n int)",
        "CREATE TABLE audit_requests_x PARTITION OF audit_requests FOR VALUES FROM ('2030-01-01')"
        " TO ('2030-01-02')",
        "CREATE TEMPORARY TABLE y (LIKE audit_requests); ALTER TABLE audit_requests ATTACH"
        " PARTITION y FOR VALUES FROM ('2030-01-01') TO ('2030-01-02')",
        "ALTER TABLE audit_requests DETACH PARTITION audit_requests_default",
        "ALTER TABLE audit_requests DISABLE TRIGGER ALL",
        "SELECT make_partition('audit_requests', '2030-01-01')",
        "SELECT drop_partitions('audit_requests', '2030-01-01')",
        "INSERT INTO migrations VALUES (999, 'x', '')",
        "GRANT ALL ON audit_requests TO PUBLIC; UPDATE audit_requests SET cost = 0",
    };
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);

    (void)state;
    migrate(owner);
    for (size_t r = 0; r < SB_ARRAY_LEN(roles); r++) {
        SB_CLEANUP(cp_db_destroy) struct cp_db *db = NULL;
        char sql[200];

        grant_to_owner(owner, roles[r]);
        db = connect_as(cluster.conninfo, roles[r]);
        for (size_t t = 0; t < SB_ARRAY_LEN(history); t++) {
            for (size_t f = 0; f < SB_ARRAY_LEN(forms); f++) {
                (void)snprintf(sql, sizeof(sql), "%s%s%s", forms[f].before, history[t],
                               forms[f].after);
                must_be_refused(db, roles[r], sql);
            }
            (void)snprintf(sql, sizeof(sql), "UPDATE %s SET %s = NULL", history[t],
                           some_column(owner, history[t]));
            must_be_refused(db, roles[r], sql);
        }
        for (size_t i = 0; i < SB_ARRAY_LEN(others); i++)
            must_be_refused(db, roles[r], others[i]);
    }
}

/* Who may add to history, and to nothing else's. */
static void each_role_writes_what_is_its_own(void **state)
{
    static const struct {
        const char *role, *sql;
    } forbidden[] = {
        {CP_DB_SERVICE_ROLE, "INSERT INTO audit_requests DEFAULT VALUES"},
        {CP_DB_SERVICE_ROLE, "INSERT INTO audit_dispatches DEFAULT VALUES"},
        {CP_DB_SERVICE_ROLE, "INSERT INTO audit_refusals DEFAULT VALUES"},
        {CP_DB_SERVICE_ROLE, "INSERT INTO quarantine DEFAULT VALUES"},
        {CP_DB_SERVICE_ROLE, "INSERT INTO open_dispatches DEFAULT VALUES"},
        {CP_DB_SERVICE_ROLE, "DELETE FROM open_dispatches"},
        {CP_DB_SERVICE_ROLE, "UPDATE ingest_cursor SET last_seq = 0"},
        {CP_DB_COLLECTOR_ROLE, "INSERT INTO revisions DEFAULT VALUES"},
        {CP_DB_COLLECTOR_ROLE, "INSERT INTO audit_changes DEFAULT VALUES"},
        {CP_DB_COLLECTOR_ROLE, "INSERT INTO admin_actions DEFAULT VALUES"},
        {CP_DB_COLLECTOR_ROLE, "UPDATE config_head SET revision = 9"},
        {CP_DB_COLLECTOR_ROLE, "UPDATE leadership SET term = 9"},
        {CP_DB_COLLECTOR_ROLE, "UPDATE open_dispatches SET sequence = 9"},
        {CP_DB_COLLECTOR_ROLE, "SELECT name FROM keys"},
        {CP_DB_COLLECTOR_ROLE, "SELECT sealed FROM credentials"},
        {CP_DB_COLLECTOR_ROLE, "SELECT hash FROM admin_tokens"},
        {"switchboard_auditor", "INSERT INTO audit_requests DEFAULT VALUES"},
        {"switchboard_auditor", "INSERT INTO events DEFAULT VALUES"},
        {"switchboard_auditor", "UPDATE config_head SET revision = 9"},
        {"switchboard_auditor", "UPDATE keys SET disabled = true"},
        {"switchboard_auditor", "UPDATE admin_tokens SET revoked_at = now()"},
        {"switchboard_auditor", "SELECT nextval('events_id_seq')"},
    };
    static const struct {
        const char *role, *sql;
    } allowed[] = {
        {CP_DB_SERVICE_ROLE,
         "SELECT count(*) FROM audit_requests; SELECT count(*) FROM audit_changes;"
         "SELECT count(*) FROM audit_open_requests; SELECT count(*) FROM quarantine"},
        {CP_DB_SERVICE_ROLE, "INSERT INTO admin_actions (action, author, role, subject, detail)"
                             " VALUES ('refused', 'a', 'viewer', 'x', '{}')"},
        {CP_DB_COLLECTOR_ROLE, "INSERT INTO audit_refusals VALUES (now(), 'w', 1, 1, 'no key', 1);"
                               "SELECT term FROM leadership FOR SHARE;"
                               "SELECT count(*) FROM revisions JOIN audit_changes USING (revision);"
                               "SELECT count(*) FROM admin_actions"},
    };
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);

    (void)state;
    migrate(owner);
    for (size_t i = 0; i < SB_ARRAY_LEN(forbidden); i++) {
        SB_CLEANUP(cp_db_destroy) struct cp_db *db = NULL;

        grant_to_owner(owner, forbidden[i].role);
        db = connect_as(cluster.conninfo, forbidden[i].role);
        must_be_refused(db, forbidden[i].role, forbidden[i].sql);
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(allowed); i++) {
        SB_CLEANUP(cp_db_destroy) struct cp_db *db = connect_as(cluster.conninfo, allowed[i].role);

        if (cp_db_script(db, allowed[i].sql) != SB_OK)
            fail_msg("%s: %s: %s", allowed[i].role, allowed[i].sql,
                     cp_db_last_error(db)->text.text);
    }
}

/* Whatever others add: history that the service can change is a mistake of theirs. */
static void no_role_has_more_of_a_record_than_its_own_part(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);

    (void)state;
    migrate(owner);
    assert_int_equal(
        number(owner, "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                      " WHERE nspname = 'switchboard' AND relkind IN ('r', 'p')"
                      " AND relname ~ '^(audit_|quarantine|log_|compliance_)'"
                      " AND relname <> 'audit_changes'"
                      " AND (has_table_privilege('switchboard_service', c.oid,"
                      " 'INSERT, UPDATE, DELETE, TRUNCATE')"
                      " OR has_any_column_privilege('switchboard_service', c.oid,"
                      " 'INSERT, UPDATE'))"),
        0);
    assert_int_equal(
        number(owner,
               "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
               " WHERE nspname = 'switchboard' AND relkind IN ('r', 'p', 'v')"
               " AND (has_any_column_privilege('switchboard_auditor', c.oid,"
               " 'INSERT, UPDATE, REFERENCES')"
               " OR has_table_privilege('switchboard_auditor', c.oid, 'DELETE, TRUNCATE, TRIGGER')"
               " OR NOT has_any_column_privilege('switchboard_auditor', c.oid, 'SELECT'))"),
        0);
    /* secrets, sealed and hashed */
    assert_int_equal(
        number(owner,
               "SELECT count(*) FROM (VALUES ('keys', 'hash'), ('revoked_keys', 'hash'),"
               " ('credentials', 'sealed'), ('cluster_keys', 'key'), ('admin_tokens', 'hash'),"
               " ('compiled_snapshots', 'bytes')) AS s(t, c)"
               " WHERE has_column_privilege('switchboard_auditor', t, c, 'SELECT')"
               " OR (t <> 'compiled_snapshots'"
               " AND has_column_privilege('switchboard_collector', t, c, 'SELECT'))"),
        0);
}

#define REFUSAL(day, sequence)                                                                     \
    "INSERT INTO audit_refusals VALUES ('" day "T12:00:00Z', 'w', 1, " sequence ", 'no key', 1);"

static void rows_go_to_the_partition_of_their_day_and_wait_in_the_default_one(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);
    SB_CLEANUP(cp_db_destroy) struct cp_db *collector = NULL;
    struct sb_errmsg err = {{0}};
    unsigned dropped = 0;
    int32_t day;

    (void)state;
    migrate(owner);
    collector = connect_as(cluster.conninfo, CP_DB_COLLECTOR_ROLE);
    assert_int_equal(cp_db_script(collector, REFUSAL("2001-02-03", "1") REFUSAL("2001-02-04", "2")),
                     SB_OK);
    assert_int_equal(number(owner, "SELECT count(*) FROM audit_refusals_default"), 2);
    assert_int_equal(sb_date_parse(SB_SLICE_LIT("2001-02-03"), &day), SB_OK);
    assert_int_equal(cp_partitions_make(owner, day, 1, &err), SB_OK);
    assert_int_equal(cp_partitions_make(owner, day, 1, &err), SB_OK);
    assert_int_equal(number(owner, "SELECT count(*) FROM audit_refusals_default"), 1);
    assert_int_equal(number(owner, "SELECT sequence FROM audit_refusals_20010203"), 1);
    assert_int_equal(cp_db_script(collector, REFUSAL("2001-02-03", "3")), SB_OK);
    assert_int_equal(number(owner, "SELECT count(*) FROM audit_refusals_20010203"), 2);

    assert_int_equal(cp_partitions_drop(owner, CP_HISTORY_AUDIT, day, false, &dropped, &err),
                     SB_OK);
    assert_int_equal(dropped, 0);
    assert_int_equal(cp_partitions_drop(owner, CP_HISTORY_AUDIT, day + 1, false, &dropped, &err),
                     SB_OK);
    assert_int_equal(dropped, 3); /* requests, dispatches, refusals */
    assert_int_equal(number(owner, "SELECT count(*) FROM audit_refusals"), 1);
    assert_int_equal(
        cp_partitions_drop(owner, CP_HISTORY_TELEMETRY, day + 1, false, &dropped, &err), SB_OK);
    assert_int_equal(dropped, 2); /* minutes, probes */
}

static void partitions_around_today_are_there_from_the_start(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);

    (void)state;
    migrate(owner);
    /* At midnight the migration and this statement may see different days. */
    assert_true(number(owner, "SELECT count(*) FROM pg_class WHERE relname ="
                              " 'audit_requests_' || to_char(now(), 'YYYYMMDD')") == 1);
    assert_true(number(owner, "SELECT count(*) FROM pg_class WHERE relname ="
                              " 'telemetry_minutes_' || to_char(now() + interval '2 days',"
                              " 'YYYYMMDD')") == 1);
}

/* Who asks for requests gets both, by SELECT *. */
static void open_requests_have_the_columns_of_requests(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);
    static const char differing[] =
        "SELECT count(*) FROM"
        " (SELECT attnum, attname, atttypid FROM pg_attribute WHERE attnum > 0"
        "   AND attrelid = 'audit_requests'::regclass) AS a FULL JOIN"
        " (SELECT attnum, attname, atttypid FROM pg_attribute WHERE attnum > 0"
        "   AND attrelid = 'audit_open_requests'::regclass) AS b USING (attnum, attname, atttypid)"
        " WHERE a IS NULL OR b IS NULL";

    (void)state;
    migrate(owner);
    assert_int_equal(number(owner, differing), 0);
    assert_int_equal(number(owner, "SELECT count(*) FROM (SELECT * FROM audit_requests UNION ALL"
                                   " SELECT * FROM audit_open_requests) AS r"),
                     0);
}

static void two_daemons_may_start_at_the_same_time(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);
    pid_t children[3];

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct cp_db *db = connect_as(cluster.conninfo, NULL);
            int rc = cp_migrate(db, NULL);

            cp_db_destroy(&db);
            _exit(rc == SB_OK ? 0 : 1);
        }
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(children); i++) {
        int status = -1;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(number(owner, "SELECT count(*) FROM tenants"), 1);
}

static int start(void **state)
{
    (void)state;
    pg_cluster_start(&cluster);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pg_cluster_stop(&cluster);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_database_is_brought_up_by_an_owner_without_superuser),
        cmocka_unit_test(a_schema_of_the_future_or_of_another_making_is_refused),
        cmocka_unit_test(history_and_partitions_are_out_of_reach_of_every_role),
        cmocka_unit_test(each_role_writes_what_is_its_own),
        cmocka_unit_test(no_role_has_more_of_a_record_than_its_own_part),
        cmocka_unit_test(rows_go_to_the_partition_of_their_day_and_wait_in_the_default_one),
        cmocka_unit_test(partitions_around_today_are_there_from_the_start),
        cmocka_unit_test(open_requests_have_the_columns_of_requests),
        cmocka_unit_test(two_daemons_may_start_at_the_same_time),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
