/* tests/unit/ctl/test_screen.c - frames and keys; the rest needs a terminal: test_ctl.py. */
#include "controlplane/ctl/screen.h"

#include "common/buf.h"
#include "common/err.h"
#include "tests/lib/test.h"

static void expect_frame(const char *text, unsigned lines, const char *wanted)
{
    struct sb_buf out;
    struct sb_slice got;

    sb_buf_init(&out, 1 << 16);
    assert_int_equal(ctl_screen_frame(sb_slice_of(text), lines, &out), SB_OK);
    got = sb_buf_slice(&out);
    if (!sb_slice_is(got, wanted))
        fail_msg("%.*s", SB_SLICE_ARGS(got));
    sb_buf_release(&out);
}

#define BEGIN "\033[?2026h\033[H"
#define END   "\033[J\033[?2026l"

static void a_frame_goes_over_the_old_one_and_clears_nothing_first(void **state)
{
    (void)state;
    expect_frame("a\nbc\n", 9, BEGIN "a\033[K\r\nbc\033[K" END);
    expect_frame("a\n\nb\n", 9, BEGIN "a\033[K\r\n\033[K\r\nb\033[K" END);
    expect_frame("a", 9, BEGIN "a\033[K" END);
    expect_frame("", 9, BEGIN END);
}

static void a_frame_has_no_more_lines_than_there_are(void **state)
{
    (void)state;
    expect_frame("a\nb\nc\n", 2, BEGIN "a\033[K\r\nb\033[K" END);
    expect_frame("a\nb\nc\n", 0, BEGIN END);
}

static void keys_are_understood_one_after_the_other(void **state)
{
    static const enum ctl_screen_event wanted[] = {
        CTL_SCREEN_DOWN,    CTL_SCREEN_UP,        CTL_SCREEN_DOWN, CTL_SCREEN_UP,
        CTL_SCREEN_PAGE_UP, CTL_SCREEN_PAGE_DOWN, CTL_SCREEN_QUIT, CTL_SCREEN_TIME};
    struct sb_slice keys = SB_SLICE_LIT("xj\033[A\033[BkZ\033[5~\033[6~\033[Cq?");
    size_t used;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(wanted); i++) {
        assert_int_equal(ctl_screen_key(keys, &used), wanted[i]);
        keys = sb_slice_from(keys, used);
    }
    assert_int_equal(keys.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_goes_over_the_old_one_and_clears_nothing_first),
        cmocka_unit_test(a_frame_has_no_more_lines_than_there_are),
        cmocka_unit_test(keys_are_understood_one_after_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
