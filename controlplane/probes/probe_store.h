/* controlplane/probes/probe_store.h - probes in the database: the budget and the record.
 *
 * Both are the leader's: every transaction ends by checking the term, so that
 * a daemon that was cut off spends nothing any more.  A day (UTC) is that of
 * the probe's started_at.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "controlplane/probes/probe.h"

struct cp_db;

/* Who wants to probe, and what. */
struct cp_probe_grant {
    uint64_t term;
    int64_t budget; /* of a day, 1e-15 USD */
    sb_usec wall;
    struct cp_probe *probes; /* borrowed */
    unsigned n;
    uint64_t sequence; /* the last number that was given in this term; moves on */
    bool is_short;     /* the answer: the budget is not enough for all, for now */
};
/* Records those that the budget allows at that time, with the most that they
 * can cost, and marks them is_granted with their name: started_at and the next
 * sequence numbers.  What costs nothing is always allowed; an endpoint whose
 * bill of the same day was above what it could be is not.  When one does
 * not fit into what is left of the whole day, an event says so, once a day.
 * SB_ENOTLEADER, codes of controlplane/db.h: none is granted, and the numbers
 * stay. */
int cp_probe_store_grant(struct cp_db *db, struct cp_probe_grant *wanted) SB_MUSTCHECK;

/* Records what became of granted ones; one that is settled already stays.
 * Codes as above: then none is. */
int cp_probe_store_settle(struct cp_db *db, uint64_t term, const struct cp_probe *probes,
                          unsigned n) SB_MUSTCHECK;

/* What the probes of the day cost so far, the worst of those under way
 * included: 1e-15 USD, saturated. */
int cp_probe_store_spent(struct cp_db *db, sb_usec wall, int64_t *ret_spent) SB_MUSTCHECK;
