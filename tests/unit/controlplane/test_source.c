/* tests/unit/controlplane/test_source.c - against a real PostgreSQL. */
#include "controlplane/publish/source.h"

#include "common/bus.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "tests/lib/inbox.h"
#include "tests/lib/ingest_fixture.h"

static struct cp_stats stats;
static struct cp_source *source;
static struct inbox inbox; /* the publisher's */
static struct cp_db *db;

static int set_up(void **state)
{
    struct cp_source_conf conf = {.name = "test", .stats = &stats};
    struct sb_errmsg err;

    (void)state;
    stats = (struct cp_stats){.leading = 0};
    conf.conninfo = fixture_database();
    db = fixture_connect(conf.conninfo, NULL);
    inbox_open(&inbox);
    conf.publisher = inbox.box;
    if (cp_source_start(&conf, &source, &err) != SB_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_source_stop(&source);
    inbox_close(&inbox);
    cp_db_destroy(&db);
    return 0;
}

static void lead(bool leading, uint64_t term)
{
    (void)sb_mailbox_post(cp_source_mailbox(source), &cp_lead_new(leading, term, 1)->mail);
}

static uint64_t next_revision(void)
{
    struct sb_mail *mail = inbox_expect(&inbox, CP_MAIL_COMPILED);
    uint64_t revision =
        container_of(mail, struct cp_compiled_mail, mail)->compiled.version.revision;

    cp_mail_free(mail);
    return revision;
}

static void change(bool tell)
{
    assert_int_equal(cp_db_script(db, "UPDATE config_head SET revision = revision + 1"), SB_OK);
    if (tell)
        assert_int_equal(cp_db_script(db, "SELECT pg_notify('" CP_CHANNEL_CONFIG "', '')"), SB_OK);
}

static int64_t n_stored(void)
{
    return fixture_number(db, "SELECT count(*) FROM compiled_snapshots");
}

static void a_standby_is_warm_and_stores_nothing(void **state)
{
    (void)state;
    assert_int_equal(next_revision(), 0);
    change(true);
    assert_int_equal(next_revision(), 1);
    assert_int_equal(n_stored(), 0);
    lead(true, FIXTURE_TERM);
    assert_int_equal(next_revision(), 1); /* again: stored now */
    assert_int_equal(n_stored(), 1);
}

static void a_leader_hears_of_a_change_and_finds_one_that_nobody_told(void **state)
{
    (void)state;
    lead(true, FIXTURE_TERM);
    while (n_stored() == 0) /* once as a standby, perhaps */
        assert_int_equal(next_revision(), 0);
    change(true);
    assert_int_equal(next_revision(), 1);
    change(false);
    assert_int_equal(next_revision(), 2);
}

static void a_term_that_is_over_publishes_nothing(void **state)
{
    (void)state;
    assert_int_equal(next_revision(), 0);
    lead(true, FIXTURE_TERM - 1);
    change(true);
    lead(false, 0);
    assert_int_equal(next_revision(), 1);
    assert_int_equal(n_stored(), 0);
}

static void a_lost_connection_is_made_again_and_listens_again(void **state)
{
    (void)state;
    lead(true, FIXTURE_TERM);
    while (n_stored() == 0)
        assert_int_equal(next_revision(), 0);
    assert_int_equal(cp_db_script(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                      " WHERE application_name LIKE '%source test'"
                                      " AND datname = current_database()"),
                     SB_OK);
    change(false);
    assert_int_equal(next_revision(), 1);
    change(true);
    assert_int_equal(next_revision(), 2);
}

static void a_catalogue_that_cannot_be_compiled_is_tried_again(void **state)
{
    (void)state;
    assert_int_equal(next_revision(), 0);
    assert_int_equal(cp_db_script(db, "ALTER TABLE models RENAME TO elsewhere"), SB_OK);
    change(false);
    while (cp_stat_get(&stats, compile_failures) < 2)
        assert_null(inbox_wait(&inbox, 10));
    assert_int_equal(cp_db_script(db, "ALTER TABLE elsewhere RENAME TO models"), SB_OK);
    assert_int_equal(next_revision(), 1);
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
        TEST(a_standby_is_warm_and_stores_nothing),
        TEST(a_leader_hears_of_a_change_and_finds_one_that_nobody_told),
        TEST(a_term_that_is_over_publishes_nothing),
        TEST(a_lost_connection_is_made_again_and_listens_again),
        TEST(a_catalogue_that_cannot_be_compiled_is_tried_again),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
