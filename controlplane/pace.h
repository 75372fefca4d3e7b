/* controlplane/pace.h - something happens at once, but not too often.
 *
 * The first wish after a quiet time is due at once; those that follow wait
 * until the interval since the last deed has passed, and are then one.
 */
#pragma once

#include <stdbool.h>

#include "common/clock.h"

struct cp_pace {
    sb_msec interval;
    sb_msec last; /* deed; meaningful while has_last */
    bool has_last;
    bool wanted;
};

static inline void cp_pace_init(struct cp_pace *pace, sb_msec interval)
{
    *pace = (struct cp_pace){.interval = interval};
}

/* How long the next deed has to wait; meaningful while wanted. */
static inline sb_msec cp_pace_wait(const struct cp_pace *pace, sb_msec now)
{
    sb_msec since = now - pace->last;

    return !pace->has_last || since >= pace->interval ? 0 : pace->interval - since;
}

/* The deed is done now: it counts for all wishes so far. */
static inline void cp_pace_done(struct cp_pace *pace, sb_msec now)
{
    pace->last = now;
    pace->has_last = true;
    pace->wanted = false;
}
