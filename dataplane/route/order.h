/* dataplane/route/order.h - in which sequence the endpoints that are left are
 * tried (ROUTING.md 6).
 *
 * Every one gets a rank; the smaller goes first, its parts being compared from
 * left to right: own-key class, behind, unhealthy, model, position in `order`
 * or value of the sort, score of the draw.  Only the best of each model are
 * kept, unless all are wanted; then each is paired with its credentials.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/route/requirements.h"
#include "proto/rules.h"

struct dp_endpoint;
struct dp_filter;
struct dp_health_source;
struct dp_models;
struct dp_row;
struct msg_credential;
struct sb_arena;

/* Why a candidate ranks behind healthy ones. */
#define DP_HEALTH_MAP(X)                                                                           \
    X(GOOD, "good")                                                                                \
    X(OUTAGE, "outage")     /* the tables say so, whatever the credential */                       \
    X(COOLDOWN, "cooldown") /* a Retry-After is running */                                         \
    X(BREAKER, "breaker")   /* open, or its one probe is out */

enum dp_health {
#define X(name, text) DP_HEALTH_##name,
    DP_HEALTH_MAP(X)
#undef X
};
/* "good"; a static string. */
const char *dp_health_name(enum dp_health health);

struct dp_rank {
    uint32_t prefix; /* class, behind, unhealthy, model, position: from the high bits down */
    double value;    /* of the sort; 0 without one, infinite without data */
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
    uint64_t dropped; /* bits of enum msg_parameter: to be cut from the body for this endpoint */
    struct dp_rank rank;
    double cost;            /* USD that the draw weighed it by */
    uint16_t overrides;     /* bits of those of its prices that this is by */
    uint8_t kind;           /* enum msg_credential_kind */
    uint8_t model;          /* index in dp_decision.models */
    uint8_t health;         /* enum dp_health */
    bool misses_preference; /* a preferred threshold */
    bool misses_context;    /* the estimate plus max_tokens is over its context length */
};

/* An endpoint in one class: before its credentials are looked at one by one. */
struct dp_entry {
    struct dp_rank rank;
    const struct dp_endpoint *endpoint;
    double cost;
    uint16_t overrides;
    uint8_t kind, model;
    bool misses_preference, misses_context;
};

struct dp_order {
    const struct dp_filter *filter;        /* borrowed, as all */
    const struct dp_health_source *health; /* NULL: all good */
    uint64_t conversation;
    bool sticky;
    bool needs_rows; /* anything of the tables matters to this order */
    bool keep_all;
    struct sb_arena *arena;
    uint32_t n_models;
    struct {
        double prompt, completion; /* expected tokens; completion of all n answers */
        enum msg_sort sort;
        struct dp_entry *best; /* sorted, unless all are kept */
        uint32_t n, max;
    } model[DP_MODELS_MAX];
};

/* filter, health, conversation, sticky, keep_all and arena are set by the
 * caller; this works out the rest. */
void dp_order_init(struct dp_order *order, const struct dp_models *models);
/* An endpoint that passed the filters.  model: index in models. */
void dp_order_add(struct dp_order *order, const struct dp_endpoint *endpoint, uint32_t model);
/* Gives the candidates in order, from the arena. */
uint32_t dp_order_finish(struct dp_order *order, struct dp_candidate **ret_candidates);
