/* controlplane/admin/view.c */
#include "controlplane/admin/view.h"

#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/csv.h"

enum {
    PAGE = 100,
    /* Rows of a stream at once: the first ones soon, later ones with less work
     * for the planner, which looks at every partition anew. */
    STREAMED_FIRST = 500,
    STREAMED_MOST = 4000,
    LINES_MAX = 64 << 20,
    ARENA_BYTES = 16 * 1024,
};

enum format { FORMAT_JSON, FORMAT_CSV, FORMAT_NDJSON };
const char *const cp_view_formats[] = {"json", "csv", "ndjson", NULL};

/* Where a list is, between two pages; in the call's arena. */
struct reading {
    const struct cp_view *view;
    struct cp_stores *stores;
    struct sb_arena *arena;
    struct cp_param params[CP_VIEW_PARAMS_MAX];
    enum format format;
    uint64_t left; /* rows that are still wanted */
    uint64_t at_once;
    bool is_over;
    /* The cursor's texts, of the page before and of the next one. */
    struct sb_arena *page_arena;
};

static void release_reading(void *ctx)
{
    struct reading *reading = ctx;

    sb_arena_destroy(&reading->page_arena);
}

static int fetch(struct reading *reading, struct cp_store *store, uint64_t limit,
                 struct cp_rows **ret_rows, struct sb_errmsg *err)
{
    const struct cp_view *view = reading->view;
    size_t n = view->n_filters + view->n_cursor;
    struct msg_version head;
    int rc = cp_store_head(store, &head); /* connects again when it must */

    reading->params[n] = CP_P_I64(limit);
    if (rc == SB_OK)
        rc = cp_db_query(cp_store_db(store), view->sql, reading->params, n + 1, ret_rows);
    return rc == SB_OK ? rc : cp_stores_failure(store, rc, err);
}

/* --- a page ------------------------------------------------------------------------- */

static int reply_page(struct cp_call *call, struct reading *reading)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_slice cursor = SB_SLICE_NONE;
    struct sb_json json;
    size_t n;
    int rc = cp_call_store(call);

    if (rc == SB_OK)
        rc = fetch(reading, call->store, reading->left + 1, &rows, &call->err);
    if (rc != SB_OK)
        return rc;
    n = cp_rows_count(rows);
    if (n > reading->left) {
        n = reading->left;
        cursor = reading->view->cursor(rows, n - 1, call->arena);
    }
    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_array(&json, "data");
    for (size_t i = 0; i < n; i++)
        reading->view->put_json(&json, rows, i);
    sb_json_close_array(&json);
    if (cursor.n > 0)
        sb_json_add_text(&json, "next_cursor", cursor);
    else
        sb_json_add_null(&json, "next_cursor");
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}

/* --- a stream --------------------------------------------------------------------------- */

static int put_line(struct reading *reading, const struct cp_rows *rows, size_t row,
                    struct sb_arena *arena, struct sb_buf *out)
{
    struct sb_json json;
    struct cp_csv csv;
    int rc;

    if (reading->format == FORMAT_CSV) {
        cp_csv_init(&csv, out);
        reading->view->put_csv(&csv, rows, row, arena);
        return cp_csv_end(&csv);
    }
    sb_json_init(&json, out);
    reading->view->put_json(&json, rows, row);
    rc = sb_json_end(&json);
    return rc == SB_OK ? sb_buf_append_byte(out, '\n') : rc;
}

static int put_lines(struct reading *reading, const struct cp_rows *rows, struct sb_buf *out)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ARENA_BYTES);
    size_t n = cp_rows_count(rows);
    int rc = SB_OK;

    for (size_t i = 0; rc == SB_OK && i < n; i++)
        rc = put_line(reading, rows, i, arena, out);
    return rc;
}

/* Remembers where the next page begins: in an arena of its own, that of the page
 * before goes. */
static int advance(struct reading *reading, const struct cp_rows *rows)
{
    struct sb_arena *fresh = sb_arena_new(1024);
    struct sb_slice cursor = reading->view->cursor(rows, cp_rows_count(rows) - 1, fresh);
    int rc = reading->view->read_cursor(cursor, reading->params + reading->view->n_filters);

    sb_arena_destroy(&reading->page_arena);
    reading->page_arena = fresh;
    return rc;
}

static int read_on(struct reading *reading, struct sb_buf *out, struct sb_errmsg *err)
{
    uint64_t limit = reading->left < reading->at_once ? reading->left : reading->at_once;
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_store *store = NULL;
    size_t n;
    int rc = cp_stores_take(reading->stores, &store, err);

    if (rc == SB_OK)
        rc = fetch(reading, store, limit, &rows, err);
    cp_stores_give(reading->stores, &store);
    if (rc != SB_OK)
        return rc;
    n = cp_rows_count(rows);
    reading->left -= n;
    reading->at_once = 2 * limit < STREAMED_MOST ? 2 * limit : STREAMED_MOST;
    reading->is_over = n < limit || reading->left == 0;
    if (n > 0)
        rc = put_lines(reading, rows, out);
    if (rc == SB_OK && !reading->is_over)
        rc = advance(reading, rows);
    return rc;
}

static int on_more(void *ctx, struct sb_buf *out)
{
    struct reading *reading = ctx;
    size_t before = sb_buf_len(out);
    struct sb_errmsg err = {.text = ""};
    int rc = SB_EEOF;

    if (reading->is_over)
        return SB_EEOF;
    rc = read_on(reading, out, &err);
    if (rc != SB_OK) {
        sb_log_warn(ADMIN, "cannot go on with a stream code=%s: %s", sb_err_name(rc), err.text);
        return rc;
    }
    return sb_buf_len(out) > before ? SB_OK : SB_EEOF;
}

static int put_titles(const struct cp_view *view, struct sb_buf *out)
{
    struct cp_csv csv;

    cp_csv_init(&csv, out);
    for (const char *const *title = view->titles; *title != NULL; title++)
        cp_csv_text(&csv, sb_slice_of(*title));
    return cp_csv_end(&csv);
}

/* The first page is read before the status goes out, so that what does not work
 * at all is told as an error. */
static int reply_stream(struct cp_call *call, struct reading *reading)
{
    struct cp_http_reply *reply = call->reply;
    bool is_csv = reading->format == FORMAT_CSV;
    int rc = SB_OK;

    if (is_csv)
        rc = put_titles(reading->view, &reply->body);
    if (rc == SB_OK)
        rc = read_on(reading, &reply->body, &call->err);
    if (rc != SB_OK)
        return rc;
    reply->status = 200;
    reply->content_type = is_csv ? "text/csv; charset=utf-8" : "application/x-ndjson";
    reply->more = on_more;
    reply->more_ctx = reading;
    return SB_OK;
}

/* --- both ----------------------------------------------------------------------------------- */

static enum format read_format(struct cp_call *call)
{
    struct sb_slice name = cp_call_param(call, "format");

    if (name.p == NULL)
        return FORMAT_JSON;
    for (int i = 0; cp_view_formats[i] != NULL; i++) {
        if (sb_slice_is(name, cp_view_formats[i]))
            return (enum format)i;
    }
    return FORMAT_JSON; /* a problem, as it is none of the route's choices */
}

int cp_view_reply(struct cp_call *call, const struct cp_view *view, const struct cp_param *filters)
{
    struct reading *reading = sb_arena_alloc(call->arena, sizeof(*reading));
    bool is_page;
    int rc;

    SB_BUG_ON(view->n_filters + view->n_cursor >= CP_VIEW_PARAMS_MAX);
    reading->view = view;
    reading->stores = call->world->stores;
    reading->at_once = STREAMED_FIRST;
    memcpy(reading->params, filters, view->n_filters * sizeof(*filters));
    reading->format = read_format(call);
    is_page = reading->format == FORMAT_JSON;
    reading->left = cp_call_number(call, "limit", 1, is_page ? CP_LIMIT_MAX : INT64_MAX,
                                   is_page ? PAGE : INT64_MAX);
    sb_arena_on_destroy(call->arena, release_reading, reading);
    if (view->read_cursor(cp_call_param(call, "cursor"), reading->params + view->n_filters) !=
        SB_OK)
        cp_problems_add(&call->problems, SB_SLICE_LIT("cursor"), 0, "is not one of ours");
    rc = cp_call_check(call);
    if (rc != SB_OK)
        return rc;
    return is_page ? reply_page(call, reading) : reply_stream(call, reading);
}
