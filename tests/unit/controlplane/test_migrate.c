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

static void the_service_role_can_neither_rewrite_the_past_nor_touch_partitions(void **state)
{
    static const char *const forbidden[] = {
        "UPDATE audit_changes SET name = 'x'",
        "DELETE FROM audit_changes",
        "UPDATE revisions SET author = 'x'",
        "DELETE FROM revisions",
        "UPDATE audit_requests SET cost = 0",
        "DELETE FROM audit_requests",
        "TRUNCATE audit_requests",
        "DELETE FROM audit_requests_default",
        "INSERT INTO audit_requests_default SELECT * FROM audit_requests",
        "UPDATE audit_dispatches SET tag = ''",
        "DELETE FROM audit_refusals",
        "DELETE FROM quarantine",
        "DELETE FROM revoked_keys",
        "DELETE FROM ingest_cursor",
        "UPDATE cluster_keys SET key = ''",
        "DELETE FROM config_head",
        "CREATE TABLE switchboard.x (n int)",
        "DROP TABLE audit_requests_default",
        "SELECT make_partition('audit_requests', '2030-01-01')",
        "SELECT drop_partitions('audit_requests', '2030-01-01')",
        "ALTER TABLE audit_requests DETACH PARTITION audit_requests_default",
        "INSERT INTO migrations VALUES (999, 'x', '')",
    };
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);
    SB_CLEANUP(cp_db_destroy) struct cp_db *service = NULL;

    (void)state;
    migrate(owner);
    service = connect_as(cluster.conninfo, CP_DB_SERVICE_ROLE);
    for (size_t i = 0; i < SB_ARRAY_LEN(forbidden); i++) {
        if (cp_db_script(service, forbidden[i]) != SB_EACCES)
            fail_msg("%s: %s", forbidden[i], cp_db_last_error(service)->text.text);
    }
    assert_int_equal(cp_db_script(service, "SELECT count(*) FROM audit_requests;"
                                           "SELECT count(*) FROM audit_changes"),
                     SB_OK);
}

#define REFUSAL(day, sequence)                                                                     \
    "INSERT INTO audit_refusals VALUES ('" day "T12:00:00Z', 'w', 1, " sequence ", 'no key', 1);"

static void rows_go_to_the_partition_of_their_day_and_wait_in_the_default_one(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(pg_cluster_database(&cluster), NULL);
    SB_CLEANUP(cp_db_destroy) struct cp_db *service = NULL;
    struct sb_errmsg err = {{0}};
    unsigned dropped = 0;
    int32_t day;

    (void)state;
    migrate(owner);
    service = connect_as(cluster.conninfo, CP_DB_SERVICE_ROLE);
    assert_int_equal(cp_db_script(service, REFUSAL("2001-02-03", "1") REFUSAL("2001-02-04", "2")),
                     SB_OK);
    assert_int_equal(number(owner, "SELECT count(*) FROM audit_refusals_default"), 2);
    assert_int_equal(sb_date_parse(SB_SLICE_LIT("2001-02-03"), &day), SB_OK);
    assert_int_equal(cp_partitions_make(owner, day, 1, &err), SB_OK);
    assert_int_equal(cp_partitions_make(owner, day, 1, &err), SB_OK);
    assert_int_equal(number(owner, "SELECT count(*) FROM audit_refusals_default"), 1);
    assert_int_equal(number(owner, "SELECT sequence FROM audit_refusals_20010203"), 1);
    assert_int_equal(cp_db_script(service, REFUSAL("2001-02-03", "3")), SB_OK);
    assert_int_equal(number(owner, "SELECT count(*) FROM audit_refusals_20010203"), 2);

    assert_int_equal(cp_partitions_drop(owner, CP_HISTORY_AUDIT, day, &dropped, &err), SB_OK);
    assert_int_equal(dropped, 0);
    assert_int_equal(cp_partitions_drop(owner, CP_HISTORY_AUDIT, day + 1, &dropped, &err), SB_OK);
    assert_int_equal(dropped, 3); /* requests, dispatches, refusals */
    assert_int_equal(number(owner, "SELECT count(*) FROM audit_refusals"), 1);
    assert_int_equal(cp_partitions_drop(owner, CP_HISTORY_TELEMETRY, day + 1, &dropped, &err),
                     SB_OK);
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
        cmocka_unit_test(the_service_role_can_neither_rewrite_the_past_nor_touch_partitions),
        cmocka_unit_test(rows_go_to_the_partition_of_their_day_and_wait_in_the_default_one),
        cmocka_unit_test(partitions_around_today_are_there_from_the_start),
        cmocka_unit_test(two_daemons_may_start_at_the_same_time),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
