/* controlplane/log/log_tree.c */
#include "controlplane/log/log_tree.h"

#include <inttypes.h>

#include "controlplane/db.h"

static int db_failed(struct cp_db *db, int rc, struct sb_errmsg *err)
{
    return sb_err_set(err, rc, "%s", cp_db_last_error(db)->text.text);
}

int cp_log_head_read(struct cp_db *db, struct sb_merkle_edge *ret, struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db, "SELECT size, edge FROM log_head WHERE id = 1", CP_NO_PARAMS, &rows);
    int64_t size;

    if (rc != SB_OK)
        return db_failed(db, rc, err);
    if (cp_rows_count(rows) == 0)
        return sb_err_set(err, SB_EPARSE, "the head of the log is gone: log_head has no row");
    size = cp_rows_i64(rows, 0, 0);
    if (size < 0 || sb_merkle_edge_read((uint64_t)size, cp_rows_bytes(rows, 0, 1), ret) != SB_OK)
        return sb_err_set(err, SB_EPARSE,
                          "the head of the log was changed: its edge is none of a tree of %" PRId64
                          " leaves",
                          size);
    return SB_OK;
}

/* The rows that hold nodes $2 to $2 + $3 - 1 of a level, and of each what is
 * wanted: its first node, and hashes. */
static const char nodes_sql[] =
    "SELECT greatest(first, $2::bigint), substr(hashes, (greatest($2 - first, 0) * 32 + 1)::int,"
    " (greatest(least($2 + $3::bigint, first + octet_length(hashes) / 32) - greatest(first, $2),"
    " 0) * 32)::int)"
    " FROM log_nodes WHERE level = $1::smallint AND first < $2 + $3"
    " AND first >= coalesce((SELECT max(n.first) FROM log_nodes n"
    " WHERE n.level = $1 AND n.first <= $2), 0)"
    " ORDER BY first";

static int read_nodes(void *ctx, unsigned level, uint64_t first, size_t n, struct sb_hash *ret)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_log_tree *tree = ctx;
    size_t have = 0;
    int rc = cp_db_query(tree->db, nodes_sql,
                         CP_PARAMS(CP_P_I64(level), CP_P_I64(first), CP_P_I64(n)), &rows);

    if (rc != SB_OK)
        return db_failed(tree->db, rc, &tree->err);
    for (size_t i = 0; i < cp_rows_count(rows) && have < n; i++) {
        struct sb_slice hashes = cp_rows_bytes(rows, i, 1);
        size_t more = hashes.n / sizeof(*ret);

        if ((uint64_t)cp_rows_i64(rows, i, 0) != first + have || more > n - have)
            break;
        if (more > 0)
            memcpy(&ret[have], hashes.p, more * sizeof(*ret));
        have += more;
    }
    if (have < n)
        return sb_err_set(&tree->err, SB_ENOENT,
                          "node %" PRIu64 " of level %u of the log is missing", first + have,
                          level);
    return SB_OK;
}

void cp_log_tree_init(struct cp_log_tree *tree, struct cp_db *db)
{
    *tree = (struct cp_log_tree){.source = {.read = read_nodes, .ctx = tree}, .db = db};
}
