/* controlplane/probes/probe.h - one probe, from the wish to its record.
 *
 * A probe is a question of ours to a provider: a tiny streamed completion or a
 * tiny embedding of one endpoint, or the provider's list of models.  The prober
 * (controlplane/probes/prober.h) wants it, the ledger (controlplane/probes/probe_ledger.h)
 * writes it down with the most that it may cost and lets it go, the prober
 * sends it, and the ledger writes down what became of it.
 *
 *      prober --PROBES, WANTED--> ledger      is there money for these?
 *      ledger --PROBES, GRANTED-> prober      those that are recorded may go
 *      prober --PROBES, DONE----> ledger      what they were like
 *      prober --SAMPLES---------> tables      the same as they count for routing
 *      ledger --CATALOG---------> prober      what there is to probe
 *      prober --SIGHTINGS-------> ledger      what a list of models says otherwise
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/mailbox.h"
#include "proto/record.h"
#include "proto/snapshot.h"
#include "proto/vocabulary.h"

struct sb_arena;

/* X(NAME, number, "text"): the text is in the table and in JSON. */
#define CP_PROBE_KIND_MAP(X)                                                                       \
    X(COMPLETION, 0, "completion")                                                                 \
    X(MODELS, 1, "models")                                                                         \
    X(EMBEDDING, 2, "embedding")
#define CP_PROBE_REASON_MAP(X)                                                                     \
    X(STALE, 0, "stale")   /* nothing was heard of the endpoint for an interval */                 \
    X(OUTAGE, 1, "outage") /* it is held to be down: is it back? */                                \
    X(SCHEDULED, 2, "scheduled")

#define X(name, number, text) CP_PROBE_##name = (number),
enum cp_probe_kind { CP_PROBE_KIND_MAP(X) };
#undef X
#define X(name, number, text) CP_PROBE_##name = (number),
enum cp_probe_reason { CP_PROBE_REASON_MAP(X) };
#undef X
const char *cp_probe_kind_name(enum cp_probe_kind kind);
const char *cp_probe_reason_name(enum cp_probe_reason reason);

enum { CP_PROBE_NAME_MAX = MSG_MODEL_ID_MAX + 1 + MSG_SLUG_MAX };

struct cp_probe {
    /* what is wanted */
    enum cp_probe_kind kind;
    enum cp_probe_reason reason;
    uint64_t endpoint; /* id; 0: of the whole provider */
    char provider[MSG_SLUG_MAX + 1];
    char name[CP_PROBE_NAME_MAX + 1]; /* model@tag; empty of a provider */
    int64_t reserved;                 /* 1e-15 USD: the most that it can cost */
    /* the ledger's answer */
    bool is_granted;
    sb_usec started_at; /* with term and sequence, its name */
    uint64_t sequence;
    /* what became of it */
    enum msg_outcome outcome; /* NONE: it was given up, nobody knows what it cost */
    uint16_t status;
    uint32_t connect, first_token, took; /* us; 0 none */
    uint32_t throughput;  /* after the first token, 1/1000 token per second; 0 none */
    uint32_t retry_after; /* ms; 0 none */
    struct msg_usage usage;
    int64_t cost; /* 1e-15 USD */
};

enum cp_probes_stage { CP_PROBES_WANTED, CP_PROBES_GRANTED, CP_PROBES_DONE };

/* Several in one mail. */
enum { CP_PROBES_MAX = 64 };
struct cp_probes {
    struct sb_mail mail;
    struct cp_probes *next; /* the receiver's */
    enum cp_probes_stage stage;
    uint64_t term;
    unsigned n;
    struct cp_probe probes[CP_PROBES_MAX];
};

/* What there is to probe: all of the configuration, as workers have it. */
struct cp_catalog_mail {
    struct sb_mail mail;
    uint64_t term;
    struct sb_arena *arena;
    const struct msg_snapshot *snapshot; /* in arena */
};

/* Freed by cp_mail_free(). */
struct cp_probes *cp_probes_new(enum cp_probes_stage stage, uint64_t term);
struct cp_catalog_mail *cp_catalog_mail_new(uint64_t term); /* with an arena, no snapshot */
