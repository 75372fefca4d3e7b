/* proto/tariff.h - which of an endpoint's prices are in force.
 *
 * An endpoint has base prices, and overrides with conditions: prompts longer
 * than so many tokens, hours of the UTC day, days of the week.  An override
 * applies while all conditions that it has hold.  Those that apply are taken
 * in their order, so that for each price the last one that names it wins; what
 * none of them names is the base price.
 *
 *      min_prompt_tokens   the prompt has more tokens than that, cached ones
 *                          counted too
 *      hours               [from, until): the first minute counts, the last
 *                          does not; the range may go past midnight
 *      days                of the moment itself, so that a range past midnight
 *                          needs both of its days to apply in both parts
 *
 * The same rule serves routing (by the estimate of the prompt), bills (by what
 * the provider counted) and probes.  The moment is when the request was
 * received, for all of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/bill.h"
#include "proto/snapshot.h"

/* An endpoint's prices, borrowed from its row or from a copy of it. */
struct msg_tariff {
    const int64_t *price; /* MSG_PRICE_COUNT, as msg_endpoint.price */
    const struct msg_override *overrides;
    size_t n_overrides; /* at most MSG_OVERRIDES_MAX */
};

static inline struct msg_tariff msg_endpoint_tariff(const struct msg_endpoint *endpoint)
{
    return (struct msg_tariff){.price = endpoint->price,
                               .overrides = endpoint->overrides,
                               .n_overrides = endpoint->n_overrides};
}

/* A moment as overrides see it, worked out once for many of them. */
struct msg_moment {
    uint16_t minute; /* of the UTC day */
    uint8_t day;     /* bit 1 << enum msg_day */
};
struct msg_moment msg_moment_of(int64_t unix_seconds);

static inline bool msg_override_applies(const struct msg_override *override, uint64_t prompt_tokens,
                                        struct msg_moment moment)
{
    bool is_behind = moment.minute >= override->from, is_before = moment.minute < override->until;

    if (override->min_prompt_tokens > 0 && prompt_tokens <= override->min_prompt_tokens)
        return false;
    if (override->days != 0 && (override->days & moment.day) == 0)
        return false;
    if (override->from < override->until)
        return is_behind && is_before;
    return override->from == override->until || is_behind || is_before;
}

/* The prices in force.  Returns which overrides apply: bits 1 << their index. */
uint32_t msg_tariff_at(const struct msg_tariff *tariff, uint64_t prompt_tokens,
                       struct msg_moment moment, struct msg_prices *ret_prices);

/* For each price the dearest that can ever be in force. */
void msg_tariff_dearest(const struct msg_tariff *tariff, struct msg_prices *ret_prices);
