/* dataplane/bill.c */
#include "dataplane/bill.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/money.h"

/* Tokens times a price, before it is cut to an amount. */
__extension__ typedef __int128 wide;

static int64_t saturate(wide amount)
{
    return amount > INT64_MAX ? INT64_MAX : amount < 0 ? 0 : (int64_t)amount;
}

static wide price_of(const struct dp_prices *prices, enum msg_price kind, enum msg_price instead)
{
    if (prices->at[kind] >= 0)
        return prices->at[kind];
    return prices->at[instead] >= 0 ? prices->at[instead] : 0;
}

struct dp_bill dp_bill_make(const struct dp_prices *prices, const struct msg_usage *usage)
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
    return (struct dp_bill){
        .prompt = saturate(prompt),
        .completion = saturate(completion),
        .total = saturate(prompt + completion + request),
    };
}

void dp_usage_estimate(struct msg_usage *usage, double prompt_tokens, uint64_t content_bytes)
{
    if (usage->source == MSG_USAGE_SOURCE_PROVIDER)
        return;
    *usage = (struct msg_usage){
        .prompt_tokens = (uint64_t)(prompt_tokens + 0.5),
        .completion_tokens = (content_bytes + 3) / 4,
        .source = MSG_USAGE_SOURCE_ESTIMATED,
    };
}

static void add_money(struct sb_json *json, const char *name, int64_t amount)
{
    char text[SB_MONEY_TEXT_MAX];
    size_t n = sb_money_format(amount, text);

    sb_json_add_raw(json, name, sb_slice_make(text, n));
}

struct sb_slice dp_usage_json(const struct msg_usage *usage, const struct dp_bill *bill,
                              int64_t charged, bool is_byok, struct sb_buf *out)
{
    size_t start = sb_buf_len(out);
    struct sb_json json;

    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_u64(&json, "prompt_tokens", usage->prompt_tokens);
    sb_json_add_u64(&json, "completion_tokens", usage->completion_tokens);
    sb_json_add_u64(&json, "total_tokens", usage->prompt_tokens + usage->completion_tokens);
    sb_json_add_object(&json, "prompt_tokens_details");
    sb_json_add_u64(&json, "cached_tokens", usage->cached_tokens);
    sb_json_add_u64(&json, "cache_write_tokens", usage->cache_write_tokens);
    sb_json_close_object(&json);
    sb_json_add_object(&json, "completion_tokens_details");
    sb_json_add_u64(&json, "reasoning_tokens", usage->reasoning_tokens);
    sb_json_close_object(&json);
    add_money(&json, "cost", charged);
    sb_json_add_bool(&json, "is_byok", is_byok);
    sb_json_add_object(&json, "cost_details");
    add_money(&json, "upstream_inference_cost", bill->total);
    add_money(&json, "upstream_inference_prompt_cost", bill->prompt);
    add_money(&json, "upstream_inference_completions_cost", bill->completion);
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK)
        return SB_SLICE_NONE;
    return sb_slice_from(sb_buf_slice(out), start);
}
