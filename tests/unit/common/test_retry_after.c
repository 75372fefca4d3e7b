/* tests/unit/common/test_retry_after.c */
#include "common/retry_after.h"

#include "tests/lib/test.h"

#define AT "Sun, 06 Nov 1994 08:49:37 GMT"
/* a minute later */
#define WALL (INT64_C(784111837) * 1000000)

static sb_msec wait_of(const char *retry_after, const char *date)
{
    return sb_retry_after(sb_slice_of(retry_after), sb_slice_of(date), WALL);
}

static void seconds_are_taken_up_to_five_minutes(void **state)
{
    (void)state;
    assert_int_equal(wait_of("1", ""), 1000);
    assert_int_equal(wait_of("007", ""), 7000);
    assert_int_equal(wait_of("299", AT), 299000);
    assert_int_equal(wait_of("300", ""), 300000);
    assert_int_equal(wait_of("86400", ""), 300000);
    assert_int_equal(wait_of("99999999999999999999999999999999", ""), 300000);
}

static void a_date_is_read_by_the_clock_of_who_says_it(void **state)
{
    (void)state;
    assert_int_equal(wait_of("Sun, 06 Nov 1994 08:49:40 GMT", AT), 3000);
    assert_int_equal(wait_of("Mon, 07 Nov 1994 08:49:40 GMT", AT), 300000);
    assert_int_equal(wait_of("Sun, 06 Nov 1994 08:50:40 GMT", ""), 3000); /* by ours */
    assert_int_equal(wait_of("Sun, 06 Nov 1994 08:50:40 GMT", "yesterday"), 3000);
}

static void what_says_nothing_is_none(void **state)
{
    (void)state;
    assert_int_equal(wait_of("", AT), 0);
    assert_int_equal(wait_of("0", ""), 0);
    assert_int_equal(wait_of("soon", ""), 0);
    assert_int_equal(wait_of("-1", ""), 0);
    assert_int_equal(wait_of("5s", ""), 0);
    assert_int_equal(wait_of("1.5", ""), 0);
    assert_int_equal(wait_of(AT, AT), 0); /* past already */
    assert_int_equal(wait_of(AT, ""), 0);
}

static sb_msec ms_of(const char *text)
{
    return sb_retry_after_ms(sb_slice_of(text));
}

static void milliseconds_are_taken_up_to_five_minutes_a_fraction_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(ms_of("1"), 1);
    assert_int_equal(ms_of("1234"), 1234);
    assert_int_equal(ms_of("1234.000"), 1234);
    assert_int_equal(ms_of("1234.5"), 1235);
    assert_int_equal(ms_of("0.25"), 1);
    assert_int_equal(ms_of("300000.5"), 300000);
    assert_int_equal(ms_of("99999999999999999999999999999999"), 300000);
}

static void milliseconds_that_cannot_be_read_are_none(void **state)
{
    static const char *const texts[] = {"",    "0",     "0.0", ".5",        "-5",  "1e3",
                                        "12x", "1.2.3", "1.x", "99999999x", "soon"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(ms_of(texts[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_are_taken_up_to_five_minutes),
        cmocka_unit_test(a_date_is_read_by_the_clock_of_who_says_it),
        cmocka_unit_test(what_says_nothing_is_none),
        cmocka_unit_test(milliseconds_are_taken_up_to_five_minutes_a_fraction_rounded_up),
        cmocka_unit_test(milliseconds_that_cannot_be_read_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
