/* dataplane/route/tables.h - what every endpoint does right now.
 *
 * Merges the messages of proto/tables.h into rows that are found by endpoint.
 * It stands apart from the snapshots: rows are keyed by the endpoint's stable
 * id, so that a new catalogue costs them nothing.  Every row ages: an outage
 * mark counts for 30 s, percentiles and means for 5 minutes, what is said of
 * half an hour and of a day for as long, a cooldown until it ends.  Times are of the monotonic
 * clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "proto/tables.h"

struct dp_endpoint;
struct dp_model;
struct dp_snapshot;
struct dp_tables;

enum { /* milliseconds */
       DP_OUTAGE_LIFE = 30000,
       DP_PERCENTILE_LIFE = 300000,
       DP_HALF_HOUR_LIFE = 1800000,
       DP_DAY_LIFE = 86400000,
};

struct dp_row {
    uint64_t endpoint;
    sb_msec fresh_until;    /* percentiles and means count until then */
    sb_msec outage_until;   /* 0 or past: none */
    sb_msec cooldown_until; /* of house credentials; 0 or past: none */
    uint32_t samples, mean_completion;
    uint32_t uptime, uptime_half_hour, uptime_day; /* parts per million, or MSG_NO_DATA */
    uint32_t first_token[MSG_PERCENTILES];         /* milliseconds, or MSG_NO_DATA */
    uint32_t throughput[MSG_PERCENTILES];          /* 1/1000 token per second, or MSG_NO_DATA */
    /* For lists only: */
    uint32_t first_token_half_hour[MSG_PERCENTILES], throughput_half_hour[MSG_PERCENTILES];
    sb_msec half_hour_until, day_until; /* what is said of those times counts until then */
};

struct dp_tables *dp_tables_new(void);
void dp_tables_destroy(struct dp_tables **tables);

/* Merges a message: the rows that it names, or all there are when it is
 * complete.  What is of an older term or epoch, or not newer than what is
 * held, is dropped (SB_OK).  Errors: SB_EGAP when messages were missed: ask for
 * all rows, those held stay; SB_ENOMEM. */
int dp_tables_apply(struct dp_tables *tables, const struct msg_tables *message,
                    sb_msec now) SB_MUSTCHECK;
/* Sequence of the last message merged; 0 before the first. */
uint64_t dp_tables_sequence(const struct dp_tables *tables);
/* How many rows it holds. */
size_t dp_tables_count(const struct dp_tables *tables);

/* How many rows hold an outage mark, and a cooldown, that still count; walks
 * all rows. */
void dp_tables_count_marks(const struct dp_tables *tables, sb_msec now, size_t *ret_out,
                           size_t *ret_cooling);
/* Whether any row may hold an outage mark or a cooldown that still counts. */
bool dp_tables_have_marks(const struct dp_tables *tables, sb_msec now);

/* The row of an endpoint, or NULL; tables may be NULL.  Remembers its place
 * in the snapshot's cache. */
const struct dp_row *dp_tables_find(const struct dp_tables *tables,
                                    const struct dp_snapshot *snapshot,
                                    const struct dp_endpoint *endpoint);
/* By stable id, without the cache. */
const struct dp_row *dp_tables_find_id(const struct dp_tables *tables, uint64_t endpoint);

static inline bool dp_row_is_fresh(const struct dp_row *row, sb_msec now)
{
    return row != NULL && now < row->fresh_until;
}

/* Mean completion tokens of a model's endpoints, by samples, or 0 without
 * data; worked out once a second, or when other tables come. */
double dp_tables_mean_completion(const struct dp_tables *tables, const struct dp_snapshot *snapshot,
                                 const struct dp_model *model, sb_msec now);
