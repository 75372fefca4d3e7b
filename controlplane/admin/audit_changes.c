/* controlplane/admin/audit_changes.c - GET audit/changes: each object that was
 * changed, by whom, before and after. */
#include <inttypes.h>

#include "controlplane/admin/call.h"
#include "controlplane/admin/cell.h"
#include "controlplane/admin/csv.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/view.h"
#include "proto/vocabulary.h"

enum column {
    COL_REVISION,
    COL_EPOCH,
    COL_AT,
    COL_AUTHOR,
    COL_ACTION,
    COL_NOTE,
    COL_FORCED,
    COL_KIND,
    COL_NAME,
    COL_BEFORE,
    COL_AFTER,
    COL_SECRET,
    COL_ROLE,
    COL_ADDRESS,
    COL_FLAG,
};

/* An object's own, or a provider's. */
#define FLAG(when) "coalesce(c." when " -> $9, c." when " #> ARRAY['data_policy', $9])"

static const char sql[] =
    "SELECT c.revision, r.epoch, r.at, r.author, r.action, r.note, r.forced, c.kind, c.name,"
    " c.before::text, c.after::text, c.secret_changed, r.role, host(r.address),"
    " CASE WHEN $9::text IS NOT NULL THEN"
    "  jsonb_build_object('name', $9, 'before', " FLAG("before") ", 'after', " FLAG(
        "after") ")::text"
                 " END"
                 " FROM audit_changes c JOIN revisions r USING (revision)"
                 " WHERE ($1::timestamptz IS NULL OR r.at >= $1)"
                 " AND ($2::timestamptz IS NULL OR r.at < $2)"
                 " AND ($3::text IS NULL OR r.author = $3)"
                 " AND ($4::text IS NULL OR c.kind = $4)"
                 " AND ($5::text IS NULL OR c.name = $5)"
                 " AND ($6::bigint IS NULL OR c.revision = $6)"
                 " AND ($7::text IS NULL OR r.role = $7)"
                 " AND ($8::inet IS NULL OR r.address <<= $8)"
                 " AND ($9 IS NULL OR " FLAG("before") " IS DISTINCT FROM " FLAG(
                     "after") ")"
                              " AND ($10::bigint IS NULL OR c.revision < $10"
                              "      OR (c.revision = $10 AND (c.kind, c.name) > ($11::text, "
                              "$12::text)))"
                              " ORDER BY c.revision DESC, c.kind, c.name LIMIT $13";
#undef FLAG
enum { N_FILTERS = 9, N_CURSOR = 3 };

static struct sb_slice make_cursor(const struct cp_rows *rows, size_t row, struct sb_arena *arena)
{
    return sb_arena_printf(arena, "%" PRId64 "%c%.*s%c%.*s", cp_rows_i64(rows, row, COL_REVISION),
                           CP_CELL_SEPARATOR, SB_SLICE_ARGS(cp_rows_bytes(rows, row, COL_KIND)),
                           CP_CELL_SEPARATOR, SB_SLICE_ARGS(cp_rows_bytes(rows, row, COL_NAME)));
}

static int read_cursor(struct sb_slice cursor, struct cp_param *params)
{
    struct sb_slice revision = cp_cell_take_part(&cursor), kind = cp_cell_take_part(&cursor);

    for (int i = 0; i < N_CURSOR; i++)
        params[i] = CP_P_NULL;
    if (revision.n == 0)
        return SB_OK;
    if (kind.n == 0 || cursor.p == NULL || !cp_cell_read_number(revision, &params[0]))
        return SB_EINVAL;
    params[1] = CP_P_TEXT(kind);
    params[2] = CP_P_TEXT(cursor);
    return SB_OK;
}

static const char *what_happened(const struct cp_rows *rows, size_t row)
{
    if (cp_rows_is_null(rows, row, COL_BEFORE))
        return "added";
    return cp_rows_is_null(rows, row, COL_AFTER) ? "removed" : "changed";
}

static void put_json(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    sb_json_open_object(json);
    cp_cell_add_number(json, "revision", rows, row, COL_REVISION);
    cp_cell_add_number(json, "epoch", rows, row, COL_EPOCH);
    cp_cell_add_time(json, "at", rows, row, COL_AT);
    cp_cell_add_text(json, "author", rows, row, COL_AUTHOR);
    cp_cell_add_text(json, "by", rows, row, COL_ACTION);
    if (cp_rows_is_null(rows, row, COL_NOTE))
        sb_json_add_null(json, "note");
    else
        cp_cell_add_text(json, "note", rows, row, COL_NOTE);
    sb_json_add_bool(json, "forced", cp_rows_bool(rows, row, COL_FORCED));
    cp_cell_add_text(json, "kind", rows, row, COL_KIND);
    cp_cell_add_text(json, "name", rows, row, COL_NAME);
    sb_json_add_text(json, "action", sb_slice_of(what_happened(rows, row)));
    cp_cell_add_raw(json, "before", rows, row, COL_BEFORE);
    cp_cell_add_raw(json, "after", rows, row, COL_AFTER);
    sb_json_add_bool(json, "secret_changed", cp_rows_bool(rows, row, COL_SECRET));
    cp_cell_add_text(json, "role", rows, row, COL_ROLE);
    cp_cell_add_text(json, "address", rows, row, COL_ADDRESS);
    cp_cell_add_raw(json, "flag", rows, row, COL_FLAG);
    sb_json_close_object(json);
}

static const char *const titles[] = {
    "revision", "epoch",  "at",    "author",         "by",   "note",    "forced", "kind", "name",
    "action",   "before", "after", "secret_changed", "role", "address", NULL};

static void put_csv(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                    struct sb_arena *arena)
{
    (void)arena;
    cp_cell_put_number(csv, rows, row, COL_REVISION);
    cp_cell_put_number(csv, rows, row, COL_EPOCH);
    cp_cell_put_time(csv, rows, row, COL_AT);
    cp_cell_put_text(csv, rows, row, COL_AUTHOR);
    cp_cell_put_text(csv, rows, row, COL_ACTION);
    cp_cell_put_text(csv, rows, row, COL_NOTE);
    cp_cell_put_flag(csv, cp_rows_bool(rows, row, COL_FORCED));
    cp_cell_put_text(csv, rows, row, COL_KIND);
    cp_cell_put_text(csv, rows, row, COL_NAME);
    cp_csv_text(csv, sb_slice_of(what_happened(rows, row)));
    cp_cell_put_text(csv, rows, row, COL_BEFORE);
    cp_cell_put_text(csv, rows, row, COL_AFTER);
    cp_cell_put_flag(csv, cp_rows_bool(rows, row, COL_SECRET));
    cp_cell_put_text(csv, rows, row, COL_ROLE);
    cp_cell_put_text(csv, rows, row, COL_ADDRESS);
}

static const struct cp_view view = {
    .sql = sql,
    .n_filters = N_FILTERS,
    .n_cursor = N_CURSOR,
    .read_cursor = read_cursor,
    .cursor = make_cursor,
    .titles = titles,
    .put_json = put_json,
    .put_csv = put_csv,
};

int cp_serve_audit_changes(struct cp_call *call)
{
    const struct cp_param filters[N_FILTERS] = {
        cp_filter_time(call, "from"),   cp_filter_time(call, "to"),
        cp_filter_text(call, "author"), cp_filter_kind(call, "kind"),
        cp_filter_text(call, "name"),   cp_filter_number(call, "revision"),
        cp_filter_text(call, "role"),   cp_filter_network(call, "client"),
        cp_filter_text(call, "flag"),
    };

    return cp_view_reply(call, &view, filters);
}
