/* controlplane/admin/call.c */
#include "controlplane/admin/call.h"

#include <inttypes.h>

#include "common/log.h"
#include "common/num.h"
#include "controlplane/admin/routes.h"

struct cp_actor cp_call_actor(const struct cp_call *call)
{
    return (struct cp_actor){.name = sb_slice_of(call->who.name),
                             .role = sb_slice_of(cp_role_name(call->who.role)),
                             .address = sb_slice_of(call->request->peer)};
}

int cp_call_store(struct cp_call *call)
{
    if (call->store != NULL)
        return SB_OK;
    return cp_stores_take(call->world->stores, &call->store, &call->err);
}

/* --- what was asked --------------------------------------------------------------- */

struct sb_slice cp_call_param(const struct cp_call *call, const char *name)
{
    for (size_t i = 0; i < call->target.n_params; i++) {
        if (sb_slice_is(call->target.params[i].name, name))
            return call->target.params[i].value;
    }
    return SB_SLICE_NONE;
}

bool cp_call_flag(struct cp_call *call, const char *name)
{
    struct sb_slice value = cp_call_param(call, name);

    if (value.p == NULL || sb_slice_is(value, "false") || sb_slice_is(value, "0"))
        return false;
    if (value.n > 0 && !sb_slice_is(value, "true") && !sb_slice_is(value, "1"))
        cp_problems_add(&call->problems, sb_slice_of(name), 0, "'%.*s' is neither true nor false",
                        SB_LOG_SLICE(value));
    return true;
}

uint64_t cp_call_number(struct cp_call *call, const char *name, uint64_t min, uint64_t max,
                        uint64_t fallback)
{
    struct sb_slice value = cp_call_param(call, name);
    uint64_t number = fallback;

    if (value.p == NULL)
        return fallback;
    if (!sb_num_read_u64(value, &number) || number < min || number > max) {
        cp_problems_add(&call->problems, sb_slice_of(name), 0,
                        "'%.*s' is not a whole number from %" PRIu64 " to %" PRIu64,
                        SB_LOG_SLICE(value), min, max);
        return fallback;
    }
    return number;
}

int cp_call_check(struct cp_call *call)
{
    return call->problems.n == 0 ? SB_OK : SB_EINVAL;
}

int cp_call_page(struct cp_call *call, struct cp_page *ret_page)
{
    struct sb_slice cursor = cp_call_param(call, "cursor");

    ret_page->tenants = SB_SLICE_NONE;
    ret_page->limit = cp_call_number(call, "limit", 1, CP_LIMIT_MAX, 100);
    if (!sb_slice_copy_text(cursor, ret_page->cursor, sizeof(ret_page->cursor)))
        cp_problems_add(&call->problems, SB_SLICE_LIT("cursor"), 0, "is not one of ours");
    return cp_call_check(call);
}

/* --- the reply -------------------------------------------------------------------- */

void cp_call_json(struct cp_call *call, unsigned status, struct sb_json *json)
{
    call->reply->status = status;
    call->reply->content_type = "application/json";
    sb_buf_reset(&call->reply->body);
    sb_json_init(json, &call->reply->body);
}

int cp_call_json_end(struct cp_call *call, struct sb_json *json)
{
    int rc = sb_json_end(json);

    return rc == SB_OK ? sb_buf_append_byte(&call->reply->body, '\n') : rc;
}

void cp_call_tag(struct cp_call *call, uint64_t revision)
{
    struct sb_slice tag = sb_arena_printf(call->arena, "\"%" PRIu64 "\"", revision);

    cp_http_reply_field(call->reply, "ETag", tag.p);
}

int cp_call_reply_list(struct cp_call *call, struct sb_slice list, const char *cursor)
{
    struct sb_json json;

    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_raw(&json, "data", list);
    if (*cursor != '\0')
        sb_json_add_text(&json, "next_cursor", sb_slice_of(cursor));
    else
        sb_json_add_null(&json, "next_cursor");
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}

static void add_details(struct sb_json *json, const struct cp_problems *problems)
{
    size_t shown = 0;

    sb_json_add_array(json, "details");
    for (const struct cp_problem *one = problems->first; one != NULL; one = one->next, shown++) {
        sb_json_open_object(json);
        sb_json_add_text(json, "path", one->path);
        sb_json_add_text(json, "problem", one->problem);
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
    if (shown < problems->n)
        sb_json_add_u64(json, "more", problems->n - shown);
}

void cp_call_refuse(struct cp_call *call, unsigned status, const char *code, const char *message)
{
    struct sb_json json;

    call->reply->more = NULL;
    cp_call_json(call, status, &json);
    sb_json_open_object(&json);
    sb_json_add_object(&json, "error");
    sb_json_add_text(&json, "code", sb_slice_of(code));
    sb_json_add_text(&json, "message", sb_slice_of(message));
    add_details(&json, &call->problems);
    sb_json_add_text(&json, "request_id", sb_slice_of(call->request->id));
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    if (cp_call_json_end(call, &json) != SB_OK) { /* the status has to do */
        sb_buf_reset(&call->reply->body);
        call->reply->content_type = NULL;
    }
}

/* What a code means for who asked.  Everything else is our trouble, or the
 * database's: 503, to be tried again. */
static const struct {
    int code;
    unsigned status;
    const char *name;
    const char *message; /* when nothing better is known */
} meanings[] = {
    {SB_EINVAL, 400, "invalid", "the request is not valid"},
    {SB_EPARSE, 400, "malformed", "the request cannot be read"},
    {SB_EAUTH, 401, "unauthorized", "a token is needed"},
    {SB_EFORBIDDEN, 403, "forbidden", "the token may not do this"},
    {SB_ENOENT, 404, "not_found", "there is no such object"},
    {SB_ECONFLICT, 409, "conflict", "the configuration has changed meanwhile"},
    {SB_EACCES, 409, "needs_force", "this removes too much to be done without force"},
    {SB_EEXIST, 409, "exists", "there is one of that name"},
    {SB_ETOOBIG, 413, "too_large", "over a limit"},
    {SB_EUNSUPPORTED, 415, "unsupported_media_type", "the content type is not understood"},
    {SB_ENOTLEADER, 503, "not_leader", "this daemon does not lead; ask the one that does"},
    {SB_ENOSPC, 507, "no_space", "the database has no space left"},
    {SB_EVERSION, 503, "schema_version", "the database has a schema of another version"},
    {SB_EAGAIN, 503, "busy", "busy; try again"},
    {SB_ETIMEDOUT, 504, "timed_out", "no answer in time"},
    {SB_ECANCELED, 503, "stopping", "the daemon is stopping"},
};

void cp_call_fail(struct cp_call *call, int rc)
{
    const char *message = call->err.text;

    for (size_t i = 0; i < SB_ARRAY_LEN(meanings); i++) {
        if (meanings[i].code != rc)
            continue;
        if (meanings[i].status == 503)
            cp_http_reply_field(call->reply, "Retry-After", "1");
        cp_call_refuse(call, meanings[i].status, meanings[i].name,
                       *message != '\0' ? message : meanings[i].message);
        return;
    }
    sb_log_warn(ADMIN, "cannot serve %s path=%s code=%s id=%s: %s",
                call->route != NULL ? call->route->id : "anything",
                call->route != NULL ? call->route->path : "", sb_err_name(rc), call->request->id,
                message);
    cp_http_reply_field(call->reply, "Retry-After", "1");
    cp_call_refuse(call, 503, "database_unavailable",
                   *message != '\0' ? message : "the database does not answer");
}
