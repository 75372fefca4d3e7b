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

/* What it says about the same endpoint on another key; meaningful with
 * DP_NEXT_ENDPOINT. */
enum dp_other_key {
    DP_OTHER_KEY_NEXT,  /* the key is at fault: of an own key, the next sister first */
    DP_OTHER_KEY_LATER, /* behind all endpoints that have not failed */
    DP_OTHER_KEY_NEVER, /* no key helps: the way there is at fault, or its silence */
};

struct dp_meaning {
    enum dp_breaker_verdict verdict; /* what the breaker hears */
    enum dp_next next;
    bool again; /* once more in the end, when nothing else is left */
    enum dp_other_key other_key;
};

/* outcome: of an attempt. */
const struct dp_meaning *dp_outcome_meaning(enum msg_outcome outcome);
