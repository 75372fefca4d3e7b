/* controlplane/admin/fleet.c - the workers, and the opinion of one of them. */
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"

int cp_serve_workers(struct cp_call *call)
{
    const struct cp_admin_live *live = &call->world->live;
    SB_CLEANUP(sb_buf_release) struct sb_buf list;
    int rc = SB_EAGAIN;

    sb_buf_init(&list, CP_HTTP_ANSWER_MAX);
    if (live->workers != NULL)
        rc = live->workers(live->ctx, &list, &call->err);
    return rc == SB_OK ? cp_call_reply_list(call, sb_buf_slice(&list), "") : rc;
}

int cp_serve_explain(struct cp_call *call)
{
    const struct cp_admin_live *live = &call->world->live;
    unsigned status = 200;
    struct sb_json json;
    int rc = SB_EAGAIN;

    if (call->request->body.n == 0)
        return sb_err_set(&call->err, SB_EINVAL,
                          "the body is missing: a request as a client would send it");
    cp_call_json(call, 200, &json);
    if (live->explain != NULL)
        rc = live->explain(live->ctx, cp_call_param(call, "worker"), cp_call_param(call, "key"),
                           call->request->body, &call->reply->body, &status, &call->err);
    call->reply->status = status;
    return rc;
}
