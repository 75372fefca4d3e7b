/* controlplane/windows.c */
#include "controlplane/windows.h"

#include <stdlib.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/sketch.h"
#include "controlplane/outage.h"
#include "proto/sketch.h"

/* Ids are the database's: nobody chooses what collides. */
#define HASH_FUNCTION        HASH_FNV
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

enum { USEC_PER_MINUTE = 60000000 };

struct window {
    uint64_t endpoint;
    struct sb_list fresh; /* in windows->fresh while there is news */
    struct sb_list turn;  /* in windows->turns */
    struct sb_list out;   /* in windows->out while it is out */
    sb_msec heard;        /* newest news */
    struct cp_outage outage;
    sb_msec cooldown_until, cooldown_told;
    struct msg_table_row published;
    sb_msec published_at, looked_at;
    bool is_published, verdict_changed;
    struct cp_series traffic;
    struct cp_series *probes; /* NULL: none */
    UT_hash_handle hh;
};

/* What a row is made of; the sketches are kept as scratch. */
struct scratch {
    struct cp_sums traffic, probes, wide, recent;
};

struct cp_windows {
    struct window *all;
    struct sb_list fresh;    /* with news since they were looked at */
    struct sb_list turns;    /* all, by looked_at */
    struct sb_list out;      /* those with a verdict */
    struct sb_list verdicts; /* struct cp_verdict, to be taken */
    struct sb_list minutes;  /* struct cp_minute, to be taken */
    struct cp_sums heard;    /* scratch of adding */
    struct scratch scratch;
    bool is_urgent;
};

struct cp_windows *cp_windows_new(void)
{
    struct cp_windows *windows = sb_mem_new(sizeof(*windows));

    sb_list_init(&windows->fresh);
    sb_list_init(&windows->turns);
    sb_list_init(&windows->out);
    sb_list_init(&windows->verdicts);
    sb_list_init(&windows->minutes);
    return windows;
}

static void drop_minutes(struct sb_list *minutes)
{
    struct sb_list *link;

    while ((link = sb_list_pop(minutes)) != NULL) {
        struct cp_minute *minute = container_of(link, struct cp_minute, link);

        cp_minute_destroy(&minute);
    }
}

static void forget(struct cp_windows *windows, struct window *window)
{
    HASH_DEL(windows->all, window);
    sb_list_remove(&window->fresh);
    sb_list_remove(&window->turn);
    sb_list_remove(&window->out);
    cp_series_release(&window->traffic);
    if (window->probes != NULL)
        cp_series_release(window->probes);
    sb_mem_free(window->probes);
    sb_mem_free(window);
}

void cp_windows_destroy(struct cp_windows **windowsp)
{
    struct cp_windows *windows = *windowsp;
    struct window *window, *next;
    struct sb_list *link;

    *windowsp = NULL;
    if (windows == NULL)
        return;
    HASH_ITER(hh, windows->all, window, next)
    {
        forget(windows, window);
    }
    while ((link = sb_list_pop(&windows->verdicts)) != NULL)
        sb_mem_free(container_of(link, struct cp_verdict, link));
    drop_minutes(&windows->minutes);
    cp_sums_release(&windows->heard);
    cp_sums_release(&windows->scratch.traffic);
    cp_sums_release(&windows->scratch.probes);
    cp_sums_release(&windows->scratch.wide);
    cp_sums_release(&windows->scratch.recent);
    sb_mem_free(windows);
}

size_t cp_windows_count(const struct cp_windows *windows)
{
    return HASH_COUNT(windows->all);
}

/* --- folding in ---------------------------------------------------------------------- */

static struct window *find(const struct cp_windows *windows, uint64_t endpoint)
{
    struct window *window = NULL;

    HASH_FIND(hh, windows->all, &endpoint, sizeof(endpoint), window);
    return window;
}

static int find_or_make(struct cp_windows *windows, uint64_t endpoint, struct window **ret)
{
    struct window *window = find(windows, endpoint);

    if (window == NULL) {
        if (HASH_COUNT(windows->all) >= CP_WINDOWS_MAX)
            return SB_ETOOBIG;
        window = sb_mem_try(sizeof(*window));
        if (window == NULL)
            return SB_ENOMEM;
        window->endpoint = endpoint;
        sb_list_init(&window->fresh);
        sb_list_init(&window->turn);
        sb_list_init(&window->out);
        sb_list_add_tail(&windows->turns, &window->turn);
        HASH_ADD(hh, windows->all, endpoint, sizeof(window->endpoint), window);
    }
    *ret = window;
    return SB_OK;
}

static void note_news(struct cp_windows *windows, struct window *window)
{
    if (!sb_list_is_linked(&window->fresh))
        sb_list_add_tail(&windows->fresh, &window->fresh);
}

static void note_change(struct cp_windows *windows, struct window *window,
                        enum cp_outage_change change, sb_msec now)
{
    struct cp_verdict *verdict;

    if (change == CP_OUTAGE_SAME)
        return;
    verdict = sb_mem_new(sizeof(*verdict));
    sb_list_init(&verdict->link);
    verdict->endpoint = window->endpoint;
    verdict->is_out = change == CP_OUTAGE_BEGAN;
    if (verdict->is_out)
        verdict->faults = window->outage.streak;
    else
        verdict->lasted = now - window->outage.since;
    sb_list_add_tail(&windows->verdicts, &verdict->link);
    window->verdict_changed = true;
    windows->is_urgent = true;
    if (verdict->is_out)
        sb_list_move(&window->out, &windows->out);
    else
        sb_list_remove(&window->out);
    note_news(windows, window);
}

static void cool_down(struct cp_windows *windows, struct window *window, uint32_t retry_after,
                      sb_msec now)
{
    if (retry_after == 0 || now + retry_after <= window->cooldown_until)
        return;
    window->cooldown_until = now + retry_after;
    windows->is_urgent = true;
}

static int read_row(struct cp_windows *windows, const struct msg_beat_row *row)
{
    struct cp_sums *sums = &windows->heard;
    int rc = SB_OK, other = SB_OK;

    cp_sums_reset(sums);
    sums->attempts = row->attempts;
    sums->successes = row->successes;
    sums->faults = row->faults;
    sums->rate_limited = row->rate_limited;
    sums->prompt_tokens = row->prompt_tokens;
    sums->completion_tokens = row->completion_tokens;
    sums->cost = row->cost;
    if (row->first_token.n > 0)
        rc = msg_sketch_decode(row->first_token, &sums->first_token);
    if (row->throughput.n > 0)
        other = msg_sketch_decode(row->throughput, &sums->throughput);
    return rc != SB_OK ? rc : other;
}

static struct cp_series_at place_of(struct cp_windows *windows, const struct window *window,
                                    sb_msec now, sb_usec wall)
{
    return (struct cp_series_at){.now = now,
                                 .minute = (int64_t)(wall / USEC_PER_MINUTE),
                                 .endpoint = window->endpoint,
                                 .minutes = &windows->minutes};
}

/* What probes saw is kept apart, and is no part of the history of traffic. */
static int add_probe(struct window *window, const struct cp_sums *sums, sb_msec now, sb_usec wall)
{
    struct sb_list dropped;
    struct cp_series_at at = {
        .now = now, .minute = (int64_t)(wall / USEC_PER_MINUTE), .minutes = &dropped};
    int rc;

    if (window->probes == NULL)
        window->probes = sb_mem_try(sizeof(*window->probes));
    if (window->probes == NULL)
        return SB_ENOMEM;
    sb_list_init(&dropped);
    rc = cp_series_add(window->probes, &at, sums);
    drop_minutes(&dropped);
    return rc;
}

int cp_windows_add(struct cp_windows *windows, enum cp_sample_source source,
                   const struct msg_beat_row *row, sb_msec now, sb_usec wall)
{
    struct window *window;
    struct cp_series_at at;
    int unread, rc = find_or_make(windows, row->endpoint, &window);

    if (rc != SB_OK)
        return rc;
    unread = read_row(windows, row);
    window->heard = now;
    note_news(windows, window);
    note_change(windows, window, cp_outage_hear(&window->outage, row->successes, row->faults, now),
                now);
    cool_down(windows, window, row->retry_after, now);
    if (source == CP_SAMPLE_PROBE) {
        rc = add_probe(window, &windows->heard, now, wall);
    } else {
        at = place_of(windows, window, now, wall);
        rc = cp_series_add(&window->traffic, &at, &windows->heard);
    }
    return rc != SB_OK ? rc : unread;
}

int cp_windows_load(struct cp_windows *windows, uint64_t endpoint, enum cp_span span, sb_msec age,
                    const struct cp_sums *sums, sb_msec now)
{
    struct window *window;
    int rc = find_or_make(windows, endpoint, &window);

    if (rc != SB_OK)
        return rc;
    if (age < now && now - age > window->heard)
        window->heard = now - age;
    note_news(windows, window);
    return cp_series_load(&window->traffic, now, age, span, sums);
}

int cp_windows_restore_outage(struct cp_windows *windows, uint64_t endpoint, sb_msec now)
{
    struct window *window;
    int rc = find_or_make(windows, endpoint, &window);

    if (rc != SB_OK || window->outage.is_out)
        return rc;
    cp_outage_restore(&window->outage, now);
    sb_list_move(&window->out, &windows->out);
    window->heard = now;
    note_news(windows, window);
    return SB_OK;
}

/* --- rows ------------------------------------------------------------------------------- */

static uint32_t capped(double value)
{
    return value < 0.0 ? 0 : value > UINT32_MAX - 1.0 ? UINT32_MAX - 1 : (uint32_t)(value + 0.5);
}

static uint32_t share(uint64_t part, uint64_t other)
{
    return part + other == 0 ? MSG_NO_DATA
                             : capped(1e6 * (double)part / ((double)part + (double)other));
}

/* Parts per million of the attempts that speak about the endpoint: of traffic,
 * or else of probes. */
static uint32_t uptime_of(const struct cp_sums *traffic, const struct cp_sums *probes)
{
    uint32_t uptime = share(traffic->successes, traffic->faults);

    return uptime != MSG_NO_DATA ? uptime : share(probes->successes, probes->faults);
}

/* pN is the value that N % of requests do at least as well as: latency rises
 * with N, throughput falls. */
static const double shares[MSG_PERCENTILES] = {0.5, 0.75, 0.9, 0.99};

static void put_latency(const struct sb_sketch *sketch, uint32_t ret[MSG_PERCENTILES])
{
    for (int i = 0; i < MSG_PERCENTILES; i++)
        ret[i] = sketch->count == 0 ? MSG_NO_DATA : capped(sb_sketch_quantile(sketch, shares[i]));
}

static void put_throughput(const struct sb_sketch *sketch, uint32_t ret[MSG_PERCENTILES])
{
    for (int i = 0; i < MSG_PERCENTILES; i++)
        ret[i] = sketch->count == 0 ? MSG_NO_DATA
                                    : capped(1000.0 * sb_sketch_quantile(sketch, 1.0 - shares[i]));
}

static const struct sb_sketch *either(const struct sb_sketch *traffic,
                                      const struct sb_sketch *probes)
{
    return traffic->count > 0 ? traffic : probes;
}

/* The newest values alone when their median has made a step, else all. */
static const struct sb_sketch *of_this_pace(const struct sb_sketch *all,
                                            const struct sb_sketch *recent)
{
    double now, then;

    if (recent->count < CP_STEP_SAMPLES || recent->count == all->count)
        return all;
    now = sb_sketch_quantile(recent, 0.5);
    then = sb_sketch_quantile(all, 0.5);
    return now * 2 <= then || then * 2 <= now ? recent : all;
}

/* Of a span whose sketches are not looked at. */
static uint32_t wide_uptime(const struct window *window, enum cp_span span, sb_msec now,
                            struct scratch *scratch)
{
    uint32_t uptime;

    cp_series_count(&window->traffic, span, now, &scratch->wide);
    uptime = share(scratch->wide.successes, scratch->wide.faults);
    if (uptime == MSG_NO_DATA && window->probes != NULL) {
        cp_series_count(window->probes, span, now, &scratch->wide);
        uptime = share(scratch->wide.successes, scratch->wide.faults);
    }
    return uptime;
}

/* Fills scratch->traffic and ->probes with one span. */
static int add_up(const struct window *window, enum cp_span span, sb_msec now,
                  struct scratch *scratch)
{
    int rc = cp_series_sum(&window->traffic, span, now, &scratch->traffic);

    cp_sums_reset(&scratch->probes);
    if (rc == SB_OK && window->probes != NULL)
        rc = cp_series_sum(window->probes, span, now, &scratch->probes);
    return rc;
}

static bool is_out(const struct window *window, sb_msec now)
{
    return window->outage.is_out && now - window->outage.newest < CP_OUTAGE_LIFE;
}

static int make_row(const struct window *window, sb_msec now, struct scratch *scratch,
                    struct msg_table_row *row)
{
    const struct cp_sums *traffic = &scratch->traffic, *probes = &scratch->probes;
    const struct cp_sums *first = traffic;
    int rc = add_up(window, CP_SPAN_NOW, now, scratch);

    if (rc == SB_OK)
        rc = cp_series_recent(&window->traffic, now, CP_STEP_SAMPLES, &scratch->recent);
    if (rc != SB_OK)
        return rc;
    if (traffic->attempts == 0)
        first = probes;
    *row = (struct msg_table_row){
        .endpoint = window->endpoint,
        .age = capped((double)(now - window->heard)),
        .outage = is_out(window, now),
        .samples = capped((double)first->attempts),
        .uptime = uptime_of(traffic, probes),
        .mean_completion =
            traffic->successes == 0
                ? 0 /* a probe asks for next to nothing: its length says nothing */
                : capped((double)traffic->completion_tokens / (double)traffic->successes),
        .cooldown =
            window->cooldown_until > now ? capped((double)(window->cooldown_until - now)) : 0,
        .uptime_half_hour = wide_uptime(window, CP_SPAN_HALF_HOUR, now, scratch),
        .uptime_day = wide_uptime(window, CP_SPAN_DAY, now, scratch)};
    if (row->outage)
        row->outage_age = capped((double)(now - window->outage.newest));
    put_latency(either(of_this_pace(&traffic->first_token, &scratch->recent.first_token),
                       &probes->first_token),
                row->first_token);
    put_throughput(either(of_this_pace(&traffic->throughput, &scratch->recent.throughput),
                          &probes->throughput),
                   row->throughput);
    return SB_OK;
}

/* Only for what goes out: nothing is decided by it, so it moves no row. */
static int fill_half_hour(const struct window *window, sb_msec now, struct scratch *scratch,
                          struct msg_table_row *row)
{
    int rc = add_up(window, CP_SPAN_HALF_HOUR, now, scratch);

    put_latency(either(&scratch->traffic.first_token, &scratch->probes.first_token),
                row->first_token_half_hour);
    put_throughput(either(&scratch->traffic.throughput, &scratch->probes.throughput),
                   row->throughput_half_hour);
    return rc;
}

static bool has_half_hour(const struct msg_table_row *row)
{
    return row->first_token_half_hour[0] != MSG_NO_DATA ||
           row->throughput_half_hour[0] != MSG_NO_DATA;
}

/* By 5 % of the larger one, or from or to "no data". */
static bool has_moved(uint32_t a, uint32_t b)
{
    uint32_t larger = a > b ? a : b, smaller = a > b ? b : a;

    return a != b && (larger == MSG_NO_DATA || (uint64_t)(larger - smaller) * 20 >= larger);
}

static bool is_different(const struct msg_table_row *a, const struct msg_table_row *b)
{
    bool moved = a->outage != b->outage || has_moved(a->uptime, b->uptime) ||
                 has_moved(a->samples, b->samples) ||
                 has_moved(a->mean_completion, b->mean_completion) ||
                 has_moved(a->uptime_half_hour, b->uptime_half_hour) ||
                 has_moved(a->uptime_day, b->uptime_day);

    for (int i = 0; i < MSG_PERCENTILES; i++)
        moved = moved || has_moved(a->first_token[i], b->first_token[i]) ||
                has_moved(a->throughput[i], b->throughput[i]);
    return moved;
}

static bool is_due(const struct window *window, const struct msg_table_row *row, sb_msec now)
{
    if (!window->is_published || window->verdict_changed || is_different(row, &window->published) ||
        window->cooldown_until > window->cooldown_told)
        return true;
    if (now - window->published_at >= CP_WIDE_REFRESH && has_half_hour(&window->published))
        return true;
    return window->heard > window->published_at && now - window->published_at >= CP_ROW_REFRESH;
}

/* Nothing of the last five minutes, nor a mark: what there is besides goes
 * with the window, but for the long spans, which are worth keeping. */
static bool is_silent(const struct window *window, const struct msg_table_row *row)
{
    return row->samples == 0 && !row->outage && row->cooldown == 0 &&
           cp_series_is_empty(&window->traffic) &&
           (window->probes == NULL || cp_series_is_empty(window->probes));
}

static void roll(struct cp_windows *windows, struct window *window, bool flush, sb_msec now,
                 sb_usec wall)
{
    struct cp_series_at at = place_of(windows, window, now, wall);
    struct sb_list dropped;

    cp_series_roll(&window->traffic, &at, flush);
    if (window->probes == NULL)
        return;
    sb_list_init(&dropped);
    at.minutes = &dropped;
    cp_series_roll(window->probes, &at, flush);
    drop_minutes(&dropped);
}

/* Looks at one window: *ret_due says whether the row is to be published. */
static int look(struct cp_windows *windows, struct window *window, sb_msec now,
                struct msg_table_row *row, bool *ret_due)
{
    int rc = make_row(window, now, &windows->scratch, row);

    if (rc != SB_OK)
        return rc;
    sb_list_remove(&window->fresh);
    sb_list_move(&window->turn, &windows->turns);
    window->looked_at = now;
    *ret_due = is_due(window, row, now);
    if (*ret_due) {
        rc = fill_half_hour(window, now, &windows->scratch, row);
        if (rc != SB_OK)
            return rc;
        window->published = *row;
        window->published_at = now;
        window->is_published = true;
        window->verdict_changed = false;
        window->cooldown_told = window->cooldown_until;
    }
    if (is_silent(window, row))
        forget(windows, window);
    return SB_OK;
}

static struct window *next_to_look_at(const struct cp_windows *windows, sb_msec now)
{
    struct sb_list *link = sb_list_first(&windows->fresh);
    struct window *window;

    if (link != NULL)
        return container_of(link, struct window, fresh);
    link = sb_list_first(&windows->turns);
    if (link == NULL)
        return NULL;
    window = container_of(link, struct window, turn);
    return now - window->looked_at >= CP_SLOT ? window : NULL;
}

static int due_rows(struct cp_windows *windows, sb_msec now, struct msg_table_row *rows,
                    size_t *ret_n)
{
    struct window *window;
    size_t n = 0;
    int rc = SB_OK;

    sb_list_for_each_safe(link, &windows->out)
    {
        window = container_of(link, struct window, out);
        note_change(windows, window, cp_outage_tick(&window->outage, now), now);
    }
    windows->is_urgent = false;
    while (rc == SB_OK && (window = next_to_look_at(windows, now)) != NULL) {
        bool due = false;

        rc = look(windows, window, now, &rows[n], &due);
        n += rc == SB_OK && due;
    }
    *ret_n = n;
    return rc;
}

static int all_rows(struct cp_windows *windows, sb_msec now, struct msg_table_row *rows,
                    size_t *ret_n)
{
    struct window *window, *next;
    size_t n = 0;
    int rc = SB_OK;

    HASH_ITER(hh, windows->all, window, next)
    {
        if (rc == SB_OK)
            rc = make_row(window, now, &windows->scratch, &rows[n]);
        if (rc == SB_OK)
            rc = fill_half_hour(window, now, &windows->scratch, &rows[n++]);
    }
    *ret_n = n;
    return rc;
}

bool cp_windows_is_urgent(const struct cp_windows *windows)
{
    return windows->is_urgent;
}

int cp_windows_rows(struct cp_windows *windows, bool all, sb_msec now, struct sb_arena *arena,
                    struct msg_tables *ret_tables)
{
    size_t n = 0, most = HASH_COUNT(windows->all);
    struct msg_table_row *rows = sb_arena_try(arena, (most + 1) * sizeof(*rows));
    int rc = rows == NULL ? SB_ENOMEM
             : all        ? all_rows(windows, now, rows, &n)
                          : due_rows(windows, now, rows, &n);

    if (rc == SB_OK)
        *ret_tables = (struct msg_tables){.complete = all, .rows = rows, .n_rows = n};
    return rc;
}

void cp_windows_health(struct cp_windows *windows, sb_msec now, size_t *ret_out,
                       size_t *ret_cooling)
{
    size_t cooling = 0;

    for (const struct window *window = windows->all; window != NULL; window = window->hh.next)
        cooling += window->cooldown_until > now;
    *ret_out = sb_list_count(&windows->out);
    *ret_cooling = cooling;
}

/* --- what is taken out -------------------------------------------------------------------- */

void cp_windows_verdicts(struct cp_windows *windows, struct sb_list *list)
{
    sb_list_append_all(list, &windows->verdicts);
}

void cp_windows_minutes(struct cp_windows *windows, bool flush, sb_msec now, sb_usec wall,
                        struct sb_list *list)
{
    struct window *window, *next;

    HASH_ITER(hh, windows->all, window, next)
    {
        roll(windows, window, flush, now, wall);
    }
    sb_list_append_all(list, &windows->minutes);
}

/* --- for people ---------------------------------------------------------------------------- */

static void put_list(struct sb_json *json, const char *name, const uint32_t values[MSG_PERCENTILES],
                     double unit)
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

static void put_uptime(struct sb_json *json, uint32_t uptime)
{
    if (uptime == MSG_NO_DATA)
        sb_json_add_null(json, "uptime");
    else
        sb_json_add_double(json, "uptime", uptime / 1e6);
}

/* The members that every span has. */
static void put_span(struct sb_json *json, const struct scratch *scratch,
                     const uint32_t latency[MSG_PERCENTILES],
                     const uint32_t throughput[MSG_PERCENTILES])
{
    const struct cp_sums *traffic = &scratch->traffic, *probes = &scratch->probes;

    sb_json_add_u64(json, "samples", traffic->attempts);
    sb_json_add_u64(json, "successes", traffic->successes);
    sb_json_add_u64(json, "faults", traffic->faults);
    sb_json_add_u64(json, "rate_limited", traffic->rate_limited);
    sb_json_add_u64(json, "probes", probes->attempts);
    put_uptime(json, uptime_of(traffic, probes));
    put_list(json, "latency_ms", latency, 1.0);
    put_list(json, "throughput", throughput, 1000.0);
}

static int put_wide(struct sb_json *json, const char *name, const struct window *window,
                    enum cp_span span, sb_msec now, struct scratch *scratch)
{
    uint32_t latency[MSG_PERCENTILES], throughput[MSG_PERCENTILES];
    int rc = add_up(window, span, now, scratch);

    if (rc != SB_OK)
        return rc;
    put_latency(either(&scratch->traffic.first_token, &scratch->probes.first_token), latency);
    put_throughput(either(&scratch->traffic.throughput, &scratch->probes.throughput), throughput);
    sb_json_add_object(json, name);
    put_span(json, scratch, latency, throughput);
    sb_json_close_object(json);
    return SB_OK;
}

static int put_window(struct sb_json *json, const struct window *window, sb_msec now,
                      struct scratch *scratch)
{
    struct msg_table_row row;
    int rc = make_row(window, now, scratch, &row);

    if (rc != SB_OK)
        return rc;
    sb_json_open_object(json);
    sb_json_add_u64(json, "endpoint_id", window->endpoint);
    sb_json_add_text(json, "health",
                     sb_slice_of(row.outage         ? "outage"
                                 : row.cooldown > 0 ? "cooldown"
                                 : row.samples > 0  ? "up"
                                                    : "no_data"));
    sb_json_add_u64(json, "age_ms", row.age);
    sb_json_add_u64(json, "cooldown_ms", row.cooldown);
    if (row.outage)
        sb_json_add_u64(json, "outage_ms", now - window->outage.since);
    else
        sb_json_add_null(json, "outage_ms");
    sb_json_add_u64(json, "mean_completion_tokens", row.mean_completion);
    sb_json_add_array(json, "sources");
    if (scratch->traffic.attempts > 0)
        sb_json_put_text(json, SB_SLICE_LIT("traffic"));
    if (scratch->probes.attempts > 0)
        sb_json_put_text(json, SB_SLICE_LIT("probes"));
    sb_json_close_array(json);
    put_span(json, scratch, row.first_token, row.throughput);
    rc = put_wide(json, "half_hour", window, CP_SPAN_HALF_HOUR, now, scratch);
    if (rc == SB_OK)
        rc = put_wide(json, "day", window, CP_SPAN_DAY, now, scratch);
    sb_json_close_object(json);
    return rc;
}

int cp_windows_json(struct cp_windows *windows, const uint64_t *ids, size_t n, sb_msec now,
                    struct sb_buf *out)
{
    struct sb_json json;
    int rc = SB_OK;

    sb_json_init(&json, out);
    sb_json_open_array(&json);
    for (size_t i = 0; rc == SB_OK && i < n; i++) {
        const struct window *window = find(windows, ids[i]);

        if (window != NULL)
            rc = put_window(&json, window, now, &windows->scratch);
    }
    sb_json_close_array(&json);
    return rc == SB_OK ? sb_json_end(&json) : rc;
}

/* --- pulse ------------------------------------------------------------------------------ */

int cp_windows_pulse(const struct cp_windows *windows, sb_msec now, struct sb_arena *arena,
                     struct cp_pulse **ret_pulses, size_t *ret_n)
{
    struct cp_pulse *pulses = sb_arena_try(arena, (HASH_COUNT(windows->all) + 1) * sizeof(*pulses));
    struct window *window, *next;
    size_t n = 0;

    if (pulses == NULL)
        return SB_ENOMEM;
    HASH_ITER(hh, windows->all, window, next)
    {
        pulses[n++] = (struct cp_pulse){.endpoint = window->endpoint,
                                        .age = now - window->heard,
                                        .is_down = is_out(window, now)};
    }
    *ret_pulses = pulses;
    *ret_n = n;
    return SB_OK;
}
