/* controlplane/stats.c */
#include "controlplane/stats.h"

#include "common/metrics.h"

#define AT(member) SB_METRIC_AT(struct cp_stats, member)
#define P          "switchboard_control_"

static const char *event_label(int kind)
{
    return cp_event_name((enum cp_event_kind)kind);
}

static const char *probe_verdict(int index)
{
    static const char *const names[CP_PROBE_STATS] = {"success", "fault", "other"};

    return names[index];
}

static const char *witness_label(int kind)
{
    return cp_witness_name((enum cp_witness_kind)kind);
}

static const struct sb_metric metrics[] = {
    {SB_GAUGE, P "leading", "Whether this daemon leads.", AT(leading)},
    {SB_GAUGE, P "term", "Term in which this daemon leads or led last.", AT(term)},
    {SB_COUNTER, P "terms_taken_total", "Times that this daemon began to lead.", AT(terms_taken)},
    {SB_COUNTER, P "terms_lost_total", "Times that it stopped leading.", AT(terms_lost)},
    {SB_COUNTER, P "epochs_made_total", "New histories of the database begun.", AT(epochs_made)},
    {SB_COUNTER, P "compiled_total", "Snapshots compiled or read.", AT(compiled)},
    {SB_COUNTER, P "compile_failures_total", "Snapshots that could not be compiled.",
     AT(compile_failures)},
    {SB_COUNTER, P "compile_seconds_total", "Time that compiling took.", AT(compile_usec),
     .scale = 1000000},
    {SB_GAUGE, P "snapshot_bytes", "Size of the newest snapshot.", AT(snapshot_bytes)},
    {SB_GAUGE, P "snapshot_revision", "Revision of the newest snapshot.", AT(snapshot_revision)},
    {SB_COUNTER, P "announced_total", "Snapshots announced.", AT(announced)},
    {SB_COUNTER, P "snapshots_sent_total", "Snapshots sent to one worker.", AT(snapshots_sent)},
    {SB_COUNTER, P "nacks_total", "Snapshots that a worker refused.", AT(nacks)},
    {SB_COUNTER, P "bus_messages_total", "Messages of workers.", AT(bus_received)},
    {SB_COUNTER, P "bus_refused_total", "Messages that were malformed, or of somebody else.",
     AT(bus_refused)},
    {SB_COUNTER, P "bus_unsent_total", "Messages that a worker could not take.", AT(bus_unsent)},
    {SB_COUNTER, P "batches_total", "Batches of records stored.", AT(batches)},
    {SB_COUNTER, P "batch_transactions_total", "Transactions that stored them.",
     AT(batch_transactions)},
    {SB_COUNTER, P "batch_seconds_total", "Time that storing took.", AT(batch_usec),
     .scale = 1000000},
    {SB_COUNTER, P "records_stored_total", "Records stored.", AT(records_stored)},
    {SB_COUNTER, P "records_skipped_total", "Records that were stored before.",
     AT(records_skipped)},
    {SB_COUNTER, P "records_quarantined_total", "Records that the database refused, kept aside.",
     AT(records_quarantined)},
    {SB_COUNTER, P "record_gaps_total", "Holes in the sequence of a worker.", AT(record_gaps)},
    {SB_GAUGE, P "log_size", "Entries of the audit log, as this daemon left it.", AT(log_size)},
    {SB_GAUGE, P "batches_waiting", "Batches not stored yet.", AT(batches_waiting)},
    {SB_COUNTER, P "batches_turned_away_total", "Batches that found the queue full.",
     AT(batches_turned_away)},
    {SB_COUNTER, P "store_failures_total", "Attempts to store that failed and are repeated.",
     AT(store_failures)},
    {SB_COUNTER, P "queries_total", "Questions of workers.", AT(queries)},
    {SB_COUNTER, P "queries_failed_total", "Questions that the database did not answer.",
     AT(queries_failed)},
    {SB_COUNTER, P "explained_total", "Decisions asked of a worker.", AT(explained)},
    {SB_COUNTER, P "beats_total", "Beats of workers.", AT(beats)},
    {SB_COUNTER, P "beat_rows_total", "Rows of telemetry in them.", AT(beat_rows)},
    {SB_COUNTER, P "tables_published_total", "Publications of the tables.", AT(tables_published)},
    {SB_COUNTER, P "table_rows_published_total", "Rows in them.", AT(table_rows_published)},
    {SB_COUNTER, P "table_bytes_published_total", "Their size.", AT(table_bytes_published)},
    {SB_GAUGE, P "table_rows", "Endpoints with measurements.", AT(table_rows)},
    {SB_GAUGE, P "endpoints_out", "Endpoints in an outage.", AT(endpoints_out)},
    {SB_GAUGE, P "endpoints_cooling", "Endpoints that asked to be left alone for a while.",
     AT(endpoints_cooling)},
    {SB_COUNTER, P "outages_total", "Outages that were detected.", AT(outages)},
    {SB_COUNTER, P "minutes_stored_total", "Rows of telemetry stored.", AT(minutes_stored)},
    {SB_COUNTER, P "minutes_lost_total", "Rows of telemetry that could not be stored.",
     AT(minutes_lost)},
    {SB_COUNTER, P "events_total", "Events told, by kind.", AT(events), .label = "kind",
     .label_value = event_label},
    {SB_GAUGE, P "events_waiting", "Events that are still to be told.", AT(events_waiting)},
    {SB_COUNTER, P "webhook_posts_total", "Events that the webhook took.", AT(webhook_posts)},
    {SB_COUNTER, P "webhook_failures_total", "Attempts that it did not take.",
     AT(webhook_failures)},
    {SB_COUNTER, P "webhook_given_up_total", "Events that it never took.", AT(webhook_given_up)},
    {SB_GAUGE, P "probe_endpoints", "Endpoints that can be probed.", AT(probe_endpoints)},
    {SB_COUNTER, P "probes_total", "Probes that ended, by what they say of the endpoint.",
     AT(probes), .label = "verdict", .label_value = probe_verdict},
    {SB_COUNTER, P "probes_put_off_total", "Probes that the budget or the database did not allow.",
     AT(probes_put_off)},
    {SB_GAUGE, P "probe_spent_usd", "What the probes of this day (UTC) may have cost at most.",
     AT(probe_spent), .scale = 1000000},
    {SB_COUNTER, P "checkpoints_total", "Checkpoints of the audit log signed.", AT(checkpoints)},
    {SB_GAUGE, P "checkpoint_size", "Entries of the log at the newest one.", AT(checkpoint_size)},
    {SB_GAUGE, P "log_forked", "Whether the log contradicts a checkpoint: nothing is signed then.",
     AT(log_forked)},
    {SB_GAUGE, P "witness_size", "Entries of the log at the newest checkpoint kept there.",
     AT(witness_size), .label = "where", .label_value = witness_label},
    {SB_COUNTER, P "witness_failures_total", "Attempts to keep one there that failed.",
     AT(witness_failures), .label = "where", .label_value = witness_label},
};

int cp_stats_write(const struct cp_stats *stats, struct sb_buf *page)
{
    struct cp_stats copy;

    /* All members are 64 bits wide, whatever their sign. */
    _Static_assert(sizeof(copy) % sizeof(uint64_t) == 0, "only 64-bit members");
    for (size_t i = 0; i < sizeof(copy) / sizeof(uint64_t); i++)
        ((uint64_t *)(void *)&copy)[i] =
            __atomic_load_n((const uint64_t *)(const void *)stats + i, __ATOMIC_RELAXED);
    return sb_metrics_write(page, metrics, SB_ARRAY_LEN(metrics), &copy);
}
