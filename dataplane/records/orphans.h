/* dataplane/records/orphans.h - boots that lie in a spool's directories.
 *
 * A worker's own earlier boots are in its own directory.  Those of workers
 * that are gone for good (fewer slots than before, another host name) lie in
 * directories beside it, which no process holds any more.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

/* name: of a directory in the worker's own, see dataplane/records/boot.h. */
typedef void dp_orphan_cb(void *ctx, const char *name);

/* Calls back for each boot in an open directory. */
int dp_orphans_list(int slot_fd, dp_orphan_cb *on_boot, void *ctx,
                    struct sb_errmsg *err) SB_MUSTCHECK;
/* Looks into the directories beside `own` in home; where nobody holds the lock,
 * moves each boot into the directory slot_fd by one rename, and calls back.
 * Returns how many. */
unsigned dp_orphans_move(const char *home, const char *own, int slot_fd, dp_orphan_cb *on_boot,
                         void *ctx);
