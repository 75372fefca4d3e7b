/* tests/unit/common/test_timefmt.c */
#include "common/timefmt.h"

#include <time.h>

#include "common/err.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

static void every_day_of_ten_thousand_years_comes_back(void **state)
{
    static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct sb_date date = {1, 1, 1};
    int32_t day = sb_date_to_day(date);

    (void)state;
    assert_int_equal(day, -719162);
    /* A calendar that only knows how to go to the next day. */
    for (; date.year <= 9999; day++) {
        struct sb_date back = sb_date_from_day(day);
        bool leap = date.year % 400 == 0 || (date.year % 4 == 0 && date.year % 100 != 0);

        if (sb_date_to_day(date) != day || back.year != date.year || back.month != date.month ||
            back.day != date.day || !sb_date_is_valid(date))
            fail_msg("%04d-%02d-%02d is day %d", date.year, date.month, date.day, day);
        if (++date.day > lengths[date.month - 1] + (date.month == 2 && leap)) {
            assert_false(sb_date_is_valid(date));
            date.day = 1;
            if (++date.month > 12) {
                date.month = 1;
                date.year++;
            }
        }
    }
    assert_int_equal(day, 2932897);
}

static void dates_are_written_and_read(void **state)
{
    char text[SB_DATE_TEXT_MAX];
    int32_t day = 77;

    (void)state;
    assert_int_equal(sb_date_format(0, text), 10);
    assert_string_equal(text, "1970-01-01");
    assert_int_equal(sb_date_format(20514, text), 10);
    assert_string_equal(text, "2026-03-02");
    assert_int_equal(sb_date_parse(SB_SLICE_LIT("2024-02-29"), &day), SB_OK);
    assert_int_equal(day, 19782);
    assert_int_equal(sb_date_parse(SB_SLICE_LIT("0001-01-01"), &day), SB_OK);
    assert_int_equal(day, -719162);
}

static void wrong_dates_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",           "2026",       "2026-03",    "2026-3-02",   "2026-03-2",   "2026-03-021",
        "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-01",  "2026-01-00",  "2026-04-31",
        "0000-01-01", "+026-01-01", "2026/01/01", " 2026-01-01", "2026-01-01 ", "20a6-01-01",
    };
    int32_t day = 77;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        if (sb_date_parse(sb_slice_of(wrong[i]), &day) != SB_EPARSE)
            fail_msg("'%s' was read as a date", wrong[i]);
    }
    assert_int_equal(day, 77);
}

static void times_are_written_with_the_digits_asked_for(void **state)
{
    const sb_usec wall = UINT64_C(1772330645123987);
    char text[SB_TIME_TEXT_MAX];

    (void)state;
    assert_int_equal(sb_time_format(wall, 0, text), 20);
    assert_string_equal(text, "2026-03-01T02:04:05Z");
    assert_int_equal(sb_time_format(wall, 3, text), 24);
    assert_string_equal(text, "2026-03-01T02:04:05.123Z");
    assert_int_equal(sb_time_format(wall, 6, text), 27);
    assert_string_equal(text, "2026-03-01T02:04:05.123987Z");
    (void)sb_time_format(0, 6, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    (void)sb_time_format(UINT64_MAX, 6, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
    assert_int_equal(sb_day_of(wall), 20513);
    assert_int_equal(sb_day_of(UINT64_MAX), 2932896);
}

static sb_usec parsed(const char *text)
{
    sb_usec wall = 0;

    if (sb_time_parse(sb_slice_of(text), &wall) != SB_OK)
        fail_msg("'%s' was not read", text);
    return wall;
}

static void times_of_all_forms_are_read(void **state)
{
    (void)state;
    assert_true(parsed("1970-01-01T00:00:00Z") == 0);
    assert_true(parsed("2026-03-01T02:04:05Z") == UINT64_C(1772330645000000));
    assert_true(parsed("2026-03-01t02:04:05z") == UINT64_C(1772330645000000));
    assert_true(parsed("2026-03-01 02:04:05.5Z") == UINT64_C(1772330645500000));
    assert_true(parsed("2026-03-01T02:04:05.123987999Z") == UINT64_C(1772330645123987));
    assert_true(parsed("2026-03-01T04:34:05+02:30") == UINT64_C(1772330645000000));
    assert_true(parsed("2026-02-28T18:04:05-08:00") == UINT64_C(1772330645000000));
    assert_true(parsed("2016-12-31T23:59:60Z") == parsed("2017-01-01T00:00:00Z"));
    assert_true(parsed("1969-12-31T23:59:59-00:01") == UINT64_C(59000000));
}

static void wrong_times_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "2026-03-01",
        "2026-03-01T02:04:05",
        "2026-03-01T02:04Z",
        "2026-03-01T02:04:05.Z",
        "2026-03-01T02:04:05,5Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T02:60:05Z",
        "2026-03-01T02:04:61Z",
        "2026-03-01T02:04:05+2:00",
        "2026-03-01T02:04:05+24:00",
        "2026-03-01T02:04:05+02:60",
        "2026-03-01T02:04:05+0200",
        "2026-03-01T02:04:05Z ",
        "2026-03-01T02:04:05ZZ",
        "2026-02-29T02:04:05Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "2026-03-01T-2:04:05Z",
    };
    sb_usec wall = 77;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        if (sb_time_parse(sb_slice_of(wrong[i]), &wall) != SB_EPARSE)
            fail_msg("'%s' was read as a time", wrong[i]);
    }
    assert_int_equal(sb_time_parse(SB_SLICE_LIT("2026-03-01T02:04:05\0"), &wall), SB_EPARSE);
    assert_int_equal(sb_time_parse(SB_SLICE_LIT("2026-03-01\0"
                                                "02:04:05Z"),
                                   &wall),
                     SB_EPARSE);
    assert_true(wall == 77);
}

static void any_time_comes_back_and_the_c_library_agrees(void **state)
{
    uint64_t seed = 8;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        sb_usec wall = random_below(&seed, UINT64_C(253402300800000000));
        time_t second = (time_t)(wall / 1000000);
        char text[SB_TIME_TEXT_MAX], http[SB_HTTP_DATE_MAX], theirs[64];
        sb_usec back = 0;
        struct tm tm;

        (void)sb_time_format(wall, 6, text);
        assert_true(parsed(text) == wall);
        assert_non_null(gmtime_r(&second, &tm));
        (void)strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", &tm);
        (void)sb_time_format(wall, 0, text);
        assert_string_equal(text, theirs);
        (void)strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        assert_int_equal(sb_time_format_http(wall, http), 29);
        assert_string_equal(http, theirs);
        assert_int_equal(sb_time_parse_http(sb_slice_of(http), &back), SB_OK);
        assert_true(back == wall / 1000000 * 1000000);
    }
}

static void wrong_http_dates_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "120",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun  06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1960 08:49:37 GMT",
    };
    sb_usec wall = 77;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        if (sb_time_parse_http(sb_slice_of(wrong[i]), &wall) != SB_EPARSE)
            fail_msg("'%s' was read as a date", wrong[i]);
    }
    assert_true(wall == 77);
    assert_int_equal(sb_time_parse_http(SB_SLICE_LIT("Sun, 06 Nov 1994 08:49:37 GMT"), &wall),
                     SB_OK);
    assert_true(wall == UINT64_C(784111777000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_ten_thousand_years_comes_back),
        cmocka_unit_test(dates_are_written_and_read),
        cmocka_unit_test(wrong_dates_are_refused),
        cmocka_unit_test(times_are_written_with_the_digits_asked_for),
        cmocka_unit_test(times_of_all_forms_are_read),
        cmocka_unit_test(wrong_times_are_refused),
        cmocka_unit_test(any_time_comes_back_and_the_c_library_agrees),
        cmocka_unit_test(wrong_http_dates_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
