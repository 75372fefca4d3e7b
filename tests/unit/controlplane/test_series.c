/* tests/unit/controlplane/test_series.c */
#include "controlplane/tables/series.h"

#include <math.h>
#include <stdlib.h>

#include "common/err.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

static struct cp_series series;
static struct sb_list minutes;
static sb_msec now;
static int64_t minute;
static struct cp_sums total;

static int set_up(void **state)
{
    (void)state;
    series = (struct cp_series){.open = NULL};
    sb_list_init(&minutes);
    now = 1000000000;
    minute = 29833333;
    return 0;
}

static int tear_down(void **state)
{
    struct sb_list *link;

    (void)state;
    cp_series_release(&series);
    cp_sums_release(&total);
    while ((link = sb_list_pop(&minutes)) != NULL) {
        struct cp_minute *one = container_of(link, struct cp_minute, link);

        cp_minute_destroy(&one);
    }
    return 0;
}

static struct cp_series_at at(void)
{
    return (struct cp_series_at){.now = now, .minute = minute, .endpoint = 7, .minutes = &minutes};
}

static void add(uint64_t attempts)
{
    const struct cp_sums sums = {.attempts = attempts};
    struct cp_series_at place = at();

    assert_int_equal(cp_series_add(&series, &place, &sums), SB_OK);
}

static void roll(bool flush)
{
    struct cp_series_at place = at();

    cp_series_roll(&series, &place, flush);
}

static uint64_t attempts(enum cp_span span)
{
    uint64_t counted;

    cp_series_count(&series, span, now, &total);
    counted = total.attempts;
    assert_int_equal(cp_series_sum(&series, span, now, &total), SB_OK);
    assert_int_equal(total.attempts, counted);
    return counted;
}

static void pass(sb_msec ms)
{
    now += ms;
    minute += (int64_t)(ms / 60000);
}

static void every_span_has_what_was_just_heard(void **state)
{
    (void)state;
    add(3);
    assert_int_equal(attempts(CP_SPAN_NOW), 3);
    assert_int_equal(attempts(CP_SPAN_HALF_HOUR), 3);
    assert_int_equal(attempts(CP_SPAN_DAY), 3);
}

static void a_slot_that_closes_is_counted_once(void **state)
{
    (void)state;
    add(3);
    pass(CP_SLOT);
    roll(false);
    assert_int_equal(attempts(CP_SPAN_HALF_HOUR), 3);
    add(4);
    assert_int_equal(attempts(CP_SPAN_NOW), 7);
    assert_int_equal(attempts(CP_SPAN_HALF_HOUR), 7);
    assert_int_equal(attempts(CP_SPAN_DAY), 7);
    roll(false);
    assert_int_equal(attempts(CP_SPAN_DAY), 7);
}

static void each_span_forgets_in_its_own_time(void **state)
{
    (void)state;
    add(5);
    pass(CP_SPAN_NOW_LIFE);
    roll(false);
    assert_int_equal(attempts(CP_SPAN_NOW), 0);
    assert_int_equal(attempts(CP_SPAN_HALF_HOUR), 5);
    pass(35 * 60000);
    roll(false);
    assert_int_equal(attempts(CP_SPAN_HALF_HOUR), 0);
    assert_int_equal(attempts(CP_SPAN_DAY), 5);
    assert_false(cp_series_is_empty(&series));
    pass(25 * 3600000);
    roll(false);
    assert_int_equal(attempts(CP_SPAN_DAY), 0);
    assert_true(cp_series_is_empty(&series));
}

static size_t slots_of(enum cp_span span)
{
    size_t n = 0;

    for (const struct cp_slot *slot = series.newest[span]; slot != NULL; slot = slot->older)
        n++;
    return n;
}

static void a_quiet_endpoint_has_few_slots_and_a_busy_one_all(void **state)
{
    (void)state;
    for (int i = 0; i < 30 * 60; i++) {
        add(10);
        pass(60000);
        roll(false);
    }
    assert_int_equal(slots_of(CP_SPAN_DAY), 25); /* 600 attempts an hour */
    assert_in_range(slots_of(CP_SPAN_HALF_HOUR), 3, 4);
    assert_in_range(attempts(CP_SPAN_DAY), 24 * 600, 25 * 600);
    assert_in_range(attempts(CP_SPAN_HALF_HOUR), 300, 450);
    for (int i = 0; i < 34; i++) { /* a day and a third later nothing is left of the busy time */
        add(1);
        pass(3600000);
        roll(false);
    }
    assert_in_range(slots_of(CP_SPAN_DAY), 3, 5);
    assert_in_range(attempts(CP_SPAN_DAY), 24, 33);
}

static void minutes_are_handed_on_when_they_are_over(void **state)
{
    struct cp_minute *one;

    (void)state;
    add(2);
    pass(CP_SLOT);
    add(3);
    roll(false);
    assert_true(sb_list_is_empty(&minutes)); /* it goes on */
    pass(60000);
    roll(false);
    assert_int_equal(sb_list_count(&minutes), 1);
    one = container_of(sb_list_first(&minutes), struct cp_minute, link);
    assert_int_equal(one->endpoint, 7);
    assert_int_equal(one->minute, 29833333);
    assert_int_equal(one->sums.attempts, 5);
}

static void a_flush_hands_on_what_was_heard_just_now(void **state)
{
    (void)state;
    add(3);
    roll(true);
    assert_int_equal(sb_list_count(&minutes), 1);
    assert_int_equal(container_of(sb_list_first(&minutes), struct cp_minute, link)->sums.attempts,
                     3);
    add(2); /* in the same slot */
    for (int span = 0; span < CP_SPANS; span++)
        assert_int_equal(attempts((enum cp_span)span), 5);
    pass(CP_SLOT);
    roll(true);
    assert_int_equal(sb_list_count(&minutes), 2);
    assert_int_equal(attempts(CP_SPAN_DAY), 5);
}

static void a_clock_that_steps_loses_nothing(void **state)
{
    uint64_t handed = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        add(1);
        now += CP_SLOT;
        minute += i % 7 == 0 ? -500 : i % 5 == 0 ? 900 : 0;
    }
    roll(false);
    roll(true);
    sb_list_for_each(link, &minutes) handed +=
        container_of(link, struct cp_minute, link)->sums.attempts;
    assert_int_equal(handed, 100);
    assert_int_equal(attempts(CP_SPAN_DAY), 100);
}

static void the_stored_past_goes_where_its_age_belongs(void **state)
{
    const struct cp_sums sums = {.attempts = 10};

    (void)state;
    assert_int_equal(cp_series_load(&series, now, 0, CP_SPAN_NOW, &sums), SB_OK);
    assert_int_equal(cp_series_load(&series, now, 120000, CP_SPAN_NOW, &sums), SB_OK);
    assert_int_equal(cp_series_load(&series, now, 900000, CP_SPAN_NOW, &sums), SB_OK);
    assert_int_equal(cp_series_load(&series, now, 36000000, CP_SPAN_DAY, &sums), SB_OK);
    assert_int_equal(cp_series_load(&series, now, 96000000, CP_SPAN_DAY, &sums), SB_OK);
    add(1);
    assert_int_equal(attempts(CP_SPAN_NOW), 21);
    assert_int_equal(attempts(CP_SPAN_HALF_HOUR), 31);
    assert_int_equal(attempts(CP_SPAN_DAY), 41);
    pass(CP_SLOT);
    roll(true);
    assert_int_equal(attempts(CP_SPAN_DAY), 41); /* what was loaded is not folded again */
    assert_int_equal(sb_list_count(&minutes), 1);
    assert_int_equal(container_of(sb_list_first(&minutes), struct cp_minute, link)->sums.attempts,
                     1);
}

static void a_past_that_comes_backwards_is_few_slots_too(void **state)
{
    const struct cp_sums sums = {.attempts = 10};

    (void)state;
    now = 100 * 3600000;
    for (sb_msec hour = 1; hour < 24; hour++)
        assert_int_equal(cp_series_load(&series, now, hour * 3600000, CP_SPAN_DAY, &sums), SB_OK);
    assert_in_range(slots_of(CP_SPAN_DAY), 3, 4);
    assert_int_equal(attempts(CP_SPAN_DAY), 230);
    for (const struct cp_slot *slot = series.newest[CP_SPAN_DAY]; slot != NULL; slot = slot->older)
        assert_true(slot->first <= slot->number &&
                    (slot->older == NULL || slot->older->number < slot->first));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Latencies as they are: most near 300 ms, a Pareto tail of minutes; heard in
 * pieces of any size over four minutes, by sketches that are merged in slots. */
static void percentiles_are_within_one_percent_of_the_exact_ones(void **state)
{
    enum { N = 20000 };
    static const double shares[] = {0.5, 0.75, 0.9, 0.99};
    static double values[N];

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t random = seed;

        cp_series_release(&series);
        for (int i = 0; i < N;) {
            struct cp_sums sums = {.attempts = 0};
            struct cp_series_at place = at();
            int n = 1 + (int)random_below(&random, 40);

            for (; n > 0 && i < N; n--, i++) {
                values[i] = 150 / pow(random_unit(&random), 1 / 1.2);
                assert_int_equal(sb_sketch_add(&sums.first_token, values[i], 1), SB_OK);
            }
            assert_int_equal(cp_series_add(&series, &place, &sums), SB_OK);
            cp_sums_release(&sums);
            now += random_below(&random, 400);
        }
        qsort(values, N, sizeof(values[0]), by_value);
        for (int span = 0; span < CP_SPANS; span++) {
            assert_int_equal(cp_series_sum(&series, (enum cp_span)span, now, &total), SB_OK);
            assert_int_equal(total.first_token.count, N);
            for (size_t i = 0; i < SB_ARRAY_LEN(shares); i++) {
                double exact = values[(size_t)(shares[i] * (N - 1))];

                assert_true(fabs(sb_sketch_quantile(&total.first_token, shares[i]) - exact) <=
                            exact * (SB_SKETCH_ACCURACY + 1e-9));
            }
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_span_has_what_was_just_heard),
        TEST(a_slot_that_closes_is_counted_once),
        TEST(each_span_forgets_in_its_own_time),
        TEST(a_quiet_endpoint_has_few_slots_and_a_busy_one_all),
        TEST(minutes_are_handed_on_when_they_are_over),
        TEST(a_flush_hands_on_what_was_heard_just_now),
        TEST(a_clock_that_steps_loses_nothing),
        TEST(the_stored_past_goes_where_its_age_belongs),
        TEST(a_past_that_comes_backwards_is_few_slots_too),
        TEST(percentiles_are_within_one_percent_of_the_exact_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
