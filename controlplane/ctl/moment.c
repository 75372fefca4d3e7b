/* controlplane/ctl/moment.c */
#include "controlplane/ctl/moment.h"

#include "common/attr.h"
#include "common/err.h"
#include "common/num.h"
#include "common/slice.h"

#define SPAN_MAX UINT64_C(100000000000) /* seconds: 3000 years */

/* "90s", "15min", "2h", "7d": seconds. */
static bool read_span(struct sb_slice text, uint64_t *ret_seconds)
{
    static const struct {
        const char *unit;
        uint64_t seconds;
    } units[] = {{"s", 1}, {"min", 60}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    struct sb_slice digits = text;
    uint64_t number;

    digits.n = 0;
    while (digits.n < text.n && text.p[digits.n] >= '0' && text.p[digits.n] <= '9')
        digits.n++;
    if (!sb_num_read_u64(digits, &number))
        return false;
    for (size_t i = 0; i < SB_ARRAY_LEN(units); i++) {
        if (!sb_slice_is(sb_slice_from(text, digits.n), units[i].unit))
            continue;
        if (number > SPAN_MAX / units[i].seconds)
            return false;
        *ret_seconds = number * units[i].seconds;
        return true;
    }
    return false;
}

static bool read_moment(const char *text, sb_usec now, int sign, char ret_text[SB_TIME_TEXT_MAX])
{
    struct sb_slice slice = sb_slice_of(text);
    uint64_t seconds = 0;
    sb_usec wall = 0;
    int32_t day = 0;

    if (sb_date_parse(slice, &day) == SB_OK && day >= 0) {
        wall = (sb_usec)((int64_t)day * SB_SEC_PER_DAY * SB_USEC_PER_SEC);
    } else if (sb_time_parse(slice, &wall) != SB_OK) {
        if (!read_span(slice, &seconds))
            return false;
        seconds *= (uint64_t)SB_USEC_PER_SEC;
        if (sign < 0 && seconds > now) /* before 1970 */
            return false;
        wall = sign < 0 ? now - seconds : now + seconds;
    }
    (void)sb_time_format(wall, 6, ret_text);
    return true;
}

bool ctl_moment_read(const char *text, sb_usec now, char ret_text[SB_TIME_TEXT_MAX])
{
    return read_moment(text, now, -1, ret_text);
}

bool ctl_moment_ahead(const char *text, sb_usec now, char ret_text[SB_TIME_TEXT_MAX])
{
    return read_moment(text, now, 1, ret_text);
}
