/* controlplane/ctl/drops.h - what retention dropped, as the log itself says, and
 * whether that can be.
 *
 * Pure.  Who controls the database can write a drop that was none, and the log
 * takes it.  But retention drops a table's whole day, once, when it is over and no
 * legal hold has it: so a drop is none when another record of that table and day
 * is still there.  Entries are given in the order of the log; a record that comes
 * behind the drop was late.
 *
 *      new -> see... -> judge -> turn_to, reach, claim -> destroy
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/json.h"

struct ctl_drops;

enum ctl_history {
    CTL_HISTORY_REQUESTS,
    CTL_HISTORY_DISPATCHES,
    CTL_HISTORY_REFUSALS,
    CTL_HISTORIES
};
const char *ctl_history_name(enum ctl_history table); /* "audit_requests" */
/* Of records of that kind ("request"); false: they are none of workers. */
bool ctl_history_of_kind(struct sb_slice kind, enum ctl_history *ret);

struct ctl_drop {
    enum ctl_history table;
    int32_t day; /* whose records were dropped */
    int64_t at;  /* when, microseconds since 1970 UTC */
    uint64_t rows;
    bool has_entries; /* some of the rows were in the log: */
    uint64_t first, last;
    uint64_t leaf;     /* the entry that says so */
    const char *wrong; /* why it was none ("..."), or NULL; lives as long as the drops */
    bool is_signed;    /* meaningful when judged */
};

struct ctl_drops *ctl_drops_new(void);
void ctl_drops_destroy(struct ctl_drops **drops);

/* A record of a worker is there: entry leaf, in the file of that number (a log has
 * one; records that are there in a file that was written before a drop contradict
 * nothing in another). */
struct ctl_there {
    enum ctl_history table;
    int64_t received_at;
    uint64_t leaf;
    unsigned file;
};
void ctl_drops_see_record(struct ctl_drops *drops, const struct ctl_there *there);
/* Any other entry: takes in drops and legal holds. */
void ctl_drops_see_entry(struct ctl_drops *drops, yyjson_val *entry, uint64_t leaf);

/* All have come.  proved: drops from that entry on are not signed yet and explain
 * nothing. */
void ctl_drops_judge(struct ctl_drops *drops, uint64_t proved);
/* In the order of their entries; borrowed. */
const struct ctl_drop *ctl_drops_list(const struct ctl_drops *drops, size_t *ret_n);

/* The questions that follow are about entries that are missing in that file. */
void ctl_drops_turn_to(struct ctl_drops *drops, unsigned file);
/* How far from one on drops explain that they are missing, at most behind to; from:
 * none does. */
uint64_t ctl_drops_reach(const struct ctl_drops *drops, uint64_t from, uint64_t to);
/* The first entry behind from that one of them explains; to + 1: none up to there. */
uint64_t ctl_drops_next(const struct ctl_drops *drops, uint64_t from, uint64_t to);
/* The drop that says that it took this entry, though it does not explain it, or
 * NULL; *ret_there: the entry that is still there, or UINT64_MAX. */
const struct ctl_drop *ctl_drops_claim(const struct ctl_drops *drops, uint64_t leaf,
                                       uint64_t *ret_there);
/* Whether drops say that they took some of these entries, all of days before that one. */
bool ctl_drops_are_older(const struct ctl_drops *drops, uint64_t from, uint64_t to, int32_t day);
