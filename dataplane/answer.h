/* dataplane/answer.h - what the worker answers itself: errors and documents.
 *
 * One envelope for every error (ROUTING.md 9), whatever caused it.  The HTTP
 * status and error.code are the same number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/slice.h"

struct dp_client;
struct dp_request;
struct dp_worker;
struct sb_buf;

struct dp_error {
    int status;
    const char *type; /* metadata.error_type: "invalid_request", ... */
    struct sb_slice message;
    /* The error's "availability" member; none without a code. */
    const char *availability; /* "no_endpoints", "capacity_exhausted", ... */
    bool retryable;
    struct sb_slice requested_models; /* JSON array */
    /* Beside "error": the decision, when it was asked for. */
    const char *decision_name; /* NULL: none */
    struct sb_slice decision;  /* JSON object */
    int provider_code;         /* HTTP status of the provider; 0 none */
    sb_msec retry_after;       /* 0 none; rounded up to seconds */
    bool used_up;              /* attempts are used up: the client need not retry */
    const char *allow;         /* methods that the path takes, of a 405; NULL none */
};

/* Appends the envelope's JSON. */
int dp_error_write(const struct dp_error *error, struct sb_buf *out) SB_MUSTCHECK;
/* Only the object that is the envelope's "error". */
int dp_error_write_inner(const struct dp_error *error, struct sb_buf *out) SB_MUSTCHECK;

/* Answers a client that has no request (broken head, too many connections). */
void dp_answer_refuse(struct dp_worker *worker, struct dp_client *client, int status,
                      const char *text);

/* The head of an answer into out: status line, our fields, and the framing.
 * length: bytes of the body, or UINT64_MAX for a stream (chunked, or until
 * close for an HTTP/1.0 client). */
int dp_answer_head(struct dp_request *req, struct sb_buf *out, int status, const char *content_type,
                   uint64_t length) SB_MUSTCHECK;

/* Whole answers; the request's client is not finished by them.  A body that is
 * recorded was told to dataplane/digest.h before the record. */
void dp_answer_json(struct dp_request *req, int status, struct sb_slice body);
void dp_answer_text(struct dp_request *req, int status, const char *content_type,
                    struct sb_slice body);
/* The body of an error into body, which it begins, and notes what the head is
 * to say of it. */
void dp_answer_write_error(struct dp_request *req, const struct dp_error *error,
                           struct sb_buf *body);
