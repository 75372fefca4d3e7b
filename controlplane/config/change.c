/* controlplane/config/change.c - see change.h for the contract. */
#include "controlplane/config/change.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/timefmt.h"
#include "controlplane/sql.h"

enum {
    STAGE_MAX = 256 << 20, /* bytes of the objects of one kind */
    BULK = 100,            /* objects from which on plans are for many */
    HALF_OF_AT_LEAST = 10, /* endpoints or keys */
    PROBLEM_TEXT_MAX = 400,
};

/* Stages the objects of one kind that differ.  $1 revision, $2 [{"name",
 * "object", "secret"}], $3 author, $4 today. */
#define STAGE(kind, view)                                                                          \
    "WITH pair AS MATERIALIZED ("                                                                  \
    " SELECT i.name, o.object AS before, i.secret,"                                                \
    " settle_claims('" kind "', i.object, o.object, $3, $4::date) AS after"                        \
    " FROM jsonb_to_recordset($2::jsonb) AS i(name text, object jsonb, secret boolean)"            \
    " LEFT JOIN " view " o ON o.name = i.name)"                                                    \
    " INSERT INTO audit_changes (revision, kind, name, before, after, secret_changed)"             \
    " SELECT $1::bigint, '" kind "', name, before, after, secret FROM pair"                        \
    " WHERE before IS DISTINCT FROM after OR secret"

/* Stages the end of what a file made and $2, names, leaves out. */
#define PRUNE(kind, view, except)                                                                  \
    "INSERT INTO audit_changes (revision, kind, name, before)"                                     \
    " SELECT $1::bigint, '" kind "', o.name, o.object FROM " view " o"                             \
    " WHERE o.from_file AND NOT EXISTS"                                                            \
    " (SELECT FROM jsonb_array_elements_text($2::jsonb) AS n(name) WHERE n.name = o.name)" except

/* Stages the end of one. */
#define END(kind, view)                                                                            \
    "INSERT INTO audit_changes (revision, kind, name, before)"                                     \
    " SELECT $1::bigint, '" kind "', o.name, o.object FROM " view " o WHERE o.name = $2"

#define STATEMENTS(kind, view, except)                                                             \
    {                                                                                              \
        STAGE(kind, view), PRUNE(kind, view, except), END(kind, view)                              \
    }

static const struct {
    const char *stage, *prune, *end;
} statements[CP_KINDS] = {
    [CP_PROVIDERS] = STATEMENTS("providers", "provider_objects", ""),
    [CP_MODELS] = STATEMENTS("models", "model_objects", ""),
    [CP_TENANTS] = STATEMENTS("tenants", "tenant_objects", ""),
    [CP_POLICIES] = STATEMENTS("policies", "policy_objects", ""),
    [CP_ENDPOINTS] = STATEMENTS("endpoints", "endpoint_objects", ""),
    [CP_KEYS] = STATEMENTS("keys", "key_objects", ""),
    /* A provider that is named without a credential ($3) keeps the one it has. */
    [CP_CREDENTIALS] = STATEMENTS("credentials", "credential_objects",
                                  " AND NOT (NOT o.object ? 'tenant' AND EXISTS (SELECT FROM"
                                  " jsonb_array_elements_text($3::jsonb) AS p(name)"
                                  " WHERE p.name = o.object ->> 'provider'))"),
};

/* --- small things --------------------------------------------------------------- */

void cp_edit_problem(struct cp_edit *edit, enum cp_kind kind, struct sb_slice name,
                     const char *member, const char *fmt, ...)
{
    const struct cp_object *object =
        edit->catalog != NULL ? cp_catalog_find(edit->catalog, kind, name) : NULL;
    char text[PROBLEM_TEXT_MAX];
    struct sb_slice path;
    uint32_t line = 0;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (object != NULL) {
        path = object->path;
        line = object->line;
    } else {
        path = sb_arena_printf(edit->answer->arena, "%s[%.*s]", cp_kind_section(kind),
                               SB_SLICE_ARGS(name));
    }
    if (member != NULL)
        path = sb_arena_printf(edit->answer->arena, "%.*s%s%s", SB_SLICE_ARGS(path),
                               path.n > 0 ? "." : "", member);
    cp_problems_add(&edit->answer->problems, path, line, "%s", text);
}

void cp_edit_notes(struct cp_edit *edit, const struct cp_rows *rows)
{
    for (size_t i = 0; i < cp_rows_count(rows); i++) {
        struct cp_note *note = sb_arena_alloc(edit->answer->arena, sizeof(*note));

        note->text = sb_arena_dup(edit->answer->arena, cp_rows_bytes(rows, i, 0));
        note->next = edit->answer->result.notes;
        edit->answer->result.notes = note;
    }
}

int cp_edit_begin(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    const struct cp_change *change = edit->change;
    uint64_t newest;
    int rc = cp_db_query(edit->db,
                         "UPDATE config_head SET revision = revision + 1, changed_at = now()"
                         " RETURNING epoch, revision",
                         CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) != 1)
        return sb_err_set(&edit->answer->err, SB_EDB, "the database has no head revision");
    edit->version.epoch = (uint64_t)cp_rows_i64(rows, 0, 0);
    edit->version.revision = (uint64_t)cp_rows_i64(rows, 0, 1);
    newest = edit->version.revision - 1;
    if (change->if_match != CP_ANY_REVISION && change->if_match != newest)
        return sb_err_set(&edit->answer->err, SB_ECONFLICT,
                          "the newest revision is %" PRIu64 ", not %" PRIu64, newest,
                          change->if_match);
    return cp_db_exec(edit->db,
                      "INSERT INTO revisions"
                      " (revision, epoch, author, action, note, forced, role, address)"
                      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8::inet)",
                      CP_PARAMS(CP_P_I64(edit->version.revision), CP_P_I64(edit->version.epoch),
                                CP_P_TEXT(change->author), CP_P_STR(edit->action),
                                change->note.n > 0 ? CP_P_TEXT(change->note) : CP_P_NULL,
                                CP_P_BOOL(change->force),
                                change->role.n > 0 ? CP_P_TEXT(change->role) : CP_P_NULL,
                                change->address.n > 0 ? CP_P_TEXT(change->address) : CP_P_NULL),
                      NULL);
}

/* --- staging ---------------------------------------------------------------------- */

static bool has_new_secret(const struct cp_edit *edit, const struct cp_object *object)
{
    const struct cp_entered *entered;
    size_t low = 0, high;

    if (object->kind != CP_KEYS && object->kind != CP_CREDENTIALS)
        return false;
    entered = &edit->entered[object->kind == CP_KEYS ? CP_ENTERED_KEYS : CP_ENTERED_CREDENTIALS];
    for (high = entered->n; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = cp_slice_order(entered->names[middle], object->name);

        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static int stage_kind(struct cp_edit *edit, enum cp_kind kind)
{
    const struct cp_catalog *catalog = edit->catalog;
    char today[SB_DATE_TEXT_MAX];
    struct sb_json json;
    struct sb_buf buf;
    int rc;

    if (catalog->n[kind] == 0)
        return SB_OK;
    sb_buf_init(&buf, STAGE_MAX);
    sb_json_init(&json, &buf);
    sb_json_open_array(&json);
    for (size_t i = 0; i < catalog->n[kind]; i++) {
        const struct cp_object *object = &catalog->objects[kind][i];

        if (object->json.n == 0)
            continue; /* it has problems: nothing will come of this change */
        sb_json_open_object(&json);
        sb_json_add_text(&json, "name", object->name);
        sb_json_add_raw(&json, "object", object->json);
        sb_json_add_bool(&json, "secret", has_new_secret(edit, object));
        sb_json_close_object(&json);
    }
    sb_json_close_array(&json);
    rc = sb_json_end(&json);
    if (rc == SB_OK) {
        (void)sb_date_format(sb_day_of(sb_clock_wall(edit->conf->clock)), today);
        rc = cp_db_exec(edit->db, statements[kind].stage,
                        CP_PARAMS(CP_P_I64(edit->version.revision), CP_P_TEXT(sb_buf_slice(&buf)),
                                  CP_P_TEXT(edit->change->author), CP_P_STR(today)),
                        NULL);
    }
    sb_buf_release(&buf);
    return rc;
}

static int write_names(const struct cp_catalog *catalog, enum cp_kind kind, struct sb_buf *buf)
{
    struct sb_json json;

    sb_json_init(&json, buf);
    sb_json_open_array(&json);
    for (size_t i = 0; i < catalog->n[kind]; i++)
        sb_json_put_text(&json, catalog->objects[kind][i].name);
    sb_json_close_array(&json);
    return sb_json_end(&json);
}

static int prune_kind(struct cp_edit *edit, enum cp_kind kind)
{
    struct sb_buf names, providers;
    int rc;

    sb_buf_init(&names, STAGE_MAX);
    sb_buf_init(&providers, STAGE_MAX);
    rc = write_names(edit->catalog, kind, &names);
    if (rc == SB_OK && kind == CP_CREDENTIALS)
        rc = write_names(edit->catalog, CP_PROVIDERS, &providers);
    if (rc == SB_OK) {
        const struct cp_param params[] = {CP_P_I64(edit->version.revision),
                                          CP_P_TEXT(sb_buf_slice(&names)),
                                          CP_P_TEXT(sb_buf_slice(&providers))};

        rc = cp_db_exec(edit->db, statements[kind].prune, params, kind == CP_CREDENTIALS ? 3 : 2,
                        NULL);
    }
    sb_buf_release(&names);
    sb_buf_release(&providers);
    return rc;
}

/* The server knows nothing yet of how many rows there are: with nested loops
 * it would look at each pair of ten thousand. */
static int expect_many(struct cp_edit *edit, size_t objects)
{
    return objects < BULK ? SB_OK : cp_db_script(edit->db, "SET LOCAL enable_nestloop = off");
}

int cp_edit_stage_catalog(struct cp_edit *edit)
{
    size_t objects = 0;
    int rc;

    for (int kind = 0; kind < CP_KINDS; kind++)
        objects += edit->catalog->n[kind];
    rc = expect_many(edit, objects);
    if (rc == SB_OK)
        rc = cp_edit_enter_secrets(edit);
    for (int kind = 0; rc == SB_OK && kind < CP_KINDS; kind++)
        rc = stage_kind(edit, (enum cp_kind)kind);
    for (int kind = 0; rc == SB_OK && edit->change->prune && kind < CP_KINDS; kind++)
        rc = prune_kind(edit, (enum cp_kind)kind);
    return rc;
}

int cp_edit_stage_delete(struct cp_edit *edit, enum cp_kind kind, struct sb_slice name)
{
    uint64_t count = 0;
    int rc = cp_db_exec(edit->db, statements[kind].end,
                        CP_PARAMS(CP_P_I64(edit->version.revision), CP_P_TEXT(name)), &count);

    if (rc == SB_OK && count == 0)
        return sb_err_set(&edit->answer->err, SB_ENOENT, "there is no %s '%.*s'", cp_kind_one(kind),
                          SB_SLICE_ARGS(name));
    return rc;
}

int cp_edit_stage_rollback(struct cp_edit *edit, uint64_t revision)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    const struct cp_param params[] = {CP_P_I64(edit->version.revision), CP_P_I64(revision)};
    uint64_t count = 0;
    int rc;

    if (revision >= edit->version.revision)
        return sb_err_set(&edit->answer->err, SB_ENOENT, "there is no revision %" PRIu64, revision);
    rc = cp_db_exec(edit->db, cp_sql_stage_rollback, params, 2, &count);
    if (rc == SB_OK)
        rc = expect_many(edit, count);
    if (rc == SB_OK)
        rc = cp_db_query(edit->db, cp_sql_rollback_notes, params, 2, &rows);
    if (rc == SB_OK)
        cp_edit_notes(edit, rows);
    return rc;
}
