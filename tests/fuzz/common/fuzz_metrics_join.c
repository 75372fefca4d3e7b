/* tests/fuzz/common/fuzz_metrics_join.c - a page that was taken joins to one
 * that can be taken again. */
#include <stdint.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf once;
    SB_CLEANUP(sb_buf_release) struct sb_buf again;
    struct sb_metrics_page pages[2] = {
        {.text = sb_slice_make(data, size), .labels = SB_SLICE_LIT("w=\"1\"")},
        {.text = sb_slice_make(data, size), .labels = SB_SLICE_LIT("w=\"2\"")},
    };

    sb_buf_init(&once, 1 << 20);
    sb_buf_init(&again, 1 << 20);
    if (sb_metrics_join(&once, pages, 2) != SB_OK) {
        SB_BUG_ON(sb_buf_len(&once) != 0);
        return 0;
    }
    pages[0] = (struct sb_metrics_page){.text = sb_buf_slice(&once)};
    SB_BUG_ON(sb_metrics_join(&again, pages, 1) != SB_OK);
    SB_BUG_ON(!sb_slice_eq(sb_buf_slice(&once), sb_buf_slice(&again)));
    return 0;
}
