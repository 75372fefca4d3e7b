/* controlplane/probes/price_watch.c */
#include "controlplane/probes/price_watch.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/money.h"
#include "controlplane/catalog/prices.h"

enum { JSON_MAX = 4096 };

static int64_t charged(const int64_t price[MSG_PRICE_COUNT], int kind)
{
    int64_t instead = 0;

    if (price[kind] >= 0)
        return price[kind];
    if (kind == MSG_PRICE_CACHE_READ || kind == MSG_PRICE_CACHE_WRITE)
        instead = price[MSG_PRICE_PROMPT];
    else if (kind == MSG_PRICE_REASONING)
        instead = price[MSG_PRICE_COMPLETION];
    return instead > 0 ? instead : 0;
}

static bool differs(const int64_t have[MSG_PRICE_COUNT], const int64_t seen[MSG_PRICE_COUNT],
                    int kind)
{
    return seen[kind] >= 0 && seen[kind] != charged(have, kind);
}

static bool is_beyond(int64_t have, int64_t seen, unsigned rise_limit)
{
    return seen > have && (have == 0 || (double)(seen - have) > (double)have * rise_limit / 100.0);
}

enum cp_price_verdict cp_price_judge(const int64_t have[MSG_PRICE_COUNT],
                                     const int64_t seen[MSG_PRICE_COUNT], bool may_apply,
                                     unsigned rise_limit)
{
    bool is_same = true;

    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++) {
        if (!differs(have, seen, kind))
            continue;
        is_same = false;
        if (is_beyond(charged(have, kind), seen[kind], rise_limit))
            return CP_PRICE_ROSE;
    }
    if (is_same)
        return CP_PRICE_SAME;
    return may_apply ? CP_PRICE_APPLY : CP_PRICE_REPORT;
}

struct sb_slice cp_price_json(const int64_t of[MSG_PRICE_COUNT],
                              const int64_t have[MSG_PRICE_COUNT],
                              const int64_t seen[MSG_PRICE_COUNT], struct sb_arena *arena)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf out = {.limit = 0};
    struct sb_json json;

    sb_buf_init(&out, JSON_MAX);
    sb_json_init(&json, &out);
    sb_json_open_object(&json);
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++) {
        char text[SB_MONEY_TEXT_MAX];
        size_t n;

        if (!differs(have, seen, kind) || of[kind] < 0)
            continue;
        n = cp_price_forms[kind].per_million ? sb_money_format_per_million(of[kind], text)
                                             : sb_money_format(of[kind], text);
        sb_json_add_text(&json, cp_price_forms[kind].name, sb_slice_make(text, n));
    }
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK)
        return SB_SLICE_LIT("{}");
    return sb_arena_dup(arena, sb_buf_slice(&out));
}
