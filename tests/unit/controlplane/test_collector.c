/* tests/unit/controlplane/test_collector.c - against a real PostgreSQL, and
 * against none. */
#include "controlplane/records/collector.h"

#include "common/bus.h"
#include "common/mem.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "tests/lib/inbox.h"
#include "tests/lib/ingest_fixture.h"

static const char *conninfo;
static struct cp_stats stats;
static struct cp_collector *collector;
static struct inbox inbox; /* the publisher's */
static struct sb_buf bulk;

static void start(const char *database)
{
    const struct cp_collector_conf conf = {.conninfo = database, .name = "test", .stats = &stats};
    struct sb_errmsg err;

    stats = (struct cp_stats){.leading = 0};
    inbox_open(&inbox);
    sb_buf_init(&bulk, MSG_BATCH_MAX);
    assert_int_equal(cp_collector_start(&conf, &collector, &err), SB_OK);
    (void)sb_mailbox_post(cp_collector_mailbox(collector), &cp_attach_new(inbox.box)->mail);
}

static int set_up(void **state)
{
    (void)state;
    conninfo = fixture_database();
    start(conninfo);
    return 0;
}

static int set_up_without(void **state)
{
    (void)state;
    start("host=/nowhere dbname=none");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_collector_stop(&collector);
    inbox_close(&inbox);
    sb_buf_release(&bulk);
    return 0;
}

static void lead(bool leading, uint64_t term)
{
    (void)sb_mailbox_post(cp_collector_mailbox(collector), &cp_lead_new(leading, term, 1)->mail);
}

/* One batch of what is in bulk, which stays. */
static void post(uint64_t term, const char *worker, uint64_t first)
{
    struct cp_batch *batch = cp_batch_new(NULL, sb_slice_of(worker));

    batch->term = term;
    batch->batch =
        (struct msg_batch){.worker = sb_slice_of(worker), .boot = 1, .first = first, .count = 1};
    batch->bulk = sb_buf_slice(&bulk);
    (void)sb_mailbox_post(cp_collector_mailbox(collector), &batch->mail);
}

static void free_ask(struct sb_ask *ask)
{
    sb_mem_free(ask);
}

/* All that was posted before has been taken: mail is handled in order.  The
 * question is not on the stack: who answers may let go of it last. */
static void settle(void)
{
    struct sb_ask *ask = sb_mem_new(sizeof(*ask));
    int rc;

    sb_ask_init(ask, CP_ASK_STATE, free_ask);
    rc = sb_ask_wait(ask, cp_collector_mailbox(collector), INBOX_PATIENCE);
    assert_int_equal(rc, SB_ECANCELED); /* no question for a collector */
    sb_ask_release(ask);
}

static void expect_ok(const char *worker, uint64_t last)
{
    struct sb_mail *mail = inbox_expect(&inbox, CP_MAIL_SEND);
    struct cp_send *send = container_of(mail, struct cp_send, mail);
    struct msg_batch_ok ok;

    assert_int_equal(send->kind, MSG_KIND_BATCH_OK);
    assert_int_equal(send->term, FIXTURE_TERM);
    assert_false(send->publish);
    assert_true(sb_slice_is(cp_peer_id(&send->to), worker));
    assert_int_equal(msg_batch_ok_decode(sb_buf_slice(&send->body), &ok), SB_OK);
    assert_true(sb_slice_is(ok.worker, worker));
    assert_int_equal(ok.last, last);
    cp_mail_free(mail);
}

static void what_is_stored_is_acknowledged_to_who_sent_it(void **state)
{
    (void)state;
    fixture_fill(&bulk, 2);
    lead(true, FIXTURE_TERM);
    post(FIXTURE_TERM, "a", 1);
    expect_ok("a", 2);
    post(FIXTURE_TERM, "b", 1);
    expect_ok("b", 2);
    post(FIXTURE_TERM, "a", 3);
    expect_ok("a", 4);
    settle();
    assert_int_equal(cp_stat_get(&stats, batches), 3);
    assert_int_equal(cp_stat_get(&stats, batches_waiting), 0);
    assert_int_equal(cp_stat_get(&stats, records_stored), 6);
}

static void nothing_is_taken_without_the_lead_or_of_another_term(void **state)
{
    (void)state;
    fixture_fill(&bulk, 1);
    post(FIXTURE_TERM, "a", 1);
    lead(true, FIXTURE_TERM);
    post(FIXTURE_TERM - 1, "a", 1);
    post(FIXTURE_TERM, "a", 1);
    expect_ok("a", 1);
    settle();
    assert_int_equal(cp_stat_get(&stats, batches_turned_away), 2);
    assert_int_equal(cp_stat_get(&stats, batches), 1);
}

static void a_term_that_is_over_acknowledges_nothing(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fixture_connect(conninfo, NULL);

    (void)state;
    assert_int_equal(cp_db_script(db, "UPDATE leadership SET term = 9"), SB_OK);
    fixture_fill(&bulk, 1);
    lead(true, FIXTURE_TERM); /* it has not heard yet */
    post(FIXTURE_TERM, "a", 1);
    post(FIXTURE_TERM, "b", 1);
    settle();
    settle(); /* timers of that turn have fired */
    assert_int_equal(cp_stat_get(&stats, batches_turned_away), 0);
    assert_int_equal(cp_stat_get(&stats, batches_waiting), 0);
    cp_collector_stop(&collector);
    assert_null(inbox_wait(&inbox, 0));
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM audit_requests"), 0);
}

static void batches_wait_for_a_database_that_is_away(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fixture_connect(conninfo, NULL);

    (void)state;
    fixture_fill(&bulk, 1);
    lead(true, FIXTURE_TERM);
    post(FIXTURE_TERM, "a", 1);
    expect_ok("a", 1);
    assert_int_equal(cp_db_script(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                      " WHERE application_name LIKE '%collector test'"
                                      " AND datname = current_database()"),
                     SB_OK);
    post(FIXTURE_TERM, "a", 2);
    expect_ok("a", 2);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM audit_requests"), 2);
    settle();
    assert_true(cp_stat_get(&stats, store_failures) > 0);
}

static int64_t size_of_log(struct cp_db *db)
{
    return fixture_number(db, "SELECT size FROM log_head");
}

static void a_revision_gets_its_leaf_though_no_batch_comes(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fixture_connect(conninfo, NULL);
    const struct timespec pause = {.tv_nsec = 5000000};

    (void)state;
    assert_int_equal(cp_db_script(db, "INSERT INTO revisions (revision, epoch, author, action)"
                                      " VALUES (1, 1, 'admin', 'put')"),
                     SB_OK);
    settle();
    assert_int_equal(size_of_log(db), 0); /* nobody leads */
    lead(true, FIXTURE_TERM);
    while (size_of_log(db) == 0)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(fixture_number(db, "SELECT leaf FROM log_changes WHERE revision = 1"), 0);
    fixture_fill(&bulk, 2);
    post(FIXTURE_TERM, "a", 1);
    expect_ok("a", 2);
    assert_int_equal(size_of_log(db), 3);
}

static void the_queue_has_a_ceiling_and_is_dropped_with_the_lead(void **state)
{
    enum { N = CP_COLLECTOR_BYTES / MSG_BATCH_MAX };

    (void)state;
    assert_int_equal(sb_buf_reserve(&bulk, MSG_BATCH_MAX), SB_OK);
    memset(sb_buf_end(&bulk), 0, MSG_BATCH_MAX);
    sb_buf_commit(&bulk, MSG_BATCH_MAX);
    lead(true, FIXTURE_TERM);
    for (int i = 0; i < N + 3; i++)
        post(FIXTURE_TERM, "a", 1);
    settle();
    assert_int_equal(cp_stat_get(&stats, batches_waiting), N);
    assert_int_equal(cp_stat_get(&stats, batches_turned_away), 3);
    lead(false, 0);
    settle();
    assert_int_equal(cp_stat_get(&stats, batches_waiting), 0);
    lead(true, FIXTURE_TERM + 1);
    post(FIXTURE_TERM + 1, "a", 1);
    settle();
    assert_int_equal(cp_stat_get(&stats, batches_waiting), 1);
    assert_null(inbox_wait(&inbox, 0));
}

static int group_start(void **state)
{
    return sb_bus_init(NULL) == SB_OK ? fixture_group_start(state) : -1;
}

static int group_stop(void **state)
{
    sb_bus_shutdown();
    return fixture_group_stop(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_stored_is_acknowledged_to_who_sent_it),
        TEST(nothing_is_taken_without_the_lead_or_of_another_term),
        TEST(a_term_that_is_over_acknowledges_nothing),
        TEST(batches_wait_for_a_database_that_is_away),
        TEST(a_revision_gets_its_leaf_though_no_batch_comes),
        cmocka_unit_test_setup_teardown(the_queue_has_a_ceiling_and_is_dropped_with_the_lead,
                                        set_up_without, tear_down),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
