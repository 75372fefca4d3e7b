/* controlplane/ctl/moment.h - points of time as people give them. */
#pragma once

#include <stdbool.h>

#include "common/clock.h"
#include "common/timefmt.h"

/* A date, RFC 3339, or how long ago: "90s", "15min", "2h", "7d".  Gives RFC 3339
 * in UTC; false: it is none of them. */
bool ctl_moment_read(const char *text, sb_usec now, char ret_text[SB_TIME_TEXT_MAX]);
/* The same for what is to come: "90d" is in so many days. */
bool ctl_moment_ahead(const char *text, sb_usec now, char ret_text[SB_TIME_TEXT_MAX]);
