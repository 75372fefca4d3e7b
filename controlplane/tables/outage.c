/* controlplane/tables/outage.c */
#include "controlplane/tables/outage.h"

#include <string.h>

enum { SECOND = 1000 };

static uint32_t add_capped(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* Empties the seconds that have passed since the newest one. */
static void move_on(struct cp_outage *outage, sb_msec now)
{
    uint64_t second = now / SECOND;

    if (second - outage->second >= CP_OUTAGE_RECENT) {
        memset(outage->recent, 0, sizeof(outage->recent));
        outage->second = second;
    }
    while (outage->second < second) {
        outage->second++;
        memset(&outage->recent[outage->second % CP_OUTAGE_RECENT], 0, sizeof(outage->recent[0]));
    }
}

static void hear_faults(struct cp_outage *outage, uint32_t faults, sb_msec now)
{
    if (outage->streak > 0 && now - outage->newest >= CP_OUTAGE_LIFE)
        outage->streak = 0; /* too long ago to be the same trouble */
    if (outage->streak == 0)
        outage->first = now;
    outage->streak = add_capped(outage->streak, faults);
    outage->newest = now;
}

static bool is_enough(const struct cp_outage *outage)
{
    return outage->streak >= CP_OUTAGE_STREAK ||
           (outage->streak >= CP_OUTAGE_SLOW && outage->newest - outage->first >= CP_OUTAGE_SPREAD);
}

static bool is_over(const struct cp_outage *outage)
{
    uint64_t successes = 0, faults = 0;

    for (int i = 0; i < CP_OUTAGE_RECENT; i++) {
        successes += outage->recent[i].successes;
        faults += outage->recent[i].faults;
    }
    return successes > faults;
}

enum cp_outage_change cp_outage_hear(struct cp_outage *outage, uint32_t successes, uint32_t faults,
                                     sb_msec now)
{
    uint64_t at;

    if (successes == 0 && faults == 0)
        return CP_OUTAGE_SAME;
    move_on(outage, now);
    at = outage->second % CP_OUTAGE_RECENT;
    outage->recent[at].successes = add_capped(outage->recent[at].successes, successes);
    outage->recent[at].faults = add_capped(outage->recent[at].faults, faults);
    if (successes > 0)
        outage->streak = 0;
    if (faults > 0)
        hear_faults(outage, faults, now);
    if (!outage->is_out) {
        /* The order inside of a message is not known: the success may have
         * been the last. */
        if (successes > 0 || faults == 0 || !is_enough(outage))
            return CP_OUTAGE_SAME;
        outage->is_out = true;
        outage->since = now;
        return CP_OUTAGE_BEGAN;
    }
    if (successes == 0 || !is_over(outage))
        return CP_OUTAGE_SAME;
    outage->is_out = false;
    return CP_OUTAGE_ENDED;
}

enum cp_outage_change cp_outage_tick(struct cp_outage *outage, sb_msec now)
{
    if (!outage->is_out || now - outage->newest < CP_OUTAGE_LIFE)
        return CP_OUTAGE_SAME;
    outage->is_out = false;
    outage->streak = 0;
    return CP_OUTAGE_ENDED;
}

void cp_outage_restore(struct cp_outage *outage, sb_msec now)
{
    outage->is_out = true;
    outage->since = outage->first = outage->newest = now;
    outage->streak = CP_OUTAGE_STREAK;
}
