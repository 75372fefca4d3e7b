/* dataplane/stats.h - the numbers of one worker, for /metrics.
 *
 * Plain members, counted by the loop's thread; the table in stats.c gives them
 * names.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/metrics.h"
#include "proto/vocabulary.h"

struct dp_worker;
struct sb_buf;

enum { DP_STATS_OUTCOMES = 64 }; /* room for every enum msg_outcome */

struct dp_stats {
    uint64_t accepted;
    uint64_t turned_away; /* over max-connections */
    uint64_t refused;     /* before authentication */
    uint64_t requests[DP_STATS_OUTCOMES];
    uint64_t attempts[DP_STATS_OUTCOMES];
    uint64_t failovers;
    uint64_t spills;          /* to the operator's key, from an own one */
    uint64_t promises;        /* of receipts */
    uint64_t promises_missed; /* wanted, and none could be made */
    uint64_t stale_retries;
    uint64_t cancelled_upstream;
    uint64_t bad_events;
    uint64_t snapshots;
    uint64_t tables;
    uint64_t request_bytes, answer_bytes;
    uint64_t prompt_tokens, completion_tokens;
    struct sb_histogram first_token; /* milliseconds */
    struct sb_histogram took;        /* milliseconds */
};

void dp_stats_init(struct dp_stats *stats);
/* Appends the page: these and what the modules of the worker count. */
int dp_stats_write(struct dp_worker *worker, struct sb_buf *page) SB_MUSTCHECK;
