/* controlplane/tables/windows_json.c */
#include "common/err.h"
#include "common/json.h"
#include "controlplane/tables/windows_private.h"

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
    put_uptime(json, cp_window_uptime(traffic, probes));
    put_list(json, "latency_ms", latency, 1.0);
    put_list(json, "throughput", throughput, 1000.0);
}

static int put_wide(struct sb_json *json, const char *name, const struct window *window,
                    enum cp_span span, sb_msec now, struct scratch *scratch)
{
    uint32_t latency[MSG_PERCENTILES], throughput[MSG_PERCENTILES];
    int rc = cp_window_add_up(window, span, now, scratch);

    if (rc != SB_OK)
        return rc;
    cp_window_put_latency(
        cp_window_either(&scratch->traffic.first_token, &scratch->probes.first_token), latency);
    cp_window_put_throughput(
        cp_window_either(&scratch->traffic.throughput, &scratch->probes.throughput), throughput);
    sb_json_add_object(json, name);
    put_span(json, scratch, latency, throughput);
    sb_json_close_object(json);
    return SB_OK;
}

static int put_window(struct sb_json *json, const struct window *window, sb_msec now,
                      struct scratch *scratch)
{
    struct msg_table_row row;
    int rc = cp_window_row(window, now, scratch, &row);

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
    if (scratch->traffic.attempts > 0 || scratch->traffic.throughput.count > 0)
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
        const struct window *window = cp_window_find(windows, ids[i]);

        if (window != NULL)
            rc = put_window(&json, window, now, &windows->scratch);
    }
    sb_json_close_array(&json);
    return rc == SB_OK ? sb_json_end(&json) : rc;
}
