/* tests/fuzz/common/fuzz_sketch.c - parts of a peer make a sound sketch or none. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"
#include "common/sketch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes a number from the front of the data; zeros when it is short. */
static void take(const uint8_t **data, size_t *size, void *to, size_t n)
{
    size_t have = n < *size ? n : *size;

    memset(to, 0, n);
    memcpy(to, *data, have);
    *data += have;
    *size -= have;
}

static void check_quantiles(const struct sb_sketch *sketch)
{
    double before = sb_sketch_quantile(sketch, 0);

    for (int percent = 1; percent <= 100; percent++) {
        double now = sb_sketch_quantile(sketch, percent / 100.0);

        SB_BUG_ON(!(now >= before) || !isfinite(now));
        before = now;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint32_t counts[SB_SKETCH_BUCKETS + 8];
    SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch = {.n = 0};
    SB_CLEANUP(sb_sketch_release) struct sb_sketch merged = {.n = 0};
    struct sb_sketch_parts parts = {.counts = counts};

    take(&data, &size, &parts.first, sizeof(parts.first));
    take(&data, &size, &parts.zeros, sizeof(parts.zeros));
    take(&data, &size, &parts.sum, sizeof(parts.sum));
    take(&data, &size, &parts.min, sizeof(parts.min));
    take(&data, &size, &parts.max, sizeof(parts.max));
    /* One byte per count, so that the fuzzer finds small sketches soon. */
    for (parts.n = 0; size > 0 && parts.n < SB_ARRAY_LEN(counts); parts.n++)
        take(&data, &size, &counts[parts.n], 1);
    if (sb_sketch_load(&sketch, &parts) != SB_OK)
        return 0;
    check_quantiles(&sketch);
    for (double value = 1e-10; value < 1e15; value *= 1e5)
        SB_BUG_ON(sb_sketch_add(&merged, value, 3) != SB_OK);
    if (sb_sketch_merge(&merged, &sketch) == SB_OK) {
        SB_BUG_ON(merged.n > SB_SKETCH_BUCKETS);
        check_quantiles(&merged);
        parts = (struct sb_sketch_parts){.counts = merged.counts,
                                         .first = merged.first,
                                         .n = merged.n,
                                         .zeros = merged.zeros,
                                         .sum = merged.sum,
                                         .min = merged.min,
                                         .max = merged.max};
        SB_BUG_ON(sb_sketch_load(&sketch, &parts) != SB_OK);
    }
    return 0;
}
