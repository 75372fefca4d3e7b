/* tests/unit/controlplane/test_herald.c - against a real PostgreSQL; with a
 * receiver that takes events: tests/integration/test_tables.py. */
#include "controlplane/events/herald.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bus.h"
#include "common/log.h"
#include "controlplane/events/events.h"
#include "controlplane/events/webhook.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "tests/lib/inbox.h"
#include "tests/lib/ingest_fixture.h"

static struct cp_stats stats;
static struct cp_herald *herald;
static struct cp_db *db;
static const char *conninfo;
static int logged; /* lines about the event; written under the log's lock */

static void on_line(void *ctx, struct sb_slice line)
{
    char text[SB_LOG_LINE_MAX + 1];

    (void)ctx;
    if (sb_slice_copy_text(line, text, sizeof(text)) && strstr(text, "event=outage_began") != NULL)
        (void)__atomic_fetch_add(&logged, 1, __ATOMIC_RELAXED);
}

static int set_up(void **state)
{
    (void)state;
    stats = (struct cp_stats){.leading = 0};
    logged = 0;
    sb_log_set_sink(on_line, NULL);
    conninfo = fixture_database();
    db = fixture_connect(conninfo, CP_DB_SERVICE_ROLE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_herald_stop(&herald);
    sb_log_set_sink(NULL, NULL);
    cp_db_destroy(&db);
    return 0;
}

static void start(struct cp_webhook *webhook, uint64_t term)
{
    const struct cp_herald_conf conf = {
        .conninfo = conninfo, .name = "test", .stats = &stats, .webhook = webhook};
    struct sb_errmsg err;

    if (cp_herald_start(&conf, &herald, &err) != SB_OK)
        fail_msg("%s", err.text);
    (void)sb_mailbox_post(cp_herald_mailbox(herald), &cp_lead_new(true, term, 1)->mail);
}

static void record(void)
{
    const struct cp_event event = {.kind = CP_EVENT_OUTAGE_BEGAN,
                                   .severity = CP_SEVERITY_CRITICAL,
                                   .subject_kind = CP_ENDPOINTS,
                                   .subject = SB_SLICE_LIT("a/m@acme"),
                                   .text = SB_SLICE_LIT("it is out")};
    int64_t id;

    if (cp_event_record(db, &event, &id) != SB_OK)
        fail_msg("%s", cp_db_last_error(db)->text.text);
}

/* Waits until a statement gives that number. */
static void expect(const char *sql, int64_t number)
{
    sb_msec end = sb_clock_now(&sb_clock_system) + INBOX_PATIENCE;

    while (fixture_number(db, sql) != number)
        if (sb_clock_now(&sb_clock_system) > end)
            fail_msg("%s never gave %d", sql, (int)number);
}

static void every_event_is_logged_once_and_leaves_the_outbox(void **state)
{
    (void)state;
    record();
    start(NULL, FIXTURE_TERM);
    record();
    record();
    expect("SELECT count(*) FROM event_outbox", 0);
    cp_herald_stop(&herald);
    assert_int_equal(logged, 3);
    assert_int_equal(cp_stat_get(&stats, events[CP_EVENT_OUTAGE_BEGAN]), 3);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM events"), 3);
}

static void what_the_webhook_does_not_take_waits_and_is_logged_once(void **state)
{
    struct cp_webhook *webhook = NULL;
    struct sb_errmsg err;
    char path[64];
    FILE *file;

    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/sbherald-%ld", (long)getpid());
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("0123456789abcdef\n", file);
    (void)fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(cp_webhook_new("http://127.0.0.1:1/", path, &webhook, &err), SB_OK);
    assert_int_equal(unlink(path), 0);
    record();
    start(webhook, FIXTURE_TERM);
    expect("SELECT least(max(tries), 2) FROM event_outbox", 2);
    assert_int_equal(fixture_number(db, "SELECT (due > now() - interval '1 minute')::int"
                                        " FROM event_outbox"),
                     1);
    cp_herald_stop(&herald);
    assert_int_equal(logged, 1);
    assert_true(cp_stat_get(&stats, webhook_failures) >= 2);
    assert_int_equal(cp_stat_get(&stats, webhook_posts), 0);
    /* After a day it is given up. */
    assert_int_equal(cp_db_exec(db, "UPDATE event_outbox SET due = now()", CP_NO_PARAMS, NULL),
                     SB_OK);
    {
        SB_CLEANUP(cp_db_destroy) struct cp_db *owner = fixture_connect(conninfo, NULL);

        assert_int_equal(cp_db_script(owner, "UPDATE events SET at = at - interval '25 hours'"),
                         SB_OK);
    }
    start(webhook, FIXTURE_TERM);
    expect("SELECT count(*) FROM event_outbox", 0);
    cp_herald_stop(&herald);
    assert_int_equal(cp_stat_get(&stats, webhook_given_up), 1);
    cp_webhook_destroy(&webhook);
}

static void who_does_not_lead_any_more_tells_nothing(void **state)
{
    (void)state;
    record();
    start(NULL, FIXTURE_TERM - 1);
    record(); /* it is woken, too */
    cp_herald_stop(&herald);
    assert_int_equal(logged, 0);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM event_outbox"), 2);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_event_is_logged_once_and_leaves_the_outbox),
        TEST(what_the_webhook_does_not_take_waits_and_is_logged_once),
        TEST(who_does_not_lead_any_more_tells_nothing),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
