/* controlplane/roles.c - see roles.h for the contract. */
#include "controlplane/roles.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/json.h"

enum { WHO_MAX = 100, JSON_MAX = 256 * 1024 };

static const struct {
    const char *name;
    unsigned has;
} roles[CP_ROLES] = {
#define X(name, label, has) [CP_ROLE_##name] = {label, has},
    CP_ROLE_MAP(X)
#undef X
};

static const struct {
    const char *name, *text;
} mays[CP_MAYS] = {[CP_MAY_NOTHING] = {"nothing", "do what nobody may"},
#define X(name, label, text) [CP_MAY_##name] = {label, text},
                   CP_MAY_MAP(X)
#undef X
};

bool cp_role_may(enum cp_role role, enum cp_may may)
{
    return may != CP_MAY_NOTHING && (roles[role].has & (1u << may)) != 0;
}

const char *cp_role_name(enum cp_role role)
{
    return roles[role].name;
}

int cp_role_parse(struct sb_slice name)
{
    for (int i = 0; i < CP_ROLES; i++)
        if (sb_slice_is(name, roles[i].name))
            return i;
    return -1;
}

const char *cp_may_name(enum cp_may may)
{
    return mays[may].name;
}

const char *cp_may_text(enum cp_may may)
{
    return mays[may].text;
}

struct sb_slice cp_may_who(enum cp_may may, struct sb_arena *arena)
{
    struct sb_slice text = SB_SLICE_NONE;
    int left = 0;

    for (int i = 0; i < CP_ROLES; i++)
        left += cp_role_may((enum cp_role)i, may);
    for (int i = 0; i < CP_ROLES; i++) {
        if (!cp_role_may((enum cp_role)i, may))
            continue;
        left--;
        text = sb_arena_printf(arena, "%.*s%s%s", SB_SLICE_ARGS(text),
                               text.n == 0 ? "" : (left == 0 ? " and " : ", "), roles[i].name);
    }
    return text;
}

/* --- scopes --------------------------------------------------------------------- */

static const unsigned kinds_of_tenants = 1u << CP_TENANTS | 1u << CP_KEYS | 1u << CP_CREDENTIALS;

bool cp_scope_is_whole(const struct cp_scope *scope)
{
    return scope->kinds == CP_SCOPE_ALL_KINDS && scope->tenants == NULL;
}

bool cp_scope_has_kind(const struct cp_scope *scope, enum cp_kind kind)
{
    return (scope->kinds & (1u << kind)) != 0;
}

bool cp_scope_has_tenant(const struct cp_scope *scope, struct sb_slice tenant)
{
    if (scope->tenants == NULL)
        return true;
    for (size_t i = 0; i < scope->n_tenants; i++)
        if (sb_slice_eq(scope->tenants[i], tenant))
            return true;
    return false;
}

void cp_scope_limit_tenants(struct cp_scope *scope, struct sb_slice *tenants, size_t n)
{
    SB_BUG_ON(tenants == NULL);
    scope->tenants = tenants;
    scope->n_tenants = n;
    scope->kinds &= kinds_of_tenants;
}

static struct sb_slice keep(struct sb_json *json, struct sb_buf *text, struct sb_arena *arena)
{
    struct sb_slice kept;

    sb_json_close_array(json);
    /* A scope that does not fit would be none: what is read has limits. */
    SB_BUG_ON(sb_json_end(json) != SB_OK);
    kept = sb_arena_dup(arena, sb_buf_slice(text));
    sb_buf_release(text);
    return kept;
}

struct sb_slice cp_scope_kinds_json(const struct cp_scope *scope, struct sb_arena *arena)
{
    struct sb_json json;
    struct sb_buf text;

    sb_buf_init(&text, JSON_MAX);
    sb_json_init(&json, &text);
    sb_json_open_array(&json);
    for (int kind = 0; kind < CP_KINDS; kind++)
        if (cp_scope_has_kind(scope, (enum cp_kind)kind))
            sb_json_put_text(&json, sb_slice_of(cp_kind_section((enum cp_kind)kind)));
    return keep(&json, &text, arena);
}

struct sb_slice cp_scope_tenants_json(const struct cp_scope *scope, struct sb_arena *arena)
{
    struct sb_json json;
    struct sb_buf text;

    if (scope->tenants == NULL)
        return SB_SLICE_NONE;
    sb_buf_init(&text, JSON_MAX);
    sb_json_init(&json, &text);
    sb_json_open_array(&json);
    for (size_t i = 0; i < scope->n_tenants; i++)
        sb_json_put_text(&json, scope->tenants[i]);
    return keep(&json, &text, arena);
}

/* --- who asks -------------------------------------------------------------------- */

static int refuse(const struct cp_principal *who, enum cp_may may, struct sb_errmsg *err)
{
    struct sb_arena *arena = sb_arena_new(WHO_MAX);
    struct sb_slice others = cp_may_who(may, arena);
    int rc = sb_err_set(err, SB_EFORBIDDEN,
                        "'%s' has the role %s, which lacks the permission %s (%s); %.*s may",
                        who->name, cp_role_name(who->role), cp_may_name(may), cp_may_text(may),
                        (int)others.n, others.n > 0 ? others.p : "");

    sb_arena_destroy(&arena);
    return rc;
}

int cp_principal_check(const struct cp_principal *who, enum cp_may may, int kind,
                       struct sb_errmsg *err)
{
    if (!cp_role_may(who->role, may))
        return refuse(who, may, err);
    if (cp_scope_is_whole(&who->scope))
        return SB_OK;
    if (kind < 0)
        return sb_err_set(err, SB_EFORBIDDEN,
                          "the token '%s' is limited to a scope, and this is about more than "
                          "objects of one kind; a token without a scope may",
                          who->name);
    if (!cp_scope_has_kind(&who->scope, (enum cp_kind)kind))
        return sb_err_set(err, SB_EFORBIDDEN,
                          "the token '%s' is limited to a scope without %s; a token with them "
                          "in its scope, or without a scope, may",
                          who->name, cp_kind_section((enum cp_kind)kind));
    return SB_OK;
}
