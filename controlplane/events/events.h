/* controlplane/events/events.h - what happened that an operator should know of.
 *
 * Whoever notices something records it in the transaction in which it acts on
 * it, so that an event and its consequence are there both or not at all:
 *
 *      begin -> (change something) -> cp_event_record() -> commit
 *
 * The herald of the leader (controlplane/events/herald.h) sees it after the commit,
 * writes its log line and posts it to the webhook; who records does neither.
 * Kinds are a closed list here, so that metrics and filters are bounded; their
 * names are part of the contract with operators and never reused.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"
#include "controlplane/catalog/catalog.h"

struct cp_db;

/* X(NAME, "name"). */
#define CP_EVENT_MAP(X)                                                                            \
    X(OUTAGE_BEGAN, "outage_began")                                                                \
    X(OUTAGE_ENDED, "outage_ended")                                                                \
    X(EVIDENCE_EXPIRING, "evidence_expiring")                                                      \
    X(EVIDENCE_EXPIRED, "evidence_expired")                                                        \
    X(PRICE_CHANGED, "price_changed")            /* seen and applied */                            \
    X(PRICE_DIFFERS, "price_differs")            /* seen and only reported */                      \
    X(PRICE_ROSE, "price_rose")                  /* by more than may be applied */                 \
    X(MODEL_MISSING, "model_missing")            /* the provider does not list it any more */      \
    X(MODEL_FOUND, "model_found")                /* it does again */                               \
    X(CONTEXT_DIFFERS, "context_differs")        /* the provider claims another length */          \
    X(ADDRESS_OUTSIDE, "address_outside_region") /* an address is not in the claimed region */     \
    X(PROBE_BUDGET_SPENT, "probe_budget_spent")  /* no more probes today */                        \
    X(LOG_FORKED, "log_forked")                  /* it contradicts a checkpoint */                 \
    /* a request was served outside of what it demanded */                                         \
    X(COMPLIANCE_VIOLATION, "compliance_violation")

enum cp_event_kind {
#define X(name, text) CP_EVENT_##name,
    CP_EVENT_MAP(X)
#undef X
        CP_EVENT_KINDS
};

#define CP_SEVERITY_MAP(X)                                                                         \
    X(INFO, "info")                                                                                \
    X(WARNING, "warning")                                                                          \
    X(CRITICAL, "critical")

/* The numbers are those of the database. */
enum cp_severity {
#define X(name, text) CP_SEVERITY_##name,
    CP_SEVERITY_MAP(X)
#undef X
        CP_SEVERITIES
};

const char *cp_event_name(enum cp_event_kind kind);      /* "outage_began" */
const char *cp_severity_name(enum cp_severity severity); /* "warning" */
/* -1 when it is none. */
int cp_event_parse(struct sb_slice name);
int cp_severity_parse(struct sb_slice name);

enum { CP_EVENT_TEXT_MAX = 2000, CP_EVENT_DETAIL_MAX = 64 * 1024, CP_EVENT_ONCE_MAX = 1000 };

struct cp_event {
    enum cp_event_kind kind;
    enum cp_severity severity;
    enum cp_kind subject_kind;
    const char *subject_class; /* of what is in no catalogue ("log"), instead; or NULL */
    struct sb_slice subject;   /* name of the object: "acme/model-1@acme/turbo", "acme" */
    struct sb_slice text;      /* one sentence for people; cut at CP_EVENT_TEXT_MAX */
    struct sb_slice detail;    /* a JSON object for programs; none: nothing */
    uint64_t revision;         /* of the configuration that it is about; 0: none */
    uint64_t term;             /* of the leader that noticed; 0: none did */
    /* Events with the same text here are one: only the first is recorded, in
     * all time.  None: each is its own. */
    struct sb_slice once;
};

/* Records it in the transaction that db is in (or in one of its own).
 * *ret_id: its number; 0 when `once` says that it was recorded before.
 *
 * What came from outside may be in text and detail: NUL bytes and malformed
 * UTF-8 are replaced in text.  SB_EINVAL: detail is no JSON object, or holds a
 * NUL character, which the database cannot store; nothing was sent to it, and
 * the transaction goes on.  SB_ETOOBIG: detail or once is over its ceiling.
 * Other codes of controlplane/db.h: the transaction has failed. */
int cp_event_record(struct cp_db *db, const struct cp_event *event, int64_t *ret_id) SB_MUSTCHECK;

/* New events are announced to listeners of this channel when they are
 * committed; the payload is empty. */
#define CP_CHANNEL_EVENTS "switchboard_events"
