/* controlplane/publish/pace.h - something happens at once, but not too often.
 *
 * One deed per interval in the long run; after a quiet time up to burst of them
 * come at once.  Wishes that have to wait become one.
 */
#pragma once

#include "common/clock.h"

struct cp_pace {
    sb_msec interval;
    unsigned burst;
    sb_msec due; /* of the next deed, if they came evenly */
};

static inline void cp_pace_init(struct cp_pace *pace, sb_msec interval, unsigned burst)
{
    *pace = (struct cp_pace){.interval = interval, .burst = burst};
}

/* How long a wish has to wait. */
static inline sb_msec cp_pace_wait(const struct cp_pace *pace, sb_msec now)
{
    sb_msec ahead = (pace->burst - 1) * pace->interval;

    return pace->due > now + ahead ? pace->due - ahead - now : 0;
}

/* The deed is done, for all wishes so far. */
static inline void cp_pace_done(struct cp_pace *pace, sb_msec now)
{
    pace->due = (pace->due > now ? pace->due : now) + pace->interval;
}
