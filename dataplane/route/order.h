/* dataplane/route/order.h - in which sequence the remaining candidates are tried
 * (ROUTING.md 6).
 *
 * Each candidate gets a rank; the smaller rank goes first, its parts being
 * compared from left to right.  The last part is the draw by inverse-square
 * price weighting, which needs no memory: a conversation that comes again
 * draws the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"
#include "proto/snapshot.h"
#include "proto/vocabulary.h"

struct dp_endpoint;
struct msg_credential;

/* Why a candidate ranks behind healthy ones, from the loosest on. */
#define DP_HEALTH_MAP(X)                                                                           \
    X(GOOD, "good")                                                                                \
    X(OUTAGE, "outage")     /* the tables say so, for all credentials */                           \
    X(COOLDOWN, "cooldown") /* a Retry-After is running */                                         \
    X(BREAKER, "breaker")   /* open, or its one probe is out */

enum dp_health {
#define X(name, text) DP_HEALTH_##name,
    DP_HEALTH_MAP(X)
#undef X
};
const char *dp_health_name(enum dp_health health);

struct dp_rank {
    uint32_t prefix; /* own-key class, behind, unhealthy, model, position */
    double value;    /* of the sort; 0 without one */
    double score;    /* of the draw */
};

static inline bool dp_rank_before(const struct dp_rank *a, const struct dp_rank *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    if (a->value != b->value)
        return a->value < b->value;
    return a->score < b->score;
}

/* An endpoint with one credential: what an attempt is made of. */
struct dp_candidate {
    const struct dp_endpoint *endpoint;
    const struct msg_credential *credential; /* NULL: the provider wants none */
    uint64_t dropped; /* bits of enum msg_parameter: cut from the body for this endpoint */
    struct dp_rank rank;
    double cost;    /* USD that this request is expected to cost here, at least DP_COST_MIN */
    uint8_t kind;   /* enum msg_credential_kind */
    uint8_t model;  /* index in dp_decision.models */
    uint8_t health; /* enum dp_health */
    bool misses_preference; /* a preferred threshold */
    bool misses_context;    /* the estimate plus max_tokens is over its context length */
};

/* The weight of the draw at a cost. */
static inline double dp_draw_weight(double cost)
{
    return 1 / (cost * cost);
}

/* u of ROUTING.md 6, in (0, 1).  conversation: a keyed hash; mix: dp_endpoint.mix. */
static inline double dp_draw_uniform(uint64_t conversation, uint64_t mix)
{
    uint64_t h = conversation ^ mix;

    /* The finaliser of MurmurHash3: every bit of the input moves half of the output. */
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    h ^= h >> 33;
    return ((double)(h >> 11) + 0.5) * 0x1p-53;
}

/* -ln(u) / w; the smallest goes first. */
double dp_draw_score(double uniform, double cost);
