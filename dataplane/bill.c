/* dataplane/bill.c */
#include "dataplane/bill.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/money.h"
#include "common/num.h"

/* Pieces of the usage object: 420 bytes of text, 6 counts, 4 amounts. */
enum { USAGE_MAX = 1024 };

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

/* The object's text is the same but for its numbers; it is in every answer, so
 * it is put together from pieces instead of by a writer. */
struct text {
    char *p;
};

static void put(struct text *text, struct sb_slice piece)
{
    memcpy(text->p, piece.p, piece.n);
    text->p += piece.n;
}

static void put_count(struct text *text, struct sb_slice name, uint64_t n)
{
    put(text, name);
    text->p += sb_num_put_u64(text->p, n);
}

static void put_money(struct text *text, struct sb_slice name, int64_t amount)
{
    char digits[SB_MONEY_TEXT_MAX];

    put(text, name);
    put(text, sb_slice_make(digits, sb_money_format(amount, digits)));
}

struct sb_slice dp_usage_json(const struct msg_usage *usage, const struct dp_bill *bill,
                              int64_t charged, bool is_byok, struct sb_buf *out)
{
    size_t start = sb_buf_len(out);
    struct text text;

    if (sb_buf_reserve(out, USAGE_MAX) != SB_OK)
        return SB_SLICE_NONE;
    text.p = sb_buf_end(out);
    put_count(&text, SB_SLICE_LIT("{\"prompt_tokens\":"), usage->prompt_tokens);
    put_count(&text, SB_SLICE_LIT(",\"completion_tokens\":"), usage->completion_tokens);
    put_count(&text, SB_SLICE_LIT(",\"total_tokens\":"),
              usage->prompt_tokens + usage->completion_tokens);
    put_count(&text, SB_SLICE_LIT(",\"prompt_tokens_details\":{\"cached_tokens\":"),
              usage->cached_tokens);
    put_count(&text, SB_SLICE_LIT(",\"cache_write_tokens\":"), usage->cache_write_tokens);
    put_count(&text, SB_SLICE_LIT("},\"completion_tokens_details\":{\"reasoning_tokens\":"),
              usage->reasoning_tokens);
    put_money(&text, SB_SLICE_LIT("},\"cost\":"), charged);
    put(&text, is_byok ? SB_SLICE_LIT(",\"is_byok\":true") : SB_SLICE_LIT(",\"is_byok\":false"));
    put_money(&text, SB_SLICE_LIT(",\"cost_details\":{\"upstream_inference_cost\":"), bill->total);
    put_money(&text, SB_SLICE_LIT(",\"upstream_inference_prompt_cost\":"), bill->prompt);
    put_money(&text, SB_SLICE_LIT(",\"upstream_inference_completions_cost\":"), bill->completion);
    put(&text, SB_SLICE_LIT("}}"));
    sb_buf_commit(out, (size_t)(text.p - sb_buf_end(out)));
    return sb_slice_from(sb_buf_slice(out), start);
}
