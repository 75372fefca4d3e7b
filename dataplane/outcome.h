/* dataplane/outcome.h - what an outcome means: the table of ROUTING.md 8, in
 * one place.
 */
#pragma once

#include <stdbool.h>

#include "dataplane/breaker.h"
#include "proto/vocabulary.h"

enum dp_next {
    DP_NEXT_ENDPOINT, /* the next candidate */
    DP_NEXT_MODEL,    /* the next candidate of another model, else the answer stands */
    DP_NEXT_LARGER,   /* of another model with a larger context, else the answer stands */
    DP_NEXT_NONE,     /* the answer stands */
};

struct dp_meaning {
    enum dp_breaker_verdict verdict; /* what the breaker hears */
    enum dp_next next;
    bool again;     /* once more in the end, when nothing else is left */
    bool own_retry; /* with an own key: its next sister at the same endpoint first */
};

/* outcome: of an attempt. */
const struct dp_meaning *dp_outcome_meaning(enum msg_outcome outcome);
