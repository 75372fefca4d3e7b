/* tests/unit/controlplane/test_ingest.c - against a real PostgreSQL. */
#include "controlplane/records/ingest.h"

#include "controlplane/stats.h"
#include "tests/lib/log_check.h"

static struct cp_db *db, *owner;
static struct cp_stats stats;
static struct sb_buf bulk;

static int set_up(void **state)
{
    const char *conninfo = fixture_database();

    (void)state;
    stats = (struct cp_stats){.leading = 0};
    owner = fixture_connect(conninfo, NULL);
    db = fixture_connect(conninfo, CP_DB_COLLECTOR_ROLE);
    sb_buf_init(&bulk, MSG_BATCH_MAX);
    return 0;
}

/* Whatever a test did: the log is whole afterwards. */
static int tear_down(void **state)
{
    struct sb_arena *arena = sb_arena_new(65536);

    (void)state;
    (void)log_check(owner, arena);
    sb_arena_destroy(&arena);
    cp_db_destroy(&db);
    cp_db_destroy(&owner);
    sb_buf_release(&bulk);
    return 0;
}

static struct cp_ingest_batch batch_of(const char *worker, uint64_t boot, uint64_t first)
{
    return (struct cp_ingest_batch){.worker = sb_slice_of(worker),
                                    .boot = boot,
                                    .first = first,
                                    .bulk = sb_buf_slice(&bulk),
                                    .last = 999};
}

static uint64_t store(uint64_t first)
{
    struct cp_ingest_batch batch = batch_of("w", 1, first);

    assert_int_equal(cp_ingest(db, FIXTURE_TERM, &batch, 1, &stats), SB_OK);
    return batch.last;
}

static int64_t stored(void)
{
    return fixture_number(db, "SELECT count(*) FROM audit_requests");
}

static int64_t log_size(void)
{
    return fixture_number(db, "SELECT size FROM log_head");
}

static void what_is_not_newer_is_skipped(void **state)
{
    (void)state;
    fixture_fill(&bulk, 5);
    assert_int_equal(store(1), 5);
    assert_int_equal(store(1), 5);
    assert_int_equal(store(4), 8);
    assert_int_equal(stored(), 8);
    assert_int_equal(log_size(), 8);
    assert_int_equal(stats.log_size, 8);
    assert_int_equal(stats.records_stored, 8);
    assert_int_equal(stats.records_skipped, 7);
    assert_int_equal(stats.record_gaps, 0);
    assert_int_equal(stats.batch_transactions, 3);
}

static void some_batches_share_a_transaction(void **state)
{
    struct cp_ingest_batch batches[4];

    (void)state;
    fixture_fill(&bulk, 3);
    batches[0] = batch_of("w", 1, 1);
    batches[1] = batch_of("v", 1, 1);
    batches[2] = batch_of("w", 1, 4);
    batches[3] = batch_of("w", 1, 4); /* sent again while it waited */
    assert_int_equal(cp_ingest(db, FIXTURE_TERM, batches, 4, &stats), SB_OK);
    assert_int_equal(batches[0].last, 6);
    assert_int_equal(batches[1].last, 3);
    assert_int_equal(batches[3].last, 6);
    assert_int_equal(stored(), 9);
    assert_int_equal(stats.batch_transactions, 1);
    assert_int_equal(stats.records_skipped, 3);
}

static void an_empty_batch_learns_how_far_it_is(void **state)
{
    struct cp_ingest_batch batch;

    (void)state;
    fixture_fill(&bulk, 2);
    assert_int_equal(store(1), 2);
    batch = batch_of("w", 1, 1);
    batch.bulk = SB_SLICE_NONE;
    assert_int_equal(cp_ingest(db, FIXTURE_TERM, &batch, 1, &stats), SB_OK);
    assert_int_equal(batch.last, 2);
}

static void a_hole_is_counted_and_not_waited_for(void **state)
{
    (void)state;
    fixture_fill(&bulk, 2);
    assert_int_equal(store(1), 2);
    assert_int_equal(store(10), 11);
    assert_int_equal(stats.record_gaps, 1);
    assert_int_equal(stored(), 4);
}

/* The database takes no generation "bad": as a constraint of somebody's would. */
static void make_it_refuse(const char *constraint)
{
    assert_int_equal(cp_db_script(owner, constraint), SB_OK);
}

static void refused_records_are_found_wherever_they_are(void **state)
{
    enum { N = 37 };
    struct msg_record good = fixture_record("good"), bad = fixture_record("bad");
    int n_bad = 0;

    (void)state;
    make_it_refuse("ALTER TABLE audit_requests ADD CHECK (generation <> 'bad')");
    for (int i = 0; i < N; i++) {
        bool is_bad = i == 0 || i == 17 || i == 18 || i == N - 1;

        fixture_append(&bulk, is_bad ? &bad : &good);
        n_bad += is_bad;
    }
    assert_int_equal(store(1), N);
    assert_int_equal(stored(), N - n_bad);
    assert_int_equal(log_size(), N); /* and they are in their order */
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM (SELECT sequence, leaf FROM"
                                        " audit_requests UNION ALL SELECT sequence, leaf FROM"
                                        " quarantine) AS r WHERE leaf = sequence - 1"),
                     N);
    assert_int_equal(stats.records_quarantined, n_bad);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM quarantine WHERE code = '23514'"
                                        " AND sequence IN (1, 18, 19, 37)"),
                     n_bad);
    assert_int_equal(store(1), N); /* again: nothing is doubled, neither here nor there */
    assert_int_equal(stored(), N - n_bad);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM quarantine"), n_bad);
}

/* So many that rows are sent while more are made: also around one that cannot be a
 * row, and ones that the database refuses. */
static void many_records_are_stored_in_their_order(void **state)
{
    enum { N = 3000 };
    struct msg_record good = fixture_record("good"), bad = fixture_record("bad"), odd = good;

    (void)state;
    odd.endpoint = UINT64_MAX;
    make_it_refuse("ALTER TABLE audit_requests ADD CHECK (generation <> 'bad')");
    for (int i = 0; i < N; i++)
        fixture_append(&bulk, i == 1500 ? &odd : i == 10 || i == 2900 ? &bad : &good);
    assert_int_equal(store(1), N);
    assert_int_equal(stored(), N - 3);
    assert_int_equal(log_size(), N);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM (SELECT sequence, leaf FROM"
                                        " audit_requests UNION ALL SELECT sequence, leaf FROM"
                                        " quarantine) AS r WHERE leaf = sequence - 1"),
                     N);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM quarantine"
                                        " WHERE sequence IN (11, 1501, 2901)"),
                     3);
}

static void all_refused_is_all_quarantined(void **state)
{
    (void)state;
    make_it_refuse("ALTER TABLE audit_requests ADD CHECK (generation <> 'gen-x')");
    fixture_fill(&bulk, 9);
    assert_int_equal(store(1), 9);
    assert_int_equal(stored(), 0);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM quarantine"), 9);
}

static void a_value_too_long_for_an_index_is_the_records_fault(void **state)
{
    struct msg_record record = fixture_record("ok");

    (void)state;
    make_it_refuse("CREATE FUNCTION long(text) RETURNS text LANGUAGE sql IMMUTABLE"
                   " RETURN CASE WHEN $1 = 'gen-x' THEN (SELECT string_agg(md5(i::text), '')"
                   " FROM generate_series(1, 1000) i) ELSE $1 END;"
                   "GRANT EXECUTE ON FUNCTION long(text) TO switchboard_collector;"
                   "CREATE INDEX ON audit_requests (long(generation))");
    fixture_append(&bulk, &record);
    fixture_fill(&bulk, 1);
    fixture_append(&bulk, &record);
    assert_int_equal(store(1), 3);
    assert_int_equal(stored(), 2);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM quarantine WHERE code = '54000'"), 1);
}

static void a_database_in_trouble_is_nobodys_fault(void **state)
{
    struct cp_ingest_batch batch;

    (void)state;
    make_it_refuse("ALTER TABLE audit_requests RENAME TO elsewhere");
    fixture_fill(&bulk, 3);
    batch = batch_of("w", 1, 1);
    assert_int_equal(cp_ingest(db, FIXTURE_TERM, &batch, 1, &stats), SB_EDB);
    assert_int_equal(batch.last, 999);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM quarantine"), 0);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM ingest_cursor"), 0);
    make_it_refuse("ALTER TABLE elsewhere RENAME TO audit_requests");
    assert_int_equal(store(1), 3);
}

static void another_term_stores_nothing(void **state)
{
    struct cp_ingest_batch batch;

    (void)state;
    fixture_fill(&bulk, 3);
    batch = batch_of("w", 1, 1);
    assert_int_equal(cp_ingest(db, FIXTURE_TERM - 1, &batch, 1, &stats), SB_ENOTLEADER);
    assert_int_equal(cp_ingest(db, FIXTURE_TERM + 1, &batch, 1, &stats), SB_ENOTLEADER);
    assert_int_equal(stored(), 0);
    assert_int_equal(log_size(), 0);
    assert_int_equal(batch.last, 999);
    assert_int_equal(stats.records_stored, 0);
}

static void a_lost_connection_leaves_nothing_half_done(void **state)
{
    struct cp_ingest_batch batch;

    (void)state;
    fixture_fill(&bulk, 3);
    batch = batch_of("w", 1, 1);
    assert_int_equal(cp_db_script(owner, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                         " WHERE datname = current_database()"
                                         " AND pid <> pg_backend_pid()"),
                     SB_OK);
    assert_int_equal(cp_ingest(db, FIXTURE_TERM, &batch, 1, &stats), SB_ECONNRESET);
    assert_int_equal(cp_db_reset(db, NULL), SB_OK);
    assert_int_equal(stored(), 0);
    assert_int_equal(store(1), 3);
}

static void what_is_put_aside_is_in_the_log_with_the_hash_of_its_bytes(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(65536);
    struct log_check log;

    (void)state;
    assert_int_equal(msg_batch_append(&bulk, SB_SLICE_LIT("abc")), SB_OK);
    assert_int_equal(store(1), 1);
    log = log_check(owner, arena);
    assert_int_equal(log.size, 1);
    assert_non_null(strstr(log.lines[0].p, "\"boot_id\":1,\"bytes_sha256\":\"ba7816bf8f01cfea4141"
                                           "40de5dae2223b00361a396177a9cb410ff61f20015ad\","
                                           "\"code\":\"EPARSE\",\"kind\":\"quarantined\""));
}

/* A record is not to blame, and must not be put aside, when the log itself is
 * not as it was left: by a restored backup, or by somebody's hand. */
static void tampered(const char *how)
{
    struct cp_ingest_batch batch;

    assert_int_equal(store(1), 300);
    assert_int_equal(cp_db_script(owner, "CREATE TABLE kept_head AS SELECT * FROM log_head"),
                     SB_OK);
    assert_int_equal(cp_db_script(owner, how), SB_OK);
    batch = batch_of("w", 1, 301);
    assert_int_equal(cp_ingest(db, FIXTURE_TERM, &batch, 1, &stats), SB_EHASH);
    assert_int_equal(batch.last, 999);
    assert_int_equal(stored(), 300);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM quarantine"), 0);
    assert_int_equal(cp_db_script(owner, "DELETE FROM log_head;"
                                         "INSERT INTO log_head SELECT * FROM kept_head"),
                     SB_OK);
    assert_int_equal(store(301), 600);
}

static void a_head_that_is_older_than_the_tree_stops_the_log(void **state)
{
    (void)state;
    fixture_fill(&bulk, 300);
    tampered("UPDATE log_head SET size = 0, edge = ''");
}

static void a_head_that_is_no_tree_stops_the_log(void **state)
{
    (void)state;
    fixture_fill(&bulk, 300);
    tampered("UPDATE log_head SET size = size + 1");
}

static void a_head_that_is_gone_stops_the_log(void **state)
{
    (void)state;
    fixture_fill(&bulk, 300);
    tampered("DELETE FROM log_head");
}

static void many_small_transactions_are_one_tree(void **state)
{
    (void)state;
    for (uint64_t first = 1, n = 1; first < 1200; first += n, n = n * 5 % 83) {
        sb_buf_reset(&bulk);
        fixture_fill(&bulk, (int)n);
        assert_int_equal(store(first), first + n - 1);
    }
    assert_true(log_size() >= 1199);
    assert_int_equal(fixture_number(db, "SELECT sum(octet_length(hashes))::bigint / 32"
                                        " FROM log_nodes WHERE level = 1"),
                     log_size() / 256);
}

static void names_that_need_escapes_are_names(void **state)
{
    struct cp_ingest_batch batch;

    (void)state;
    fixture_fill(&bulk, 1);
    batch = batch_of("w\"'\\{},:%", 1, 1);
    assert_int_equal(cp_ingest(db, FIXTURE_TERM, &batch, 1, &stats), SB_OK);
    assert_int_equal(batch.last, 1);
    assert_int_equal(
        fixture_number(db,
                       "SELECT count(*) FROM audit_requests WHERE worker_id = E'w\"''\\\\{},:%'"),
        1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_newer_is_skipped),
        TEST(some_batches_share_a_transaction),
        TEST(an_empty_batch_learns_how_far_it_is),
        TEST(a_hole_is_counted_and_not_waited_for),
        TEST(refused_records_are_found_wherever_they_are),
        TEST(many_records_are_stored_in_their_order),
        TEST(all_refused_is_all_quarantined),
        TEST(a_value_too_long_for_an_index_is_the_records_fault),
        TEST(a_database_in_trouble_is_nobodys_fault),
        TEST(another_term_stores_nothing),
        TEST(a_lost_connection_leaves_nothing_half_done),
        TEST(what_is_put_aside_is_in_the_log_with_the_hash_of_its_bytes),
        TEST(a_head_that_is_older_than_the_tree_stops_the_log),
        TEST(a_head_that_is_no_tree_stops_the_log),
        TEST(a_head_that_is_gone_stops_the_log),
        TEST(many_small_transactions_are_one_tree),
        TEST(names_that_need_escapes_are_names),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
