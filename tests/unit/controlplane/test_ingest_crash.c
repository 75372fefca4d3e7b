/* tests/unit/controlplane/test_ingest_crash.c - the collector and PostgreSQL die
 * between any two steps of a batch: nothing is lost, nothing is stored twice,
 * and the log is whole. */
#include "controlplane/records/ingest.h"

#include "controlplane/stats.h"
#include "tests/lib/log_check.h"
#include "tests/lib/pg_proxy.h"

enum { RECORDS = 9 };

static struct pg_proxy proxy;
static struct cp_db *owner;
static struct sb_buf bulk;
static struct cp_stats stats;

/* Of each kind of row one, and one more of those that it takes a transaction
 * of its own to find. */
static void fill(void)
{
    struct msg_record record = fixture_record("gen-crash");

    for (uint64_t i = 1; i <= RECORDS; i++) {
        record.kind = i % 3 == 1 ? MSG_RECORD_DISPATCH : MSG_RECORD_REQUEST;
        record.dispatch = i % 3 == 2 && i != 8 ? i - 1 : 0; /* that of 7 stays open */
        if (i == 3)
            record.took = UINT64_MAX; /* no column takes it */
        fixture_append(&bulk, &record);
        record.took = 0;
    }
    record.kind = MSG_RECORD_REFUSALS;
    record.refusal = SB_SLICE_LIT("no_key");
    fixture_append(&bulk, &record);
}

static int set_up(void **state)
{
    (void)state;
    (void)fixture_database();
    owner = fixture_connect(cluster.conninfo, NULL);
    sb_buf_init(&bulk, MSG_BATCH_MAX);
    fill();
    pg_proxy_open(&proxy, &cluster);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pg_proxy_close(&proxy);
    cp_db_destroy(&owner);
    sb_buf_release(&bulk);
    return 0;
}

static int store(const char *conninfo, uint64_t boot)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = NULL;
    const struct cp_db_conf conf = {.conninfo = conninfo, .role = CP_DB_COLLECTOR_ROLE};
    struct cp_ingest_batch batch = {
        .worker = SB_SLICE_LIT("w"), .boot = boot, .first = 1, .bulk = sb_buf_slice(&bulk)};
    int rc = cp_db_new(&conf, &db, NULL);

    return rc == SB_OK ? cp_ingest(db, FIXTURE_TERM, &batch, 1, &stats) : rc;
}

/* The same in a child, by way of the proxy. */
static unsigned store_and_die(uint64_t boot, unsigned fatal, enum pg_proxy_fault fault)
{
    char conninfo[256];
    unsigned steps;
    pid_t child;

    pg_proxy_conninfo(&cluster, conninfo);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(store(conninfo, boot) == SB_OK ? 0 : 1);
    steps = pg_proxy_run(&proxy, child, fatal, fault);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return steps;
}

/* When a backend crashes, the postmaster ends all sessions and lets nobody in for
 * a moment; in between it has not noticed yet. */
static void connect_again(void)
{
    const struct cp_db_conf conf = {.conninfo = cluster.conninfo};
    const struct timespec pause = {.tv_nsec = 5000000};

    while (cp_db_ping(owner) == SB_OK)
        (void)nanosleep(&pause, NULL);
    cp_db_destroy(&owner);
    for (int i = 0; i < 4000; i++) {
        if (cp_db_new(&conf, &owner, NULL) == SB_OK)
            return;
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("the server does not come back");
}

static int64_t count_of(uint64_t boot, const char *what)
{
    char sql[512];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(%s) FROM (SELECT sequence, boot_id FROM audit_requests UNION ALL"
                   " SELECT sequence, boot_id FROM audit_dispatches UNION ALL"
                   " SELECT sequence, boot_id FROM audit_refusals UNION ALL"
                   " SELECT sequence, boot_id FROM quarantine) AS r WHERE boot_id = %d",
                   what, (int)boot);
    return fixture_number(owner, sql);
}

static void is_whole(uint64_t boot, bool must_be_stored)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(65536);
    int64_t n = count_of(boot, "*");

    if (n != 0 || must_be_stored)
        assert_int_equal(n, RECORDS + 1);
    assert_int_equal(count_of(boot, "DISTINCT sequence"), n);
    assert_int_equal(log_check(owner, arena).size,
                     fixture_number(owner, "SELECT count(*)::bigint * 10 FROM ingest_cursor"
                                           " WHERE last_seq > 0"));
    assert_int_equal(fixture_number(owner, "SELECT count(*) FROM open_dispatches"),
                     fixture_number(owner, "SELECT count(*) FROM ingest_cursor"
                                           " WHERE last_seq > 0"));
}

static void dies_at_every_step(enum pg_proxy_fault fault)
{
    uint64_t boot = 1;
    unsigned steps = store_and_die(boot, 0, fault);

    is_whole(boot, true);
    assert_true(steps > 12);
    for (unsigned fatal = 1; fatal <= steps; fatal++) {
        unsigned reached = store_and_die(++boot, fatal, fault);

        assert_int_equal(reached, fatal);
        if (fault == PG_PROXY_SERVER_BEFORE || fault == PG_PROXY_SERVER_AFTER)
            connect_again();
        is_whole(boot, false);
        assert_int_equal(store(cluster.conninfo, boot), SB_OK); /* it comes again */
        is_whole(boot, true);
    }
}

static void the_collector_dies_before_any_step(void **state)
{
    (void)state;
    dies_at_every_step(PG_PROXY_CLIENT_BEFORE);
}

static void the_collector_dies_before_it_hears_of_any_step(void **state)
{
    (void)state;
    dies_at_every_step(PG_PROXY_CLIENT_AFTER);
}

static void postgresql_dies_before_any_step(void **state)
{
    (void)state;
    dies_at_every_step(PG_PROXY_SERVER_BEFORE);
}

static void postgresql_dies_before_it_tells_of_any_step(void **state)
{
    (void)state;
    dies_at_every_step(PG_PROXY_SERVER_AFTER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_collector_dies_before_any_step),
        TEST(the_collector_dies_before_it_hears_of_any_step),
        TEST(postgresql_dies_before_any_step),
        TEST(postgresql_dies_before_it_tells_of_any_step),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
