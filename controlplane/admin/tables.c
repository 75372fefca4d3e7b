/* controlplane/admin/tables.c - GET tables: each endpoint of the catalogue with
 * what is measured of it right now. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/check.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"

enum column {
    COL_ID,
    COL_NAME,
    COL_MODEL,
    COL_PROVIDER,
    COL_TAG,
    COL_REGION,
    COL_PRICING,
    COL_MODEL_ID,
    COL_EXPIRING,
    COL_EXPIRES_ON,
};

/* With the evidence that ends within 30 days, or has ended: what the endpoint
 * says itself, or else its provider, and of the model. */
static const char sql[] =
    "SELECT e.id, e.name, m.model, p.slug, e.tag, e.region, (o.object -> 'pricing')::text,"
    " e.model_id, x.list::text, x.list -> 0 ->> 'expires_on'"
    " FROM endpoints e JOIN models m ON m.id = e.model_id JOIN providers p ON p.id = e.provider_id"
    " JOIN endpoint_objects o ON o.name = e.name"
    " CROSS JOIN LATERAL (SELECT jsonb_agg(jsonb_build_object('claim', c.claim,"
    "   'expires_on', (c.held).expires_on,"
    "   'is_expired', (c.held).expires_on < (now() AT TIME ZONE 'UTC')::date)"
    "   ORDER BY (c.held).expires_on, c.claim) AS list"
    "  FROM (VALUES ('eu_resident', e.eu_resident), ('zdr', coalesce(e.zdr, p.zdr)),"
    "   ('no_training', coalesce(e.no_training, p.no_training)),"
    "   ('distillable', m.distillable)) AS c (claim, held)"
    "  WHERE (c.held).value = 'yes'"
    "  AND (c.held).expires_on <= (now() AT TIME ZONE 'UTC')::date + 30) x"
    " WHERE e.name > $1 AND ($2::text IS NULL OR m.model = $2)"
    " AND ($3::text IS NULL OR p.slug = $3)"
    " ORDER BY e.name LIMIT $4";

/* All endpoints of the models of a page: a share of the traffic is one of the
 * model's. */
static const char siblings_sql[] =
    "SELECT id, model_id FROM endpoints WHERE model_id = ANY ($1::bigint[]) ORDER BY id";

struct sibling {
    int64_t id, model;
    yyjson_val *row; /* what is measured; NULL: nothing */
    uint64_t samples;
};

/* One page while it is made. */
struct tables_page {
    struct cp_page page;
    struct cp_rows *rows;
    size_t n;                 /* of them */
    struct sibling *siblings; /* by id */
    size_t n_siblings;
};

static int by_id(const void *a, const void *b)
{
    int64_t x = ((const struct sibling *)a)->id, y = ((const struct sibling *)b)->id;

    return x < y ? -1 : x > y;
}

static struct sibling *find_sibling(const struct tables_page *page, int64_t id)
{
    struct sibling wanted = {.id = id};

    return page->n_siblings == 0
               ? NULL
               : bsearch(&wanted, page->siblings, page->n_siblings, sizeof(wanted), by_id);
}

/* --- reading ------------------------------------------------------------------------- */

static int read_page(struct cp_call *call, struct tables_page *page)
{
    struct cp_param params[] = {CP_P_STR(page->page.cursor), cp_filter_text(call, "model"),
                                cp_filter_text(call, "provider"), CP_P_I64(page->page.limit + 1)};
    int rc = cp_db_query(cp_store_db(call->store), sql, params, SB_ARRAY_LEN(params), &page->rows);

    if (rc != SB_OK)
        return cp_stores_failure(call->store, rc, &call->err);
    page->n = cp_rows_count(page->rows);
    page->page.cursor[0] = '\0';
    if (page->n > page->page.limit) {
        page->n = page->page.limit;
        if (SB_NEVER(!sb_slice_copy_text(cp_rows_bytes(page->rows, page->n - 1, COL_NAME),
                                         page->page.cursor, sizeof(page->page.cursor))))
            return SB_ETOOBIG;
    }
    return SB_OK;
}

static int read_siblings(struct cp_call *call, struct tables_page *page)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf models;
    int rc;

    sb_buf_init(&models, CP_HTTP_ANSWER_MAX);
    rc = sb_buf_append_byte(&models, '{');
    for (size_t i = 0; rc == SB_OK && i < page->n; i++)
        rc = sb_buf_printf(&models, "%s%" PRId64, i > 0 ? "," : "",
                           cp_rows_i64(page->rows, i, COL_MODEL_ID));
    if (rc == SB_OK)
        rc = sb_buf_append_byte(&models, '}');
    if (rc != SB_OK)
        return rc;
    rc = cp_db_query(cp_store_db(call->store), siblings_sql,
                     CP_PARAMS(CP_P_TEXT(sb_buf_slice(&models))), &rows);
    if (rc != SB_OK)
        return cp_stores_failure(call->store, rc, &call->err);
    page->n_siblings = cp_rows_count(rows);
    page->siblings = sb_arena_alloc(call->arena, (page->n_siblings + 1) * sizeof(*page->siblings));
    for (size_t i = 0; i < page->n_siblings; i++)
        page->siblings[i] =
            (struct sibling){.id = cp_rows_i64(rows, i, 0), .model = cp_rows_i64(rows, i, 1)};
    return SB_OK;
}

/* What is measured of the siblings. */
static int ask(struct cp_call *call, struct tables_page *page, yyjson_doc **ret_doc)
{
    const struct cp_admin_live *live = &call->world->live;
    SB_CLEANUP(sb_buf_release) struct sb_buf measured;
    uint64_t *ids = sb_arena_alloc(call->arena, (page->n_siblings + 1) * sizeof(*ids));
    yyjson_arr_iter iter;
    yyjson_val *row;
    int rc;

    sb_buf_init(&measured, CP_HTTP_ANSWER_MAX);
    for (size_t i = 0; i < page->n_siblings; i++)
        ids[i] = (uint64_t)page->siblings[i].id;
    rc = live->tables != NULL
             ? live->tables(live->ctx, ids, page->n_siblings, &measured, &call->err)
             : SB_EAGAIN;
    if (rc == SB_OK)
        rc = sb_json_read(sb_buf_slice(&measured), CP_HTTP_ANSWER_MAX, ret_doc, &call->err);
    if (rc != SB_OK)
        return rc;
    iter = yyjson_arr_iter_with(yyjson_doc_get_root(*ret_doc));
    while ((row = yyjson_arr_iter_next(&iter)) != NULL) {
        struct sibling *one =
            find_sibling(page, yyjson_get_sint(yyjson_obj_get(row, "endpoint_id")));

        if (one == NULL)
            continue;
        one->row = row;
        one->samples = yyjson_get_uint(yyjson_obj_get(row, "samples"));
    }
    return SB_OK;
}

/* --- writing --------------------------------------------------------------------------- */

static void add_text(struct sb_json *json, const char *name, const struct cp_rows *rows, size_t row,
                     enum column column)
{
    if (cp_rows_is_null(rows, row, (int)column))
        sb_json_add_null(json, name);
    else
        sb_json_add_text(json, name, cp_rows_bytes(rows, row, (int)column));
}

static void add_raw(struct sb_json *json, const char *name, const struct cp_rows *rows, size_t row,
                    enum column column, const char *none)
{
    sb_json_add_raw(json, name,
                    cp_rows_is_null(rows, row, (int)column)
                        ? sb_slice_of(none)
                        : cp_rows_bytes(rows, row, (int)column));
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

/* Of the model's attempts in the last five minutes. */
static void add_share(struct sb_json *json, const struct tables_page *page, int64_t model,
                      uint64_t samples)
{
    uint64_t all = 0;

    for (size_t i = 0; i < page->n_siblings; i++)
        if (page->siblings[i].model == model)
            all += page->siblings[i].samples;
    if (all == 0)
        sb_json_add_null(json, "traffic_share");
    else
        sb_json_add_double(json, "traffic_share", (double)samples / (double)all);
}

static void put_endpoint(struct sb_json *json, const struct tables_page *page, size_t row)
{
    const struct cp_rows *rows = page->rows;
    const struct sibling *one = find_sibling(page, cp_rows_i64(rows, row, COL_ID));

    sb_json_open_object(json);
    sb_json_add_i64(json, "endpoint_id", cp_rows_i64(rows, row, COL_ID));
    add_text(json, "endpoint", rows, row, COL_NAME);
    add_text(json, "model", rows, row, COL_MODEL);
    add_text(json, "provider", rows, row, COL_PROVIDER);
    add_text(json, "tag", rows, row, COL_TAG);
    add_text(json, "region", rows, row, COL_REGION);
    add_raw(json, "pricing", rows, row, COL_PRICING, "{}");
    add_raw(json, "expiring", rows, row, COL_EXPIRING, "[]");
    add_text(json, "expires_on", rows, row, COL_EXPIRES_ON);
    add_share(json, page, cp_rows_i64(rows, row, COL_MODEL_ID), one != NULL ? one->samples : 0);
    if (one != NULL && one->row != NULL) {
        add_measured(json, one->row);
    } else {
        sb_json_add_text(json, "health", SB_SLICE_LIT("no_data"));
        sb_json_add_array(json, "sources");
        sb_json_close_array(json);
        sb_json_add_u64(json, "samples", 0);
    }
    sb_json_close_object(json);
}

static int reply(struct cp_call *call, const struct tables_page *page)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct sb_json json;
    int rc;

    sb_buf_init(&out, CP_HTTP_ANSWER_MAX);
    sb_json_init(&json, &out);
    sb_json_open_array(&json);
    for (size_t i = 0; i < page->n; i++)
        put_endpoint(&json, page, i);
    sb_json_close_array(&json);
    rc = sb_json_end(&json);
    return rc == SB_OK ? cp_call_reply_list(call, sb_buf_slice(&out), page->page.cursor) : rc;
}

static int serve(struct cp_call *call, struct tables_page *page)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct msg_version head;
    int rc = cp_call_page(call, &page->page);

    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK) /* also connects again when it must */
        rc = cp_store_head(call->store, &head);
    if (rc == SB_OK)
        rc = read_page(call, page);
    if (rc == SB_OK)
        rc = read_siblings(call, page);
    if (rc == SB_OK)
        rc = ask(call, page, &doc);
    return rc == SB_OK ? reply(call, page) : rc;
}

int cp_serve_tables(struct cp_call *call)
{
    struct tables_page page = {.n = 0};
    int rc = serve(call, &page);

    cp_rows_destroy(&page.rows);
    return rc;
}
