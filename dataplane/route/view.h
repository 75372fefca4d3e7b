/* dataplane/route/view.h - the things that routing chooses among (ROUTING.md 1).
 *
 * A dp_snapshot is built aside (by the courier) from the decoded records, with
 * its indexes, its policies compiled and the numbers that every decision needs
 * laid out side by side; then the loop swaps one pointer.  It never changes
 * after that, but for two caches that only the loop touches.
 *
 * Counted by a plain integer: only the loop calls ref and unref.  The last
 * unref gives it to on_last, so that another thread can free it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "dataplane/route/index.h"
#include "proto/snapshot.h"

struct dp_rules;
struct dp_tables;

/* Where an endpoint computes: a number of proto/country.h, or one of these. */
enum { DP_REGION_UNKNOWN = -1, DP_REGION_EU = -2, DP_REGION_GLOBAL = -3 };

/* What every decision reads of every endpoint: two cache lines. */
struct dp_endpoint {
    const struct msg_endpoint *row; /* all the rest */
    uint64_t mix;                   /* its id, scrambled: what the draw joins to a conversation */
    uint64_t parameters;            /* as the row's, max_tokens and max_completion_tokens being
                                       one: both or none */
    int64_t prompt, completion, request; /* base prices as the row's, 0 where it has none */
    double base;                         /* USD of DP_BASE_PROMPT, DP_BASE_COMPLETION tokens and one
                                            request at base prices, at least DP_COST_MIN */
    uint32_t number;          /* index in snapshot->endpoints, and in records->endpoints */
    uint32_t model, provider; /* indexes */
    uint32_t tag;             /* number of the tag, without regard to case */
    uint32_t context_length, max_prompt_tokens, max_completion_tokens; /* 0: no own limit */
    int32_t holds_through[MSG_ENDPOINT_CLAIMS]; /* last day, by claim; INT32_MIN when it is not a
                                                   yes with evidence */
    int32_t located_through; /* last day on which evidence says that it is where region says */
    int16_t region;          /* country or DP_REGION_ */
    uint8_t quantization;
    uint8_t house;       /* kind of the house's candidates: HOUSE, or NONE where nobody needs a
                            key; meaningful when has_house */
    bool cheaper_cached; /* a cached prompt costs less than a fresh one, or may under an override */
    uint8_t n_overrides; /* of the prices above; with any, prices.h knows those in force */
    bool dialect_known;  /* this worker speaks its provider's */
    bool has_house;      /* house candidates are possible: the operator has a key, or nobody
                            needs one */
    uint16_t input_modalities, output_modalities;
};

#define DP_COST_MIN        1e-7  /* USD: free endpoints are all equal */
#define DP_BASE_PROMPT     750.0 /* tokens */
#define DP_BASE_COMPLETION 250.0

struct dp_model {
    const struct msg_model *row;
    uint32_t number;
    uint32_t first, n;           /* its endpoints, side by side */
    uint64_t parameters;         /* that any of its endpoints supports */
    int32_t distillable_through; /* last day, as holds_through */
};

/* Credentials of one class, in their sequence. */
struct dp_credentials {
    const struct msg_credential *first;
    uint32_t n;
};

struct dp_provider {
    const struct msg_provider *row;
    int16_t headquarters;        /* country, or -1 */
    bool dialect_known;          /* this worker speaks it */
    bool keyless;                /* nobody has a credential: it wants none */
    struct dp_credentials house; /* the operator's */
};

struct dp_tenant {
    const struct msg_tenant *row;
    uint32_t own_first, own_n; /* its part of snapshot->own */
};

/* A tenant's own keys for one provider. */
struct dp_own {
    uint32_t provider;
    struct dp_credentials keys;
};

struct dp_key {
    const struct msg_key *row;
    const struct dp_tenant *tenant;
    const struct dp_rules *policy; /* NULL: none */
};

/* Mean completion of a model's endpoints, as one state of the tables has it. */
struct dp_model_mean {
    const struct dp_tables *tables;
    uint64_t sequence;
    sb_msec until; /* worked out anew then: rows age */
    double tokens;
};

struct dp_snapshot {
    const struct msg_snapshot *records; /* version, keys of hashes, rows */
    struct dp_provider *providers;
    struct dp_model *models;
    struct dp_endpoint *endpoints; /* as many as the records, in the same order */
    struct dp_tenant *tenants;
    struct dp_key *keys;
    struct dp_own *own; /* sorted by tenant, then provider */
    struct dp_rules *policies;
    size_t n_own;
    uint32_t n_tags;

    struct dp_index by_key_hash, by_model_name, by_endpoint_id, by_provider_slug, by_tag;

    /* Caches of the loop, refilled when they turn out stale. */
    uint32_t *table_slot;       /* per endpoint, see tables.h */
    struct dp_model_mean *mean; /* per model, likewise */

    void (*on_last)(void *ctx, struct dp_snapshot *snapshot); /* NULL: free at once */
    void *on_last_ctx;
    void *extra; /* the worker's own, made and freed with it: dataplane/upstream/outlet.h */
    struct sb_arena *arena; /* holds all of it, the records too */
    unsigned refs;
};

/* What the worker speaks. */
struct dp_view_options {
    const char *const *dialects; /* NULL-terminated */
};

/* Takes *arena, in which (or before which, by sb_arena_on_destroy) all that
 * records refers to must live; on failure it stays the caller's.  Gives a
 * snapshot with one reference.  Errors: SB_EINVAL with the row in err, when a
 * policy's rules cannot be read; SB_ENOMEM. */
int dp_snapshot_build(struct sb_arena **arena, const struct msg_snapshot *records,
                      const struct dp_view_options *options, struct dp_snapshot **ret_snapshot,
                      struct sb_errmsg *err) SB_MUSTCHECK;
/* Who gets a snapshot that nobody refers to any more; it must call
 * dp_snapshot_free() in the end, on whatever thread. */
void dp_snapshot_set_on_last(struct dp_snapshot *snapshot,
                             void (*on_last)(void *ctx, struct dp_snapshot *snapshot), void *ctx);
struct dp_snapshot *dp_snapshot_ref(struct dp_snapshot *snapshot);
/* Sets *snapshot to NULL; NULL is fine. */
void dp_snapshot_unref(struct dp_snapshot **snapshot);
/* Frees at once, whatever the count. */
void dp_snapshot_free(struct dp_snapshot **snapshot);

/* NULL when there is none.  hash: MSG_HASH_BYTES.  Expired and disabled keys
 * are found too. */
const struct dp_key *dp_snapshot_find_key(const struct dp_snapshot *snapshot, const uint8_t *hash);
/* By id or alias, exactly as written. */
const struct dp_model *dp_snapshot_find_model(const struct dp_snapshot *snapshot,
                                              struct sb_slice name);
const struct dp_endpoint *dp_snapshot_find_endpoint(const struct dp_snapshot *snapshot,
                                                    uint64_t id);
/* Without regard to case. */
const struct dp_provider *dp_snapshot_find_provider(const struct dp_snapshot *snapshot,
                                                    struct sb_slice slug);
/* By display name, likewise; NULL too when several have it.  Not indexed: for
 * names that are no slug. */
const struct dp_provider *dp_snapshot_find_provider_name(const struct dp_snapshot *snapshot,
                                                         struct sb_slice name);
/* The number that all endpoints of this tag carry, or DP_NONE. */
uint32_t dp_snapshot_find_tag(const struct dp_snapshot *snapshot, struct sb_slice tag);
/* A tenant's keys for a provider, in their sequence; n is 0 without any. */
struct dp_credentials dp_snapshot_own_keys(const struct dp_snapshot *snapshot,
                                           const struct dp_tenant *tenant, uint32_t provider);

/* USD that so many tokens and one request cost there at base prices, at least
 * DP_COST_MIN; for weights, bills are exact. */
static inline double dp_endpoint_cost(const struct dp_endpoint *endpoint, double prompt,
                                      double completion)
{
    double cost = (prompt * (double)endpoint->prompt + completion * (double)endpoint->completion +
                   (double)endpoint->request) *
                  1e-15;

    return cost > DP_COST_MIN ? cost : DP_COST_MIN;
}

static inline const struct dp_endpoint *dp_model_endpoints(const struct dp_snapshot *snapshot,
                                                           const struct dp_model *model)
{
    return snapshot->endpoints + model->first;
}
