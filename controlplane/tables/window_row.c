/* controlplane/tables/window_row.c */
#include "common/err.h"
#include "controlplane/tables/windows_private.h"

static uint32_t capped(double value)
{
    return value < 0.0 ? 0 : value > UINT32_MAX - 1.0 ? UINT32_MAX - 1 : (uint32_t)(value + 0.5);
}

static uint32_t share(uint64_t part, uint64_t other)
{
    return part + other == 0 ? MSG_NO_DATA
                             : capped(1e6 * (double)part / ((double)part + (double)other));
}

uint32_t cp_window_uptime(const struct cp_sums *traffic, const struct cp_sums *probes)
{
    uint32_t uptime = share(traffic->successes, traffic->faults);

    return uptime != MSG_NO_DATA ? uptime : share(probes->successes, probes->faults);
}

/* pN is the value that N % of requests do at least as well as: latency rises
 * with N, throughput falls. */
static const double shares[MSG_PERCENTILES] = {0.5, 0.75, 0.9, 0.99};

void cp_window_put_latency(const struct sb_sketch *sketch, uint32_t ret[MSG_PERCENTILES])
{
    for (int i = 0; i < MSG_PERCENTILES; i++)
        ret[i] = sketch->count == 0 ? MSG_NO_DATA : capped(sb_sketch_quantile(sketch, shares[i]));
}

void cp_window_put_throughput(const struct sb_sketch *sketch, uint32_t ret[MSG_PERCENTILES])
{
    for (int i = 0; i < MSG_PERCENTILES; i++)
        ret[i] = sketch->count == 0 ? MSG_NO_DATA
                                    : capped(1000.0 * sb_sketch_quantile(sketch, 1.0 - shares[i]));
}

const struct sb_sketch *cp_window_either(const struct sb_sketch *traffic,
                                         const struct sb_sketch *probes)
{
    return traffic->count > 0 ? traffic : probes;
}

static bool may_have_made_a_step(const struct cp_sums *traffic)
{
    return traffic->first_token.count > CP_STEP_SAMPLES ||
           traffic->throughput.count > CP_STEP_SAMPLES;
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

/* Puts into recent what may tell of a step: the newest slots, and for the pace
 * the newest values, once these say the same. */
static int look_for_a_step(const struct window *window, sb_msec now, struct scratch *scratch)
{
    const struct sb_sketch *paces = &scratch->traffic.throughput;
    int rc = SB_OK;

    cp_sums_reset(&scratch->recent);
    if (may_have_made_a_step(&scratch->traffic))
        rc = cp_series_recent(&window->traffic, now, CP_STEP_SAMPLES, &scratch->recent);
    if (rc == SB_OK && window->paces != NULL && paces->count > CP_NEWEST &&
        cp_newest_is_step(window->paces, sb_sketch_quantile(paces, 0.5)))
        rc = cp_newest_fill(window->paces, &scratch->recent.throughput);
    return rc;
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

int cp_window_add_up(const struct window *window, enum cp_span span, sb_msec now,
                     struct scratch *scratch)
{
    int rc = cp_series_sum(&window->traffic, span, now, &scratch->traffic);

    cp_sums_reset(&scratch->probes);
    if (rc == SB_OK && window->probes != NULL)
        rc = cp_series_sum(window->probes, span, now, &scratch->probes);
    return rc;
}

bool cp_window_is_out(const struct window *window, sb_msec now)
{
    return window->outage.is_out && now - window->outage.newest < CP_OUTAGE_LIFE;
}

int cp_window_row(const struct window *window, sb_msec now, struct scratch *scratch,
                  struct msg_table_row *row)
{
    const struct cp_sums *traffic = &scratch->traffic, *probes = &scratch->probes;
    const struct cp_sums *first = traffic;
    int rc = cp_window_add_up(window, CP_SPAN_NOW, now, scratch);

    if (rc == SB_OK)
        rc = look_for_a_step(window, now, scratch);
    if (rc != SB_OK)
        return rc;
    if (traffic->attempts == 0)
        first = probes;
    *row = (struct msg_table_row){
        .endpoint = window->endpoint,
        .age = capped((double)(now - window->heard)),
        .outage = cp_window_is_out(window, now),
        .samples = capped((double)first->attempts),
        .uptime = cp_window_uptime(traffic, probes),
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
    cp_window_put_latency(
        cp_window_either(of_this_pace(&traffic->first_token, &scratch->recent.first_token),
                         &probes->first_token),
        row->first_token);
    cp_window_put_throughput(
        cp_window_either(of_this_pace(&traffic->throughput, &scratch->recent.throughput),
                         &probes->throughput),
        row->throughput);
    return SB_OK;
}

int cp_window_fill_half_hour(const struct window *window, sb_msec now, struct scratch *scratch,
                             struct msg_table_row *row)
{
    int rc = cp_window_add_up(window, CP_SPAN_HALF_HOUR, now, scratch);

    cp_window_put_latency(
        cp_window_either(&scratch->traffic.first_token, &scratch->probes.first_token),
        row->first_token_half_hour);
    cp_window_put_throughput(
        cp_window_either(&scratch->traffic.throughput, &scratch->probes.throughput),
        row->throughput_half_hour);
    return rc;
}

/* By 5 % of the larger one, or from or to "no data". */
static bool has_moved(uint32_t a, uint32_t b)
{
    uint32_t larger = a > b ? a : b, smaller = a > b ? b : a;

    return a != b && (larger == MSG_NO_DATA || (uint64_t)(larger - smaller) * 20 >= larger);
}

bool cp_window_has_moved(const struct msg_table_row *a, const struct msg_table_row *b)
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
