/* controlplane/publish/term.h - whether a transaction is still the leader's. */
#pragma once

#include <stdint.h>

#include "common/attr.h"

struct cp_db;

/* Inside of a transaction that writes READ COMMITTED: holds the term until its
 * end, so that whoever takes the next one waits for it.  SB_ENOTLEADER: it is
 * not the newest any more; codes of controlplane/db.h. */
int cp_term_check(struct cp_db *db, uint64_t term) SB_MUSTCHECK;
