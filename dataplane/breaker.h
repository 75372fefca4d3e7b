/* dataplane/breaker.h - what this worker has learned about each pair of endpoint
 * and credential (ROUTING.md 8): a breaker, and the cooldown of a Retry-After.
 *
 * A breaker never forbids: it makes its pair rank behind healthy ones.  It
 * opens after 5 faults in a row, or when at least half of at least 20 attempts
 * in 10 s were faults; for 5 s, doubled after each failed probe up to 60 s.
 * When the pause is over the pair counts as good for one request at a time.
 *
 *      CLOSED --faults--> OPEN --pause--> PROBING --first content, success--> CLOSED
 *                          ^                 |
 *                          +------fault------+
 *
 * A stream may last for minutes, so its first content closes the breaker.  What
 * closed it so is on trial: when it ends in a fault after all, and no other
 * attempt has ended well meanwhile, the breaker opens again as if it had never
 * been closed.
 *
 * An attempt that is made while it is open, because nothing else was left,
 * closes it by success and says nothing by a fault.  Pairs that nobody used
 * for a while are forgotten.  Workers share nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "dataplane/route/decide.h"

struct dp_breakers;

enum dp_breaker_state { DP_BREAKER_CLOSED, DP_BREAKER_OPEN, DP_BREAKER_PROBING };

/* An attempt under way.  A value: copy it into the attempt. */
struct dp_breaker_ticket {
    uint64_t endpoint, credential;
    uint32_t generation;
    bool probe;
    bool trial; /* it has closed the breaker by its first content */
};

/* Borrows clock. */
struct dp_breakers *dp_breakers_new(const struct sb_clock *clock);
void dp_breakers_destroy(struct dp_breakers **breakers);

/* For dp_route.health; lives in breakers and is always up to date. */
const struct dp_health_source *dp_breakers_health(const struct dp_breakers *breakers);

/* An attempt starts; it must be reported exactly once.  credential: 0 for
 * none. */
struct dp_breaker_ticket dp_breakers_begin(struct dp_breakers *breakers, uint64_t endpoint,
                                           uint64_t credential);

/* The first content of an attempt is there.  Changes the ticket, which is still
 * to be reported. */
void dp_breakers_first_content(struct dp_breakers *breakers, struct dp_breaker_ticket *ticket);

enum dp_breaker_verdict {
    DP_BREAKER_OK,      /* it works */
    DP_BREAKER_FAULT,   /* the endpoint's or the credential's fault */
    DP_BREAKER_NEITHER, /* says nothing about it: client gone, bad request, 429 */
};
/* Returns true when this opened the breaker. */
bool dp_breakers_report(struct dp_breakers *breakers, const struct dp_breaker_ticket *ticket,
                        enum dp_breaker_verdict verdict);
/* A 429: the pair rests for so long; a longer rest that is running stays. */
void dp_breakers_cool(struct dp_breakers *breakers, uint64_t endpoint, uint64_t credential,
                      sb_msec rest);
/* Milliseconds of the pair's rest that are left. */
sb_msec dp_breakers_cooldown(const struct dp_breakers *breakers, uint64_t endpoint,
                             uint64_t credential);

/* Forgets what has nothing to say any more; looks at a bounded number of
 * pairs.  Call it about once a second. */
void dp_breakers_sweep(struct dp_breakers *breakers);

enum dp_breaker_state dp_breakers_state(const struct dp_breakers *breakers, uint64_t endpoint,
                                        uint64_t credential);
/* "closed"; a static string. */
const char *dp_breaker_state_name(enum dp_breaker_state state);
/* For metrics. */
size_t dp_breakers_count(const struct dp_breakers *breakers);
size_t dp_breakers_open(const struct dp_breakers *breakers);
