/* controlplane/ctl/absent.c */
#include "controlplane/ctl/absent.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "common/timefmt.h"
#include "controlplane/ctl/drops.h"
#include "controlplane/ctl/findings.h"

void ctl_absent_add(struct ctl_absent *absent, uint64_t leaf, unsigned file)
{
    size_t *n = &absent->n_missing_ranges;

    absent->n_missing++;
    if (*n > 0 && absent->missing[*n - 1].to + 1 == leaf && absent->missing[*n - 1].file == file)
        absent->missing[*n - 1].to = leaf;
    else if (*n < CTL_ABSENT_RANGES)
        absent->missing[(*n)++] = (struct ctl_range){leaf, leaf, file};
}

/* --- what has no reason ---------------------------------------------------------------- */

/* Why the drop that says that it took the entry is no reason; nothing: there is none. */
static void explain(const struct ctl_drops *drops, uint64_t leaf, char *text, size_t size)
{
    char day[SB_DATE_TEXT_MAX];
    const struct ctl_drop *drop;
    uint64_t there;
    int n;

    text[0] = '\0';
    drop = ctl_drops_claim(drops, leaf, &there);
    if (drop == NULL)
        return;
    (void)sb_date_format(drop->day, day);
    n = snprintf(text, size, "; entry %" PRIu64 " says that retention dropped %s of %s, but ",
                 drop->leaf, ctl_history_name(drop->table), day);
    text += n;
    size -= (size_t)n;
    if (drop->wrong != NULL)
        (void)snprintf(text, size, "%s", drop->wrong);
    else if (!drop->is_signed)
        (void)snprintf(text, size, "no checkpoint has that yet: try again when one has");
    else
        (void)snprintf(text, size,
                       "days are dropped as a whole, and entry %" PRIu64 " of it is there", there);
}

static void tell_missing(const struct ctl_drops *drops, uint64_t from, uint64_t to,
                         struct ctl_findings *findings)
{
    char why[400];

    explain(drops, from, why, sizeof(why));
    if (from == to)
        ctl_findings_add(findings, CTL_FINDING_MISSING, from, to, "entry %" PRIu64 " is missing%s",
                         from, why);
    else
        ctl_findings_add(findings, CTL_FINDING_MISSING, from, to,
                         "entries %" PRIu64 " to %" PRIu64 " are missing%s", from, to, why);
}

/* Gives how many entries of the range have a reason. */
static uint64_t tell_range(const struct ctl_drops *drops, const struct ctl_range *range,
                           struct ctl_findings *findings)
{
    uint64_t from = range->from, explained = 0;

    while (from <= range->to) {
        uint64_t end = ctl_drops_reach(drops, from, range->to), next;

        explained += end - from;
        if (end > from) {
            from = end;
            continue;
        }
        next = ctl_drops_next(drops, from, range->to);
        tell_missing(drops, from, next - 1, findings);
        from = next;
    }
    return explained;
}

/* --- what is too much ------------------------------------------------------------------------ */

static int compare_firsts(const void *a, const void *b)
{
    uint64_t one = ((const struct ctl_drop *)a)->first, other = ((const struct ctl_drop *)b)->first;

    return one < other ? -1 : one > other ? 1 : 0;
}

static uint64_t missing_within(const struct ctl_absent *absent, uint64_t first, uint64_t last)
{
    uint64_t n = 0;

    for (size_t i = 0; i < absent->n_missing_ranges; i++) {
        uint64_t from = absent->missing[i].from, to = absent->missing[i].to;

        from = from > first ? from : first;
        to = to < last ? to : last;
        n += from <= to ? to - from + 1 : 0;
    }
    return n;
}

/* Drops whose entries overlap, as those of a day's tables do, have no more of them
 * together than their rows are. */
static void count_rows(const struct ctl_absent *absent, const struct ctl_drops *drops,
                       struct ctl_findings *findings)
{
    size_t n, used = 0;
    const struct ctl_drop *list = ctl_drops_list(drops, &n);
    struct ctl_drop *sorted = sb_mem_new((n + 1) * sizeof(*sorted));

    for (size_t i = 0; i < n; i++)
        if (list[i].has_entries && list[i].wrong == NULL && list[i].is_signed)
            sorted[used++] = list[i];
    qsort(sorted, used, sizeof(*sorted), compare_firsts);
    for (size_t i = 0, next; i < used; i = next) {
        uint64_t first = sorted[i].first, last = sorted[i].last, rows = sorted[i].rows, gone;

        for (next = i + 1; next < used && sorted[next].first <= last; next++) {
            rows += sorted[next].rows;
            last = last > sorted[next].last ? last : sorted[next].last;
        }
        gone = missing_within(absent, first, last);
        if (gone > rows)
            ctl_findings_add(findings, CTL_FINDING_MISSING, first, last,
                             "%" PRIu64 " entries from %" PRIu64 " to %" PRIu64
                             " are missing where retention dropped %" PRIu64 " only",
                             gone, first, last, rows);
    }
    sb_mem_free(sorted);
}

static void tell_wrong(const struct ctl_drops *drops, struct ctl_findings *findings)
{
    size_t n;
    const struct ctl_drop *list = ctl_drops_list(drops, &n);
    char day[SB_DATE_TEXT_MAX];

    for (size_t i = 0; i < n; i++) {
        if (list[i].wrong == NULL)
            continue;
        (void)sb_date_format(list[i].day, day);
        ctl_findings_add(findings, CTL_FINDING_NO_DROP, list[i].leaf, list[i].leaf,
                         "entry %" PRIu64 " says that retention dropped %s of %s, which it cannot "
                         "have: %s",
                         list[i].leaf, ctl_history_name(list[i].table), day, list[i].wrong);
    }
}

uint64_t ctl_absent_end(const struct ctl_absent *absent, struct ctl_drops *drops,
                        struct ctl_findings *findings)
{
    uint64_t dropped = 0;

    tell_wrong(drops, findings);
    for (size_t i = 0; i < absent->n_missing_ranges; i++) {
        if (i == 0 || absent->missing[i].file != absent->missing[i - 1].file)
            ctl_drops_turn_to(drops, absent->missing[i].file);
        dropped += tell_range(drops, &absent->missing[i], findings);
    }
    count_rows(absent, drops, findings);
    return dropped;
}
