/* dataplane/route/prices.c */
#include "dataplane/route/prices.h"

#include "common/json.h"
#include "dataplane/route/filter.h"
#include "dataplane/route/requirements.h"
#include "dataplane/route/view.h"
#include "proto/tariff.h"

/* --- now ------------------------------------------------------------------------------ */

static uint64_t estimate(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    uint32_t image_tokens = filter->snapshot->models[endpoint->model].row->image_tokens;

    return (uint64_t)(dp_requirements_tokens(filter->ask) + 0.5) +
           (uint64_t)filter->ask->images * image_tokens;
}

uint32_t dp_prices_in_force(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                            struct msg_prices *ret_prices)
{
    const struct msg_tariff tariff = msg_endpoint_tariff(endpoint->row);

    return msg_tariff_at(&tariff, estimate(filter, endpoint), filter->moment, ret_prices);
}

/* The same for the three prices that a decision weighs every endpoint by. */
double dp_prices_cost(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                      double prompt, double completion, uint32_t *ret_applied)
{
    int64_t price[] = {endpoint->prompt, endpoint->completion, endpoint->request};
    const struct msg_override *override = endpoint->row->overrides;
    const uint64_t tokens = estimate(filter, endpoint);
    uint32_t applied = 0;
    double cost;

    for (uint32_t i = 0; i < endpoint->n_overrides; i++, override++) {
        if (!msg_override_applies(override, tokens, filter->moment))
            continue;
        applied |= UINT32_C(1) << i;
        for (int kind = 0; kind <= MSG_PRICE_REQUEST; kind++) {
            if (override->price[kind] >= 0)
                price[kind] = override->price[kind];
        }
    }
    *ret_applied = applied;
    cost = (prompt * (double)price[MSG_PRICE_PROMPT] +
            completion * (double)price[MSG_PRICE_COMPLETION] + (double)price[MSG_PRICE_REQUEST]) *
           1e-15;
    return cost > DP_COST_MIN ? cost : DP_COST_MIN;
}
_Static_assert(MSG_PRICE_PROMPT == 0 && MSG_PRICE_COMPLETION == 1 && MSG_PRICE_REQUEST == 2,
               "the order of the prices above");

/* --- at most ---------------------------------------------------------------------------- */

/* a + price * count, stopping at SB_MONEY_MAX. */
static sb_money add_cost(sb_money a, int64_t price, uint64_t count)
{
    sb_money product, sum;

    if (price <= 0)
        return a;
    if (__builtin_mul_overflow(price, count, &product) || __builtin_add_overflow(a, product, &sum))
        return SB_MONEY_MAX;
    return sum;
}

static int64_t dearer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static sb_money worst_at(const int64_t *price, const struct dp_requirements *ask, uint64_t prompt,
                         uint64_t completion)
{
    sb_money cost =
        add_cost(0, dearer(price[MSG_PRICE_PROMPT], price[MSG_PRICE_CACHE_WRITE]), prompt);

    cost =
        add_cost(cost, dearer(price[MSG_PRICE_COMPLETION], price[MSG_PRICE_REASONING]), completion);
    cost = add_cost(cost, price[MSG_PRICE_REQUEST], 1);
    cost = add_cost(cost, price[MSG_PRICE_IMAGE], ask->images);
    return add_cost(cost, price[MSG_PRICE_AUDIO], ask->audios);
}

/* With prices that change with the length, the longest prompt need not be the
 * dearest: the longest before each change is looked at too. */
static sb_money worst_of_all(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                             uint64_t prompt, uint64_t completion)
{
    const struct msg_tariff tariff = msg_endpoint_tariff(endpoint->row);
    struct msg_prices prices;
    sb_money worst;

    (void)msg_tariff_at(&tariff, prompt, filter->moment, &prices);
    worst = worst_at(prices.at, filter->ask, prompt, completion);
    for (size_t i = 0; i < tariff.n_overrides; i++) {
        uint64_t before = tariff.overrides[i].min_prompt_tokens;

        if (before == 0 || before >= prompt)
            continue;
        (void)msg_tariff_at(&tariff, before, filter->moment, &prices);
        worst = dearer(worst, worst_at(prices.at, filter->ask, before, completion));
    }
    return worst;
}

sb_money dp_prices_worst(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    const struct dp_requirements *ask = filter->ask;
    uint32_t image_tokens = filter->snapshot->models[endpoint->model].row->image_tokens;
    uint64_t prompt = dp_requirements_tokens_at_most(ask) + (uint64_t)ask->images * image_tokens;
    uint64_t completion = ask->max_tokens;

    if (completion == 0)
        completion = endpoint->max_completion_tokens;
    if (completion == 0)
        completion = endpoint->context_length;
    if (__builtin_mul_overflow(completion, (uint64_t)ask->n, &completion))
        return SB_MONEY_MAX;
    return endpoint->n_overrides > 0 ? worst_of_all(filter, endpoint, prompt, completion)
                                     : worst_at(endpoint->row->price, ask, prompt, completion);
}

/* --- shown -------------------------------------------------------------------------------- */

static void add_price(struct sb_json *json, int kind, int64_t price)
{
    char text[SB_MONEY_TEXT_MAX];

    sb_json_add_text(json, msg_price_name(kind), sb_slice_make(text, sb_money_format(price, text)));
}

void dp_prices_add(struct sb_json *json, const int64_t price[MSG_PRICE_COUNT])
{
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++) {
        if (price[kind] >= 0)
            add_price(json, kind, price[kind]);
        else if (kind == MSG_PRICE_PROMPT || kind == MSG_PRICE_COMPLETION) /* clients insist */
            add_price(json, kind, 0);
    }
}

/* 1030: half past ten. */
static uint64_t clock_number(uint16_t minute)
{
    return (uint64_t)minute / 60 * 100 + minute % 60;
}

void dp_prices_add_override(struct sb_json *json, const struct msg_override *override)
{
    if (override->min_prompt_tokens > 0)
        sb_json_add_u64(json, "min_prompt_tokens", override->min_prompt_tokens);
    if (override->from != override->until) {
        sb_json_add_u64(json, "utc_start", clock_number(override->from));
        sb_json_add_u64(json, "utc_end", clock_number(override->until));
    }
    if (override->days != 0) {
        sb_json_add_array(json, "utc_days");
        for (unsigned days = override->days; days != 0; days &= days - 1)
            sb_json_put_text(json, sb_slice_of(msg_day_name(__builtin_ctz(days))));
        sb_json_close_array(json);
    }
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++) {
        if (override->price[kind] >= 0)
            add_price(json, kind, override->price[kind]);
    }
}
