/* tests/unit/controlplane/test_db.c - against a real PostgreSQL. */
#include "controlplane/db.h"

#include <poll.h>

#include "common/buf.h"
#include "controlplane/copy.h"
#include "tests/lib/pg_cluster.h"
#include "tests/lib/test.h"

static struct pg_cluster cluster;

static struct cp_db *connect_as(const char *conninfo, const char *role)
{
    struct cp_db_conf conf = {.conninfo = conninfo, .application = "test", .role = role};
    struct cp_db *db = NULL;
    struct sb_errmsg err;
    int rc = cp_db_new(&conf, &db, &err);

    if (rc != SB_OK)
        fail_msg("%s", err.text);
    return db;
}

static struct cp_db *fresh(void)
{
    return connect_as(pg_cluster_database(&cluster), NULL);
}

static void values_of_every_type_come_back_as_they_went(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    const char bytes[] = {0, 1, (char)0xff, '\'', '\\'};

    (void)state;
    assert_int_equal(
        cp_db_query(db,
                    "SELECT $1::text, $2::bytea, $3::bigint, $4::boolean, $5::text, $6::integer,"
                    " $7::smallint, '2026-03-01 12:00:00.5+00'::timestamptz, '2026-03-01'::date,"
                    " NULL::date",
                    CP_PARAMS(CP_P_STR("h\xc3\xa4'; DROP"),
                              CP_P_BYTES(sb_slice_make(bytes, sizeof(bytes))), CP_P_I64(INT64_MIN),
                              CP_P_BOOL(true), CP_P_NULL, CP_P_I64(-7), CP_P_I64(-32768)),
                    &rows),
        SB_OK);
    assert_int_equal(cp_rows_count(rows), 1);
    assert_true(sb_slice_is(cp_rows_bytes(rows, 0, 0), "h\xc3\xa4'; DROP"));
    assert_true(sb_slice_eq(cp_rows_bytes(rows, 0, 1), sb_slice_make(bytes, sizeof(bytes))));
    assert_int_equal(cp_rows_i64(rows, 0, 2), INT64_MIN);
    assert_true(cp_rows_bool(rows, 0, 3));
    assert_true(cp_rows_is_null(rows, 0, 4));
    assert_int_equal(cp_rows_bytes(rows, 0, 4).n, 0);
    assert_int_equal(cp_rows_i64(rows, 0, 5), -7);
    assert_int_equal(cp_rows_i64(rows, 0, 6), -32768);
    assert_int_equal(cp_rows_usec(rows, 0, 7), 1772366400500000);
    assert_int_equal(cp_rows_day(rows, 0, 8), 20513);
    assert_int_equal(cp_rows_day(rows, 0, 9), 0);
}

static void arrays_are_walked_element_by_element(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_array array;
    struct sb_slice one;

    (void)state;
    assert_int_equal(cp_db_query(db, "SELECT ARRAY['a', '', 'ccc'], '{}'::text[], NULL::text[]",
                                 CP_NO_PARAMS, &rows),
                     SB_OK);
    array = cp_array_open(cp_rows_bytes(rows, 0, 0));
    assert_int_equal(array.n, 3);
    assert_true(cp_array_next(&array, &one) && sb_slice_is(one, "a"));
    assert_true(cp_array_next(&array, &one) && one.n == 0);
    assert_true(cp_array_next(&array, &one) && sb_slice_is(one, "ccc"));
    assert_false(cp_array_next(&array, &one));
    for (int column = 1; column < 3; column++) {
        array = cp_array_open(cp_rows_bytes(rows, 0, column));
        assert_false(cp_array_next(&array, &one));
    }
}

static void a_refused_statement_says_why(void **state)
{
    static const struct {
        const char *sql;
        int code;
        const char *sqlstate, *constraint;
    } cases[] = {
        {"INSERT INTO t VALUES (1)", SB_EEXIST, "23505", "t_pkey"},
        {"INSERT INTO t VALUES (-1)", SB_EINVAL, "23514", "t_n_check"},
        {"SELECT 1 / 0", SB_EINVAL, "22012", ""},
        {"SELECT nonsense", SB_EDB, "42703", ""},
        {"SELECT pg_read_file('/etc/passwd')", SB_EACCES, "42501", ""},
        {"SET statement_timeout = 1; SELECT pg_sleep(10)", SB_ETIMEDOUT, "57014", ""},
    };
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();

    (void)state;
    assert_int_equal(cp_db_script(db,
                                  "CREATE SCHEMA IF NOT EXISTS switchboard;"
                                  "CREATE TABLE switchboard.t (n int PRIMARY KEY CHECK (n > 0));"
                                  "INSERT INTO t VALUES (1)"),
                     SB_OK);
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        assert_int_equal(cp_db_script(db, cases[i].sql), cases[i].code);
        assert_string_equal(cp_db_last_error(db)->sqlstate, cases[i].sqlstate);
        assert_string_equal(cp_db_last_error(db)->constraint, cases[i].constraint);
        assert_true(cp_db_last_error(db)->text.text[0] != '\0');
        assert_true(cp_db_is_alive(db));
    }
}

static void text_with_a_nul_never_reaches_the_server(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();

    (void)state;
    assert_int_equal(
        cp_db_exec(db, "SELECT $1::text", CP_PARAMS(CP_P_TEXT(sb_slice_make("a\0b", 3))), NULL),
        SB_EINVAL);
    assert_true(cp_db_is_alive(db));
}

struct tries {
    int calls;
    int codes[8];
};

static int give_code(struct cp_db *db, void *ctx)
{
    struct tries *tries = ctx;
    int rc = cp_db_exec(db, "INSERT INTO n VALUES ($1)", CP_PARAMS(CP_P_I64(tries->calls)), NULL);

    return rc == SB_OK ? tries->codes[tries->calls++] : rc;
}

static int64_t count(struct cp_db *db)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;

    assert_int_equal(cp_db_query(db, "SELECT count(*) FROM n", CP_NO_PARAMS, &rows), SB_OK);
    return cp_rows_i64(rows, 0, 0);
}

static void a_transaction_is_repeated_only_when_the_server_asks_for_it(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();
    struct tries lucky = {.codes = {SB_EAGAIN, SB_EAGAIN, SB_OK}};
    struct tries failing = {.codes = {SB_ENOENT}};
    struct tries hopeless = {.codes = {SB_EAGAIN, SB_EAGAIN, SB_EAGAIN, SB_EAGAIN, SB_EAGAIN}};

    (void)state;
    assert_int_equal(cp_db_script(db, "CREATE SCHEMA switchboard; CREATE TABLE n (n int)"), SB_OK);
    assert_int_equal(cp_db_transact(db, CP_SERIALIZABLE, give_code, &lucky), SB_OK);
    assert_int_equal(lucky.calls, 3);
    assert_int_equal(count(db), 1);
    assert_int_equal(cp_db_transact(db, CP_SERIALIZABLE, give_code, &failing), SB_ENOENT);
    assert_int_equal(failing.calls, 1);
    assert_int_equal(cp_db_transact(db, CP_SERIALIZABLE, give_code, &hopeless), SB_EAGAIN);
    assert_int_equal(hopeless.calls, CP_DB_TRIES);
    assert_int_equal(count(db), 1);
}

static void a_serialization_failure_is_told_apart(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *one = fresh();
    SB_CLEANUP(cp_db_destroy) struct cp_db *two = connect_as(cluster.conninfo, NULL);

    (void)state;
    assert_int_equal(cp_db_script(one, "CREATE SCHEMA switchboard; CREATE TABLE n (n int);"
                                       "INSERT INTO n VALUES (1)"),
                     SB_OK);
    assert_int_equal(cp_db_begin(one, CP_SERIALIZABLE), SB_OK);
    assert_int_equal(count(one), 1);
    assert_int_equal(cp_db_script(two, "UPDATE n SET n = 2"), SB_OK);
    assert_int_equal(cp_db_script(one, "UPDATE n SET n = 3"), SB_EAGAIN);
    cp_db_rollback(one);
    assert_int_equal(cp_db_last_error(one)->code, SB_EAGAIN);
    assert_int_equal(cp_db_ping(one), SB_OK);
}

static void a_commit_of_a_failed_transaction_is_an_error(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();

    (void)state;
    assert_int_equal(cp_db_begin(db, CP_READ_COMMITTED), SB_OK);
    assert_int_equal(cp_db_script(db, "SELECT 1 / 0"), SB_EINVAL);
    assert_int_equal(cp_db_commit(db), SB_EDB);
    assert_int_equal(cp_db_ping(db), SB_OK);
}

static void a_copy_brings_all_rows_or_none(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    uint64_t stored = 0;

    (void)state;
    sb_buf_init(&buf, 64 << 20);
    assert_int_equal(
        cp_db_script(db,
                     "CREATE SCHEMA switchboard; CREATE TABLE c (a smallint, b integer, c bigint"
                     " PRIMARY KEY, d boolean, e text, f bytea, g jsonb, h timestamptz, i date)"),
        SB_OK);
    assert_int_equal(cp_copy_start(&buf), SB_OK);
    for (int64_t i = 0; i < 20000; i++) { /* more than one chunk */
        assert_int_equal(cp_copy_row(&buf, 9), SB_OK);
        assert_int_equal(cp_copy_i16(&buf, -2), SB_OK);
        assert_int_equal(cp_copy_i32(&buf, -3), SB_OK);
        assert_int_equal(cp_copy_i64(&buf, i), SB_OK);
        assert_int_equal(cp_copy_bool(&buf, true), SB_OK);
        assert_int_equal(cp_copy_bytes(&buf, SB_SLICE_LIT("text")), SB_OK);
        assert_int_equal(cp_copy_bytes(&buf, sb_slice_make("\0\1", 2)), SB_OK);
        assert_int_equal(cp_copy_json(&buf, SB_SLICE_LIT("{\"a\": [1]}")), SB_OK);
        assert_int_equal(cp_copy_usec(&buf, 1772366400500000), SB_OK);
        assert_int_equal(i == 7 ? cp_copy_null(&buf) : cp_copy_day(&buf, 20513), SB_OK);
    }
    assert_int_equal(cp_copy_finish(&buf), SB_OK);
    assert_int_equal(cp_db_copy_begin(db, "COPY c FROM STDIN (FORMAT binary)"), SB_OK);
    assert_int_equal(cp_db_copy_put(db, sb_buf_slice(&buf)), SB_OK);
    assert_int_equal(cp_db_copy_end(db, &stored), SB_OK);
    assert_int_equal(stored, 20000);
    assert_int_equal(
        cp_db_query(db,
                    "SELECT count(*) FROM c WHERE a = -2 AND b = -3 AND d AND e = 'text' AND"
                    " f = '\\x0001' AND g = '{\"a\": [1]}' AND h = '2026-03-01T12:00:00.5Z' AND"
                    " (i = '2026-03-01' OR c = 7)",
                    CP_NO_PARAMS, &rows),
        SB_OK);
    assert_int_equal(cp_rows_i64(rows, 0, 0), 20000);

    /* One that is not ended is undone, and the connection good for more. */
    assert_int_equal(cp_db_begin(db, CP_READ_COMMITTED), SB_OK);
    assert_int_equal(cp_db_script(db, "TRUNCATE c"), SB_OK);
    assert_int_equal(cp_db_copy_begin(db, "COPY c FROM STDIN (FORMAT binary)"), SB_OK);
    assert_int_equal(cp_db_copy_put(db, sb_buf_slice(&buf)), SB_OK);
    cp_db_rollback(db);
    assert_int_equal(cp_db_exec(db, "SELECT FROM c", CP_NO_PARAMS, &stored), SB_OK);
    assert_int_equal(stored, 20000);

    /* The same rows again: every key is there, so none goes in. */
    assert_int_equal(cp_db_copy_begin(db, "COPY c FROM STDIN (FORMAT binary)"), SB_OK);
    assert_int_equal(cp_db_copy_put(db, sb_buf_slice(&buf)), SB_OK);
    assert_int_equal(cp_db_copy_end(db, &stored), SB_EEXIST);
    assert_int_equal(cp_db_ping(db), SB_OK);
}

static void notifications_arrive_and_survive_a_reset(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *listener = fresh();
    SB_CLEANUP(cp_db_destroy) struct cp_db *speaker = connect_as(cluster.conninfo, NULL);
    struct cp_notification notification;
    struct pollfd pfd = {.events = POLLIN};

    (void)state;
    assert_int_equal(cp_db_listen(listener, CP_CHANNEL_CONFIG), SB_OK);
    assert_int_equal(cp_db_notified(listener, &notification), SB_EAGAIN);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(cp_db_script(speaker, "NOTIFY " CP_CHANNEL_CONFIG ", '7.42'"), SB_OK);
        pfd.fd = cp_db_fd(listener);
        assert_int_equal(poll(&pfd, 1, 10000), 1);
        assert_int_equal(cp_db_notified(listener, &notification), SB_OK);
        assert_string_equal(notification.channel, CP_CHANNEL_CONFIG);
        assert_string_equal(notification.payload, "7.42");
        assert_int_equal(cp_db_notified(listener, &notification), SB_EAGAIN);
        assert_int_equal(cp_db_reset(listener, NULL), SB_OK);
    }
}

static void a_lost_connection_stays_lost_until_it_is_reset(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();
    SB_CLEANUP(cp_db_destroy) struct cp_db *other = connect_as(cluster.conninfo, NULL);

    (void)state;
    assert_int_equal(cp_db_begin(db, CP_READ_COMMITTED), SB_OK);
    assert_int_equal(
        cp_db_script(other, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE datname = current_database() AND pid <> pg_backend_pid()"),
        SB_OK);
    assert_int_equal(cp_db_ping(db), SB_ECONNRESET);
    assert_false(cp_db_is_alive(db));
    assert_int_equal(cp_db_ping(db), SB_ECONNRESET);
    cp_db_rollback(db);
    assert_int_equal(cp_db_fd(db), -1);
    assert_int_equal(cp_db_reset(db, NULL), SB_OK);
    assert_int_equal(cp_db_begin(db, CP_READ_COMMITTED), SB_OK);
    assert_int_equal(cp_db_commit(db), SB_OK);
}

static void a_server_that_does_not_answer_costs_only_the_timeout(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();

    (void)state;
    cp_db_set_timeout(db, 50);
    assert_int_equal(cp_db_script(db, "SELECT pg_sleep(600)"), SB_ETIMEDOUT);
    assert_false(cp_db_is_alive(db));
    assert_int_equal(cp_db_reset(db, NULL), SB_OK);
    cp_db_set_timeout(db, 0);
    assert_int_equal(cp_db_ping(db), SB_OK);
}

static void composites_are_walked_part_by_part(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fresh();
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_record record;
    struct sb_slice part;

    (void)state;
    assert_int_equal(
        cp_db_query(db, "SELECT ROW('a'::text, NULL::text, '2026-03-01'::date), NULL::date",
                    CP_NO_PARAMS, &rows),
        SB_OK);
    record = cp_record_open(cp_rows_bytes(rows, 0, 0));
    assert_int_equal(record.n, 3);
    assert_true(cp_record_next(&record, &part) && sb_slice_is(part, "a"));
    assert_true(cp_record_next(&record, &part) && part.n == 0);
    assert_int_equal(cp_record_day(part), 0);
    assert_true(cp_record_next(&record, &part));
    assert_int_equal(cp_record_day(part), 20513);
    assert_false(cp_record_next(&record, &part));
    record = cp_record_open(cp_rows_bytes(rows, 0, 1));
    assert_false(cp_record_next(&record, &part));
}

static void the_server_ends_a_session_that_asks_nothing_for_too_long(void **state)
{
    struct cp_db_conf conf = {.conninfo = pg_cluster_database(&cluster), .idle_timeout = 50};
    SB_CLEANUP(cp_db_destroy) struct cp_db *stopped = NULL;
    SB_CLEANUP(cp_db_destroy) struct cp_db *heir = connect_as(cluster.conninfo, NULL);
    struct pollfd pfd = {.events = POLLIN};

    (void)state;
    assert_int_equal(cp_db_new(&conf, &stopped, NULL), SB_OK);
    assert_int_equal(cp_db_script(stopped, "SELECT pg_advisory_lock(1)"), SB_OK);
    /* As a stopped leader: the lock is free without its doing anything. */
    assert_int_equal(cp_db_script(heir, "SELECT pg_advisory_lock(1)"), SB_OK);
    pfd.fd = cp_db_fd(stopped);
    assert_int_equal(poll(&pfd, 1, 10000), 1);
    assert_int_equal(cp_db_ping(stopped), SB_ECONNRESET);
}

static void a_server_that_is_down_is_an_error_that_names_it(void **state)
{
    struct cp_db_conf conf = {.conninfo = "host=/nonexistent user=x password=hush dbname=y"};
    struct cp_db *db = NULL;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(cp_db_new(&conf, &db, &err), SB_ECONNRESET);
    assert_null(db);
    assert_non_null(strstr(err.text, "/nonexistent"));
    assert_null(strstr(err.text, "hush"));
    conf.conninfo = "postgresql://x:hush@[::1/y";
    assert_int_equal(cp_db_new(&conf, &db, &err), SB_EINVAL);
    assert_null(strstr(err.text, "hush"));
    conf.conninfo = "password=hush host";
    assert_int_equal(cp_db_new(&conf, &db, &err), SB_EINVAL);
    assert_null(strstr(err.text, "hush"));
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
        cmocka_unit_test(values_of_every_type_come_back_as_they_went),
        cmocka_unit_test(arrays_are_walked_element_by_element),
        cmocka_unit_test(a_refused_statement_says_why),
        cmocka_unit_test(text_with_a_nul_never_reaches_the_server),
        cmocka_unit_test(a_transaction_is_repeated_only_when_the_server_asks_for_it),
        cmocka_unit_test(a_serialization_failure_is_told_apart),
        cmocka_unit_test(a_commit_of_a_failed_transaction_is_an_error),
        cmocka_unit_test(a_copy_brings_all_rows_or_none),
        cmocka_unit_test(notifications_arrive_and_survive_a_reset),
        cmocka_unit_test(a_lost_connection_stays_lost_until_it_is_reset),
        cmocka_unit_test(a_server_that_does_not_answer_costs_only_the_timeout),
        cmocka_unit_test(composites_are_walked_part_by_part),
        cmocka_unit_test(the_server_ends_a_session_that_asks_nothing_for_too_long),
        cmocka_unit_test(a_server_that_is_down_is_an_error_that_names_it),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
