/* controlplane/log/pending.h - entries of the log that no record of a worker makes.
 *
 * Revisions of the configuration and what else administrators did, by any
 * daemon, and what retention dropped and erased, by the owner: rows that are written at any time
 * and get a leaf later, by the leader, in one table each beside them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"

struct cp_appender;
struct cp_db;

enum { CP_PENDING_MAX = 64 }; /* entries of a kind in one transaction */

/* Whether anything waits: one short query.  Codes of controlplane/db.h. */
int cp_pending_look(struct cp_db *db, bool *ret_waits) SB_MUSTCHECK;
/* Appends what waits, the oldest first, in a transaction of its own; there may
 * be more left.  appender is initialised.  SB_ENOTLEADER: the term is over;
 * codes of controlplane/log/appender.h and controlplane/log/entry.h. */
int cp_pending_append(struct cp_db *db, uint64_t term, struct cp_appender *appender) SB_MUSTCHECK;
