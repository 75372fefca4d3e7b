/* tests/unit/common/test_buf.c */
#include "common/buf.h"

#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/test.h"

static void holds_what_was_appended_in_order(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;

    (void)state;
    sb_buf_init(&buf, 100);
    assert_int_equal(sb_buf_append_text(&buf, "one "), SB_OK);
    assert_int_equal(sb_buf_printf(&buf, "%s %d", "two", 3), SB_OK);
    assert_int_equal(sb_buf_append_byte(&buf, '!'), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&buf), "one two 3!"));
    sb_buf_consume(&buf, 4);
    assert_true(sb_slice_is(sb_buf_slice(&buf), "two 3!"));
}

static void the_end_can_be_taken_back(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;

    (void)state;
    sb_buf_init(&buf, 100);
    sb_buf_truncate(&buf, 0);
    assert_int_equal(sb_buf_append_text(&buf, "one two"), SB_OK);
    sb_buf_consume(&buf, 1);
    sb_buf_truncate(&buf, 2);
    assert_true(sb_slice_is(sb_buf_slice(&buf), "ne"));
    assert_int_equal(sb_buf_append_text(&buf, "w"), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&buf), "new"));
}

static void never_passes_its_ceiling(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;

    (void)state;
    sb_buf_init(&buf, 10);
    assert_int_equal(sb_buf_append_text(&buf, "0123456789"), SB_OK);
    assert_int_equal(sb_buf_append_byte(&buf, 'x'), SB_ETOOBIG);
    assert_int_equal(sb_buf_len(&buf), 10);
    sb_buf_consume(&buf, 1);
    assert_int_equal(sb_buf_append_byte(&buf, 'x'), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&buf), "123456789x"));
    assert_int_equal(sb_buf_reserve(&buf, SIZE_MAX), SB_ETOOBIG);
}

static void a_failed_allocation_leaves_it_as_it_was(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    char big[1000] = {0};

    (void)state;
    sb_buf_init(&buf, 4096);
    assert_int_equal(sb_buf_append_text(&buf, "kept"), SB_OK);
    sb_mem_fail_nth(1);
    assert_int_equal(sb_buf_append(&buf, sb_slice_make(big, sizeof(big))), SB_ENOMEM);
    assert_true(sb_slice_is(sb_buf_slice(&buf), "kept"));
}

static void as_a_queue_it_does_not_grow(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    char chunk[100] = {0};

    (void)state;
    sb_buf_init(&buf, 1 << 20);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(sb_buf_append(&buf, sb_slice_make(chunk, sizeof(chunk))), SB_OK);
        assert_int_equal(sb_buf_append(&buf, sb_slice_make(chunk, sizeof(chunk))), SB_OK);
        sb_buf_consume(&buf, i % 2 == 0 ? 150 : 250);
    }
    assert_true(buf.size <= 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_appended_in_order),
        cmocka_unit_test(the_end_can_be_taken_back),
        cmocka_unit_test(never_passes_its_ceiling),
        cmocka_unit_test(a_failed_allocation_leaves_it_as_it_was),
        cmocka_unit_test(as_a_queue_it_does_not_grow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
