/* dataplane/patience.h - how long an attempt may take until it has to have
 * answered (ROUTING.md 8).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

struct dp_conf;
struct dp_plan;

/* conf and plan: borrowed. */
struct dp_patience_ask {
    const struct dp_conf *conf;
    const struct dp_plan *plan; /* the limits that policy and request have set */
    bool streamed;              /* what is waited for is the first content, else the whole answer */
    bool reasoning;
    bool is_last;         /* no other candidate is left */
    double prompt_tokens; /* estimate */
    uint32_t p99;         /* milliseconds to the endpoint's first token, or MSG_NO_DATA */
};

sb_msec dp_patience(const struct dp_patience_ask *ask);
