/* dataplane/dialect/openai.h - the parts of the openai dialect: requests in
 * openai.c, answers in openai_answer.c, errors in openai_error.c. */
#pragma once

#include "dataplane/dialect.h"

int dp_openai_read_answer(struct dp_incoming *in, struct sb_slice body);
int dp_openai_write_answer(struct dp_incoming *in, struct sb_buf *out);
int dp_openai_on_event(struct dp_incoming *in, const struct sb_sse_event *event,
                       struct sb_buf *out);
int dp_openai_end(struct dp_incoming *in, struct sb_buf *out);
int dp_openai_fail(struct dp_incoming *in, struct sb_slice error, struct sb_buf *out);

/* What an error object says; texts are in the arena. */
struct dp_openai_error {
    struct sb_slice message;    /* empty: none */
    struct sb_slice code, type; /* words of the provider; empty: none */
    int status;                 /* of a code that is a number, 400 to 599; 0: none */
};

/* Reads the value of an "error" member, object or string; what it does not
 * say stays. */
void dp_openai_read_error(struct sb_slice value, struct sb_arena *arena,
                          struct dp_openai_error *error);
/* Whether its text may quote the house's key, or tell of the house's account. */
bool dp_openai_error_is_private(const struct dp_openai_error *error);
void dp_openai_classify(int status, struct sb_slice body, struct sb_arena *arena,
                        struct dp_verdict *verdict);
