/* controlplane/admin/events.c - GET events: what operators should know of. */
#include <inttypes.h>

#include "controlplane/admin/call.h"
#include "controlplane/admin/cell.h"
#include "controlplane/admin/csv.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/view.h"
#include "controlplane/events/events.h"

enum column {
    COL_ID,
    COL_AT,
    COL_KIND,
    COL_SEVERITY,
    COL_SUBJECT_KIND,
    COL_SUBJECT,
    COL_TEXT,
    COL_DETAIL,
    COL_REVISION,
    COL_TERM,
    COL_IS_TOLD,
};

static const char sql[] =
    "SELECT e.id, e.at, e.kind, e.severity, e.subject_kind, e.subject, e.text, e.detail::text,"
    " e.revision, e.term, o.event_id IS NULL"
    " FROM events e LEFT JOIN event_outbox o ON o.event_id = e.id"
    " WHERE ($1::timestamptz IS NULL OR e.at >= $1)"
    " AND ($2::timestamptz IS NULL OR e.at < $2)"
    " AND ($3::text IS NULL OR e.kind = ANY (string_to_array($3, ',')))"
    " AND ($4::smallint IS NULL OR e.severity >= $4)"
    " AND ($5::text IS NULL OR e.subject_kind = $5)"
    " AND ($6::text IS NULL OR e.subject = $6)"
    " AND ($7::bigint IS NULL OR e.id < $7)"
    " ORDER BY e.id DESC LIMIT $8";
enum { N_FILTERS = 6, N_CURSOR = 1 };

static struct sb_slice make_cursor(const struct cp_rows *rows, size_t row, struct sb_arena *arena)
{
    return sb_arena_printf(arena, "%" PRId64, cp_rows_i64(rows, row, COL_ID));
}

static int read_cursor(struct sb_slice cursor, struct cp_param *params)
{
    params[0] = CP_P_NULL;
    return cursor.n == 0 || cp_cell_read_number(cursor, &params[0]) ? SB_OK : SB_EINVAL;
}

static struct sb_slice severity_of(const struct cp_rows *rows, size_t row)
{
    int64_t severity = cp_rows_i64(rows, row, COL_SEVERITY);

    return severity >= 0 && severity < CP_SEVERITIES
               ? sb_slice_of(cp_severity_name((enum cp_severity)severity))
               : SB_SLICE_NONE;
}

static void put_json(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    sb_json_open_object(json);
    cp_cell_add_number(json, "id", rows, row, COL_ID);
    cp_cell_add_time(json, "at", rows, row, COL_AT);
    cp_cell_add_text(json, "kind", rows, row, COL_KIND);
    sb_json_add_text(json, "severity", severity_of(rows, row));
    cp_cell_add_text(json, "subject_kind", rows, row, COL_SUBJECT_KIND);
    cp_cell_add_text(json, "subject", rows, row, COL_SUBJECT);
    cp_cell_add_text(json, "text", rows, row, COL_TEXT);
    if (cp_rows_is_null(rows, row, COL_DETAIL))
        sb_json_add_null(json, "detail");
    else
        sb_json_add_raw(json, "detail", cp_rows_bytes(rows, row, COL_DETAIL));
    cp_cell_add_number(json, "revision", rows, row, COL_REVISION);
    cp_cell_add_number(json, "term", rows, row, COL_TERM);
    sb_json_add_bool(json, "is_told", cp_rows_bool(rows, row, COL_IS_TOLD));
    sb_json_close_object(json);
}

static const char *const titles[] = {"id",           "at",      "kind",    "severity",
                                     "subject_kind", "subject", "text",    "detail",
                                     "revision",     "term",    "is_told", NULL};

static void put_csv(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                    struct sb_arena *arena)
{
    (void)arena;
    cp_cell_put_number(csv, rows, row, COL_ID);
    cp_cell_put_time(csv, rows, row, COL_AT);
    cp_cell_put_text(csv, rows, row, COL_KIND);
    cp_csv_text(csv, severity_of(rows, row));
    cp_cell_put_text(csv, rows, row, COL_SUBJECT_KIND);
    cp_cell_put_text(csv, rows, row, COL_SUBJECT);
    cp_cell_put_text(csv, rows, row, COL_TEXT);
    cp_cell_put_text(csv, rows, row, COL_DETAIL);
    cp_cell_put_number(csv, rows, row, COL_REVISION);
    cp_cell_put_number(csv, rows, row, COL_TERM);
    cp_csv_text(csv, sb_slice_of(cp_rows_bool(rows, row, COL_IS_TOLD) ? "true" : "false"));
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

/* One or several, with commas between; each must be one of ours, since a typing
 * error would look like peace. */
static struct cp_param filter_kinds(struct cp_call *call)
{
    static const char *const events[] = {
#define X(name, text) text,
        CP_EVENT_MAP(X)
#undef X
            NULL};
    struct sb_slice text = cp_call_param(call, "kind"), left = text;

    if (text.p == NULL)
        return CP_P_NULL;
    while (left.n > 0) {
        size_t n = sb_slice_find(left, ',');
        struct sb_slice word = sb_slice_make(left.p, n);

        if (cp_event_parse(word) < 0)
            cp_filter_complain(call, "kind", word, events);
        left = sb_slice_from(left, n < left.n ? n + 1 : n);
    }
    return CP_P_TEXT(text);
}

/* One of the choices of the route. */
static struct cp_param filter_severity(struct cp_call *call)
{
    struct sb_slice text = cp_call_param(call, "severity");

    return text.p != NULL ? CP_P_I64(cp_severity_parse(text)) : CP_P_NULL;
}

int cp_serve_events(struct cp_call *call)
{
    struct cp_param filters[N_FILTERS] = {
        cp_filter_time(call, "from"),
        cp_filter_time(call, "to"),
        filter_kinds(call),
        filter_severity(call),
        cp_filter_kind(call, "subject_kind"),
        cp_filter_text(call, "subject"),
    };

    return cp_view_reply(call, &view, filters);
}
