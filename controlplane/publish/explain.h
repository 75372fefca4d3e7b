/* controlplane/publish/explain.h - questions on their way to a worker, and who waits
 * for the answer.  Belongs to the publisher. */
#pragma once

#include <stdint.h>

#include "common/clock.h"
#include "common/slice.h"

struct cp_ask_explain;
struct cp_explain;

/* What an operator asks.  Borrowed. */
struct cp_explain_what {
    struct sb_slice worker; /* its name; empty: any */
    struct sb_slice key;    /* name of the API key; empty: the first */
    struct sb_slice body;   /* a JSON object, as a client would send it */
};

enum { CP_EXPLAIN_PATIENCE = 10000 }; /* ms for a worker to answer */

/* All zero is empty. */
struct cp_explains {
    struct cp_explain *first;
    uint64_t last_id;
};

uint64_t cp_explains_next(struct cp_explains *explains);
/* Takes the question: answers it later. */
void cp_explains_add(struct cp_explains *explains, uint64_t id, struct cp_ask_explain *ask,
                     sb_msec now);
/* An answer whose question is forgotten is dropped. */
void cp_explains_answer(struct cp_explains *explains, uint64_t id, uint16_t status,
                        struct sb_slice json);
/* Those that waited too long are answered SB_ETIMEDOUT. */
void cp_explains_expire(struct cp_explains *explains, sb_msec now);
/* All are answered SB_ECANCELED. */
void cp_explains_cancel(struct cp_explains *explains);
