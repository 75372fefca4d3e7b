/* controlplane/ctl/absent.c */
#include "controlplane/ctl/absent.h"

#include <inttypes.h>

#include "common/merkle.h"
#include "controlplane/ctl/findings.h"

void ctl_absent_add(struct ctl_absent *absent, uint64_t leaf)
{
    size_t *n = &absent->n_missing_ranges;

    absent->n_missing++;
    if (*n > 0 && absent->missing[*n - 1].to + 1 == leaf)
        absent->missing[*n - 1].to = leaf;
    else if (*n < CTL_ABSENT_RANGES)
        absent->missing[(*n)++] = (struct ctl_range){leaf, leaf};
}

void ctl_absent_explain(struct ctl_absent *absent, yyjson_val *entry)
{
    uint64_t first, last, rows;
    struct sb_slice kind;

    if (sb_json_get_text(entry, "kind", &kind) != SB_OK || !sb_slice_is(kind, "dropped") ||
        sb_json_get_u64(entry, "rows", &rows) != SB_OK ||
        sb_json_get_u64(entry, "first_leaf", &first) != SB_OK ||
        sb_json_get_u64(entry, "last_leaf", &last) != SB_OK || first > last ||
        last > SB_MERKLE_SIZE_MAX || rows > SB_MERKLE_SIZE_MAX)
        return;
    absent->n_dropped += rows;
    if (absent->n_dropped_ranges < CTL_ABSENT_RANGES)
        absent->dropped[absent->n_dropped_ranges++] = (struct ctl_range){first, last};
}

/* How far from `from` on retention is the reason; from: it is not. */
static uint64_t dropped_up_to(const struct ctl_absent *absent, uint64_t from, uint64_t to)
{
    uint64_t end = from;
    bool is_longer = true;

    while (is_longer && end <= to) {
        is_longer = false;
        for (size_t i = 0; i < absent->n_dropped_ranges; i++)
            if (absent->dropped[i].from <= end && absent->dropped[i].to >= end) {
                end = absent->dropped[i].to + 1;
                is_longer = true;
            }
    }
    return end <= to ? end : to + 1;
}

static void tell_missing(struct ctl_findings *findings, uint64_t from, uint64_t to)
{
    if (from == to)
        ctl_findings_add(findings, CTL_FINDING_MISSING, from, to, "entry %" PRIu64 " is missing",
                         from);
    else
        ctl_findings_add(findings, CTL_FINDING_MISSING, from, to,
                         "entries %" PRIu64 " to %" PRIu64 " are missing", from, to);
}

uint64_t ctl_absent_end(const struct ctl_absent *absent, struct ctl_findings *findings)
{
    uint64_t dropped = 0;

    for (size_t i = 0; i < absent->n_missing_ranges; i++) {
        uint64_t from = absent->missing[i].from, to = absent->missing[i].to;

        while (from <= to) {
            uint64_t end = dropped_up_to(absent, from, to), next = from;

            dropped += end - from;
            if (end > from) {
                from = end;
                continue;
            }
            while (next <= to && dropped_up_to(absent, next, to) == next)
                next++;
            tell_missing(findings, from, next - 1);
            from = next;
        }
    }
    if (dropped > absent->n_dropped)
        ctl_findings_add_general(findings, CTL_FINDING_MISSING,
                                 "%" PRIu64 " entries are missing where retention dropped %" PRIu64
                                 " only",
                                 dropped, absent->n_dropped);
    return dropped;
}
