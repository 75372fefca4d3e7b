/* controlplane/windows.c */
#include "controlplane/windows.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/sketch.h"
#include "proto/sketch.h"

/* Ids are the database's: nobody chooses what collides. */
#define HASH_FUNCTION        HASH_FNV
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

struct slot {
    uint64_t number; /* now / CP_WINDOW_SLOT when it was used; 0 never */
    uint64_t attempts, successes, faults, rate_limited;
    uint64_t completion_tokens;
    struct sb_sketch first_token, throughput;
};

struct window {
    uint64_t endpoint;
    sb_msec heard; /* newest news */
    /* The streak of faults at the end of what was heard. */
    uint64_t streak;
    int64_t streak_first, streak_last; /* seconds of the worker's clock */
    sb_msec fault_heard;
    sb_msec outage_since; /* 0: none */
    sb_msec cooldown_until;
    struct msg_table_row published;
    sb_msec published_at, looked_at;
    bool is_published;
    struct slot slots[CP_WINDOW_SLOTS];
    UT_hash_handle hh;
};

struct cp_windows {
    struct window *all;
};

struct cp_windows *cp_windows_new(void)
{
    return sb_mem_new(sizeof(struct cp_windows));
}

static void forget(struct cp_windows *windows, struct window *window)
{
    HASH_DEL(windows->all, window);
    for (int i = 0; i < CP_WINDOW_SLOTS; i++) {
        sb_sketch_release(&window->slots[i].first_token);
        sb_sketch_release(&window->slots[i].throughput);
    }
    sb_mem_free(window);
}

void cp_windows_destroy(struct cp_windows **windows)
{
    struct window *window, *next;

    if (*windows == NULL)
        return;
    HASH_ITER(hh, (*windows)->all, window, next)
    {
        forget(*windows, window);
    }
    sb_mem_free(*windows);
    *windows = NULL;
}

size_t cp_windows_count(const struct cp_windows *windows)
{
    return HASH_COUNT(windows->all);
}

/* --- folding in ---------------------------------------------------------------------- */

static struct slot *slot_at(struct window *window, sb_msec now)
{
    uint64_t number = now / CP_WINDOW_SLOT + 1;
    struct slot *slot = &window->slots[number % CP_WINDOW_SLOTS];

    if (slot->number != number) {
        sb_sketch_reset(&slot->first_token);
        sb_sketch_reset(&slot->throughput);
        *slot = (struct slot){
            .number = number, .first_token = slot->first_token, .throughput = slot->throughput};
    }
    return slot;
}

static bool is_young(const struct slot *slot, sb_msec now)
{
    return slot->number != 0 && now / CP_WINDOW_SLOT + 1 - slot->number < CP_WINDOW_SLOTS;
}

static void judge(struct window *window, const struct msg_beat_row *row, sb_msec now)
{
    if (row->successes > 0) {
        window->streak = 0;
        window->outage_since = 0;
        return;
    }
    if (row->faults == 0)
        return;
    if (window->streak == 0 || now - window->fault_heard >= CP_OUTAGE_LIFE) {
        window->streak = 0;
        window->outage_since = 0;
        window->streak_first = window->streak_last = row->second;
    }
    window->streak += row->faults;
    window->fault_heard = now;
    if (row->second < window->streak_first)
        window->streak_first = row->second;
    if (row->second > window->streak_last)
        window->streak_last = row->second;
    if (window->streak >= CP_OUTAGE_ATTEMPTS ||
        (window->streak_last - window->streak_first) * 1000 >= CP_OUTAGE_SPAN) {
        if (window->outage_since == 0)
            window->outage_since = now;
    }
}

static int merge(struct sb_sketch *into, struct sb_slice bytes)
{
    struct sb_sketch sketch;
    int rc;

    if (bytes.n == 0)
        return SB_OK;
    sb_sketch_init(&sketch);
    rc = msg_sketch_decode(bytes, &sketch);
    if (rc == SB_OK)
        rc = sb_sketch_merge(into, &sketch);
    sb_sketch_release(&sketch);
    return rc;
}

int cp_windows_add(struct cp_windows *windows, const struct msg_beat_row *row, sb_msec now)
{
    struct window *window = NULL;
    struct slot *slot;
    int rc, other;

    HASH_FIND(hh, windows->all, &row->endpoint, sizeof(row->endpoint), window);
    if (window == NULL) {
        if (HASH_COUNT(windows->all) >= CP_WINDOWS_MAX)
            return SB_ETOOBIG;
        window = sb_mem_try(sizeof(*window));
        if (window == NULL)
            return SB_ENOMEM;
        window->endpoint = row->endpoint;
        HASH_ADD(hh, windows->all, endpoint, sizeof(window->endpoint), window);
    }
    window->heard = now;
    slot = slot_at(window, now);
    slot->attempts += row->attempts;
    slot->successes += row->successes;
    slot->faults += row->faults;
    slot->rate_limited += row->rate_limited;
    slot->completion_tokens += row->completion_tokens;
    judge(window, row, now);
    if (row->retry_after > 0 && now + row->retry_after > window->cooldown_until)
        window->cooldown_until = now + row->retry_after;
    rc = merge(&slot->first_token, row->first_token);
    other = merge(&slot->throughput, row->throughput);
    return rc != SB_OK ? rc : other;
}

/* --- rows ------------------------------------------------------------------------------- */

/* What the young slots say together; the sketches are scratch of the caller. */
struct totals {
    uint64_t attempts, successes, faults, rate_limited, completion_tokens;
    struct sb_sketch first_token, throughput;
};

static uint32_t capped(double value)
{
    return value < 0.0 ? 0 : value > UINT32_MAX - 1.0 ? UINT32_MAX - 1 : (uint32_t)(value + 0.5);
}

static int add_up(const struct window *window, sb_msec now, struct totals *totals)
{
    int rc = SB_OK;

    sb_sketch_reset(&totals->first_token);
    sb_sketch_reset(&totals->throughput);
    totals->attempts = totals->successes = totals->faults = totals->rate_limited = 0;
    totals->completion_tokens = 0;
    for (int i = 0; rc == SB_OK && i < CP_WINDOW_SLOTS; i++) {
        const struct slot *slot = &window->slots[i];

        if (!is_young(slot, now))
            continue;
        totals->attempts += slot->attempts;
        totals->successes += slot->successes;
        totals->faults += slot->faults;
        totals->rate_limited += slot->rate_limited;
        totals->completion_tokens += slot->completion_tokens;
        rc = sb_sketch_merge(&totals->first_token, &slot->first_token);
        if (rc == SB_OK)
            rc = sb_sketch_merge(&totals->throughput, &slot->throughput);
    }
    return rc;
}

/* pN is the value that N % of requests do at least as well as: latency rises
 * with N, throughput falls. */
static void put_percentiles(const struct totals *totals, struct msg_table_row *row)
{
    static const double shares[MSG_PERCENTILES] = {0.5, 0.75, 0.9, 0.99};

    for (int i = 0; i < MSG_PERCENTILES; i++) {
        row->first_token[i] = totals->first_token.count == 0
                                  ? MSG_NO_DATA
                                  : capped(sb_sketch_quantile(&totals->first_token, shares[i]));
        row->throughput[i] =
            totals->throughput.count == 0
                ? MSG_NO_DATA
                : capped(1000.0 * sb_sketch_quantile(&totals->throughput, 1.0 - shares[i]));
    }
}

static bool is_out(const struct window *window, sb_msec now)
{
    return window->outage_since != 0 && now - window->fault_heard < CP_OUTAGE_LIFE;
}

static int make_row(const struct window *window, sb_msec now, struct totals *totals,
                    struct msg_table_row *row)
{
    uint64_t judged;
    int rc = add_up(window, now, totals);

    if (rc != SB_OK)
        return rc;
    judged = totals->successes + totals->faults;
    *row = (struct msg_table_row){
        .endpoint = window->endpoint,
        .age = capped((double)(now - window->heard)),
        .outage = is_out(window, now),
        .samples = capped((double)totals->attempts),
        .uptime =
            judged == 0 ? MSG_NO_DATA : capped(1e6 * (double)totals->successes / (double)judged),
        .mean_completion = totals->successes == 0 ? 0
                                                  : capped((double)totals->completion_tokens /
                                                           (double)totals->successes),
        .cooldown =
            window->cooldown_until > now ? capped((double)(window->cooldown_until - now)) : 0};
    if (row->outage)
        row->outage_age = capped((double)(now - window->fault_heard));
    put_percentiles(totals, row);
    return SB_OK;
}

/* By 5 % of the larger one, or from or to "no data". */
static bool has_moved(uint32_t a, uint32_t b)
{
    uint32_t larger = a > b ? a : b, smaller = a > b ? b : a;

    return a != b && (larger == MSG_NO_DATA || (uint64_t)(larger - smaller) * 20 >= larger);
}

static bool is_different(const struct msg_table_row *a, const struct msg_table_row *b)
{
    bool moved = a->outage != b->outage || (a->cooldown == 0) != (b->cooldown == 0) ||
                 has_moved(a->uptime, b->uptime) || has_moved(a->samples, b->samples) ||
                 has_moved(a->mean_completion, b->mean_completion);

    for (int i = 0; i < MSG_PERCENTILES; i++)
        moved = moved || has_moved(a->first_token[i], b->first_token[i]) ||
                has_moved(a->throughput[i], b->throughput[i]);
    return moved;
}

static bool is_due(const struct window *window, const struct msg_table_row *row, sb_msec now)
{
    if (!window->is_published || is_different(row, &window->published))
        return true;
    return window->heard > window->published_at && now - window->published_at >= CP_ROW_REFRESH;
}

/* Between news and the ends of slots nothing changes but ages. */
static bool may_have_moved(const struct window *window, sb_msec now)
{
    return window->heard >= window->looked_at ||
           now / CP_WINDOW_SLOT != window->looked_at / CP_WINDOW_SLOT;
}

int cp_windows_rows(struct cp_windows *windows, bool all, sb_msec now, struct sb_arena *arena,
                    struct msg_tables *ret_tables)
{
    size_t n = 0, most = HASH_COUNT(windows->all);
    struct msg_table_row *rows = sb_arena_try(arena, (most + 1) * sizeof(*rows));
    struct window *window, *next;
    struct totals totals = {.attempts = 0};
    int rc = rows != NULL ? SB_OK : SB_ENOMEM;

    sb_sketch_init(&totals.first_token);
    sb_sketch_init(&totals.throughput);
    HASH_ITER(hh, windows->all, window, next)
    {
        struct msg_table_row row;

        if (rc == SB_OK && !all && !may_have_moved(window, now))
            continue;
        if (rc == SB_OK)
            rc = make_row(window, now, &totals, &row);
        if (rc != SB_OK)
            break;
        if (all) { /* for one worker: the others still wait for what changed */
            rows[n++] = row;
            continue;
        }
        window->looked_at = now;
        if (is_due(window, &row, now)) {
            rows[n++] = row;
            window->published = row;
            window->published_at = now;
            window->is_published = true;
        }
        if (row.samples == 0)
            forget(windows, window);
    }
    sb_sketch_release(&totals.first_token);
    sb_sketch_release(&totals.throughput);
    if (rc == SB_OK)
        *ret_tables = (struct msg_tables){.complete = all, .rows = rows, .n_rows = n};
    return rc;
}

/* --- for people ---------------------------------------------------------------------------- */

static void put_list(struct sb_json *json, const char *name, const uint32_t *values, double unit)
{
    static const char *const names[MSG_PERCENTILES] = {"p50", "p75", "p90", "p99"};

    if (values[0] == MSG_NO_DATA) {
        sb_json_add_null(json, name);
        return;
    }
    sb_json_add_object(json, name);
    for (int i = 0; i < MSG_PERCENTILES; i++)
        sb_json_add_double(json, names[i], values[i] / unit);
    sb_json_close_object(json);
}

static void put_row(struct sb_json *json, const struct msg_table_row *row,
                    const struct totals *totals)
{
    sb_json_open_object(json);
    sb_json_add_u64(json, "endpoint_id", row->endpoint);
    sb_json_add_text(json, "health",
                     sb_slice_of(row->outage         ? "outage"
                                 : row->cooldown > 0 ? "cooldown"
                                                     : "up"));
    sb_json_add_u64(json, "age_ms", row->age);
    sb_json_add_u64(json, "cooldown_ms", row->cooldown);
    sb_json_add_u64(json, "samples", row->samples);
    sb_json_add_u64(json, "successes", totals->successes);
    sb_json_add_u64(json, "faults", totals->faults);
    sb_json_add_u64(json, "rate_limited", totals->rate_limited);
    if (row->uptime == MSG_NO_DATA)
        sb_json_add_null(json, "uptime");
    else
        sb_json_add_double(json, "uptime", row->uptime / 1e6);
    put_list(json, "latency_ms", row->first_token, 1.0);
    put_list(json, "throughput", row->throughput, 1000.0);
    sb_json_add_u64(json, "mean_completion_tokens", row->mean_completion);
    sb_json_close_object(json);
}

static int by_endpoint(const struct window *a, const struct window *b)
{
    return a->endpoint < b->endpoint ? -1 : a->endpoint > b->endpoint;
}

int cp_windows_json(struct cp_windows *windows, sb_msec now, struct sb_buf *out)
{
    struct totals totals = {.attempts = 0};
    struct window *window, *next;
    struct sb_json json;
    int rc = SB_OK;

    HASH_SORT(windows->all, by_endpoint);
    sb_sketch_init(&totals.first_token);
    sb_sketch_init(&totals.throughput);
    sb_json_init(&json, out);
    sb_json_open_array(&json);
    HASH_ITER(hh, windows->all, window, next)
    {
        struct msg_table_row row;

        if (rc == SB_OK)
            rc = make_row(window, now, &totals, &row);
        if (rc == SB_OK)
            put_row(&json, &row, &totals);
    }
    sb_json_close_array(&json);
    sb_sketch_release(&totals.first_token);
    sb_sketch_release(&totals.throughput);
    return rc == SB_OK ? sb_json_end(&json) : rc;
}
