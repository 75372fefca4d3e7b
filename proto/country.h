/* proto/country.h - countries, as both planes compare them.
 *
 * A country is its ISO 3166-1 alpha-2 code.  Codes that nobody has been given
 * are refused where they enter: "UK" on a list of forbidden countries would
 * forbid nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* Numbers are for memory only, never for a wire or a file. */
enum {
    MSG_COUNTRIES = 26 * 26,
    MSG_COUNTRY_WORDS = (MSG_COUNTRIES + 63) / 64,
    MSG_COUNTRY_CODE = 3, /* two letters and a NUL */
};

/* The number of an assigned code, compared without case, or -1. */
int msg_country_parse(struct sb_slice code);
/* "DE"; number as given by the parser. */
void msg_country_format(int number, char ret_code[MSG_COUNTRY_CODE]);
/* One of the 27 members of the European Union. */
bool msg_country_is_eu(int number);

/* A set of countries; zeroed is empty. */
struct msg_countries {
    uint64_t word[MSG_COUNTRY_WORDS];
};

static inline void msg_countries_add(struct msg_countries *set, int number)
{
    set->word[number / 64] |= UINT64_C(1) << (number % 64);
}

/* false for -1 too. */
static inline bool msg_countries_have(const struct msg_countries *set, int number)
{
    return number >= 0 && (set->word[number / 64] >> (number % 64) & 1) != 0;
}
