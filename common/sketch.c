/* common/sketch.c */
#include "common/sketch.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"

/* Most sketches of a quiet endpoint hold a value or two, and there are many. */
enum { FIRST_ROOM = 4 };

/* g of the paper, and its logarithm. */
static const double gamma_base = (1 + SB_SKETCH_ACCURACY) / (1 - SB_SKETCH_ACCURACY);
static const double gamma_log = 0.020000666706669524; /* log(gamma_base), for all machines alike */

static int32_t bucket_of(double value)
{
    return (int32_t)ceil(log(value) / gamma_log);
}

/* The value that is within the accuracy of all values of the bucket. */
static double value_of(int32_t bucket)
{
    return 2 * exp(bucket * gamma_log) / (gamma_base + 1);
}

static int32_t last_of(const struct sb_sketch *sketch)
{
    return sketch->first + (int32_t)sketch->n - 1;
}

void sb_sketch_init(struct sb_sketch *sketch)
{
    *sketch = (struct sb_sketch){.counts = NULL};
}

void sb_sketch_release(struct sb_sketch *sketch)
{
    sb_mem_free(sketch->counts);
    sb_sketch_init(sketch);
}

void sb_sketch_reset(struct sb_sketch *sketch)
{
    *sketch = (struct sb_sketch){.counts = sketch->counts, .room = sketch->room};
}

static int make_room(struct sb_sketch *sketch, uint32_t n)
{
    uint32_t room = sketch->room > 0 ? sketch->room : FIRST_ROOM;
    uint32_t *counts;

    if (n <= sketch->room)
        return SB_OK;
    while (room < n)
        room *= 2;
    counts = sb_mem_resize(sketch->counts, room * sizeof(*counts));
    if (counts == NULL)
        return SB_ENOMEM;
    sketch->counts = counts;
    sketch->room = room;
    return SB_OK;
}

/* Counts everything below the bucket `lowest` in it, and drops what is then
 * empty.  lowest may be above all buckets: the caller makes them reach it. */
static void collapse_below(struct sb_sketch *sketch, int32_t lowest)
{
    uint32_t below = (uint32_t)(lowest - sketch->first);
    uint32_t folded = 0;

    for (uint32_t i = 0; i < below && i < sketch->n; i++)
        folded += sketch->counts[i];
    if (below >= sketch->n) {
        sketch->n = 1;
        sketch->counts[0] = folded;
    } else {
        sketch->n -= below;
        memmove(sketch->counts, sketch->counts + below, sketch->n * sizeof(*sketch->counts));
        sketch->counts[0] += folded;
    }
    sketch->first = lowest;
}

/* Makes the buckets reach from low to high, both included, as far as the
 * limit lets the low end go.  On error the sketch is as before. */
static int cover(struct sb_sketch *sketch, int32_t low, int32_t high)
{
    uint32_t more;
    int rc;

    if (sketch->n > 0) {
        low = low < sketch->first ? low : sketch->first;
        high = high > last_of(sketch) ? high : last_of(sketch);
    }
    if (high - low >= SB_SKETCH_BUCKETS)
        low = high - SB_SKETCH_BUCKETS + 1;
    rc = make_room(sketch, (uint32_t)(high - low + 1));
    if (rc != SB_OK)
        return rc;
    if (sketch->n == 0)
        sketch->first = low;
    else if (low > sketch->first)
        collapse_below(sketch, low);
    more = (uint32_t)(sketch->first - low); /* buckets in front */
    if (more > 0)
        memmove(sketch->counts + more, sketch->counts, sketch->n * sizeof(*sketch->counts));
    memset(sketch->counts, 0, more * sizeof(*sketch->counts));
    sketch->first = low;
    sketch->n += more;
    more = (uint32_t)(high - low + 1) - sketch->n; /* buckets behind */
    memset(sketch->counts + sketch->n, 0, more * sizeof(*sketch->counts));
    sketch->n += more;
    return SB_OK;
}

static void count_at(struct sb_sketch *sketch, int32_t bucket, uint32_t times)
{
    sketch->counts[bucket > sketch->first ? bucket - sketch->first : 0] += times;
}

/* The part of adding that does not know buckets. */
static void widen(struct sb_sketch *sketch, double min, double max)
{
    if (sketch->count == 0 || min < sketch->min)
        sketch->min = min;
    if (sketch->count == 0 || max > sketch->max)
        sketch->max = max;
}

int sb_sketch_add(struct sb_sketch *sketch, double value, uint32_t times)
{
    int32_t bucket;
    int rc;

    if (!(value >= 0) || value > SB_SKETCH_VALUE_MAX)
        return SB_EINVAL;
    if (times == 0)
        return SB_OK;
    if (times > UINT32_MAX - sketch->count)
        return SB_ETOOBIG;
    if (value < SB_SKETCH_VALUE_MIN) {
        sketch->zeros += times;
    } else {
        bucket = bucket_of(value);
        rc = cover(sketch, bucket, bucket);
        if (rc != SB_OK)
            return rc;
        count_at(sketch, bucket, times);
    }
    widen(sketch, value, value);
    sketch->count += times;
    sketch->sum += value * times;
    return SB_OK;
}

int sb_sketch_merge(struct sb_sketch *sketch, const struct sb_sketch *from)
{
    int rc;

    if (from->count == 0)
        return SB_OK;
    if (from->count > UINT32_MAX - sketch->count)
        return SB_ETOOBIG;
    if (from->n > 0) {
        rc = cover(sketch, from->first, last_of(from));
        if (rc != SB_OK)
            return rc;
        for (uint32_t i = 0; i < from->n; i++)
            count_at(sketch, from->first + (int32_t)i, from->counts[i]);
    }
    widen(sketch, from->min, from->max);
    sketch->zeros += from->zeros;
    sketch->count += from->count;
    sketch->sum += from->sum;
    return SB_OK;
}

double sb_sketch_quantile(const struct sb_sketch *sketch, double q)
{
    uint64_t rank, passed = sketch->zeros;
    double value = 0;
    uint32_t i = 0;

    if (sketch->count == 0)
        return 0;
    if (!(q > 0))
        return sketch->min;
    if (q >= 1)
        return sketch->max;
    rank = (uint64_t)(q * (double)(sketch->count - 1));
    while (passed <= rank && i < sketch->n)
        passed += sketch->counts[i++];
    if (i > 0)
        value = value_of(sketch->first + (int32_t)i - 1);
    value = value > sketch->min ? value : sketch->min;
    return value < sketch->max ? value : sketch->max;
}

/* Whether a value may be the extreme one of the given bucket.  A neighbour is
 * as good: the logarithm of the peer's machine may differ in its last bit. */
static bool fits(double value, int32_t bucket)
{
    return value >= SB_SKETCH_VALUE_MIN && bucket_of(value) >= bucket - 1 &&
           bucket_of(value) <= bucket + 1;
}

static bool parts_are_sound(const struct sb_sketch_parts *parts, uint64_t *ret_count)
{
    int32_t lowest = bucket_of(SB_SKETCH_VALUE_MIN) - 1;
    int32_t highest = bucket_of(SB_SKETCH_VALUE_MAX) + 1;
    uint64_t count = parts->zeros;
    int32_t last;

    if (parts->n > SB_SKETCH_BUCKETS || parts->zeros > UINT32_MAX)
        return false;
    for (uint32_t i = 0; i < parts->n; i++)
        count += parts->counts[i];
    if (count > UINT32_MAX)
        return false;
    *ret_count = count;
    if (count == 0)
        return parts->n == 0 && parts->sum == 0;
    if (!(parts->min >= 0 && parts->min <= parts->max && parts->max <= SB_SKETCH_VALUE_MAX) ||
        !(parts->sum >= 0) || !isfinite(parts->sum))
        return false;
    if ((parts->zeros > 0) != (parts->min < SB_SKETCH_VALUE_MIN))
        return false;
    if (parts->n == 0)
        return parts->max < SB_SKETCH_VALUE_MIN;
    if (parts->first < lowest || parts->first > highest || parts->counts[0] == 0 ||
        parts->counts[parts->n - 1] == 0)
        return false;
    last = parts->first + (int32_t)parts->n - 1;
    /* Below the lowest bucket of a full sketch there may have been more. */
    return last <= highest && fits(parts->max, last) &&
           (parts->zeros > 0 || fits(parts->min, parts->first) ||
            (parts->n == SB_SKETCH_BUCKETS && bucket_of(parts->min) < parts->first));
}

int sb_sketch_load(struct sb_sketch *sketch, const struct sb_sketch_parts *parts)
{
    uint64_t count;
    int rc;

    if (!parts_are_sound(parts, &count))
        return SB_EINVAL;
    rc = make_room(sketch, parts->n);
    if (rc != SB_OK)
        return rc;
    sb_sketch_reset(sketch);
    if (count == 0)
        return SB_OK;
    if (parts->n > 0)
        memcpy(sketch->counts, parts->counts, parts->n * sizeof(*parts->counts));
    sketch->first = parts->first;
    sketch->n = parts->n;
    sketch->zeros = parts->zeros;
    sketch->count = count;
    sketch->sum = parts->sum;
    sketch->min = parts->min;
    sketch->max = parts->max;
    return SB_OK;
}
