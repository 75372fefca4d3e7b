/* tests/unit/route/test_index.c */
#include "dataplane/route/index.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/test.h"

static uint32_t nth_of(const struct dp_index *index, uint32_t hash, unsigned nth)
{
    uint32_t at = hash, item = DP_NONE;

    for (unsigned i = 0; i <= nth; i++)
        item = dp_index_next(index, hash, &at);
    return item;
}

static void an_empty_index_has_nothing(void **state)
{
    struct sb_arena *arena = sb_arena_new(1024);
    struct dp_index index;

    (void)state;
    assert_int_equal(dp_index_init(&index, arena, 0), SB_OK);
    assert_int_equal(nth_of(&index, 0, 0), DP_NONE);
    assert_int_equal(nth_of(&index, UINT32_MAX, 0), DP_NONE);
    sb_arena_destroy(&arena);
}

static void items_of_one_hash_come_as_they_were_added(void **state)
{
    struct sb_arena *arena = sb_arena_new(1024);
    struct dp_index index;

    (void)state;
    assert_int_equal(dp_index_init(&index, arena, 5), SB_OK);
    /* the last slot: all that follow wrap around, past a stranger */
    dp_index_add(&index, UINT32_MAX, 4);
    dp_index_add(&index, 0, 9);
    dp_index_add(&index, UINT32_MAX, 2);
    dp_index_add(&index, UINT32_MAX, 7);
    assert_int_equal(nth_of(&index, UINT32_MAX, 0), 4);
    assert_int_equal(nth_of(&index, UINT32_MAX, 1), 2);
    assert_int_equal(nth_of(&index, UINT32_MAX, 2), 7);
    assert_int_equal(nth_of(&index, UINT32_MAX, 3), DP_NONE);
    assert_int_equal(nth_of(&index, 0, 0), 9);
    assert_int_equal(nth_of(&index, 0, 1), DP_NONE);
    sb_arena_destroy(&arena);
}

static void every_item_of_many_is_found(void **state)
{
    enum { ITEMS = 100000 };
    struct sb_arena *arena = sb_arena_new(1024);
    struct dp_index index;

    (void)state;
    assert_int_equal(dp_index_init(&index, arena, ITEMS), SB_OK);
    for (uint32_t i = 0; i < ITEMS; i++)
        dp_index_add(&index, (uint32_t)dp_mix(i), i);
    for (uint32_t i = 0; i < ITEMS; i++) {
        uint32_t hash = (uint32_t)dp_mix(i), at = hash, item;

        do
            item = dp_index_next(&index, hash, &at);
        while (item != i && item != DP_NONE);
        assert_int_equal(item, i);
    }
    sb_arena_destroy(&arena);
}

static void hashes_know_when_case_does_not_matter(void **state)
{
    (void)state;
    assert_int_equal(dp_hash_nocase(SB_SLICE_LIT("Acme/TURBO@1")),
                     dp_hash_nocase(SB_SLICE_LIT("aCME/turbo@1")));
    assert_int_not_equal(dp_hash_text(SB_SLICE_LIT("Acme")), dp_hash_text(SB_SLICE_LIT("acme")));
    assert_int_not_equal(dp_hash_nocase(SB_SLICE_LIT("a@")), dp_hash_nocase(SB_SLICE_LIT("a`")));
    assert_int_equal(dp_hash_text(SB_SLICE_LIT("acme")), dp_hash_nocase(SB_SLICE_LIT("ACME")));
}

static void memory_that_is_gone_is_reported(void **state)
{
    struct sb_arena *arena = sb_arena_new(64);
    struct dp_index index;

    (void)state;
    sb_mem_fail_nth(1);
    assert_int_equal(dp_index_init(&index, arena, 1000), SB_ENOMEM);
    sb_mem_fail_nth(0);
    sb_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_index_has_nothing),
        cmocka_unit_test(items_of_one_hash_come_as_they_were_added),
        cmocka_unit_test(every_item_of_many_is_found),
        cmocka_unit_test(hashes_know_when_case_does_not_matter),
        cmocka_unit_test(memory_that_is_gone_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
