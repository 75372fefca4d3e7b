/* tests/unit/controlplane/test_newest.c */
#include "controlplane/tables/newest.h"

#include "common/err.h"
#include "common/sketch.h"
#include "tests/lib/test.h"

static struct cp_newest newest;
static struct sb_sketch sketch;

static int set_up(void **state)
{
    (void)state;
    newest = (struct cp_newest){.n = 0};
    sb_sketch_init(&sketch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_sketch_release(&sketch);
    return 0;
}

static void hear(double value, uint32_t times)
{
    sb_sketch_reset(&sketch);
    assert_int_equal(sb_sketch_add(&sketch, value, times), SB_OK);
    cp_newest_add(&newest, &sketch);
}

static void fifteen_of_twenty_are_a_step(void **state)
{
    (void)state;
    hear(100, 20);
    assert_false(cp_newest_is_step(&newest, 100));
    for (int i = 0; i < 14; i++)
        hear(20, 1);
    assert_false(cp_newest_is_step(&newest, 100));
    hear(20, 1);
    assert_true(cp_newest_is_step(&newest, 100));
    assert_false(cp_newest_is_step(&newest, 39)); /* not half of it */
    hear(100, 6);
    assert_false(cp_newest_is_step(&newest, 100));
    hear(100, 14);
    assert_true(cp_newest_is_step(&newest, 49)); /* one upwards */
}

static void fewer_than_twenty_say_nothing(void **state)
{
    (void)state;
    hear(20, 19);
    assert_false(cp_newest_is_step(&newest, 100));
    hear(20, 1);
    assert_true(cp_newest_is_step(&newest, 100));
}

static void silence_is_slow(void **state)
{
    (void)state;
    hear(0, 20);
    assert_true(cp_newest_is_step(&newest, 100));
}

static void each_value_of_a_second_is_kept(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 7; i++)
        assert_int_equal(sb_sketch_add(&sketch, 10.0 * i, 1), SB_OK);
    cp_newest_add(&newest, &sketch);
    assert_int_equal(newest.n, 7);
    for (int i = 0; i < 7; i++)
        assert_float_equal(newest.values[i], (float)(10 * (i + 1)), 1);
}

static void many_values_of_a_second_are_kept_by_their_spread(void **state)
{
    (void)state;
    assert_int_equal(sb_sketch_add(&sketch, 10, 500), SB_OK);
    assert_int_equal(sb_sketch_add(&sketch, 90, 500), SB_OK);
    cp_newest_add(&newest, &sketch);
    assert_int_equal(newest.n, CP_NEWEST);
    assert_int_equal(cp_newest_fill(&newest, &sketch), SB_OK);
    assert_int_equal(sketch.count, CP_NEWEST);
    assert_float_equal(sketch.sum, 10 * (10.0 + 90), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(fifteen_of_twenty_are_a_step),
        TEST(fewer_than_twenty_say_nothing),
        TEST(silence_is_slow),
        TEST(each_value_of_a_second_is_kept),
        TEST(many_values_of_a_second_are_kept_by_their_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
