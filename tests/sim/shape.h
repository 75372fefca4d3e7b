/* tests/sim/shape.h - OpenAI's shapes of chat and completion answers.
 *
 * Writes bodies and events, knows nothing of time, failures and HTTP.  Events
 * are whole: "data: {...}\n\n".  All append to out, with the errors of
 * sb_buf_append().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_arena;
struct sb_buf;
struct sb_json;
struct sim_behaviour;
struct sim_message;
struct sim_request;

struct sim_shape {
    const struct sim_request *request; /* borrowed, as all below */
    const struct sim_behaviour *behaviour;
    const struct sim_message *message;
    struct sb_slice id;     /* characters that need no escape */
    struct sb_slice prefix; /* of an event up to its choices; in the arena */
    struct sb_slice suffix; /* of an event after its choices */
    int64_t created;
    uint64_t number; /* of the request */
};

/* Fills id, and for a stream the parts of events.  The other members are set. */
void sim_shape_init(struct sim_shape *shape, struct sb_arena *arena);

/* The whole answer. */
int sim_shape_whole(const struct sim_shape *shape, struct sb_buf *out) SB_MUSTCHECK;

/* Does the stream begin with one event per choice that only opens it? */
bool sim_shape_has_opening(const struct sim_shape *shape);
int sim_shape_opening(const struct sim_shape *shape, int64_t choice,
                      struct sb_buf *out) SB_MUSTCHECK;
int sim_shape_token(const struct sim_shape *shape, int64_t choice, int64_t token,
                    struct sb_buf *out) SB_MUSTCHECK;
int sim_shape_finish(const struct sim_shape *shape, int64_t choice,
                     struct sb_buf *out) SB_MUSTCHECK;
/* The last event, without choices. */
int sim_shape_usage(const struct sim_shape *shape, struct sb_buf *out) SB_MUSTCHECK;
