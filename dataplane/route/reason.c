/* dataplane/route/reason.c */
#include "dataplane/route/reason.h"

#include <stdio.h>

#include "common/arena.h"
#include "common/timefmt.h"
#include "dataplane/route/prices.h"
#include "dataplane/route/requirements.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"

struct ctx {
    const struct dp_filter *filter;
    const struct dp_endpoint *endpoint;
    struct sb_arena *arena;
};

/* --- who said it --------------------------------------------------------------------- */

/* "provider.only", or "the policy's only": the first set that the endpoint
 * fails by itself. */
static const char *said_by(const struct ctx *c, enum dp_step step)
{
    const struct dp_rules *policy = c->filter->plan->set[DP_BY_POLICY];
    const struct dp_endpoint *endpoint = c->endpoint;
    bool it = false;

    if (policy == NULL)
        return "the request's";
    switch ((int)step) {
    case DP_STEP_PIN:
        it = msg_rules_say(policy->said, MSG_RULE_PIN) &&
             policy->pin != (endpoint->tag | DP_REF_TAG);
        break;
    case DP_STEP_ONLY:
        it = policy->only.n > 0 && dp_refs_find(policy->only, endpoint) == policy->only.n;
        break;
    case DP_STEP_IGNORE:
        it = dp_refs_find(policy->ignore, endpoint) < policy->ignore.n;
        break;
    case DP_STEP_ORDER:
        it = policy->order.n > 0 && !policy->said->allow_fallbacks &&
             dp_refs_find(policy->order, endpoint) == policy->order.n;
        break;
    default:
        break;
    }
    return it ? "the policy's" : "the request's";
}

/* --- the steps -------------------------------------------------------------------------- */

static struct sb_slice of_claim(const struct ctx *c, const char *name,
                                const struct msg_claim *claim)
{
    char date[SB_DATE_TEXT_MAX];

    if (claim->value != MSG_TRI_YES)
        return sb_arena_printf(c->arena, "%s is %s", name, msg_tri_name(claim->value));
    if (claim->evidence.n == 0)
        return sb_arena_printf(c->arena, "%s has no evidence", name);
    (void)sb_date_format(claim->expires_on, date); /* the only way that is left to fail */
    return sb_arena_printf(c->arena, "%s expired on %s", name, date);
}

/* " (pricing.overrides[1])": the one that set the price, or nothing. */
static struct sb_slice of_override(const struct ctx *c, uint32_t applied, int kind)
{
    struct sb_slice text = SB_SLICE_NONE;

    for (; applied != 0; applied &= applied - 1) {
        int index = __builtin_ctz(applied);

        if (c->endpoint->row->overrides[index].price[kind] >= 0)
            text = sb_arena_printf(c->arena, " (pricing.overrides[%d])", index);
    }
    return text;
}

static struct sb_slice of_price(const struct ctx *c)
{
    const struct dp_plan *plan = c->filter->plan;
    struct msg_prices prices;
    uint32_t applied = dp_prices_in_force(c->filter, c->endpoint, &prices);

    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++) {
        int64_t price = prices.at[kind], limit = plan->max_price[kind];
        struct sb_slice why;
        char is[SB_MONEY_TEXT_MAX], most[SB_MONEY_TEXT_MAX];

        if (limit < 0 || price <= limit)
            continue;
        why = of_override(c, applied, kind);
        if (kind == MSG_PRICE_PROMPT || kind == MSG_PRICE_COMPLETION) {
            (void)sb_money_format_per_million(price, is);
            (void)sb_money_format_per_million(limit, most);
            return sb_arena_printf(c->arena,
                                   "%s costs %s USD per million tokens%.*s, the limit is %s",
                                   msg_price_name(kind), is, SB_SLICE_ARGS(why), most);
        }
        (void)sb_money_format(price, is);
        (void)sb_money_format(limit, most);
        return sb_arena_printf(c->arena, "each %s costs %s USD%.*s, the limit is %s",
                               msg_price_name(kind), is, SB_SLICE_ARGS(why), most);
    }
    return SB_SLICE_NONE;
}

/* Policy and request may have nothing in common. */
static struct sb_slice or_none(struct sb_slice list)
{
    return list.n > 0 ? list : SB_SLICE_LIT("none");
}

/* "region is US, allowed: DE,FR" */
static struct sb_slice elsewhere(const struct ctx *c)
{
    struct sb_slice allowed = dp_plan_residency(c->filter->plan, c->arena);

    return sb_arena_printf(c->arena, "region is %.*s, allowed: %.*s",
                           SB_SLICE_ARGS(c->endpoint->row->region),
                           SB_SLICE_ARGS(or_none(allowed)));
}

static struct sb_slice of_residency(const struct ctx *c)
{
    const struct msg_endpoint *row = c->endpoint->row;
    const struct msg_claim *claim = &row->claim[MSG_CLAIM_EU_RESIDENT];

    if (c->endpoint->region == DP_REGION_UNKNOWN)
        return row->region.n == 0 ? SB_SLICE_LIT("region is unknown")
                                  : sb_arena_printf(c->arena, "region %.*s is no country",
                                                    SB_SLICE_ARGS(row->region));
    if (c->filter->plan->residency_listed &&
        !msg_countries_have(&c->filter->plan->residency, c->endpoint->region))
        return elsewhere(c);
    if (c->endpoint->region >= 0 && !msg_country_is_eu(c->endpoint->region)) {
        if (c->filter->plan->residency_eu)
            return elsewhere(c);
        return sb_arena_printf(c->arena, "region %.*s has no evidence", SB_SLICE_ARGS(row->region));
    }
    if (c->endpoint->region == DP_REGION_GLOBAL)
        return elsewhere(c);
    return of_claim(c, "eu_resident", claim);
}

static struct sb_slice of_operator(const struct ctx *c)
{
    const struct dp_provider *provider = &c->filter->snapshot->providers[c->endpoint->provider];
    const struct dp_plan *plan = c->filter->plan;
    struct sb_slice allowed;

    if (provider->headquarters < 0)
        return SB_SLICE_LIT("the operator's country is unknown");
    if (msg_countries_have(&plan->operator_deny, provider->headquarters))
        return sb_arena_printf(c->arena, "operated from %.*s, which is denied",
                               SB_SLICE_ARGS(provider->row->headquarters));
    allowed = dp_countries_text(&plan->operator_allow, false, c->arena);
    return sb_arena_printf(c->arena, "operated from %.*s, allowed: %.*s",
                           SB_SLICE_ARGS(provider->row->headquarters),
                           SB_SLICE_ARGS(or_none(allowed)));
}

/* "does not support seed, top_k" */
static struct sb_slice of_missing(const struct ctx *c, const char *verb, uint64_t missing,
                                  const char *(*name)(int number))
{
    char text[400];
    size_t n = (size_t)snprintf(text, sizeof(text), "%s", verb);
    const char *between = " ";

    for (; missing != 0 && n < sizeof(text); missing &= missing - 1) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", between,
                              name(__builtin_ctzll(missing)));
        between = ", ";
    }
    return sb_arena_dup(c->arena, sb_slice_make(text, n < sizeof(text) ? n : sizeof(text) - 1));
}

/* "quantization is fp4, allowed: fp8, mxfp8" */
static struct sb_slice of_quantization(const struct ctx *c)
{
    const char *is = msg_quantization_name(c->endpoint->quantization);
    uint32_t allowed = c->filter->plan->quantizations;
    char text[64];

    (void)snprintf(text, sizeof(text), "quantization is %s, allowed:%s", is,
                   allowed == 0 ? " none" : "");
    return of_missing(c, text, allowed, msg_quantization_name);
}

static struct sb_slice of_parameters(const struct ctx *c)
{
    return of_missing(c, "does not support", dp_filter_missing(c->filter, c->endpoint),
                      msg_parameter_name);
}

static struct sb_slice of_context(const struct ctx *c)
{
    uint32_t most = c->endpoint->context_length;

    if (c->endpoint->max_prompt_tokens > 0 && c->endpoint->max_prompt_tokens < most)
        most = c->endpoint->max_prompt_tokens;
    return sb_arena_printf(c->arena, "takes %u tokens, the prompt has more than %llu", most,
                           (unsigned long long)dp_requirements_tokens_at_least(c->filter->ask));
}

static struct sb_slice of_cost(const struct ctx *c)
{
    char is[SB_MONEY_TEXT_MAX], most[SB_MONEY_TEXT_MAX];

    (void)sb_money_format(dp_prices_worst(c->filter, c->endpoint), is);
    (void)sb_money_format(c->filter->plan->max_cost, most);
    return sb_arena_printf(c->arena, "may cost %s USD, the limit is %s", is, most);
}

static struct sb_slice of_measured(const struct ctx *c, bool throughput)
{
    static const char *const percentiles[] = {"p50", "p75", "p90", "p99"};
    const struct dp_filter *filter = c->filter;
    const struct dp_row *row = dp_tables_find(filter->tables, filter->snapshot, c->endpoint);
    const uint32_t *value;

    if (!dp_row_is_fresh(row, filter->now))
        return SB_SLICE_LIT("nothing was measured in the last 5 minutes");
    value = throughput ? row->throughput : row->first_token;
    for (int by = 0; by < DP_BY_COUNT; by++) {
        const struct msg_cutoffs *limit = throughput ? &filter->plan->limit[by].min_throughput
                                                     : &filter->plan->limit[by].max_latency;

        for (int i = 0; filter->plan->set[by] != NULL && i < MSG_PERCENTILES; i++) {
            if (limit->at[i] == MSG_NO_DATA)
                continue;
            if (value[i] == MSG_NO_DATA) {
                if (!filter->plan->limit[by].unknown_ok)
                    return sb_arena_printf(c->arena, "%s was not measured", percentiles[i]);
                continue;
            }
            if (throughput ? value[i] < limit->at[i] : value[i] > limit->at[i])
                return sb_arena_printf(
                    c->arena, "%s is %g %s, the limit is %g", percentiles[i], value[i] / 1000.0,
                    throughput ? "tokens per second" : "seconds", limit->at[i] / 1000.0);
        }
    }
    return SB_SLICE_NONE;
}

static struct sb_slice of_credential(const struct ctx *c)
{
    const struct dp_plan *plan = c->filter->plan;

    if (!plan->house_allowed)
        return plan->own_allowed ? SB_SLICE_LIT("byok is only, and there is no own key for it")
                                 : SB_SLICE_LIT("byok allows neither own keys nor the house's");
    return plan->own_allowed ? SB_SLICE_LIT("there is no key for it, or it is suspended")
                             : SB_SLICE_LIT("byok is never, and the house has no key for it");
}

struct sb_slice dp_reason(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                          enum dp_step step, struct sb_arena *arena)
{
    const struct ctx c = {.filter = filter, .endpoint = endpoint, .arena = arena};
    const struct dp_provider *provider = &filter->snapshot->providers[endpoint->provider];
    const struct dp_model *model = &filter->snapshot->models[endpoint->model];

    switch (step) {
    case DP_STEP_DIALECT:
        return sb_arena_printf(arena, "dialect %.*s is not spoken here",
                               SB_SLICE_ARGS(provider->row->dialect));
    case DP_STEP_PIN:
        return sb_arena_printf(arena, "is not %s pin", said_by(&c, step));
    case DP_STEP_ONLY:
        return sb_arena_printf(arena, "is not in %s only", said_by(&c, step));
    case DP_STEP_IGNORE:
        return sb_arena_printf(arena, "is in %s ignore", said_by(&c, step));
    case DP_STEP_ORDER:
        return sb_arena_printf(arena, "is not in %s order, which allows no fallbacks",
                               said_by(&c, step));
    case DP_STEP_MAX_PRICE:
        return of_price(&c);
    case DP_STEP_QUANTIZATIONS:
        return of_quantization(&c);
    case DP_STEP_DATA_COLLECTION:
        return of_claim(&c, "no_training", &endpoint->row->claim[MSG_CLAIM_NO_TRAINING]);
    case DP_STEP_ZDR:
        return of_claim(&c, "zdr", &endpoint->row->claim[MSG_CLAIM_ZDR]);
    case DP_STEP_DISTILLABLE:
        return of_claim(&c, "distillable", &model->row->distillable);
    case DP_STEP_RESIDENCY:
        return of_residency(&c);
    case DP_STEP_OPERATOR_COUNTRIES:
        return of_operator(&c);
    case DP_STEP_INPUT_MODALITIES:
        return of_missing(&c, "does not take",
                          filter->ask->input_modalities & ~(uint32_t)endpoint->input_modalities,
                          msg_modality_name);
    case DP_STEP_OUTPUT_MODALITIES:
        return of_missing(&c, "does not give",
                          filter->ask->output_modalities & ~(uint32_t)endpoint->output_modalities,
                          msg_modality_name);
    case DP_STEP_TOOLS:
        return SB_SLICE_LIT("does not support tools");
    case DP_STEP_PARAMETERS:
        return of_parameters(&c);
    case DP_STEP_CONTEXT_LENGTH:
        return of_context(&c);
    case DP_STEP_MAX_TOKENS:
        return sb_arena_printf(arena, "answers with at most %u tokens, %llu are asked for",
                               endpoint->max_completion_tokens,
                               (unsigned long long)filter->ask->max_tokens);
    case DP_STEP_MAX_COST:
        return of_cost(&c);
    case DP_STEP_MIN_THROUGHPUT:
        return of_measured(&c, true);
    case DP_STEP_MAX_LATENCY:
        return of_measured(&c, false);
    case DP_STEP_CREDENTIAL:
        return of_credential(&c);
    case DP_STEP_COUNT:
        break;
    }
    return SB_SLICE_NONE;
}
