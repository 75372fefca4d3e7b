/* controlplane/admin/audit_actions.c - GET audit/actions: what administrators did
 * that is no revision, and what they were refused. */
#include <inttypes.h>

#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/csv.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/view.h"

enum column {
    COL_ID,
    COL_AT,
    COL_ACTION,
    COL_AUTHOR,
    COL_ROLE,
    COL_ADDRESS,
    COL_SUBJECT,
    COL_DETAIL,
};

static const char sql[] =
    "SELECT id, at, action, author, role, host(address), subject, detail::text"
    " FROM admin_actions"
    " WHERE ($1::timestamptz IS NULL OR at >= $1)"
    " AND ($2::timestamptz IS NULL OR at < $2)"
    " AND ($3::text IS NULL OR author = $3)"
    " AND ($4::text IS NULL OR role = $4)"
    " AND ($5::text IS NULL OR action = $5)"
    " AND ($6::text IS NULL OR subject = $6)"
    " AND ($7::inet IS NULL OR address <<= $7)"
    " AND ($8::bigint IS NULL OR id < $8)"
    " ORDER BY id DESC LIMIT $9";
enum { N_FILTERS = 7, N_CURSOR = 1 };

static struct sb_slice make_cursor(const struct cp_rows *rows, size_t row, struct sb_arena *arena)
{
    return sb_arena_printf(arena, "%" PRId64, cp_rows_i64(rows, row, COL_ID));
}

static int read_cursor(struct sb_slice cursor, struct cp_param *params)
{
    uint64_t number;

    params[0] = CP_P_NULL;
    if (cursor.n == 0)
        return SB_OK;
    if (!sb_num_read_u64(cursor, &number) || number > INT64_MAX)
        return SB_EINVAL;
    params[0] = CP_P_I64(number);
    return SB_OK;
}

static size_t format_time(const struct cp_rows *rows, size_t row, char text[SB_TIME_TEXT_MAX])
{
    return sb_time_format((sb_usec)cp_rows_usec(rows, row, COL_AT), 6, text);
}

static void put_json(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = format_time(rows, row, at);

    sb_json_open_object(json);
    sb_json_add_i64(json, "id", cp_rows_i64(rows, row, COL_ID));
    sb_json_add_text(json, "at", sb_slice_make(at, n));
    sb_json_add_text(json, "action", cp_rows_bytes(rows, row, COL_ACTION));
    sb_json_add_text(json, "author", cp_rows_bytes(rows, row, COL_AUTHOR));
    sb_json_add_text(json, "role", cp_rows_bytes(rows, row, COL_ROLE));
    if (cp_rows_is_null(rows, row, COL_ADDRESS))
        sb_json_add_null(json, "address");
    else
        sb_json_add_text(json, "address", cp_rows_bytes(rows, row, COL_ADDRESS));
    sb_json_add_text(json, "subject", cp_rows_bytes(rows, row, COL_SUBJECT));
    sb_json_add_raw(json, "detail", cp_rows_bytes(rows, row, COL_DETAIL));
    sb_json_close_object(json);
}

static const char *const titles[] = {"id",      "at",      "action", "author", "role",
                                     "address", "subject", "detail", NULL};

static void put_csv(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                    struct sb_arena *arena)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = format_time(rows, row, at);

    (void)arena;
    cp_csv_i64(csv, cp_rows_i64(rows, row, COL_ID));
    cp_csv_text(csv, sb_slice_make(at, n));
    for (int column = COL_ACTION; column <= COL_DETAIL; column++)
        cp_csv_text(csv, cp_rows_bytes(rows, row, column));
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

int cp_serve_audit_actions(struct cp_call *call)
{
    struct cp_param filters[N_FILTERS] = {
        cp_filter_time(call, "from"),      cp_filter_time(call, "to"),
        cp_filter_text(call, "author"),    cp_filter_text(call, "role"),
        cp_filter_text(call, "action"),    cp_filter_text(call, "subject"),
        cp_filter_network(call, "client"),
    };

    return cp_view_reply(call, &view, filters);
}
