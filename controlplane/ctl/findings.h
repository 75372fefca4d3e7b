/* controlplane/ctl/findings.h - what is wrong with a log, by position. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"

/* X(NAME, "name"): the name is for programs. */
#define CTL_FINDING_MAP(X)                                                                         \
    X(CHANGED, "changed")           /* the row is not what was signed */                           \
    X(PLAIN, "plain_changed")       /* the row is, what is kept plain beside it is not */          \
    X(MOVED, "moved")               /* it is what was signed elsewhere */                          \
    X(MISSING, "missing")           /* there is no row */                                          \
    X(INSERTED, "inserted")         /* a row that was never signed */                              \
    X(HASH_CHANGED, "hash_changed") /* the row is what was signed, the stored hash is not */       \
    X(REWRITTEN, "rewritten")       /* rows and hashes fit, and are not what was signed */         \
    X(SHORTER, "shorter")           /* the log ends before a checkpoint */                         \
    X(NO_DROP, "no_drop")           /* retention cannot have done what the log says */             \
    X(GAP, "sequence_gap")          /* a worker's records are not all there */                     \
    X(REPEATED, "sequence_repeated")                                                               \
    X(OTHER_DAY, "other_day") /* an exported file is not of the day that it says */                \
    X(OTHER_KEY, "other_key")                                                                      \
    X(CONTRADICTION, "contradiction") /* two checkpoints that cannot both be */                    \
    X(BROKEN, "broken")               /* the answer is no log at all */

enum ctl_finding_kind {
#define X(name, text) CTL_FINDING_##name,
    CTL_FINDING_MAP(X)
#undef X
        CTL_FINDING_KINDS
};
const char *ctl_finding_name(enum ctl_finding_kind kind);

enum { CTL_FINDINGS_MAX = 1000 /* that are kept; the others are counted */ };

struct ctl_finding {
    enum ctl_finding_kind kind;
    bool has_place;
    uint64_t from, to; /* entries, both included */
    const char *text;  /* a sentence for people, without the end */
};

struct ctl_findings {
    struct sb_arena *arena; /* borrowed: of the texts */
    struct ctl_finding list[CTL_FINDINGS_MAX];
    size_t n;
    uint64_t total;
};

/* At entries from to to. */
void ctl_findings_add(struct ctl_findings *findings, enum ctl_finding_kind kind, uint64_t from,
                      uint64_t to, const char *fmt, ...) SB_PRINTF(5, 6);
/* Of the whole. */
void ctl_findings_add_general(struct ctl_findings *findings, enum ctl_finding_kind kind,
                              const char *fmt, ...) SB_PRINTF(3, 4);
