/* tests/fuzz/common/fuzz_money.c - what is read is exact, so it comes back. */
#include <stdint.h>

#include "common/check.h"
#include "common/err.h"
#include "common/money.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_slice text = sb_slice_make(data, size);
    char written[SB_MONEY_TEXT_MAX];
    sb_money money, back;
    size_t n;

    if (sb_money_parse(text, &money) == SB_OK) {
        n = sb_money_format(money, written);
        SB_BUG_ON(n >= sizeof(written) || money < SB_MONEY_MIN);
        SB_BUG_ON(sb_money_parse(sb_slice_make(written, n), &back) != SB_OK || back != money);
    }
    if (sb_money_parse_per_million(text, &money) == SB_OK) {
        SB_BUG_ON(money < 0);
        n = sb_money_format_per_million(money, written);
        SB_BUG_ON(sb_money_parse_per_million(sb_slice_make(written, n), &back) != SB_OK ||
                  back != money);
    }
    return 0;
}
