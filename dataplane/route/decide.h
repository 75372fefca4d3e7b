/* dataplane/route/decide.h - the one way into routing (ROUTING.md 2, steps 3 to
 * 6): merge policy, resolve models, filter, order.
 *
 * A pure function of snapshot, tables, health, request, time and a random
 * number: the same inputs give the same decision.  No I/O, and no memory but
 * the arena's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "dataplane/route/filter.h"
#include "dataplane/route/models.h"
#include "dataplane/route/order.h"
#include "dataplane/route/policy.h"
#include "dataplane/route/requirements.h"
#include "dataplane/route/warnings.h"

struct dp_key;
struct dp_snapshot;
struct dp_tables;
struct sb_arena;

/* What this worker has seen of pairs of endpoint and credential. */
struct dp_health_source {
    /* credential: 0 when the provider wants none. */
    enum dp_health (*health)(const struct dp_health_source *source, uint64_t endpoint,
                             uint64_t credential, sb_msec now);
    bool all_good; /* no pair is marked: nobody needs to be asked */
};

/* Everything borrowed for the call; the decision borrows snapshot, ask and key. */
struct dp_route {
    const struct dp_snapshot *snapshot;
    const struct dp_tables *tables;        /* NULL: nothing measured */
    const struct dp_health_source *health; /* NULL: all good */
    const struct dp_requirements *ask;
    const struct dp_key *key;
    struct sb_slice session; /* header x-session-id, or none */
    sb_msec now;             /* monotonic, as the tables' */
    int64_t unix_seconds;    /* when it was received */
    uint64_t random;         /* fresh for every request */
    bool rank_all;           /* every candidate, not only those that can be reached: for explain */
};

/* At most this many endpoints of each model and class are kept in order. */
enum { DP_ATTEMPTS_MAX = 8 }; /* ROUTING.md 8 */

struct dp_decision {
    /* In the sequence of attempts.  Mostly model by model, but not always: a
     * model is used up by its index, not by a place in the list. */
    struct dp_candidate *candidates;
    uint32_t n;
    struct dp_models models;
    struct dp_plan plan;
    struct dp_warnings warnings;

    uint32_t endpoints;              /* of all models together, before the filters */
    uint32_t removed[DP_STEP_COUNT]; /* by each step */
    double prompt_tokens;            /* estimate, images included */
    double completion_tokens;        /* expected, of one answer */
    uint64_t conversation;           /* what the draw was keyed by */
    bool sticky;                     /* it comes back with the conversation */
    int32_t today;
    struct sb_slice refusal;          /* why there are none; from the arena */
    const struct dp_endpoint *served; /* for explain.h: the one that did, set by the caller */
};

/* Errors, with the text for the client in err: SB_EINVAL (400), SB_EACCES
 * (403), SB_ENOENT (404: the filters left nothing; the decision is filled in,
 * for explain.h to say why). */
int dp_route_decide(const struct dp_route *route, struct sb_arena *arena,
                    struct dp_decision *ret_decision, struct sb_errmsg *err) SB_MUSTCHECK;

/* Endpoints that passed all filters. */
uint32_t dp_decision_available(const struct dp_decision *decision);
/* The first candidate at or after `from` whose model is not in used_up (bits
 * 1 << candidate.model), or n. */
uint32_t dp_decision_next(const struct dp_decision *decision, uint32_t from, uint32_t used_up);
/* How many models other than those of used_up still have candidates at or
 * after `from`: as many attempts are kept for them. */
uint32_t dp_decision_models_left(const struct dp_decision *decision, uint32_t from,
                                 uint32_t used_up);
/* As what member the limit of tokens that the client wrote goes to an endpoint
 * that knows only the other name: "max_tokens", "max_completion_tokens", or
 * NULL to leave it as it is.  When the client wrote both, the other is cut. */
const char *dp_limit_member(const struct dp_endpoint *endpoint, const struct dp_requirements *ask);
