/* controlplane/config/change_finish.c - the second half of change.h: check, write, notify. */
#include <inttypes.h>
#include <string.h>

#include "common/check.h"
#include "controlplane/config/change.h"
#include "controlplane/roles.h"
#include "controlplane/sql.h"

enum {
    HALF_OF_AT_LEAST = 10, /* endpoints or keys */
    NAME_SHOWN = 80,       /* bytes of a name in a text that ends somewhere */
};

/* Removes from a table what has ended; column: of the name. */
#define REMOVE(kind, column)                                                                       \
    "DELETE FROM " kind " t USING audit_changes c WHERE c.revision = $1 AND c.kind = '" kind       \
    "' AND c.after IS NULL AND t." column " = c.name"

/* A revoked key is remembered, so that it is never a key again. */
#define REVOKE                                                                                     \
    "WITH gone AS (DELETE FROM keys k USING audit_changes c, tenants t"                            \
    " WHERE c.revision = $1 AND c.kind = 'keys' AND c.after IS NULL"                               \
    " AND k.name = c.name AND t.id = k.tenant_id"                                                  \
    " RETURNING k.id, k.name, k.hash, k.label, t.name AS tenant)"                                  \
    " INSERT INTO revoked_keys (id, name, hash, label, tenant, revision)"                          \
    " SELECT id, name, hash, label, tenant, $1::bigint FROM gone"

static const struct {
    const char *upsert, *remove;
} statements[CP_KINDS] = {
    [CP_PROVIDERS] = {cp_sql_upsert_providers, REMOVE("providers", "slug")},
    [CP_MODELS] = {cp_sql_upsert_models, REMOVE("models", "model")},
    [CP_TENANTS] = {cp_sql_upsert_tenants, REMOVE("tenants", "name")},
    [CP_POLICIES] = {cp_sql_upsert_policies, REMOVE("policies", "name")},
    [CP_ENDPOINTS] = {cp_sql_upsert_endpoints, REMOVE("endpoints", "name")},
    [CP_KEYS] = {cp_sql_upsert_keys, REVOKE},
    [CP_CREDENTIALS] = {cp_sql_upsert_credentials, REMOVE("credentials", "name")},
};

static int exec(struct cp_edit *edit, const char *sql, uint64_t *ret_count)
{
    return cp_db_exec(edit->db, sql, CP_PARAMS(CP_P_I64(edit->version.revision)), ret_count);
}

static int query(struct cp_edit *edit, const char *sql, struct cp_rows **ret_rows)
{
    return cp_db_query(edit->db, sql, CP_PARAMS(CP_P_I64(edit->version.revision)), ret_rows);
}

/* --- checking ------------------------------------------------------------------------ */

/* One row of check_references.sql. */
static void name_reference(struct cp_edit *edit, const struct cp_rows *rows, size_t i)
{
    int kind = cp_kind_parse(cp_rows_bytes(rows, i, 0));
    int other = cp_kind_parse(cp_rows_bytes(rows, i, 3));
    struct sb_slice name = cp_rows_bytes(rows, i, 1);
    struct sb_slice other_name = cp_rows_bytes(rows, i, 4);
    int64_t users = cp_rows_i64(rows, i, 5);
    char member[32];

    if (SB_NEVER(kind < 0 || other < 0))
        return;
    if (cp_rows_is_null(rows, i, 2)) {
        cp_edit_problem(edit, (enum cp_kind)kind, name, NULL,
                        "is used by %" PRId64 " %s, such as '%.*s'", users,
                        users == 1 ? cp_kind_one((enum cp_kind)other)
                                   : cp_kind_section((enum cp_kind)other),
                        SB_SLICE_ARGS(other_name));
        return;
    }
    if (edit->catalog != NULL &&
        cp_catalog_find(edit->catalog, (enum cp_kind)other, other_name) != NULL)
        return; /* it is in the document and has problems of its own */
    (void)sb_slice_copy_text(cp_rows_bytes(rows, i, 2), member, sizeof(member));
    cp_edit_problem(edit, (enum cp_kind)kind, name, member, "there is no %s '%.*s'",
                    cp_kind_one((enum cp_kind)other), SB_SLICE_ARGS(other_name));
}

/* The tenant that an object is of, or null. */
#define TENANT_OF(object)                                                                          \
    "CASE kind WHEN 'tenants' THEN name WHEN 'keys' THEN " object " ->> 'tenant'"                  \
    " WHEN 'credentials' THEN " object " ->> 'tenant' END"
#define IS_OUTSIDE(object)                                                                         \
    "(" object " IS NOT NULL AND NOT coalesce($3::jsonb ? (" TENANT_OF(object) "), false))"

/* Everything that a change does is staged: whatever of it is outside of the scope
 * ends all of it, also what only follows, such as the credentials of a provider. */
static int check_scope(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    const struct cp_scope *scope = edit->change->scope;
    struct sb_arena *arena = edit->answer->arena;
    struct sb_slice tenants;
    int kind, rc;

    if (scope == NULL || cp_scope_is_whole(scope))
        return SB_OK;
    tenants = cp_scope_tenants_json(scope, arena);
    rc = cp_db_query(
        edit->db,
        "SELECT kind, name FROM audit_changes WHERE revision = $1"
        " AND (NOT $2::jsonb ? kind OR ($3::jsonb IS NOT NULL AND"
        " (" IS_OUTSIDE("before") " OR " IS_OUTSIDE("after") ")))"
                                                             " ORDER BY kind, name LIMIT 1",
        CP_PARAMS(CP_P_I64(edit->version.revision), CP_P_TEXT(cp_scope_kinds_json(scope, arena)),
                  tenants.n > 0 ? CP_P_TEXT(tenants) : CP_P_NULL),
        &rows);
    if (rc != SB_OK || cp_rows_count(rows) == 0)
        return rc;
    kind = cp_kind_parse(cp_rows_bytes(rows, 0, 0));
    return sb_err_set(
        &edit->answer->err, SB_EFORBIDDEN,
        "the %s '%.*s' is outside of the scope of the token '%.*s'; a token with it "
        "in its scope, or without a scope, may",
        kind >= 0 ? cp_kind_one((enum cp_kind)kind) : "object",
        (int)(cp_rows_bytes(rows, 0, 1).n < NAME_SHOWN ? cp_rows_bytes(rows, 0, 1).n : NAME_SHOWN),
        cp_rows_bytes(rows, 0, 1).p, SB_SLICE_ARGS(edit->change->author));
}

static int check_references(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = query(edit, cp_sql_check_references, &rows);

    for (size_t i = 0; rc == SB_OK && i < cp_rows_count(rows); i++)
        name_reference(edit, rows, i);
    return rc;
}

static int check_aliases(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = query(edit, cp_sql_check_aliases, &rows);

    for (size_t i = 0; rc == SB_OK && i < cp_rows_count(rows); i++)
        cp_edit_problem(edit, CP_MODELS, cp_rows_bytes(rows, i, 0), "aliases",
                        "'%.*s' belongs to the model '%.*s' already",
                        SB_SLICE_ARGS(cp_rows_bytes(rows, i, 1)),
                        SB_SLICE_ARGS(cp_rows_bytes(rows, i, 2)));
    return rc;
}

static int check_default_tenant(struct cp_edit *edit)
{
    uint64_t count = 0;
    int rc = exec(edit,
                  "SELECT FROM audit_changes WHERE revision = $1 AND kind = 'tenants'"
                  " AND name = 'default' AND after IS NULL",
                  &count);

    if (rc == SB_OK && count > 0)
        cp_edit_problem(edit, CP_TENANTS, SB_SLICE_LIT("default"), NULL, "cannot be removed");
    return rc;
}

static int check_chat_prices(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = query(edit, cp_sql_check_chat_prices, &rows);

    for (size_t i = 0; rc == SB_OK && i < cp_rows_count(rows); i++)
        for (int price = 0; price < 2; price++)
            if (cp_rows_bool(rows, i, 1 + price))
                cp_edit_problem(edit, CP_ENDPOINTS, cp_rows_bytes(rows, i, 0),
                                price == 0 ? "pricing.prompt" : "pricing.completion",
                                "is missing; write \"0\" for what is free");
    return rc;
}

static int check_sequences(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = query(edit, cp_sql_check_sequences, &rows);

    for (size_t i = 0; rc == SB_OK && i < cp_rows_count(rows); i++)
        cp_edit_problem(edit, CP_CREDENTIALS, cp_rows_bytes(rows, i, 0), "sequence",
                        "%" PRId64 " is the place of '%.*s' among the credentials of this "
                        "provider and tenant; give another",
                        cp_rows_i64(rows, i, 1), SB_SLICE_ARGS(cp_rows_bytes(rows, i, 2)));
    return rc;
}

static int verdict(const struct cp_edit *edit)
{
    return edit->answer->problems.n == 0 ? SB_OK : SB_EINVAL;
}

/* Holds back what takes away too much. */
static int guard(struct cp_edit *edit, const char *what, int64_t there, int64_t gone, int64_t new)
{
    bool last = new >= 0 && there > 0 && there - gone + new == 0;

    if (!last && (there < HALF_OF_AT_LEAST || gone * 2 <= there))
        return SB_OK;
    return sb_err_set(&edit->answer->err, SB_EACCES,
                      "this removes %" PRId64 " of %" PRId64
                      " %s; repeat it with force if it is meant",
                      gone, there, what);
}

static int count_change(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_result *result = &edit->answer->result;
    int rc = query(edit, cp_sql_count_change, &rows);

    if (rc != SB_OK)
        return rc;
    result->added = (uint64_t)cp_rows_i64(rows, 0, 0);
    result->changed_objects = (uint64_t)cp_rows_i64(rows, 0, 1);
    result->removed = (uint64_t)cp_rows_i64(rows, 0, 2);
    result->changed = result->added + result->changed_objects + result->removed > 0;
    if (edit->change->force)
        return SB_OK;
    rc = guard(edit, "endpoints", cp_rows_i64(rows, 0, 6), cp_rows_i64(rows, 0, 3),
               cp_rows_i64(rows, 0, 4));
    if (rc == SB_OK)
        rc = guard(edit, "keys", cp_rows_i64(rows, 0, 7), cp_rows_i64(rows, 0, 5), -1);
    return rc;
}

/* --- writing ----------------------------------------------------------------------------- */

static int write_kind(struct cp_edit *edit, enum cp_kind kind)
{
    struct sb_slice entered = SB_SLICE_LIT("[]");
    bool secret = kind == CP_KEYS || kind == CP_CREDENTIALS;

    if (secret) {
        int which = kind == CP_KEYS ? CP_ENTERED_KEYS : CP_ENTERED_CREDENTIALS;

        if (edit->entered[which].n > 0)
            entered = edit->entered[which].json;
    }
    return cp_db_exec(
        edit->db, statements[kind].upsert,
        (const struct cp_param[]){CP_P_I64(edit->version.revision),
                                  edit->from_history ? CP_P_NULL : CP_P_BOOL(edit->by_file),
                                  CP_P_TEXT(entered)},
        secret ? 3 : 2, NULL);
}

static int suspend_credentials(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = query(edit, cp_sql_suspend_credentials, &rows);

    if (rc == SB_OK)
        cp_edit_notes(edit, rows);
    return rc;
}

static int write_tables(struct cp_edit *edit)
{
    int rc = SB_OK;

    for (int kind = 0; rc == SB_OK && kind < CP_KINDS; kind++) {
        if (kind == CP_MODELS)
            rc = exec(edit, cp_sql_clear_aliases, NULL);
        if (rc == SB_OK)
            rc = write_kind(edit, (enum cp_kind)kind);
        if (rc == SB_OK && kind == CP_MODELS)
            rc = exec(edit, cp_sql_insert_aliases, NULL);
    }
    if (rc == SB_OK)
        rc = suspend_credentials(edit);
    for (int kind = CP_KINDS - 1; rc == SB_OK && kind >= 0; kind--)
        rc = exec(edit, statements[kind].remove, NULL);
    return rc;
}

static int read_difference(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(
        edit->db,
        "SELECT coalesce(json_agg(d.change), '[]')::text FROM ("
        " SELECT change_object(kind, name, before, after, secret_changed) AS change"
        " FROM audit_changes WHERE revision = $1 ORDER BY kind, name LIMIT $2) d",
        CP_PARAMS(CP_P_I64(edit->version.revision), CP_P_I64(CP_DIFFERENCE_MAX)), &rows);

    if (rc == SB_OK)
        edit->answer->result.difference =
            sb_arena_dup(edit->answer->arena, cp_rows_bytes(rows, 0, 0));
    return rc;
}

int cp_edit_finish(struct cp_edit *edit)
{
    struct cp_result *result = &edit->answer->result;
    int rc = exec(edit, cp_sql_cascade_credentials, NULL);

    if (rc == SB_OK)
        rc = check_scope(edit);
    if (rc == SB_OK)
        rc = check_references(edit);
    if (rc == SB_OK)
        rc = check_aliases(edit);
    if (rc == SB_OK)
        rc = check_default_tenant(edit);
    if (rc == SB_OK)
        rc = verdict(edit);
    if (rc == SB_OK)
        rc = count_change(edit);
    if (rc != SB_OK)
        return rc;
    result->version = edit->version;
    if (!result->changed) {
        result->version.revision--;
        result->difference = SB_SLICE_LIT("[]");
        return CP_CHANGE_DONE;
    }
    rc = write_tables(edit);
    if (rc == SB_OK)
        rc = check_chat_prices(edit);
    if (rc == SB_OK)
        rc = check_sequences(edit);
    if (rc == SB_OK)
        rc = verdict(edit);
    if (rc == SB_OK)
        rc = cp_db_script(edit->db, "SET CONSTRAINTS ALL IMMEDIATE");
    if (rc == SB_OK)
        rc = read_difference(edit);
    if (rc == SB_OK && edit->change->dry_run)
        return CP_CHANGE_DONE;
    if (rc == SB_OK)
        rc = cp_db_exec(
            edit->db, "SELECT pg_notify('" CP_CHANNEL_CONFIG "', $1::text || '.' || $2::text)",
            CP_PARAMS(CP_P_I64(edit->version.epoch), CP_P_I64(edit->version.revision)), NULL);
    return rc;
}
