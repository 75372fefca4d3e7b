/* controlplane/ctl/absent.h - entries that are not there, and those of them for
 * which the log itself gives the reason: retention dropped them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/json.h"

struct ctl_findings;

enum { CTL_ABSENT_RANGES = 1 << 16 };

struct ctl_range {
    uint64_t from, to; /* both included */
};

struct ctl_absent {
    struct ctl_range missing[CTL_ABSENT_RANGES], dropped[CTL_ABSENT_RANGES];
    size_t n_missing_ranges, n_dropped_ranges;
    uint64_t n_missing, n_dropped; /* entries */
};

/* Of an entry there is only its hash; in order. */
void ctl_absent_add(struct ctl_absent *absent, uint64_t leaf);
/* An entry of kind "dropped"; what is none is nothing. */
void ctl_absent_explain(struct ctl_absent *absent, yyjson_val *entry);
/* Tells those without a reason; gives how many have one. */
uint64_t ctl_absent_end(const struct ctl_absent *absent, struct ctl_findings *findings);
