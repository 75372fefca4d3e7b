/* controlplane/windows.h - what every endpoint did in the last five minutes.
 *
 * The beats of all workers are folded per endpoint into slots of ten seconds;
 * a row of the tables is made of the slots that are young enough.  Pure: time
 * is the caller's (monotonic milliseconds).  A worker's seconds are counted
 * when they arrive, a second or two after they happened.
 *
 * Outage: every one of at least CP_OUTAGE_ATTEMPTS attempts in a row was a
 * fault, or faults alone were seen for CP_OUTAGE_SPAN; ended by a success, and
 * by CP_OUTAGE_LIFE without news.  Rate limiting speaks neither for nor
 * against an endpoint.
 *
 * A row is due to be published when it moved by 5 %, when its verdict changed,
 * or with news when it was published CP_ROW_REFRESH ago.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "proto/bus.h"
#include "proto/tables.h"

struct cp_windows;
struct sb_arena;
struct sb_buf;

enum {
    CP_WINDOW_SLOT = 10000, /* ms */
    CP_WINDOW_SLOTS = 30,
    CP_OUTAGE_ATTEMPTS = 5,
    CP_OUTAGE_SPAN = 3000,    /* ms */
    CP_OUTAGE_LIFE = 30000,   /* ms */
    CP_ROW_REFRESH = 10000,   /* ms */
    CP_WINDOWS_MAX = 2000000, /* endpoints */
};

struct cp_windows *cp_windows_new(void);
void cp_windows_destroy(struct cp_windows **windows);
size_t cp_windows_count(const struct cp_windows *windows);

/* Folds a row in.  A sketch that cannot be read is left out (SB_EPARSE, the
 * rest counts).  SB_ENOMEM, SB_ETOOBIG. */
int cp_windows_add(struct cp_windows *windows, const struct msg_beat_row *row,
                   sb_msec now) SB_MUSTCHECK;

/* Gives the rows that are due, in arena, and counts them as published; forgets
 * endpoints that have been silent for the whole window, after a last row
 * without data.  all: gives every row there is, and changes nothing. */
int cp_windows_rows(struct cp_windows *windows, bool all, sb_msec now, struct sb_arena *arena,
                    struct msg_tables *ret_tables) SB_MUSTCHECK;

/* Appends a JSON array, one object per endpoint, ordered by id. */
int cp_windows_json(struct cp_windows *windows, sb_msec now, struct sb_buf *out) SB_MUSTCHECK;
