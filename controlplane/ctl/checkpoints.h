/* controlplane/ctl/checkpoints.h - the checkpoints that a log is verified with. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/note.h"
#include "common/slice.h"
#include "controlplane/ctl/verify.h"

struct ctl_findings;

/* Sorted by size, one of each. */
struct ctl_checkpoints {
    struct ctl_signed *list; /* released with sb_mem_free() */
    size_t n, size;
};
void ctl_checkpoints_release(struct ctl_checkpoints *checkpoints);

/* How many bytes of how many were read: every few notes. */
typedef void ctl_checkpoints_cb(void *ctx, uint64_t done, uint64_t total);

/* The part of a log that is asked about.  A signature takes some 60 us to check,
 * a year of checkpoints minutes, so those are read that matter only: the last one
 * that is not behind from, the first one that is not before to, and all between. */
struct ctl_part {
    ctl_checkpoints_cb *on_progress; /* or NULL */
    void *ctx;
    uint64_t from, to; /* 0, UINT64_MAX: the whole log */
    bool ends_only;    /* none between: who proves something needs no other */
};

/* Of a file of notes, one behind the other, those of key's.  What another key
 * signed, and two that contradict one another, are findings; *ret_torn: texts
 * that are no notes, as a crash leaves them. */
void ctl_checkpoints_read(struct ctl_checkpoints *checkpoints, struct sb_slice text,
                          const struct sb_note_key *key, const struct ctl_part *part,
                          struct ctl_findings *findings, unsigned *ret_torn);
/* One note from elsewhere.  SB_OK; else as sb_checkpoint_open(). */
int ctl_checkpoints_add(struct ctl_checkpoints *checkpoints, struct sb_slice note,
                        const struct sb_note_key *key, struct ctl_findings *findings,
                        struct ctl_signed *ret, struct sb_errmsg *err) SB_MUSTCHECK;
/* The one of that size, or NULL. */
const struct ctl_signed *ctl_checkpoints_find(const struct ctl_checkpoints *checkpoints,
                                              uint64_t size);
/* Index of the first one that is larger. */
size_t ctl_checkpoints_above(const struct ctl_checkpoints *checkpoints, uint64_t size);
