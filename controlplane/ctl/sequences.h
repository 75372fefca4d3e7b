/* controlplane/ctl/sequences.h - whether all records of each worker are there.
 *
 * A worker numbers the records of a boot without holes, from 1 on.  What is not in the
 * log between two of them is a gap; numbers that came late close it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

struct ctl_drops;
struct ctl_findings;
struct ctl_sequences;

struct ctl_sequences *ctl_sequences_new(void);
void ctl_sequences_destroy(struct ctl_sequences **sequences);

/* The record with this number of a worker's boot is entry leaf.  n_missing:
 * entries that were found missing so far; their numbers are not asked for
 * again. */
struct ctl_sequence {
    struct sb_slice worker;
    uint64_t boot, number;
    int64_t received_at; /* microseconds since 1970 UTC; -1: not known */
};
void ctl_sequences_add(struct ctl_sequences *sequences, const struct ctl_sequence *record,
                       uint64_t leaf, uint64_t n_missing, struct ctl_findings *findings);
/* Tells the gaps that nothing closed.  has_beginnings: each boot began in the
 * log, so that what is missing in front of its first record is a gap, too,
 * unless entries were missing before.  Numbers that are missing where entries are, too,
 * were dropped: by a drop of a day that they can be of, since a worker numbers records
 * when they end. */
void ctl_sequences_end(struct ctl_sequences *sequences, const struct ctl_drops *drops,
                       bool has_beginnings, struct ctl_findings *findings);
