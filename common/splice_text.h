/* common/splice_text.h - names, escapes and numbers for the two halves of
 * common/splice.h; nobody else includes it.  All take text of one value whose
 * grammar was checked, but for sb_splice_hex4(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/slice.h"

/* Value of four hexadecimal digits; -1 when they are not all there. */
static inline int32_t sb_splice_hex4(const unsigned char *p, const unsigned char *end)
{
    int32_t value = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned digit = p[i] - (unsigned)'0';

        if (digit > 9) {
            digit = (p[i] | 0x20u) - 'a';
            if (digit > 5)
                return -1;
            digit += 10;
        }
        value = value << 4 | (int32_t)digit;
    }
    return value;
}

/* Writes the characters of a string's inside to out, which has room for
 * inside.n bytes; returns how many they are. */
size_t sb_splice_unescape(struct sb_slice inside, char *out);
/* Whether a number of any length is one that a double can hold. */
bool sb_splice_is_finite(const char *start, const char *end);
