/* controlplane/probe_store.h - probes in the database: the budget and the record.
 *
 * Both are the leader's: every transaction ends by checking the term, so that
 * a daemon that was cut off spends nothing any more.  A day (UTC) is that of
 * the probe's started_at.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "controlplane/probe.h"

struct cp_db;

/* Records those that the budget allows at that time, with the most that they
 * can cost, and marks them is_granted with their name: started_at and the
 * sequence numbers after *sequence, which moves on.  What costs nothing is
 * always allowed; an endpoint whose bill of the same day was above what it
 * could be is not.  *ret_short: the budget was not enough for all.
 * SB_ENOTLEADER, codes of controlplane/db.h: none is granted. */
int cp_probe_store_grant(struct cp_db *db, uint64_t term, int64_t budget, sb_usec wall,
                         uint64_t *sequence, struct cp_probe *probes, unsigned n,
                         bool *ret_short) SB_MUSTCHECK;

/* Records what became of granted ones; one that is settled already stays.
 * Codes as above: then none is. */
int cp_probe_store_settle(struct cp_db *db, uint64_t term, const struct cp_probe *probes,
                          unsigned n) SB_MUSTCHECK;

/* What the probes of the day cost so far, the worst of those under way
 * included: 1e-15 USD, saturated. */
int cp_probe_store_spent(struct cp_db *db, sb_usec wall, int64_t *ret_spent) SB_MUSTCHECK;
