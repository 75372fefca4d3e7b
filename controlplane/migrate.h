/* controlplane/migrate.h - the schema, brought up to date by its owner.
 *
 * The files controlplane/sql/NNNN_name.sql are part of the program.  Each runs
 * once, in order, in a transaction of its own; two daemons that start at the
 * same time wait for each other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"

struct cp_db;

/* owner: a connection that may create the schema and, the first time, the role
 * CP_DB_SERVICE_ROLE.  Also makes what is made once: epoch, cluster keys, the
 * default tenant, partitions around today.  SB_EVERSION: the schema is newer
 * than this program, or a file that ran has changed since. */
int cp_migrate(struct cp_db *owner, struct sb_errmsg *err) SB_MUSTCHECK;
/* Number of the last file in this program. */
unsigned cp_migrate_latest(void);

/* Makes the daily partitions of first_day .. first_day + days - 1 (days since
 * 1970-01-01 UTC) that are missing, moving over what waits in the default
 * partitions.  Owner only; any number of daemons may do it. */
int cp_partitions_make(struct cp_db *owner, int32_t first_day, unsigned days,
                       struct sb_errmsg *err) SB_MUSTCHECK;
/* What is kept for a time of its own. */
enum cp_history { CP_HISTORY_AUDIT, CP_HISTORY_TELEMETRY };
/* Drops the partitions of days before day, and counts them.  Audit records of a
 * day that is under a legal hold stay; exported_only: and of one that is not
 * exported as a whole. */
int cp_partitions_drop(struct cp_db *owner, enum cp_history history, int32_t day,
                       bool exported_only, unsigned *ret_dropped,
                       struct sb_errmsg *err) SB_MUSTCHECK;
