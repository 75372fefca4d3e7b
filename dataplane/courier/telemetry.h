/* dataplane/courier/telemetry.h - attempts folded per endpoint and second, for the
 * tables of the control plane.
 *
 * No spool and no acknowledgement: what is lost is lost.  The loop folds; now
 * and then the whole fold is taken and given to the courier, which sends it
 * with a beat.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "dataplane/breaker.h"

struct dp_fold;
struct dp_telemetry;
struct msg_attempt;
struct msg_beat_row;
struct msg_usage;
struct sb_arena;

enum { DP_FOLD_ROWS_MAX = 4096 }; /* endpoints times seconds; more are lost */

struct dp_telemetry *dp_telemetry_new(const struct sb_clock *clock);
void dp_telemetry_destroy(struct dp_telemetry **telemetry);

/* How an attempt ended.  Borrowed. */
struct dp_telemetry_entry {
    const struct msg_attempt *attempt;
    const struct msg_usage *usage; /* counts when it has a source */
    int64_t cost;                  /* 1e-15 USD */
    enum dp_breaker_verdict verdict;
    sb_msec retry_after; /* of a 429, else 0 */
    bool streamed;       /* or an embedding, which is waited for as a whole; else the first
                            content came with all the rest and says nothing of itself */
};
/* Attempts on tenants' own keys are not folded. */
void dp_telemetry_add(struct dp_telemetry *telemetry, const struct dp_telemetry_entry *entry);
/* A stream that runs still says its throughput (dataplane/pace.h): a value of
 * the sketch, of no attempt.  Lost without being counted where there is no room. */
void dp_telemetry_pace(struct dp_telemetry *telemetry, uint64_t endpoint, double tokens_per_second);
/* What was folded since the last time; NULL when there is nothing. */
struct dp_fold *dp_telemetry_take(struct dp_telemetry *telemetry);
/* Something waits to be taken; ret_urgent: with a fault or a 429 in it. */
bool dp_telemetry_has(const struct dp_telemetry *telemetry, bool *ret_urgent);
/* Attempts that found no room. */
uint64_t dp_telemetry_lost(const struct dp_telemetry *telemetry);

void dp_fold_destroy(struct dp_fold **fold);
/* Rows as a BEAT has them, in the arena. */
struct msg_beat_row *dp_fold_rows(const struct dp_fold *fold, struct sb_arena *arena,
                                  size_t *ret_n);
