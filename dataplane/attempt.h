/* dataplane/attempt.h - one try at one candidate: connect, send, read.
 *
 *      IDLE --start--> CONNECT --conn--> WAIT --head--> ANSWER --end--> IDLE
 *                         |                |              |
 *                         +-------- dp_failover_next() <--+  before first content
 *
 * Holds back everything until the first content token or a definite error, so
 * that a failure before that is masked by the next attempt.  From the first
 * content on the answer belongs to the client (dataplane/relay.h) and a failure
 * ends it.
 *
 * Embedded in its request, one at a time.  Never calls into the request from
 * dp_attempt_start() or dp_attempt_cancel().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/http1.h"
#include "common/loop.h"
#include "common/sse.h"
#include "dataplane/breaker.h"
#include "dataplane/dialect.h"
#include "dataplane/pace.h"
#include "dataplane/upstream/pool.h"

struct dp_candidate;
struct dp_request;

enum dp_attempt_state {
    DP_ATTEMPT_IDLE,
    DP_ATTEMPT_CONNECT,
    DP_ATTEMPT_WAIT,   /* sent, or being sent; no head yet */
    DP_ATTEMPT_ANSWER, /* the body is coming */
};

struct dp_attempt {
    struct dp_request *req;
    enum dp_attempt_state state;
    const struct dp_candidate *candidate; /* while the snapshot is pinned */
    const struct dp_dialect *dialect;
    struct sb_slice upstream_model_json;

    struct dp_take take;
    struct dp_conn *conn;
    struct dp_pieces rest; /* of the request: not yet sent; n 0: all is */
    bool retried_stale;
    bool is_last; /* no other candidate is left */

    struct sb_http1 parser;
    struct sb_http1_head head;
    struct sb_http1_field *fields; /* ours while a head is half read, else NULL */
    struct sb_buf half;            /* the bytes of a half head */
    struct sb_buf in;              /* a whole answer or an error, while it is collected */
    size_t fed;                    /* bytes of a half head that the parser has seen */
    bool got_bytes;                /* of an answer */
    uint16_t status;               /* of the answer; 0 before */
    bool is_stream;                /* the answer is SSE */
    bool is_raw;                   /* over answer-hold: relayed as it comes */

    struct sb_sse sse;
    struct sb_buf held; /* chunks from before the first content */
    struct dp_incoming incoming;
    struct dp_verdict verdict; /* of an error answer */

    struct dp_breaker_ticket ticket;
    struct dp_pace pace;    /* of a stream that is relayed */
    struct sb_timer limit;  /* connect aside: first content, then silence, or the whole */
    sb_msec limit_at;       /* of the first content or the whole; the queue's may come before */
    struct sb_task later;   /* an outcome found where nothing may be called back */
    enum msg_outcome found; /* it */
    uint64_t started_us, first_token_us; /* since the request was received */
    sb_msec retry_after;                 /* of a 429 or 503; 0 none */
    bool got_event;                      /* of a stream */
};

void dp_attempt_init(struct dp_attempt *attempt, struct dp_request *req);
/* Frees what it holds; an attempt that runs is cancelled. */
void dp_attempt_release(struct dp_attempt *attempt);

/* Tries a candidate of the request's decision.  The outcome comes later, by
 * dp_failover_next() or dp_relay_*(). */
void dp_attempt_start(struct dp_attempt *attempt, const struct dp_candidate *candidate,
                      bool is_last);
/* Ends it with an outcome that was decided elsewhere (client gone, deadline):
 * recorded, and the provider's connection closed. */
void dp_attempt_cancel(struct dp_attempt *attempt, enum msg_outcome outcome);
bool dp_attempt_is_running(const struct dp_attempt *attempt);

/* The client reads again: so do we. */
void dp_attempt_resume(struct dp_attempt *attempt);
