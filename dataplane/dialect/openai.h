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

/* Takes message and code out of an "error" value (object or string). */
void dp_openai_read_error(struct sb_slice value, struct sb_arena *arena,
                          struct sb_slice *ret_message, struct sb_slice *ret_code);
void dp_openai_classify(int status, struct sb_slice body, struct sb_arena *arena,
                        struct dp_verdict *verdict);
