/* tests/sim/journal.h - what the provider received, for tests to look at.
 *
 * The last requests as bytes, and counters of everything.  A record is written
 * to while its request runs; it may be dropped from the journal meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/list.h"
#include "common/slice.h"

struct sb_json;

/* X(name, help): the counters; gauges are marked. */
#define SIM_COUNTER_MAP(X)                                                                         \
    X(requests, "received whole")                                                                  \
    X(answered, "answers written to their end, errors too")                                        \
    X(failed, "ended as a behaviour said: cut, reset, closed")                                     \
    X(aborted, "whose client left before the end of its answer")                                   \
    X(streams, "answers begun as a stream")                                                        \
    X(streams_aborted, "of these, whose client left before the end")                               \
    X(truncated, "whose client left before the end of its request")                                \
    X(malformed, "that were no HTTP")                                                              \
    X(connections, "accepted")                                                                     \
    X(released, "requests that were released")                                                     \
    X(open_connections, "gauge")                                                                   \
    X(open_requests, "gauge: being answered")                                                      \
    X(open_streams, "gauge")                                                                       \
    X(held, "gauge: waiting for a release")                                                        \
    X(hanging, "gauge: never answered")                                                            \
    X(script_left, "gauge: uses of scripted behaviours")

struct sim_counters {
#define X(name, help) uint64_t name;
    SIM_COUNTER_MAP(X)
#undef X
};

enum sim_outcome {
    SIM_OUTCOME_OPEN,
    SIM_OUTCOME_ANSWERED,
    SIM_OUTCOME_FAILED,
    SIM_OUTCOME_ABORTED,
};

struct sim_record {
    struct sb_list link;
    struct sim_record **owner; /* who writes to it, cleared when it goes; NULL: nobody */
    uint64_t number;           /* of the request, from 1 */
    uint64_t connection;       /* from 1 */
    int status;                /* of the answer; 0: none yet */
    int64_t events;            /* of a stream, written so far */
    bool stream;
    enum sim_outcome outcome;
    uint32_t head_n; /* bytes of the head */
    uint64_t body_n; /* bytes of the body as it came */
    uint32_t kept_n; /* bytes of it that are kept */
    char bytes[];    /* head, then body */
};

struct sim_journal {
    struct sb_list records; /* oldest first */
    uint32_t n, max;        /* max 0: nothing is kept */
    uint64_t bytes;
    struct sim_counters count;
};

void sim_journal_init(struct sim_journal *journal, uint32_t max);
void sim_journal_release(struct sim_journal *journal);
/* Drops the records and the counters that are no gauges. */
void sim_journal_clear(struct sim_journal *journal);
/* Copies a request that came in whole and sets *owner to its record, or to NULL
 * when none is kept.  *owner is cleared when the record goes. */
void sim_journal_add(struct sim_journal *journal, const struct sim_record *facts,
                     struct sb_slice head, struct sb_slice body, struct sim_record **owner);
/* The request is over: the record stays as it is. */
void sim_journal_leave(struct sim_record **owner);

/* {"requests": [...], "counters": {...}}: records with a number over since. */
void sim_journal_show(const struct sim_journal *journal, uint64_t since, struct sb_json *json);
void sim_counters_show(const struct sim_counters *count, struct sb_json *json);
/* Is the counter of that name in the range "from-to", or at least "from"?
 * SB_EINVAL: there is no such counter, or it is no range. */
int sim_counters_meet(const struct sim_counters *count, struct sb_slice name, struct sb_slice range,
                      bool *ret_met) SB_MUSTCHECK;
