/* dataplane/route/explain.c */
#include "dataplane/route/explain.h"

#include "common/arena.h"
#include "common/json.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/draw.h"
#include "dataplane/route/prices.h"
#include "dataplane/route/reason.h"
#include "dataplane/route/relax.h"
#include "dataplane/route/trial.h"
#include "dataplane/route/view.h"

static struct sb_slice model_id(const struct dp_trial *trial, const struct dp_endpoint *endpoint)
{
    return trial->filter.snapshot->models[endpoint->model].row->id;
}

/* --- the funnel ------------------------------------------------------------------------- */

static void add_step(struct sb_json *json, const struct dp_trial *trial, enum dp_step step,
                     uint32_t left, struct sb_arena *arena)
{
    uint32_t named = 0;

    sb_json_open_object(json);
    sb_json_add_text(json, "step", sb_slice_of(dp_step_name(step)));
    sb_json_add_array(json, "removed");
    for (uint32_t i = 0; i < trial->n; i++) {
        const struct dp_judged *one = &trial->judged[i];

        if (one->failed == 0 || __builtin_ctz(one->failed) != (int)step ||
            named++ >= DP_EXPLAIN_NAMED)
            continue;
        sb_json_open_object(json);
        sb_json_add_text(json, "endpoint", one->endpoint->row->tag);
        sb_json_add_text(json, "model", model_id(trial, one->endpoint));
        sb_json_add_text(json, "reason", dp_reason(&trial->filter, one->endpoint, step, arena));
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
    if (named > DP_EXPLAIN_NAMED)
        sb_json_add_u64(json, "more", named - DP_EXPLAIN_NAMED);
    sb_json_add_u64(json, "left", left);
    sb_json_close_object(json);
}

static void add_available(struct sb_json *json, const struct dp_trial *trial,
                          const struct dp_endpoint *selected)
{
    uint32_t named = 0;

    sb_json_add_object(json, "endpoints");
    sb_json_add_u64(json, "total", trial->n);
    sb_json_add_array(json, "available");
    for (uint32_t i = 0; i < trial->n; i++) {
        const struct dp_endpoint *endpoint = trial->judged[i].endpoint;

        if (trial->judged[i].failed != 0 || named++ >= DP_EXPLAIN_NAMED)
            continue;
        sb_json_open_object(json);
        sb_json_add_text(json, "provider",
                         trial->filter.snapshot->providers[endpoint->provider].row->name);
        sb_json_add_text(json, "model", model_id(trial, endpoint));
        sb_json_add_text(json, "endpoint", endpoint->row->tag);
        sb_json_add_bool(json, "selected", endpoint == selected);
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
    if (named > DP_EXPLAIN_NAMED)
        sb_json_add_u64(json, "more", named - DP_EXPLAIN_NAMED);
    sb_json_close_object(json);
}

static void add_funnel(struct sb_json *json, const struct dp_trial *trial, struct sb_arena *arena)
{
    uint32_t removed[DP_STEP_COUNT] = {0}, left = trial->n;

    for (uint32_t i = 0; i < trial->n; i++) {
        if (trial->judged[i].failed != 0)
            removed[__builtin_ctz(trial->judged[i].failed)]++;
    }
    sb_json_add_array(json, "funnel");
    sb_json_open_object(json); /* where it starts */
    sb_json_add_text(json, "step", SB_SLICE_LIT("models"));
    sb_json_add_array(json, "removed");
    sb_json_close_array(json);
    sb_json_add_u64(json, "left", left);
    sb_json_close_object(json);
    for (int step = 0; step < DP_STEP_COUNT; step++) {
        if (removed[step] == 0)
            continue;
        left -= removed[step];
        add_step(json, trial, (enum dp_step)step, left, arena);
    }
    sb_json_close_array(json);
}

void dp_explain_add_funnel(struct sb_json *json, const struct dp_route *route,
                           const struct dp_decision *decision, struct sb_arena *arena)
{
    struct dp_trial trial;

    dp_trial_make(&trial, route, decision, arena);
    add_available(json, &trial, decision->served);
    add_funnel(json, &trial, arena);
}

/* --- what to relax ---------------------------------------------------------------------------- */

void dp_explain_add_relax(struct sb_json *json, const struct dp_route *route,
                          const struct dp_decision *decision, struct sb_arena *arena)
{
    struct dp_trial trial;

    dp_trial_make(&trial, route, decision, arena);
    dp_relax_add(json, &trial, arena);
}

/* --- the order ------------------------------------------------------------------------------- */

static bool same_group(const struct dp_candidate *a, const struct dp_candidate *b)
{
    return a->rank.prefix == b->rank.prefix && a->rank.value == b->rank.value;
}

/* The keys of one endpoint draw together, as the first of them. */
static bool repeats(const struct dp_candidate *first, const struct dp_candidate *at)
{
    return at > first && at[-1].endpoint == at->endpoint;
}

/* Those of its conditional prices that apply, with their place in the catalogue. */
static void add_overrides(struct sb_json *json, const struct dp_candidate *at)
{
    sb_json_add_array(json, "overrides");
    for (uint32_t left = at->overrides; left != 0; left &= left - 1) {
        unsigned index = (unsigned)__builtin_ctz(left);

        sb_json_open_object(json);
        sb_json_add_u64(json, "index", index);
        dp_prices_add_override(json, &at->endpoint->row->overrides[index]);
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
}

static void add_candidate(struct sb_json *json, const struct dp_decision *decision,
                          const struct dp_candidate *at, unsigned group, double share)
{
    const struct dp_model *model = decision->models.at[at->model].model;

    sb_json_open_object(json);
    sb_json_add_text(json, "endpoint", at->endpoint->row->tag);
    sb_json_add_text(json, "model", model->row->id);
    sb_json_add_text(json, "credential", sb_slice_of(msg_credential_kind_name(at->kind)));
    if (at->kind == MSG_CREDENTIAL_KIND_OWN)
        sb_json_add_u64(json, "sequence", at->credential->sequence);
    sb_json_add_text(json, "health", sb_slice_of(dp_health_name((enum dp_health)at->health)));
    sb_json_add_bool(json, "misses_preference", at->misses_preference);
    sb_json_add_bool(json, "misses_context", at->misses_context);
    sb_json_add_u64(json, "group", group);
    sb_json_add_double(json, "cost", at->cost);
    sb_json_add_double(json, "weight", dp_draw_weight(at->cost));
    sb_json_add_double(json, "share", share);
    if (at->overrides != 0)
        add_overrides(json, at);
    if (at->dropped != 0)
        dp_explain_add_dropped(json, at);
    sb_json_close_object(json);
}

void dp_explain_add_order(struct sb_json *json, const struct dp_decision *decision)
{
    const struct dp_candidate *first = decision->candidates, *end = first + decision->n;
    unsigned group = 0;

    sb_json_add_array(json, "order");
    while (first < end) {
        const struct dp_candidate *next = first;
        double weights = 0;

        for (; next < end && same_group(first, next); next++)
            weights += repeats(first, next) ? 0 : dp_draw_weight(next->cost);
        group++;
        for (const struct dp_candidate *at = first; at < next; at++)
            add_candidate(json, decision, at, group, dp_draw_weight(at->cost) / weights);
        first = next;
    }
    sb_json_close_array(json);
    if (decision->plan.only_first)
        sb_json_add_bool(json, "only_first", true);
}

/* --- the rest
 * ---------------------------------------------------------------------------------------- */

void dp_explain_add_warnings(struct sb_json *json, const struct dp_decision *decision)
{
    sb_json_add_array(json, "warnings");
    for (uint32_t i = 0; i < decision->warnings.n && i < DP_WARNINGS_MAX; i++)
        sb_json_put_text(json, decision->warnings.text[i]);
    sb_json_close_array(json);
}

void dp_explain_add_dropped(struct sb_json *json, const struct dp_candidate *candidate)
{
    sb_json_add_array(json, "dropped_parameters");
    for (uint64_t dropped = candidate != NULL ? candidate->dropped : 0; dropped != 0;
         dropped &= dropped - 1)
        sb_json_put_text(json, sb_slice_of(msg_parameter_name(__builtin_ctzll(dropped))));
    sb_json_close_array(json);
}

const char *dp_explain_strategy(const struct dp_decision *decision, unsigned model)
{
    const struct sb_slice id = decision->models.at[0].model->row->id;
    struct sb_slice asked = decision->models.at[0].asked;

    if (model > 0)
        return "fallback";
    asked = sb_slice_starts_with(asked, id) ? sb_slice_from(asked, id.n) : SB_SLICE_LIT("alias");
    return asked.n == 0 || asked.p[0] == ':' ? "direct" : "alias"; /* a suffix is no name */
}

/* --- refusals
 * --------------------------------------------------------------------------------------- */

#define PRIVACY_STEPS (DP_STEP_BIT(DATA_COLLECTION) | DP_STEP_BIT(ZDR) | DP_STEP_BIT(DISTILLABLE))

/* The names of reference/openrouter.md 11.3. */
static const char *availability_code(const struct dp_trial *trial)
{
    uint32_t removing = 0;

    for (uint32_t i = 0; i < trial->n; i++)
        removing |= trial->judged[i].failed & -trial->judged[i].failed; /* the first step */
    if (trial->n == 0)
        return "no_endpoints";
    return (removing & ~PRIVACY_STEPS) == 0 ? "privacy_restricted" : "constraint_filtered";
}

static void add_excluded_by(struct sb_json *json, const struct dp_trial *trial)
{
    uint32_t removing = 0;

    for (uint32_t i = 0; i < trial->n; i++)
        removing |= trial->judged[i].failed & -trial->judged[i].failed;
    sb_json_add_array(json, "excluded_by");
    for (const char *last = NULL; removing != 0; removing &= removing - 1) {
        const char *name = dp_step_excluded_by((enum dp_step)__builtin_ctz(removing));

        if (last == NULL || strcmp(last, name) != 0) /* of one name are neighbours */
            sb_json_put_text(json, sb_slice_of(name));
        last = name;
    }
    sb_json_close_array(json);
}

/* The rule that emptied the set: the last step that removed anything.  What
 * the request can relax is named before what only the policy's owner can. */
static void add_constraint(struct sb_json *json, const struct dp_trial *trial,
                           struct sb_arena *arena)
{
    const struct dp_judged *last = NULL;
    enum dp_step step;
    int by = DP_BY_COUNT - 1;

    for (uint32_t i = 0; i < trial->n; i++) {
        if (last == NULL || __builtin_ctz(trial->judged[i].failed) > __builtin_ctz(last->failed))
            last = &trial->judged[i];
    }
    if (last == NULL)
        return;
    step = (enum dp_step)__builtin_ctz(last->failed);
    while (by >= 0 && (last->by[by] >> step & 1) == 0)
        by--;
    sb_json_add_object(json, "constraint");
    sb_json_add_text(json, "field", dp_blame_name(step, by >= 0 ? by : DP_BY_COUNT, arena));
    sb_json_add_text(json, "detail", dp_reason(&trial->filter, last->endpoint, step, arena));
    sb_json_close_object(json);
}

void dp_explain_add_refusal(struct sb_json *json, const struct dp_route *route,
                            const struct dp_decision *decision, struct sb_arena *arena)
{
    struct dp_trial trial;

    dp_trial_make(&trial, route, decision, arena);
    sb_json_add_object(json, "error");
    sb_json_add_i64(json, "code", 404);
    sb_json_add_text(json, "message", decision->refusal);
    sb_json_add_object(json, "metadata");
    sb_json_add_text(json, "error_type", SB_SLICE_LIT("not_found"));
    add_funnel(json, &trial, arena);
    dp_relax_add(json, &trial, arena);
    dp_explain_add_warnings(json, decision);
    sb_json_close_object(json);
    sb_json_add_object(json, "availability");
    sb_json_add_text(json, "code", sb_slice_of(availability_code(&trial)));
    sb_json_add_bool(json, "retryable", false);
    sb_json_add_array(json, "requested_models");
    for (uint32_t i = 0; i < decision->models.n; i++)
        sb_json_put_text(json, decision->models.at[i].asked);
    sb_json_close_array(json);
    add_excluded_by(json, &trial);
    add_constraint(json, &trial, arena);
    sb_json_close_object(json);
    sb_json_close_object(json);
}

/* --- whoever asks
 * ---------------------------------------------------------------------------------------- */

static void add_error(struct sb_json *json, int rc, const struct sb_errmsg *err)
{
    sb_json_open_object(json);
    sb_json_add_object(json, "error");
    sb_json_add_i64(json, "code", rc == SB_EACCES ? 403 : 400);
    sb_json_add_text(json, "message", sb_slice_of(err->text));
    sb_json_close_object(json);
    sb_json_close_object(json);
}

int dp_explain(struct sb_json *json, const struct dp_route *route, struct sb_arena *arena,
               struct sb_errmsg *err)
{
    struct dp_decision *decision = sb_arena_alloc_raw(arena, sizeof(*decision));
    struct dp_route all = *route;
    int rc;

    all.rank_all = true;
    rc = dp_route_decide(&all, arena, decision, err);
    if (rc == SB_ENOENT) {
        sb_json_open_object(json);
        dp_explain_add_refusal(json, &all, decision, arena);
        sb_json_close_object(json);
        return rc;
    }
    if (rc != SB_OK) {
        add_error(json, rc, err);
        return rc;
    }
    sb_json_open_object(json);
    sb_json_add_text(json, "requested", route->ask->model[0]);
    sb_json_add_text(json, "strategy", sb_slice_of(dp_explain_strategy(decision, 0)));
    sb_json_add_bool(json, "sticky", decision->sticky);
    sb_json_add_object(json, "expected");
    sb_json_add_double(json, "prompt_tokens", decision->prompt_tokens);
    sb_json_add_double(json, "completion_tokens", decision->completion_tokens);
    sb_json_close_object(json);
    decision->served = decision->candidates[0].endpoint; /* it would */
    dp_explain_add_funnel(json, &all, decision, arena);
    dp_explain_add_relax(json, &all, decision, arena);
    dp_explain_add_order(json, decision);
    dp_explain_add_warnings(json, decision);
    sb_json_add_object(json, "snapshot");
    sb_json_add_u64(json, "epoch", route->snapshot->records->version.epoch);
    sb_json_add_u64(json, "revision", route->snapshot->records->version.revision);
    sb_json_close_object(json);
    sb_json_close_object(json);
    return SB_OK;
}
