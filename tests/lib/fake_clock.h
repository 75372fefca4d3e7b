/* tests/lib/fake_clock.h - a clock that moves when the test says so. */
#pragma once

#include "common/clock.h"

struct fake_clock {
    struct sb_clock clock; /* first member: cast back in the callbacks */
    sb_msec at;
    sb_usec wall_at;
};

static inline sb_msec fake_clock_now(const struct sb_clock *clock)
{
    return ((const struct fake_clock *)(const void *)clock)->at;
}

static inline sb_usec fake_clock_wall(const struct sb_clock *clock)
{
    return ((const struct fake_clock *)(const void *)clock)->wall_at;
}

#define FAKE_CLOCK_INIT                                                                            \
    {                                                                                              \
        .clock = {.now = fake_clock_now, .wall = fake_clock_wall}, .at = 1000,                     \
        .wall_at = 1790000000000000                                                                \
    }
