/* tests/unit/controlplane/test_upkeep.c - against a real PostgreSQL. */
#include "controlplane/upkeep.h"

#include "common/bus.h"
#include "common/timefmt.h"
#include "tests/lib/ingest_fixture.h"

static int64_t partitions(struct cp_db *db, const char *table)
{
    char sql[160];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM pg_inherits WHERE inhparent = 'switchboard.%s'::regclass",
                   table);
    return fixture_number(db, sql);
}

static void partitions_are_made_ahead_and_old_ones_dropped(void **state)
{
    const char *conninfo = fixture_database();
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fixture_connect(conninfo, NULL);
    const struct cp_upkeep_conf conf = {
        .owner_conninfo = conninfo, .name = "test", .telemetry_keep = 24 * 3600 * 1000};
    int32_t today = sb_day_of(sb_clock_wall(&sb_clock_system));
    struct cp_upkeep *upkeep = NULL;
    struct sb_errmsg err;
    char text[SB_DATE_TEXT_MAX], sql[200];
    int64_t n = partitions(db, "audit_requests");

    (void)state;
    assert_int_equal(cp_partitions_make(db, today - 40, 5, &err), SB_OK);
    assert_int_equal(partitions(db, "audit_requests"), n + 5);
    (void)sb_date_format(today + CP_UPKEEP_AHEAD, text);
    (void)snprintf(sql, sizeof(sql), "DROP TABLE switchboard.audit_requests_%.4s%.2s%.2s", text,
                   text + 5, text + 8);
    assert_int_equal(cp_db_script(db, sql), SB_OK);
    assert_int_equal(cp_upkeep_start(&conf, &upkeep, &err), SB_OK);
    /* The dropping is what it does last. */
    while (partitions(db, "telemetry_minutes") > n)
        assert_int_equal(cp_db_ping(db), SB_OK);
    assert_int_equal(partitions(db, "audit_requests"), n + 5); /* kept for ever */
    cp_upkeep_stop(&upkeep);
}

static void without_a_database_it_waits_and_ends_at_once(void **state)
{
    const struct cp_upkeep_conf conf = {.owner_conninfo = "host=/nowhere", .name = "test"};
    struct cp_upkeep *upkeep = NULL;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(cp_upkeep_start(&conf, &upkeep, &err), SB_OK);
    cp_upkeep_stop(&upkeep);
    assert_null(upkeep);
    cp_upkeep_stop(&upkeep);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_are_made_ahead_and_old_ones_dropped),
        cmocka_unit_test(without_a_database_it_waits_and_ends_at_once),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
