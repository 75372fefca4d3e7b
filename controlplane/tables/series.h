/* controlplane/tables/series.h - what one endpoint did: the last five minutes, half
 * hour, and day.
 *
 *      add() -> open slot of 10 s --closed--> slots of 10 s, of 5 minutes, of an hour
 *                                      +----> the minute, for the history
 *
 * A span is the sum of its slots that are young enough, and of the open one.
 * Slots exist only where something was heard, and are packed
 * (controlplane/tables/sums.h): an endpoint that nobody asks costs nothing but this
 * struct.  Sums are exact and sketches merge exactly, so the order of what is
 * added does not matter.
 *
 * Of an endpoint that is not asked often, slots of the long spans are as wide as
 * a third of their span while they hold few attempts: a hundred thousand quiet
 * endpoints cost little, and what they did is forgotten up to a third later.
 *
 * Pure.  now: the caller's monotonic milliseconds, which decide about slots;
 * wall: microseconds since 1970, which name minutes.  Neither needs the other
 * to be right: a step of the wall clock only names minutes oddly.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/list.h"
#include "controlplane/tables/sums.h"

enum cp_span { CP_SPAN_NOW, CP_SPAN_HALF_HOUR, CP_SPAN_DAY, CP_SPANS };

enum {
    CP_SLOT_FEW = 512,         /* attempts */
    CP_SLOT = 10000,           /* ms; the newest of a series is open for so long */
    CP_SPAN_NOW_LIFE = 300000, /* ms; the others: 30 minutes, 24 hours, and their slot begun */
};

/* What was heard in one slot of a span, packed. */
struct cp_slot {
    struct cp_slot *older;
    uint32_t number; /* now / its width, of the newest in it */
    uint32_t first;  /* of the oldest */
    uint32_t n;
    uint8_t bytes[]; /* as cp_sums_pack() makes them */
};

/* The slot that is being added to. */
struct cp_open_slot {
    uint32_t number;
    int64_t minute; /* in which it began */
    struct cp_sums sums;
};

/* One minute of one endpoint, on its way to the history. */
struct cp_minute {
    struct sb_list link;
    uint64_t endpoint;
    int64_t minute; /* since 1970, UTC */
    struct cp_sums sums;
};
void cp_minute_destroy(struct cp_minute **minute);

/* All zeros: nothing heard. */
struct cp_series {
    struct cp_slot *newest[CP_SPANS]; /* newest first */
    struct cp_open_slot *open;        /* in none of them yet; NULL: none */
    struct cp_minute *minute;         /* that closed slots are in; NULL: none */
};

void cp_series_release(struct cp_series *series);

/* Where minutes go that are complete. */
struct cp_series_at {
    sb_msec now;
    int64_t minute;          /* the wall clock's */
    uint64_t endpoint;       /* whose series it is */
    struct sb_list *minutes; /* of struct cp_minute, which are then the list's */
};

/* Adds what was heard just now.  SB_ENOMEM, SB_ETOOBIG: not all of it is in. */
int cp_series_add(struct cp_series *series, const struct cp_series_at *at,
                  const struct cp_sums *sums) SB_MUSTCHECK;
/* Adds what was heard a while ago, as stored: to the spans that it is young
 * enough for.  It does not go into the history again.  span: the narrowest of
 * them (minutes: CP_SPAN_NOW; hours: CP_SPAN_DAY). */
int cp_series_load(struct cp_series *series, sb_msec now, sb_msec age, enum cp_span span,
                   const struct cp_sums *sums) SB_MUSTCHECK;
/* Closes the slot whose time is over, hands on the minute that is over, and
 * forgets what is too old.  flush: closes the slot and hands on the minute as
 * they are, too. */
void cp_series_roll(struct cp_series *series, const struct cp_series_at *at, bool flush);
/* Whether nothing is left. */
bool cp_series_is_empty(const struct cp_series *series);

/* Adds a span up into sums, which are reset before. */
int cp_series_sum(const struct cp_series *series, enum cp_span span, sb_msec now,
                  struct cp_sums *sums) SB_MUSTCHECK;
/* The same, of the numbers alone: the sketches stay empty. */
void cp_series_count(const struct cp_series *series, enum cp_span span, sb_msec now,
                     struct cp_sums *sums);
/* The newest values of the last five minutes: each sketch is of so many of the
 * newest slots as hold so many values, of all when these are fewer.  The numbers
 * mean nothing. */
int cp_series_recent(const struct cp_series *series, sb_msec now, uint64_t least,
                     struct cp_sums *sums) SB_MUSTCHECK;
