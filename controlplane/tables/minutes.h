/* controlplane/tables/minutes.h - the history of telemetry: a row per endpoint and
 * minute in telemetry_minutes.
 *
 * The leader writes a minute when it is over.  After a change of leaders two
 * of them may have a part of the same minute: parts are merged, sketches
 * exactly, so it does not matter who wrote first.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/list.h"

struct cp_db;
struct cp_past;

/* Stores them in one transaction of the term's leader; the list stays the
 * caller's.  SB_ENOTLEADER; codes of controlplane/db.h: nothing is stored. */
int cp_minutes_store(struct cp_db *db, uint64_t term, struct sb_list *minutes) SB_MUSTCHECK;

/* Reads what was stored of the minutes from `from` to `to` (since 1970, both
 * included), one row per endpoint and minute, aged as of the minute `today`.  A
 * sketch that cannot be read is left out.  SB_ENOMEM; codes of db.h. */
int cp_minutes_read(struct cp_db *db, uint64_t term, int64_t from, int64_t to, int64_t today,
                    struct cp_past **ret_past) SB_MUSTCHECK;
/* The same added up: one row per endpoint, aged as of the middle. */
int cp_minutes_sum(struct cp_db *db, uint64_t term, int64_t from, int64_t to, int64_t today,
                   struct cp_past **ret_past) SB_MUSTCHECK;
