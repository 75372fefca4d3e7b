/* tests/unit/controlplane/test_dispatches.c - against a real PostgreSQL, through
 * controlplane/records/ingest.h, which is whom it serves. */
#include "controlplane/records/dispatches.h"

#include "controlplane/records/ingest.h"
#include "controlplane/stats.h"
#include "tests/lib/ingest_fixture.h"

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

static int tear_down(void **state)
{
    (void)state;
    cp_db_destroy(&db);
    cp_db_destroy(&owner);
    sb_buf_release(&bulk);
    return 0;
}

/* --- records of a batch -------------------------------------------------------- */

static void dispatched(const char *generation)
{
    struct msg_record record = fixture_record(generation);

    record.kind = MSG_RECORD_DISPATCH;
    record.status = 0;
    record.outcome = MSG_OUTCOME_NONE;
    record.received_at = (int64_t)sb_clock_wall(&sb_clock_system);
    record.request_id = SB_SLICE_LIT("req-1");
    record.endpoint = 81;
    record.tag = SB_SLICE_LIT("acme/turbo");
    record.provider = SB_SLICE_LIT("acme");
    record.region = SB_SLICE_LIT("DE");
    record.streamed = true;
    record.demanded = 1u << MSG_CLAIM_ZDR;
    record.residency = SB_SLICE_LIT("eu");
    record.client_address = SB_SLICE_LIT("2001:db8::17");
    fixture_append(&bulk, &record);
}

static void ended(const char *generation, uint64_t dispatch)
{
    struct msg_record record = fixture_record(generation);

    record.received_at = (int64_t)sb_clock_wall(&sb_clock_system);
    record.dispatch = dispatch;
    fixture_append(&bulk, &record);
}

static void send(const char *worker, uint64_t boot, uint64_t first)
{
    struct cp_ingest_batch batch = {
        .worker = sb_slice_of(worker), .boot = boot, .first = first, .bulk = sb_buf_slice(&bulk)};

    assert_int_equal(cp_ingest(db, FIXTURE_TERM, &batch, 1, &stats), SB_OK);
    sb_buf_reset(&bulk);
}

#define COUNT(what) fixture_number(owner, "SELECT count(*) FROM " what)

static void a_dispatch_and_its_record_in_one_batch_leave_nothing_open(void **state)
{
    (void)state;
    dispatched("gen-a");
    dispatched("gen-b");
    ended("gen-b", 2);
    ended("gen-a", 1);
    send("w", 1, 1);
    assert_int_equal(COUNT("open_dispatches"), 0);
    assert_int_equal(COUNT("audit_open_requests"), 0);
    assert_int_equal(COUNT("audit_requests"), 2);
    assert_int_equal(COUNT("audit_dispatches"), 2);
    /* not even for a moment: that would be work for each request */
    assert_int_equal(fixture_number(db, "SELECT pg_relation_size('open_dispatches')"), 0);
}

static void a_record_that_comes_later_takes_the_place_of_its_dispatch(void **state)
{
    (void)state;
    dispatched("gen-a");
    dispatched("gen-b");
    send("w", 1, 1);
    assert_int_equal(COUNT("audit_open_requests WHERE outcome = 38"), 2);
    ended("gen-a", 1);
    send("w", 1, 3);
    assert_int_equal(COUNT("audit_open_requests WHERE generation = 'gen-b'"), 1);
    assert_int_equal(COUNT("audit_open_requests"), 1);
    assert_int_equal(COUNT("audit_requests WHERE generation = 'gen-a'"), 1);
    ended("gen-a", 1);
    send("w", 1, 3); /* again: skipped */
    assert_int_equal(COUNT("audit_open_requests"), 1);
    assert_int_equal(COUNT("audit_requests"), 1);
    assert_int_equal(COUNT("audit_dispatches"), 2); /* history stays */
}

/* Sequences begin with every boot, and every worker has them. */
static void only_its_own_record_closes_a_dispatch(void **state)
{
    (void)state;
    dispatched("gen-a");
    send("w", 1, 1);
    ended("gen-x", 1);
    send("v", 1, 1);
    ended("gen-y", 1);
    send("w", 2, 1);
    ended("gen-z", 0);
    send("w", 1, 2);
    assert_int_equal(COUNT("audit_open_requests WHERE generation = 'gen-a'"), 1);
}

static void an_open_request_says_all_that_was_known_then(void **state)
{
    (void)state;
    dispatched("gen-a");
    send("w", 1, 1);
    assert_int_equal(COUNT("audit_open_requests WHERE generation = 'gen-a' AND request_id = 'req-1'"
                           " AND endpoint_id = 81 AND tag = 'acme/turbo' AND provider = 'acme'"
                           " AND region = 'DE' AND streamed AND demanded = 2 AND residency = 'eu'"
                           " AND client_address = '2001:db8::17' AND took_us IS NULL AND status = 0"
                           " AND model_served IS NULL AND attempts = '[]' AND cost = 0"),
                     1);
}

static void a_later_boot_of_its_worker_makes_it_abandoned(void **state)
{
    (void)state;
    dispatched("gen-a");
    send("w", 5, 1);
    dispatched("gen-b");
    send("v", 9, 1); /* another worker: says nothing about w */
    assert_int_equal(COUNT("audit_open_requests WHERE outcome = 38"), 2);
    ended("gen-c", 0);
    send("w", 6, 1);
    assert_int_equal(COUNT("audit_open_requests WHERE outcome = 36 AND generation = 'gen-a'"), 1);
    assert_int_equal(COUNT("audit_open_requests WHERE outcome = 38 AND generation = 'gen-b'"), 1);
    ended("gen-a", 1); /* it was in a spool that somebody else sends */
    send("w", 5, 2);
    assert_int_equal(COUNT("audit_open_requests WHERE generation = 'gen-a'"), 0);
}

static void an_hour_without_news_makes_it_abandoned(void **state)
{
    (void)state;
    dispatched("gen-a");
    send("w", 1, 1);
    assert_int_equal(
        cp_db_script(owner, "UPDATE audit_dispatches SET received_at = now() - interval '61 min';"
                            "UPDATE open_dispatches o SET received_at = d.received_at"
                            " FROM audit_dispatches d"),
        SB_OK);
    assert_int_equal(COUNT("audit_open_requests WHERE outcome = 36"), 1);
}

static void what_is_open_goes_with_the_days_that_are_dropped(void **state)
{
    (void)state;
    dispatched("gen-a");
    send("w", 1, 1);
    assert_int_equal(cp_db_script(owner, "SELECT drop_partitions('audit_dispatches',"
                                         " (now() AT TIME ZONE 'UTC')::date)"),
                     SB_OK);
    assert_int_equal(COUNT("open_dispatches"), 1);
    assert_int_equal(cp_db_script(owner, "SELECT drop_partitions('audit_requests',"
                                         " (now() AT TIME ZONE 'UTC')::date + 1)"),
                     SB_OK);
    assert_int_equal(COUNT("open_dispatches"), 1);
    assert_int_equal(cp_db_script(owner, "SELECT drop_partitions('audit_dispatches',"
                                         " (now() AT TIME ZONE 'UTC')::date + 1)"),
                     SB_OK);
    assert_int_equal(COUNT("open_dispatches"), 0);
    assert_int_equal(COUNT("audit_open_requests"), 0);
}

/* The record of gen-bad is found by halving, so its dispatch comes with others. */
static void a_record_that_is_refused_leaves_its_dispatch_open(void **state)
{
    (void)state;
    assert_int_equal(
        cp_db_script(owner, "ALTER TABLE audit_requests ADD CHECK (generation <> 'gen-bad')"),
        SB_OK);
    for (int i = 0; i < 5; i++)
        dispatched(i == 2 ? "gen-bad" : "gen-good");
    for (uint64_t i = 1; i <= 5; i++)
        ended(i == 3 ? "gen-bad" : "gen-good", i);
    send("w", 1, 1);
    assert_int_equal(COUNT("quarantine"), 1);
    assert_int_equal(COUNT("audit_requests"), 4);
    assert_int_equal(COUNT("audit_open_requests"), 1);
    assert_int_equal(COUNT("audit_open_requests WHERE generation = 'gen-bad'"), 1);
}

static void many_pairs_are_found_in_any_order(void **state)
{
    enum { N = 300 };

    (void)state;
    for (uint64_t i = 1; i <= N; i++)
        dispatched("gen-d");
    send("w", 1, 1);
    for (uint64_t i = 0; i < N; i++) /* 7 and N have no divisor in common */
        ended("gen-d", i * 7 % N + 1 == 5 ? 0 : i * 7 % N + 1);
    for (uint64_t i = 1; i <= N; i++)
        dispatched("gen-e");
    send("w", 1, N + 1);
    assert_int_equal(COUNT("open_dispatches WHERE sequence <= 300"), 1);
    assert_int_equal(COUNT("open_dispatches WHERE sequence = 5"), 1);
    assert_int_equal(COUNT("open_dispatches WHERE sequence > 600"), N);
}

/* The service keeps the short list, and cannot touch what is history. */
static void history_is_out_of_reach(void **state)
{
    (void)state;
    dispatched("gen-a");
    send("w", 1, 1);
    assert_int_not_equal(cp_db_script(db, "DELETE FROM audit_dispatches"), SB_OK);
    assert_int_not_equal(cp_db_script(db, "UPDATE audit_dispatches SET generation = 'x'"), SB_OK);
    assert_int_not_equal(cp_db_script(db, "UPDATE open_dispatches SET sequence = 7"), SB_OK);
    assert_int_equal(COUNT("audit_open_requests"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dispatch_and_its_record_in_one_batch_leave_nothing_open),
        TEST(a_record_that_comes_later_takes_the_place_of_its_dispatch),
        TEST(only_its_own_record_closes_a_dispatch),
        TEST(an_open_request_says_all_that_was_known_then),
        TEST(a_later_boot_of_its_worker_makes_it_abandoned),
        TEST(an_hour_without_news_makes_it_abandoned),
        TEST(what_is_open_goes_with_the_days_that_are_dropped),
        TEST(a_record_that_is_refused_leaves_its_dispatch_open),
        TEST(many_pairs_are_found_in_any_order),
        TEST(history_is_out_of_reach),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
