/* tests/unit/proto/test_country.c */
#include "proto/country.h"

#include "tests/lib/test.h"

static void codes_are_read_without_case_and_written_in_capitals(void **state)
{
    char text[MSG_COUNTRY_CODE];

    (void)state;
    msg_country_format(msg_country_parse(SB_SLICE_LIT("dE")), text);
    assert_string_equal(text, "DE");
    msg_country_format(msg_country_parse(SB_SLICE_LIT("ZW")), text);
    assert_string_equal(text, "ZW");
}

static void only_codes_that_were_assigned_are_countries(void **state)
{
    static const char *const wrong[] = {"", "D", "DEU", "UK", "EU", "XX", "D1", "1D", "  ", "ZZ"};
    unsigned n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(msg_country_parse(sb_slice_of(wrong[i])), -1);
    for (int number = 0; number < MSG_COUNTRIES; number++) {
        char text[MSG_COUNTRY_CODE];

        msg_country_format(number, text);
        n += msg_country_parse(sb_slice_of(text)) == number;
    }
    assert_int_equal(n, 249); /* ISO 3166-1, 2026 */
}

static void the_union_has_27_members(void **state)
{
    unsigned n = 0;

    (void)state;
    for (int number = 0; number < MSG_COUNTRIES; number++) {
        char text[MSG_COUNTRY_CODE];

        if (!msg_country_is_eu(number))
            continue;
        msg_country_format(number, text);
        assert_int_equal(msg_country_parse(sb_slice_of(text)), number);
        n++;
    }
    assert_int_equal(n, 27);
    assert_true(msg_country_is_eu(msg_country_parse(SB_SLICE_LIT("IE"))));
    assert_false(msg_country_is_eu(msg_country_parse(SB_SLICE_LIT("GB"))));
    assert_false(msg_country_is_eu(msg_country_parse(SB_SLICE_LIT("CH"))));
}

static void a_set_has_what_was_added(void **state)
{
    struct msg_countries set = {.word = {0}};
    int last = msg_country_parse(SB_SLICE_LIT("ZW")), first = msg_country_parse(SB_SLICE_LIT("AD"));

    (void)state;
    assert_false(msg_countries_have(&set, last));
    msg_countries_add(&set, last);
    msg_countries_add(&set, first);
    assert_true(msg_countries_have(&set, last));
    assert_true(msg_countries_have(&set, first));
    assert_false(msg_countries_have(&set, first + 1));
    assert_false(msg_countries_have(&set, -1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_read_without_case_and_written_in_capitals),
        cmocka_unit_test(only_codes_that_were_assigned_are_countries),
        cmocka_unit_test(the_union_has_27_members),
        cmocka_unit_test(a_set_has_what_was_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
