/* dataplane/route/decide.c */
#include "dataplane/route/decide.h"

#include <stdio.h>

#include "common/arena.h"
#include "dataplane/route/draw.h"
#include "dataplane/route/view.h"

enum { SECONDS_PER_DAY = 86400 };

/* --- step 3: the rules ------------------------------------------------------------------ */

static void add_request_warnings(const struct dp_route *route, struct sb_arena *arena,
                                 struct dp_decision *decision)
{
    const struct dp_requirements *ask = route->ask;

    for (int member = DP_MEMBER_MODEL; member < DP_MEMBER_COUNT; member++) {
        if ((ask->unserved >> (member - DP_MEMBER_MODEL) & 1) != 0)
            dp_warnings_add(&decision->warnings, arena, "%s: accepted, not served",
                            dp_member_name(member));
    }
    if (ask->rules != NULL && ask->rules->sort == MSG_SORT_EXACTO)
        dp_warnings_add(&decision->warnings, arena, "provider.sort: exacto: accepted, not served");
}

static int merge_rules(const struct dp_route *route, struct sb_arena *arena,
                       struct dp_decision *decision, struct sb_errmsg *err)
{
    const struct dp_rules *policy = route->key->policy;
    struct dp_rules *request = NULL;

    decision->warnings.n = 0;
    if (route->ask->rules != NULL) {
        request = sb_arena_alloc_raw(arena, sizeof(*request));
        dp_rules_compile(route->snapshot, route->ask->rules, arena, &decision->warnings, request);
    }
    dp_plan_merge(policy, request, route->ask, &decision->plan);
    if (decision->plan.strict && decision->warnings.n > 0) /* so far only unknown names */
        return sb_err_set(err, SB_EINVAL, "%.*s, and switchboard.strict is on",
                          SB_SLICE_ARGS(decision->warnings.text[0]));
    if (route->ask->unserved != 0 || request != NULL)
        add_request_warnings(route, arena, decision);
    return SB_OK;
}

/* --- steps 4 and 5: the endpoints that may have it ------------------------------------------ */

struct survivor {
    uint32_t endpoint; /* number */
    uint32_t model;    /* index in decision->models */
};

static uint32_t filter_endpoints(const struct dp_filter *filter, struct dp_decision *decision,
                                 struct survivor *survivors, bool *ret_cheaper_cached)
{
    const struct dp_snapshot *snapshot = filter->snapshot;
    uint32_t n = 0;
    bool cheaper_cached = false;

    memset(decision->removed, 0, sizeof(decision->removed));
    for (uint32_t m = 0; m < decision->models.n; m++) {
        const struct dp_model *model = decision->models.at[m].model;

        for (uint32_t i = model->first; i < model->first + model->n; i++) {
            enum dp_step step = dp_filter_endpoint(filter, &snapshot->endpoints[i]);

            if (step != DP_STEP_PASSED) {
                decision->removed[step]++;
                continue;
            }
            survivors[n++] = (struct survivor){.endpoint = i, .model = m};
            cheaper_cached |= snapshot->endpoints[i].cheaper_cached;
        }
    }
    *ret_cheaper_cached = cheaper_cached;
    return n;
}

/* --- step 6: the sequence ----------------------------------------------------------------------
 */

/* Whoever says it nearest to the request counts; the policy's is the last. */
static struct sb_slice session_of(const struct dp_route *route, const struct dp_plan *plan)
{
    const struct dp_rules *request = plan->set[DP_BY_REQUEST];

    if (request != NULL && request->said->session_id.n > 0)
        return request->said->session_id;
    if (route->ask->session_id.n > 0)
        return route->ask->session_id;
    return route->session.n > 0 ? route->session : plan->session_id;
}

/* A header has the limits of the member that it stands for. */
static int check_session(struct sb_slice session, struct sb_errmsg *err)
{
    size_t characters = 0;

    for (size_t i = 0; i < session.n; i++)
        characters += ((unsigned char)session.p[i] & 0xc0) != 0x80;
    if (characters <= MSG_SESSION_ID_MAX)
        return SB_OK;
    return sb_err_set(err, SB_EINVAL, "x-session-id: %zu characters; at most %d are allowed",
                      characters, MSG_SESSION_ID_MAX);
}

/* allow_fallbacks: false: the first-ranked endpoint with its keys, in the
 * classes that are allowed, and nothing else. */
static void keep_only_first(struct dp_decision *decision)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < decision->n; i++) {
        if (decision->candidates[i].endpoint == decision->candidates[0].endpoint)
            decision->candidates[kept++] = decision->candidates[i];
    }
    decision->n = kept;
}

static int refuse(struct dp_decision *decision, struct sb_arena *arena, struct sb_errmsg *err)
{
    struct sb_slice asked = decision->models.at[0].asked;
    char steps[512] = "";
    size_t n = 0;

    for (int step = 0; step < DP_STEP_COUNT && n < sizeof(steps); step++) {
        if (decision->removed[step] > 0)
            n +=
                (size_t)snprintf(steps + n, sizeof(steps) - n, "%s%s removed %u", n > 0 ? "; " : "",
                                 dp_step_name((enum dp_step)step), decision->removed[step]);
    }
    decision->refusal =
        decision->endpoints == 0
            ? sb_arena_printf(arena, "No endpoints found for %.*s.", SB_SLICE_ARGS(asked))
            : sb_arena_printf(arena,
                              "No endpoints found for %.*s. Every endpoint was removed during "
                              "routing: %s.",
                              SB_SLICE_ARGS(asked), steps);
    return sb_err_set(err, SB_ENOENT, "%.*s", SB_SLICE_ARGS(decision->refusal));
}

int dp_route_decide(const struct dp_route *route, struct sb_arena *arena,
                    struct dp_decision *ret_decision, struct sb_errmsg *err)
{
    struct dp_decision *decision = ret_decision;
    struct dp_filter filter = {
        .snapshot = route->snapshot,
        .tables = route->tables,
        .ask = route->ask,
        .plan = &decision->plan,
        .tenant = route->key->tenant,
        .now = route->now,
        .moment = msg_moment_of(route->unix_seconds),
        .today = (int32_t)(route->unix_seconds / SECONDS_PER_DAY),
    };
    struct dp_order order = {
        .filter = &filter, .health = route->health, .keep_all = route->rank_all, .arena = arena};
    struct survivor *survivors;
    bool cheaper_cached;
    uint32_t n;
    int rc = check_session(route->session, err);

    if (rc == SB_OK)
        rc = merge_rules(route, arena, decision, err);
    if (rc != SB_OK)
        return rc;
    rc = dp_models_resolve(route->snapshot, route->ask, route->key->policy, &decision->models, err);
    if (rc != SB_OK)
        return rc;
    decision->endpoints = 0;
    for (uint32_t i = 0; i < decision->models.n; i++) {
        decision->endpoints += decision->models.at[i].model->n;
        if (decision->models.at[i].sort == MSG_SORT_EXACTO)
            dp_warnings_add(&decision->warnings, arena, "%.*s: exacto: accepted, not served",
                            SB_SLICE_ARGS(decision->models.at[i].asked));
    }
    survivors = sb_arena_alloc_raw(arena, decision->endpoints * sizeof(*survivors) + 1);
    n = filter_endpoints(&filter, decision, survivors, &cheaper_cached);

    order.conversation = route->random;
    order.sticky = dp_draw_conversation(route->snapshot, route->key->tenant->row->id, route->ask,
                                        session_of(route, &decision->plan), cheaper_cached,
                                        &order.conversation);
    dp_order_init(&order, &decision->models);
    for (uint32_t i = 0; i < n; i++)
        dp_order_add(&order, &route->snapshot->endpoints[survivors[i].endpoint],
                     survivors[i].model);
    decision->n = dp_order_finish(&order, &decision->candidates);
    decision->conversation = order.conversation;
    decision->sticky = order.sticky;
    decision->prompt_tokens = order.model[0].prompt;
    decision->completion_tokens = order.model[0].completion / route->ask->n;
    decision->today = filter.today;
    decision->refusal = SB_SLICE_NONE;
    decision->served = NULL;
    if (decision->n == 0)
        return refuse(decision, arena, err);
    if (decision->plan.only_first)
        keep_only_first(decision);
    return SB_OK;
}

/* --- walking the sequence ------------------------------------------------------------------------
 */

uint32_t dp_decision_available(const struct dp_decision *decision)
{
    uint32_t left = decision->endpoints;

    for (int step = 0; step < DP_STEP_COUNT; step++)
        left -= decision->removed[step];
    return left;
}

uint32_t dp_decision_next(const struct dp_decision *decision, uint32_t from, uint32_t used_up)
{
    while (from < decision->n && (used_up >> decision->candidates[from].model & 1) != 0)
        from++;
    return from;
}

uint32_t dp_decision_models_left(const struct dp_decision *decision, uint32_t from,
                                 uint32_t used_up)
{
    uint32_t left = 0;

    for (uint32_t i = from; i < decision->n; i++)
        left |= 1U << decision->candidates[i].model;
    return (uint32_t)__builtin_popcount(left & ~used_up);
}

const char *dp_limit_member(const struct dp_endpoint *endpoint, const struct dp_requirements *ask)
{
    const uint64_t limit = UINT64_C(1) << MSG_PARAMETER_MAX_TOKENS;
    const uint64_t completion_limit = UINT64_C(1) << MSG_PARAMETER_MAX_COMPLETION_TOKENS;
    uint64_t supported = endpoint->row->parameters & (limit | completion_limit);

    if (supported == limit && ask->at[MSG_PARAMETER_MAX_COMPLETION_TOKENS] != 0)
        return "max_tokens";
    if (supported == completion_limit && ask->at[MSG_PARAMETER_MAX_TOKENS] != 0)
        return "max_completion_tokens";
    return NULL;
}
