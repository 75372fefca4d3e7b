/* tests/unit/route/test_warnings.c */
#include "dataplane/route/warnings.h"

#include "common/arena.h"
#include "tests/lib/test.h"

static void those_beyond_the_end_are_counted(void **state)
{
    struct sb_arena *arena = sb_arena_new(1024);
    struct dp_warnings warnings = {.n = 0};

    (void)state;
    for (int i = 0; i < DP_WARNINGS_MAX + 3; i++)
        dp_warnings_add(&warnings, arena, "warning %d", i);
    assert_int_equal(warnings.n, DP_WARNINGS_MAX + 3);
    assert_true(sb_slice_is(warnings.text[0], "warning 0"));
    assert_true(sb_slice_is(warnings.text[DP_WARNINGS_MAX - 1], "warning 15"));
    sb_arena_destroy(&arena);
}

static void long_ones_are_cut(void **state)
{
    struct sb_arena *arena = sb_arena_new(1024);
    struct dp_warnings warnings = {.n = 0};

    (void)state;
    dp_warnings_add(&warnings, arena, "%01000d", 7);
    assert_int_equal(warnings.text[0].n, 255);
    sb_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_beyond_the_end_are_counted),
        cmocka_unit_test(long_ones_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
