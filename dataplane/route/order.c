/* dataplane/route/order.c */
#include "dataplane/route/order.h"

#include <math.h>

#include "common/arena.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/draw.h"
#include "dataplane/route/own_keys.h"
#include "dataplane/route/prices.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"

enum {
    EXPECTED_COMPLETION = 256, /* tokens, where nobody has measured any */
    KEYS_MAX = DP_ATTEMPTS_MAX,
    CLASS_BIT = 31,
    BEHIND_BIT = 30,
    UNHEALTHY_BIT = 29,
    MODEL_BIT = 26, /* three bits: DP_MODELS_MAX */
};
#define UNHEALTHY (UINT32_C(1) << UNHEALTHY_BIT)

const char *dp_health_name(enum dp_health health)
{
    switch (health) {
#define X(name, text)                                                                              \
    case DP_HEALTH_##name:                                                                         \
        return (text);
        DP_HEALTH_MAP(X)
#undef X
    }
    return "unknown";
}

/* --- the parts of a rank --------------------------------------------------------------- */

/* Tokens that one answer is expected to have. */
static double expected_completion(const struct dp_order *order, const struct dp_model *model)
{
    const struct dp_filter *filter = order->filter;
    double mean = dp_tables_mean_completion(filter->tables, filter->snapshot, model, filter->now);
    double limit = (double)filter->ask->max_tokens;

    if (mean <= 0)
        mean = EXPECTED_COMPLETION;
    return limit > 0 && limit < mean ? limit : mean;
}

_Static_assert(MSG_OVERRIDES_MAX <= 16, "bits of dp_entry.overrides");

/* USD that the draw weighs an endpoint by: of this request, or, so that a
 * conversation's weights stay put while it grows, of the usual one; in both
 * cases at the prices in force for this request, so that a conversation may
 * move when it reaches an override, and then stays put again. */
static double cost_at(const struct dp_order *order, const struct dp_endpoint *endpoint,
                      uint32_t model, uint16_t *ret_overrides)
{
    const double prompt = order->sticky ? DP_BASE_PROMPT : order->model[model].prompt;
    const double completion = order->sticky ? DP_BASE_COMPLETION : order->model[model].completion;
    uint32_t applied = 0;
    double cost;

    if (SB_UNLIKELY(endpoint->n_overrides > 0))
        cost = dp_prices_cost(order->filter, endpoint, prompt, completion, &applied);
    else if (order->sticky)
        cost = endpoint->base;
    else
        cost = dp_endpoint_cost(endpoint, prompt, completion);
    *ret_overrides = (uint16_t)applied;
    return cost;
}

static double sort_value(enum msg_sort sort, double cost, const struct dp_row *row, sb_msec now)
{
    switch (sort) {
    case MSG_SORT_PRICE:
        return cost;
    case MSG_SORT_THROUGHPUT:
        if (!dp_row_is_fresh(row, now) || row->throughput[0] == MSG_NO_DATA)
            return INFINITY;
        return -(double)row->throughput[0];
    case MSG_SORT_LATENCY:
        if (!dp_row_is_fresh(row, now) || row->first_token[0] == MSG_NO_DATA)
            return INFINITY;
        return row->first_token[0];
    case MSG_SORT_NONE:
    case MSG_SORT_EXACTO:
        break;
    }
    return 0;
}

static bool misses_preference(const struct dp_filter *filter, const struct dp_row *row)
{
    const struct dp_plan *plan = filter->plan;

    return plan->prefers &&
           (!dp_row_has_throughput(row, &plan->preferred_min_throughput, filter->now, false) ||
            !dp_row_has_latency(row, &plan->preferred_max_latency, filter->now, false));
}

static bool misses_context(const struct dp_order *order, const struct dp_endpoint *endpoint,
                           uint32_t model)
{
    double prompt = order->model[model].prompt;

    return prompt + (double)order->filter->ask->max_tokens > endpoint->context_length ||
           (endpoint->max_prompt_tokens > 0 && prompt > endpoint->max_prompt_tokens);
}

/* What happens on own keys says nothing about the house's, and the other way
 * round: the tables' cooldown is of house credentials. */
static enum dp_health pair_health(const struct dp_order *order, const struct dp_endpoint *endpoint,
                                  const struct dp_row *row, enum msg_credential_kind kind,
                                  const struct msg_credential *credential)
{
    sb_msec now = order->filter->now;

    if (row != NULL && now < row->outage_until)
        return DP_HEALTH_OUTAGE;
    if (row != NULL && now < row->cooldown_until && kind != MSG_CREDENTIAL_KIND_OWN)
        return DP_HEALTH_COOLDOWN;
    if (order->health == NULL || order->health->all_good)
        return DP_HEALTH_GOOD;
    return order->health->health(order->health, endpoint->row->id,
                                 credential != NULL ? credential->id : 0, now);
}

/* Whether any pair of the class is good. */
static bool class_is_healthy(const struct dp_order *order, const struct dp_endpoint *endpoint,
                             const struct dp_row *row, enum msg_credential_kind kind)
{
    struct dp_credentials keys;

    if (row == NULL && (order->health == NULL || order->health->all_good))
        return true;
    keys = dp_class_keys(order->filter, endpoint, kind);
    if (keys.n == 0)
        return pair_health(order, endpoint, row, kind, NULL) == DP_HEALTH_GOOD;
    for (uint32_t i = 0; i < keys.n && i < KEYS_MAX; i++) {
        if (pair_health(order, endpoint, row, kind, &keys.first[i]) == DP_HEALTH_GOOD)
            return true;
    }
    return false;
}

static uint32_t class_bit(const struct dp_plan *plan, enum msg_credential_kind kind)
{
    bool own = kind == MSG_CREDENTIAL_KIND_OWN;

    return (uint32_t)(own == plan->own_last) << CLASS_BIT;
}

/* --- keeping the best --------------------------------------------------------------------- */

/* Whether a rank can enter the list; its score is the least that it can be. */
static bool may_enter(const struct dp_order *order, uint32_t model, const struct dp_rank *rank)
{
    uint32_t n = order->model[model].n;

    return order->keep_all || n < order->model[model].max ||
           dp_rank_before(rank, &order->model[model].best[n - 1].rank);
}

static void keep(struct dp_order *order, const struct dp_entry *entry)
{
    struct dp_entry *best = order->model[entry->model].best;
    uint32_t *n = &order->model[entry->model].n, at;

    if (order->keep_all) {
        best[(*n)++] = *entry;
        return;
    }
    if (*n == order->model[entry->model].max) {
        if (!dp_rank_before(&entry->rank, &best[*n - 1].rank))
            return;
        --*n;
    }
    for (at = *n; at > 0 && dp_rank_before(&entry->rank, &best[at - 1].rank); at--)
        best[at] = best[at - 1];
    best[at] = *entry;
    ++*n;
}

void dp_order_init(struct dp_order *order, const struct dp_models *models)
{
    const struct dp_filter *filter = order->filter;
    const struct dp_plan *plan = filter->plan;
    const struct dp_requirements *ask = filter->ask;

    order->needs_rows = plan->prefers || dp_tables_have_marks(filter->tables, filter->now);
    order->n_models = models->n;
    for (uint32_t i = 0; i < models->n; i++) {
        const struct dp_model *model = models->at[i].model;
        enum msg_sort suffix = models->at[i].sort;

        order->model[i].prompt =
            dp_requirements_tokens(ask) + (double)ask->images * model->row->image_tokens;
        order->model[i].completion = expected_completion(order, model) * ask->n;
        order->model[i].sort = plan->sort;
        if (suffix != MSG_SORT_NONE && suffix != MSG_SORT_EXACTO && !plan->sort_across_models)
            order->model[i].sort = suffix; /* said of this model alone */
        if (plan->order.n > 0)
            order->model[i].sort = MSG_SORT_NONE;
        order->needs_rows |=
            order->model[i].sort == MSG_SORT_THROUGHPUT || order->model[i].sort == MSG_SORT_LATENCY;
        order->model[i].n = 0;
        order->model[i].max = 2 * model->n; /* both classes */
        if (!order->keep_all && order->model[i].max > DP_ATTEMPTS_MAX)
            order->model[i].max = DP_ATTEMPTS_MAX;
        order->model[i].best =
            sb_arena_alloc_raw(order->arena, order->model[i].max * sizeof(struct dp_entry) + 1);
    }
}

/* The row that matters to this order, or NULL. */
static const struct dp_row *row_of(const struct dp_order *order, const struct dp_endpoint *endpoint)
{
    const struct dp_filter *filter = order->filter;

    return order->needs_rows ? dp_tables_find(filter->tables, filter->snapshot, endpoint) : NULL;
}

void dp_order_add(struct dp_order *order, const struct dp_endpoint *endpoint, uint32_t model)
{
    const struct dp_filter *filter = order->filter;
    const struct dp_plan *plan = filter->plan;
    const struct dp_row *row = row_of(order, endpoint);
    const bool misses = misses_preference(filter, row);
    const bool too_long = misses_context(order, endpoint, model);
    uint16_t overrides;
    const double cost = cost_at(order, endpoint, model, &overrides);
    const double uniform = dp_draw_uniform(order->conversation, endpoint->mix);
    const double least = dp_draw_score_least(uniform, cost);
    struct dp_rank rank = {
        .prefix =
            (uint32_t)(misses || too_long) << BEHIND_BIT | dp_refs_find(plan->order, endpoint),
        .value = sort_value(order->model[model].sort, cost, row, filter->now),
        .score = least, /* until it is worth the logarithm */
    };
    enum msg_credential_kind kinds[2];
    uint32_t n_kinds = dp_classes_of(filter, endpoint, kinds);

    if (!plan->sort_across_models)
        rank.prefix |= model << MODEL_BIT;
    for (uint32_t i = 0; i < n_kinds; i++) {
        struct dp_rank mine = rank;

        mine.prefix |= class_bit(plan, kinds[i]);
        if (!plan->order_is_closed && !class_is_healthy(order, endpoint, row, kinds[i]))
            mine.prefix |= UNHEALTHY;
        if (!may_enter(order, model, &mine))
            continue;
        mine.score = dp_draw_score(uniform, cost);
        keep(order, &(struct dp_entry){
                        .rank = mine,
                        .endpoint = endpoint,
                        .cost = cost,
                        .overrides = overrides,
                        .kind = (uint8_t)kinds[i],
                        .model = (uint8_t)model,
                        .misses_preference = misses,
                        .misses_context = too_long,
                    });
    }
}

/* --- pairs in sequence ----------------------------------------------------------------------- */

static void make_pair(const struct dp_order *order, const struct dp_entry *entry,
                      const struct msg_credential *credential, struct dp_candidate *ret_pair)
{
    const uint64_t limits = UINT64_C(1) << MSG_PARAMETER_MAX_TOKENS |
                            UINT64_C(1) << MSG_PARAMETER_MAX_COMPLETION_TOKENS;
    const struct dp_filter *filter = order->filter;
    enum dp_health health = pair_health(order, entry->endpoint, row_of(order, entry->endpoint),
                                        (enum msg_credential_kind)entry->kind, credential);

    *ret_pair = (struct dp_candidate){
        .endpoint = entry->endpoint,
        .credential = credential,
        .dropped = filter->ask->parameters & ~entry->endpoint->parameters & ~limits,
        .rank = entry->rank,
        .cost = entry->cost,
        .overrides = entry->overrides,
        .kind = entry->kind,
        .model = entry->model,
        .health = (uint8_t)health,
        .misses_preference = entry->misses_preference,
        .misses_context = entry->misses_context,
    };
    if (health != DP_HEALTH_GOOD && !filter->plan->order_is_closed)
        ret_pair->rank.prefix |= UNHEALTHY;
}

/* Sorts pointers, keeping the sequence of equals: the keys of one endpoint.
 * The list is sorted already but for what unhealthy pairs and thresholds
 * move, so insertion is cheap; for explain, which keeps all, it is halved
 * first. */
static void sort_pairs(const struct dp_candidate **pair, uint32_t n,
                       const struct dp_candidate **scratch)
{
    uint32_t half = n / 2, a = 0, b = half, at = 0;

    if (n <= 64) {
        for (uint32_t i = 1; i < n; i++) {
            const struct dp_candidate *moved = pair[i];

            for (at = i; at > 0 && dp_rank_before(&moved->rank, &pair[at - 1]->rank); at--)
                pair[at] = pair[at - 1];
            pair[at] = moved;
        }
        return;
    }
    sort_pairs(pair, half, scratch);
    sort_pairs(pair + half, n - half, scratch);
    for (uint32_t i = 0; i < n; i++)
        scratch[i] = pair[i];
    while (at < n) {
        bool second = a == half || (b < n && dp_rank_before(&scratch[b]->rank, &scratch[a]->rank));

        pair[at++] = second ? scratch[b++] : scratch[a++];
    }
}

static uint32_t count_pairs(const struct dp_order *order)
{
    uint32_t n = 0;

    for (uint32_t model = 0; model < order->n_models; model++) {
        for (uint32_t i = 0; i < order->model[model].n; i++) {
            const struct dp_entry *entry = &order->model[model].best[i];
            uint32_t keys =
                dp_class_keys(order->filter, entry->endpoint, (enum msg_credential_kind)entry->kind)
                    .n;

            n += keys == 0 ? 1 : keys < KEYS_MAX ? keys : KEYS_MAX;
        }
    }
    return n;
}

uint32_t dp_order_finish(struct dp_order *order, struct dp_candidate **ret_candidates)
{
    size_t max = count_pairs(order);
    struct dp_candidate *pair = sb_arena_alloc_raw(order->arena, 2 * max * sizeof(*pair) + 1);
    struct dp_candidate *sorted = pair + max;
    const struct dp_candidate **at = /* half of it scratch */
        sb_arena_alloc_raw(order->arena, 2 * max * sizeof(const struct dp_candidate *) + 1);
    uint32_t n = 0;

    for (uint32_t model = 0; model < order->n_models; model++) {
        for (uint32_t i = 0; i < order->model[model].n; i++) {
            const struct dp_entry *entry = &order->model[model].best[i];
            struct dp_credentials keys = dp_class_keys(order->filter, entry->endpoint,
                                                       (enum msg_credential_kind)entry->kind);

            if (keys.n == 0)
                make_pair(order, entry, NULL, &pair[n++]);
            for (uint32_t key = 0; key < keys.n && key < KEYS_MAX; key++)
                make_pair(order, entry, &keys.first[key], &pair[n++]);
        }
    }
    for (uint32_t i = 0; i < n; i++)
        at[i] = &pair[i];
    sort_pairs(at, n, at + max);
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = *at[i];
    *ret_candidates = sorted;
    return n;
}
