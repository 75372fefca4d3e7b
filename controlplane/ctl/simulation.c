/* controlplane/ctl/simulation.c */
#include "controlplane/ctl/simulation.h"

#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/json.h"
#include "common/splice.h"
#include "dataplane/route/content.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/index.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"
#include "proto/tariff.h"

enum {
    BYTES_PER_TOKEN = 4, /* as the routing estimates it */
    BODY_MAX = CTL_PROMPT_MAX * BYTES_PER_TOKEN + 4096,
    DECISION_BYTES = 64 * 1024,
    TELL_EVERY = 8192, /* requests */
};

__extension__ typedef unsigned __int128 wide;

static const struct {
    const char *name, *sort;
} strategies[] = {
#define X(name, text, sort) {text, sort},
    CTL_STRATEGY_MAP(X)
#undef X
};

const char *ctl_strategy_name(enum ctl_strategy strategy)
{
    return strategies[strategy].name;
}

int ctl_strategy_parse(struct sb_slice text)
{
    for (int i = 0; i < CTL_STRATEGIES; i++) {
        if (sb_slice_is(text, strategies[i].name))
            return i;
    }
    return -1;
}

/* --- the request ---------------------------------------------------------------------- */

/* As a client would send it. */
static int write_body(const struct ctl_workload *workload, enum ctl_strategy strategy,
                      struct sb_arena *arena, struct sb_buf *body)
{
    size_t n = (size_t)workload->prompt_tokens * BYTES_PER_TOKEN;
    char *text = sb_arena_try(arena, n + 1);
    struct sb_json json;

    if (text == NULL)
        return SB_ENOMEM;
    memset(text, 'x', n);
    sb_json_init(&json, body);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "model", workload->model->row->id);
    sb_json_add_array(&json, "messages");
    sb_json_open_object(&json);
    sb_json_add_text(&json, "role", SB_SLICE_LIT("user"));
    sb_json_add_text(&json, "content", sb_slice_make(text, n));
    sb_json_close_object(&json);
    sb_json_close_array(&json);
    sb_json_add_u64(&json, "max_tokens", workload->completion_tokens);
    if (strategies[strategy].sort != NULL) {
        sb_json_add_object(&json, "provider");
        sb_json_add_text(&json, "sort", sb_slice_of(strategies[strategy].sort));
        sb_json_close_object(&json);
    }
    sb_json_close_object(&json);
    return sb_json_end(&json);
}

/* --- who serves ------------------------------------------------------------------------- */

static int64_t charged(const struct msg_prices *prices, enum msg_price kind)
{
    return prices->at[kind] > 0 ? prices->at[kind] : 0;
}

static int price_of(const struct dp_endpoint *endpoint, const struct ctl_workload *workload,
                    sb_money *ret_price)
{
    const struct msg_tariff tariff = msg_endpoint_tariff(endpoint->row);
    struct msg_prices prices;
    sb_money prompt, completion;
    int rc;

    (void)msg_tariff_at(&tariff, workload->prompt_tokens, msg_moment_of(workload->unix_seconds),
                        &prices);
    rc = sb_money_mul(charged(&prices, MSG_PRICE_PROMPT), workload->prompt_tokens, &prompt);
    if (rc == SB_OK)
        rc = sb_money_mul(charged(&prices, MSG_PRICE_COMPLETION), workload->completion_tokens,
                          &completion);
    if (rc == SB_OK)
        rc = sb_money_add(prompt, completion, &prompt);
    if (rc == SB_OK)
        rc = sb_money_add(prompt, charged(&prices, MSG_PRICE_REQUEST), ret_price);
    return rc;
}

static int price_all(const struct ctl_market *market, const struct ctl_workload *workload,
                     struct ctl_served *served, struct sb_errmsg *err)
{
    const struct dp_endpoint *endpoints = dp_model_endpoints(market->snapshot, workload->model);

    for (uint32_t i = 0; i < workload->model->n; i++) {
        if (price_of(&endpoints[i], workload, &served[i].price) != SB_OK)
            return sb_err_set(err, SB_ETOOBIG, "a request to %.*s would cost over 9223 USD",
                              SB_SLICE_ARGS(endpoints[i].row->tag));
    }
    return SB_OK;
}

/* One request after the other; they differ in the random number and in their
 * text, since some conversations are known by how they begin. */
static int run(struct dp_route *route, struct dp_requirements *ask,
               const struct ctl_workload *workload, struct ctl_outcome *outcome,
               struct sb_arena *arena)
{
    struct sb_arena_cache *cache = sb_arena_cache_new(DECISION_BYTES, 1);
    struct sb_errmsg err = {.text = ""};
    uint64_t state = workload->seed;
    int rc = SB_OK;

    for (uint64_t i = 0; rc == SB_OK && i < workload->requests; i++) {
        struct sb_arena *work = sb_arena_cache_take(cache);
        struct dp_decision decision;

        route->random = dp_mix(state);
        state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
        ask->first_user = sb_slice_make(&route->random, sizeof(route->random));
        rc = dp_route_decide(route, work, &decision, &err);
        if (rc == SB_OK) {
            outcome->served[decision.candidates[0].endpoint->number - workload->model->first]
                .requests++;
            outcome->requests++;
        }
        sb_arena_cache_give(cache, &work);
        if (workload->on_simulated != NULL && (i + 1) % TELL_EVERY == 0)
            workload->on_simulated(workload->ctx, i + 1);
    }
    sb_arena_cache_destroy(&cache);
    if (rc == SB_ENOENT || rc == SB_EACCES) { /* for one it is so for all */
        outcome->refusal = sb_arena_dup(arena, sb_slice_of(err.text));
        return SB_OK;
    }
    return rc;
}

/* --- means -------------------------------------------------------------------------------- */

static wide total_price(const struct ctl_outcome *outcome, uint32_t n)
{
    wide total = 0;

    for (uint32_t i = 0; i < n; i++)
        total += (wide)outcome->served[i].requests * (uint64_t)outcome->served[i].price;
    return total;
}

static double part(double sum, double all)
{
    return all > 0 ? sum / all : 0;
}

static void find_means(const struct ctl_market *market, const struct dp_model *model,
                       struct ctl_outcome *outcome)
{
    const struct dp_endpoint *endpoints = dp_model_endpoints(market->snapshot, model);
    double latency = 0, latency_n = 0, throughput = 0, throughput_n = 0;
    double all = (double)outcome->requests;

    for (uint32_t i = 0; i < model->n; i++) {
        const struct dp_row *row = dp_tables_find(market->tables, market->snapshot, &endpoints[i]);
        double n = (double)outcome->served[i].requests;

        if (row != NULL && row->first_token[0] != MSG_NO_DATA) {
            latency += n * row->first_token[0];
            latency_n += n;
        }
        if (row != NULL && row->throughput[0] != MSG_NO_DATA) {
            throughput += n * row->throughput[0] / 1000;
            throughput_n += n;
        }
    }
    outcome->mean_price = part((double)total_price(outcome, model->n) * 1e-15, all);
    outcome->mean_latency = part(latency, latency_n);
    outcome->mean_throughput = part(throughput, throughput_n);
    outcome->latency_known = part(latency_n, all);
    outcome->throughput_known = part(throughput_n, all);
}

bool ctl_outcome_affords(const struct ctl_outcome *outcome, uint32_t n_served, uint64_t budget,
                         uint64_t *ret_requests)
{
    /* 1e9 requests of 1e19 each, and a budget of 1e19 times 1e6 and 1e9: all far below 2^128 */
    wide total = total_price(outcome, n_served), requests;

    if (total == 0)
        return false;
    requests = (wide)budget * 1000000 * outcome->requests / total;
    *ret_requests = requests < UINT64_MAX ? (uint64_t)requests : UINT64_MAX;
    return true;
}

/* --- the whole -------------------------------------------------------------------------- */

int ctl_simulate(const struct ctl_market *market, const struct ctl_workload *workload,
                 enum ctl_strategy strategy, struct sb_arena *arena,
                 struct ctl_outcome *ret_outcome, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *own = sb_arena_new(DECISION_BYTES);
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    const struct dp_snapshot *snapshot = market->snapshot;
    const struct msg_key row = {.id = 1, .tenant = 0, .policy = workload->policy};
    const struct dp_key key = {
        .row = &row,
        .tenant = &snapshot->tenants[0],
        .policy = workload->policy != MSG_NONE ? &snapshot->policies[workload->policy] : NULL};
    struct sb_splice_member members[SB_SPLICE_MEMBERS];
    struct sb_splice doc;
    struct dp_content content;
    struct dp_requirements ask;
    struct dp_route route = {.snapshot = snapshot,
                             .tables = market->tables,
                             .ask = &ask,
                             .key = &key,
                             .now = CTL_MARKET_NOW,
                             .unix_seconds = workload->unix_seconds};
    struct ctl_outcome outcome = {.requests = 0};
    int rc;

    SB_BUG_ON(workload->requests == 0 || workload->prompt_tokens > CTL_PROMPT_MAX);
    sb_buf_init(&body, BODY_MAX);
    outcome.served = sb_arena_alloc(arena, workload->model->n * sizeof(*outcome.served) + 1);
    rc = price_all(market, workload, outcome.served, err);
    if (rc == SB_OK)
        rc = write_body(workload, strategy, own, &body);
    if (rc != SB_OK)
        return rc;
    sb_splice_init(&doc, members, SB_ARRAY_LEN(members));
    dp_content_init(&content, MSG_API_CHAT);
    rc = sb_splice_visit(&doc, sb_buf_slice(&body), SB_SPLICE_DEPTH, &content.visitor, NULL);
    if (SB_NEVER(rc != SB_OK))
        return rc;
    rc = dp_requirements_read(&doc, &content, own, &ask, err);
    if (rc == SB_OK)
        rc = run(&route, &ask, workload, &outcome, arena);
    if (rc != SB_OK)
        return rc;
    find_means(market, workload->model, &outcome);
    *ret_outcome = outcome;
    return SB_OK;
}
