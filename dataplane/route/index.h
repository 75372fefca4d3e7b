/* dataplane/route/index.h - finds the number of a thing by a hash of its name.
 *
 * Open addressing over things that are there for good: filled once, never
 * changed.  uthash was weighed: it adds 56 bytes and a pointer to follow to
 * each of 100 000 endpoints, names and keys, and builds five times slower.
 * The caller compares; the index only knows hashes.
 *
 *      uint32_t at = hash;
 *      while ((item = dp_index_next(&index, hash, &at)) != DP_NONE)
 *          if (it is the one) return item;
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_arena;

#define DP_NONE UINT32_MAX

struct dp_index_slot {
    uint32_t hash, item; /* item DP_NONE: free */
};

struct dp_index {
    struct dp_index_slot *slot; /* a power of two of them, at most half taken */
    uint32_t mask;
};

/* Room for n items, from arena.  Errors: SB_ENOMEM. */
int dp_index_init(struct dp_index *index, struct sb_arena *arena, size_t n) SB_MUSTCHECK;
/* Items of one hash are found in the sequence in which they were added. */
void dp_index_add(struct dp_index *index, uint32_t hash, uint32_t item);

/* The next item of this hash, or DP_NONE; *at starts as the hash. */
static inline uint32_t dp_index_next(const struct dp_index *index, uint32_t hash, uint32_t *at)
{
    for (;;) {
        const struct dp_index_slot *slot = &index->slot[(*at)++ & index->mask];

        if (slot->item == DP_NONE || slot->hash == hash)
            return slot->item;
    }
}

/* Hashes for names that only the catalogue chooses, so nobody can make them
 * collide. */
uint32_t dp_hash_text(struct sb_slice text);
/* ASCII letters without case. */
uint32_t dp_hash_nocase(struct sb_slice text);

/* Scrambles a number: every bit of it moves half of the result. */
static inline uint64_t dp_mix(uint64_t number)
{
    /* The finaliser of splitmix64. */
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}
