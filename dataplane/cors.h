/* dataplane/cors.h - what browsers have to be told, when --cors-origin is set
 * (the Fetch standard, "CORS protocol").
 *
 * A page may read our answers, and the fields of them that are ours; before
 * it sends a key or JSON, its browser asks with OPTIONS whether it may.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/http1.h"

struct dp_request;
struct sb_buf;

/* After a request's path was looked up: an OPTIONS of a browser, for a path
 * that is served, is answered instead of refused.  head and base: as in
 * dp_request_new(). */
void dp_cors_look(struct dp_request *req, const struct sb_http1_head *head, const char *base);
/* Appends the fields of an answer; none without the setting. */
int dp_cors_put_fields(const struct dp_request *req, struct sb_buf *out) SB_MUSTCHECK;
