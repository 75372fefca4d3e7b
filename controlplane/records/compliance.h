/* controlplane/records/compliance.h - whether a request was kept to what it demanded.
 *
 * Pure.  A record says which claims were demanded, where it was served, and
 * what was held for each claim then; the judgement is made of these alone, so
 * that whoever has the record comes to the same one.  It repeats what a worker
 * does before it sends (dataplane/route/filter.c) in order to find where a
 * worker did otherwise:
 *
 *      residency   "eu": the region lies in the union, and eu_resident is yes.
 *                  "DE,FR": the region is one of them, with evidence for it,
 *                  which is that of eu_resident: yes inside the union, no
 *                  outside.  "eu,DE": both.  None: nothing keeps to it.
 *      others      the claim is yes
 *
 * each with evidence that had not expired on the day (UTC) of the request.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "proto/vocabulary.h"

struct msg_evidence;
struct msg_record;

/* X(NAME, "name"): names are in the database. */
#define CP_VERDICT_MAP(X)                                                                          \
    X(SERVED, "served")   /* an answer came from an endpoint that keeps to it */                   \
    X(REFUSED, "refused") /* by us: nothing was sent to anybody */                                 \
    X(FAILED, "failed")   /* endpoints were tried, and none answered */                            \
    X(VIOLATION, "violation")

enum cp_verdict {
#define X(name, text) CP_VERDICT_##name,
    CP_VERDICT_MAP(X)
#undef X
        CP_VERDICTS
};

/* Why it is a violation. */
#define CP_BREACH_MAP(X)                                                                           \
    X(NONE, "")                                                                                    \
    X(OUTSIDE, "outside")   /* the region is not one of those demanded, or not known */            \
    X(UNKNOWN, "unknown")   /* nothing was held for it, or that it is unknown */                   \
    X(OTHERWISE, "no")      /* the opposite was held */                                            \
    X(UNPROVEN, "unproven") /* it was said without evidence */                                     \
    X(EXPIRED, "expired")   /* the evidence had */

enum cp_breach {
#define X(name, text) CP_BREACH_##name,
    CP_BREACH_MAP(X)
#undef X
        CP_BREACHES
};

const char *cp_verdict_name(enum cp_verdict verdict);
const char *cp_breach_name(enum cp_breach breach);
/* A claim as a request demands it: "residency" is that of eu_resident.  -1: it
 * is none. */
const char *cp_demand_name(enum msg_claim_kind claim);
int cp_demand_parse(struct sb_slice name);

struct cp_judgement {
    enum cp_verdict verdict;
    enum cp_breach breach;
    /* What was held; NULL: nothing.  Borrowed from the record. */
    const struct msg_evidence *held;
};

/* Of a claim that the record demands.  A request that was served is one whose
 * record names an endpoint, however the answer ended. */
struct cp_judgement cp_compliance_judge(const struct msg_record *record, enum msg_claim_kind claim);
