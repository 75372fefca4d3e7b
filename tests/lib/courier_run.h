/* tests/lib/courier_run.h - lets time pass in a courier_world, and looks at it. */
#pragma once

#include "common/log.h"
#include "tests/lib/courier_world.h"

static inline void world_quiet(void *ctx, struct sb_slice line)
{
    (void)ctx;
    (void)line;
}

/* A turn of everything; waits a few milliseconds at most. */
static inline void world_turn(struct courier_world *world)
{
    sb_msec now = sb_clock_now(&sb_clock_system);
    struct sb_reactor *reactor;
    unsigned seen = 0;

    assert_int_equal(sb_reactor_new(&sb_clock_system, &reactor), SB_OK);
    for (unsigned i = 0; i < world->n_daemons; i++)
        if (world->daemons[i].router != NULL)
            sb_reactor_add_socket(reactor, world->daemons[i].router, SB_REACTOR_IN,
                                  test_note_events, &seen);
    assert_int_equal(sb_reactor_turn(reactor, 2), SB_OK);
    sb_reactor_destroy(&reactor);
    for (unsigned i = 0; i < world->n_daemons; i++)
        fake_pump(&world->daemons[i]);
    if (world->is_beating && now >= world->heartbeat_at) {
        world->heartbeat_at = now + 100; /* a good deal faster than real ones */
        for (unsigned i = 0; i < world->n_daemons; i++)
            if (world->daemons[i].pub != NULL && !world->daemons[i].is_mute)
                fake_heartbeat(&world->daemons[i]);
    }
    if (world->loop != NULL)
        sb_loop_turn(world->loop);
}

/* Turns until the condition holds; fails the test when it never does. */
#define WORLD_UNTIL(world, condition)                                                              \
    do {                                                                                           \
        sb_msec world_end = sb_clock_now(&sb_clock_system) + TEST_PATIENCE;                        \
                                                                                                   \
        while (!(condition)) {                                                                     \
            if (sb_clock_now(&sb_clock_system) > world_end)                                        \
                fail_msg("never came true: %s", #condition);                                       \
            world_turn(world);                                                                     \
        }                                                                                          \
    } while (0)

static inline bool world_serves(const struct courier_world *world, uint64_t epoch,
                                uint64_t revision)
{
    return world->snapshot != NULL && world->snapshot->records->version.epoch == epoch &&
           world->snapshot->records->version.revision == revision;
}

static inline bool world_is_version(struct msg_version version, uint64_t epoch, uint64_t revision)
{
    return version.epoch == epoch && version.revision == revision;
}

/* What the courier says of itself. */
static inline struct dp_courier_state world_state(const struct courier_world *world)
{
    struct dp_courier_state state;

    dp_courier_state(world->courier, &state);
    return state;
}

static inline bool world_is_connected(const struct courier_world *world)
{
    return world_state(world).connected;
}

static inline bool world_all_acked(const struct courier_world *world)
{
    struct dp_spool_stats stats;

    dp_spool_stats(world->spool, &stats);
    return stats.acked + 1 == stats.next && stats.adopted == 0;
}

/* An idle while: so many heartbeats have been said and heard. */
static inline void world_beats(struct courier_world *world, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        sb_msec next = world->heartbeat_at;

        WORLD_UNTIL(world, world->heartbeat_at != next);
    }
}

/* One record, as a request of tenant 7 would leave it; returns its sequence. */
static inline uint64_t world_record(struct courier_world *world, const char *generation)
{
    const struct msg_record record = {.kind = MSG_RECORD_REQUEST,
                                      .generation = sb_slice_of(generation),
                                      .received_at = 1790000000000000,
                                      .tenant = 7,
                                      .model_asked = SB_SLICE_INIT("a/b")};
    struct sb_buf bytes;
    uint64_t sequence;

    sb_buf_init(&bytes, MSG_RECORD_MAX);
    assert_int_equal(msg_record_encode(&record, &bytes), SB_OK);
    assert_true(dp_spool_reserve(world->spool));
    sequence = dp_spool_append(world->spool, sb_buf_slice(&bytes));
    sb_buf_release(&bytes);
    return sequence;
}

/* cmocka's main(), with the bus. */
static inline int world_main(const struct CMUnitTest *tests, size_t n)
{
    struct sb_errmsg err;
    int failed;

    if (getenv("SB_TEST_LOG") == NULL)
        sb_log_set_sink(world_quiet, NULL);
    assert_int_equal(sb_bus_init(&err), SB_OK);
    failed = _cmocka_run_group_tests("courier", tests, n, NULL, NULL);
    sb_bus_shutdown();
    return failed;
}
