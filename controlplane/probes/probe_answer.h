/* controlplane/probes/probe_answer.h - reads what a provider answers to a probe.
 *
 * Pure: bytes and times come from the caller.  Takes a streamed chat
 * completion as it arrives, or an embedding that is whole, and says when there
 * is no need to read on, what kind of outcome it was, and what it measured.
 * Nothing of the text is kept.
 *
 *      init -> take... or take_embedding -> end -> release
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/slice.h"
#include "common/sse.h"
#include "proto/record.h"
#include "proto/vocabulary.h"

enum {
    CP_PROBE_EVENT_MAX = 64 * 1024,   /* bytes of one event */
    CP_PROBE_ANSWER_MAX = 256 * 1024, /* bytes of all of it */
    CP_PROBE_EMBEDDING_MAX = 1 << 20,
};

struct cp_probe_answer {
    struct sb_sse sse;
    size_t bytes;
    bool has_content; /* or a finish reason: the first answer that counts */
    bool is_finished; /* a finish reason came */
    bool is_over;     /* [DONE] came */
    bool is_bad;      /* an error, no JSON, too big */
    unsigned pieces;  /* of content */
    uint64_t content_bytes;
    sb_msec first_at, last_at; /* first and last content; meaningful with content */
    struct msg_usage usage;    /* source NONE until it was told */
};

void cp_probe_answer_init(struct cp_probe_answer *answer);
void cp_probe_answer_release(struct cp_probe_answer *answer);

/* Bytes of the body of a 200.  SB_OK: go on; SB_EEOF: it is complete; SB_EPARSE:
 * it is none, more would not help. */
int cp_probe_answer_take(struct cp_probe_answer *answer, struct sb_slice bytes,
                         sb_msec at) SB_MUSTCHECK;

/* The whole body of a 200; at: when its last byte came.  What is no embedding
 * leaves the answer without content. */
void cp_probe_answer_take_embedding(struct cp_probe_answer *answer, struct sb_slice text,
                                    sb_msec at);

/* The connection is over, or was ended by us.  What the answer amounts to;
 * fills in usage where none was told. */
enum msg_outcome cp_probe_answer_end(struct cp_probe_answer *answer, uint64_t request_bytes);

/* Tokens per second after the first, in thousandths; 0: too little came for
 * a rate. */
uint32_t cp_probe_answer_throughput(const struct cp_probe_answer *answer);

/* What a status says that is not 200. */
enum msg_outcome cp_probe_outcome_of_status(unsigned status);
