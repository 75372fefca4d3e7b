/* controlplane/admin/tables.c - GET tables: each endpoint of the catalogue with
 * what is measured of it right now. */
#include <stdlib.h>

#include "common/check.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"

enum column { COL_ID, COL_NAME, COL_MODEL, COL_PROVIDER, COL_TAG, COL_REGION, COL_PRICING };

static const char sql[] =
    "SELECT (extra ->> 'id')::bigint, name, object ->> 'model', object ->> 'provider',"
    " object ->> 'tag', object ->> 'region', (object -> 'pricing')::text"
    " FROM endpoint_objects"
    " WHERE name > $1 AND ($2::text IS NULL OR object ->> 'model' = $2)"
    " AND ($3::text IS NULL OR object ->> 'provider' = $3)"
    " ORDER BY name LIMIT $4";

/* What is measured, by id. */
struct measured {
    int64_t id;
    yyjson_val *row;
};

static int by_id(const void *a, const void *b)
{
    int64_t x = ((const struct measured *)a)->id, y = ((const struct measured *)b)->id;

    return x < y ? -1 : x > y;
}

static struct measured *sort_rows(struct cp_call *call, yyjson_val *list, size_t *ret_n)
{
    struct measured *sorted =
        sb_arena_alloc(call->arena, (yyjson_arr_size(list) + 1) * sizeof(*sorted));
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *row;
    size_t n = 0;

    while ((row = yyjson_arr_iter_next(&iter)) != NULL)
        sorted[n++] = (struct measured){.id = yyjson_get_sint(yyjson_obj_get(row, "endpoint_id")),
                                        .row = row};
    qsort(sorted, n, sizeof(*sorted), by_id);
    *ret_n = n;
    return sorted;
}

static void add_text(struct sb_json *json, const char *name, const struct cp_rows *rows, size_t row,
                     enum column column)
{
    if (cp_rows_is_null(rows, row, (int)column))
        sb_json_add_null(json, name);
    else
        sb_json_add_text(json, name, cp_rows_bytes(rows, row, (int)column));
}

static void add_measured(struct sb_json *json, yyjson_val *row)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(row);
    yyjson_val *name;

    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        if (sb_slice_is(sb_json_text(name), "endpoint_id"))
            continue;
        sb_json_name(json, sb_json_text(name));
        sb_json_put_value(json, yyjson_obj_iter_get_val(name));
    }
}

static void put_endpoint(struct sb_json *json, const struct cp_rows *rows, size_t row,
                         const struct measured *measured)
{
    sb_json_open_object(json);
    sb_json_add_i64(json, "endpoint_id", cp_rows_i64(rows, row, COL_ID));
    add_text(json, "endpoint", rows, row, COL_NAME);
    add_text(json, "model", rows, row, COL_MODEL);
    add_text(json, "provider", rows, row, COL_PROVIDER);
    add_text(json, "tag", rows, row, COL_TAG);
    add_text(json, "region", rows, row, COL_REGION);
    sb_json_add_raw(json, "pricing",
                    cp_rows_is_null(rows, row, COL_PRICING)
                        ? SB_SLICE_LIT("{}")
                        : cp_rows_bytes(rows, row, COL_PRICING));
    sb_json_add_array(json, "sources"); /* probes and price lists will be others */
    if (measured != NULL)
        sb_json_put_text(json, SB_SLICE_LIT("traffic"));
    sb_json_close_array(json);
    if (measured != NULL) {
        add_measured(json, measured->row);
    } else {
        sb_json_add_text(json, "health", SB_SLICE_LIT("no_data"));
        sb_json_add_u64(json, "samples", 0);
    }
    sb_json_close_object(json);
}

static int reply(struct cp_call *call, struct cp_page *page, const struct cp_rows *rows,
                 yyjson_val *list)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    size_t n = cp_rows_count(rows), n_measured;
    const struct measured *sorted = sort_rows(call, list, &n_measured);
    struct sb_json json;
    int rc;

    sb_buf_init(&out, CP_HTTP_ANSWER_MAX);
    page->cursor[0] = '\0';
    if (n > page->limit) {
        n = page->limit;
        if (SB_NEVER(!sb_slice_copy_text(cp_rows_bytes(rows, n - 1, COL_NAME), page->cursor,
                                         sizeof(page->cursor))))
            return SB_ETOOBIG;
    }
    sb_json_init(&json, &out);
    sb_json_open_array(&json);
    for (size_t i = 0; i < n; i++) {
        struct measured wanted = {.id = cp_rows_i64(rows, i, COL_ID)};

        put_endpoint(
            &json, rows, i,
            n_measured == 0 ? NULL : bsearch(&wanted, sorted, n_measured, sizeof(*sorted), by_id));
    }
    sb_json_close_array(&json);
    rc = sb_json_end(&json);
    return rc == SB_OK ? cp_call_reply_list(call, sb_buf_slice(&out), page->cursor) : rc;
}

int cp_serve_tables(struct cp_call *call)
{
    const struct cp_admin_live *live = &call->world->live;
    SB_CLEANUP(sb_buf_release) struct sb_buf measured;
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_param params[4];
    struct msg_version head;
    struct cp_page page;
    int rc;

    sb_buf_init(&measured, CP_HTTP_ANSWER_MAX);
    rc = cp_call_page(call, &page);
    if (rc == SB_OK)
        rc = live->tables != NULL ? live->tables(live->ctx, &measured, &call->err) : SB_EAGAIN;
    if (rc == SB_OK)
        rc = sb_json_read(sb_buf_slice(&measured), CP_HTTP_ANSWER_MAX, &doc, &call->err);
    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK) /* also connects again when it must */
        rc = cp_store_head(call->store, &head);
    if (rc != SB_OK)
        return rc;
    params[0] = CP_P_STR(page.cursor);
    params[1] = cp_filter_text(call, "model");
    params[2] = cp_filter_text(call, "provider");
    params[3] = CP_P_I64(page.limit + 1);
    rc = cp_db_query(cp_store_db(call->store), sql, params, SB_ARRAY_LEN(params), &rows);
    return rc == SB_OK ? reply(call, &page, rows, yyjson_doc_get_root(doc))
                       : cp_stores_failure(call->store, rc, &call->err);
}
