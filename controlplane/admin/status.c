/* controlplane/admin/status.c - how the daemon is: for load balancers, for
 * Prometheus, for people. */
#include "common/metrics.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/stats.h"

int cp_serve_healthz(struct cp_call *call)
{
    struct sb_json json;

    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "status", SB_SLICE_LIT("alive"));
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}

/* SB_OK, or why changes cannot be taken now. */
static int find_trouble(struct cp_call *call, struct msg_version *ret_head)
{
    const struct cp_admin_live *live = &call->world->live;
    int rc = live->ready != NULL ? live->ready(live->ctx, &call->err) : SB_OK;

    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK) {
        rc = cp_store_head(call->store, ret_head);
        if (rc != SB_OK)
            (void)sb_err_set(&call->err, rc, "the database does not answer: %s", sb_err_str(rc));
    }
    return rc;
}

int cp_serve_readyz(struct cp_call *call)
{
    struct msg_version head;
    struct sb_json json;
    int rc = find_trouble(call, &head);

    cp_call_json(call, rc == SB_OK ? 200 : 503, &json);
    sb_json_open_object(&json);
    if (rc == SB_OK) {
        sb_json_add_text(&json, "status", SB_SLICE_LIT("ready"));
        sb_json_add_u64(&json, "epoch", head.epoch);
        sb_json_add_u64(&json, "revision", head.revision);
    } else {
        sb_json_add_text(&json, "status", SB_SLICE_LIT("not_ready"));
        sb_json_add_text(&json, "problem", sb_slice_of(call->err.text));
    }
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}

static void add_database(struct cp_call *call, struct sb_json *json)
{
    struct msg_version head;
    int rc = cp_call_store(call);

    if (rc == SB_OK)
        rc = cp_store_head(call->store, &head);
    sb_json_add_object(json, "database");
    sb_json_add_text(json, "state", sb_slice_of(rc == SB_OK ? "up" : "down"));
    if (rc == SB_OK) {
        sb_json_add_u64(json, "epoch", head.epoch);
        sb_json_add_u64(json, "revision", head.revision);
    } else {
        sb_json_add_text(json, "problem",
                         sb_slice_of(call->err.text[0] != '\0' ? call->err.text : sb_err_str(rc)));
    }
    sb_json_close_object(json);
}

int cp_serve_status(struct cp_call *call)
{
    const struct cp_admin_live *live = &call->world->live;
    struct sb_json json;
    int rc = SB_OK;

    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "release", sb_slice_of(call->world->release));
    add_database(call, &json);
    if (live->state != NULL)
        rc = live->state(live->ctx, &json);
    sb_json_close_object(&json);
    return rc == SB_OK ? cp_call_json_end(call, &json) : rc;
}

int cp_serve_metrics(struct cp_call *call)
{
    const struct cp_admin_live *live = &call->world->live;
    int rc;

    call->reply->status = 200;
    call->reply->content_type = SB_METRICS_CONTENT_TYPE;
    rc = cp_admin_stats_write(call->world->stats, &call->reply->body);
    if (rc == SB_OK && live->metrics != NULL)
        rc = live->metrics(live->ctx, &call->reply->body);
    return rc;
}
