/* dataplane/courier/telemetry.c */
#include "dataplane/courier/telemetry.h"

/* Not uthash's default: its fall-throughs are reported by clang. */
#define HASH_FUNCTION        HASH_FNV
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/sketch.h"
#include "proto/bus.h"
#include "proto/record.h"
#include "proto/sketch.h"

struct key {
    uint64_t endpoint;
    int64_t second;
};

struct row {
    struct key key;
    struct msg_beat_row sums; /* but for the sketches */
    struct sb_sketch first_token, throughput;
    UT_hash_handle hh;
};

struct dp_fold {
    struct row *rows; /* by key */
    struct row *last; /* that was added to: mostly the next one, too */
    size_t n;
    bool is_urgent;
};

struct dp_telemetry {
    const struct sb_clock *clock;
    struct dp_fold *fold; /* NULL when empty */
    uint64_t lost;
};

struct dp_telemetry *dp_telemetry_new(const struct sb_clock *clock)
{
    struct dp_telemetry *telemetry = sb_mem_new(sizeof(*telemetry));

    telemetry->clock = clock;
    return telemetry;
}

void dp_telemetry_destroy(struct dp_telemetry **telemetry)
{
    if (*telemetry != NULL)
        dp_fold_destroy(&(*telemetry)->fold);
    sb_mem_free(*telemetry);
    *telemetry = NULL;
}

static struct row *row_of(struct dp_telemetry *telemetry, uint64_t endpoint, int64_t second)
{
    struct key key = {.endpoint = endpoint, .second = second};
    struct dp_fold *fold = telemetry->fold;
    struct row *row;

    if (fold == NULL)
        fold = telemetry->fold = sb_mem_new(sizeof(*fold));
    row = fold->last;
    if (row != NULL && row->key.endpoint == endpoint && row->key.second == second)
        return row;
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): all of key is set */
    HASH_FIND(hh, fold->rows, &key, sizeof(key), row);
    if (row == NULL && fold->n < DP_FOLD_ROWS_MAX) {
        row = sb_mem_new(sizeof(*row));
        row->key = key;
        row->sums = (struct msg_beat_row){.endpoint = endpoint, .second = second};
        HASH_ADD(hh, fold->rows, key, sizeof(key), row);
        fold->n++;
    }
    fold->last = row;
    return row;
}

static struct row *row_now(struct dp_telemetry *telemetry, uint64_t endpoint)
{
    return row_of(telemetry, endpoint, (int64_t)(sb_clock_wall(telemetry->clock) / 1000000));
}

/* A value out of range says nothing. */
static void measure(struct sb_sketch *sketch, double value)
{
    (void)!sb_sketch_add(sketch, value, 1);
}

static void add_times(struct row *row, const struct dp_telemetry_entry *entry)
{
    const struct msg_attempt *attempt = entry->attempt;

    if (attempt->first_token == 0)
        return;
    if (entry->streamed)
        measure(&row->first_token, attempt->first_token / 1000.0);
    /* The wait for the first token is part of it: that is how fast an answer
     * comes, streamed or not.  A token or two measure nothing but that wait. */
    if (entry->verdict == DP_BREAKER_OK && entry->usage->completion_tokens > 1 && attempt->took > 0)
        measure(&row->throughput, (double)entry->usage->completion_tokens * 1e6 / attempt->took);
}

void dp_telemetry_add(struct dp_telemetry *telemetry, const struct dp_telemetry_entry *entry)
{
    const struct msg_attempt *attempt = entry->attempt;
    struct msg_beat_row *sums;
    struct row *row;

    if (attempt->credential_kind == MSG_CREDENTIAL_KIND_OWN)
        return;
    row = row_now(telemetry, attempt->endpoint);
    if (row == NULL) {
        telemetry->lost++;
        return;
    }
    sums = &row->sums;
    sums->attempts++;
    sums->successes += entry->verdict == DP_BREAKER_OK;
    sums->faults += entry->verdict == DP_BREAKER_FAULT;
    if (attempt->outcome == MSG_OUTCOME_RATE_LIMITED) {
        sums->rate_limited++;
        if (entry->retry_after > sums->retry_after)
            sums->retry_after =
                entry->retry_after < UINT32_MAX ? (uint32_t)entry->retry_after : UINT32_MAX;
        telemetry->fold->is_urgent = true;
    }
    if (entry->verdict == DP_BREAKER_FAULT)
        telemetry->fold->is_urgent = true;
    if (entry->usage->source != MSG_USAGE_SOURCE_NONE) {
        sums->prompt_tokens += entry->usage->prompt_tokens;
        sums->completion_tokens += entry->usage->completion_tokens;
        sums->cost += entry->cost;
    }
    add_times(row, entry);
}

void dp_telemetry_pace(struct dp_telemetry *telemetry, uint64_t endpoint, double tokens_per_second)
{
    struct row *row = row_now(telemetry, endpoint);

    if (row != NULL)
        measure(&row->throughput, tokens_per_second);
}

struct dp_fold *dp_telemetry_take(struct dp_telemetry *telemetry)
{
    struct dp_fold *fold = telemetry->fold;

    telemetry->fold = NULL;
    return fold;
}

bool dp_telemetry_has(const struct dp_telemetry *telemetry, bool *ret_urgent)
{
    *ret_urgent = telemetry->fold != NULL && telemetry->fold->is_urgent;
    return telemetry->fold != NULL;
}

uint64_t dp_telemetry_lost(const struct dp_telemetry *telemetry)
{
    return telemetry->lost;
}

void dp_fold_destroy(struct dp_fold **foldp)
{
    struct dp_fold *fold = *foldp;
    struct row *row, *next;

    *foldp = NULL;
    if (fold == NULL)
        return;
    HASH_ITER(hh, fold->rows, row, next)
    {
        HASH_DELETE(hh, fold->rows, row);
        sb_sketch_release(&row->first_token);
        sb_sketch_release(&row->throughput);
        sb_mem_free(row);
    }
    sb_mem_free(fold);
}

static struct sb_slice encoded(const struct sb_sketch *sketch, struct sb_buf *scratch,
                               struct sb_arena *arena)
{
    sb_buf_reset(scratch);
    if (sketch->count == 0 || msg_sketch_encode(sketch, scratch) != SB_OK)
        return SB_SLICE_NONE;
    return sb_arena_dup(arena, sb_buf_slice(scratch));
}

struct msg_beat_row *dp_fold_rows(const struct dp_fold *fold, struct sb_arena *arena, size_t *ret_n)
{
    struct msg_beat_row *rows = sb_arena_alloc_raw(arena, fold->n * sizeof(*rows));
    SB_CLEANUP(sb_buf_release) struct sb_buf scratch;
    size_t n = 0;

    sb_buf_init(&scratch, MSG_SKETCH_MAX);
    for (const struct row *row = fold->rows; row != NULL; row = row->hh.next) {
        rows[n] = row->sums;
        rows[n].first_token = encoded(&row->first_token, &scratch, arena);
        rows[n].throughput = encoded(&row->throughput, &scratch, arena);
        n++;
    }
    *ret_n = n;
    return rows;
}
