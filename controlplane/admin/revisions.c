/* controlplane/admin/revisions.c - the history of the configuration. */
#include "common/num.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/written.h"

int cp_serve_revisions(struct cp_call *call)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf list;
    struct cp_page page;
    int rc;

    sb_buf_init(&list, CP_HTTP_ANSWER_MAX);
    rc = cp_call_page(call, &page);
    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK)
        rc = cp_store_revisions(call->store, &page, &list);
    if (rc != SB_OK)
        return rc;
    return cp_call_reply_list(call, sb_buf_slice(&list), page.cursor);
}

static int read_revision(struct cp_call *call, uint64_t *ret_revision)
{
    if (sb_num_read_u64(call->args[0], ret_revision))
        return SB_OK;
    return sb_err_set(&call->err, SB_EINVAL, "'%.*s' is not a revision: a number is",
                      call->args[0].n < 100 ? (int)call->args[0].n : 100, call->args[0].p);
}

static int say_missing(struct cp_call *call)
{
    return sb_err_set(&call->err, SB_ENOENT, "there is no revision %.*s",
                      SB_SLICE_ARGS(call->args[0]));
}

/* One revision and what it changed; or, with ?since, all that has changed
 * after that one. */
int cp_serve_revision(struct cp_call *call)
{
    uint64_t revision = 0, since;
    struct sb_json json;
    int rc = read_revision(call, &revision);

    since = cp_call_number(call, "since", 0, revision, UINT64_MAX);
    if (rc == SB_OK)
        rc = cp_call_check(call);
    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc != SB_OK)
        return rc;
    cp_call_json(call, 200, &json);
    if (since == UINT64_MAX) {
        rc = cp_store_revision(call->store, revision, &call->reply->body);
    } else {
        SB_CLEANUP(sb_buf_release) struct sb_buf list;

        sb_buf_init(&list, CP_HTTP_ANSWER_MAX);
        rc = cp_store_compare(call->store, since, revision, &list);
        if (rc == SB_OK) {
            sb_json_open_object(&json);
            sb_json_add_u64(&json, "revision", revision);
            sb_json_add_u64(&json, "since", since);
            sb_json_add_raw(&json, "difference", sb_buf_slice(&list));
            sb_json_close_object(&json);
            rc = sb_json_end(&json);
        }
    }
    if (rc == SB_ENOENT)
        return say_missing(call);
    return rc == SB_OK ? sb_buf_append_byte(&call->reply->body, '\n') : rc;
}

int cp_serve_rollback(struct cp_call *call)
{
    struct cp_change change;
    struct cp_answer answer;
    uint64_t revision = 0;
    int rc = read_revision(call, &revision);

    if (rc == SB_OK)
        rc = cp_written_begin(call, &change, &answer);
    if (rc != SB_OK)
        return rc;
    rc = cp_store_rollback(call->store, revision, &change, &answer);
    return cp_written_reply(call, rc, &change, &answer, false);
}
