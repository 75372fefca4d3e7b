/* tests/fuzz/common/fuzz_timefmt.c - a time that was read comes back. */
#include <stdint.h>

#include "common/check.h"
#include "common/err.h"
#include "common/timefmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_slice text = sb_slice_make(data, size);
    char written[SB_TIME_TEXT_MAX], http[SB_HTTP_DATE_MAX], date[SB_DATE_TEXT_MAX];
    sb_usec wall, back;
    int32_t day, day_back;
    size_t n;

    if (sb_time_parse(text, &wall) == SB_OK) {
        n = sb_time_format(wall, 6, written);
        SB_BUG_ON(n != SB_TIME_TEXT_MAX - 1);
        SB_BUG_ON(sb_time_parse(sb_slice_make(written, n), &back) != SB_OK);
        /* An offset may lead beyond the year 9999, which is written as its end. */
        SB_BUG_ON(back != wall && written[0] != '9');
    }
    if (sb_time_parse_http(text, &wall) == SB_OK) {
        n = sb_time_format_http(wall, http);
        SB_BUG_ON(sb_time_parse_http(sb_slice_make(http, n), &back) != SB_OK || back != wall);
    }
    if (sb_date_parse(text, &day) == SB_OK) {
        n = sb_date_format(day, date);
        SB_BUG_ON(!sb_slice_eq(sb_slice_make(date, n), text));
        SB_BUG_ON(sb_date_parse(sb_slice_make(date, n), &day_back) != SB_OK || day_back != day);
    }
    return 0;
}
