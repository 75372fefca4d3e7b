/* common/timefmt.c */
#include "common/timefmt.h"

#include <string.h>

#include "common/check.h"
#include "common/err.h"

enum {
    DAYS_PER_ERA = 146097, /* 400 years of the Gregorian calendar */
    YEARS_PER_ERA = 400,
    EPOCH_DAY = 719468, /* 1970-01-01 in days since 0000-03-01 */
    DAY_MIN = -719162,  /* 0001-01-01 */
    DAY_MAX = 2932896,  /* 9999-12-31 */
};

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekday_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* --- calendar ------------------------------------------------------------- */

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years that
 * begin on 1 March put the leap day last, so that the days before month m
 * (March is 0) are (153 m + 2) / 5, and 400 years always have 146097 days. */

bool sb_date_is_valid(struct sb_date date)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);

    return date.year >= 1 && date.year <= 9999 && date.month >= 1 && date.month <= 12 &&
           date.day >= 1 && date.day <= days[date.month - 1] + (date.month == 2 && leap ? 1 : 0);
}

int32_t sb_date_to_day(struct sb_date date)
{
    int year = date.month <= 2 ? date.year - 1 : date.year;
    int month = (date.month + 9) % 12;
    int in_era = year % YEARS_PER_ERA;
    int in_year = (153 * month + 2) / 5 + date.day - 1;

    SB_BUG_ON(!sb_date_is_valid(date));
    return year / YEARS_PER_ERA * DAYS_PER_ERA + in_era * 365 + in_era / 4 - in_era / 100 +
           in_year - EPOCH_DAY;
}

struct sb_date sb_date_from_day(int32_t day)
{
    int since = day + EPOCH_DAY;
    int in_era = since % DAYS_PER_ERA;
    /* Without the leap days before it, each year of the era has 365 days. */
    int year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int in_year = in_era - (365 * year + year / 4 - year / 100);
    int month = (5 * in_year + 2) / 153;
    struct sb_date date = {
        .year = year + since / DAYS_PER_ERA * YEARS_PER_ERA + (month >= 10 ? 1 : 0),
        .month = month < 10 ? month + 3 : month - 9,
        .day = in_year - (153 * month + 2) / 5 + 1,
    };

    SB_BUG_ON(day < DAY_MIN || day > DAY_MAX);
    return date;
}

int32_t sb_day_of(sb_usec wall)
{
    uint64_t day = wall / (uint64_t)(SB_SEC_PER_DAY * SB_USEC_PER_SEC);

    return day > DAY_MAX ? DAY_MAX : (int32_t)day;
}

/* --- writing -------------------------------------------------------------- */

static char *put_number(char *at, unsigned value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

static char *put_text(char *at, const char *text)
{
    while (*text != '\0')
        *at++ = *text++;
    return at;
}

static char *put_date(char *at, int32_t day)
{
    struct sb_date date = sb_date_from_day(day);

    at = put_number(at, (unsigned)date.year, 4);
    *at++ = '-';
    at = put_number(at, (unsigned)date.month, 2);
    *at++ = '-';
    return put_number(at, (unsigned)date.day, 2);
}

static char *put_time_of_day(char *at, unsigned second)
{
    at = put_number(at, second / 3600, 2);
    *at++ = ':';
    at = put_number(at, second / 60 % 60, 2);
    *at++ = ':';
    return put_number(at, second % 60, 2);
}

/* The last instant that four digits of year can say. */
static sb_usec capped(sb_usec wall)
{
    const sb_usec end = (sb_usec)(DAY_MAX + 1) * (sb_usec)(SB_SEC_PER_DAY * SB_USEC_PER_SEC);

    return wall < end ? wall : end - 1;
}

size_t sb_time_format(sb_usec wall, int digits, char text[SB_TIME_TEXT_MAX])
{
    sb_usec at_most = capped(wall);
    uint64_t second = at_most / SB_USEC_PER_SEC;
    unsigned fraction = (unsigned)(at_most % SB_USEC_PER_SEC);
    char *at = put_date(text, (int32_t)(second / SB_SEC_PER_DAY));

    SB_BUG_ON(digits != 0 && digits != 3 && digits != 6);
    *at++ = 'T';
    at = put_time_of_day(at, (unsigned)(second % SB_SEC_PER_DAY));
    if (digits > 0) {
        *at++ = '.';
        at = put_number(at, digits == 3 ? fraction / 1000 : fraction, digits);
    }
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - text);
}

size_t sb_date_format(int32_t day, char text[SB_DATE_TEXT_MAX])
{
    char *at = put_date(text, day);

    *at = '\0';
    return (size_t)(at - text);
}

size_t sb_time_format_http(sb_usec wall, char text[SB_HTTP_DATE_MAX])
{
    uint64_t second = capped(wall) / SB_USEC_PER_SEC;
    int32_t day = (int32_t)(second / SB_SEC_PER_DAY);
    struct sb_date date = sb_date_from_day(day);
    char *at = put_text(text, weekday_names[(day + 4) % 7]); /* day 0 was a Thursday */

    at = put_text(at, ", ");
    at = put_number(at, (unsigned)date.day, 2);
    *at++ = ' ';
    at = put_text(at, month_names[date.month - 1]);
    *at++ = ' ';
    at = put_number(at, (unsigned)date.year, 4);
    *at++ = ' ';
    at = put_time_of_day(at, (unsigned)(second % SB_SEC_PER_DAY));
    at = put_text(at, " GMT");
    *at = '\0';
    return (size_t)(at - text);
}

/* --- reading -------------------------------------------------------------- */

/* What is left of a text; an error sticks, so that one check at the end does
 * for all steps. */
struct reader {
    struct sb_slice rest;
    bool bad;
};

static int take_number(struct reader *reader, size_t width)
{
    int value = 0;

    if (reader->bad || reader->rest.n < width) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = 0; i < width; i++) {
        char c = reader->rest.p[i];

        if (c < '0' || c > '9')
            reader->bad = true;
        value = value * 10 + (c - '0');
    }
    reader->rest = sb_slice_from(reader->rest, width);
    return reader->bad ? 0 : value;
}

/* The next byte when it is one of the set, else 0, which fails the reader. */
static char take_byte(struct reader *reader, const char *set)
{
    char c;

    if (reader->bad || reader->rest.n == 0 || reader->rest.p[0] == '\0' ||
        strchr(set, reader->rest.p[0]) == NULL) {
        reader->bad = true;
        return '\0';
    }
    c = reader->rest.p[0];
    reader->rest = sb_slice_from(reader->rest, 1);
    return c;
}

static int32_t take_date(struct reader *reader)
{
    struct sb_date date;

    date.year = take_number(reader, 4);
    (void)take_byte(reader, "-");
    date.month = take_number(reader, 2);
    (void)take_byte(reader, "-");
    date.day = take_number(reader, 2);
    if (reader->bad || !sb_date_is_valid(date)) {
        reader->bad = true;
        return 0;
    }
    return sb_date_to_day(date);
}

/* Seconds since midnight; 23:59:60 is the midnight after. */
static int take_time_of_day(struct reader *reader)
{
    int hour, minute, second;

    hour = take_number(reader, 2);
    (void)take_byte(reader, ":");
    minute = take_number(reader, 2);
    (void)take_byte(reader, ":");
    second = take_number(reader, 2);
    if (hour > 23 || minute > 59 || second > 60)
        reader->bad = true;
    return hour * 3600 + minute * 60 + second;
}

/* Microseconds after an optional point; digits beyond the sixth are cut. */
static int take_fraction(struct reader *reader)
{
    int value = 0, worth = 100000;

    if (reader->bad || reader->rest.n == 0 || reader->rest.p[0] != '.')
        return 0;
    (void)take_byte(reader, ".");
    do {
        value += take_number(reader, 1) * worth;
        worth /= 10;
    } while (!reader->bad && reader->rest.n > 0 && reader->rest.p[0] >= '0' &&
             reader->rest.p[0] <= '9');
    return value;
}

/* Seconds to take off for a time with this offset to be UTC. */
static int take_offset(struct reader *reader)
{
    char sign = take_byte(reader, "Zz+-");
    int hour, minute;

    if (sign != '+' && sign != '-')
        return 0;
    hour = take_number(reader, 2);
    (void)take_byte(reader, ":");
    minute = take_number(reader, 2);
    if (hour > 23 || minute > 59)
        reader->bad = true;
    return (sign == '+' ? 1 : -1) * (hour * 3600 + minute * 60);
}

int sb_time_parse(struct sb_slice text, sb_usec *ret_wall)
{
    struct reader reader = {.rest = text};
    int64_t second;
    int fraction;

    second = take_date(&reader) * SB_SEC_PER_DAY;
    (void)take_byte(&reader, "Tt "); /* the blank is allowed by RFC 3339, 5.6 */
    second += take_time_of_day(&reader);
    fraction = take_fraction(&reader);
    second -= take_offset(&reader);
    if (reader.bad || reader.rest.n > 0 || second < 0)
        return SB_EPARSE;
    *ret_wall = (sb_usec)(second * SB_USEC_PER_SEC + fraction);
    return SB_OK;
}

int sb_date_parse(struct sb_slice text, int32_t *ret_day)
{
    struct reader reader = {.rest = text};
    int32_t day = take_date(&reader);

    if (reader.bad || reader.rest.n > 0)
        return SB_EPARSE;
    *ret_day = day;
    return SB_OK;
}

static int month_of(struct sb_slice name)
{
    for (int i = 0; i < 12; i++) {
        if (sb_slice_is(name, month_names[i]))
            return i + 1;
    }
    return 0;
}

int sb_time_parse_http(struct sb_slice text, sb_usec *ret_wall)
{
    struct reader reader = {.rest = text};
    struct sb_date date;
    int64_t second;

    /* The weekday says nothing that the date does not; senders err in it. */
    if (text.n != SB_HTTP_DATE_MAX - 1 || memcmp(text.p + 3, ", ", 2) != 0 ||
        memcmp(text.p + 25, " GMT", 4) != 0)
        return SB_EPARSE;
    reader.rest = sb_slice_make(text.p + 5, 20);
    date.day = take_number(&reader, 2);
    (void)take_byte(&reader, " ");
    date.month = month_of(sb_slice_make(text.p + 8, 3));
    reader.rest = sb_slice_make(text.p + 11, 14);
    (void)take_byte(&reader, " ");
    date.year = take_number(&reader, 4);
    (void)take_byte(&reader, " ");
    second = take_time_of_day(&reader);
    if (reader.bad || !sb_date_is_valid(date))
        return SB_EPARSE;
    second += sb_date_to_day(date) * SB_SEC_PER_DAY;
    if (second < 0)
        return SB_EPARSE;
    *ret_wall = (sb_usec)(second * SB_USEC_PER_SEC);
    return SB_OK;
}
