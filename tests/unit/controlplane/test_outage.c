/* tests/unit/controlplane/test_outage.c */
#include "controlplane/tables/outage.h"

#include "tests/lib/random.h"
#include "tests/lib/test.h"

static struct cp_outage outage;
static sb_msec now;

static int set_up(void **state)
{
    (void)state;
    outage = (struct cp_outage){.streak = 0};
    now = 1000000;
    return 0;
}

static enum cp_outage_change good(uint32_t n)
{
    return cp_outage_hear(&outage, n, 0, now);
}

static enum cp_outage_change bad(uint32_t n)
{
    return cp_outage_hear(&outage, 0, n, now);
}

static void five_faults_in_a_row_are_an_outage_however_fast(void **state)
{
    (void)state;
    assert_int_equal(good(1000), CP_OUTAGE_SAME);
    assert_int_equal(bad(4), CP_OUTAGE_SAME);
    assert_int_equal(bad(1), CP_OUTAGE_BEGAN);
    assert_int_equal(outage.since, now);
    assert_int_equal(bad(7), CP_OUTAGE_SAME); /* it is told once */
}

static void under_slow_traffic_three_seconds_are_enough(void **state)
{
    (void)state;
    (void)good(1);
    for (int i = 0; i < 3; i++, now += 1000)
        assert_int_equal(bad(1), i < 2 ? CP_OUTAGE_SAME : CP_OUTAGE_BEGAN);
    assert_true(now - 1000000 <= 3000);
}

static void two_faults_are_bad_luck(void **state)
{
    (void)state;
    (void)bad(1);
    now += 20000;
    assert_int_equal(bad(1), CP_OUTAGE_SAME);
    assert_false(outage.is_out);
}

static void a_success_between_faults_is_no_outage(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(bad(4), CP_OUTAGE_SAME);
        assert_int_equal(good(1), CP_OUTAGE_SAME);
        now += 100;
    }
}

static void a_message_with_both_proves_nothing(void **state)
{
    (void)state;
    assert_int_equal(cp_outage_hear(&outage, 3, 50, now), CP_OUTAGE_SAME);
    /* but those faults may have been the last of it */
    assert_int_equal(bad(1), CP_OUTAGE_BEGAN);
}

static void a_stream_that_began_before_and_ends_well_does_not_end_it(void **state)
{
    (void)state;
    assert_int_equal(bad(20), CP_OUTAGE_BEGAN);
    now += 100;
    assert_int_equal(good(1), CP_OUTAGE_SAME);
    assert_true(outage.is_out);
}

static void it_ends_when_successes_outnumber_the_faults_of_three_seconds(void **state)
{
    (void)state;
    assert_int_equal(bad(20), CP_OUTAGE_BEGAN);
    now += 1000;
    assert_int_equal(good(20), CP_OUTAGE_SAME);
    assert_int_equal(good(1), CP_OUTAGE_ENDED);
    assert_int_equal(bad(4), CP_OUTAGE_SAME); /* a streak of its own */
    assert_int_equal(bad(1), CP_OUTAGE_BEGAN);
    now += 3000;
    assert_int_equal(good(1), CP_OUTAGE_ENDED); /* one is enough when the faults are over */
}

static void it_ends_without_traffic_after_thirty_seconds(void **state)
{
    (void)state;
    (void)bad(5);
    now += CP_OUTAGE_LIFE - 1;
    assert_int_equal(cp_outage_tick(&outage, now), CP_OUTAGE_SAME);
    now += 1;
    assert_int_equal(cp_outage_tick(&outage, now), CP_OUTAGE_ENDED);
    assert_int_equal(cp_outage_tick(&outage, now), CP_OUTAGE_SAME);
    assert_int_equal(bad(4), CP_OUTAGE_SAME);
}

static void a_failed_check_prolongs_it(void **state)
{
    (void)state;
    (void)bad(5);
    for (int i = 0; i < 10; i++) {
        now += CP_OUTAGE_LIFE - 1;
        assert_int_equal(bad(1), CP_OUTAGE_SAME);
        assert_int_equal(cp_outage_tick(&outage, now), CP_OUTAGE_SAME);
    }
}

static void faults_of_long_ago_are_not_the_same_trouble(void **state)
{
    (void)state;
    (void)bad(4);
    now += CP_OUTAGE_LIFE;
    assert_int_equal(bad(4), CP_OUTAGE_SAME);
    assert_int_equal(bad(1), CP_OUTAGE_BEGAN);
}

static void a_new_leader_goes_on_where_the_old_one_was(void **state)
{
    (void)state;
    cp_outage_restore(&outage, now);
    now += 100;
    assert_int_equal(bad(1), CP_OUTAGE_SAME);
    assert_true(outage.is_out);
    now += 5000;
    assert_int_equal(good(1), CP_OUTAGE_ENDED);
}

static void what_says_nothing_changes_nothing(void **state)
{
    (void)state;
    (void)bad(4);
    assert_int_equal(cp_outage_hear(&outage, 0, 0, now + 900000), CP_OUTAGE_SAME);
    assert_int_equal(bad(1), CP_OUTAGE_BEGAN);
}

/* Whatever is heard: it begins and ends in turns, and from the last fault on it
 * lasts CP_OUTAGE_LIFE at most. */
static void changes_alternate_and_an_outage_never_outlives_its_news(void **state)
{
    uint64_t random = 7;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        bool was_out = outage.is_out;
        enum cp_outage_change change;

        now += random_below(&random, 4) == 0 ? random_below(&random, 9000) : 50;
        change = random_below(&random, 3) == 0
                     ? cp_outage_tick(&outage, now)
                     : cp_outage_hear(&outage, (uint32_t)random_below(&random, 3),
                                      (uint32_t)random_below(&random, 4), now);
        assert_int_equal(change == CP_OUTAGE_BEGAN, !was_out && outage.is_out);
        assert_int_equal(change == CP_OUTAGE_ENDED, was_out && !outage.is_out);
        if (cp_outage_tick(&outage, now) == CP_OUTAGE_SAME && outage.is_out)
            assert_true(now - outage.newest < CP_OUTAGE_LIFE);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(five_faults_in_a_row_are_an_outage_however_fast),
        TEST(under_slow_traffic_three_seconds_are_enough),
        TEST(two_faults_are_bad_luck),
        TEST(a_success_between_faults_is_no_outage),
        TEST(a_message_with_both_proves_nothing),
        TEST(a_stream_that_began_before_and_ends_well_does_not_end_it),
        TEST(it_ends_when_successes_outnumber_the_faults_of_three_seconds),
        TEST(it_ends_without_traffic_after_thirty_seconds),
        TEST(a_failed_check_prolongs_it),
        TEST(faults_of_long_ago_are_not_the_same_trouble),
        TEST(a_new_leader_goes_on_where_the_old_one_was),
        TEST(what_says_nothing_changes_nothing),
        TEST(changes_alternate_and_an_outage_never_outlives_its_news),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
