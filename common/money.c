/* common/money.c */
#include "common/money.h"

#include <stdbool.h>

#include "common/err.h"
#include "common/num.h"

enum {
    DECIMALS = 15,            /* of a sb_money in USD */
    DECIMALS_PER_MILLION = 9, /* of a price per million units */
    UNIT_PER_MILLION = 1000000000,
};

/* A number as significand * 10^exponent, the significand without trailing
 * zeros. */
struct decimal {
    uint64_t significand;
    int64_t exponent;
    bool negative;
    bool overflow; /* more digits than significand can hold */
};

/* So large that no text of ours reaches it by its digits alone. */
static const int64_t EXPONENT_CAP = INT64_C(1000000000000);

static bool is_digit(struct sb_slice text, size_t at)
{
    return at < text.n && text.p[at] >= '0' && text.p[at] <= '9';
}

/* *value = *value * 10^zeros + digit. */
static bool push_digit(uint64_t *value, int64_t zeros, unsigned digit)
{
    for (; zeros > 0 && *value > 0; zeros--) {
        if (__builtin_mul_overflow(*value, UINT64_C(10), value))
            return false;
    }
    return !__builtin_add_overflow(*value, (uint64_t)digit, value);
}

/* The digits of the integer and fraction part from `at` on, and where they
 * end; false when there are none where the grammar wants some. */
static bool read_digits(struct sb_slice text, size_t *at, struct decimal *number)
{
    size_t start = *at;
    int64_t seen = 0;     /* digits so far */
    int64_t last = 0;     /* of them, up to the last one that is not zero */
    int64_t in_point = 0; /* of them, before the point */
    bool point = false;

    for (;; (*at)++) {
        if (is_digit(text, *at)) {
            seen++;
            if (text.p[*at] == '0')
                continue;
            if (!push_digit(&number->significand, seen - last, (unsigned)(text.p[*at] - '0')))
                number->overflow = true;
            last = seen;
        } else if (!point && *at < text.n && text.p[*at] == '.') {
            point = true;
            in_point = seen;
        } else {
            break;
        }
    }
    if (!point)
        in_point = seen;
    number->exponent = in_point - last;
    /* "", "01", ".5" and "5." are no numbers. */
    return in_point > 0 && (text.p[start] != '0' || in_point == 1) && (!point || seen > in_point);
}

static bool read_exponent(struct sb_slice text, size_t *at, struct decimal *number)
{
    int64_t value = 0;
    bool negative = false;

    if (*at == text.n || (text.p[*at] != 'e' && text.p[*at] != 'E'))
        return true;
    (*at)++;
    if (*at < text.n && (text.p[*at] == '+' || text.p[*at] == '-')) {
        negative = text.p[*at] == '-';
        (*at)++;
    }
    if (!is_digit(text, *at))
        return false;
    for (; is_digit(text, *at); (*at)++) {
        value = value * 10 + (text.p[*at] - '0');
        if (value > EXPONENT_CAP)
            value = EXPONENT_CAP;
    }
    number->exponent += negative ? -value : value;
    return true;
}

static int parse(struct sb_slice text, int decimals, sb_money *ret_money)
{
    struct decimal number = {.significand = 0};
    uint64_t units;
    size_t at = 0;

    if (text.n > 0 && text.p[0] == '-') {
        number.negative = true;
        at = 1;
    }
    if (!read_digits(text, &at, &number) || !read_exponent(text, &at, &number) || at != text.n)
        return SB_EPARSE;
    if (number.significand == 0 && !number.overflow) {
        *ret_money = 0;
        return SB_OK;
    }
    number.exponent += decimals;
    if (number.exponent < 0)
        return SB_EINVAL;
    units = number.significand;
    if (number.overflow || !push_digit(&units, number.exponent, 0) || units > SB_MONEY_MAX)
        return SB_ETOOBIG;
    *ret_money = number.negative ? -(sb_money)units : (sb_money)units;
    return SB_OK;
}

int sb_money_parse(struct sb_slice text, sb_money *ret_money)
{
    return parse(text, DECIMALS, ret_money);
}

int sb_money_parse_per_million(struct sb_slice text, sb_money *ret_money)
{
    sb_money money;
    int rc = parse(text, DECIMALS_PER_MILLION, &money);

    if (rc != SB_OK)
        return rc;
    if (money < 0)
        return SB_EINVAL;
    *ret_money = money;
    return SB_OK;
}

/* Writes exactly n digits. */
static void put_digits(char *p, int n, uint64_t value)
{
    for (int i = n - 1; i >= 0; i--) {
        p[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* unit: 10 to the power of decimals. */
static size_t format(sb_money money, int decimals, uint64_t unit, char text[SB_MONEY_TEXT_MAX])
{
    uint64_t amount = money < 0 ? 0 - (uint64_t)money : (uint64_t)money, fraction = amount % unit;
    char *p = text;

    if (money < 0)
        *p++ = '-';
    p += sb_num_put_u64(p, amount / unit);
    if (fraction != 0) {
        while (fraction % 1000 == 0) { /* most amounts are round: no digits for nothing */
            fraction /= 1000;
            decimals -= 3;
        }
        for (; fraction % 10 == 0; fraction /= 10)
            decimals--;
        *p++ = '.';
        put_digits(p, decimals, fraction);
        p += decimals;
    }
    *p = '\0';
    return (size_t)(p - text);
}

size_t sb_money_format(sb_money money, char text[SB_MONEY_TEXT_MAX])
{
    return format(money, DECIMALS, SB_MONEY_USD, text);
}

size_t sb_money_format_per_million(sb_money money, char text[SB_MONEY_TEXT_MAX])
{
    return format(money, DECIMALS_PER_MILLION, UNIT_PER_MILLION, text);
}

int sb_money_add(sb_money a, sb_money b, sb_money *ret_money)
{
    sb_money sum;

    if (__builtin_add_overflow(a, b, &sum) || sum < SB_MONEY_MIN)
        return SB_ETOOBIG;
    *ret_money = sum;
    return SB_OK;
}

int sb_money_mul(sb_money price, uint64_t count, sb_money *ret_money)
{
    sb_money product;

    /* The builtin multiplies the mixed signs as unbounded integers. */
    if (__builtin_mul_overflow(price, count, &product) || product < SB_MONEY_MIN)
        return SB_ETOOBIG;
    *ret_money = product;
    return SB_OK;
}

double sb_money_as_double(sb_money money)
{
    return (double)money / (double)SB_MONEY_USD;
}
