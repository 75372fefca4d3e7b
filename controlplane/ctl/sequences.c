/* controlplane/ctl/sequences.c */
#include "controlplane/ctl/sequences.h"

#include <inttypes.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/timefmt.h"
#include "controlplane/ctl/drops.h"
#include "controlplane/ctl/findings.h"

/* uthash's default falls through cases in a way that clang reports. */
#define HASH_FUNCTION(s, len, hashv) HASH_SAX(s, len, hashv)
#define uthash_malloc(size)          sb_mem_new(size)
#define uthash_free(p, size)         sb_mem_free(p)
#include <uthash.h>

/* Numbers that are not there, between two that are. */
struct gap {
    struct gap *next;
    uint64_t from, to;             /* numbers, both included */
    uint64_t leaf_before, leaf_at; /* entries of those around it */
    bool is_missed;                /* entries are missing there as well */
    int64_t after;                 /* when the record before it was received; -1: not known */
};

struct boot {
    UT_hash_handle hh;
    uint64_t number, leaf, n_missing; /* of the last one */
    int64_t received_at;
    struct gap *gaps; /* newest first */
    char *name;       /* of the worker; terminated */
    size_t n_key;
    char key[]; /* boot, worker */
};

struct ctl_sequences {
    struct boot *boots;
    char *key;
    size_t key_size;
};

struct ctl_sequences *ctl_sequences_new(void)
{
    return sb_mem_new(sizeof(struct ctl_sequences));
}

void ctl_sequences_destroy(struct ctl_sequences **sequencesp)
{
    struct ctl_sequences *sequences = *sequencesp;
    struct boot *boot, *next;

    *sequencesp = NULL;
    if (sequences == NULL)
        return;
    HASH_ITER(hh, sequences->boots, boot, next)
    {
        HASH_DEL(sequences->boots, boot);
        while (boot->gaps != NULL) {
            struct gap *gap = boot->gaps;

            boot->gaps = gap->next;
            sb_mem_free(gap);
        }
        sb_mem_free(boot);
    }
    sb_mem_free(sequences->key);
    sb_mem_free(sequences);
}

static struct boot *find(struct ctl_sequences *sequences, const struct ctl_sequence *record,
                         bool *ret_new)
{
    size_t n = sizeof(record->boot) + record->worker.n;
    struct boot *boot;

    if (n > sequences->key_size) {
        sb_mem_free(sequences->key);
        sequences->key = sb_mem_new(n);
        sequences->key_size = n;
    }
    memcpy(sequences->key, &record->boot, sizeof(record->boot));
    if (record->worker.n > 0)
        memcpy(sequences->key + sizeof(record->boot), record->worker.p, record->worker.n);
    HASH_FIND(hh, sequences->boots, sequences->key, n, boot);
    *ret_new = boot == NULL;
    if (boot != NULL)
        return boot;
    boot = sb_mem_new(sizeof(*boot) + n + 1);
    memcpy(boot->key, sequences->key, n);
    boot->name = boot->key + sizeof(record->boot);
    boot->n_key = n;
    HASH_ADD_KEYPTR(hh, sequences->boots, boot->key, n, boot);
    return boot;
}

static void open_gap(struct boot *boot, uint64_t from, uint64_t to, uint64_t leaf, bool is_missed)
{
    struct gap *gap = sb_mem_new(sizeof(*gap));

    *gap = (struct gap){.next = boot->gaps,
                        .from = from,
                        .to = to,
                        .leaf_before = boot->leaf,
                        .leaf_at = leaf,
                        .is_missed = is_missed,
                        .after = boot->received_at};
    boot->gaps = gap;
}

/* false: no gap has that number. */
static bool close_gap(struct boot *boot, uint64_t number)
{
    for (struct gap **at = &boot->gaps; *at != NULL; at = &(*at)->next) {
        struct gap *gap = *at;

        if (number < gap->from || number > gap->to)
            continue;
        if (gap->from == gap->to) {
            *at = gap->next;
            sb_mem_free(gap);
        } else if (number == gap->from) {
            gap->from++;
        } else if (number == gap->to) {
            gap->to--;
        } else {
            struct gap *rest = sb_mem_new(sizeof(*rest));

            *rest = *gap;
            rest->from = number + 1;
            gap->to = number - 1;
            gap->next = rest;
        }
        return true;
    }
    return false;
}

void ctl_sequences_add(struct ctl_sequences *sequences, const struct ctl_sequence *record,
                       uint64_t leaf, uint64_t n_missing, struct ctl_findings *findings)
{
    bool is_new;
    struct boot *boot = find(sequences, record, &is_new);

    if (is_new) {
        boot->leaf = leaf;
        if (record->number > 1 && n_missing == 0)
            open_gap(boot, 1, record->number - 1, leaf, false);
    } else if (record->number <= boot->number) {
        if (!close_gap(boot, record->number) && n_missing == boot->n_missing)
            ctl_findings_add(findings, CTL_FINDING_REPEATED, leaf, leaf,
                             "record %" PRIu64 " of worker %.100s (boot %" PRIu64
                             ") is there twice, or out of its order",
                             record->number, boot->name, record->boot);
        return;
    }
    if (!is_new && record->number > boot->number + 1)
        open_gap(boot, boot->number + 1, record->number - 1, leaf, n_missing != boot->n_missing);
    boot->received_at = record->received_at;
    boot->number = record->number;
    boot->leaf = leaf;
    boot->n_missing = n_missing;
}

/* Numbers whose entries are missing, too, which is told already, unless a drop is the
 * reason: then of the day of the record before them, or later; a day before it, where
 * one lasted over midnight. */
static void judge_missed(const struct boot *boot, const struct gap *gap,
                         const struct ctl_drops *drops, struct ctl_findings *findings)
{
    char day[SB_DATE_TEXT_MAX];
    int32_t number;

    if (gap->after < 0 || gap->leaf_at <= gap->leaf_before + 1)
        return;
    number = sb_day_of((sb_usec)gap->after);
    if (!ctl_drops_are_older(drops, gap->leaf_before + 1, gap->leaf_at - 1, number - 1))
        return;
    (void)sb_date_format(number, day);
    ctl_findings_add(findings, CTL_FINDING_NO_DROP, gap->leaf_before + 1, gap->leaf_at - 1,
                     "records %" PRIu64 " to %" PRIu64 " of worker %.100s, which came behind one "
                     "of %s, are missing, and only days long before that were dropped there",
                     gap->from, gap->to, boot->name, day);
}

static void tell_gap(const struct boot *boot, const struct gap *gap, struct ctl_findings *findings)
{
    uint64_t number;

    memcpy(&number, boot->key, sizeof(number));
    if (gap->from == gap->to)
        ctl_findings_add(findings, CTL_FINDING_GAP, gap->leaf_before, gap->leaf_at,
                         "record %" PRIu64 " of worker %.100s (boot %" PRIu64
                         ") never reached the log",
                         gap->from, boot->name, number);
    else
        ctl_findings_add(findings, CTL_FINDING_GAP, gap->leaf_before, gap->leaf_at,
                         "records %" PRIu64 " to %" PRIu64 " of worker %.100s (boot %" PRIu64
                         ") never reached the log",
                         gap->from, gap->to, boot->name, number);
}

void ctl_sequences_end(struct ctl_sequences *sequences, const struct ctl_drops *drops,
                       bool has_beginnings, struct ctl_findings *findings)
{
    struct boot *boot, *next;

    HASH_ITER(hh, sequences->boots, boot, next)
    {
        for (const struct gap *gap = boot->gaps; gap != NULL; gap = gap->next) {
            if (gap->is_missed)
                judge_missed(boot, gap, drops, findings);
            else if (gap->from > 1 || has_beginnings)
                tell_gap(boot, gap, findings);
        }
    }
}
