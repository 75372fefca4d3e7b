/* common/sketch.h - quantiles of a stream, mergeable, within 1 %.
 *
 * DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile
 * sketch with relative-error guarantees", VLDB 2019).  With a = 0.01 and
 * g = (1 + a) / (1 - a), a value x > 0 counts in bucket i = ceil(log_g(x)), so
 * x is in (g^(i-1), g^i], and 2 g^i / (g + 1) is within a of every such x.
 *
 * Memory: four bytes per bucket between the smallest and the largest value,
 * at most SB_SKETCH_BUCKETS (values that span a factor of 7e8); what would be
 * below is counted in the lowest bucket that fits, so a wild range loses its
 * low end, and the upper quantiles stay exact.  Merging is commutative and
 * associative: any order gives the same quantiles.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"

#define SB_SKETCH_ACCURACY 0.01
/* Values below count as zero; values above are refused. */
#define SB_SKETCH_VALUE_MIN 1e-9
#define SB_SKETCH_VALUE_MAX 1e15

enum { SB_SKETCH_BUCKETS = 1024 };

/* The fields are what the wire carries; they are read freely and changed by
 * sb_sketch_ functions only.  All zeros is an empty sketch. */
struct sb_sketch {
    uint32_t *counts; /* of buckets first .. first + n - 1; NULL when n is 0 */
    int32_t first;    /* index of the lowest bucket */
    uint32_t n;       /* buckets in use */
    uint32_t room;    /* buckets allocated */
    uint64_t zeros;   /* values below SB_SKETCH_VALUE_MIN */
    uint64_t count;   /* all values, zeros included */
    double sum;       /* its last digits may depend on the order of merging */
    double min, max;  /* exact; meaningful while count > 0 */
};

void sb_sketch_init(struct sb_sketch *sketch);
/* Frees the buckets and empties it; it can be used again. */
void sb_sketch_release(struct sb_sketch *sketch);
/* Empties it and keeps the memory. */
void sb_sketch_reset(struct sb_sketch *sketch);

/* Adds `times` values (0 adds nothing).  SB_EINVAL for a value that is
 * negative, not finite or above SB_SKETCH_VALUE_MAX; SB_ENOMEM; SB_ETOOBIG
 * beyond 2^32 - 1 values.  On error the sketch is as before. */
int sb_sketch_add(struct sb_sketch *sketch, double value, uint32_t times) SB_MUSTCHECK;
/* Adds all of `from`, which stays as it is.  SB_ENOMEM, SB_ETOOBIG as above. */
int sb_sketch_merge(struct sb_sketch *sketch, const struct sb_sketch *from) SB_MUSTCHECK;
/* The value that a share q of all values does not exceed, 0 <= q <= 1: q = 0.5
 * is the median, 0 and 1 are min and max.  Within SB_SKETCH_ACCURACY of the
 * value at rank floor(q (count - 1)).  0 when empty. */
double sb_sketch_quantile(const struct sb_sketch *sketch, double q);

/* What a peer sent, with its counts borrowed. */
struct sb_sketch_parts {
    const uint32_t *counts;
    int32_t first;
    uint32_t n;
    uint64_t zeros;
    double sum, min, max;
};

/* Replaces the sketch by what the parts say.  SB_EINVAL when they cannot come
 * from a sketch (too many buckets, indexes out of range, an empty bucket at
 * either end, min and max that do not fit the buckets); SB_ENOMEM.  On error
 * the sketch is as before. */
int sb_sketch_load(struct sb_sketch *sketch, const struct sb_sketch_parts *parts) SB_MUSTCHECK;
