/* common/utf8.h - characters of UTF-8 text (RFC 3629), off the request path. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

#define SB_UTF8_BAD UINT32_MAX /* no code point */

/* The code point at the front of text, which is not empty, and its bytes;
 * SB_UTF8_BAD and 1 when they are not UTF-8. */
static inline uint32_t sb_utf8_next(struct sb_slice text, size_t *ret_n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)text.p[0];
    size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    uint32_t code = n == 1 ? c : c & (0xffU >> (n + 1));

    *ret_n = 1;
    if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || n > text.n)
        return SB_UTF8_BAD;
    for (size_t i = 1; i < n; i++) {
        unsigned char more = (unsigned char)text.p[i];

        if ((more & 0xc0) != 0x80)
            return SB_UTF8_BAD;
        code = code << 6 | (more & 0x3f);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return SB_UTF8_BAD;
    *ret_n = n;
    return code;
}

static inline bool sb_utf8_is_valid(struct sb_slice text)
{
    size_t n;

    for (; text.n > 0; text = sb_slice_from(text, n)) {
        if (sb_utf8_next(text, &n) == SB_UTF8_BAD)
            return false;
    }
    return true;
}
