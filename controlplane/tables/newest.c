/* controlplane/tables/newest.c */
#include "controlplane/tables/newest.h"

#include "common/err.h"
#include "common/sketch.h"

/* The i-th of n values that are spread like all of the sketch. */
static double value_at(const struct sb_sketch *sketch, unsigned i, unsigned n)
{
    /* a quarter of a step on, so that rounding does not fall back to the one before */
    return sb_sketch_quantile(sketch, n > 1 ? (i + 0.25) / (n - 1) : 0.5);
}

void cp_newest_add(struct cp_newest *newest, const struct sb_sketch *heard)
{
    unsigned n = heard->count < CP_NEWEST ? (unsigned)heard->count : CP_NEWEST;

    for (unsigned i = 0; i < n; i++) {
        newest->values[newest->at] = (float)value_at(heard, i, n);
        newest->at = (uint8_t)((newest->at + 1) % CP_NEWEST);
        if (newest->n < CP_NEWEST)
            newest->n++;
    }
}

bool cp_newest_is_step(const struct cp_newest *newest, double median)
{
    unsigned below = 0, above = 0;

    for (unsigned i = 0; i < newest->n; i++) {
        double value = newest->values[i];

        below += value * 2 <= median;
        above += value >= median * 2;
    }
    return newest->n == CP_NEWEST && (below >= CP_NEWEST_AGREE || above >= CP_NEWEST_AGREE);
}

int cp_newest_fill(const struct cp_newest *newest, struct sb_sketch *sketch)
{
    int rc = SB_OK;

    sb_sketch_reset(sketch);
    for (unsigned i = 0; rc == SB_OK && i < newest->n; i++)
        rc = sb_sketch_add(sketch, newest->values[i], 1);
    return rc;
}
