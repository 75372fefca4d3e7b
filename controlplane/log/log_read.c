/* controlplane/log/log_read.c */
#include "controlplane/log/log_read.h"

#include <inttypes.h>

#include "common/buf.h"
#include "controlplane/db.h"
#include "controlplane/log/entry.h"
#include "controlplane/log/log_tree.h"
#include "controlplane/log/plain.h"

enum { SQL_MAX = 8192, NODES = 256 };

struct page {
    struct cp_rows *rows[CP_ENTRY_KINDS]; /* each in the order of the leaves */
    size_t at[CP_ENTRY_KINDS];
    struct sb_hash hashes[CP_LOG_PAGE];
    bool has_hash[CP_LOG_PAGE];
};

static void release_page(struct page *page)
{
    for (int kind = 0; kind < CP_ENTRY_KINDS; kind++)
        cp_rows_destroy(&page->rows[kind]);
}

static int db_failed(struct cp_db *db, int rc, struct sb_errmsg *err)
{
    return sb_err_set(err, rc, "%s", cp_db_last_error(db)->text.text);
}

static int select_rows(struct cp_db *db, enum cp_entry_kind kind, const char *where,
                       const struct cp_param *params, size_t n_params, struct cp_rows **ret_rows)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf sql = {.limit = SQL_MAX};
    int rc = sb_buf_printf(&sql, "%s%s%c", cp_columns_of(kind)->select, where, '\0');

    return rc == SB_OK ? cp_db_query(db, sql.data, params, n_params, ret_rows) : rc;
}

/* Node by node where some are missing. */
static int read_hashes(struct cp_db *db, uint64_t from, uint64_t to, struct page *page,
                       struct sb_errmsg *err)
{
    struct cp_log_tree tree;
    size_t n;

    cp_log_tree_init(&tree, db);
    for (uint64_t at = from; at < to; at += n) {
        struct sb_hash *hashes = &page->hashes[at - from];
        int rc;

        n = to - at < NODES ? (size_t)(to - at) : NODES;
        rc = tree.source.read(tree.source.ctx, 0, at, n, hashes);
        if (rc == SB_ENOENT && n > 1) {
            n = 1;
            rc = tree.source.read(tree.source.ctx, 0, at, n, hashes);
        }
        if (rc != SB_OK && rc != SB_ENOENT)
            return sb_err_set(err, rc, "%s", tree.err.text);
        for (size_t i = 0; i < n; i++)
            page->has_hash[at - from + i] = rc == SB_OK;
    }
    return SB_OK;
}

static int give_row(enum cp_entry_kind kind, const struct cp_rows *rows, size_t row,
                    struct cp_log_entry *entry, cp_log_entry_cb *fn, void *ctx)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf line = {.limit = CP_ENTRY_LINE_MAX};
    struct cp_value values[CP_COLUMNS_MAX];
    int rc = cp_entry_put_row(kind, rows, row, &line);

    if (rc != SB_OK)
        return rc;
    cp_columns_read(cp_columns_of(kind), rows, row, values);
    entry->unfit = cp_plain_unfit(kind, values);
    entry->kind = kind;
    entry->line = sb_buf_slice(&line);
    return fn(ctx, entry);
}

static uint64_t leaf_of(enum cp_entry_kind kind, const struct cp_rows *rows, size_t row)
{
    return (uint64_t)cp_rows_i64(rows, row, cp_columns_of(kind)->leaf);
}

static int give_leaf(struct page *page, uint64_t leaf, const struct sb_hash *hash,
                     cp_log_entry_cb *fn, void *ctx)
{
    struct cp_log_entry entry = {.has_leaf = true, .leaf = leaf, .hash = hash};
    bool any = false;
    int rc = SB_OK;

    for (int kind = 0; rc == SB_OK && kind < CP_ENTRY_KINDS; kind++) {
        const struct cp_rows *rows = page->rows[kind];

        for (; rc == SB_OK && page->at[kind] < cp_rows_count(rows) &&
               leaf_of((enum cp_entry_kind)kind, rows, page->at[kind]) == leaf;
             page->at[kind]++) {
            rc = give_row((enum cp_entry_kind)kind, rows, page->at[kind], &entry, fn, ctx);
            any = true;
        }
    }
    return rc == SB_OK && !any ? fn(ctx, &entry) : rc;
}

static int read_page(struct cp_db *db, uint64_t from, uint64_t to, struct page *page,
                     struct sb_errmsg *err)
{
    for (int kind = 0; kind < CP_ENTRY_KINDS; kind++) {
        int rc = select_rows(db, (enum cp_entry_kind)kind,
                             " WHERE leaf >= $1::bigint AND leaf < $2::bigint ORDER BY leaf",
                             CP_PARAMS(CP_P_I64(from), CP_P_I64(to)), &page->rows[kind]);

        if (rc != SB_OK)
            return db_failed(db, rc, err);
    }
    return read_hashes(db, from, to, page, err);
}

int cp_log_read(struct cp_db *db, uint64_t from, uint64_t to, cp_log_entry_cb *fn, void *ctx,
                struct sb_errmsg *err)
{
    SB_CLEANUP(release_page) struct page page = {.rows = {NULL}};
    int rc;

    if (to - from > CP_LOG_PAGE)
        to = from + CP_LOG_PAGE;
    rc = read_page(db, from, to, &page, err);
    for (uint64_t leaf = from; rc == SB_OK && leaf < to; leaf++)
        rc = give_leaf(&page, leaf, page.has_hash[leaf - from] ? &page.hashes[leaf - from] : NULL,
                       fn, ctx);
    return rc;
}

/* What has no leaf may be older than the log: who verifies tells that by what the
 * log itself says, since no table of this database can be believed.  The newest
 * come first, so that old ones hide nothing.  Revisions have leaves from the first
 * one on, in their order; what waits for its leaf is no stray. */
#define RECORDS(time)                                                                              \
    " WHERE leaf IS NULL OR leaf < 0 OR leaf >= $1::bigint ORDER BY " time " DESC LIMIT $2"
#define BEYOND "leaf < 0 OR leaf >= $1::bigint"
static const char *const strays[CP_ENTRY_KINDS] = {
    [CP_ENTRY_REQUEST] = RECORDS("received_at"),
    [CP_ENTRY_DISPATCH] = RECORDS("received_at"),
    [CP_ENTRY_REFUSALS] = RECORDS("received_at"),
    [CP_ENTRY_QUARANTINED] = RECORDS("at"),
    [CP_ENTRY_CHANGE] = " WHERE " BEYOND " OR (leaf IS NULL AND revision <"
                        " (SELECT max(c.revision) FROM log_changes c)) LIMIT $2",
    [CP_ENTRY_DROPPED] = " WHERE " BEYOND " LIMIT $2",
    [CP_ENTRY_ERASED] = " WHERE " BEYOND " LIMIT $2",
    [CP_ENTRY_ACTION] = " WHERE " BEYOND " LIMIT $2",
};
#undef BEYOND
#undef RECORDS

static int give_strays(enum cp_entry_kind kind, const struct cp_rows *rows, cp_log_entry_cb *fn,
                       void *ctx)
{
    int rc = SB_OK;

    for (size_t row = 0; rc == SB_OK && row < cp_rows_count(rows); row++) {
        struct cp_log_entry entry = {.has_leaf =
                                         !cp_rows_is_null(rows, row, cp_columns_of(kind)->leaf),
                                     .leaf = leaf_of(kind, rows, row)};

        rc = give_row(kind, rows, row, &entry, fn, ctx);
    }
    return rc;
}

int cp_log_read_strays(struct cp_db *db, uint64_t size, cp_log_entry_cb *fn, void *ctx,
                       struct sb_errmsg *err)
{
    int rc = SB_OK;

    for (int kind = 0; rc == SB_OK && kind < CP_ENTRY_KINDS; kind++) {
        SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;

        rc = select_rows(db, (enum cp_entry_kind)kind, strays[kind],
                         CP_PARAMS(CP_P_I64(size), CP_P_I64(CP_LOG_STRAYS)), &rows);
        if (rc != SB_OK)
            return db_failed(db, rc, err);
        rc = give_strays((enum cp_entry_kind)kind, rows, fn, ctx);
    }
    return rc;
}

int cp_log_find(struct cp_db *db, struct sb_slice generation, uint64_t *ret_leaf,
                struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db,
                         "SELECT leaf FROM audit_requests WHERE generation = $1"
                         " AND leaf IS NOT NULL ORDER BY leaf LIMIT 1",
                         CP_PARAMS(CP_P_TEXT(generation)), &rows);

    if (rc != SB_OK)
        return db_failed(db, rc, err);
    if (cp_rows_count(rows) == 0)
        return sb_err_set(err, SB_ENOENT, "no entry of the log is of '%.*s'",
                          generation.n < 100 ? (int)generation.n : 100, generation.p);
    *ret_leaf = (uint64_t)cp_rows_i64(rows, 0, 0);
    return SB_OK;
}
