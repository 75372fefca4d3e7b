/* controlplane/admin/fleet.c - the workers, and the opinion of one of them. */
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/publish/explain.h"

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

/* The worker refused: its words, in our form. */
static int pass_on(struct cp_call *call, unsigned status)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_slice message = SB_SLICE_NONE;
    const char *code = status == 400 ? "invalid" : status == 404 ? "not_found" : "refused";

    if (sb_json_read(sb_buf_slice(&call->reply->body), CP_HTTP_ANSWER_MAX, &doc, NULL) == SB_OK)
        message = sb_json_text(
            yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "error"), "message"));
    message = sb_arena_dup(call->arena, message); /* terminated */
    cp_call_refuse(call, status, code, message.n > 0 ? message.p : "the worker refuses");
    return SB_OK;
}

int cp_serve_explain(struct cp_call *call)
{
    const struct cp_admin_live *live = &call->world->live;
    const struct cp_explain_what what = {.worker = cp_call_param(call, "worker"),
                                         .key = cp_call_param(call, "key"),
                                         .body = call->request->body};
    unsigned status = 200;
    struct sb_json json;
    int rc = SB_EAGAIN;

    if (call->request->body.n == 0)
        return sb_err_set(&call->err, SB_EINVAL,
                          "the body is missing: a request as a client would send it");
    cp_call_json(call, 200, &json);
    if (live->explain != NULL)
        rc = live->explain(live->ctx, &what, &call->reply->body, &status, &call->err);
    if (rc != SB_OK)
        return rc;
    if (status < 200 || status >= 300)
        return pass_on(call, status);
    return sb_buf_append_byte(&call->reply->body, '\n');
}
