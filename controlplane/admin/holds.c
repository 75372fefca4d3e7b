/* controlplane/admin/holds.c - legal holds: which there are, setting one, lifting
 * one. */
#include "controlplane/log/holds.h"

#include "common/log.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"

enum { BODY_MAX = 64 * 1024 };

int cp_serve_holds(struct cp_call *call)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf list;
    struct cp_page page;
    int rc;

    sb_buf_init(&list, CP_HTTP_ANSWER_MAX);
    rc = cp_call_page(call, &page);
    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK)
        rc = cp_hold_list(call->store, &page, &list);
    return rc == SB_OK ? cp_call_reply_list(call, sb_buf_slice(&list), page.cursor) : rc;
}

static int reply_hold(struct cp_call *call, unsigned status, struct sb_slice name)
{
    struct sb_json json;
    int rc;

    cp_call_json(call, status, &json);
    rc = cp_hold_get(call->store, name, &call->reply->body);
    if (rc == SB_ENOENT)
        return sb_err_set(&call->err, rc, "there is no hold '%.*s'", SB_LOG_SLICE(name));
    return rc == SB_OK ? sb_buf_append_byte(&call->reply->body, '\n') : rc;
}

int cp_serve_hold(struct cp_call *call)
{
    int rc = cp_call_store(call);

    return rc == SB_OK ? reply_hold(call, 200, call->args[0]) : rc;
}

int cp_serve_hold_lift(struct cp_call *call)
{
    const struct cp_actor actor = cp_call_actor(call);
    int rc = cp_call_store(call);

    if (rc == SB_OK)
        rc = cp_hold_lift(call->store, call->args[0], &actor, &call->err);
    if (rc != SB_OK)
        return rc;
    sb_log_info(ADMIN, "lifted a legal hold hold=%.*s by=%s address=%s id=%s",
                SB_LOG_SLICE(call->args[0]), call->who.name, call->request->peer,
                call->request->id);
    return reply_hold(call, 200, call->args[0]);
}

/* --- setting one ------------------------------------------------------------------------ */

static int32_t read_day(struct cp_call *call, yyjson_val *body, const char *name)
{
    struct sb_slice text = sb_json_text(yyjson_obj_get(body, name));
    int32_t day = 0;

    if (sb_date_parse(text, &day) != SB_OK)
        cp_problems_add(&call->problems, sb_slice_of(name), 0,
                        "'%.*s' is no day: 2026-01-31 is; both days are included",
                        SB_LOG_SLICE(text));
    return day;
}

static int read_wish(struct cp_call *call, yyjson_val *body, struct cp_hold_wish *wish)
{
    static const char *const names[] = {"name", "from", "to", "note", NULL};
    struct sb_slice unknown;

    if (!yyjson_is_obj(body)) {
        cp_problems_add(&call->problems, SB_SLICE_LIT(""), 0, "must be an object");
        return SB_EINVAL;
    }
    unknown = sb_json_unknown_member(body, names);
    if (unknown.p != NULL)
        cp_problems_add(&call->problems, unknown, 0, "there is no such member, or it comes twice");
    wish->name = sb_json_text(yyjson_obj_get(body, "name"));
    if (!cp_hold_name_is_fit(wish->name))
        cp_problems_add(&call->problems, SB_SLICE_LIT("name"), 0,
                        "is 1 to 64 letters, digits, '.', '_', '@' or '-', the first a letter or "
                        "digit");
    wish->from = read_day(call, body, "from");
    wish->to = read_day(call, body, "to");
    if (wish->from > wish->to)
        cp_problems_add(&call->problems, SB_SLICE_LIT("to"), 0, "is before from");
    wish->note = sb_json_text(yyjson_obj_get(body, "note"));
    if (wish->note.n == 0 || wish->note.n > CP_HOLD_NOTE_MAX)
        cp_problems_add(&call->problems, SB_SLICE_LIT("note"), 0,
                        "says why, in 1 to %d bytes: the case, the order", (int)CP_HOLD_NOTE_MAX);
    return cp_call_check(call);
}

int cp_serve_hold_set(struct cp_call *call)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    const struct cp_actor actor = cp_call_actor(call);
    struct cp_hold_wish wish = {.from = 0};
    int rc = sb_json_read(call->request->body, BODY_MAX, &doc, &call->err);

    if (rc == SB_OK)
        rc = read_wish(call, yyjson_doc_get_root(doc), &wish);
    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK)
        rc = cp_hold_set(call->store, &wish, &actor, &call->err);
    if (rc != SB_OK)
        return rc;
    sb_log_info(ADMIN, "set a legal hold hold=%.*s by=%s address=%s id=%s", SB_LOG_SLICE(wish.name),
                call->who.name, call->request->peer, call->request->id);
    return reply_hold(call, 201, wish.name);
}
