/* dataplane/stats.c */
#include "dataplane/stats.h"

#include "common/log.h"
#include "common/loop.h"
#include "dataplane/breaker.h"
#include "dataplane/courier/courier.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/records/spool.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"
#include "dataplane/upstream/dial.h"
#include "dataplane/upstream/pool.h"
#include "dataplane/worker.h"

#define AT(member) SB_METRIC_AT(struct dp_stats, member)

static const char *outcome_label(int index)
{
    const char *name = msg_outcome_name(index);

    return index == MSG_OUTCOME_NONE || strcmp(name, "unknown") == 0 ? NULL : name;
}

static const struct sb_metric counted[] = {
    {.type = SB_COUNTER,
     .name = "switchboard_connections_total",
     .help = "Client connections accepted.",
     AT(accepted)},
    {.type = SB_COUNTER,
     .name = "switchboard_connections_turned_away_total",
     .help = "Client connections over max-connections.",
     AT(turned_away)},
    {.type = SB_COUNTER,
     .name = "switchboard_refused_total",
     .help = "Requests refused before authentication.",
     AT(refused)},
    {.type = SB_COUNTER,
     .name = "switchboard_requests_total",
     .help = "Requests by how they ended.",
     AT(requests),
     .label = "outcome",
     .label_value = outcome_label},
    {.type = SB_COUNTER,
     .name = "switchboard_attempts_total",
     .help = "Attempts at providers by how they ended.",
     AT(attempts),
     .label = "outcome",
     .label_value = outcome_label},
    {.type = SB_COUNTER,
     .name = "switchboard_failovers_total",
     .help = "Attempts after a request's first.",
     AT(failovers)},
    {.type = SB_COUNTER,
     .name = "switchboard_spills_total",
     .help = "Requests that the operator's key served since an own key failed.",
     AT(spills)},
    {.type = SB_COUNTER,
     .name = "switchboard_receipts_promised_total",
     .help = "Answers whose head promises a receipt.",
     AT(promises)},
    {.type = SB_COUNTER,
     .name = "switchboard_receipts_missed_total",
     .help = "Answers that should have promised one: no control daemon has certified the key.",
     AT(promises_missed)},
    {.type = SB_COUNTER,
     .name = "switchboard_stale_retries_total",
     .help = "Requests sent again since a pooled connection was closed.",
     AT(stale_retries)},
    {.type = SB_COUNTER,
     .name = "switchboard_upstream_cancelled_total",
     .help = "Attempts cancelled under way.",
     AT(cancelled_upstream)},
    {.type = SB_COUNTER,
     .name = "switchboard_bad_events_total",
     .help = "Stream events dropped, since they were no JSON.",
     AT(bad_events)},
    {.type = SB_COUNTER,
     .name = "switchboard_snapshots_total",
     .help = "Snapshots taken.",
     AT(snapshots)},
    {.type = SB_COUNTER,
     .name = "switchboard_tables_total",
     .help = "Table updates taken.",
     AT(tables)},
    {.type = SB_COUNTER,
     .name = "switchboard_request_bytes_total",
     .help = "Bytes of request bodies.",
     AT(request_bytes)},
    {.type = SB_COUNTER,
     .name = "switchboard_answer_bytes_total",
     .help = "Bytes of answer bodies.",
     AT(answer_bytes)},
    {.type = SB_COUNTER,
     .name = "switchboard_prompt_tokens_total",
     .help = "Prompt tokens.",
     AT(prompt_tokens)},
    {.type = SB_COUNTER,
     .name = "switchboard_completion_tokens_total",
     .help = "Completion tokens.",
     AT(completion_tokens)},
    {.type = SB_HISTOGRAM,
     .name = "switchboard_time_to_first_token_seconds",
     .help = "From the request's head to its first content.",
     AT(first_token),
     .scale = 1000},
    {.type = SB_HISTOGRAM,
     .name = "switchboard_request_seconds",
     .help = "From the request's head to its last byte.",
     AT(took),
     .scale = 1000},
};

/* What other modules know, taken over for one page. */
struct gauges {
    int64_t clients, requests, body_bytes, ready, draining, from_disk;
    int64_t epoch, revision, snapshot_created;
    int64_t connected;
    uint64_t batches, nacks, resyncs;
    int64_t spool_bytes, spool_limit, spool_waiting, spool_failing;
    uint64_t spool_full;
    int64_t breakers_open;
    uint64_t dials, dial_failures[DP_DIAL_FAILURES], pool_reused;
    int64_t pool_idle, pool_in_use, pool_waiting;
    int64_t table_rows, endpoints_out, endpoints_cooling;
    uint64_t telemetry_lost;
    uint64_t log_lost;
};

#undef AT
#define AT(member) SB_METRIC_AT(struct gauges, member)

static const struct sb_metric gauged[] = {
    {.type = SB_GAUGE,
     .name = "switchboard_connections",
     .help = "Client connections now.",
     AT(clients)},
    {.type = SB_GAUGE,
     .name = "switchboard_requests_in_flight",
     .help = "Requests in work now.",
     AT(requests)},
    {.type = SB_GAUGE,
     .name = "switchboard_body_bytes",
     .help = "Request bodies held now.",
     AT(body_bytes)},
    {.type = SB_GAUGE,
     .name = "switchboard_ready",
     .help = "1 when requests are served.",
     AT(ready)},
    {.type = SB_GAUGE, .name = "switchboard_draining", .help = "1 after SIGTERM.", AT(draining)},
    {.type = SB_GAUGE,
     .name = "switchboard_snapshot_from_disk",
     .help = "1 while no control daemon has confirmed the snapshot.",
     AT(from_disk)},
    {.type = SB_GAUGE, .name = "switchboard_snapshot_epoch", .help = "Epoch served by.", AT(epoch)},
    {.type = SB_GAUGE,
     .name = "switchboard_snapshot_revision",
     .help = "Revision served by.",
     AT(revision)},
    {.type = SB_GAUGE,
     .name = "switchboard_snapshot_created_seconds",
     .help = "When the snapshot was made, unix time.",
     AT(snapshot_created),
     .scale = 1000000},
    {.type = SB_GAUGE,
     .name = "switchboard_control_connected",
     .help = "1 while the leading control daemon answers.",
     AT(connected)},
    {.type = SB_COUNTER,
     .name = "switchboard_batches_total",
     .help = "Batches of records acknowledged.",
     AT(batches)},
    {.type = SB_COUNTER,
     .name = "switchboard_nacks_total",
     .help = "Snapshots refused.",
     AT(nacks)},
    {.type = SB_COUNTER,
     .name = "switchboard_resyncs_total",
     .help = "Resynchronisations.",
     AT(resyncs)},
    {.type = SB_GAUGE,
     .name = "switchboard_spool_bytes",
     .help = "Bytes of the spool on disk.",
     AT(spool_bytes)},
    {.type = SB_GAUGE,
     .name = "switchboard_spool_limit_bytes",
     .help = "Its limit.",
     AT(spool_limit)},
    {.type = SB_GAUGE,
     .name = "switchboard_spool_records_waiting",
     .help = "Records of this boot that are not acknowledged.",
     AT(spool_waiting)},
    {.type = SB_GAUGE,
     .name = "switchboard_spool_failing",
     .help = "1 while the disk takes no records.",
     AT(spool_failing)},
    {.type = SB_COUNTER,
     .name = "switchboard_spool_full_total",
     .help = "Requests turned away since the spool was full.",
     AT(spool_full)},
    {.type = SB_GAUGE,
     .name = "switchboard_breakers_open",
     .help = "Open breakers now.",
     AT(breakers_open)},
    {.type = SB_COUNTER,
     .name = "switchboard_dials_total",
     .help = "Connections dialled.",
     AT(dials)},
    {.type = SB_COUNTER,
     .name = "switchboard_dial_failures_total",
     .help = "Dials that failed, by kind.",
     AT(dial_failures),
     .label = "kind",
     .label_value = dp_dial_failure_name},
    {.type = SB_COUNTER,
     .name = "switchboard_pool_reused_total",
     .help = "Attempts on a connection that was used before.",
     AT(pool_reused)},
    {.type = SB_GAUGE,
     .name = "switchboard_pool_idle",
     .help = "Idle provider connections.",
     AT(pool_idle)},
    {.type = SB_GAUGE,
     .name = "switchboard_pool_in_use",
     .help = "Provider connections in use.",
     AT(pool_in_use)},
    {.type = SB_GAUGE,
     .name = "switchboard_pool_waiting",
     .help = "Attempts that wait for a connection.",
     AT(pool_waiting)},
    {.type = SB_GAUGE,
     .name = "switchboard_table_rows",
     .help = "Endpoints that the tables know.",
     AT(table_rows)},
    {.type = SB_GAUGE,
     .name = "switchboard_endpoints_out",
     .help = "Endpoints in an outage, as the tables say.",
     AT(endpoints_out)},
    {.type = SB_GAUGE,
     .name = "switchboard_endpoints_cooling",
     .help = "Endpoints that asked to be left alone for a while, as the tables say.",
     AT(endpoints_cooling)},
    {.type = SB_COUNTER,
     .name = "switchboard_telemetry_lost_total",
     .help = "Attempts that found no room in the telemetry.",
     AT(telemetry_lost)},
    {.type = SB_COUNTER,
     .name = "switchboard_log_lost_total",
     .help = "Log events that stderr did not take.",
     AT(log_lost)},
};

void dp_stats_init(struct dp_stats *stats)
{
    *stats = (struct dp_stats){.accepted = 0};
    sb_histogram_init(&stats->first_token, &sb_bounds_msec);
    sb_histogram_init(&stats->took, &sb_bounds_msec);
}

static void collect(const struct dp_worker *worker, struct gauges *g)
{
    const struct dp_dial_stats *dial = dp_dialer_stats(worker->dialer);
    const struct dp_pool_stats *pool = dp_pool_stats(worker->pool);
    struct dp_courier_state link;
    struct dp_spool_stats spool;
    size_t out = 0, cooling = 0;

    if (worker->tables != NULL)
        dp_tables_count_marks(worker->tables, sb_loop_now(worker->loop), &out, &cooling);
    dp_courier_state(worker->courier, &link);
    dp_spool_stats(worker->spool, &spool);
    *g = (struct gauges){
        .clients = worker->n_clients,
        .requests = worker->n_requests,
        .body_bytes = (int64_t)worker->body_bytes,
        .ready = worker->snapshot != NULL && !worker->draining && !spool.failing,
        .draining = worker->draining,
        .from_disk = worker->from_disk,
        .connected = link.connected,
        .batches = link.batches,
        .nacks = link.nacks,
        .resyncs = link.resyncs,
        .spool_bytes = (int64_t)spool.bytes,
        .spool_limit = (int64_t)spool.limit,
        .spool_waiting = (int64_t)(spool.next - spool.acked - 1),
        .spool_failing = spool.failing,
        .spool_full = spool.full,
        .breakers_open = (int64_t)dp_breakers_open(worker->breakers),
        .dials = dial->dials,
        .pool_reused = pool->reused,
        .pool_idle = pool->idle,
        .pool_in_use = pool->in_use,
        .pool_waiting = pool->waiting,
        .table_rows = worker->tables != NULL ? (int64_t)dp_tables_count(worker->tables) : 0,
        .endpoints_out = (int64_t)out,
        .endpoints_cooling = (int64_t)cooling,
        .telemetry_lost = dp_telemetry_lost(worker->telemetry),
        .log_lost = sb_log_lost(),
    };
    memcpy(g->dial_failures, dial->failures, sizeof(g->dial_failures));
    if (worker->snapshot != NULL) {
        g->epoch = (int64_t)worker->snapshot->records->version.epoch;
        g->revision = (int64_t)worker->snapshot->records->version.revision;
        g->snapshot_created = worker->snapshot->records->created_at;
    }
}

int dp_stats_write(struct dp_worker *worker, struct sb_buf *page)
{
    struct gauges gauges;
    int rc;

    collect(worker, &gauges);
    rc = sb_metrics_write(page, counted, SB_ARRAY_LEN(counted), &worker->stats);
    return rc == SB_OK ? sb_metrics_write(page, gauged, SB_ARRAY_LEN(gauged), &gauges) : rc;
}
