/* controlplane/roles.h - who may do what by the admin API.
 *
 * Two tables, and the only place that decides: what there is to be allowed, and
 * what each role has of it.  A route names the one thing that it needs
 * (controlplane/admin/routes.c).  A token may be limited further, to a scope.
 *
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"
#include "controlplane/catalog/catalog.h"

/* X(NAME, "name", "what it lets do").  Names are public: the text of a refusal,
 * openapi.json, the audit. */
#define CP_MAY_MAP(X)                                                                              \
    X(READ, "read", "read the configuration, the fleet and what is measured")                      \
    X(READ_HISTORY, "read_history", "read who changed what")                                       \
    X(READ_AUDIT, "read_audit", "read audit records")                                              \
    X(READ_TOKENS, "read_tokens", "see what admin tokens there are")                               \
    X(CHANGE, "change", "change objects of the catalogue")                                         \
    X(MANAGE_TOKENS, "manage_tokens", "make and revoke admin tokens")                              \
    X(MANAGE_RETENTION, "manage_retention",                                                        \
      "set and lift legal holds, erase what leads to a person")

enum cp_may {
    CP_MAY_NOTHING, /* of a route that forgot to say: nobody has it */
#define X(name, label, text) CP_MAY_##name,
    CP_MAY_MAP(X)
#undef X
        CP_MAYS
};

#define CP_HAS(name) (1u << CP_MAY_##name)
#define CP_HAS_READ  (CP_HAS(READ))
/* Changes nothing. */
#define CP_HAS_AUDIT (CP_HAS_READ | CP_HAS(READ_HISTORY) | CP_HAS(READ_AUDIT) | CP_HAS(READ_TOKENS))

/* X(NAME, "name", what it has) */
#define CP_ROLE_MAP(X)                                                                             \
    X(VIEWER, "viewer", CP_HAS_READ)                                                               \
    X(AUDITOR, "auditor", CP_HAS_AUDIT)                                                            \
    X(OPERATOR, "operator", CP_HAS_READ | CP_HAS(READ_HISTORY) | CP_HAS(CHANGE))                   \
    X(ADMIN, "admin",                                                                              \
      CP_HAS_AUDIT | CP_HAS(CHANGE) | CP_HAS(MANAGE_TOKENS) | CP_HAS(MANAGE_RETENTION))

enum cp_role {
#define X(name, label, has) CP_ROLE_##name,
    CP_ROLE_MAP(X)
#undef X
        CP_ROLES
};

bool cp_role_may(enum cp_role role, enum cp_may may);
const char *cp_role_name(enum cp_role role);
/* -1: there is none of that name. */
int cp_role_parse(struct sb_slice name);
const char *cp_may_name(enum cp_may may);
const char *cp_may_text(enum cp_may may);
/* "auditor and admin": those who have it; in arena. */
struct sb_slice cp_may_who(enum cp_may may, struct sb_arena *arena);

/* --- scopes --------------------------------------------------------------------- */

/* What a token is limited to: objects of some kinds, of some tenants.  Of what
 * belongs to no tenant a token that is limited to tenants has nothing: neither
 * the house's credentials nor any provider or model. */
struct cp_scope {
    unsigned kinds;           /* 1u << enum cp_kind */
    struct sb_slice *tenants; /* NULL: all, and what has none */
    size_t n_tenants;
};
enum { CP_SCOPE_ALL_KINDS = (1 << CP_KINDS) - 1 };

/* Limited to nothing. */
bool cp_scope_is_whole(const struct cp_scope *scope);
bool cp_scope_has_kind(const struct cp_scope *scope, enum cp_kind kind);
bool cp_scope_has_tenant(const struct cp_scope *scope, struct sb_slice tenant);
/* Sets tenants, and takes the kinds away of which a tenant has none. */
void cp_scope_limit_tenants(struct cp_scope *scope, struct sb_slice *tenants, size_t n);
/* JSON arrays, for SQL: of the kinds' sections; of the tenants, no bytes when
 * they are not limited.  In arena. */
struct sb_slice cp_scope_kinds_json(const struct cp_scope *scope, struct sb_arena *arena);
struct sb_slice cp_scope_tenants_json(const struct cp_scope *scope, struct sb_arena *arena);

/* --- who asks -------------------------------------------------------------------- */

enum { CP_TOKEN_NAME_MAX = 65 }; /* with its NUL */

struct cp_principal {
    char name[CP_TOKEN_NAME_MAX]; /* of the token; the author of what it changes */
    enum cp_role role;
    struct cp_scope scope; /* its texts are in the arena of who asked for it */
};

/* Whether that principal may.  kind: of the objects that it is about, or -1:
 * it is about more than objects of one kind, and so beyond any scope.
 * SB_EFORBIDDEN: err names the role, what it lacks, and who has that. */
int cp_principal_check(const struct cp_principal *who, enum cp_may may, int kind,
                       struct sb_errmsg *err) SB_MUSTCHECK;
