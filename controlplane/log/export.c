/* controlplane/log/export.c */
#include "controlplane/log/export.h"

#include <inttypes.h>

#include "common/buf.h"
#include "common/canon.h"
#include "common/checkpoint.h"
#include "common/json.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/log/log_read.h"
#include "controlplane/log/log_tree.h"

/* A batch of the last second may be signed after midnight, and clocks differ. */
#define DAY_IS_OVER "now() >= ($1::date + 1)::timestamp AT TIME ZONE 'UTC' + interval '10 minutes'"

static int db_failed(struct cp_db *db, int rc, struct sb_errmsg *err)
{
    return sb_err_set(err, rc, "%s", cp_db_last_error(db)->text.text);
}

/* --- which leaves ----------------------------------------------------------------------- */

int cp_export_find(struct cp_db *db, int32_t day, struct cp_export *ret, struct sb_errmsg *err)
{
    static const char sql[] =
        "SELECT " DAY_IS_OVER ", coalesce(e.from_leaf, (SELECT max(size) FROM log_checkpoints"
        " WHERE at < $1::date::timestamp AT TIME ZONE 'UTC'), 0),"
        " coalesce(e.to_leaf, (SELECT max(size) FROM log_checkpoints"
        " WHERE at < ($1::date + 1)::timestamp AT TIME ZONE 'UTC'), 0)"
        " FROM (SELECT) AS one LEFT JOIN log_exports e ON e.day = $1::date";
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    char text[SB_DATE_TEXT_MAX];
    int rc;

    (void)sb_date_format(day, text);
    rc = cp_db_query(db, sql, CP_PARAMS(CP_P_STR(text)), &rows);
    if (rc != SB_OK)
        return db_failed(db, rc, err);
    if (!cp_rows_bool(rows, 0, 0))
        return sb_err_set(err, SB_EAGAIN,
                          "%s is not over; a day (UTC) can be exported ten minutes after its end",
                          text);
    *ret = (struct cp_export){.day = day,
                              .from = (uint64_t)cp_rows_i64(rows, 0, 1),
                              .to = (uint64_t)cp_rows_i64(rows, 0, 2)};
    if (ret->to <= ret->from)
        return sb_err_set(err, SB_ENOENT, "nothing was logged and signed on %s", text);
    return SB_OK;
}

int cp_export_next(struct cp_db *db, struct cp_export *ret, struct sb_errmsg *err)
{
    static const char sql[] =
        "SELECT l.leaf, d.day, (SELECT max(size) FROM log_checkpoints"
        " WHERE at < (d.day + 1)::timestamp AT TIME ZONE 'UTC'),"
        " now() >= (d.day + 1)::timestamp AT TIME ZONE 'UTC' + interval '10 minutes'"
        " FROM (SELECT coalesce(max(to_leaf), 0) AS leaf FROM log_exports) AS l,"
        " LATERAL (SELECT (at AT TIME ZONE 'UTC')::date AS day FROM log_checkpoints"
        "          WHERE size > l.leaf ORDER BY size LIMIT 1) AS d";
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db, sql, CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        return db_failed(db, rc, err);
    if (cp_rows_count(rows) == 0 || !cp_rows_bool(rows, 0, 3))
        return sb_err_set(err, SB_EAGAIN, "no day is over that was not exported");
    *ret = (struct cp_export){.day = cp_rows_day(rows, 0, 1),
                              .from = (uint64_t)cp_rows_i64(rows, 0, 0),
                              .to = (uint64_t)cp_rows_i64(rows, 0, 2)};
    return SB_OK;
}

/* --- checkpoints ------------------------------------------------------------------------- */

/* The note of that size.  SB_EHASH: it is gone, or of another tree. */
static int read_note(struct cp_db *db, const struct sb_merkle_edge *edge, struct cp_rows **ret_rows,
                     struct sb_errmsg *err)
{
    struct sb_checkpoint checkpoint;
    struct sb_hash root;
    struct sb_note note;
    int rc = cp_db_query(db, "SELECT text FROM log_checkpoints WHERE size = $1",
                         CP_PARAMS(CP_P_I64(edge->size)), ret_rows);

    if (rc != SB_OK)
        return db_failed(db, rc, err);
    if (cp_rows_count(*ret_rows) != 1)
        return sb_err_set(err, SB_EHASH, "the checkpoint of %" PRIu64 " entries is missing",
                          edge->size);
    sb_merkle_root(edge, &root);
    if (sb_note_parse(cp_rows_bytes(*ret_rows, 0, 0), &note, NULL) != SB_OK ||
        sb_checkpoint_parse(note.text, &checkpoint, NULL) != SB_OK ||
        checkpoint.size != edge->size || !sb_hash_equal(&root, &checkpoint.root))
        return sb_err_set(err, SB_EHASH,
                          "the log up to entry %" PRIu64 " is not what the checkpoint of %" PRIu64
                          " was signed for; audit verify says more",
                          edge->size, edge->size);
    return SB_OK;
}

static int put_checkpoint(struct cp_db *db, const struct cp_export *export, struct sb_buf *out,
                          struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = read_note(db, &export->edge, &rows, err);
    struct sb_json json;

    if (rc != SB_OK)
        return rc;
    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "checkpoint", cp_rows_bytes(rows, 0, 0));
    sb_json_close_object(&json);
    rc = sb_json_end(&json);
    return rc == SB_OK ? sb_buf_append_byte(out, '\n') : rc;
}

static int find_stop(struct cp_db *db, struct cp_export *export, struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db, "SELECT min(size) FROM log_checkpoints WHERE size >= $1",
                         CP_PARAMS(CP_P_I64(export->edge.size + CP_EXPORT_STRETCH)), &rows);

    if (rc != SB_OK)
        return db_failed(db, rc, err);
    export->stop = export->to;
    if (!cp_rows_is_null(rows, 0, 0) && (uint64_t)cp_rows_i64(rows, 0, 0) < export->to)
        export->stop = (uint64_t)cp_rows_i64(rows, 0, 0);
    return SB_OK;
}

/* --- the head ------------------------------------------------------------------------------ */

static void add_edge(struct sb_json *json, const struct sb_merkle_edge *edge)
{
    char text[2 * SB_SHA256_BYTES + 2];

    sb_json_add_array(json, "edge");
    for (unsigned i = 0; i < edge->n; i++) {
        char *end =
            sb_canon_hex(text, sb_slice_make(edge->nodes[i].bytes, sizeof(edge->nodes[i].bytes)));

        sb_json_put_raw(json, sb_slice_make(text, (size_t)(end - text)));
    }
    sb_json_close_array(json);
}

int cp_export_begin(struct cp_db *db, struct cp_export *export, struct sb_buf *out,
                    struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *start = NULL;
    char day[SB_DATE_TEXT_MAX];
    struct cp_log_tree tree;
    struct sb_json json;
    int rc;

    cp_log_tree_init(&tree, db);
    rc = sb_merkle_edge_at(&tree.source, export->from, &export->edge);
    if (rc != SB_OK)
        return sb_err_set(err, rc == SB_ENOENT ? SB_EHASH : rc, "%s", tree.err.text);
    if (export->from > 0)
        rc = read_note(db, &export->edge, &start, err);
    if (rc == SB_OK)
        rc = find_stop(db, export, err);
    if (rc != SB_OK)
        return rc;
    (void)sb_date_format(export->day, day);
    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "format", SB_SLICE_LIT(CP_EXPORT_FORMAT));
    sb_json_add_text(&json, "day", sb_slice_of(day));
    sb_json_add_u64(&json, "from", export->from);
    sb_json_add_u64(&json, "to", export->to);
    add_edge(&json, &export->edge);
    if (start != NULL)
        sb_json_add_text(&json, "start", cp_rows_bytes(start, 0, 0));
    sb_json_close_object(&json);
    rc = sb_json_end(&json);
    return rc == SB_OK ? sb_buf_append_byte(out, '\n') : rc;
}

/* --- entries ---------------------------------------------------------------------------------- */

struct page {
    struct cp_db *db;
    struct cp_export *export;
    struct sb_buf *out;
    struct sb_errmsg *err;
    uint64_t dropped_from, dropped_to;  /* what is known to be dropped; to: not included */
    const struct sb_merkle_edge before; /* both when it began, since it may begin again */
    const size_t length;
};

static int put_absent(struct page *page, const struct sb_hash *hash)
{
    char text[2 * SB_SHA256_BYTES + 2];
    char *end = sb_canon_hex(text, sb_slice_make(hash->bytes, sizeof(hash->bytes)));

    return sb_buf_printf(page->out, "{\"hash\":%.*s}\n", (int)(end - text), text);
}

/* Whether retention took the leaf away, as the log says. */
static int check_dropped(struct page *page, uint64_t leaf)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc;

    if (leaf >= page->dropped_from && leaf < page->dropped_to)
        return SB_OK;
    rc = cp_db_query(page->db,
                     "SELECT d.first_leaf, d.last_leaf FROM log_drops d"
                     " JOIN log_dropped l ON l.drop_id = d.id"
                     " WHERE $1::bigint BETWEEN d.first_leaf AND d.last_leaf LIMIT 1",
                     CP_PARAMS(CP_P_I64(leaf)), &rows);
    if (rc != SB_OK)
        return db_failed(page->db, rc, page->err);
    if (cp_rows_count(rows) == 0)
        return sb_err_set(page->err, SB_EHASH,
                          "entry %" PRIu64 " is missing, and retention did not drop it; audit "
                          "verify says more",
                          leaf);
    page->dropped_from = (uint64_t)cp_rows_i64(rows, 0, 0);
    page->dropped_to = (uint64_t)cp_rows_i64(rows, 0, 1) + 1;
    return SB_OK;
}

static int on_entry(void *ctx, const struct cp_log_entry *entry)
{
    struct page *page = ctx;
    struct sb_merkle_edge *edge = &page->export->edge;
    struct sb_hash hash;
    int rc = SB_OK;

    if (entry->leaf != edge->size || entry->hash == NULL)
        return sb_err_set(page->err, SB_EHASH, "entry %" PRIu64 "%s; audit verify says more",
                          entry->leaf,
                          entry->hash == NULL ? " has no hash" : ": two rows are said to be it");
    if (entry->line.n == 0) {
        rc = check_dropped(page, entry->leaf);
        if (rc == SB_OK)
            rc = put_absent(page, entry->hash);
    } else {
        sb_merkle_leaf(entry->line, &hash);
        if (!sb_hash_equal(&hash, entry->hash))
            return sb_err_set(page->err, SB_EHASH,
                              "entry %" PRIu64 " does not fit its hash: its row was changed; audit "
                              "verify says more",
                              entry->leaf);
        rc = sb_buf_append(page->out, entry->line);
        if (rc == SB_OK)
            rc = sb_buf_append_byte(page->out, '\n');
    }
    if (rc == SB_OK)
        sb_merkle_append(edge, entry->hash, NULL);
    return rc;
}

static int read_page(struct cp_db *db, void *ctx)
{
    const struct page *page = ctx;

    page->export->edge = page->before;
    sb_buf_truncate(page->out, page->length);
    return cp_log_read(db, page->export->edge.size, page->export->stop, on_entry, ctx, page->err);
}

int cp_export_more(struct cp_db *db, struct cp_export *export, struct sb_buf *out,
                   bool *ret_is_over, struct sb_errmsg *err)
{
    struct page page = {.db = db,
                        .export = export,
                        .out = out,
                        .err = err,
                        .before = export->edge,
                        .length = sb_buf_len(out)};
    int rc = cp_db_transact(db, CP_REPEATABLE_READ_ONLY, read_page, &page);

    if (rc == SB_OK && export->edge.size == export->stop) {
        rc = put_checkpoint(db, export, out, err);
        if (rc == SB_OK && export->stop < export->to)
            rc = find_stop(db, export, err);
    }
    if (rc != SB_OK) { /* so that it can be tried again */
        export->edge = page.before;
        sb_buf_truncate(out, page.length);
        return rc;
    }
    *ret_is_over = export->edge.size == export->to;
    return SB_OK;
}
