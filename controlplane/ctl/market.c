/* controlplane/ctl/market.c */
#include "controlplane/ctl/market.h"

#include <math.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/mem.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/records.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"

enum { ARENA_FIRST = 256 * 1024, DIALECTS_MAX = 16 };

/* --- the catalogue ------------------------------------------------------------------ */

/* All that the file names: it was checked by the same list that workers speak. */
static void list_dialects(const struct msg_snapshot *records, struct sb_arena *arena,
                          const char *ret_names[DIALECTS_MAX + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < records->n_providers && n < DIALECTS_MAX; i++) {
        struct sb_slice dialect = records->providers[i].dialect;
        size_t at = 0;

        while (at < n && !sb_slice_is(dialect, ret_names[at]))
            at++;
        if (at == n)
            ret_names[n++] = sb_arena_dup(arena, dialect).p;
    }
    ret_names[n] = NULL;
}

static int build(struct sb_slice catalogue, enum cp_doc_format format, struct sb_arena **arena,
                 struct cp_problems *problems, struct dp_snapshot **ret_snapshot)
{
    const char *dialects[DIALECTS_MAX + 1];
    const struct dp_view_options options = {.dialects = dialects};
    struct sb_errmsg err = {.text = ""};
    struct cp_catalog *catalog = NULL;
    struct msg_snapshot *records = NULL;
    int rc = cp_catalog_read(catalogue, format, *arena, problems, &catalog);

    if (rc == SB_OK && problems->n > 0)
        rc = SB_EINVAL;
    if (rc == SB_OK)
        rc = cp_records_make(catalog, *arena, problems, &records);
    if (rc != SB_OK)
        return rc;
    list_dialects(records, *arena, dialects);
    rc = dp_snapshot_build(arena, records, &options, ret_snapshot, &err);
    if (rc == SB_EINVAL)
        cp_problems_add(problems, SB_SLICE_NONE, 0, "%s", err.text);
    return rc;
}

int ctl_market_new(struct sb_slice catalogue, enum cp_doc_format format,
                   struct cp_problems *problems, struct ctl_market **ret_market)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ARENA_FIRST);
    struct dp_snapshot *snapshot = NULL;
    int rc = build(catalogue, format, &arena, problems, &snapshot);

    if (rc != SB_OK)
        return rc;
    *ret_market = sb_mem_new(sizeof(**ret_market));
    (*ret_market)->snapshot = snapshot;
    (*ret_market)->tables = dp_tables_new();
    return SB_OK;
}

void ctl_market_destroy(struct ctl_market **market)
{
    if (*market == NULL)
        return;
    dp_snapshot_unref(&(*market)->snapshot);
    dp_tables_destroy(&(*market)->tables);
    sb_mem_free(*market);
    *market = NULL;
}

/* --- what is measured ----------------------------------------------------------------- */

struct measuring {
    struct ctl_market *market;
    struct cp_problems *problems;
    struct msg_table_row *rows; /* as the snapshot's endpoints */
    struct sb_json_path path;
};

static void problem(struct measuring *measuring, const char *text)
{
    cp_problems_add(measuring->problems, sb_slice_make(measuring->path.text, measuring->path.n), 0,
                    "%s", text);
}

/* {p50, p75, p90, p99}, or null; unit: parts that the wire counts in. */
static void read_percentiles(struct measuring *measuring, yyjson_val *row, const char *name,
                             double unit, uint32_t ret_values[MSG_PERCENTILES])
{
    static const char *const names[MSG_PERCENTILES] = {"p50", "p75", "p90", "p99"};
    yyjson_val *list = yyjson_obj_get(row, name);
    size_t back = sb_json_path_member(&measuring->path, sb_slice_of(name)), inner;

    if (list != NULL && !yyjson_is_null(list) && !yyjson_is_obj(list))
        problem(measuring, "must be {p50, p75, p90, p99}, or null");
    for (int i = 0; i < MSG_PERCENTILES; i++) {
        yyjson_val *one = yyjson_obj_get(list, names[i]);
        double value = yyjson_get_num(one) * unit;

        if (one == NULL || yyjson_is_null(one))
            continue;
        inner = sb_json_path_member(&measuring->path, sb_slice_of(names[i]));
        if (!yyjson_is_num(one) || !(value >= 0) || value >= MSG_NO_DATA)
            problem(measuring, "must be a number from 0");
        else
            ret_values[i] = (uint32_t)lround(value);
        sb_json_path_back(&measuring->path, inner);
    }
    sb_json_path_back(&measuring->path, back);
}

/* NULL: the catalogue has none of that name. */
static const struct dp_endpoint *find(const struct dp_snapshot *snapshot, struct sb_slice model,
                                      struct sb_slice tag)
{
    const struct dp_model *found = dp_snapshot_find_model(snapshot, model);

    for (uint32_t i = 0; found != NULL && i < found->n; i++) {
        const struct dp_endpoint *one = &dp_model_endpoints(snapshot, found)[i];

        if (sb_slice_eq(one->row->tag, tag))
            return one;
    }
    return NULL;
}

static void read_row(struct measuring *measuring, yyjson_val *row)
{
    struct ctl_market *market = measuring->market;
    struct sb_slice model = sb_json_text(yyjson_obj_get(row, "model"));
    struct sb_slice tag = sb_json_text(yyjson_obj_get(row, "tag"));
    const struct dp_endpoint *endpoint;
    struct msg_table_row *to;

    if (model.n == 0 || tag.n == 0) {
        problem(measuring, "must name a model and a tag, as a row of `tables -o json` does");
        return;
    }
    endpoint = find(market->snapshot, model, tag);
    if (endpoint == NULL) {
        market->n_unknown++;
        return;
    }
    to = &measuring->rows[endpoint->number];
    read_percentiles(measuring, row, "latency_ms", 1, to->first_token);
    read_percentiles(measuring, row, "throughput", 1000, to->throughput);
}

/* A list of rows, or a page of the admin API. */
static void read_rows(struct measuring *measuring, yyjson_val *root)
{
    yyjson_val *list = yyjson_is_obj(root) ? yyjson_obj_get(root, "data") : root, *row;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    size_t at = 0;

    if (!yyjson_is_arr(list))
        problem(measuring, "must be a list of rows, as `switchboardctl tables -o json` prints it");
    while ((row = yyjson_arr_iter_next(&iter)) != NULL) {
        size_t back = sb_json_path_index(&measuring->path, at++);

        read_row(measuring, row);
        sb_json_path_back(&measuring->path, back);
    }
}

/* YAML or JSON, as a document. */
static int read_measured(struct measuring *measuring, struct sb_slice text)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ARENA_FIRST);
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    struct sb_errmsg err = {.text = ""};
    struct cp_node *root = NULL;
    struct sb_json json;
    int rc;

    sb_buf_init(&buf, CP_DOC_BYTES_MAX);
    rc = cp_doc_read(text, CP_DOC_AUTO, arena, &root, &err);
    if (rc != SB_OK) {
        cp_problems_add(measuring->problems, SB_SLICE_NONE, 0, "%s", err.text);
        return SB_EINVAL;
    }
    sb_json_init(&json, &buf);
    cp_node_write(root, &json);
    rc = sb_json_end(&json);
    if (rc == SB_OK)
        rc = sb_json_read(sb_buf_slice(&buf), CP_DOC_BYTES_MAX, &doc, &err);
    if (rc == SB_OK)
        read_rows(measuring, yyjson_doc_get_root(doc));
    return rc;
}

int ctl_market_measure(struct ctl_market *market, struct sb_slice measured, uint32_t completion,
                       struct cp_problems *problems)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ARENA_FIRST);
    const struct dp_snapshot *snapshot = market->snapshot;
    size_t n = snapshot->records->n_endpoints;
    struct measuring measuring = {.market = market, .problems = problems};
    struct msg_tables message = {.epoch = 1, .term = 1, .sequence = 1, .complete = true};
    int rc = SB_OK;

    measuring.rows = sb_arena_try(arena, n * sizeof(*measuring.rows) + 1);
    if (measuring.rows == NULL)
        return SB_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        measuring.rows[i] = (struct msg_table_row){.endpoint = snapshot->endpoints[i].row->id,
                                                   .samples = 1,
                                                   .uptime = MSG_NO_DATA,
                                                   .mean_completion = completion};
        memset(measuring.rows[i].first_token, 0xff, sizeof(measuring.rows[i].first_token));
        memset(measuring.rows[i].throughput, 0xff, sizeof(measuring.rows[i].throughput));
        memset(measuring.rows[i].first_token_half_hour, 0xff,
               sizeof(measuring.rows[i].first_token_half_hour));
        memset(measuring.rows[i].throughput_half_hour, 0xff,
               sizeof(measuring.rows[i].throughput_half_hour));
    }
    sb_json_path_init(&measuring.path);
    if (measured.n > 0)
        rc = read_measured(&measuring, measured);
    if (rc == SB_OK && problems->n > 0)
        rc = SB_EINVAL;
    if (rc != SB_OK)
        return rc;
    message.rows = measuring.rows;
    message.n_rows = n;
    return dp_tables_apply(market->tables, &message, CTL_MARKET_NOW);
}
