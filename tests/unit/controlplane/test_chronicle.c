/* tests/unit/controlplane/test_chronicle.c - against a real PostgreSQL. */
#include "controlplane/tables/chronicle.h"

#include "common/bus.h"
#include "common/mem.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "tests/lib/inbox.h"
#include "tests/lib/ingest_fixture.h"

static struct cp_stats stats;
static struct cp_chronicle *chronicle;
static struct inbox tables;
static struct cp_db *db, *owner;

static int set_up(void **state)
{
    const char *conninfo = fixture_database();
    const struct cp_chronicle_conf conf = {.conninfo = conninfo, .name = "test", .stats = &stats};
    struct sb_errmsg err;

    (void)state;
    stats = (struct cp_stats){.leading = 0};
    owner = fixture_connect(conninfo, NULL);
    db = fixture_connect(conninfo, CP_DB_SERVICE_ROLE);
    assert_int_equal(
        cp_db_script(owner, "INSERT INTO providers (slug, name, dialect, base_url, from_file,"
                            " revision) VALUES ('acme', 'Acme', 'openai', 'http://x', false, 1);"
                            "INSERT INTO models (model, name, context_length, input_modalities,"
                            " output_modalities, from_file, revision)"
                            " VALUES ('a/m', 'M', 1000, '{text}', '{text}', false, 1);"
                            "INSERT INTO endpoints (name, model_id, provider_id, tag,"
                            " upstream_model, from_file, revision)"
                            " SELECT 'a/m@' || t, m.id, p.id, t, 'm', false, 1"
                            " FROM models m, providers p, unnest('{one,two}'::text[]) t"),
        SB_OK);
    inbox_open(&tables);
    if (cp_chronicle_start(&conf, &chronicle, &err) != SB_OK)
        fail_msg("%s", err.text);
    (void)sb_mailbox_post(cp_chronicle_mailbox(chronicle), &cp_attach_new(tables.box)->mail);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_chronicle_stop(&chronicle);
    inbox_close(&tables);
    cp_db_destroy(&db);
    cp_db_destroy(&owner);
    return 0;
}

static void post(struct sb_mail *mail)
{
    (void)sb_mailbox_post(cp_chronicle_mailbox(chronicle), mail);
}

static uint64_t id_of(const char *name)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql), "SELECT id FROM endpoints WHERE name = '%s'", name);
    return (uint64_t)fixture_number(db, sql);
}

static void verdict(const char *name, bool is_out)
{
    struct cp_verdicts *mail = cp_verdicts_new(FIXTURE_TERM);
    struct cp_verdict *one = sb_mem_new(sizeof(*one));

    sb_list_init(&one->link);
    one->endpoint = id_of(name);
    one->is_out = is_out;
    one->faults = 6;
    one->lasted = 12000;
    sb_list_add_tail(&mail->verdicts, &one->link);
    post(&mail->mail);
}

static void minutes(uint64_t endpoint, uint64_t attempts)
{
    struct cp_minutes *mail = cp_minutes_new(FIXTURE_TERM);
    struct cp_minute *one = sb_mem_new(sizeof(*one));

    sb_list_init(&one->link);
    one->endpoint = endpoint;
    one->minute = (int64_t)(sb_clock_wall(&sb_clock_system) / 60000000) - 2;
    one->sums.attempts = attempts;
    sb_list_add_tail(&mail->minutes, &one->link);
    post(&mail->mail);
}

static struct cp_past *past(void)
{
    return container_of(inbox_expect(&tables, CP_MAIL_PAST), struct cp_past, mail);
}

/* Waits until a statement gives that number. */
static void expect(const char *sql, int64_t number)
{
    sb_msec end = sb_clock_now(&sb_clock_system) + INBOX_PATIENCE;

    while (fixture_number(db, sql) != number)
        if (sb_clock_now(&sb_clock_system) > end)
            fail_msg("%s never gave %d", sql, (int)number);
}

static void a_new_leader_is_told_the_last_half_hour_first_and_then_the_day(void **state)
{
    struct cp_past *one;

    (void)state;
    assert_int_equal(
        cp_db_script(db, "INSERT INTO telemetry_minutes SELECT date_trunc('minute', now()) - t,"
                         " id, 10, 9, 1, 0, 0, 90, 0, NULL, NULL FROM endpoints,"
                         " unnest('{3 minutes,20 minutes,5 hours}'::interval[]) t"),
        SB_OK);
    post(&cp_lead_new(true, FIXTURE_TERM, 1)->mail);
    one = past();
    assert_true(one->is_enough);
    assert_int_equal(one->term, FIXTURE_TERM);
    assert_int_equal(one->n, 4);
    assert_int_equal(one->n_out, 0);
    cp_mail_free(&one->mail);
    for (int hour = 0, found = 0; hour < 24; hour++) {
        one = past();
        assert_false(one->is_enough);
        found += (int)one->n;
        if (one->n > 0)
            assert_in_range(one->rows[0].age, 4 * 3600000, 6 * 3600000);
        cp_mail_free(&one->mail);
        assert_int_equal(found, hour < 4 ? 0 : 2);
    }
}

static void an_outage_is_an_event_once_whoever_leads(void **state)
{
    struct cp_past *one;

    (void)state;
    post(&cp_lead_new(true, FIXTURE_TERM, 1)->mail);
    verdict("a/m@one", true);
    verdict("a/m@two", true);
    verdict("a/m@two", false);
    expect("SELECT count(*) FROM events", 3);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM events WHERE subject = 'a/m@one' AND"
                                        " kind = 'outage_began' AND severity = 2 AND"
                                        " detail ->> 'faults' = '6' AND term = 4"),
                     1);
    /* Another leader hears that it is out, and sees it again. */
    post(&cp_lead_new(false, 0, 0)->mail);
    assert_int_equal(cp_db_script(owner, "UPDATE leadership SET term = 5"), SB_OK);
    post(&cp_lead_new(true, 5, 1)->mail);
    for (;;) {
        one = past();
        if (one->term == 5)
            break;
        cp_mail_free(&one->mail);
    }
    assert_int_equal(one->n_out, 1);
    assert_int_equal(one->out[0], id_of("a/m@one"));
    cp_mail_free(&one->mail);
    verdict("a/m@one", true);
    verdict("a/m@one", false);
    expect("SELECT count(*) FROM events", 4);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM events WHERE subject = 'a/m@one' AND"
                                        " kind = 'outage_ended' AND term = 5"),
                     1);
}

static void minutes_are_stored_and_counted(void **state)
{
    (void)state;
    post(&cp_lead_new(true, FIXTURE_TERM, 1)->mail);
    minutes(1, 5);
    minutes(2, 7);
    expect("SELECT coalesce(sum(attempts), 0)::bigint FROM telemetry_minutes", 12);
    cp_chronicle_stop(&chronicle);
    assert_int_equal(cp_stat_get(&stats, minutes_stored), 2);
}

static void a_leader_that_is_none_any_more_writes_nothing(void **state)
{
    (void)state;
    post(&cp_lead_new(true, FIXTURE_TERM, 1)->mail);
    cp_mail_free(&past()->mail);
    assert_int_equal(cp_db_script(owner, "UPDATE leadership SET term = 5"), SB_OK);
    verdict("a/m@one", true);
    minutes(1, 5);
    cp_chronicle_stop(&chronicle);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM events"), 0);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM telemetry_minutes"), 0);
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
        TEST(a_new_leader_is_told_the_last_half_hour_first_and_then_the_day),
        TEST(an_outage_is_an_event_once_whoever_leads),
        TEST(minutes_are_stored_and_counted),
        TEST(a_leader_that_is_none_any_more_writes_nothing),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
