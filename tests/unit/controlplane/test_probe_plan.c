/* tests/unit/controlplane/test_probe_plan.c */
#include "controlplane/probes/probe_plan.h"

#include "common/err.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

enum { INTERVAL = 60000, ENDPOINTS = 1000 };

static struct cp_plan *plan;
static sb_msec now;

static int set_up(void **state)
{
    (void)state;
    plan = cp_plan_new(INTERVAL, 7);
    now = 5000000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_plan_destroy(&plan);
    assert_null(plan);
    return 0;
}

static void set(uint64_t first, size_t n)
{
    uint64_t ids[ENDPOINTS];

    for (size_t i = 0; i < n; i++)
        ids[i] = first + i;
    assert_int_equal(cp_plan_set(plan, ids, n, now), SB_OK);
}

/* The next turn, the clock put forward to it; fails when none comes in limit. */
static enum cp_probe_reason next(uint64_t id, sb_msec limit, sb_msec *ret_wait)
{
    enum cp_probe_reason reason;
    uint64_t taken = 0;
    sb_msec began = now;

    while (!cp_plan_take(plan, now, &taken, &reason)) {
        now += cp_plan_wait(plan, now, 1000) > 0 ? cp_plan_wait(plan, now, 1000) : 1;
        if (now - began > limit)
            fail_msg("no turn in %lu ms", (unsigned long)limit);
    }
    assert_int_equal(taken, id);
    *ret_wait = now - began;
    return reason;
}

static void first_turns_are_spread_over_the_interval(void **state)
{
    enum cp_probe_reason reason;
    unsigned in_quarter[4] = {0}, taken = 0;
    uint64_t id;

    (void)state;
    set(1, ENDPOINTS);
    assert_int_equal(cp_plan_count(plan), ENDPOINTS);
    for (unsigned quarter = 0; quarter < 4; quarter++) {
        now += INTERVAL / 4;
        while (cp_plan_take(plan, now, &id, &reason)) {
            in_quarter[quarter]++;
            taken++;
        }
    }
    assert_int_equal(taken, ENDPOINTS);
    for (unsigned quarter = 0; quarter < 4; quarter++)
        assert_in_range(in_quarter[quarter], ENDPOINTS / 5, ENDPOINTS * 3 / 10);
}

static void a_turn_that_is_taken_does_not_come_again_before_it_is_done(void **state)
{
    sb_msec wait;
    enum cp_probe_reason reason;
    uint64_t id;

    (void)state;
    set(1, 1);
    assert_int_equal(next(1, INTERVAL, &wait), CP_PROBE_STALE);
    now += 100 * INTERVAL;
    assert_false(cp_plan_take(plan, now, &id, &reason));
    cp_plan_done(plan, 1, false, now);
    (void)next(1, 2 * INTERVAL, &wait);
    assert_in_range(wait, INTERVAL * 8 / 10, INTERVAL * 12 / 10);
}

static void fresh_news_make_a_probe_needless(void **state)
{
    enum cp_probe_reason reason;
    sb_msec end;
    uint64_t id;

    (void)state;
    set(1, 1);
    for (end = now + 10 * INTERVAL; now < end; now += INTERVAL / 10) {
        cp_plan_heard(plan, 1, 100, false, now);
        assert_false(cp_plan_take(plan, now, &id, &reason));
    }
    (void)next(1, 2 * INTERVAL, &end);
    assert_true(end >= INTERVAL * 9 / 10 - 100);
}

static void failures_double_the_pause_up_to_a_limit(void **state)
{
    sb_msec wait, most = 0;

    (void)state;
    set(1, 1);
    (void)next(1, INTERVAL, &wait);
    for (unsigned failures = 1; failures < 20; failures++) {
        sb_msec expected = (sb_msec)INTERVAL << failures;

        if (failures > 6 || expected > CP_PLAN_PAUSE_MAX)
            expected = CP_PLAN_PAUSE_MAX;
        cp_plan_done(plan, 1, true, now);
        (void)next(1, 2 * CP_PLAN_PAUSE_MAX, &wait);
        assert_in_range(wait, expected * 8 / 10 - 1, expected * 12 / 10 + 1);
        most = wait > most ? wait : most;
    }
    assert_true(most > CP_PLAN_PAUSE_MAX * 8 / 10);
    cp_plan_done(plan, 1, false, now); /* and one success forgets them */
    (void)next(1, 2 * INTERVAL, &wait);
    assert_in_range(wait, INTERVAL * 8 / 10, INTERVAL * 12 / 10);
}

static void what_is_down_is_looked_at_soon_and_again(void **state)
{
    sb_msec wait, slowest = 0;

    (void)state;
    set(1, 1);
    (void)next(1, INTERVAL, &wait);
    cp_plan_done(plan, 1, false, now);
    cp_plan_heard(plan, 1, 0, true, now);
    assert_int_equal(next(1, INTERVAL, &wait), CP_PROBE_OUTAGE);
    assert_in_range(wait, CP_PLAN_RECHECK * 8 / 10, CP_PLAN_RECHECK * 12 / 10);
    for (int i = 0; i < CP_PLAN_RECHECKS - 1; i++) {
        cp_plan_done(plan, 1, true, now);
        cp_plan_heard(plan, 1, 0, true, now);
        assert_int_equal(next(1, INTERVAL, &wait), CP_PROBE_OUTAGE);
        slowest = wait > slowest ? wait : slowest;
    }
    assert_in_range(slowest, CP_PLAN_RECHECK_MAX, CP_PLAN_RECHECK_MAX * 12 / 10);
    cp_plan_done(plan, 1, true, now); /* a long outage: as whatever fails */
    (void)next(1, 2 * CP_PLAN_PAUSE_MAX, &wait);
    assert_true(wait > CP_PLAN_PAUSE_MAX * 8 / 10 - 1);
    cp_plan_done(plan, 1, false, now);
    assert_int_equal(next(1, 2 * INTERVAL, &wait), CP_PROBE_STALE);
}

static void what_is_gone_is_forgotten_and_what_stays_keeps_its_turn(void **state)
{
    sb_msec wait;

    (void)state;
    set(1, 2);
    set(2, 1);
    assert_int_equal(cp_plan_count(plan), 1);
    (void)next(2, INTERVAL, &wait);
    set(2, 1); /* while it is under way */
    cp_plan_done(plan, 2, false, now);
    cp_plan_done(plan, 1, false, now);
    cp_plan_heard(plan, 1, 0, true, now);
    cp_plan_put_off(plan, 1, 10, now);
    (void)next(2, 2 * INTERVAL, &wait);
    set(3, 0);
    assert_int_equal(cp_plan_count(plan), 0);
    cp_plan_done(plan, 2, false, now);
    assert_int_equal(cp_plan_wait(plan, now, 1234), 1234);
}

static void what_was_put_off_comes_after_its_pause(void **state)
{
    sb_msec wait;

    (void)state;
    set(1, 1);
    (void)next(1, INTERVAL, &wait);
    cp_plan_put_off(plan, 1, 12345, now);
    cp_plan_put_off(plan, 1, 1, now); /* it is not taken any more */
    (void)next(1, INTERVAL, &wait);
    assert_int_equal(wait, 12345);
}

static void a_pause_stays_in_its_range_whatever_the_chance(void **state)
{
    uint64_t seed = 11;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        sb_msec interval = 1 + random_below(&seed, 24 * 3600 * 1000);
        unsigned failures = (unsigned)random_below(&seed, 2000);
        double at = 1.0 - random_unit(&seed);
        bool is_down = random_below(&seed, 2) > 0;
        sb_msec pause = cp_plan_pause(interval, failures, is_down, failures, at);
        sb_msec most = interval > CP_PLAN_PAUSE_MAX ? interval : CP_PLAN_PAUSE_MAX;

        assert_true(pause <= most * (100 + CP_PLAN_JITTER) / 100);
        assert_true(is_down || pause >= interval * (100 - CP_PLAN_JITTER) / 100);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_turns_are_spread_over_the_interval),
        TEST(a_turn_that_is_taken_does_not_come_again_before_it_is_done),
        TEST(fresh_news_make_a_probe_needless),
        TEST(failures_double_the_pause_up_to_a_limit),
        TEST(what_is_down_is_looked_at_soon_and_again),
        TEST(what_is_gone_is_forgotten_and_what_stays_keeps_its_turn),
        TEST(what_was_put_off_comes_after_its_pause),
        TEST(a_pause_stays_in_its_range_whatever_the_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
