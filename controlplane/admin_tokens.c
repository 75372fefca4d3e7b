/* controlplane/admin_tokens.c - see admin_tokens.h for the contract. */
#include "controlplane/admin_tokens.h"

#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/json.h"
#include "common/keyring.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/timefmt.h"
#include "controlplane/config/store_private.h"
#include "controlplane/named.h"

enum { SECRET_MAX = 200 /* bytes; longer ones are not ours */ };

static struct cp_param text_or_null(struct sb_slice text)
{
    return text.n > 0 ? CP_P_TEXT(text) : CP_P_NULL;
}

/* --- whose is it ---------------------------------------------------------------- */

enum { F_ID, F_HASH, F_NAME, F_ROLE, F_KINDS, F_TENANTS, F_EXPIRES, F_REVOKED, F_ENDED, F_IS_OLD };

static const char find_sql[] =
    "SELECT id, hash, name, role, kinds, tenants, expires_at, revoked_at, expires_at <= now(),"
    " coalesce(last_used_at < now() - make_interval(mins => $2::integer), true)"
    " FROM admin_tokens WHERE hash = $1";

bool cp_token_is_one(struct sb_slice text)
{
    size_t n = strlen(CP_TOKEN_PREFIX);

    return text.n > n && text.n <= SECRET_MAX && memcmp(text.p, CP_TOKEN_PREFIX, n) == 0;
}

static int say_ended(const struct cp_rows *rows, enum cp_role role, const char *how, int column,
                     struct sb_errmsg *err)
{
    char at[SB_TIME_TEXT_MAX];
    struct sb_slice name = cp_rows_bytes(rows, 0, F_NAME);

    (void)sb_time_format((sb_usec)cp_rows_usec(rows, 0, column), 0, at);
    return sb_err_set(err, SB_EAUTH, "the token '%.*s' (%s) %s at %s; an admin makes another",
                      SB_SLICE_ARGS(name), cp_role_name(role), how, at);
}

/* False: it is of a newer program. */
static bool read_scope(const struct cp_rows *rows, struct sb_arena *arena, struct cp_scope *scope)
{
    struct cp_array array = cp_array_open(cp_rows_bytes(rows, 0, F_KINDS));
    struct sb_slice element, *tenants;
    size_t n = 0;

    *scope = (struct cp_scope){.kinds = CP_SCOPE_ALL_KINDS};
    if (!cp_rows_is_null(rows, 0, F_KINDS)) {
        scope->kinds = 0;
        while (cp_array_next(&array, &element)) {
            int kind = cp_kind_parse(element);

            if (kind >= 0) /* a kind that is no more gives nothing */
                scope->kinds |= 1u << kind;
        }
    }
    if (cp_rows_is_null(rows, 0, F_TENANTS))
        return true;
    array = cp_array_open(cp_rows_bytes(rows, 0, F_TENANTS));
    tenants = sb_arena_alloc(arena, CP_TOKEN_TENANTS_MAX * sizeof(*tenants));
    while (cp_array_next(&array, &element)) {
        if (n == CP_TOKEN_TENANTS_MAX || element.n > CP_TOKEN_TENANT_BYTES)
            return false;
        tenants[n++] = sb_arena_dup(arena, element);
    }
    cp_scope_limit_tenants(scope, tenants, n);
    return true;
}

/* When it was used last, coarsely: nobody is refused because that cannot be kept. */
static void note_use(struct cp_store *store, const struct cp_rows *rows)
{
    int rc;

    if (!cp_rows_bool(rows, 0, F_IS_OLD))
        return;
    rc = cp_db_exec(store->db,
                    "UPDATE admin_tokens SET last_used_at = date_trunc('minute', now())"
                    " WHERE id = $1",
                    CP_PARAMS(CP_P_I64(cp_rows_i64(rows, 0, F_ID))), NULL);
    if (rc != SB_OK)
        sb_log_debug(ADMIN, "cannot keep when a token was used code=%s", sb_err_name(rc));
}

static int say_unknown(struct sb_errmsg *err)
{
    return sb_err_set(err, SB_EAUTH, "the token is none of this control plane's");
}

int cp_token_find(struct cp_store *store, struct sb_slice secret, struct sb_arena *arena,
                  struct cp_principal *ret_who, struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    uint8_t hash[SB_HASH_BYTES] = {0};
    struct sb_slice wanted = sb_slice_make(hash, sizeof(hash));
    int role, rc;

    if (!cp_token_is_one(secret) || store->conf.keyring == NULL ||
        sb_keyring_hash(store->conf.keyring, secret, hash) != SB_OK)
        return say_unknown(err);
    rc = cp_store_ready(store);
    if (rc == SB_OK)
        rc = cp_db_query(store->db, find_sql,
                         CP_PARAMS(CP_P_BYTES(wanted), CP_P_I64(CP_TOKEN_USED_MINUTES)), &rows);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "%s", cp_db_last_error(store->db)->text.text);
    /* The index has seen a keyed hash only, which nobody outside can steer. */
    if (cp_rows_count(rows) != 1 || !sb_secret_equal(cp_rows_bytes(rows, 0, F_HASH), wanted))
        return say_unknown(err);
    role = cp_role_parse(cp_rows_bytes(rows, 0, F_ROLE));
    if (role < 0 ||
        !sb_slice_copy_text(cp_rows_bytes(rows, 0, F_NAME), ret_who->name, sizeof(ret_who->name)) ||
        !read_scope(rows, arena, &ret_who->scope))
        return say_unknown(err); /* of a newer program */
    if (!cp_rows_is_null(rows, 0, F_REVOKED))
        return say_ended(rows, (enum cp_role)role, "was revoked", F_REVOKED, err);
    if (cp_rows_bool(rows, 0, F_ENDED))
        return say_ended(rows, (enum cp_role)role, "expired", F_EXPIRES, err);
    ret_who->role = (enum cp_role)role;
    note_use(store, rows);
    return SB_OK;
}

/* --- actions ---------------------------------------------------------------------- */

int cp_action_record(struct cp_db *db, const char *action, const struct cp_actor *by,
                     struct sb_slice subject, struct sb_slice detail)
{
    return cp_db_exec(db,
                      "INSERT INTO admin_actions (action, author, role, address, subject, detail)"
                      " VALUES ($1, $2, $3, $4::inet, $5, $6::jsonb)",
                      CP_PARAMS(CP_P_STR(action), CP_P_TEXT(by->name), CP_P_TEXT(by->role),
                                text_or_null(by->address), CP_P_TEXT(subject), CP_P_TEXT(detail)),
                      NULL);
}

int cp_action_refused(struct cp_store *store, const struct cp_actor *who, struct sb_slice what,
                      const char *why)
{
    int rc = cp_store_ready(store);

    if (rc != SB_OK)
        return rc;
    return cp_db_exec(
        store->db,
        "INSERT INTO admin_actions (action, author, role, address, subject, detail)"
        " SELECT 'refused', $1, $2, $3::inet, $4, jsonb_build_object('why', $5::text)"
        " WHERE NOT EXISTS (SELECT FROM admin_actions WHERE author = $1 AND action = 'refused'"
        " AND subject = $4 AND at > now() - make_interval(secs => $6::integer))",
        CP_PARAMS(CP_P_TEXT(who->name), CP_P_TEXT(who->role), text_or_null(who->address),
                  CP_P_TEXT(what), CP_P_STR(why), CP_P_I64(CP_ACTION_AGAIN_SECONDS)),
        NULL);
}

/* --- making and revoking ----------------------------------------------------------- */

bool cp_token_name_is_fit(struct sb_slice name)
{
    return cp_named_is_fit(name, CP_TOKEN_NAME_MAX - 1) && !sb_slice_is(name, "admin") &&
           !sb_slice_is(name, "prober");
}

struct making {
    const struct cp_token_wish *wish;
    const struct cp_actor *by;
    struct sb_arena *arena;
    uint8_t hash[SB_HASH_BYTES];
};

#define ARRAY_OF(place)                                                                            \
    "CASE WHEN " place "::jsonb IS NOT NULL THEN"                                                  \
    " ARRAY(SELECT jsonb_array_elements_text(" place "::jsonb)) END"

static struct sb_slice kinds_json(const struct making *making)
{
    const struct cp_scope *scope = making->wish->scope;

    return scope->kinds == CP_SCOPE_ALL_KINDS ? SB_SLICE_NONE
                                              : cp_scope_kinds_json(scope, making->arena);
}

static int make(struct cp_db *db, void *ctx)
{
    const struct making *making = ctx;
    const struct cp_token_wish *wish = making->wish;
    const struct cp_param params[] = {
        CP_P_TEXT(wish->name),
        CP_P_BYTES(sb_slice_make(making->hash, sizeof(making->hash))),
        CP_P_STR(cp_role_name(wish->role)),
        text_or_null(kinds_json(making)),
        text_or_null(cp_scope_tenants_json(wish->scope, making->arena)),
        CP_P_TEXT(making->by->name),
        text_or_null(wish->expires_at),
    };
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(
        db,
        "INSERT INTO admin_tokens"
        " (name, hash, role, kinds, tenants, created_by, expires_at)"
        " VALUES ($1, $2, $3, " ARRAY_OF("$4") ", " ARRAY_OF(
            "$5") ", $6,"
                  " $7::timestamptz)"
                  " RETURNING jsonb_strip_nulls(jsonb_build_object('role', role,"
                  " 'kinds', kinds, 'tenants', tenants, 'expires_at', expires_at))::text",
        params, SB_ARRAY_LEN(params), &rows);

    if (rc != SB_OK)
        return rc;
    return cp_action_record(db, "token_created", making->by, wish->name, cp_rows_bytes(rows, 0, 0));
}

int cp_token_create(struct cp_store *store, const struct cp_token_wish *wish,
                    const struct cp_actor *by, struct sb_secret **ret_secret, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1024);
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *secret = sb_token_new(CP_TOKEN_PREFIX);
    struct making making = {.wish = wish, .by = by, .arena = arena};
    int rc;

    if (store->conf.keyring == NULL ||
        sb_keyring_hash(store->conf.keyring, sb_secret_expose(secret), making.hash) != SB_OK)
        return sb_err_set(err, SB_EUNSUPPORTED,
                          "the keyring of the control plane has no key to hash tokens with");
    rc = cp_store_ready(store);
    if (rc == SB_OK)
        rc = cp_db_transact(store->db, CP_READ_COMMITTED, make, &making);
    if (rc == SB_EEXIST)
        return sb_err_set(err, rc,
                          "there is or was a token '%.*s': a name is used once, so that the "
                          "audit stays clear; choose another",
                          SB_SLICE_ARGS(wish->name));
    if (rc != SB_OK)
        return sb_err_set(err, rc, "%s", cp_db_last_error(store->db)->text.text);
    *ret_secret = secret;
    secret = NULL;
    return SB_OK;
}

struct revoking {
    struct sb_slice name;
    const struct cp_actor *by;
    struct sb_errmsg *err;
};

static int revoke(struct cp_db *db, void *ctx)
{
    const struct revoking *revoking = ctx;
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    uint64_t changed = 0;
    int rc =
        cp_db_exec(db,
                   "UPDATE admin_tokens SET revoked_at = now(), revoked_by = $2"
                   " WHERE name = $1 AND revoked_at IS NULL",
                   CP_PARAMS(CP_P_TEXT(revoking->name), CP_P_TEXT(revoking->by->name)), &changed);

    if (rc == SB_OK && changed == 1)
        return cp_action_record(db, "token_revoked", revoking->by, revoking->name,
                                SB_SLICE_LIT("{}"));
    if (rc == SB_OK)
        rc = cp_db_query(db, "SELECT revoked_by FROM admin_tokens WHERE name = $1",
                         CP_PARAMS(CP_P_TEXT(revoking->name)), &rows);
    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 0)
        return sb_err_set(revoking->err, SB_ENOENT, "there is no token '%.*s'",
                          SB_SLICE_ARGS(revoking->name));
    return sb_err_set(revoking->err, SB_ECONFLICT, "the token '%.*s' was revoked already, by %.*s",
                      SB_SLICE_ARGS(revoking->name), SB_SLICE_ARGS(cp_rows_bytes(rows, 0, 0)));
}

int cp_token_revoke(struct cp_store *store, struct sb_slice name, const struct cp_actor *by,
                    struct sb_errmsg *err)
{
    struct revoking revoking = {.name = name, .by = by, .err = err};
    int rc = cp_store_ready(store);

    if (rc == SB_OK)
        rc = cp_db_transact(store->db, CP_READ_COMMITTED, revoke, &revoking);
    if (rc == SB_OK || rc == SB_ENOENT || rc == SB_ECONFLICT)
        return rc;
    return sb_err_set(err, rc, "%s", cp_db_last_error(store->db)->text.text);
}

/* --- reading ------------------------------------------------------------------------- */

#define TOKEN_OBJECT                                                                               \
    "json_strip_nulls(json_build_object('name', name, 'role', role,"                               \
    " 'scope', CASE WHEN kinds IS NOT NULL OR tenants IS NOT NULL"                                 \
    " THEN json_build_object('kinds', kinds, 'tenants', tenants) END,"                             \
    " 'state', CASE WHEN revoked_at IS NOT NULL THEN 'revoked'"                                    \
    " WHEN expires_at <= now() THEN 'expired' ELSE 'active' END,"                                  \
    " 'created_at', " CP_NAMED_TIME(                                                               \
        "created_at") ", 'created_by', created_by,"                                                \
                      " 'expires_at', " CP_NAMED_TIME(                                             \
                          "expires_at") ", "                                                       \
                                        "'revoked_at',"                                            \
                                        " " CP_NAMED_TIME("revoked_at") ","                        \
                                                                        " 'revoked_"               \
                                                                        "by', "                    \
                                                                        "revoked_"                 \
                                                                        "by, "                     \
                                                                        "'last_"                   \
                                                                        "used_at',"                \
                                                                        " " CP_NAMED_TIME(         \
                                                                            "last_"                \
                                                                            "used_"                \
                                                                            "at") "))::text"

int cp_token_list(struct cp_store *store, struct cp_page *page, struct sb_buf *out)
{
    return cp_named_list(store,
                         "SELECT name, " TOKEN_OBJECT " FROM admin_tokens WHERE name > $1"
                         " ORDER BY name LIMIT $2",
                         page, out);
}

int cp_token_get(struct cp_store *store, struct sb_slice name, struct sb_buf *out)
{
    return cp_named_get(store, "SELECT " TOKEN_OBJECT " FROM admin_tokens WHERE name = $1", name,
                        out);
}
