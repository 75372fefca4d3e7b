/* common/retry_after.h - how long an HTTP answer asks its reader to wait. */
#pragma once

#include "common/clock.h"
#include "common/slice.h"

/* Milliseconds from now, at most 5 minutes; 0 when it says none that can be
 * understood.  retry_after: the field's value, seconds or an HTTP date; date:
 * that of the answer's Date, by whose clock the other is read, or none; wall:
 * our clock, for answers without one. */
sb_msec sb_retry_after(struct sb_slice retry_after, struct sb_slice date, sb_usec wall);

/* What a 429 asks for that does not say. */
enum { SB_RETRY_AFTER_UNSAID = 5000 /* ms */ };

/* The same of retry-after-ms, which some providers send beside it and which is
 * the finer one: decimal milliseconds, a fraction rounded up. */
sb_msec sb_retry_after_ms(struct sb_slice retry_after_ms);
