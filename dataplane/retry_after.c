/* dataplane/retry_after.c */
#include "dataplane/retry_after.h"

#include "common/err.h"
#include "common/timefmt.h"

enum { MOST = 300000 /* milliseconds; ROUTING.md 8 */ };

static sb_msec of_seconds(struct sb_slice digits)
{
    sb_msec seconds = 0;

    for (size_t i = 0; i < digits.n && seconds < MOST; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return 0;
        seconds = seconds * 10 + (sb_msec)(digits.p[i] - '0');
    }
    return seconds * 1000 < MOST ? seconds * 1000 : MOST;
}

sb_msec dp_retry_after(struct sb_slice retry_after, struct sb_slice date, sb_usec wall)
{
    sb_usec until, now;

    if (retry_after.n == 0)
        return 0;
    if (retry_after.p[0] >= '0' && retry_after.p[0] <= '9')
        return of_seconds(retry_after);
    if (sb_time_parse_http(retry_after, &until) != SB_OK)
        return 0;
    if (sb_time_parse_http(date, &now) != SB_OK)
        now = wall;
    if (until <= now)
        return 0;
    return (until - now) / 1000 < MOST ? (sb_msec)((until - now) / 1000) : MOST;
}
