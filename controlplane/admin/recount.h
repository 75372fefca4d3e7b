/* controlplane/admin/recount.h - the requests of a demand, counted from their rows.
 *
 * Every row of the days is read, without a limit, a day after the other through
 * a cursor; memory holds what compliance_days would hold, and a page of rows.
 *
 *      init -> step until SB_EEOF -> (look) -> release
 *
 * All steps are in one transaction of the caller's, which sees one state: what
 * compliance_days says in it must be the same.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "controlplane/admin/demand.h"
#include "controlplane/records/tallies.h"

struct cp_db;
struct sb_buf;

enum { CP_RECOUNT_VIOLATIONS = 1000, CP_RECOUNT_DIFFERENCES = 1000 };

struct cp_recount {
    struct cp_demand demand; /* its texts are borrowed */
    struct cp_tallies tallies;
    int32_t day;   /* that is read */
    bool is_open;  /* its cursor */
    uint64_t rows; /* so far */
};

void cp_recount_init(struct cp_recount *recount, const struct cp_demand *demand);
void cp_recount_release(struct cp_recount *recount);
/* Reads some thousand rows: SB_OK, or SB_EEOF when there are no more.  Codes of
 * controlplane/db.h. */
int cp_recount_step(struct cp_recount *recount, struct cp_db *db) SB_MUSTCHECK;
/* Appends {"rows", "counts", "matches", "differences", "violations_differ",
 * "violations"}: the last are those that were found, the one before says how
 * many of them are not in compliance_violations, or there and not found.  At
 * the end, once. */
int cp_recount_write(struct cp_recount *recount, struct cp_db *db, struct sb_buf *out) SB_MUSTCHECK;
