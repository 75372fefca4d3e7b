/* dataplane/route/policy.h - merges the key's policy with the request
 * (ROUTING.md 2, 3 and 4).
 *
 * First every rule set is compiled: its names are looked up in one snapshot,
 * policies once when the snapshot is built, a request's own when it comes.
 * Then the two become one plan: hard rules of both count, so that a request
 * can tighten a policy and never loosen it; soft preferences of the request
 * replace those of the policy.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "proto/rules.h"

struct dp_endpoint;
struct dp_requirements;
struct dp_snapshot;
struct dp_warnings;
struct sb_arena;

/* Which endpoints a name of order, only, ignore or pin means: the number of a
 * provider, or that of a tag with this bit, or nothing. */
typedef uint32_t dp_ref;
#define DP_REF_TAG     UINT32_C(0x80000000)
#define DP_REF_UNKNOWN UINT32_MAX

struct dp_refs {
    const dp_ref *ref;
    uint32_t n;
};

/* One rule set against one snapshot. */
struct dp_rules {
    const struct msg_rules *said; /* borrowed */
    struct dp_refs order, only, ignore;
    dp_ref pin; /* meaningful when said */
};

/* Looks the names up.  Borrows said; lists come from arena.
 * Names that the snapshot does not know match nothing; they are added to
 * unknown (NULL: not wanted) as warnings. */
void dp_rules_compile(const struct dp_snapshot *snapshot, const struct msg_rules *said,
                      struct sb_arena *arena, struct dp_warnings *unknown,
                      struct dp_rules *ret_rules);

/* Position of the first name that means the endpoint, or n. */
uint32_t dp_refs_find(struct dp_refs refs, const struct dp_endpoint *endpoint);

/* Who said it: for reasons and for rules that are applied one by one. */
enum { DP_BY_POLICY, DP_BY_REQUEST, DP_BY_COUNT };

/* What holds for one request. */
struct dp_plan {
    const struct dp_rules *set[DP_BY_COUNT]; /* NULL: says nothing */
    uint32_t steps; /* bits 1 << enum dp_step of filters that have anything to check */

    /* Hard, merged. */
    bool require_parameters;
    bool residency_eu, residency_listed;
    struct msg_countries residency; /* meaningful when listed */
    bool operator_listed;
    struct msg_countries operator_allow, operator_deny;
    uint32_t quantizations;                        /* bits; all when not said */
    sb_money max_price[MSG_PRICE_COUNT], max_cost; /* -1 no limit */
    bool limits_pieces; /* max_price names more than prompt, completion and request */
    struct {
        struct msg_cutoffs min_throughput, max_latency;
        bool unknown_ok;
    } limit[DP_BY_COUNT]; /* each set's own; meaningful when its step is on */
    bool only_first;      /* allow_fallbacks: false, and no order that says what it leaves */
    bool own_allowed, house_allowed; /* by byok */

    /* Soft. */
    struct dp_refs order;
    bool order_is_closed; /* allow_fallbacks: false came with an order */
    enum msg_sort sort;   /* meaningful without order; a model's suffix goes before it */
    bool sort_across_models;
    bool prefers; /* any preferred threshold */
    struct msg_cutoffs preferred_min_throughput, preferred_max_latency;
    bool own_last;

    /* For whoever attempts, answers and records. */
    bool spill, fallback_on_refusal, explain, audit_sync, strict, charge_own_keys;
    uint32_t first_token_timeout, attempt_timeout, deadline; /* milliseconds; 0 unsaid */
    uint32_t demanded;                                       /* bits 1 << enum msg_claim_kind */
    struct sb_slice session_id;                              /* of switchboard, or none */
};

/* policy, request: NULL for none. */
void dp_plan_merge(const struct dp_rules *policy, const struct dp_rules *request,
                   const struct dp_requirements *ask, struct dp_plan *ret_plan);

/* Whether a policy lets its keys use a model; NULL allows all. */
bool dp_policy_allows_model(const struct dp_rules *policy, struct sb_slice model_id);
/* "eu,DE,FR"; nothing when it is empty. */
struct sb_slice dp_countries_text(const struct msg_countries *countries, bool eu,
                                  struct sb_arena *arena);
/* "eu", "DE,FR", or nothing when no residency is demanded; for the record. */
struct sb_slice dp_plan_residency(const struct dp_plan *plan, struct sb_arena *arena);
