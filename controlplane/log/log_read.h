/* controlplane/log/log_read.h - entries of the log, in the order of their leaves, as
 * the tables have them now.
 *
 * Nothing is judged: who reads gets each row as the line it makes
 * (controlplane/log/entry.h) and the hash that was stored for its leaf, and finds
 * out himself whether they fit.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/merkle.h"
#include "common/slice.h"
#include "controlplane/log/columns.h"

struct cp_db;

enum { CP_LOG_PAGE = 1024 /* leaves */, CP_LOG_STRAYS = 1000 };

struct cp_log_entry {
    bool has_leaf; /* false: a stray without */
    uint64_t leaf;
    enum cp_entry_kind kind; /* of line */
    struct sb_slice line;    /* none: no row has this leaf */
    const char *unfit; /* what is plain beside it and does not fit: controlplane/log/plain.h */
    const struct sb_hash *hash; /* NULL: it is not stored */
};
/* Another code than SB_OK ends the reading with it. */
typedef int cp_log_entry_cb(void *ctx, const struct cp_log_entry *entry);

/* Leaves from to to - 1, at most CP_LOG_PAGE of them.  A leaf that two rows
 * have comes twice.  Run it in one snapshot (CP_REPEATABLE_READ_ONLY): rows of
 * several tables belong together.  Codes of controlplane/db.h; SB_ETOOBIG,
 * SB_ENOMEM. */
int cp_log_read(struct cp_db *db, uint64_t from, uint64_t to, cp_log_entry_cb *fn, void *ctx,
                struct sb_errmsg *err) SB_MUSTCHECK;
/* Rows that are in no tree of size leaves: whose leaf is beyond it, or that
 * have none.  Records of the latter sort may be from before the log: the reader
 * compares with its first record.  At most CP_LOG_STRAYS of each kind, of
 * records the newest; likewise in one snapshot, that of size. */
int cp_log_read_strays(struct cp_db *db, uint64_t size, cp_log_entry_cb *fn, void *ctx,
                       struct sb_errmsg *err) SB_MUSTCHECK;
/* The leaf of a request: that of its record.  SB_ENOENT. */
int cp_log_find(struct cp_db *db, struct sb_slice generation, uint64_t *ret_leaf,
                struct sb_errmsg *err) SB_MUSTCHECK;
