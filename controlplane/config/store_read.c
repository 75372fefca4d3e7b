/* controlplane/config/store_read.c - see store.h for the contract; reading. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/json.h"
#include "common/num.h"
#include "controlplane/catalog/schema.h"
#include "controlplane/config/store_private.h"
#include "proto/limits.h"

/* Name, object, extra: one object; a page of them; all. */
#define ONE(view) "SELECT name, object::text, extra::text FROM " view " WHERE name = $1"
#define PAGE(view, tenant)                                                                         \
    "SELECT name, object::text, extra::text FROM " view " WHERE name > $1"                         \
    " AND ($3::jsonb IS NULL OR coalesce($3::jsonb ? (" tenant "), false))"                        \
    " ORDER BY name LIMIT $2"
#define ALL(view) "SELECT name, object::text, NULL::text FROM " view " ORDER BY name"
/* tenant: whose an object of it is. */
#define STATEMENTS(view, tenant)                                                                   \
    {                                                                                              \
        ONE(view), PAGE(view, tenant), ALL(view)                                                   \
    }
#define NOBODYS   "NULL::text"
#define A_TENANTS "object ->> 'tenant'"

static const struct {
    const char *one, *page, *all;
} statements[CP_KINDS] = {
    [CP_PROVIDERS] = STATEMENTS("provider_objects", NOBODYS),
    [CP_MODELS] = STATEMENTS("model_objects", NOBODYS),
    [CP_TENANTS] = STATEMENTS("tenant_objects", "name"),
    [CP_POLICIES] = STATEMENTS("policy_objects", NOBODYS),
    [CP_ENDPOINTS] = STATEMENTS("endpoint_objects", NOBODYS),
    [CP_KEYS] = STATEMENTS("key_objects", A_TENANTS),
    [CP_CREDENTIALS] = STATEMENTS("credential_objects", A_TENANTS),
};

int cp_store_read_object(struct cp_db *db, enum cp_kind kind, struct sb_slice name,
                         struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db, statements[kind].one, CP_PARAMS(CP_P_TEXT(name)), &rows);

    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 0)
        return SB_ENOENT;
    return sb_buf_append(out, cp_rows_bytes(rows, 0, 1));
}

/* --- writing objects ------------------------------------------------------------ */

static void put_members(struct sb_json *json, yyjson_val *object, enum cp_kind kind, bool known)
{
    const struct cp_schema *schema = &cp_schemas[kind];
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *name;

    if (known) { /* in the order of the schema, which is how people write them */
        for (size_t i = 0; i < schema->n; i++) {
            yyjson_val *value = yyjson_obj_get(object, schema->fields[i].name);

            if (value == NULL || (schema->fields[i].flags & CP_FIELD_STORE) != 0)
                continue;
            sb_json_name(json, sb_slice_of(schema->fields[i].name));
            sb_json_put_value(json, value);
        }
        return;
    }
    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        sb_json_name(json, sb_json_text(name));
        sb_json_put_value(json, yyjson_obj_iter_get_val(name));
    }
}

static int put_object(struct sb_json *json, const struct cp_rows *rows, size_t row,
                      enum cp_kind kind)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *object = NULL;
    SB_CLEANUP(sb_json_free) yyjson_doc *extra = NULL;
    struct sb_slice text = cp_rows_bytes(rows, row, 1);
    int rc = sb_json_read(text, text.n, &object, NULL);

    if (rc == SB_OK && !cp_rows_is_null(rows, row, 2)) {
        text = cp_rows_bytes(rows, row, 2);
        rc = sb_json_read(text, text.n, &extra, NULL);
    }
    if (rc != SB_OK)
        return rc;
    sb_json_open_object(json);
    put_members(json, yyjson_doc_get_root(object), kind, true);
    if (extra != NULL)
        put_members(json, yyjson_doc_get_root(extra), kind, false);
    sb_json_close_object(json);
    return SB_OK;
}

static int put_list(struct sb_json *json, const struct cp_rows *rows, size_t n, enum cp_kind kind)
{
    int rc = SB_OK;

    sb_json_open_array(json);
    for (size_t i = 0; rc == SB_OK && i < n; i++)
        rc = put_object(json, rows, i, kind);
    sb_json_close_array(json);
    return rc;
}

/* The first trouble of two: what the rows hold, or what out can. */
static int end(struct sb_json *json, int rc)
{
    int ended = sb_json_end(json);

    return rc != SB_OK ? rc : ended;
}

/* --- objects ---------------------------------------------------------------------- */

int cp_store_head(struct cp_store *store, struct msg_version *ret_version)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_store_ready(store);

    if (rc == SB_OK)
        rc = cp_db_query(store->db, "SELECT epoch, revision FROM config_head", CP_NO_PARAMS, &rows);
    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) != 1)
        return SB_EDB;
    ret_version->epoch = (uint64_t)cp_rows_i64(rows, 0, 0);
    ret_version->revision = (uint64_t)cp_rows_i64(rows, 0, 1);
    return SB_OK;
}

int cp_store_list(struct cp_store *store, enum cp_kind kind, struct cp_page *page,
                  struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_json json;
    size_t n;
    int rc;

    if (page->limit == 0 || page->limit > CP_LIMIT_MAX)
        return SB_EINVAL;
    rc = cp_store_ready(store);
    if (rc == SB_OK)
        rc = cp_db_query(store->db, statements[kind].page,
                         CP_PARAMS(CP_P_STR(page->cursor), CP_P_I64(page->limit + 1),
                                   page->tenants.n > 0 ? CP_P_TEXT(page->tenants) : CP_P_NULL),
                         &rows);
    if (rc != SB_OK)
        return rc;
    n = cp_rows_count(rows) > page->limit ? page->limit : cp_rows_count(rows);
    sb_json_init(&json, out);
    rc = end(&json, put_list(&json, rows, n, kind));
    if (rc != SB_OK)
        return rc;
    page->cursor[0] = '\0';
    _Static_assert(CP_CURSOR_MAX > MSG_MODEL_ID_MAX + MSG_SLUG_MAX + 1, "an endpoint's name fits");
    if (cp_rows_count(rows) > n &&
        SB_NEVER(!sb_slice_copy_text(cp_rows_bytes(rows, n - 1, 0), page->cursor, CP_CURSOR_MAX)))
        return SB_ETOOBIG;
    return SB_OK;
}

int cp_store_get(struct cp_store *store, enum cp_kind kind, struct sb_slice name,
                 struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_json json;
    int rc = cp_store_ready(store);

    if (rc == SB_OK)
        rc = cp_db_query(store->db, statements[kind].one, CP_PARAMS(CP_P_TEXT(name)), &rows);
    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 0)
        return SB_ENOENT;
    sb_json_init(&json, out);
    return end(&json, put_object(&json, rows, 0, kind));
}

struct whole {
    struct sb_buf *out;
    struct msg_version version;
};

static int read_whole(struct cp_db *db, void *ctx)
{
    struct whole *whole = ctx;
    struct cp_rows *rows = NULL;
    struct sb_json json;
    int rc = cp_db_query(db, "SELECT epoch, revision FROM config_head", CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 1) {
        whole->version.epoch = (uint64_t)cp_rows_i64(rows, 0, 0);
        whole->version.revision = (uint64_t)cp_rows_i64(rows, 0, 1);
    }
    cp_rows_destroy(&rows);
    sb_json_init(&json, whole->out);
    sb_json_open_object(&json);
    sb_json_add_i64(&json, "version", CP_CATALOG_VERSION);
    for (int kind = 0; rc == SB_OK && kind < CP_KINDS; kind++) {
        rc = cp_db_query(db, statements[kind].all, CP_NO_PARAMS, &rows);
        sb_json_name(&json, sb_slice_of(cp_kind_section((enum cp_kind)kind)));
        if (rc == SB_OK)
            rc = put_list(&json, rows, cp_rows_count(rows), (enum cp_kind)kind);
        else
            sb_json_put_null(&json);
        cp_rows_destroy(&rows);
    }
    sb_json_close_object(&json);
    return end(&json, rc);
}

int cp_store_catalog(struct cp_store *store, struct sb_buf *out, struct msg_version *ret_version)
{
    struct whole whole = {.out = out};
    int rc = cp_store_ready(store);

    if (rc == SB_OK)
        rc = cp_db_transact(store->db, CP_REPEATABLE_READ_ONLY, read_whole, &whole);
    if (rc == SB_OK)
        *ret_version = whole.version;
    return rc;
}

/* --- history ------------------------------------------------------------------------ */

#define REVISION_OBJECT                                                                            \
    "json_strip_nulls(json_build_object('revision', revision, 'epoch', epoch,"                     \
    " 'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"                  \
    " 'author', author, 'role', role, 'address', host(address), 'action', action, 'note', note, "  \
    "'forced', nullif(forced, false),"                                                             \
    " 'added', added, 'changed', changed, 'removed', removed))"

int cp_store_revisions(struct cp_store *store, struct cp_page *page, struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    uint64_t before = INT64_MAX;
    struct sb_json json;
    size_t n;
    int rc;

    if (page->limit == 0 || page->limit > CP_LIMIT_MAX)
        return SB_EINVAL;
    if (page->cursor[0] != '\0' &&
        (!sb_num_read_u64(sb_slice_of(page->cursor), &before) || before > INT64_MAX))
        return SB_EINVAL;
    rc = cp_store_ready(store);
    if (rc == SB_OK)
        rc = cp_db_query(store->db,
                         "SELECT revision, " REVISION_OBJECT "::text FROM revision_objects"
                         " WHERE revision < $1 ORDER BY revision DESC LIMIT $2",
                         CP_PARAMS(CP_P_I64(before), CP_P_I64(page->limit + 1)), &rows);
    if (rc != SB_OK)
        return rc;
    n = cp_rows_count(rows) > page->limit ? page->limit : cp_rows_count(rows);
    sb_json_init(&json, out);
    sb_json_open_array(&json);
    for (size_t i = 0; i < n; i++)
        sb_json_put_raw(&json, cp_rows_bytes(rows, i, 1));
    sb_json_close_array(&json);
    rc = sb_json_end(&json);
    if (rc != SB_OK)
        return rc;
    page->cursor[0] = '\0';
    if (cp_rows_count(rows) > n)
        (void)snprintf(page->cursor, CP_CURSOR_MAX, "%" PRId64, cp_rows_i64(rows, n - 1, 0));
    return SB_OK;
}

int cp_store_revision(struct cp_store *store, uint64_t revision, struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_slice head;
    struct sb_json json;
    int rc;

    if (revision > INT64_MAX)
        return SB_ENOENT;
    rc = cp_store_ready(store);
    if (rc == SB_OK)
        rc = cp_db_query(
            store->db,
            "SELECT " REVISION_OBJECT "::text,"
            " (SELECT coalesce(json_agg(d.change), '[]') FROM"
            " (SELECT change_object(kind, name, before, after, secret_changed) AS change"
            " FROM audit_changes c WHERE c.revision = $1 ORDER BY kind, name LIMIT $2) d)::text"
            " FROM revision_objects WHERE revision = $1",
            CP_PARAMS(CP_P_I64(revision), CP_P_I64(CP_DIFFERENCE_MAX)), &rows);
    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 0)
        return SB_ENOENT;
    head = cp_rows_bytes(rows, 0, 0);
    if (SB_NEVER(head.n < 2))
        return SB_EDB;
    /* One more member, before the closing brace. */
    head.n--;
    sb_json_init(&json, out);
    sb_json_put_raw(&json, head);
    rc = sb_json_end(&json);
    if (rc == SB_OK)
        rc = sb_buf_append_text(out, ",\"difference\":");
    if (rc == SB_OK)
        rc = sb_buf_append(out, cp_rows_bytes(rows, 0, 1));
    return rc == SB_OK ? sb_buf_append_byte(out, '}') : rc;
}

int cp_store_compare(struct cp_store *store, uint64_t older, uint64_t newer, struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc;

    if (older > newer || newer > INT64_MAX)
        return SB_EINVAL;
    rc = cp_store_ready(store);
    if (rc == SB_OK)
        rc = cp_db_query(
            store->db,
            "WITH range AS (SELECT * FROM audit_changes WHERE revision > $1 AND revision <= $2),"
            " first AS (SELECT DISTINCT ON (kind, name) kind, name, before FROM range"
            " ORDER BY kind, name, revision),"
            " last AS (SELECT DISTINCT ON (kind, name) kind, name, after FROM range"
            " ORDER BY kind, name, revision DESC),"
            " pair AS (SELECT kind, name, f.before, l.after,"
            " EXISTS (SELECT FROM range r WHERE r.kind = f.kind AND r.name = f.name"
            " AND r.secret_changed AND r.before IS NOT NULL) AS secret"
            " FROM first f JOIN last l USING (kind, name)"
            " WHERE f.before IS NOT NULL OR l.after IS NOT NULL)"
            " SELECT (SELECT revision FROM config_head), coalesce((SELECT json_agg(d.change) FROM"
            " (SELECT change_object(kind, name, before, after, secret) AS change FROM pair"
            " WHERE before IS DISTINCT FROM after OR secret ORDER BY kind, name LIMIT $3) d),"
            " '[]')::text",
            CP_PARAMS(CP_P_I64(older), CP_P_I64(newer), CP_P_I64(CP_DIFFERENCE_MAX)), &rows);
    if (rc != SB_OK)
        return rc;
    if ((uint64_t)cp_rows_i64(rows, 0, 0) < newer)
        return SB_ENOENT;
    return sb_buf_append(out, cp_rows_bytes(rows, 0, 1));
}
