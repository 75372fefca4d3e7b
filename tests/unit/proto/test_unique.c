/* tests/unit/proto/test_unique.c */
#include "proto/unique.h"

#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/test.h"

enum { KEYS = 5000 };

static void a_key_is_taken_once(void **state)
{
    SB_CLEANUP(msg_unique_destroy) struct msg_unique *set = NULL;
    uint64_t keys[KEYS];

    (void)state;
    assert_int_equal(msg_unique_new(KEYS, &set), SB_OK);
    for (size_t i = 0; i < KEYS; i++) {
        keys[i] = i * 7919;
        assert_int_equal(msg_unique_add(set, sb_slice_make(&keys[i], sizeof(keys[i]))), SB_OK);
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t again = i * 7919;

        assert_int_equal(msg_unique_add(set, sb_slice_make(&again, sizeof(again))), SB_EEXIST);
    }
}

static void keys_differ_by_every_byte_and_by_length(void **state)
{
    SB_CLEANUP(msg_unique_destroy) struct msg_unique *set = NULL;

    (void)state;
    assert_int_equal(msg_unique_new(5, &set), SB_OK);
    assert_int_equal(msg_unique_add(set, SB_SLICE_LIT("abc")), SB_OK);
    assert_int_equal(msg_unique_add(set, SB_SLICE_LIT("abd")), SB_OK);
    assert_int_equal(msg_unique_add(set, SB_SLICE_LIT("ab")), SB_OK);
    assert_int_equal(msg_unique_add(set, SB_SLICE_LIT("abc\0")), SB_OK);
    assert_int_equal(msg_unique_add(set, SB_SLICE_LIT("abc")), SB_EEXIST);
}

/* Also where the table grows, which is uthash's own allocation. */
static void every_allocation_may_fail(void **state)
{
    static char keys[KEYS][4];
    unsigned long nth;
    int rc = SB_ENOMEM;

    (void)state;
    for (nth = 1; rc != SB_OK && nth < 100; nth++) {
        SB_CLEANUP(msg_unique_destroy) struct msg_unique *set = NULL;

        sb_mem_fail_nth(nth);
        rc = msg_unique_new(KEYS, &set);
        for (uint32_t i = 0; i < KEYS && rc == SB_OK; i++) {
            memcpy(keys[i], &i, sizeof(i));
            rc = msg_unique_add(set, sb_slice_make(keys[i], sizeof(i)));
        }
        assert_true(rc == SB_OK || rc == SB_ENOMEM);
        sb_mem_fail_nth(0);
    }
    assert_int_equal(rc, SB_OK);
    assert_true(nth > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_taken_once),
        cmocka_unit_test(keys_differ_by_every_byte_and_by_length),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
