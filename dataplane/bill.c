/* dataplane/bill.c */
#include "dataplane/bill.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/money.h"
#include "common/num.h"
#include "common/timefmt.h"
#include "dataplane/request.h"

/* Pieces of the usage object: 420 bytes of text, 6 counts, 4 amounts. */
enum { USAGE_MAX = 1024 };

struct msg_bill dp_bill(const struct dp_request *req, const struct msg_usage *usage)
{
    if (req->tariff.price == NULL)
        return (struct msg_bill){.total = 0};
    return msg_bill_make_at(&req->tariff, req->record.received_at / SB_USEC_PER_SEC, usage);
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

struct sb_slice dp_usage_json(const struct msg_usage *usage, const struct msg_bill *bill,
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
