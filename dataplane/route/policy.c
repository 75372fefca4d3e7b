/* dataplane/route/policy.c */
#include "dataplane/route/policy.h"

#include "common/arena.h"
#include "dataplane/route/filter.h"
#include "dataplane/route/requirements.h"
#include "dataplane/route/view.h"
#include "dataplane/route/warnings.h"

/* --- compiling one rule set ---------------------------------------------------------- */

/* A name with a slash is a full tag, one without is a provider slug; what is
 * neither may be a provider's display name, which clients of OpenRouter send. */
static dp_ref ref_of(const struct dp_snapshot *snapshot, struct sb_slice name)
{
    const struct dp_provider *provider = NULL;
    uint32_t tag;

    if (sb_slice_find(name, '/') < name.n) {
        tag = dp_snapshot_find_tag(snapshot, name);
        if (tag != DP_NONE)
            return tag | DP_REF_TAG;
    } else {
        provider = dp_snapshot_find_provider(snapshot, name);
    }
    if (provider == NULL)
        provider = dp_snapshot_find_provider_name(snapshot, name);
    return provider != NULL ? (dp_ref)(provider - snapshot->providers) : DP_REF_UNKNOWN;
}

static struct dp_refs compile_names(const struct dp_snapshot *snapshot,
                                    const struct msg_names *names, const char *member,
                                    struct sb_arena *arena, struct dp_warnings *unknown)
{
    dp_ref *ref;

    if (names->n == 0)
        return (struct dp_refs){.n = 0};
    ref = sb_arena_alloc_raw(arena, names->n * sizeof(*ref));
    for (uint32_t i = 0; i < names->n; i++) {
        ref[i] = ref_of(snapshot, names->name[i]);
        if (ref[i] == DP_REF_UNKNOWN && unknown != NULL)
            dp_warnings_add(unknown, arena, "%s: \"%.*s\" is not in the catalogue", member,
                            SB_SLICE_ARGS(names->name[i]));
    }
    return (struct dp_refs){.ref = ref, .n = names->n};
}

void dp_rules_compile(const struct dp_snapshot *snapshot, const struct msg_rules *said,
                      struct sb_arena *arena, struct dp_warnings *unknown,
                      struct dp_rules *ret_rules)
{
    uint32_t tag;

    *ret_rules = (struct dp_rules){
        .said = said,
        .order = compile_names(snapshot, &said->order, "provider.order", arena, unknown),
        .only = compile_names(snapshot, &said->only, "provider.only", arena, unknown),
        .ignore = compile_names(snapshot, &said->ignore, "provider.ignore", arena, unknown),
        .pin = DP_REF_UNKNOWN,
    };
    if (!msg_rules_say(said, MSG_RULE_PIN))
        return;
    tag = dp_snapshot_find_tag(snapshot, said->pin); /* a pin is a tag, with a slash or not */
    if (tag != DP_NONE)
        ret_rules->pin = tag | DP_REF_TAG;
    else if (unknown != NULL)
        dp_warnings_add(unknown, arena, "switchboard.pin: \"%.*s\" is not in the catalogue",
                        SB_SLICE_ARGS(said->pin));
}

uint32_t dp_refs_find(struct dp_refs refs, const struct dp_endpoint *endpoint)
{
    const dp_ref tag = endpoint->tag | DP_REF_TAG;

    for (uint32_t i = 0; i < refs.n; i++) {
        if (refs.ref[i] == tag || refs.ref[i] == endpoint->provider)
            return i;
    }
    return refs.n;
}

/* --- merging policy and request ---------------------------------------------------------- */

static void plan_init(struct dp_plan *plan)
{
    *plan = (struct dp_plan){
        .quantizations = UINT32_MAX,
        .max_cost = -1,
        .own_allowed = true,
        .house_allowed = true,
        .spill = true,
    };
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        plan->max_price[kind] = -1;
}

/* The lower of two limits, of which -1 is none. */
static sb_money lower(sb_money a, sb_money b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

/* Likewise, 0 being none. */
static uint32_t sooner(uint32_t a, uint32_t b)
{
    if (a == 0 || b == 0)
        return a | b;
    return a < b ? a : b;
}

static void add_residency(struct dp_plan *plan, const struct msg_rules *said)
{
    plan->steps |= DP_STEP_BIT(RESIDENCY);
    if (said->residency_eu) {
        plan->residency_eu = true;
        return;
    }
    for (size_t i = 0; i < MSG_COUNTRY_WORDS; i++) {
        if (plan->residency_listed)
            plan->residency.word[i] &= said->residency.word[i];
        else
            plan->residency.word[i] = said->residency.word[i];
    }
    plan->residency_listed = true;
}

static void add_operator_countries(struct dp_plan *plan, const struct msg_rules *said)
{
    plan->steps |= DP_STEP_BIT(OPERATOR_COUNTRIES);
    for (size_t i = 0; i < MSG_COUNTRY_WORDS; i++) {
        plan->operator_deny.word[i] |= said->operator_deny.word[i];
        if (!said->has_operator_allow)
            continue;
        if (plan->operator_listed)
            plan->operator_allow.word[i] &= said->operator_allow.word[i];
        else
            plan->operator_allow.word[i] = said->operator_allow.word[i];
    }
    plan->operator_listed |= said->has_operator_allow;
}

static void add_claims(struct dp_plan *plan, const struct msg_rules *said)
{
    if (said->deny_data_collection) {
        plan->steps |= DP_STEP_BIT(DATA_COLLECTION);
        plan->demanded |= 1U << MSG_CLAIM_NO_TRAINING;
    }
    if (said->zdr) {
        plan->steps |= DP_STEP_BIT(ZDR);
        plan->demanded |= 1U << MSG_CLAIM_ZDR;
    }
    if (said->distillable) {
        plan->steps |= DP_STEP_BIT(DISTILLABLE);
        plan->demanded |= 1U << MSG_CLAIM_DISTILLABLE;
    }
    if (msg_rules_say(said, MSG_RULE_RESIDENCY)) {
        add_residency(plan, said);
        plan->demanded |= 1U << MSG_CLAIM_EU_RESIDENT;
    }
}

static void add_limits(struct dp_plan *plan, const struct msg_rules *said)
{
    if (msg_rules_say(said, MSG_RULE_MAX_PRICE)) {
        plan->steps |= DP_STEP_BIT(MAX_PRICE);
        for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
            plan->max_price[kind] = lower(plan->max_price[kind], said->max_price[kind]);
        plan->limits_pieces |=
            said->max_price[MSG_PRICE_IMAGE] >= 0 || said->max_price[MSG_PRICE_AUDIO] >= 0;
    }
    if (msg_rules_say(said, MSG_RULE_MAX_COST)) {
        plan->steps |= DP_STEP_BIT(MAX_COST);
        plan->max_cost = lower(plan->max_cost, said->max_cost);
    }
    if (msg_rules_say(said, MSG_RULE_MIN_THROUGHPUT))
        plan->steps |= DP_STEP_BIT(MIN_THROUGHPUT);
    if (msg_rules_say(said, MSG_RULE_MAX_LATENCY))
        plan->steps |= DP_STEP_BIT(MAX_LATENCY);
    plan->first_token_timeout = sooner(plan->first_token_timeout, said->first_token_timeout);
    plan->attempt_timeout = sooner(plan->attempt_timeout, said->attempt_timeout);
    plan->deadline = sooner(plan->deadline, said->deadline);
}

/* Adds the hard rules of one set to those that are there. */
static void add_hard(struct dp_plan *plan, const struct dp_rules *rules)
{
    const struct msg_rules *said = rules->said;

    if (msg_rules_say(said, MSG_RULE_PIN))
        plan->steps |= DP_STEP_BIT(PIN);
    if (rules->only.n > 0)
        plan->steps |= DP_STEP_BIT(ONLY);
    if (rules->ignore.n > 0)
        plan->steps |= DP_STEP_BIT(IGNORE);
    if (rules->order.n > 0 && !said->allow_fallbacks)
        plan->steps |= DP_STEP_BIT(ORDER);
    if (msg_rules_say(said, MSG_RULE_QUANTIZATIONS)) {
        plan->steps |= DP_STEP_BIT(QUANTIZATIONS);
        plan->quantizations &= said->quantizations;
    }
    if (msg_rules_say(said, MSG_RULE_OPERATOR_COUNTRIES))
        add_operator_countries(plan, said);
    add_claims(plan, said);
    add_limits(plan, said);

    plan->require_parameters |= said->require_parameters;
    plan->only_first |= !said->allow_fallbacks && rules->order.n == 0;
    plan->spill &= said->spill;
    plan->own_allowed &= said->byok != MSG_BYOK_NEVER;
    plan->house_allowed &= said->byok != MSG_BYOK_ONLY;
    plan->strict |= said->strict;
    plan->explain |= said->explain;
    plan->audit_sync |= said->audit_sync;
    plan->charge_own_keys |= said->charge_own_keys;
}

/* Both must allow: whoever says nothing about it does not forbid it, but one
 * has to ask for it. */
static bool both_allow(const struct msg_rules *a, const struct msg_rules *b, enum msg_rule rule,
                       bool a_value, bool b_value)
{
    bool a_says = a != NULL && msg_rules_say(a, rule), b_says = b != NULL && msg_rules_say(b, rule);

    return (a_says || b_says) && (!a_says || a_value) && (!b_says || b_value);
}

/* Limits on what was measured stay with whoever set them: a request's
 * unknown_ok must not loosen the policy's threshold. */
static void keep_limits(struct dp_plan *plan)
{
    for (int by = 0; by < DP_BY_COUNT; by++) {
        const struct dp_rules *mine = plan->set[by], *other = plan->set[!by];

        if (mine == NULL)
            continue;
        plan->limit[by].min_throughput = mine->said->min_throughput;
        plan->limit[by].max_latency = mine->said->max_latency;
        plan->limit[by].unknown_ok =
            mine->said->unknown_ok &&
            (other == NULL || !msg_rules_say(other->said, MSG_RULE_UNKNOWN_OK) ||
             other->said->unknown_ok);
    }
}

/* Soft preferences of one set replace those that are there.  `order` and
 * `sort` are one preference: a request that sorts does not mean to keep the
 * policy's order. */
static void replace_soft(struct dp_plan *plan, const struct dp_rules *rules)
{
    const struct msg_rules *said = rules->said;

    if (rules->order.n > 0 || msg_rules_say(said, MSG_RULE_SORT)) {
        plan->order = rules->order;
        plan->order_is_closed = rules->order.n > 0 && !said->allow_fallbacks;
        plan->sort = said->sort == MSG_SORT_EXACTO ? MSG_SORT_NONE : said->sort;
        plan->sort_across_models = rules->order.n == 0 && said->sort_across_models;
    }
    if (msg_rules_say(said, MSG_RULE_PREFERRED_MIN_THROUGHPUT)) {
        plan->prefers = true;
        plan->preferred_min_throughput = said->preferred_min_throughput;
    }
    if (msg_rules_say(said, MSG_RULE_PREFERRED_MAX_LATENCY)) {
        plan->prefers = true;
        plan->preferred_max_latency = said->preferred_max_latency;
    }
    if (msg_rules_say(said, MSG_RULE_BYOK))
        plan->own_last = said->byok == MSG_BYOK_LAST;
    if (said->session_id.n > 0)
        plan->session_id = said->session_id;
}

/* Steps that the body switches on, whatever the rules say. */
static void add_required(struct dp_plan *plan, const struct dp_requirements *ask)
{
    plan->steps |= DP_STEP_BIT(DIALECT) | DP_STEP_BIT(OUTPUT_MODALITIES) |
                   DP_STEP_BIT(CONTEXT_LENGTH) | DP_STEP_BIT(CREDENTIAL);
    if (ask->input_modalities != 0)
        plan->steps |= DP_STEP_BIT(INPUT_MODALITIES);
    if ((ask->parameters >> MSG_PARAMETER_TOOLS & 1) != 0)
        plan->steps |= DP_STEP_BIT(TOOLS);
    if (plan->require_parameters || ask->restricting != 0)
        plan->steps |= DP_STEP_BIT(PARAMETERS);
    if (ask->max_tokens > 0)
        plan->steps |= DP_STEP_BIT(MAX_TOKENS);
}

void dp_plan_merge(const struct dp_rules *policy, const struct dp_rules *request,
                   const struct dp_requirements *ask, struct dp_plan *ret_plan)
{
    static const struct msg_cutoffs none = {
        .at = {MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA}};
    struct dp_plan *plan = ret_plan;
    const struct msg_rules *a = policy != NULL ? policy->said : NULL;
    const struct msg_rules *b = request != NULL ? request->said : NULL;

    plan_init(plan);
    plan->set[DP_BY_POLICY] = policy;
    plan->set[DP_BY_REQUEST] = request;
    plan->preferred_min_throughput = plan->preferred_max_latency = none;
    for (int by = 0; by < DP_BY_COUNT; by++) {
        if (plan->set[by] == NULL)
            continue;
        add_hard(plan, plan->set[by]);
        replace_soft(plan, plan->set[by]); /* the request comes second */
    }
    keep_limits(plan);
    plan->fallback_on_refusal =
        both_allow(a, b, MSG_RULE_FALLBACK_ON_REFUSAL, a != NULL && a->fallback_on_refusal,
                   b != NULL && b->fallback_on_refusal);
    add_required(plan, ask);
}

/* --- questions -------------------------------------------------------------------------- */

bool dp_policy_allows_model(const struct dp_rules *policy, struct sb_slice model_id)
{
    const struct msg_names *allowed;

    if (policy == NULL || !msg_rules_say(policy->said, MSG_RULE_ALLOWED_MODELS))
        return true;
    allowed = &policy->said->allowed_models;
    for (uint32_t i = 0; i < allowed->n; i++) {
        if (msg_pattern_matches(allowed->name[i], model_id))
            return true;
    }
    return false;
}

struct sb_slice dp_countries_text(const struct msg_countries *countries, bool eu,
                                  struct sb_arena *arena)
{
    char *text =
        sb_arena_alloc_raw(arena, (size_t)MSG_COUNTRIES * MSG_COUNTRY_CODE + sizeof("eu,"));
    size_t n = 0;

    if (eu) {
        text[n++] = 'e';
        text[n++] = 'u';
        text[n++] = ',';
    }
    for (int country = 0; country < MSG_COUNTRIES; country++) {
        if (!msg_countries_have(countries, country))
            continue;
        msg_country_format(country, text + n);
        n += 2;
        text[n++] = ',';
    }
    return n > 0 ? sb_slice_make(text, n - 1) : SB_SLICE_NONE;
}

struct sb_slice dp_plan_residency(const struct dp_plan *plan, struct sb_arena *arena)
{
    if ((plan->steps & DP_STEP_BIT(RESIDENCY)) == 0)
        return SB_SLICE_NONE;
    if (!plan->residency_listed)
        return SB_SLICE_LIT("eu");
    return dp_countries_text(&plan->residency, plan->residency_eu, arena);
}
