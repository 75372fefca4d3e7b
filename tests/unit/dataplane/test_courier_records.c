/* tests/unit/dataplane/test_courier_records.c - batches and beats. */
#include "dataplane/courier/courier.h"

#include <pthread.h>
#include <stdatomic.h>

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

static struct fake_daemon *begin(void)
{
    struct fake_daemon *a = world_add_daemon(&world, "a");

    world_start(&world);
    WORLD_UNTIL(&world, world_is_connected(&world));
    return a;
}

static void write_records(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        (void)world_record(&world, "gen-1");
        if (i % 500 == 0)
            world_turn(&world);
    }
}

/* --- batches ------------------------------------------------------------------ */

static void records_are_sent_in_order_and_freed_when_they_are_committed(void **state)
{
    (void)state;
    (void)begin();
    write_records(7000);
    WORLD_UNTIL(&world, world_all_acked(&world));
    assert_int_equal(world.store.n, 7000);
    assert_int_equal(world.store.out_of_order, 0);
    assert_int_equal(world.store.repeated, 0);
    assert_true(world.store.batches < 100); /* many to one */
    assert_int_equal(world.store.batches, world_state(&world).batches);
}

/* It went to sleep when nothing came; the next record wakes it. */
static void a_single_record_is_not_left_lying(void **state)
{
    (void)state;
    (void)begin();
    for (unsigned i = 1; i <= 20; i++) {
        write_records(1);
        WORLD_UNTIL(&world, world_all_acked(&world));
        assert_int_equal(world.store.n, i);
    }
    assert_int_equal(world.store.repeated, 0);
}

static void records_are_synced_without_a_control_plane(void **state)
{
    (void)state;
    world_start(&world);
    for (unsigned i = 1; i <= 5; i++) {
        write_records(10);
        WORLD_UNTIL(&world, dp_spool_is_synced(world.spool, i * 10));
    }
    assert_int_equal(world.sync_messages, 0); /* nobody waits for it */
}

/* --- for somebody who waits ----------------------------------------------------- */

enum { AN_HOUR = 3600000 };

static void who_waits_for_a_record_does_not_wait_for_the_interval(void **state)
{
    (void)state;
    world.conf.spool_sync = AN_HOUR;
    world_start(&world);
    for (unsigned i = 1; i <= 5; i++) {
        write_records(10);
        dp_courier_want_sync(world.courier, i * 10);
        WORLD_UNTIL(&world, world.synced == i * 10);
        assert_true(dp_spool_is_synced(world.spool, i * 10));
    }
    assert_int_equal(world.sync_messages, 5);
}

static void who_waits_in_one_turn_shares_one_sync(void **state)
{
    (void)state;
    world.conf.spool_sync = AN_HOUR;
    world_start(&world);
    for (unsigned i = 1; i <= 300; i++) {
        (void)world_record(&world, "gen-1");
        dp_courier_want_sync(world.courier, i);
    }
    WORLD_UNTIL(&world, world.synced == 300);
    assert_int_equal(world.sync_messages, 1);
}

static atomic_uint syncs;

static int fail_to_sync(int fd)
{
    (void)fd;
    (void)atomic_fetch_add(&syncs, 1);
    return EIO;
}

/* What a disk has refused once is never known to be on it. */
static void who_waits_for_a_disk_that_fails_is_told_when_the_control_plane_has_it(void **state)
{
    struct dp_disk disk = dp_disk_system;

    (void)state;
    disk.sync = fail_to_sync;
    world.disk = &disk;
    atomic_store(&syncs, 0);
    world_start(&world);
    write_records(3);
    dp_courier_want_sync(world.courier, 3);
    WORLD_UNTIL(&world, atomic_load(&syncs) > 2); /* it is asked again, unasked */
    assert_int_equal(world.sync_messages, 0);
    (void)world_add_daemon(&world, "a");
    WORLD_UNTIL(&world, world.synced == 3);
    assert_true(world_all_acked(&world));
}

/* --- batches, again -------------------------------------------------------------- */

static void what_came_before_the_control_plane_is_sent_when_it_comes(void **state)
{
    (void)state;
    world_start(&world);
    write_records(3000);
    (void)world_add_daemon(&world, "a");
    write_records(3000);
    WORLD_UNTIL(&world, world_all_acked(&world));
    assert_int_equal(world.store.n, 6000);
    assert_int_equal(world.store.out_of_order, 0);
}

/* The leader has the batch and does not commit it; then another one leads. */
static void a_change_of_the_leader_in_the_middle_of_a_batch_loses_nothing(void **state)
{
    struct fake_daemon *a = begin(), *b = world_add_daemon(&world, "b");

    (void)state;
    b->leads = false;
    WORLD_UNTIL(&world, b->got[MSG_KIND_HELLO] > 0);
    write_records(500);
    WORLD_UNTIL(&world, world_all_acked(&world));
    a->holds_batches = true;
    write_records(500);
    WORLD_UNTIL(&world, a->got[MSG_KIND_BATCH] > world.store.batches);
    write_records(3000);
    a->leads = false;
    b->leads = true;
    b->term = 2;
    write_records(1000);
    WORLD_UNTIL(&world, world_all_acked(&world));
    assert_int_equal(world.store.n, 5000);
    assert_int_equal(world.store.out_of_order, 0);
    assert_int_equal(world.store.repeated, 0);
}

/* The leader commits, and dies before he says so. */
static void a_batch_that_was_committed_in_silence_is_sent_again_and_stored_once(void **state)
{
    struct fake_daemon *a = begin(), *b = world_add_daemon(&world, "b");

    (void)state;
    b->leads = false;
    WORLD_UNTIL(&world, b->got[MSG_KIND_HELLO] > 0);
    a->commits_silently = true;
    write_records(500);
    WORLD_UNTIL(&world, world.store.n > 0);
    a->leads = false;
    b->leads = true;
    b->term = 2;
    write_records(500);
    WORLD_UNTIL(&world, world_all_acked(&world));
    assert_int_equal(world.store.n, 1000);
    assert_int_equal(world.store.out_of_order, 0);
    assert_true(world.store.repeated > 0);
}

/* The database hangs for a while. */
static void a_batch_without_an_answer_is_sent_again(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->holds_batches = true;
    write_records(100);
    WORLD_UNTIL(&world, a->got[MSG_KIND_BATCH] > 0);
    a->holds_batches = false;
    write_records(100);
    WORLD_UNTIL(&world, world_all_acked(&world));
    assert_int_equal(world.store.n, 200);
    assert_int_equal(world.store.out_of_order, 0);
}

static void earlier_boots_are_sent_first(void **state)
{
    uint64_t first, second;

    (void)state;
    world_start(&world);
    first = dp_spool_boot(world.spool);
    write_records(2500);
    world_stop(&world);
    (void)world_add_daemon(&world, "a");
    world_start(&world);
    second = dp_spool_boot(world.spool);
    write_records(10);
    WORLD_UNTIL(&world, world_all_acked(&world));
    assert_int_equal(world.store.n, 2510);
    assert_int_equal(world.store.records[0].boot, first);
    assert_int_equal(world.store.records[2499].boot, first);
    assert_int_equal(world.store.records[2500].boot, second);
    assert_int_equal(world.store.out_of_order, 0);
}

static void what_another_worker_left_is_sent_too(void **state)
{
    const struct dp_spool_conf conf = {.home = world.home, .worker = "host-9", .limit = 64 << 20};
    struct dp_spool *gone = NULL;
    struct sb_errmsg err;
    uint64_t boot;

    (void)state;
    assert_int_equal(dp_spool_open(&conf, &gone, &err), SB_OK);
    boot = dp_spool_boot(gone);
    assert_true(dp_spool_reserve(gone));
    (void)dp_spool_append(gone, SB_SLICE_LIT("its last record"));
    dp_spool_close(&gone);
    (void)begin();
    WORLD_UNTIL(&world, world.store.n == 1);
    assert_int_equal(world.store.records[0].boot, boot);
    WORLD_UNTIL(&world, world_all_acked(&world));
}

static void an_acknowledgement_of_what_was_never_sent_frees_nothing(void **state)
{
    struct fake_daemon *a = begin();
    const struct msg_batch_ok lie = {
        .worker = SB_SLICE_INIT("host-0"), .boot = dp_spool_boot(world.spool), .last = 1000000};

    (void)state;
    a->holds_batches = true;
    write_records(100);
    WORLD_UNTIL(&world, a->got[MSG_KIND_BATCH] > 0);
    FAKE_SEND(a, MSG_KIND_BATCH_OK, batch_ok, &lie, NULL);
    world_beats(&world, 3);
    assert_false(world_all_acked(&world));
    a->holds_batches = false;
    WORLD_UNTIL(&world, world_all_acked(&world));
    assert_int_equal(world.store.n, 100);
}

/* --- the end ------------------------------------------------------------------ */

/* A daemon that goes on while the worker's thread ends. */
static atomic_bool is_over;

static void *run_daemon(void *ctx)
{
    while (!atomic_load(&is_over)) {
        (void)test_await(((struct fake_daemon *)ctx)->router, SB_REACTOR_IN, 5);
        fake_pump(ctx);
    }
    return NULL;
}

static void a_worker_that_ends_sends_what_is_left(void **state)
{
    struct fake_daemon *a = begin();
    unsigned beats;
    pthread_t thread;

    (void)state;
    for (int i = 0; i < 6000; i++) /* no turn in between: the courier knows nothing */
        (void)world_record(&world, "gen-1");
    world.load.draining = true;
    world_turn(&world);
    beats = a->got[MSG_KIND_BEAT];
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&thread, NULL, run_daemon, a), 0);
    world_stop(&world);
    atomic_store(&is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(world.store.n, 6000);
    assert_int_equal(world.store.out_of_order, 0);
    assert_true(a->got[MSG_KIND_BEAT] > beats);
    assert_true(a->beat.draining);
    world_start(&world); /* nothing was left */
    WORLD_UNTIL(&world, world_is_connected(&world));
    assert_true(world_all_acked(&world));
}

/* --- beats -------------------------------------------------------------------- */

static void add_attempt(enum dp_breaker_verdict verdict, enum msg_outcome outcome)
{
    const struct msg_attempt attempt = {.endpoint = 101,
                                        .outcome = (uint8_t)outcome,
                                        .credential_kind = MSG_CREDENTIAL_KIND_HOUSE,
                                        .first_token = 100000,
                                        .took = 2000000};
    const struct msg_usage usage = {.completion_tokens = 100, .source = MSG_USAGE_SOURCE_PROVIDER};

    dp_telemetry_add(world.telemetry, &(struct dp_telemetry_entry){.attempt = &attempt,
                                                                   .usage = &usage,
                                                                   .verdict = verdict,
                                                                   .streamed = true});
}

static void beats_say_how_the_worker_is(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->holds_batches = true;
    write_records(5);
    world.load = (struct dp_load){.in_flight = 3, .connections = 4, .requests = 12};
    WORLD_UNTIL(&world, a->beat.requests == 12 && a->beat.spool_next == 6);
    assert_int_equal(a->beat.in_flight, 3);
    assert_int_equal(a->beat.connections, 4);
    assert_int_equal(a->beat.boot, dp_spool_boot(world.spool));
    assert_int_equal(a->beat.spool_acked, 0);
    assert_int_equal(a->beat.spool_limit, world.conf.spool_limit);
    assert_true(a->beat.spool_bytes > 0);
    assert_false(a->beat.draining || a->beat.from_disk);
}

static void telemetry_goes_with_the_beats(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    for (int i = 0; i < 10; i++)
        add_attempt(DP_BREAKER_OK, MSG_OUTCOME_SUCCESS);
    WORLD_UNTIL(&world, a->beat_attempts == 10);
    assert_in_range(a->beat_rows, 1, 2); /* seconds */
    assert_int_equal(a->beat_faults, 0);
}

/* Every fault in a beat of its own, as long as they are not many. */
static void a_fault_is_told_at_once(void **state)
{
    struct fake_daemon *a = begin();
    unsigned heartbeats = 0;

    (void)state;
    for (unsigned i = 1; i <= 5; i++) {
        sb_msec next = world.heartbeat_at;

        add_attempt(DP_BREAKER_FAULT, MSG_OUTCOME_SERVER_ERROR);
        WORLD_UNTIL(&world, a->beat_faults == i);
        heartbeats += world.heartbeat_at != next;
    }
    /* They come every 100 ms; beats without a fault come every second. */
    assert_true(heartbeats <= 5);
}

static void telemetry_without_a_leader_is_dropped(void **state)
{
    struct fake_daemon *a;

    (void)state;
    world_start(&world);
    for (int i = 0; i < 300; i++) {
        add_attempt(DP_BREAKER_FAULT, MSG_OUTCOME_SERVER_ERROR);
        world_turn(&world);
    }
    a = world_add_daemon(&world, "a");
    WORLD_UNTIL(&world, world_is_connected(&world));
    add_attempt(DP_BREAKER_OK, MSG_OUTCOME_SUCCESS);
    WORLD_UNTIL(&world, a->beat_attempts > a->beat_faults);
    assert_true(a->beat_faults < 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_are_sent_in_order_and_freed_when_they_are_committed),
        TEST(a_single_record_is_not_left_lying),
        TEST(records_are_synced_without_a_control_plane),
        TEST(who_waits_for_a_record_does_not_wait_for_the_interval),
        TEST(who_waits_in_one_turn_shares_one_sync),
        TEST(who_waits_for_a_disk_that_fails_is_told_when_the_control_plane_has_it),
        TEST(what_came_before_the_control_plane_is_sent_when_it_comes),
        TEST(a_change_of_the_leader_in_the_middle_of_a_batch_loses_nothing),
        TEST(a_batch_that_was_committed_in_silence_is_sent_again_and_stored_once),
        TEST(a_batch_without_an_answer_is_sent_again),
        TEST(earlier_boots_are_sent_first),
        TEST(what_another_worker_left_is_sent_too),
        TEST(an_acknowledgement_of_what_was_never_sent_frees_nothing),
        TEST(a_worker_that_ends_sends_what_is_left),
        TEST(beats_say_how_the_worker_is),
        TEST(telemetry_goes_with_the_beats),
        TEST(a_fault_is_told_at_once),
        TEST(telemetry_without_a_leader_is_dropped),
    };

    return world_main(tests, SB_ARRAY_LEN(tests));
}
