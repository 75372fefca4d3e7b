/* dataplane/route/draw.h - the draw by inverse-square price weighting
 * (ROUTING.md 6), sticky without state.
 *
 * A candidate of cost c has the weight 1 / c^2 and the score -ln(u) / weight;
 * taken by rising score, each next one is a draw by weight among those left.
 * u is a keyed hash of conversation and endpoint, so a conversation draws the
 * same on every worker, and an endpoint that leaves moves only its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

struct dp_plan;
struct dp_requirements;
struct dp_snapshot;

/* What the draw is keyed by, so that it comes back with the conversation: the
 * session, else the prompt cache key, else, when a cached prompt is cheaper
 * anywhere, how the messages begin; else false: by a random number.  session:
 * whoever said it, or none. */
bool dp_draw_conversation(const struct dp_snapshot *snapshot, uint64_t tenant,
                          const struct dp_requirements *ask, struct sb_slice session,
                          bool cheaper_cached, uint64_t *ret_conversation);

/* u, in (0, 1).  mix: of the endpoint, dp_mix() of its id. */
static inline double dp_draw_uniform(uint64_t conversation, uint64_t mix)
{
    uint64_t h = conversation ^ mix;

    /* The finaliser of MurmurHash3: every bit of the input moves half of the output. */
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    h ^= h >> 33;
    return ((double)(h >> 11) + 0.5) * 0x1p-53;
}

static inline double dp_draw_weight(double cost)
{
    return 1 / (cost * cost);
}

/* The smallest goes first. */
double dp_draw_score(double uniform, double cost);

/* What no score of these can be below, without the logarithm. */
static inline double dp_draw_score_least(double uniform, double cost)
{
    return (1 - uniform) * (cost * cost);
}
