/* controlplane/stuck.h - sessions of a daemon that was stopped inside of a transaction.
 *
 * They hold rows that others need.  The server ends one that is idle in its
 * transaction after 10 s, but never one in a COPY whose client sends nothing.
 * A daemon that runs never thinks for so long between two statements, and one
 * that is ended by mistake connects again.
 *
 * Sessions of a login may be ended by that login.
 */
#pragma once

#include "common/attr.h"

struct cp_db;

/* Ends them, over a session of this role (CP_DB_..._ROLE), outside of a
 * transaction.  Codes of controlplane/db.h. */
int cp_stuck_end(struct cp_db *db, const char *role) SB_MUSTCHECK;
