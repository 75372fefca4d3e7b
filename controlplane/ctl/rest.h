/* controlplane/ctl/rest.h - asks the admin API, over libcurl.
 *
 * One connection, kept between calls.  Environment proxies are not used for
 * addresses of this machine: the token would go there.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/slice.h"

struct ctl_rest;
struct sb_secret;

/* Called now and then, at least about once a second, while a call takes long.  sent of
 * total bytes of the body are out; 0 of 0 without a body. */
typedef void ctl_progress_cb(void *ctx, uint64_t sent, uint64_t total);
/* Takes a piece of a successful answer as it comes; another code than SB_OK
 * ends the call with it. */
typedef int ctl_piece_cb(void *ctx, struct sb_slice piece);

struct ctl_request {
    const char *method;
    const char *path;         /* "/admin/v1/..." with the query, escaped */
    const char *content_type; /* NULL: no body */
    struct sb_slice body;
    const char *fields[4];  /* "If-Match: 7"; NULL at the end */
    ctl_piece_cb *on_piece; /* NULL: the answer is collected */
    void *piece_ctx;
};

struct ctl_reply {
    long status;
    struct sb_buf body;
    yyjson_doc *doc; /* of the body, when it is JSON; else NULL */
};

void ctl_reply_release(struct ctl_reply *reply);

/* url: "http://127.0.0.1:9090".  Takes token on success.  SB_EINVAL: the url is
 * none. */
int ctl_rest_new(const char *url, struct sb_secret **token, struct ctl_rest **ret_rest,
                 struct sb_errmsg *err) SB_MUSTCHECK;
void ctl_rest_destroy(struct ctl_rest **rest);
void ctl_rest_set_progress(struct ctl_rest *rest, ctl_progress_cb *on_progress, void *ctx);

/* SB_OK whatever the status is.  SB_ECONNREFUSED, SB_ETIMEDOUT, SB_EIO:
 * nobody answered, err says what to look at. */
int ctl_rest_call(struct ctl_rest *rest, const struct ctl_request *request,
                  struct ctl_reply *ret_reply, struct sb_errmsg *err) SB_MUSTCHECK;
