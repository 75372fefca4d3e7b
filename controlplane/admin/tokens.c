/* controlplane/admin/tokens.c - admin tokens: which there are, making one,
 * ending one. */
#include <string.h>

#include "common/log.h"
#include "common/secret.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"

enum { BODY_MAX = 64 * 1024 };

int cp_serve_tokens(struct cp_call *call)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf list;
    struct cp_page page;
    int rc;

    sb_buf_init(&list, CP_HTTP_ANSWER_MAX);
    rc = cp_call_page(call, &page);
    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK)
        rc = cp_token_list(call->store, &page, &list);
    if (rc != SB_OK)
        return rc;
    return cp_call_reply_list(call, sb_buf_slice(&list), page.cursor);
}

/* Replies with one as it is now. */
static int reply_token(struct cp_call *call, struct sb_slice name)
{
    struct sb_json json;
    int rc;

    cp_call_json(call, 200, &json);
    rc = cp_token_get(call->store, name, &call->reply->body);
    if (rc == SB_ENOENT)
        return sb_err_set(&call->err, rc, "there is no token '%.*s'%s", SB_LOG_SLICE(name),
                          sb_slice_is(name, "admin") ? " here: that of the file is no other's"
                                                     : "");
    return rc == SB_OK ? sb_buf_append_byte(&call->reply->body, '\n') : rc;
}

int cp_serve_token(struct cp_call *call)
{
    int rc = cp_call_store(call);

    return rc == SB_OK ? reply_token(call, call->args[0]) : rc;
}

int cp_serve_token_revoke(struct cp_call *call)
{
    const struct cp_actor actor = cp_call_actor(call);
    int rc;

    if (sb_slice_is(call->args[0], "admin"))
        return sb_err_set(&call->err, SB_EINVAL,
                          "'admin' is the token of --admin-token-file: write another into the "
                          "file, and send SIGHUP to each daemon");
    rc = cp_call_store(call);
    if (rc == SB_OK)
        rc = cp_token_revoke(call->store, call->args[0], &actor, &call->err);
    if (rc != SB_OK)
        return rc;
    sb_log_info(ADMIN, "revoked a token token=%.*s by=%s address=%s id=%s",
                SB_LOG_SLICE(call->args[0]), call->who.name, call->request->peer,
                call->request->id);
    return reply_token(call, call->args[0]);
}

/* --- making one: what is wanted ------------------------------------------------------- */

static void complain(struct cp_call *call, const char *path, const char *problem)
{
    cp_problems_add(&call->problems, sb_slice_of(path), 0, "%s", problem);
}

static void read_name(struct cp_call *call, yyjson_val *body, struct cp_token_wish *wish)
{
    struct sb_slice name = sb_json_text(yyjson_obj_get(body, "name"));

    if (sb_slice_is(name, "admin") || sb_slice_is(name, "prober"))
        complain(call, "name", "'admin' is the token of the file, 'prober' the daemon itself");
    else if (!cp_token_name_is_fit(name))
        complain(call, "name",
                 "is 1 to 64 letters, digits, '.', '_', '@' or '-', the first a letter or digit");
    wish->name = name;
}

static void read_role(struct cp_call *call, yyjson_val *body, struct cp_token_wish *wish)
{
    struct sb_slice name = sb_json_text(yyjson_obj_get(body, "role"));
    int role = cp_role_parse(name);

    if (role < 0)
        cp_problems_add(&call->problems, SB_SLICE_LIT("role"), 0,
                        "'%.*s' is no role: there are viewer, auditor, operator and admin",
                        SB_LOG_SLICE(name));
    else
        wish->role = (enum cp_role)role;
}

static void read_expiry(struct cp_call *call, yyjson_val *body, struct cp_token_wish *wish)
{
    struct sb_slice given = SB_SLICE_NONE;
    char text[SB_TIME_TEXT_MAX];
    sb_usec wall = 0;
    int32_t day = 0;
    int rc = sb_json_get_text(body, "expires_at", &given);

    if (rc == SB_ENOENT)
        return;
    if (rc == SB_OK && sb_date_parse(given, &day) == SB_OK && day >= 0) {
        wall = (sb_usec)((int64_t)day * SB_SEC_PER_DAY * SB_USEC_PER_SEC);
    } else if (rc != SB_OK || sb_time_parse(given, &wall) != SB_OK) {
        complain(call, "expires_at", "is no time: 2027-01-31 or 2027-01-31T12:00:00Z is");
        return;
    }
    if (wall <= sb_clock_wall(&sb_clock_system)) {
        complain(call, "expires_at", "is in the past");
        return;
    }
    (void)sb_time_format(wall, 6, text);
    wish->expires_at = sb_arena_dup(call->arena, sb_slice_of(text));
}

static void read_kinds(struct cp_call *call, yyjson_val *list, struct cp_scope *scope)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *one;

    scope->kinds = 0;
    while ((one = yyjson_arr_iter_next(&iter)) != NULL) {
        struct sb_slice name = sb_json_text(one);
        int kind = cp_kind_parse(name); /* "key" and "keys" */

        if (kind >= 0)
            scope->kinds |= 1u << kind;
        else
            cp_problems_add(&call->problems, SB_SLICE_LIT("scope.kinds"), 0,
                            "there is no kind '%.*s': providers, models, tenants, policies, "
                            "endpoints, keys and credentials are",
                            SB_LOG_SLICE(name));
    }
    if (yyjson_arr_size(list) == 0)
        complain(call, "scope.kinds", "is empty; leave it out for all kinds");
}

static void read_tenants(struct cp_call *call, yyjson_val *list, struct cp_scope *scope)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    size_t n = yyjson_arr_size(list), filled = 0;
    struct sb_slice *tenants;
    yyjson_val *one;

    if (n == 0 || n > CP_TOKEN_TENANTS_MAX) {
        complain(call, "scope.tenants", "holds 1 to 100 names; leave it out for all tenants");
        return;
    }
    tenants = sb_arena_alloc(call->arena, n * sizeof(*tenants));
    while ((one = yyjson_arr_iter_next(&iter)) != NULL) {
        tenants[filled] = sb_arena_dup(call->arena, sb_json_text(one));
        if (tenants[filled].n == 0 || tenants[filled].n > CP_TOKEN_TENANT_BYTES)
            complain(call, "scope.tenants", "a name of a tenant is a text of 1 to 256 bytes");
        filled++;
    }
    cp_scope_limit_tenants(scope, tenants, n);
    if (scope->kinds == 0)
        complain(call, "scope",
                 "of these kinds no tenant has any: tenants, keys and credentials do");
}

static void read_scope(struct cp_call *call, yyjson_val *body, struct cp_scope *scope)
{
    static const char *const names[] = {"kinds", "tenants", NULL};
    yyjson_val *object = NULL, *list = NULL;
    int rc = sb_json_get_object(body, "scope", &object);
    bool has_kinds, has_tenants;

    if (rc == SB_ENOENT)
        return;
    if (rc != SB_OK || sb_json_unknown_member(object, names).p != NULL) {
        complain(call, "scope", "is an object of \"kinds\" and \"tenants\", lists of names");
        return;
    }
    rc = sb_json_get_array(object, "kinds", &list);
    has_kinds = rc == SB_OK;
    if (has_kinds)
        read_kinds(call, list, scope);
    else if (rc != SB_ENOENT)
        complain(call, "scope.kinds", "is not a list");
    rc = sb_json_get_array(object, "tenants", &list);
    has_tenants = rc == SB_OK;
    if (has_tenants)
        read_tenants(call, list, scope);
    else if (rc != SB_ENOENT)
        complain(call, "scope.tenants", "is not a list");
    if (!has_kinds && !has_tenants)
        complain(call, "scope", "limits nothing; leave it out");
}

static int read_wish(struct cp_call *call, yyjson_val *body, struct cp_token_wish *wish,
                     struct cp_scope *scope)
{
    static const char *const names[] = {"name", "role", "expires_at", "scope", NULL};
    struct sb_slice unknown;

    if (!yyjson_is_obj(body)) {
        complain(call, "", "must be an object");
        return SB_EINVAL;
    }
    unknown = sb_json_unknown_member(body, names);
    if (unknown.p != NULL)
        cp_problems_add(&call->problems, unknown, 0, "there is no such member, or it comes twice");
    read_name(call, body, wish);
    read_role(call, body, wish);
    read_expiry(call, body, wish);
    read_scope(call, body, scope);
    if (!cp_scope_is_whole(scope) && (wish->role == CP_ROLE_AUDITOR || wish->role == CP_ROLE_ADMIN))
        complain(call, "scope",
                 "is for viewers and operators: what auditors and admins have "
                 "besides is of no kind and no tenant");
    return cp_call_check(call);
}

/* --- making one --------------------------------------------------------------------------- */

/* The only place where its secret is shown: here, once. */
static int reply_made(struct cp_call *call, struct sb_slice name, const struct sb_secret *secret)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf object;
    struct sb_slice head;
    struct sb_json json;
    int rc;

    sb_buf_init(&object, BODY_MAX);
    rc = cp_token_get(call->store, name, &object);
    head = sb_buf_slice(&object);
    if (rc != SB_OK || head.n < 2)
        return rc != SB_OK ? rc : SB_EDB;
    head.n--; /* one more member, before the closing brace */
    cp_call_json(call, 201, &json);
    rc = sb_buf_append(&call->reply->body, head);
    if (rc == SB_OK)
        rc = sb_buf_append_text(&call->reply->body, ",\"secret\":\"");
    if (rc == SB_OK)
        rc = sb_buf_append(&call->reply->body, sb_secret_expose(secret));
    return rc == SB_OK ? sb_buf_append_text(&call->reply->body, "\"}\n") : rc;
}

int cp_serve_token_create(struct cp_call *call)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *secret = NULL;
    const struct cp_actor actor = cp_call_actor(call);
    struct cp_scope scope = {.kinds = CP_SCOPE_ALL_KINDS};
    struct cp_token_wish wish = {.scope = &scope};
    int rc = sb_json_read(call->request->body, BODY_MAX, &doc, &call->err);

    if (rc == SB_OK)
        rc = read_wish(call, yyjson_doc_get_root(doc), &wish, &scope);
    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK)
        rc = cp_token_create(call->store, &wish, &actor, &secret, &call->err);
    if (rc != SB_OK)
        return rc;
    sb_log_info(ADMIN, "made a token token=%.*s role=%s by=%s address=%s id=%s",
                SB_LOG_SLICE(wish.name), cp_role_name(wish.role), call->who.name,
                call->request->peer, call->request->id);
    return reply_made(call, wish.name, secret);
}
