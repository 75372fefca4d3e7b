/* controlplane/ctl/moment.c */
#include "controlplane/ctl/moment.h"

#include "common/attr.h"
#include "common/err.h"
#include "common/num.h"
#include "common/slice.h"

static bool read_ago(struct sb_slice text, sb_usec now, sb_usec *ret_wall)
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
        uint64_t most = now / (uint64_t)SB_USEC_PER_SEC / units[i].seconds;

        if (!sb_slice_is(sb_slice_from(text, digits.n), units[i].unit))
            continue;
        if (number > most) /* before 1970 */
            return false;
        *ret_wall = now - number * units[i].seconds * (uint64_t)SB_USEC_PER_SEC;
        return true;
    }
    return false;
}

bool ctl_moment_read(const char *text, sb_usec now, char ret_text[SB_TIME_TEXT_MAX])
{
    struct sb_slice slice = sb_slice_of(text);
    sb_usec wall = 0;
    int32_t day = 0;

    if (sb_date_parse(slice, &day) == SB_OK && day >= 0)
        wall = (sb_usec)((int64_t)day * SB_SEC_PER_DAY * SB_USEC_PER_SEC);
    else if (sb_time_parse(slice, &wall) != SB_OK && !read_ago(slice, now, &wall))
        return false;
    (void)sb_time_format(wall, 6, ret_text);
    return true;
}
