/* tests/sim/reply.h - the bytes that answer one request, and when.
 *
 * A reply is asked for its next part again and again; it never touches a
 * socket or a timer, it says what its caller has to do:
 *
 *      start -> step ... -> KEEP | CLOSE | RESET | HANG -> end
 *                 ^  \-> WAIT until the time told, HOLD until sim_reply_release()
 *
 * The request's head and body are borrowed from start to end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/slice.h"
#include "tests/sim/error.h"
#include "tests/sim/message.h"
#include "tests/sim/request.h"
#include "tests/sim/rng.h"
#include "tests/sim/shape.h"

struct sb_arena;
struct sb_buf;
struct sim_behaviour;
struct sim_world;

enum sim_step {
    SIM_STEP_MORE,  /* something was appended: call again */
    SIM_STEP_WAIT,  /* call again at *ret_when */
    SIM_STEP_HOLD,  /* call again after sim_reply_release() */
    SIM_STEP_HANG,  /* never */
    SIM_STEP_KEEP,  /* complete; the connection may serve another request */
    SIM_STEP_CLOSE, /* write what there is, then close */
    SIM_STEP_RESET, /* write what there is, then reset */
};

/* What came in. */
struct sim_asked {
    bool is_post, is_get;
    bool keep_alive;
    bool authorized;
    struct sb_slice credential; /* as it came */
    struct sb_slice path;       /* without its query */
    struct sb_slice body;
    uint64_t number; /* of the request, from 1; seeds its chance */
};

enum sim_phase {
    SIM_PHASE_COMMENTS,
    SIM_PHASE_OPENING,
    SIM_PHASE_TOKENS,
    SIM_PHASE_FINISH,
    SIM_PHASE_USAGE,
    SIM_PHASE_DONE,
    SIM_PHASE_END,
    SIM_PHASE_WHOLE, /* not a stream: one part */
    SIM_PHASE_RAW,   /* bytes as they were given */
    SIM_PHASE_GONE,  /* nothing is left to be said */
};

enum sim_framing { SIM_FRAMING_LENGTH, SIM_FRAMING_CHUNKED, SIM_FRAMING_CLOSE };

struct sim_reply {
    struct sim_world *world;         /* borrowed */
    struct sim_behaviour *behaviour; /* owned reference */
    struct sb_arena *arena;          /* owned */
    struct sim_asked asked;
    struct sim_request request;
    struct sim_message message;
    struct sim_shape shape;
    struct sim_error error; /* error.status != 0: the answer is this error */
    struct sb_slice model;  /* of GET /v1/models/{id} */
    struct sim_rng rng;
    enum sim_phase phase;
    enum sim_framing framing;
    enum sim_step last;    /* KEEP, CLOSE, RESET or HANG: how it ends */
    int status;            /* of the answer; 0 until it was written */
    int64_t token, choice; /* next to be said */
    int64_t events;        /* said, without comments */
    int64_t comments;      /* said */
    double start, due;     /* of the request, of the next part; ms of the caller's clock */
    bool head_written;
    bool malformed; /* this answer has to be */
    bool failed;    /* it ends in a way that no answer should */
    bool released;  /* SIM_STEP_HOLD is over */
};

/* Takes the world's next behaviour.  now: of the caller's clock, as for step. */
void sim_reply_start(struct sim_reply *reply, struct sim_world *world,
                     const struct sim_asked *asked, sb_msec now);
/* Gives back what start took. */
void sim_reply_end(struct sim_reply *reply);
/* Appends the next part, if it is time, to out. */
enum sim_step sim_reply_step(struct sim_reply *reply, sb_msec now, struct sb_buf *out,
                             sb_msec *ret_when);
void sim_reply_release(struct sim_reply *reply);

static inline bool sim_reply_is_stream(const struct sim_reply *reply)
{
    return reply->phase < SIM_PHASE_WHOLE;
}
