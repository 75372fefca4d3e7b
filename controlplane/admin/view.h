/* controlplane/admin/view.h - a long list out of the database, in pages or as a
 * stream.
 *
 * JSON comes in pages with a cursor.  CSV and NDJSON are streamed whole: page
 * after page is read, written and forgotten, each by a query of its own that
 * begins where the last one ended, so that neither memory nor a transaction
 * grows with the list.
 */
#pragma once

#include <stddef.h>

#include "common/attr.h"
#include "common/json.h"
#include "common/slice.h"
#include "controlplane/db.h"

struct cp_call;
struct cp_csv;

struct cp_view {
    /* Its parameters are the filters, then those of the cursor, then the limit.
     * Newest first. */
    const char *sql;
    size_t n_filters, n_cursor;
    /* How many texts of a cursor name a place; reads them into parameters, all
     * NULL for the beginning.  SB_EINVAL: not one of ours. */
    int (*read_cursor)(struct sb_slice cursor, struct cp_param *params);
    /* The place after a row; in arena. */
    struct sb_slice (*cursor)(const struct cp_rows *rows, size_t row, struct sb_arena *arena);
    const char *const *titles; /* of the columns of CSV; NULL at the end */
    /* One row, as an object or as the values of a line. */
    void (*put_json)(struct sb_json *json, const struct cp_rows *rows, size_t row);
    void (*put_csv)(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                    struct sb_arena *arena);
};

enum { CP_VIEW_PARAMS_MAX = CP_DB_PARAMS_MAX };

/* Replies with the rows: ?format=json|csv|ndjson, ?limit, ?cursor.  filters:
 * view->n_filters of them, their texts in the call's arena. */
int cp_view_reply(struct cp_call *call, const struct cp_view *view,
                  const struct cp_param *filters) SB_MUSTCHECK;

extern const char *const cp_view_formats[]; /* NULL at the end */
