/* controlplane/ctl/verify.h - checks a log, line by line, against checkpoints.
 *
 * Pure.  The lines are those of GET audit/log (controlplane/admin/audit_log.c);
 * nothing in them is believed.  Each entry is hashed again, the tree is grown
 * from the hashes that are stored beside the entries, and at each checkpoint
 * its root has to be the one that was signed:
 *
 *      the stored hashes give the root     they are what was signed, so an entry
 *                                          that does not fit its own was changed
 *      else the entries' own hashes do     the entries are what was signed
 *      else                                something between this checkpoint and
 *                                          the one before was rewritten; behind
 *                                          it nothing can be said any more
 *
 *      new -> feed... -> end -> destroy
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/merkle.h"
#include "common/slice.h"

struct ctl_drops;
struct ctl_findings;
struct ctl_verify;

struct ctl_signed {
    uint64_t size;
    struct sb_hash root;
};

/* start: the edge to begin with, which has been checked (all zero: from the
 * beginning).  checkpoints: sorted, those beyond start; borrowed, as are start
 * and findings. */
struct ctl_verify *ctl_verify_new(const struct sb_merkle_edge *start,
                                  const struct ctl_signed *checkpoints, size_t n,
                                  struct ctl_findings *findings);
void ctl_verify_destroy(struct ctl_verify **verify);
/* A piece of the stream, cut anywhere.  SB_EPARSE: that is no such stream (a
 * finding says so); SB_ETOOBIG, SB_ENOMEM. */
int ctl_verify_feed(struct ctl_verify *verify, struct sb_slice piece) SB_MUSTCHECK;
/* Nothing comes any more.  to: where the log was asked to end, or UINT64_MAX
 * for its head. */
void ctl_verify_end(struct ctl_verify *verify, uint64_t to);

/* For people. */
struct ctl_verified {
    uint64_t entries;     /* that were there */
    uint64_t next;        /* the first leaf that did not come */
    uint64_t proved;      /* size of the last checkpoint that fits */
    uint64_t checkpoints; /* that fit */
    uint64_t dropped;     /* entries that retention dropped, as the log itself says */
    uint64_t erased;      /* records whose salts were destroyed, likewise */
    uint64_t late;        /* records of exported days that are from before them */
    uint64_t older;       /* records in no log that say they are from before its first one */
};
struct ctl_verified ctl_verify_result(const struct ctl_verify *verify);
/* What retention dropped; judged when the verification has ended.  Borrowed. */
const struct ctl_drops *ctl_verify_drops(const struct ctl_verify *verify);
