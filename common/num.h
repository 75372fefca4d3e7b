/* common/num.h - integers to text and back, without printf and locale. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/attr.h"
#include "common/slice.h"

enum {
    SB_NUM_U64_MAX = 20, /* most digits of a uint64_t */
    SB_NUM_I64_MAX = 20, /* with the sign */
    SB_NUM_HEX_MAX = 16,
};

/* Writes at most SB_NUM_U64_MAX digits, no NUL; returns how many. */
static inline size_t sb_num_put_u64(char *out, uint64_t number)
{
    char digits[SB_NUM_U64_MAX];
    size_t n = 0;

    do {
        digits[sizeof(digits) - ++n] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(out, digits + sizeof(digits) - n, n);
    return n;
}

static inline size_t sb_num_put_i64(char *out, int64_t number)
{
    if (number >= 0)
        return sb_num_put_u64(out, (uint64_t)number);
    *out = '-';
    return 1 + sb_num_put_u64(out + 1, 0 - (uint64_t)number);
}

/* Lower case, no leading zeros. */
static inline size_t sb_num_put_hex(char *out, uint64_t number)
{
    char digits[SB_NUM_HEX_MAX];
    size_t n = 0;

    do {
        digits[sizeof(digits) - ++n] = "0123456789abcdef"[number & 15];
        number >>= 4;
    } while (number > 0);
    memcpy(out, digits + sizeof(digits) - n, n);
    return n;
}

/* The whole text is digits and the number fits; else false. */
static inline bool sb_num_read_u64(struct sb_slice text, uint64_t *ret_number) SB_MUSTCHECK;
static inline bool sb_num_read_u64(struct sb_slice text, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (text.n == 0)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        unsigned digit = (unsigned char)text.p[i] - (unsigned)'0';

        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}
