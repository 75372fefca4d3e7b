/* dataplane/status.c */
#include "dataplane/status.h"

#include <inttypes.h>

#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "dataplane/answer.h"
#include "dataplane/api.h"
#include "dataplane/client.h"
#include "dataplane/courier/courier.h"
#include "dataplane/listener.h"
#include "dataplane/records/spool.h"
#include "dataplane/request.h"
#include "dataplane/route/view.h"
#include "dataplane/worker.h"

enum { PAGE_MAX = 4 << 20 };

struct dp_status {
    struct dp_worker *worker;
    struct dp_listener *listener;
};

static void on_accept(void *ctx, int fd)
{
    struct dp_status *status = ctx;

    dp_client_new(status->worker, fd, true);
}

int dp_status_new(struct dp_worker *worker, int fd, struct dp_status **ret_status)
{
    struct dp_status *status = sb_mem_new(sizeof(*status));
    int rc;

    status->worker = worker;
    rc = dp_listener_new(worker->loop, fd, on_accept, status, &status->listener);
    if (rc != SB_OK) {
        sb_mem_free(status);
        return rc;
    }
    dp_listener_open(status->listener);
    *ret_status = status;
    return SB_OK;
}

void dp_status_destroy(struct dp_status **status)
{
    if (*status == NULL)
        return;
    dp_listener_close(&(*status)->listener);
    sb_mem_free(*status);
    *status = NULL;
}

void dp_serve_healthz(struct dp_request *req)
{
    dp_answer_text(req, 200, "text/plain", SB_SLICE_LIT("ok\n"));
    dp_request_done(req);
}

/* Why the worker is not ready; NULL when it is. */
static const char *not_ready(const struct dp_worker *worker)
{
    struct dp_spool_stats spool;

    if (worker->draining)
        return "draining";
    if (worker->snapshot == NULL)
        return "no snapshot";
    dp_spool_stats(worker->spool, &spool);
    if (spool.failing)
        return "records cannot be stored";
    return NULL;
}

void dp_serve_readyz(struct dp_request *req)
{
    struct dp_worker *worker = req->worker;
    const char *reason = not_ready(worker);
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct dp_courier_state link;
    struct sb_json json;

    dp_courier_state(worker->courier, &link);
    sb_buf_init(&body, PAGE_MAX);
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    sb_json_add_bool(&json, "ready", reason == NULL);
    if (reason != NULL)
        sb_json_add_text(&json, "reason", sb_slice_of(reason));
    sb_json_add_text(&json, "worker", sb_slice_of(worker->name));
    if (worker->snapshot != NULL) {
        const struct msg_snapshot *records = worker->snapshot->records;
        int64_t now = (int64_t)sb_clock_wall(worker->clock);

        sb_json_add_object(&json, "snapshot");
        sb_json_add_u64(&json, "epoch", records->version.epoch);
        sb_json_add_u64(&json, "revision", records->version.revision);
        sb_json_add_i64(&json, "age_seconds", (now - records->created_at) / 1000000);
        sb_json_add_text(&json, "from",
                         worker->from_disk ? SB_SLICE_LIT("disk") : SB_SLICE_LIT("bus"));
        sb_json_close_object(&json);
    }
    sb_json_add_bool(&json, "control_plane", link.connected);
    sb_json_close_object(&json);
    if (sb_json_end(&json) == SB_OK)
        dp_answer_json(req, reason == NULL ? 200 : 503, sb_buf_slice(&body));
    dp_request_done(req);
}

void dp_serve_metrics(struct dp_request *req)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf page;

    sb_buf_init(&page, PAGE_MAX);
    if (dp_stats_write(req->worker, &page) == SB_OK)
        dp_answer_text(req, 200, "text/plain; version=0.0.4", sb_buf_slice(&page));
    else
        dp_answer_text(req, 500, "text/plain", SB_SLICE_LIT("the page does not fit\n"));
    dp_request_done(req);
}
