/* dataplane/cors.c */
#include "dataplane/cors.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "dataplane/answer.h"
#include "dataplane/api.h"
#include "dataplane/conf.h"
#include "dataplane/request.h"
#include "dataplane/worker.h"

enum { HEADERS_MAX = 1024 }; /* bytes of the names that a page wants to send */

static void serve(struct dp_request *req)
{
    dp_answer_text(req, 200, "text/plain", SB_SLICE_NONE);
    dp_request_done(req);
}

static const struct dp_api preflight = {.path = "", .on_main = true, .serve = serve};

void dp_cors_look(struct dp_request *req, const struct sb_http1_head *head, const char *base)
{
    struct sb_slice wanted;

    if (req->worker->conf->cors_origin == NULL || req->method != SB_HTTP1_OPTIONS ||
        req->refusal.status != 405)
        return;
    req->api = &preflight;
    req->allow = req->refusal.allow;
    req->refusal = (struct dp_error){.status = 0};
    wanted = sb_http1_value(head, base, SB_SLICE_LIT("access-control-request-headers"));
    if (wanted.n > 0 && wanted.n <= HEADERS_MAX)
        req->page_headers = sb_arena_dup(req->arena, wanted);
}

/* A client's own fields are no secret of ours: it may send what it likes, so
 * that the list never lags behind what clients invent. */
static int put_preflight(const struct dp_request *req, struct sb_buf *out)
{
    int rc = sb_http1_put_field(out, SB_SLICE_LIT("Access-Control-Allow-Methods"),
                                sb_slice_of(req->allow));

    if (rc == SB_OK && req->page_headers.n > 0)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("Access-Control-Allow-Headers"),
                                req->page_headers);
    return rc == SB_OK ? sb_buf_append_text(out, "Access-Control-Max-Age: 86400\r\n") : rc;
}

int dp_cors_put_fields(const struct dp_request *req, struct sb_buf *out)
{
    int rc;

    if (req->worker->conf->cors_origin == NULL)
        return SB_OK;
    rc = sb_http1_put_field(out, SB_SLICE_LIT("Access-Control-Allow-Origin"),
                            sb_slice_of(req->worker->conf->cors_origin));
    if (rc != SB_OK)
        return rc;
    if (req->api == &preflight)
        return put_preflight(req, out);
    return sb_buf_append_text(out, "Access-Control-Expose-Headers: X-Generation-Id, "
                                   "X-Switchboard-Endpoint, X-Switchboard-Attempts, "
                                   "X-Switchboard-Snapshot, X-Switchboard-Spilled, "
                                   "X-Switchboard-Receipt, "
                                   "X-Request-Id, X-Should-Retry, Retry-After\r\n");
}
