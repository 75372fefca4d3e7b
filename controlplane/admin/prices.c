/* controlplane/admin/prices.c - GET prices: what every endpoint cost, and was said
 * to cost. */
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/cell.h"
#include "controlplane/admin/csv.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/view.h"

enum column { COL_AT, COL_ENDPOINT, COL_REVISION, COL_AUTHOR, COL_VERDICT, COL_BEFORE, COL_AFTER };

static const char sql[] =
    "SELECT at, endpoint, revision, author, verdict, before::text, after::text FROM price_history"
    " WHERE ($1::timestamptz IS NULL OR at >= $1)"
    " AND ($2::timestamptz IS NULL OR at < $2)"
    " AND ($3::text IS NULL OR endpoint = $3)"
    " AND ($4::text IS NULL OR verdict = $4)"
    " AND ($5::timestamptz IS NULL OR (at, endpoint) < ($5, $6::text COLLATE \"C\"))"
    " ORDER BY at DESC, endpoint DESC LIMIT $7";
enum { N_FILTERS = 4, N_CURSOR = 2 };

static struct sb_slice make_cursor(const struct cp_rows *rows, size_t row, struct sb_arena *arena)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = cp_cell_time(rows, row, COL_AT, at);

    return sb_arena_printf(arena, "%.*s~%.*s", (int)n, at,
                           SB_SLICE_ARGS(cp_rows_bytes(rows, row, COL_ENDPOINT)));
}

static int read_cursor(struct sb_slice cursor, struct cp_param *params)
{
    struct sb_slice at = cp_cell_take_part(&cursor);

    params[0] = params[1] = CP_P_NULL;
    if (at.n == 0)
        return SB_OK;
    if (cursor.p == NULL || !cp_cell_read_time(at, &params[0]))
        return SB_EINVAL;
    params[1] = CP_P_TEXT(cursor);
    return SB_OK;
}

static void put_json(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    sb_json_open_object(json);
    cp_cell_add_time(json, "at", rows, row, COL_AT);
    cp_cell_add_text(json, "endpoint", rows, row, COL_ENDPOINT);
    cp_cell_add_number(json, "revision", rows, row, COL_REVISION);
    cp_cell_add_text(json, "author", rows, row, COL_AUTHOR);
    cp_cell_add_text(json, "verdict", rows, row, COL_VERDICT);
    cp_cell_add_raw(json, "before", rows, row, COL_BEFORE);
    cp_cell_add_raw(json, "after", rows, row, COL_AFTER);
    sb_json_close_object(json);
}

static const char *const titles[] = {"at",      "endpoint", "revision", "author",
                                     "verdict", "before",   "after",    NULL};

static void put_csv(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                    struct sb_arena *arena)
{
    (void)arena;
    cp_cell_put_time(csv, rows, row, COL_AT);
    cp_cell_put_text(csv, rows, row, COL_ENDPOINT);
    cp_cell_put_number(csv, rows, row, COL_REVISION);
    cp_cell_put_text(csv, rows, row, COL_AUTHOR);
    cp_cell_put_text(csv, rows, row, COL_VERDICT);
    cp_cell_put_text(csv, rows, row, COL_BEFORE);
    cp_cell_put_text(csv, rows, row, COL_AFTER);
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

int cp_serve_prices(struct cp_call *call)
{
    const struct cp_param filters[N_FILTERS] = {
        cp_filter_time(call, "from"),
        cp_filter_time(call, "to"),
        cp_filter_text(call, "endpoint"),
        cp_filter_text(call, "verdict"),
    };

    return cp_view_reply(call, &view, filters);
}
