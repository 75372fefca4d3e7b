/* Points of time as people give them. */
#include "tests/lib/test.h"

#include "common/attr.h"
#include "controlplane/ctl/moment.h"

#define NOW UINT64_C(1767323045000000) /* 2026-01-02T03:04:05Z */

static void moments_are_read(void **state)
{
    static const struct {
        const char *text, *wanted; /* NULL: it is none */
    } moments[] = {
        {"2026-01-31", "2026-01-31T00:00:00.000000Z"},
        {"2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"},
        {"2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000000Z"},
        {"5s", "2026-01-02T03:04:00.000000Z"},
        {"4min", "2026-01-02T03:00:05.000000Z"},
        {"4m", "2026-01-02T03:00:05.000000Z"},
        {"3h", "2026-01-02T00:04:05.000000Z"},
        {"1d", "2026-01-01T03:04:05.000000Z"},
        {"0s", "2026-01-02T03:04:05.000000Z"},
        {"", NULL},
        {"h", NULL},
        {"3", NULL},
        {"3w", NULL},
        {"-3h", NULL},
        {"3h ago", NULL},
        {"99999999d", NULL}, /* before 1970 */
        {"18446744073709551615d", NULL},
        {"18446744073709551616d", NULL},
        {"2026-02-30", NULL},
    };
    char text[SB_TIME_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(moments); i++) {
        bool is_one = ctl_moment_read(moments[i].text, NOW, text);

        assert_int_equal(is_one, moments[i].wanted != NULL);
        if (is_one)
            assert_string_equal(text, moments[i].wanted);
    }
}

static void what_is_to_come_is_counted_from_now(void **state)
{
    static const struct {
        const char *text, *wanted; /* NULL: it is none */
    } moments[] = {
        {"2027-01-31", "2027-01-31T00:00:00.000000Z"},
        {"2027-01-31T12:00:00+02:00", "2027-01-31T10:00:00.000000Z"},
        {"90d", "2026-04-02T03:04:05.000000Z"},
        {"2h", "2026-01-02T05:04:05.000000Z"},
        {"99999999d", NULL}, /* beyond what a time can be */
        {"18446744073709551615s", NULL},
        {"soon", NULL},
        {"", NULL},
    };
    char text[SB_TIME_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(moments); i++) {
        bool is_one = ctl_moment_ahead(moments[i].text, NOW, text);

        assert_int_equal(is_one, moments[i].wanted != NULL);
        if (is_one)
            assert_string_equal(text, moments[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_read),
        cmocka_unit_test(what_is_to_come_is_counted_from_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
