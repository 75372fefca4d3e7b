/* proto/bill.c */
#include "proto/bill.h"

#include "proto/tariff.h"

/* Tokens times a price, before it is cut to an amount. */
__extension__ typedef __int128 wide;

static int64_t saturate(wide amount)
{
    return amount > INT64_MAX ? INT64_MAX : amount < 0 ? 0 : (int64_t)amount;
}

static wide price_of(const struct msg_prices *prices, enum msg_price kind, enum msg_price instead)
{
    if (prices->at[kind] >= 0)
        return prices->at[kind];
    return prices->at[instead] >= 0 ? prices->at[instead] : 0;
}

struct msg_bill msg_bill_make(const struct msg_prices *prices, const struct msg_usage *usage)
{
    /* a provider may say more cached tokens than tokens */
    uint64_t cached =
        usage->cached_tokens < usage->prompt_tokens ? usage->cached_tokens : usage->prompt_tokens;
    uint64_t left = usage->prompt_tokens - cached;
    uint64_t written = usage->cache_write_tokens < left ? usage->cache_write_tokens : left;
    uint64_t reasoned = usage->reasoning_tokens < usage->completion_tokens
                            ? usage->reasoning_tokens
                            : usage->completion_tokens;
    wide prompt, completion, request;

    prompt = price_of(prices, MSG_PRICE_PROMPT, MSG_PRICE_PROMPT) * (left - written) +
             price_of(prices, MSG_PRICE_CACHE_READ, MSG_PRICE_PROMPT) * cached +
             price_of(prices, MSG_PRICE_CACHE_WRITE, MSG_PRICE_PROMPT) * written;
    completion = price_of(prices, MSG_PRICE_COMPLETION, MSG_PRICE_COMPLETION) *
                     (usage->completion_tokens - reasoned) +
                 price_of(prices, MSG_PRICE_REASONING, MSG_PRICE_COMPLETION) * reasoned;
    request = price_of(prices, MSG_PRICE_REQUEST, MSG_PRICE_REQUEST);
    return (struct msg_bill){
        .prompt = saturate(prompt),
        .completion = saturate(completion),
        .total = saturate(prompt + completion + request),
    };
}

struct msg_bill msg_bill_make_at(const struct msg_tariff *tariff, int64_t unix_seconds,
                                 const struct msg_usage *usage)
{
    struct msg_prices prices;

    (void)msg_tariff_at(tariff, usage->prompt_tokens, msg_moment_of(unix_seconds), &prices);
    return msg_bill_make(&prices, usage);
}
