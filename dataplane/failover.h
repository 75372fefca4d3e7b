/* dataplane/failover.h - which candidate is next, and what the client is told
 * when none is (ROUTING.md 8 and 9).
 *
 * Candidates are tried in the order of the decision; what an outcome means
 * for the next one is dataplane/outcome.c's table.  At most DP_ATTEMPTS_TOTAL
 * attempts, one of them kept for each model that is still to come.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "proto/vocabulary.h"

struct dp_candidate;
struct dp_request;

enum {
    DP_ATTEMPTS_TOTAL = 8,
    DP_FAILOVER_CANDIDATES = 256, /* of a decision that are looked at */
};

/* How a candidate failed last: whether it may have another go. */
struct dp_failed {
    uint32_t at;      /* place in the decision */
    bool again;       /* once more after a short pause; else silent, broken or at its limit */
    sb_msec ready_at; /* end of its Retry-After; 0: it has none */
};

struct dp_failover {
    struct dp_request *req;
    uint64_t tried[DP_FAILOVER_CANDIDATES / 64];  /* bits by place in the decision */
    uint64_t behind[DP_FAILOVER_CANDIDATES / 64]; /* likewise: other keys of what failed */
    struct dp_failed failed[DP_ATTEMPTS_TOTAL];
    uint32_t n_failed;
    uint32_t used_up;    /* bits by model */
    uint32_t current;    /* place of the running or last one */
    bool own_key_failed; /* it was refused, or at its limit */
    bool house_barred;   /* and must not spill */
    bool tried_again;    /* one has had its second go */
    uint8_t waits;       /* for a Retry-After */
    struct sb_timer pause;
    uint32_t after_pause; /* place */

    /* What the attempts said, for the final answer. */
    bool any_unavailable; /* 5xx, time-outs, connections */
    bool any_bad_answer;  /* broken offers too */
    bool any_rate_limit;
    bool any_overload;   /* limits of ours */
    sb_msec retry_after; /* the smallest */
    uint16_t provider_code;
};

void dp_failover_init(struct dp_failover *failover, struct dp_request *req);
void dp_failover_release(struct dp_failover *failover);
/* Starts the first candidate. */
void dp_failover_start(struct dp_request *req);
/* The current attempt ended like this before any content: the next one, or
 * the error.  May end the request. */
void dp_failover_next(struct dp_request *req, enum msg_outcome outcome);
/* Ends a request that no content was sent of: with an error, or, behind a
 * comment that has committed the status, with an error chunk; the decision
 * goes with it where it was asked for. */
struct dp_error;
void dp_failover_give_up(struct dp_request *req, enum msg_outcome outcome,
                         const struct dp_error *error);
