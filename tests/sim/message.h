/* tests/sim/message.h - what the model says to one request: the same in each of
 * its choices, streamed or whole. */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "tests/sim/text.h"

struct sb_arena;
struct sim_behaviour;
struct sim_error;
struct sim_request;
struct sim_world;

enum sim_says { SIM_SAYS_CONTENT, SIM_SAYS_REFUSAL, SIM_SAYS_TOOL };

struct sim_message {
    enum sim_says how;
    struct sim_text reasoning; /* count 0: none */
    struct sim_text says;      /* content, refusal, or arguments of the tool call */
    struct sb_slice tool_name; /* JSON text with its quotes */
    const char *finish;        /* "stop" */
    int64_t reported_prompt;   /* tokens */
    int64_t reported_cached;   /* tokens, part of the prompt */
};

static inline int64_t sim_message_tokens(const struct sim_message *message)
{
    return message->reasoning.count + message->says.count;
}

/* Of a chat or a completion.  0, or the status with *error filled.  What it
 * points to is in the arena, in the request's body, or in the world. */
int sim_message_make(struct sim_message *message, const struct sim_request *request,
                     const struct sim_behaviour *behaviour, const struct sim_world *world,
                     struct sb_arena *arena, struct sim_error *error) SB_MUSTCHECK;
