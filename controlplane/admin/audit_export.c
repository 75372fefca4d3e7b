/* controlplane/admin/audit_export.c - GET audit/export: a day of the log as a file
 * that proves itself (controlplane/log/export.h), not compressed. */
#include "common/log.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/log/export.h"

/* Where a stream is; in the call's arena. */
struct reading {
    struct cp_stores *stores;
    struct cp_export export;
    bool has_begun, is_over;
};

static int read_on(struct reading *reading, struct sb_buf *out, struct sb_errmsg *err)
{
    struct cp_store *store = NULL;
    struct msg_version head;
    int rc = cp_stores_take(reading->stores, &store, err);

    if (rc == SB_OK)
        rc = cp_store_head(store, &head); /* connects again when it must */
    if (rc == SB_OK && !reading->has_begun) {
        rc = cp_export_find(cp_store_db(store), reading->export.day, &reading->export, err);
        if (rc == SB_EAGAIN)
            rc = SB_ENOENT; /* not now */
        if (rc == SB_OK)
            rc = cp_export_begin(cp_store_db(store), &reading->export, out, err);
        reading->has_begun = rc == SB_OK;
    }
    if (rc == SB_OK)
        rc = cp_export_more(cp_store_db(store), &reading->export, out, &reading->is_over, err);
    if (rc == SB_EINVAL || rc == SB_EPARSE || rc == SB_EHASH)
        rc = SB_EDB; /* no mistake of who asked */
    cp_stores_give(reading->stores, &store);
    return rc;
}

static int on_more(void *ctx, struct sb_buf *out)
{
    struct reading *reading = ctx;
    struct sb_errmsg err = {.text = ""};
    int rc;

    if (reading->is_over)
        return SB_EEOF;
    rc = read_on(reading, out, &err);
    if (rc != SB_OK)
        sb_log_warn(ADMIN, "cannot go on with an export code=%s: %s", sb_err_name(rc), err.text);
    return rc;
}

int cp_serve_audit_export(struct cp_call *call)
{
    struct reading *reading = sb_arena_alloc(call->arena, sizeof(*reading));
    struct sb_slice day = cp_call_param(call, "day");
    int rc;

    reading->stores = call->world->stores;
    if (sb_date_parse(day, &reading->export.day) != SB_OK)
        cp_problems_add(&call->problems, SB_SLICE_LIT("day"), 0, "'%.*s' is no day: 2026-01-31 is",
                        SB_LOG_SLICE(day));
    rc = cp_call_check(call);
    if (rc == SB_OK)
        rc = read_on(reading, &call->reply->body, &call->err);
    if (rc != SB_OK)
        return rc;
    call->reply->status = 200;
    call->reply->content_type = "application/x-ndjson";
    call->reply->more = on_more;
    call->reply->more_ctx = reading;
    return SB_OK;
}
