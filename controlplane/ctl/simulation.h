/* controlplane/ctl/simulation.h - requests of one kind through the real
 * routing, by the thousand: who gets how many, and what that costs.
 *
 * Pure: the same market, workload and seed give the same outcome.  Each request
 * is a conversation of its own and is served by the first candidate of its
 * decision, as if every endpoint answered; failures and own keys are left out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/err.h"
#include "common/money.h"
#include "common/slice.h"
#include "controlplane/ctl/market.h"

struct dp_model;

/* X(NAME, "name", "provider.sort", or NULL for the draw) */
#define CTL_STRATEGY_MAP(X)                                                                        \
    X(PRICE, "price", "price")                                                                     \
    X(BALANCED, "balanced", NULL)                                                                  \
    X(THROUGHPUT, "throughput", "throughput")                                                      \
    X(LATENCY, "latency", "latency")

enum ctl_strategy {
#define X(name, text, sort) CTL_STRATEGY_##name,
    CTL_STRATEGY_MAP(X)
#undef X
        CTL_STRATEGIES
};

const char *ctl_strategy_name(enum ctl_strategy strategy); /* "balanced" */
/* -1: it is none. */
int ctl_strategy_parse(struct sb_slice text);

enum { CTL_PROMPT_MAX = 8000000, CTL_COMPLETION_MAX = 1000000, CTL_REQUESTS_MAX = 1000000000 };

/* Called now and then with how many requests are through. */
typedef void ctl_simulated_cb(void *ctx, uint64_t done);

struct ctl_workload {
    const struct dp_model *model;
    uint32_t policy; /* index in the snapshot, or MSG_NONE */
    uint64_t prompt_tokens, completion_tokens;
    uint64_t requests; /* how many are simulated, at least 1 */
    uint64_t seed;
    int64_t unix_seconds;           /* for evidence that expires, and prices by the hour */
    ctl_simulated_cb *on_simulated; /* NULL: not wanted */
    void *ctx;
};

/* One endpoint of the model, in the snapshot's order. */
struct ctl_served {
    uint64_t requests;
    sb_money price; /* of one request, as it is in force then */
};

struct ctl_outcome {
    struct sb_slice refusal;   /* why no request was routed, or none; in the arena */
    uint64_t requests;         /* routed */
    struct ctl_served *served; /* one for each endpoint of the model; in the arena */
    double mean_price;         /* USD */
    /* Means of the endpoints' medians over the requests that went where they
     * are known, and which part of all that is; the means are meaningful when
     * the part is not 0. */
    double mean_latency, mean_throughput; /* milliseconds; tokens per second */
    double latency_known, throughput_known;
};

/* Everything is borrowed.  SB_OK also when the rules refuse; SB_EINVAL: no such
 * request can be made, with the reason in err; SB_ETOOBIG: one request would cost more
 * than money counts. */
int ctl_simulate(const struct ctl_market *market, const struct ctl_workload *workload,
                 enum ctl_strategy strategy, struct sb_arena *arena,
                 struct ctl_outcome *ret_outcome, struct sb_errmsg *err) SB_MUSTCHECK;

/* Budgets are whole numbers of 1e-9 USD. */
#define CTL_BUDGET_USD UINT64_C(1000000000)
/* How many requests a budget pays at the mean price of the outcome, rounded
 * down; false: they are free. */
bool ctl_outcome_affords(const struct ctl_outcome *outcome, uint32_t n_served, uint64_t budget,
                         uint64_t *ret_requests);
