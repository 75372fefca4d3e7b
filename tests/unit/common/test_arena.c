/* tests/unit/common/test_arena.c */
#include "common/arena.h"

#include "tests/lib/test.h"

static void gives_aligned_zeroed_memory(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(64);

    (void)state;
    for (size_t size = 1; size < 10000; size = size * 3 + 1) {
        unsigned char *p = sb_arena_alloc(arena, size);

        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
}

static void copies_are_terminated(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(64);
    struct sb_slice copy = sb_arena_dup(arena, SB_SLICE_LIT("model"));

    (void)state;
    assert_string_equal(copy.p, "model");
    assert_string_equal(sb_arena_printf(arena, "%d-%s", 7, "x").p, "7-x");
}

static int order[3];
static int n_run;

static void note(void *ctx)
{
    order[n_run++] = *(int *)ctx;
}

static void cleanups_run_newest_first(void **state)
{
    struct sb_arena *arena = sb_arena_new(64);
    int ids[3] = {1, 2, 3};

    (void)state;
    n_run = 0;
    for (int i = 0; i < 3; i++)
        sb_arena_on_destroy(arena, note, &ids[i]);
    sb_arena_destroy(&arena);
    assert_null(arena);
    assert_int_equal(n_run, 3);
    assert_int_equal(order[0], 3);
    assert_int_equal(order[2], 1);
}

static void a_cache_gives_the_same_arena_back_empty(void **state)
{
    SB_CLEANUP(sb_arena_cache_destroy) struct sb_arena_cache *cache = sb_arena_cache_new(256, 1);
    struct sb_arena *first = sb_arena_cache_take(cache), *again, *second;

    (void)state;
    again = first;
    (void)sb_arena_alloc(first, 5000);
    sb_arena_cache_give(cache, &first);
    assert_null(first);
    first = sb_arena_cache_take(cache);
    assert_ptr_equal(first, again);
    assert_int_equal(sb_arena_held(first), 256);
    second = sb_arena_cache_take(cache);
    sb_arena_cache_give(cache, &first);
    sb_arena_cache_give(cache, &second); /* over max: freed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_aligned_zeroed_memory),
        cmocka_unit_test(copies_are_terminated),
        cmocka_unit_test(cleanups_run_newest_first),
        cmocka_unit_test(a_cache_gives_the_same_arena_back_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
