/* controlplane/tables/outage.h - whether one endpoint is down, judged from what is heard.
 *
 *      UP --5 faults in a row, or 3 over 2 seconds--> OUT
 *      OUT --a success, when successes outnumber the faults of the last 3 s--> UP
 *      OUT --29 s without another fault-->                                     UP
 *
 * Pure: the caller says what was heard and when.  Times are of its monotonic
 * clock, when the news arrived: the clocks of workers do not count, so that a
 * step of one of them starts and ends nothing.  What speaks neither for nor
 * against the endpoint (rate limits, refusals of a request) is not told here.
 *
 * One success alone does not end an outage that goes on: streams that began
 * before it end well in the middle of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

enum {
    CP_OUTAGE_STREAK = 5,    /* faults in a row, however fast */
    CP_OUTAGE_SLOW = 3,      /* faults in a row, when they are spread over... */
    CP_OUTAGE_SPREAD = 2000, /* ms */
    CP_OUTAGE_RECENT = 3,    /* seconds that are looked back on */
    /* Without another fault.  Less than the 30 s that a mark lives at a worker,
     * so that it ends here first, also when nobody looks for a second. */
    CP_OUTAGE_LIFE = 29000, /* ms */
};

/* All zeros: up, and nothing heard. */
struct cp_outage {
    uint32_t streak; /* faults since the last success */
    sb_msec first;   /* when the first of them was heard; meaningful while streak > 0 */
    sb_msec newest;  /* when the newest fault was heard; likewise, and while out */
    sb_msec since;   /* out: when that was found */
    bool is_out;
    struct {
        uint32_t successes, faults;
    } recent[CP_OUTAGE_RECENT]; /* by second */
    uint64_t second;            /* of the newest of recent */
};

enum cp_outage_change { CP_OUTAGE_SAME, CP_OUTAGE_BEGAN, CP_OUTAGE_ENDED };

/* Attempts of one message; which of them came first is not known, so that a
 * message with a success in it does not prolong a streak of earlier ones. */
enum cp_outage_change cp_outage_hear(struct cp_outage *outage, uint32_t successes, uint32_t faults,
                                     sb_msec now);
/* Time has passed: ended when nobody has heard of another fault for the whole
 * CP_OUTAGE_LIFE. */
enum cp_outage_change cp_outage_tick(struct cp_outage *outage, sb_msec now);
/* As the last leader left it: out, with the newest fault just heard. */
void cp_outage_restore(struct cp_outage *outage, sb_msec now);
