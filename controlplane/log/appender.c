/* controlplane/log/appender.c */
#include "controlplane/log/appender.h"

#include "common/err.h"
#include "controlplane/db.h"

enum { NODES_MAX = 1 << 28 }; /* bytes of one level in one transaction */

void cp_appender_init(struct cp_appender *appender)
{
    *appender = (struct cp_appender){.before = 0};
    for (int level = 0; level < SB_MERKLE_LEVELS; level++)
        sb_buf_init(&appender->levels[level].hashes, NODES_MAX);
}

void cp_appender_release(struct cp_appender *appender)
{
    for (int level = 0; level < SB_MERKLE_LEVELS; level++)
        sb_buf_release(&appender->levels[level].hashes);
}

int cp_appender_lock(struct cp_appender *appender, struct cp_db *db)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db, "SELECT size, edge FROM log_head FOR UPDATE", CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        return rc;
    for (int level = 0; level < SB_MERKLE_LEVELS; level++)
        sb_buf_reset(&appender->levels[level].hashes);
    appender->rc = SB_OK;
    if (cp_rows_count(rows) != 1 ||
        sb_merkle_edge_read((uint64_t)cp_rows_i64(rows, 0, 0), cp_rows_bytes(rows, 0, 1),
                            &appender->edge) != SB_OK)
        return SB_EHASH;
    appender->before = appender->edge.size;
    return SB_OK;
}

static void on_node(void *ctx, unsigned level, uint64_t index, const struct sb_hash *node)
{
    struct cp_appender *appender = ctx;
    struct sb_buf *hashes = &appender->levels[level].hashes;

    if (sb_buf_len(hashes) == 0)
        appender->levels[level].first = index;
    if (appender->rc == SB_OK)
        appender->rc = sb_buf_append(hashes, sb_slice_make(node->bytes, sizeof(node->bytes)));
}

void cp_appender_add(struct cp_appender *appender, struct sb_slice line)
{
    const struct sb_merkle_sink sink = {.add = on_node, .ctx = appender};
    struct sb_hash leaf;

    sb_merkle_leaf(line, &leaf);
    sb_merkle_append(&appender->edge, &leaf, &sink);
}

static int store_nodes(const struct cp_appender *appender, struct cp_db *db)
{
    int rc = SB_OK;

    for (int level = 0; rc == SB_OK && level < SB_MERKLE_LEVELS; level++) {
        struct sb_slice hashes = sb_buf_slice(&appender->levels[level].hashes);

        if (hashes.n > 0)
            rc = cp_db_exec(db, "INSERT INTO log_nodes (level, first, hashes) VALUES ($1, $2, $3)",
                            CP_PARAMS(CP_P_I64(level), CP_P_I64(appender->levels[level].first),
                                      CP_P_BYTES(hashes)),
                            NULL);
    }
    return rc;
}

int cp_appender_store(struct cp_appender *appender, struct cp_db *db, uint64_t term)
{
    int rc = appender->rc;

    if (rc != SB_OK || appender->edge.size == appender->before)
        return rc;
    rc = store_nodes(appender, db);
    if (rc == SB_OK)
        rc = cp_db_exec(
            db, "UPDATE log_head SET size = $1, edge = $2, term = $3, updated_at = now()",
            CP_PARAMS(CP_P_I64(appender->edge.size),
                      CP_P_BYTES(sb_merkle_edge_bytes(&appender->edge)), CP_P_I64(term)),
            NULL);
    /* Not the fault of a record, which would be put aside for it. */
    return rc == SB_EEXIST || rc == SB_EINVAL ? SB_EHASH : rc;
}
