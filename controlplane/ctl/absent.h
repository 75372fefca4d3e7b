/* controlplane/ctl/absent.h - entries that are not there, and those of them for
 * which the log itself gives the reason: retention dropped them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ctl_drops;
struct ctl_findings;

enum { CTL_ABSENT_RANGES = 1 << 16 };

struct ctl_range {
    uint64_t from, to; /* both included */
    unsigned file;
};

struct ctl_absent {
    struct ctl_range missing[CTL_ABSENT_RANGES];
    size_t n_missing_ranges;
    uint64_t n_missing; /* entries */
};

/* Of an entry of that file there is only its hash; in order. */
void ctl_absent_add(struct ctl_absent *absent, uint64_t leaf, unsigned file);
/* Tells those without a reason, and drops that were none; gives how many entries have a
 * reason.  drops are judged. */
uint64_t ctl_absent_end(const struct ctl_absent *absent, struct ctl_drops *drops,
                        struct ctl_findings *findings);
