/* controlplane/ctl/sequences.h - whether all records of each worker are there.
 *
 * A worker numbers the records of a boot without holes.  What is not in the
 * log between two of them is a gap; numbers that came late close it.
 */
#pragma once

#include <stdint.h>

#include "common/slice.h"

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
};
void ctl_sequences_add(struct ctl_sequences *sequences, const struct ctl_sequence *record,
                       uint64_t leaf, uint64_t n_missing, struct ctl_findings *findings);
/* Tells the gaps that nothing closed. */
void ctl_sequences_end(struct ctl_sequences *sequences, struct ctl_findings *findings);
