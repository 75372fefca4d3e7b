/* controlplane/events/expiry.h - evidence that ends: told before, and when it has.
 *
 * Workers judge the expiry of a claim when they route, by the day (UTC): what
 * has expired is unknown everywhere in that moment, and nothing here is
 * needed for it.  This only tells people: an event CP_EXPIRY_DAYS ahead, and
 * one when it has happened; each once per claim and date.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"

struct cp_db;

enum { CP_EXPIRY_DAYS = 30, CP_EXPIRY_AT_ONCE = 1000 };

/* Records what is to be told as of today (days since 1970, UTC), in one
 * transaction of the term's leader; *ret_told counts it, CP_EXPIRY_AT_ONCE at
 * most: then there may be more.  SB_ENOTLEADER; codes
 * of controlplane/db.h. */
int cp_expiry_tell(struct cp_db *db, uint64_t term, int32_t today, uint64_t *ret_told) SB_MUSTCHECK;
