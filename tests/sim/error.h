/* tests/sim/error.h - errors in OpenAI's envelope. */
#pragma once

#include "common/attr.h"

struct sb_buf;

struct sim_error {
    int status;
    const char *type;  /* "invalid_request_error" */
    const char *code;  /* NULL: null */
    const char *param; /* NULL: null */
    char message[512]; /* UTF-8 */
};

/* The error that a provider answers with that status: "rate_limit_exceeded"
 * of 429, and so on. */
void sim_error_of_status(struct sim_error *error, int status);
/* Fills it and returns status, so that a refusal is one statement. */
int sim_error_set(struct sim_error *error, int status, const char *param, const char *fmt, ...)
    SB_PRINTF(4, 5);
/* Appends {"error":{...}}; errors as sb_buf_append(). */
int sim_error_write(const struct sim_error *error, struct sb_buf *out) SB_MUSTCHECK;
