/* controlplane/stats.h - numbers of the daemon for /metrics.
 *
 * Actors count from their threads, and whoever shows them never waits for an
 * actor that is busy with a database that does not answer: so the members are
 * plain and all access is by the atomic helpers here.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "controlplane/events/events.h"
#include "controlplane/log/witness.h"

struct sb_buf;

enum cp_probe_stat {
    CP_PROBE_STAT_SUCCESS,
    CP_PROBE_STAT_FAULT,
    CP_PROBE_STAT_OTHER, /* speaks neither for nor against the endpoint */
    CP_PROBE_STATS
};

struct cp_stats {
    int64_t leading; /* 1 or 0 */
    int64_t term;
    uint64_t terms_taken, terms_lost, epochs_made;
    uint64_t compiled, compile_failures, compile_usec;
    int64_t snapshot_bytes, snapshot_revision;
    uint64_t announced, snapshots_sent, nacks;
    uint64_t bus_received, bus_refused, bus_unsent;
    uint64_t batches, batch_transactions, batch_usec;
    uint64_t records_stored, records_skipped, records_quarantined, record_gaps;
    int64_t log_size; /* entries */
    int64_t batches_waiting;
    uint64_t batches_turned_away, store_failures;
    uint64_t queries, queries_failed, explained;
    uint64_t beats, beat_rows, tables_published, table_rows_published, table_bytes_published;
    int64_t table_rows, endpoints_out, endpoints_cooling;
    uint64_t outages, minutes_stored, minutes_lost;
    uint64_t events[CP_EVENT_KINDS];
    uint64_t webhook_posts, webhook_failures, webhook_given_up;
    int64_t events_waiting;
    int64_t probe_endpoints; /* that can be probed */
    uint64_t probes[CP_PROBE_STATS], probes_put_off;
    int64_t probe_spent; /* micro-USD of this day */
    uint64_t checkpoints;
    int64_t checkpoint_size, log_forked; /* entries; 1 or 0 */
    int64_t witness_size[CP_WITNESS_KINDS];
    uint64_t witness_failures[CP_WITNESS_KINDS];
};

#define cp_stat_add(stats, member, n)                                                              \
    ((void)__atomic_fetch_add(&(stats)->member, (n), __ATOMIC_RELAXED))
#define cp_stat_set(stats, member, n) __atomic_store_n(&(stats)->member, (n), __ATOMIC_RELAXED)
#define cp_stat_get(stats, member)    __atomic_load_n(&(stats)->member, __ATOMIC_RELAXED)

/* Appends them to a Prometheus page; from any thread. */
int cp_stats_write(const struct cp_stats *stats, struct sb_buf *page) SB_MUSTCHECK;
