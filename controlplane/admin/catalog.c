/* controlplane/admin/catalog.c - the whole configuration as one document. */
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/written.h"

int cp_serve_catalog(struct cp_call *call)
{
    struct msg_version version;
    struct sb_json json;
    int rc = cp_call_store(call);

    if (rc != SB_OK)
        return rc;
    cp_call_json(call, 200, &json);
    rc = cp_store_catalog(call->store, &call->reply->body, &version);
    if (rc != SB_OK)
        return rc;
    cp_call_tag(call, version.revision);
    return sb_buf_append_byte(&call->reply->body, '\n');
}

int cp_serve_apply(struct cp_call *call)
{
    enum cp_doc_format format;
    struct cp_change change;
    struct cp_answer answer;
    int rc = cp_written_format(call, &format);

    if (rc == SB_OK)
        rc = cp_written_begin(call, &change, &answer);
    if (rc != SB_OK)
        return rc;
    rc = cp_store_apply(call->store, call->request->body, format, &change, &answer);
    return cp_written_reply(call, rc, &change, &answer, false);
}
