/* controlplane/log/appender.h - appends entries to the log, inside of a transaction.
 *
 *      cp_appender_lock(&appender, db);    the head: nobody else appends now
 *      leaf = cp_appender_next(&appender); which leaf the next entry will be
 *      cp_appender_add(&appender, line);   ...
 *      cp_appender_store(&appender, db, term);
 *
 * The nodes of the tree that became complete and the new head are stored by
 * the last call; what is rolled back was never appended.  common/merkle.h has
 * the tree, controlplane/log/entry.h the lines.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/merkle.h"
#include "common/slice.h"

struct cp_db;

struct cp_appender {
    struct sb_merkle_edge edge;
    uint64_t before; /* leaves when it was locked */
    struct {
        uint64_t first;       /* node of the level */
        struct sb_buf hashes; /* it and those behind it */
    } levels[SB_MERKLE_LEVELS];
    int rc; /* of collecting the nodes */
};

void cp_appender_init(struct cp_appender *appender);
void cp_appender_release(struct cp_appender *appender);

/* Waits for another transaction that appends.  Drops what was added before.
 * SB_EHASH: the head in the database is damaged; codes of controlplane/db.h. */
int cp_appender_lock(struct cp_appender *appender, struct cp_db *db) SB_MUSTCHECK;
static inline uint64_t cp_appender_next(const struct cp_appender *appender)
{
    return appender->edge.size;
}
void cp_appender_add(struct cp_appender *appender, struct sb_slice line);
/* Fine when nothing was added.  SB_EHASH: the database holds nodes already
 * where these belong, so its head is older than the tree; SB_ENOMEM,
 * SB_ETOOBIG; codes of controlplane/db.h, but SB_EINVAL and SB_EEXIST. */
int cp_appender_store(struct cp_appender *appender, struct cp_db *db, uint64_t term) SB_MUSTCHECK;
