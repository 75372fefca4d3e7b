/* common/timefmt.h - points of time as text, and back, always in UTC.
 *
 * Exact integer arithmetic over the proleptic Gregorian calendar, for years
 * 0001 to 9999; no locale, no time zone data base, no leap seconds (as POSIX
 * time has none).  A "day" is the number of days since 1970-01-01.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/slice.h"

enum {
    SB_TIME_TEXT_MAX = 28, /* "2026-01-02T03:04:05.123456Z" and its NUL */
    SB_DATE_TEXT_MAX = 11, /* "2026-01-02" and its NUL */
    SB_HTTP_DATE_MAX = 30, /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */
};

#define SB_USEC_PER_SEC INT64_C(1000000)
#define SB_SEC_PER_DAY  INT64_C(86400)

/* A date of the calendar; may be out of range until sb_date_is_valid(). */
struct sb_date {
    int year;  /* 1 to 9999 */
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

bool sb_date_is_valid(struct sb_date date);
/* The date must be valid. */
int32_t sb_date_to_day(struct sb_date date);
struct sb_date sb_date_from_day(int32_t day);
/* The day (UTC) that a point of sb_clock_wall() is in. */
int32_t sb_day_of(sb_usec wall);

/* RFC 3339 with 0, 3 or 6 digits of the second (cut, not rounded); returns
 * the length.  A wall beyond the year 9999 is written as its last instant. */
size_t sb_time_format(sb_usec wall, int digits, char text[SB_TIME_TEXT_MAX]);
/* Reads an RFC 3339 date-time; any offset ("Z", "+02:00") is turned to UTC;
 * digits beyond microseconds are cut; second 60 is the first of the next
 * minute.  SB_EPARSE when it is not one, or before 1970. */
int sb_time_parse(struct sb_slice text, sb_usec *ret_wall) SB_MUSTCHECK;

/* "YYYY-MM-DD"; returns the length.  Days outside of the years 0001 to 9999
 * are a bug of the caller. */
size_t sb_date_format(int32_t day, char text[SB_DATE_TEXT_MAX]);
int sb_date_parse(struct sb_slice text, int32_t *ret_day) SB_MUSTCHECK;

/* IMF-fixdate of RFC 9110, for the Date header; returns the length. */
size_t sb_time_format_http(sb_usec wall, char text[SB_HTTP_DATE_MAX]);
/* Reads an IMF-fixdate (Retry-After may hold one).  SB_EPARSE; the obsolete
 * forms of RFC 850 and asctime are not read. */
int sb_time_parse_http(struct sb_slice text, sb_usec *ret_wall) SB_MUSTCHECK;
