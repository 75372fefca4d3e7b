/* common/clock.h - time is an argument, never a global. */
#pragma once

#include <stdint.h>

typedef uint64_t sb_msec; /* milliseconds: a duration, or a point of a clock */
typedef uint64_t sb_usec; /* microseconds, likewise */

struct sb_clock {
    /* Milliseconds of a clock that never goes back. */
    sb_msec (*now)(const struct sb_clock *clock);
    /* Microseconds since 1970-01-01 UTC; may step. */
    sb_usec (*wall)(const struct sb_clock *clock);
};

static inline sb_msec sb_clock_now(const struct sb_clock *clock)
{
    return clock->now(clock);
}

static inline sb_usec sb_clock_wall(const struct sb_clock *clock)
{
    return clock->wall(clock);
}

/* The machine's own clocks (CLOCK_MONOTONIC and CLOCK_REALTIME); static. */
extern const struct sb_clock sb_clock_system;
