/* controlplane/tables/windows.c */
#include "controlplane/tables/windows.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/mem.h"
#include "controlplane/tables/windows_private.h"
#include "proto/sketch.h"

enum { USEC_PER_MINUTE = 60000000 };

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
    sb_mem_free(window->paces);
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

struct window *cp_window_find(const struct cp_windows *windows, uint64_t endpoint)
{
    struct window *window = NULL;

    HASH_FIND(hh, windows->all, &endpoint, sizeof(endpoint), window);
    return window;
}

static int find_or_make(struct cp_windows *windows, uint64_t endpoint, struct window **ret)
{
    struct window *window = cp_window_find(windows, endpoint);

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

static int add_traffic(struct cp_windows *windows, struct window *window, sb_msec now, sb_usec wall)
{
    const struct cp_sums *sums = &windows->heard;
    struct cp_series_at at = place_of(windows, window, now, wall);

    if (window->paces == NULL && sums->throughput.count > 0)
        window->paces = sb_mem_try(sizeof(*window->paces));
    if (window->paces != NULL)
        cp_newest_add(window->paces, &sums->throughput);
    return cp_series_add(&window->traffic, &at, sums);
}

int cp_windows_add(struct cp_windows *windows, enum cp_sample_source source,
                   const struct msg_beat_row *row, sb_msec now, sb_usec wall)
{
    struct window *window;
    int unread, rc = find_or_make(windows, row->endpoint, &window);

    if (rc != SB_OK)
        return rc;
    unread = read_row(windows, row);
    window->heard = now;
    note_news(windows, window);
    note_change(windows, window, cp_outage_hear(&window->outage, row->successes, row->faults, now),
                now);
    cool_down(windows, window, row->retry_after, now);
    rc = source == CP_SAMPLE_PROBE ? add_probe(window, &windows->heard, now, wall)
                                   : add_traffic(windows, window, now, wall);
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

static bool has_half_hour(const struct msg_table_row *row)
{
    return row->first_token_half_hour[0] != MSG_NO_DATA ||
           row->throughput_half_hour[0] != MSG_NO_DATA;
}

static bool is_due(const struct window *window, const struct msg_table_row *row, sb_msec now)
{
    if (!window->is_published || window->verdict_changed ||
        cp_window_has_moved(row, &window->published) ||
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

/* Looks at one window: *ret_due says whether the row is to be published. */
static int look(struct cp_windows *windows, struct window *window, sb_msec now,
                struct msg_table_row *row, bool *ret_due)
{
    int rc = cp_window_row(window, now, &windows->scratch, row);

    if (rc != SB_OK)
        return rc;
    sb_list_remove(&window->fresh);
    sb_list_move(&window->turn, &windows->turns);
    window->looked_at = now;
    *ret_due = is_due(window, row, now);
    if (*ret_due) {
        rc = cp_window_fill_half_hour(window, now, &windows->scratch, row);
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
            rc = cp_window_row(window, now, &windows->scratch, &rows[n]);
        if (rc == SB_OK)
            rc = cp_window_fill_half_hour(window, now, &windows->scratch, &rows[n++]);
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

/* --- what is taken out -------------------------------------------------------------------- */

void cp_windows_health(struct cp_windows *windows, sb_msec now, size_t *ret_out,
                       size_t *ret_cooling)
{
    size_t cooling = 0;

    for (const struct window *window = windows->all; window != NULL; window = window->hh.next)
        cooling += window->cooldown_until > now;
    *ret_out = sb_list_count(&windows->out);
    *ret_cooling = cooling;
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
                                        .is_down = cp_window_is_out(window, now)};
    }
    *ret_pulses = pulses;
    *ret_n = n;
    return SB_OK;
}
