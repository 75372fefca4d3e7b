/* controlplane/tables/sums.h - what attempts amount to: counts, cost and two sketches.
 *
 * Two forms.  struct cp_sums is to be added to and looked at; its sketches have
 * four bytes per bucket.  Packed, it is a few dozen bytes for a few attempts and
 * some hundred for many: that is how what is over is kept, of 100 000 endpoints.
 * Packing loses nothing but the last digits of a sketch's smallest, largest and
 * sum (24 bits stay); buckets and counts are exact.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/sketch.h"
#include "common/slice.h"

struct cp_sums {
    uint64_t attempts, successes, faults, rate_limited;
    uint64_t prompt_tokens, completion_tokens;
    int64_t cost;                 /* 1e-15 USD, not negative; stops at INT64_MAX */
    struct sb_sketch first_token; /* milliseconds */
    struct sb_sketch throughput;  /* tokens per second */
};

/* All zeros are no sums. */
void cp_sums_release(struct cp_sums *sums);
/* Empties them and keeps the memory. */
void cp_sums_reset(struct cp_sums *sums);
/* Adds all that fits: a sketch that does not is left out, and its code
 * returned at the end (SB_ENOMEM, SB_ETOOBIG). */
int cp_sums_add(struct cp_sums *sums, const struct cp_sums *more) SB_MUSTCHECK;
void cp_sums_add_numbers(struct cp_sums *sums, const struct cp_sums *more);

/* Bytes: seven numbers, and two sketches with all of their buckets. */
enum { CP_SUMS_PACKED_MAX = 7 * 10 + 2 * (40 + 5 * SB_SKETCH_BUCKETS) };

/* Returns the length. */
size_t cp_sums_pack(const struct cp_sums *sums, uint8_t ret_bytes[CP_SUMS_PACKED_MAX]);
/* Adds what was packed, as cp_sums_add() does.  Only for bytes of our own. */
int cp_sums_add_packed(struct cp_sums *sums, struct sb_slice packed) SB_MUSTCHECK;
/* The same, but a sketch that holds enough values already gets no more. */
int cp_sums_top_up(struct cp_sums *sums, struct sb_slice packed, uint64_t enough) SB_MUSTCHECK;
/* The same, of the numbers alone. */
void cp_sums_add_packed_numbers(struct cp_sums *sums, struct sb_slice packed);
