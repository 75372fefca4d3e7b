/* controlplane/log/export.h - a day of the log as one file that proves itself.
 *
 * Lines of UTF-8, each ended by a newline (written as .ndjson.zst).  The first is
 * the head, a JSON object:
 *
 *      format  "switchboard-export-1"
 *      day     "2026-12-01" (UTC): a label, which nothing signs
 *      from    the leaf of the first entry
 *      to      the leaf behind the last one
 *      edge    the roots of the perfect subtrees that the log's tree was made of
 *              when it had `from` leaves, the largest first; hexadecimal
 *      start   the signed checkpoint of `from` leaves; absent when from is 0
 *
 * Each of the others is one of
 *
 *      {"...":...,"kind":...}       an entry, exactly the bytes that are hashed
 *      {"hash":"<64 hex digits>"}   the hash of an entry that retention had
 *                                   dropped before
 *      {"checkpoint":"<note>"}      a signed checkpoint of so many leaves as there
 *                                   are before this line
 *
 * and the last is the checkpoint of `to` leaves.  The root of the edge has to be
 * that of start; grown by the entries, that of each checkpoint.  So the log's
 * public key is all that it takes to verify a file, and with the ends of the file
 * before that none is missing between them.
 *
 * A day is what was logged between the last checkpoint before it began and the
 * last one before it ended, so files of days that follow each other share one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/merkle.h"

struct cp_db;
struct sb_buf;

#define CP_EXPORT_FORMAT "switchboard-export-1"

enum { CP_EXPORT_STRETCH = 4096 /* entries between two checkpoints of a file, about */ };

struct cp_export {
    int32_t day;
    uint64_t from, to;
    struct sb_merkle_edge edge; /* grown as far as what was read */
    uint64_t stop;              /* size of the next checkpoint that is written */
};

/* What a day has: its export when there is one, else by the times of checkpoints.
 * SB_EAGAIN: the day is not over; SB_ENOENT: nothing was logged. */
int cp_export_find(struct cp_db *db, int32_t day, struct cp_export *ret,
                   struct sb_errmsg *err) SB_MUSTCHECK;
/* The first day that has no export and is over; it begins where the last export
 * ended.  SB_EAGAIN: there is none yet. */
int cp_export_next(struct cp_db *db, struct cp_export *ret, struct sb_errmsg *err) SB_MUSTCHECK;

/* Appends the head.  SB_EHASH: the tree is not what was signed. */
int cp_export_begin(struct cp_db *db, struct cp_export *export, struct sb_buf *out,
                    struct sb_errmsg *err) SB_MUSTCHECK;
/* Appends some lines; *ret_is_over: those were the last.  SB_EHASH: an entry is
 * not what was logged, or missing though retention did not drop it; nothing of
 * the kind is exported. */
int cp_export_more(struct cp_db *db, struct cp_export *export, struct sb_buf *out,
                   bool *ret_is_over, struct sb_errmsg *err) SB_MUSTCHECK;
