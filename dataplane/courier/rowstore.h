/* dataplane/courier/rowstore.h - the tables as the courier has seen them, to be kept on
 * disk.
 *
 * The loop merges the same messages for itself (dataplane/route/tables.h);
 * here rows keep the form in which they came, and when.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "dataplane/courier/sync.h"

struct dp_rowstore;
struct msg_tables;

struct dp_rowstore *dp_rowstore_new(void);
void dp_rowstore_destroy(struct dp_rowstore **store);

/* Takes a message over that dp_sync_judge_tables() said to apply. */
int dp_rowstore_apply(struct dp_rowstore *store, const struct msg_tables *message,
                      sb_msec now) SB_MUSTCHECK;
const struct dp_sync_tables *dp_rowstore_held(const struct dp_rowstore *store);

/* Writes all rows when something came since the last time. */
int dp_rowstore_save(struct dp_rowstore *store, const char *dir, sb_msec now,
                     struct sb_errmsg *err) SB_MUSTCHECK;
