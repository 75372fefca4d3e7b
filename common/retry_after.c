/* common/retry_after.c */
#include "common/retry_after.h"

#include "common/err.h"
#include "common/timefmt.h"

enum { MOST = 300000 /* milliseconds; ROUTING.md 8 */ };

/* At most MOST; 0 when there is anything but digits. */
static sb_msec of_digits(struct sb_slice digits)
{
    sb_msec number = 0;

    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return 0;
        number = number * 10 + (sb_msec)(digits.p[i] - '0');
        number = number < MOST ? number : MOST;
    }
    return number;
}

static sb_msec of_seconds(struct sb_slice digits)
{
    sb_msec seconds = of_digits(digits);

    return seconds * 1000 < MOST ? seconds * 1000 : MOST;
}

sb_msec sb_retry_after_ms(struct sb_slice retry_after_ms)
{
    size_t point = sb_slice_find(retry_after_ms, '.');
    sb_msec whole = of_digits(sb_slice_make(retry_after_ms.p, point));
    struct sb_slice fraction = SB_SLICE_NONE;

    if (point == 0)
        return 0;
    if (point < retry_after_ms.n)
        fraction = sb_slice_from(retry_after_ms, point + 1);
    for (size_t i = 0; i < fraction.n; i++)
        if (fraction.p[i] < '0' || fraction.p[i] > '9')
            return 0;
    return whole < MOST && of_digits(fraction) > 0 ? whole + 1 : whole;
}

sb_msec sb_retry_after(struct sb_slice retry_after, struct sb_slice date, sb_usec wall)
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
