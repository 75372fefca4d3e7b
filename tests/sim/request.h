/* tests/sim/request.h - what a body asks for, as far as an answer needs it.
 *
 * One pass of the splicer; nothing is copied.  Checked as a strict provider
 * does: wrong types of known members are 400, unknown members pass.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct sim_error;

enum sim_kind {
    SIM_NO_KIND,
    SIM_CHAT,        /* POST .../chat/completions */
    SIM_COMPLETION,  /* POST .../completions */
    SIM_EMBEDDINGS,  /* POST .../embeddings */
    SIM_MODEL_LIST,  /* GET .../models */
    SIM_MODEL_ENTRY, /* GET .../models/{id} */
};

enum { SIM_N_MAX = 128, SIM_DIMENSIONS_MAX = 65536 };

/* Slices point into the body and are JSON text; no bytes when the member is
 * absent or null. */
struct sim_request {
    enum sim_kind kind;
    struct sb_slice model;    /* with its quotes */
    struct sb_slice messages; /* an array that is not empty */
    struct sb_slice prompt;   /* string or array */
    struct sb_slice input;    /* string or array */
    struct sb_slice tools;    /* an array */
    struct sb_slice tool_choice;
    struct sb_slice response_format; /* an object */
    int64_t max_tokens;              /* -1: not given */
    int64_t n;                       /* 1 to SIM_N_MAX */
    int64_t dimensions;              /* -1: not given */
    bool stream;
    bool include_usage;
    bool base64; /* embeddings */
};

/* What a target is for; ret_model is what follows ".../models/". */
enum sim_kind sim_kind_of(struct sb_slice path, struct sb_slice *ret_model);
/* Of a POST.  0, or the status with *error filled.  Borrows the body. */
int sim_request_read(struct sim_request *request, enum sim_kind kind, struct sb_slice body,
                     struct sim_error *error) SB_MUSTCHECK;
