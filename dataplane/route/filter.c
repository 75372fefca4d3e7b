/* dataplane/route/filter.c - one function per step, in the order of the map. */
#include "dataplane/route/filter.h"

#include "common/check.h"
#include "dataplane/route/prices.h"
#include "dataplane/route/requirements.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"

static const struct {
    const char *text, *excluded_by, *relax;
} words[DP_STEP_COUNT] = {
#define X(name, text, excluded_by, relax) [DP_STEP_##name] = {text, excluded_by, relax},
    DP_STEP_MAP(X)
#undef X
};

const char *dp_step_name(enum dp_step step)
{
    return step < DP_STEP_COUNT ? words[step].text : "passed";
}

const char *dp_step_excluded_by(enum dp_step step)
{
    return words[step].excluded_by;
}

const char *dp_step_relax(enum dp_step step)
{
    return words[step].relax;
}

/* --- the steps: true when the endpoint must not have the request ------------------------ */

static bool fails_pin(const struct dp_plan *plan, const struct dp_endpoint *endpoint)
{
    for (int by = 0; by < DP_BY_COUNT; by++) {
        const struct dp_rules *rules = plan->set[by];

        if (rules != NULL && msg_rules_say(rules->said, MSG_RULE_PIN) &&
            rules->pin != (endpoint->tag | DP_REF_TAG))
            return true;
    }
    return false;
}

static bool fails_only(const struct dp_plan *plan, const struct dp_endpoint *endpoint)
{
    for (int by = 0; by < DP_BY_COUNT; by++) {
        const struct dp_rules *rules = plan->set[by];

        if (rules != NULL && rules->only.n > 0 &&
            dp_refs_find(rules->only, endpoint) == rules->only.n)
            return true;
    }
    return false;
}

static bool fails_ignore(const struct dp_plan *plan, const struct dp_endpoint *endpoint)
{
    for (int by = 0; by < DP_BY_COUNT; by++) {
        const struct dp_rules *rules = plan->set[by];

        if (rules != NULL && dp_refs_find(rules->ignore, endpoint) < rules->ignore.n)
            return true;
    }
    return false;
}

/* An order that is closed is a hard set. */
static bool fails_order(const struct dp_plan *plan, const struct dp_endpoint *endpoint)
{
    for (int by = 0; by < DP_BY_COUNT; by++) {
        const struct dp_rules *rules = plan->set[by];

        if (rules != NULL && rules->order.n > 0 && !rules->said->allow_fallbacks &&
            dp_refs_find(rules->order, endpoint) == rules->order.n)
            return true;
    }
    return false;
}

static bool is_over(int64_t price, sb_money limit)
{
    return limit >= 0 && price > limit;
}

static bool is_over_any(const int64_t price[MSG_PRICE_COUNT], const struct dp_plan *plan)
{
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++) {
        if (is_over(price[kind], plan->max_price[kind]))
            return true;
    }
    return false;
}

/* What an endpoint does not charge for keeps every limit. */
static bool fails_max_price(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    const struct dp_plan *plan = filter->plan;

    if (SB_UNLIKELY(endpoint->n_overrides > 0)) {
        struct msg_prices prices;

        (void)dp_prices_in_force(filter, endpoint, &prices);
        return is_over_any(prices.at, plan);
    }
    if (is_over(endpoint->prompt, plan->max_price[MSG_PRICE_PROMPT]) ||
        is_over(endpoint->completion, plan->max_price[MSG_PRICE_COMPLETION]) ||
        is_over(endpoint->request, plan->max_price[MSG_PRICE_REQUEST]))
        return true;
    return plan->limits_pieces && is_over_any(endpoint->row->price, plan);
}

static bool fails_residency(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    const struct dp_plan *plan = filter->plan;
    bool in_eu = endpoint->region == DP_REGION_EU ||
                 (endpoint->region >= 0 && msg_country_is_eu(endpoint->region));

    if (plan->residency_eu &&
        !(in_eu && endpoint->holds_through[MSG_CLAIM_EU_RESIDENT] >= filter->today))
        return true;
    return plan->residency_listed && !(msg_countries_have(&plan->residency, endpoint->region) &&
                                       endpoint->located_through >= filter->today);
}

static bool fails_operator(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    const struct dp_plan *plan = filter->plan;
    int country = filter->snapshot->providers[endpoint->provider].headquarters;

    return (plan->operator_listed && !msg_countries_have(&plan->operator_allow, country)) ||
           msg_countries_have(&plan->operator_deny, country);
}

uint64_t dp_filter_missing(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    const struct dp_requirements *ask = filter->ask;
    uint64_t needed = ask->restricting & filter->snapshot->models[endpoint->model].parameters;

    if (filter->plan->require_parameters) /* structured outputs too, when there is a schema */
        needed = ask->parameters | ask->restricting;
    return needed & ~endpoint->parameters;
}

static bool fails_context(const struct dp_requirements *ask, const struct dp_endpoint *endpoint)
{
    const uint64_t bytes = ask->text_bytes;

    return bytes > UINT64_C(8) * endpoint->context_length ||
           (endpoint->max_prompt_tokens > 0 && bytes > UINT64_C(8) * endpoint->max_prompt_tokens);
}

static bool fails_max_tokens(const struct dp_requirements *ask, const struct dp_endpoint *endpoint)
{
    return endpoint->max_completion_tokens > 0 && ask->max_tokens > endpoint->max_completion_tokens;
}

static bool fails_max_cost(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    return filter->plan->max_cost >= 0 &&
           dp_prices_worst(filter, endpoint) > filter->plan->max_cost;
}

bool dp_row_has_throughput(const struct dp_row *row, const struct msg_cutoffs *least, sb_msec now,
                           bool unknown)
{
    for (int i = 0; i < MSG_PERCENTILES; i++) {
        if (least->at[i] == MSG_NO_DATA)
            continue;
        if (!dp_row_is_fresh(row, now) || row->throughput[i] == MSG_NO_DATA) {
            if (!unknown)
                return false;
        } else if (row->throughput[i] < least->at[i]) {
            return false;
        }
    }
    return true;
}

bool dp_row_has_latency(const struct dp_row *row, const struct msg_cutoffs *most, sb_msec now,
                        bool unknown)
{
    for (int i = 0; i < MSG_PERCENTILES; i++) {
        if (most->at[i] == MSG_NO_DATA)
            continue;
        if (!dp_row_is_fresh(row, now) || row->first_token[i] == MSG_NO_DATA) {
            if (!unknown)
                return false;
        } else if (row->first_token[i] > most->at[i]) {
            return false;
        }
    }
    return true;
}

/* Policy and request each with their own limit and their own unknown_ok. */
static bool fails_measured(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                           bool throughput)
{
    const struct dp_row *row = dp_tables_find(filter->tables, filter->snapshot, endpoint);
    const struct dp_plan *plan = filter->plan;

    for (int by = 0; by < DP_BY_COUNT; by++) {
        if (plan->set[by] == NULL)
            continue;
        if (throughput ? !dp_row_has_throughput(row, &plan->limit[by].min_throughput, filter->now,
                                                plan->limit[by].unknown_ok)
                       : !dp_row_has_latency(row, &plan->limit[by].max_latency, filter->now,
                                             plan->limit[by].unknown_ok))
            return true;
    }
    return false;
}

static bool fails_credential(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    if (endpoint->has_house && filter->plan->house_allowed)
        return false;
    return !filter->plan->own_allowed || filter->tenant->own_n == 0 ||
           dp_snapshot_own_keys(filter->snapshot, filter->tenant, endpoint->provider).n == 0;
}

static bool fails(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                  enum dp_step step)
{
    const struct dp_plan *plan = filter->plan;
    const struct dp_requirements *ask = filter->ask;

    switch (step) {
    case DP_STEP_DIALECT:
        return !endpoint->dialect_known;
    case DP_STEP_PIN:
        return fails_pin(plan, endpoint);
    case DP_STEP_ONLY:
        return fails_only(plan, endpoint);
    case DP_STEP_IGNORE:
        return fails_ignore(plan, endpoint);
    case DP_STEP_ORDER:
        return fails_order(plan, endpoint);
    case DP_STEP_MAX_PRICE:
        return fails_max_price(filter, endpoint);
    case DP_STEP_QUANTIZATIONS:
        return (plan->quantizations >> endpoint->quantization & 1) == 0;
    case DP_STEP_DATA_COLLECTION:
        return endpoint->holds_through[MSG_CLAIM_NO_TRAINING] < filter->today;
    case DP_STEP_ZDR:
        return endpoint->holds_through[MSG_CLAIM_ZDR] < filter->today;
    case DP_STEP_DISTILLABLE:
        return filter->snapshot->models[endpoint->model].distillable_through < filter->today;
    case DP_STEP_RESIDENCY:
        return fails_residency(filter, endpoint);
    case DP_STEP_OPERATOR_COUNTRIES:
        return fails_operator(filter, endpoint);
    case DP_STEP_INPUT_MODALITIES:
        return (endpoint->input_modalities & ask->input_modalities) != ask->input_modalities;
    case DP_STEP_OUTPUT_MODALITIES:
        return (endpoint->output_modalities & ask->output_modalities) != ask->output_modalities;
    case DP_STEP_TOOLS:
        return (endpoint->parameters >> MSG_PARAMETER_TOOLS & 1) == 0;
    case DP_STEP_PARAMETERS:
        return dp_filter_missing(filter, endpoint) != 0;
    case DP_STEP_CONTEXT_LENGTH:
        return fails_context(ask, endpoint);
    case DP_STEP_MAX_TOKENS:
        return fails_max_tokens(ask, endpoint);
    case DP_STEP_MAX_COST:
        return fails_max_cost(filter, endpoint);
    case DP_STEP_MIN_THROUGHPUT:
        return fails_measured(filter, endpoint, true);
    case DP_STEP_MAX_LATENCY:
        return fails_measured(filter, endpoint, false);
    case DP_STEP_CREDENTIAL:
        return fails_credential(filter, endpoint);
    case DP_STEP_COUNT:
        break;
    }
    SB_BUG_ON(true);
}

/* --- all steps ----------------------------------------------------------------------------- */

/* The steps that nearly every request has, and nearly every endpoint passes. */
#define USUAL_STEPS                                                                                \
    (DP_STEP_BIT(DIALECT) | DP_STEP_BIT(INPUT_MODALITIES) | DP_STEP_BIT(OUTPUT_MODALITIES) |       \
     DP_STEP_BIT(TOOLS) | DP_STEP_BIT(CONTEXT_LENGTH) | DP_STEP_BIT(MAX_TOKENS) |                  \
     DP_STEP_BIT(CREDENTIAL))

static bool passes_usual(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    const struct dp_requirements *ask = filter->ask;
    const uint64_t tools = ask->parameters & UINT64_C(1) << MSG_PARAMETER_TOOLS;

    return endpoint->dialect_known && endpoint->has_house && filter->plan->house_allowed &&
           (ask->input_modalities & ~(uint32_t)endpoint->input_modalities) == 0 &&
           (ask->output_modalities & ~(uint32_t)endpoint->output_modalities) == 0 &&
           (tools & ~endpoint->parameters) == 0 && !fails_context(ask, endpoint) &&
           !fails_max_tokens(ask, endpoint);
}

enum dp_step dp_filter_endpoint(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    uint32_t steps = filter->plan->steps;

    if (SB_LIKELY(passes_usual(filter, endpoint)))
        steps &= ~USUAL_STEPS;
    for (; steps != 0; steps &= steps - 1) { /* from the lowest bit up */
        enum dp_step step = (enum dp_step)__builtin_ctz(steps);

        if (fails(filter, endpoint, step))
            return step;
    }
    return DP_STEP_PASSED;
}

uint32_t dp_filter_all_steps(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    uint32_t failed = 0;

    for (uint32_t steps = filter->plan->steps; steps != 0; steps &= steps - 1) {
        enum dp_step step = (enum dp_step)__builtin_ctz(steps);

        if (fails(filter, endpoint, step))
            failed |= UINT32_C(1) << step;
    }
    return failed;
}
