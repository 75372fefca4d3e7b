/* common/money.h - exact money: whole numbers of 1e-15 USD.
 *
 * Prices come as USD per million tokens with up to nine decimals, so that the
 * price of one token is a whole number of 1e-15 USD and no sum ever rounds.
 * No floating point in between.  The range is +-9223 USD: far more than a
 * request costs; totals over many requests are summed by PostgreSQL
 * (numeric), not here.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

typedef int64_t sb_money; /* in 1e-15 USD */

#define SB_MONEY_USD INT64_C(1000000000000000) /* one dollar */
#define SB_MONEY_MAX INT64_MAX
/* The most negative number is not used, so that a sign can always be turned. */
#define SB_MONEY_MIN (-INT64_MAX)

enum { SB_MONEY_TEXT_MAX = 22 }; /* "-9223.372036854775807" and its NUL */

/* Reads a decimal number of USD: what JSON calls a number ("0.25", "-3",
 * "1.5e-07"; exponents are exact too), and nothing else.  Errors: SB_EPARSE
 * (not a number), SB_ETOOBIG (out of range), SB_EINVAL (finer than 1e-15). */
int sb_money_parse(struct sb_slice text, sb_money *ret_money) SB_MUSTCHECK;
/* Reads USD per million units and gives the exact price of one unit.  Errors
 * as above; SB_EINVAL also for a negative price. */
int sb_money_parse_per_million(struct sb_slice text, sb_money *ret_money) SB_MUSTCHECK;

/* The shortest decimal that is exactly the amount ("0", "0.00000015", "-3.5");
 * never an exponent.  Returns the length. */
size_t sb_money_format(sb_money money, char text[SB_MONEY_TEXT_MAX]);
/* The amount for a million units, likewise: the inverse of the parser. */
size_t sb_money_format_per_million(sb_money money, char text[SB_MONEY_TEXT_MAX]);

/* SB_ETOOBIG when the result is out of range; *ret_money is then as before.
 * ret_money may be one of the operands. */
int sb_money_add(sb_money a, sb_money b, sb_money *ret_money) SB_MUSTCHECK;
int sb_money_mul(sb_money price, uint64_t count, sb_money *ret_money) SB_MUSTCHECK;

/* USD, rounded: for weights and orderings by estimate, never for bills. */
double sb_money_as_double(sb_money money);
