/* controlplane/log/log_tree.h - the log's tree as the database has it.
 *
 * Reads log_head and log_nodes; nothing of what is read is trusted: a proof
 * made of wrong nodes does not verify.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"
#include "common/merkle.h"

struct cp_db;

/* The newest size with its edge.  SB_EPARSE: the row is gone, or its edge is
 * not one of its size; codes of controlplane/db.h. */
int cp_log_head_read(struct cp_db *db, struct sb_merkle_edge *ret,
                     struct sb_errmsg *err) SB_MUSTCHECK;

/* For sb_merkle_prove_*() and sb_merkle_edge_at().  SB_ENOENT: nodes are
 * missing; codes of controlplane/db.h. */
struct cp_log_tree {
    struct sb_merkle_source source;
    struct cp_db *db;     /* borrowed */
    struct sb_errmsg err; /* of the last failure */
};
void cp_log_tree_init(struct cp_log_tree *tree, struct cp_db *db);
