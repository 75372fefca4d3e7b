/* controlplane/tables/windows.h - what every endpoint does, and what is told of it.
 *
 * What workers and probes saw is folded into one series per endpoint and
 * source (controlplane/tables/series.h); a detector judges outages
 * (controlplane/tables/outage.h).  A row of the tables is made of the last five
 * minutes of traffic; where traffic says nothing, of what probes saw.
 *
 * A step must not hide behind five minutes of another pace: when the median of
 * the newest CP_STEP_SAMPLES values, in whole slots, is half of that of the
 * window, or twice, the percentiles are of those values alone; throughput's
 * also, at once, when nearly all of the very newest are so (controlplane/tables/newest.h).
 * Traffic's throughput has values of streams that still run, which are no
 * attempts (dataplane/pace.h).  They stay so
 * when all who want another pace have left, until others are heard or they are
 * five minutes old.
 *
 * Pure: time is the caller's.  now: monotonic milliseconds.  wall:
 * microseconds since 1970, which name the minutes of the history and nothing
 * else.
 *
 * A row is due to be published when it moved by 5 %, when its verdict or its
 * cooldown changed, or with news when it was published CP_ROW_REFRESH ago.
 * Work is for what has news, and for each endpoint once per CP_SLOT: what
 * nobody asks costs nearly nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/list.h"
#include "controlplane/mail.h"
#include "controlplane/tables/series.h"
#include "proto/bus.h"
#include "proto/tables.h"

struct cp_windows;
struct sb_arena;
struct sb_buf;

enum {
    CP_ROW_REFRESH = 10000,   /* ms */
    CP_WIDE_REFRESH = 300000, /* ms; of rows that nothing is heard of, while the last half hour
                                 knows something */
    CP_STEP_SAMPLES = 20,
    CP_WINDOWS_MAX = 2000000, /* endpoints */
};

struct cp_windows *cp_windows_new(void);
void cp_windows_destroy(struct cp_windows **windows);
size_t cp_windows_count(const struct cp_windows *windows);

/* Folds a row in.  A sketch that cannot be read is left out (SB_EPARSE, the
 * rest counts).  SB_ENOMEM, SB_ETOOBIG. */
int cp_windows_add(struct cp_windows *windows, enum cp_sample_source source,
                   const struct msg_beat_row *row, sb_msec now, sb_usec wall) SB_MUSTCHECK;
/* Folds in what the history says of traffic: cp_series_load(). */
int cp_windows_load(struct cp_windows *windows, uint64_t endpoint, enum cp_span span, sb_msec age,
                    const struct cp_sums *sums, sb_msec now) SB_MUSTCHECK;
/* The endpoint was out when the last leader ended. */
int cp_windows_restore_outage(struct cp_windows *windows, uint64_t endpoint,
                              sb_msec now) SB_MUSTCHECK;

/* Whether something is due that should not wait for the next publication: a
 * verdict, or a cooldown.  Until rows are next taken. */
bool cp_windows_is_urgent(const struct cp_windows *windows);
/* Gives the rows that are due, in arena, and counts them as published; forgets
 * endpoints of which nothing is left, after a last row without data.  all:
 * gives every row there is, and changes nothing. */
int cp_windows_rows(struct cp_windows *windows, bool all, sb_msec now, struct sb_arena *arena,
                    struct msg_tables *ret_tables) SB_MUSTCHECK;

/* How many endpoints are out, and how many cool down. */
void cp_windows_health(struct cp_windows *windows, sb_msec now, size_t *ret_out,
                       size_t *ret_cooling);

/* Moves the verdicts (struct cp_verdict) that came since the last time to the
 * end of list, which then owns them. */
void cp_windows_verdicts(struct cp_windows *windows, struct sb_list *list);

/* Moves the minutes that are over (struct cp_minute) to the end of list, which
 * then owns them.  flush: those that are not, too. */
void cp_windows_minutes(struct cp_windows *windows, bool flush, sb_msec now, sb_usec wall,
                        struct sb_list *list);

/* Appends a JSON array, one object per endpoint of ids that something is known
 * of, in their order. */
int cp_windows_json(struct cp_windows *windows, const uint64_t *ids, size_t n, sb_msec now,
                    struct sb_buf *out) SB_MUSTCHECK;

/* How one endpoint is, in short. */
struct cp_pulse {
    uint64_t endpoint;
    sb_msec age; /* of the newest news */
    bool is_down;
};
/* Gives that of every endpoint, in arena, in no order.  SB_ENOMEM. */
int cp_windows_pulse(const struct cp_windows *windows, sb_msec now, struct sb_arena *arena,
                     struct cp_pulse **ret_pulses, size_t *ret_n) SB_MUSTCHECK;

/* The question CP_ASK_PULSE. */
struct cp_ask_pulse {
    struct sb_ask ask;
    struct sb_arena *arena; /* of the answer */
    struct cp_pulse *pulses;
    size_t n;
};
