/* controlplane/admin/erasures.c - POST erasures: forget a person.  The name is in
 * the body, since addresses are written into logs. */
#include <inttypes.h>

#include "common/log.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/log/erasure.h"

enum { BODY_MAX = 64 * 1024 };

static void read_moment(struct cp_call *call, yyjson_val *body, const char *name, int64_t *moment)
{
    struct sb_slice text = SB_SLICE_NONE;
    sb_usec wall = 0;
    int32_t day = 0;
    int rc = sb_json_get_text(body, name, &text);

    if (rc == SB_ENOENT)
        return;
    if (rc == SB_OK && sb_date_parse(text, &day) == SB_OK && day >= 0)
        *moment = (int64_t)day * SB_SEC_PER_DAY * SB_USEC_PER_SEC;
    else if (rc == SB_OK && sb_time_parse(text, &wall) == SB_OK)
        *moment = (int64_t)wall;
    else
        cp_problems_add(&call->problems, sb_slice_of(name), 0,
                        "is no time: 2026-01-31 or 2026-01-31T12:00:00Z is");
}

static int read_wish(struct cp_call *call, yyjson_val *body, struct cp_erasure *wish)
{
    static const char *const names[] = {"tenant", "user", "from", "to", "dry_run", NULL};
    struct sb_slice unknown;

    if (!yyjson_is_obj(body)) {
        cp_problems_add(&call->problems, SB_SLICE_LIT(""), 0, "must be an object");
        return SB_EINVAL;
    }
    unknown = sb_json_unknown_member(body, names);
    if (unknown.p != NULL)
        cp_problems_add(&call->problems, unknown, 0, "there is no such member, or it comes twice");
    wish->tenant = sb_json_text(yyjson_obj_get(body, "tenant"));
    if (wish->tenant.n == 0)
        cp_problems_add(&call->problems, SB_SLICE_LIT("tenant"), 0, "names whose user it is");
    wish->user = sb_json_text(yyjson_obj_get(body, "user"));
    if (wish->user.n == 0)
        cp_problems_add(&call->problems, SB_SLICE_LIT("user"), 0,
                        "is the \"user\" that clients sent, character for character");
    read_moment(call, body, "from", &wish->from);
    read_moment(call, body, "to", &wish->to);
    if (wish->from >= wish->to)
        cp_problems_add(&call->problems, SB_SLICE_LIT("to"), 0, "is not behind from");
    if (sb_json_get_bool(body, "dry_run", &wish->dry_run) == SB_EINVAL)
        cp_problems_add(&call->problems, SB_SLICE_LIT("dry_run"), 0, "is neither true nor false");
    return cp_call_check(call);
}

int cp_serve_erasure(struct cp_call *call)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    const struct cp_actor actor = cp_call_actor(call);
    struct cp_erasure wish = {.to = INT64_MAX};
    struct cp_erased erased = {.records = 0};
    struct sb_json json;
    int rc = sb_json_read(call->request->body, BODY_MAX, &doc, &call->err);

    if (rc == SB_OK)
        rc = read_wish(call, yyjson_doc_get_root(doc), &wish);
    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK)
        rc = cp_erase(call->store, &wish, &actor, &erased, &call->err);
    if (rc != SB_OK)
        return rc;
    if (!wish.dry_run)
        sb_log_info(ADMIN, "erased a person records=%" PRIu64 " by=%s address=%s id=%s",
                    erased.records, call->who.name, call->request->peer, call->request->id);
    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "tenant", wish.tenant);
    sb_json_add_u64(&json, "records", erased.records);
    sb_json_add_u64(&json, "held", erased.held);
    sb_json_add_bool(&json, "dry_run", wish.dry_run);
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}
