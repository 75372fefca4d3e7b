/* tests/unit/dataplane/test_courier.c */
#include "dataplane/courier.h"

#include "tests/lib/courier_run.h"

static struct courier_world world; /* one after the other */

static int set_up(void **state)
{
    (void)state;
    world_init(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_release(&world);
    return 0;
}

/* --- snapshots ---------------------------------------------------------------- */

static void fetches_the_snapshot_serves_by_it_and_acknowledges(void **state)
{
    struct fake_daemon *a = world_add_daemon(&world, "a");

    (void)state;
    world_start(&world);
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 5, 10));
    assert_false(world.from_disk);
    assert_string_equal(a->hello_worker, "host-0");
    assert_int_equal(a->hello_boot, dp_spool_boot(world.spool));
    assert_int_equal(a->got[MSG_KIND_NACK], 0);
    fake_set_snapshot(a, (struct msg_version){5, 11}, "http://127.0.0.1:9/v1");
    fake_announce(a);
    WORLD_UNTIL(&world, world_serves(&world, 5, 11));
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 5, 11));
    assert_true(world_is_version(a->get_version, 5, 10));
}

/* --- records ------------------------------------------------------------------ */

static bool all_acked(uint64_t last)
{
    struct dp_spool_stats stats;

    dp_spool_stats(world.spool, &stats);
    return stats.acked == last;
}

static void sends_records_in_order_and_frees_them_when_they_are_committed(void **state)
{
    uint64_t last = 0;

    (void)state;
    (void)world_add_daemon(&world, "a");
    world_start(&world);
    for (int i = 0; i < 5000; i++) {
        last = world_record(&world, "gen-1");
        if (i % 500 == 0)
            world_turn(&world);
    }
    WORLD_UNTIL(&world, all_acked(last));
    assert_int_equal(world.store.n, 5000);
    assert_int_equal(world.store.out_of_order, 0);
    assert_int_equal(world.store.repeated, 0);
    WORLD_UNTIL(&world, world.synced > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fetches_the_snapshot_serves_by_it_and_acknowledges, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            sends_records_in_order_and_frees_them_when_they_are_committed, set_up, tear_down),
    };
    struct sb_errmsg err;
    int failed;

    assert_int_equal(sb_bus_init(&err), SB_OK);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    sb_bus_shutdown();
    return failed;
}
