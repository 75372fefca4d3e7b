/* controlplane/log/erasure.h - forgets a person.
 *
 * A request's record knows its "user" as a hash keyed with a salt of its own, so
 * nobody can look for one; who has the name tries it with each salt.  The
 * records that fit lose their salts and what was kept plain, by a function of
 * the schema's owner (erase_records, controlplane/sql), which also makes the
 * entry of the log that says how many, when and by whom.  What stays fits no name
 * any more; entries and tree stay as they were.  The name itself is written down
 * nowhere.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct cp_actor;
struct cp_store;

struct cp_erasure {
    struct sb_slice tenant; /* name */
    struct sb_slice user;   /* as clients sent it */
    int64_t from, to;       /* microseconds since 1970, to not included; 0, INT64_MAX: all */
    bool dry_run;           /* count, change nothing */
};

struct cp_erased {
    uint64_t records; /* of that user */
    uint64_t held;    /* of these, of days under a legal hold */
};

/* SB_ENOENT: no such tenant, now or in any record.  SB_ECONFLICT: some are held; nothing was
 * erased.  Reads every record of the tenant in that time. */
int cp_erase(struct cp_store *store, const struct cp_erasure *erasure, const struct cp_actor *by,
             struct cp_erased *ret, struct sb_errmsg *err) SB_MUSTCHECK;
