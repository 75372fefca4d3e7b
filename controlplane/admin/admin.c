/* controlplane/admin/admin.c - see admin.h for the contract. */
#include "controlplane/admin/admin.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "common/closest.h"
#include "common/log.h"
#include "common/mem.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/stats.h"
#include "controlplane/admin/token.h"

enum { TOLD_PATH = 400 /* bytes of a path, in the audit */ };

struct cp_admin {
    struct cp_admin_world world;
    struct cp_admin_stats stats;
    struct cp_http *http;
    char *token_file, *release;
    pthread_rwlock_t lock;
    struct cp_tokens *tokens; /* under lock */
};

/* --- from a request to its handler --------------------------------------------------- */

static struct cp_call *make_call(struct cp_admin *admin, struct cp_http_request *request,
                                 struct cp_http_reply *reply)
{
    struct cp_call *call = sb_arena_alloc(request->arena, sizeof(*call));

    call->world = &admin->world;
    call->request = request;
    call->reply = reply;
    call->arena = request->arena;
    cp_problems_init(&call->problems, call->arena);
    request->user = call;
    return call;
}

static bool is_first_admin(struct cp_admin *admin, struct sb_slice token)
{
    bool is_it;

    (void)pthread_rwlock_rdlock(&admin->lock);
    is_it = cp_tokens_has(admin->tokens, token);
    (void)pthread_rwlock_unlock(&admin->lock);
    return is_it;
}

/* The store is given back at once: whether the body ever comes is open. */
static int find_token(struct cp_admin *admin, struct cp_call *call, struct sb_slice token)
{
    struct cp_store *store = NULL;
    struct sb_errmsg why = {.text = ""};
    int rc = cp_stores_take(admin->world.stores, &store, &why);

    if (rc == SB_OK)
        rc = cp_token_find(store, token, call->arena, &call->who, &why);
    cp_stores_give(admin->world.stores, &store);
    if (rc == SB_OK || rc == SB_EAUTH) {
        call->err = why;
        return rc;
    }
    /* Whatever the reason is, it is none of the token's. */
    return sb_err_set(&call->err, SB_EDB,
                      "tokens cannot be looked up, only that of the file is known: %.150s",
                      why.text);
}

static int check_token(struct cp_admin *admin, struct cp_call *call)
{
    struct sb_slice token = SB_SLICE_NONE;
    int rc = cp_bearer_read(cp_http_header(call->request, "Authorization"), &token, &call->err);

    if (rc == SB_OK && is_first_admin(admin, token))
        call->who = (struct cp_principal){
            .name = "admin", .role = CP_ROLE_ADMIN, .scope = {.kinds = CP_SCOPE_ALL_KINDS}};
    else if (rc == SB_OK && cp_token_is_one(token))
        rc = find_token(admin, call, token);
    else if (rc == SB_OK)
        rc = sb_err_set(&call->err, SB_EAUTH, "the token is none of this control plane's");
    if (rc == SB_EAUTH)
        cp_http_reply_field(call->reply, "WWW-Authenticate", "Bearer");
    return rc;
}

/* --- refusals -------------------------------------------------------------------------- */

/* Method and path, of what a table and a terminal can hold. */
static struct sb_slice what_was_asked(const struct cp_call *call)
{
    char path[TOLD_PATH + 1];
    size_t n = call->target.path.n < TOLD_PATH ? call->target.path.n : TOLD_PATH;

    for (size_t i = 0; i < n; i++) {
        path[i] = call->target.path.p[i];
        if (path[i] <= ' ' || path[i] >= 0x7f)
            path[i] = '?';
    }
    path[n] = '\0';
    return sb_arena_printf(call->arena, "%s %s", call->request->method, path);
}

/* A valid token that asked for what it may not do: the answer goes out whether or
 * not that can be written down. */
static void note_refusal(struct cp_admin *admin, struct cp_call *call)
{
    const struct cp_actor actor = cp_call_actor(call);
    struct sb_slice what = what_was_asked(call);
    struct sb_errmsg err = {.text = ""};
    int rc = call->store != NULL ? SB_OK : cp_stores_take(admin->world.stores, &call->store, &err);

    sb_log_warn(ADMIN, "refused token=%s role=%s address=%s call=%s id=%s: %s", call->who.name,
                cp_role_name(call->who.role), call->request->peer, call->route->id,
                call->request->id, call->err.text);
    if (rc == SB_OK)
        rc = cp_action_refused(call->store, &actor, what, call->err.text);
    if (rc != SB_OK)
        sb_log_warn(ADMIN, "a refusal is not in the audit token=%s code=%s", call->who.name,
                    sb_err_name(rc));
    cp_stores_give(admin->world.stores, &call->store);
}

/* No path is told from another before the token was seen. */
static int find_route(struct cp_admin *admin, struct cp_call *call, unsigned *ret_status)
{
    struct sb_slice raw[CP_TARGET_ARGS_MAX] = {SB_SLICE_NONE, SB_SLICE_NONE};
    char *allow = sb_arena_alloc(call->arena, CP_ALLOW_MAX);
    int rc = cp_target_parse(call->request->target, call->arena, &call->target, &call->err);

    if (rc != SB_OK)
        return rc;
    call->route = cp_route_find(call->request->method, call->target.path, raw, allow);
    if (call->route == NULL || !call->route->is_open) {
        rc = check_token(admin, call);
        if (rc != SB_OK)
            return rc;
    }
    if (call->route == NULL) {
        *ret_status = *allow != '\0' ? 405 : 404;
        if (*allow != '\0')
            cp_http_reply_field(call->reply, "Allow", allow);
        return sb_err_set(&call->err, SB_ENOENT, "this path takes %s only", allow);
    }
    for (int i = 0; rc == SB_OK && i < CP_TARGET_ARGS_MAX; i++)
        rc = cp_target_unescape(raw[i], false, call->arena, &call->args[i]);
    if (rc != SB_OK)
        return sb_err_set(&call->err, rc, "the path holds bytes that are no text");
    if (call->route->is_open)
        return SB_OK;
    return cp_principal_check(&call->who, call->route->needs,
                              call->route->is_of_kind ? call->route->kind : -1, &call->err);
}

static bool is_choice(const struct cp_route_param *param, struct sb_slice value)
{
    for (const char *const *one = param->choices; *one != NULL; one++)
        if (sb_slice_is(value, *one))
            return true;
    return false;
}

static void complain_param(struct cp_call *call, struct sb_slice name)
{
    struct sb_closest guess = sb_closest_begin(name);

    for (const struct cp_route_param *one = call->route->params; one->name != NULL; one++)
        sb_closest_try(&guess, one->name);
    cp_problems_add(&call->problems, name, 0, "there is no such parameter%s%s%s",
                    guess.best != NULL ? "; did you mean '" : "; see /openapi.json",
                    guess.best != NULL ? guess.best : "", guess.best != NULL ? "'?" : "");
}

/* A filter with a typing mistake must not become no filter. */
static void check_params(struct cp_call *call)
{
    for (size_t i = 0; i < call->target.n_params; i++) {
        struct sb_slice name = call->target.params[i].name;
        const struct cp_route_param *param = cp_route_find_param(call->route, name);
        bool is_repeated = false;

        for (size_t j = 0; j < i; j++)
            is_repeated |= sb_slice_eq(call->target.params[j].name, name);
        if (param == NULL)
            complain_param(call, name);
        else if (is_repeated)
            cp_problems_add(&call->problems, name, 0, "is given twice");
    }
}

/* Told together with what the handler finds wrong. */
static void check_choices(struct cp_call *call)
{
    for (size_t i = 0; i < call->target.n_params; i++) {
        const struct cp_target_param *given = &call->target.params[i];
        const struct cp_route_param *param = cp_route_find_param(call->route, given->name);

        if (param->choices != NULL && !is_choice(param, given->value))
            cp_filter_complain(call, param->name, given->value, param->choices);
    }
}

static bool on_head(void *ctx, struct cp_http_request *request, struct cp_http_reply *reply)
{
    struct cp_admin *admin = ctx;
    struct cp_call *call = make_call(admin, request, reply);
    unsigned status = 0;
    int rc = find_route(admin, call, &status);

    if (rc == SB_OK) {
        check_params(call);
        rc = cp_call_check(call);
    }
    if (rc == SB_OK) {
        check_choices(call);
        return true;
    }
    if (status == 405)
        cp_call_refuse(call, 405, "method_not_allowed", call->err.text);
    else if (status == 404)
        cp_call_refuse(call, 404, "not_found", "there is no such path; see /openapi.json");
    else
        cp_call_fail(call, rc);
    if (rc == SB_EFORBIDDEN)
        note_refusal(admin, call);
    cp_admin_stats_count(&admin->stats, reply->status);
    return false;
}

static void on_serve(void *ctx, struct cp_http_request *request, struct cp_http_reply *reply)
{
    struct cp_admin *admin = ctx;
    struct cp_call *call = request->user;
    int rc = call->route->serve(call);

    if (rc != SB_OK)
        cp_call_fail(call, rc);
    if (rc == SB_EFORBIDDEN)
        note_refusal(admin, call);
    cp_stores_give(admin->world.stores, &call->store);
    cp_admin_stats_count(&admin->stats, reply->status);
}

static void on_refuse(void *ctx, struct cp_http_request *request, struct cp_http_reply *reply,
                      int code)
{
    struct cp_admin *admin = ctx;
    struct cp_call *call = request->user;

    if (code == SB_ETOOBIG)
        (void)sb_err_set(&call->err, code, "the body is over %d bytes", CP_HTTP_BODY_MAX);
    else
        (void)sb_err_set(&call->err, code, "one Content-Length or Transfer-Encoding, not several");
    cp_call_fail(call, code);
    cp_admin_stats_count(&admin->stats, reply->status);
}

static const struct cp_http_ops ops = {.head = on_head, .serve = on_serve, .refuse = on_refuse};

/* --- start and stop ----------------------------------------------------------------------- */

int cp_admin_start(const struct cp_admin_conf *conf, struct cp_admin **ret_admin,
                   struct sb_errmsg *err)
{
    struct cp_admin *admin = sb_mem_new(sizeof(*admin));
    int rc;

    (void)pthread_rwlock_init(&admin->lock, NULL);
    admin->token_file = sb_mem_strdup(conf->token_file);
    admin->release = sb_mem_strdup(conf->release);
    admin->world = (struct cp_admin_world){
        .live = conf->live,
        .stores = cp_stores_new(&conf->store),
        .release = admin->release,
        .stats = &admin->stats,
    };
    rc = cp_tokens_load(admin->token_file, &admin->tokens, err);
    if (rc == SB_OK)
        rc = cp_http_start(conf->listen, &ops, admin, &admin->http, err);
    if (rc != SB_OK) {
        cp_admin_stop(&admin);
        return rc;
    }
    *ret_admin = admin;
    return SB_OK;
}

int cp_admin_reload(struct cp_admin *admin, struct sb_errmsg *err)
{
    struct cp_tokens *fresh = NULL, *old;
    int rc = cp_tokens_load(admin->token_file, &fresh, err);

    if (rc != SB_OK)
        return rc;
    (void)pthread_rwlock_wrlock(&admin->lock);
    old = admin->tokens;
    admin->tokens = fresh;
    (void)pthread_rwlock_unlock(&admin->lock);
    cp_tokens_destroy(&old);
    return SB_OK;
}

void cp_admin_stop(struct cp_admin **admin)
{
    struct cp_admin *old = *admin;

    if (old == NULL)
        return;
    cp_http_stop(&old->http);
    cp_stores_destroy(&old->world.stores);
    cp_tokens_destroy(&old->tokens);
    (void)pthread_rwlock_destroy(&old->lock);
    sb_mem_free(old->token_file);
    sb_mem_free(old->release);
    sb_mem_free(old);
    *admin = NULL;
}

unsigned cp_admin_port(const struct cp_admin *admin)
{
    return cp_http_port(admin->http);
}
