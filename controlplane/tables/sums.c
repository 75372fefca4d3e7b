/* controlplane/tables/sums.c */
#include "controlplane/tables/sums.h"

#include <string.h>

#include "common/check.h"
#include "common/err.h"

void cp_sums_release(struct cp_sums *sums)
{
    sb_sketch_release(&sums->first_token);
    sb_sketch_release(&sums->throughput);
    *sums = (struct cp_sums){.attempts = 0};
}

void cp_sums_reset(struct cp_sums *sums)
{
    sb_sketch_reset(&sums->first_token);
    sb_sketch_reset(&sums->throughput);
    *sums = (struct cp_sums){.first_token = sums->first_token, .throughput = sums->throughput};
}

void cp_sums_add_numbers(struct cp_sums *sums, const struct cp_sums *more)
{
    sums->attempts += more->attempts;
    sums->successes += more->successes;
    sums->faults += more->faults;
    sums->rate_limited += more->rate_limited;
    sums->prompt_tokens += more->prompt_tokens;
    sums->completion_tokens += more->completion_tokens;
    if (__builtin_add_overflow(sums->cost, more->cost, &sums->cost))
        sums->cost = INT64_MAX;
}

int cp_sums_add(struct cp_sums *sums, const struct cp_sums *more)
{
    int rc, other;

    cp_sums_add_numbers(sums, more);
    rc = sb_sketch_merge(&sums->first_token, &more->first_token);
    other = sb_sketch_merge(&sums->throughput, &more->throughput);
    return rc != SB_OK ? rc : other;
}

/* --- packing --------------------------------------------------------------------------
 *
 * Numbers are LEB128: seven bits a byte, the lowest first.  A sketch is its
 * count, and if that is not 0: first (folded to be not negative), n, zeros,
 * three floats, and the counts of its buckets, where zeros are one 0 and how
 * many there are. */

static uint8_t *put_number(uint8_t *to, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *to++ = (uint8_t)(number | 0x80);
    *to++ = (uint8_t)number;
    return to;
}

static uint8_t *put_float(uint8_t *to, double value)
{
    float rounded = (float)value;

    memcpy(to, &rounded, sizeof(rounded));
    return to + sizeof(rounded);
}

static uint8_t *put_sketch(uint8_t *to, const struct sb_sketch *sketch)
{
    to = put_number(to, sketch->count);
    if (sketch->count == 0)
        return to;
    to = put_number(to, sketch->first < 0 ? (uint64_t)(-(int64_t)sketch->first) * 2 - 1
                                          : (uint64_t)sketch->first * 2);
    to = put_number(to, sketch->n);
    to = put_number(to, sketch->zeros);
    to = put_float(to, sketch->min);
    to = put_float(to, sketch->max);
    to = put_float(to, sketch->sum);
    for (uint32_t i = 0, n; i < sketch->n; i += n) {
        for (n = 0; i + n < sketch->n && sketch->counts[i + n] == 0; n++)
            ;
        if (n > 0) {
            to = put_number(put_number(to, 0), n);
            continue;
        }
        to = put_number(to, sketch->counts[i]);
        n = 1;
    }
    return to;
}

size_t cp_sums_pack(const struct cp_sums *sums, uint8_t ret_bytes[CP_SUMS_PACKED_MAX])
{
    uint8_t *to = ret_bytes;

    to = put_number(to, sums->attempts);
    to = put_number(to, sums->successes);
    to = put_number(to, sums->faults);
    to = put_number(to, sums->rate_limited);
    to = put_number(to, sums->prompt_tokens);
    to = put_number(to, sums->completion_tokens);
    to = put_number(to, (uint64_t)sums->cost);
    to = put_sketch(to, &sums->first_token);
    to = put_sketch(to, &sums->throughput);
    return (size_t)(to - ret_bytes);
}

/* Reading trusts the bytes: nobody but us wrote them. */
static inline uint64_t take_number(const uint8_t **at)
{
    uint64_t number = *(*at)++;
    unsigned shift = 7;

    if (number < 0x80) /* most are */
        return number;
    for (number &= 0x7f;; shift += 7) {
        uint8_t byte = *(*at)++;

        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return number;
    }
}

static double take_float(const uint8_t **at)
{
    float value;

    memcpy(&value, *at, sizeof(value));
    *at += sizeof(value);
    return (double)value;
}

static void take_counts(const uint8_t **at, uint32_t *counts, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        uint64_t count = take_number(at), run;

        if (count > 0) {
            counts[i++] = (uint32_t)count;
            continue;
        }
        run = take_number(at);
        SB_BUG_ON(run == 0 || run > n - i);
        memset(&counts[i], 0, run * sizeof(*counts));
        i += (uint32_t)run;
    }
}

/* sketch: NULL skips it. */
static int add_sketch(struct sb_sketch *sketch, const uint8_t **at)
{
    uint32_t counts[SB_SKETCH_BUCKETS];
    struct sb_sketch from = {.counts = counts, .count = take_number(at)};
    uint64_t first;

    if (from.count == 0)
        return SB_OK;
    first = take_number(at);
    from.first = first % 2 == 0 ? (int32_t)(first / 2) : -(int32_t)((first + 1) / 2);
    from.n = (uint32_t)take_number(at);
    SB_BUG_ON(from.n > SB_SKETCH_BUCKETS);
    from.zeros = take_number(at);
    from.min = take_float(at);
    from.max = take_float(at);
    from.sum = take_float(at);
    take_counts(at, counts, from.n);
    return sketch != NULL ? sb_sketch_merge(sketch, &from) : SB_OK;
}

static void add_numbers(struct cp_sums *sums, const uint8_t **at)
{
    struct cp_sums more = {.attempts = take_number(at)};

    more.successes = take_number(at);
    more.faults = take_number(at);
    more.rate_limited = take_number(at);
    more.prompt_tokens = take_number(at);
    more.completion_tokens = take_number(at);
    more.cost = (int64_t)take_number(at);
    cp_sums_add_numbers(sums, &more);
}

void cp_sums_add_packed_numbers(struct cp_sums *sums, struct sb_slice packed)
{
    const uint8_t *at = (const uint8_t *)packed.p;

    add_numbers(sums, &at);
}

int cp_sums_add_packed(struct cp_sums *sums, struct sb_slice packed)
{
    return cp_sums_top_up(sums, packed, UINT64_MAX);
}

int cp_sums_top_up(struct cp_sums *sums, struct sb_slice packed, uint64_t enough)
{
    const uint8_t *at = (const uint8_t *)packed.p;
    int rc, other;

    add_numbers(sums, &at);
    rc = add_sketch(sums->first_token.count < enough ? &sums->first_token : NULL, &at);
    other = add_sketch(sums->throughput.count < enough ? &sums->throughput : NULL, &at);
    SB_BUG_ON(at != (const uint8_t *)packed.p + packed.n);
    return rc != SB_OK ? rc : other;
}
