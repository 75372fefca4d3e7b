/* common/clock.c */
#include "common/clock.h"

#include <time.h>

static sb_msec system_now(const struct sb_clock *clock)
{
    struct timespec ts;

    (void)clock;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (sb_msec)ts.tv_sec * 1000 + (sb_msec)ts.tv_nsec / 1000000;
}

static sb_usec system_wall(const struct sb_clock *clock)
{
    struct timespec ts;

    (void)clock;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (sb_usec)ts.tv_sec * 1000000 + (sb_usec)ts.tv_nsec / 1000;
}

const struct sb_clock sb_clock_system = {.now = system_now, .wall = system_wall};
