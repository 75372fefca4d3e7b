/* dataplane/dialect.h - the language that a provider speaks.
 *
 * One const vtable per dialect, one file each under dataplane/dialect/; the
 * request path has no "if (provider == ...)".  All functions are pure: bytes
 * and facts in, bytes and facts out; no I/O, no clock.
 *
 * Clients speak OpenAI's language.  A dialect turns a client's body into the
 * provider's, and the provider's answer, whole or event by event, into what
 * strict OpenAI clients accept (ROUTING.md 9).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"
#include "common/splice.h"
#include "common/sse.h"
#include "dataplane/route/requirements.h"
#include "proto/record.h"
#include "proto/vocabulary.h"

/* A client's body and what has to change in it for one attempt. */
struct dp_outgoing {
    const struct dp_requirements *ask; /* the scanned body, and where its members are */
    struct sb_slice model_json;        /* the provider's name for it; a JSON string */
    struct sb_slice user_json;         /* hash to send as "user"; empty: nothing is sent */
    uint64_t drop;                     /* bits 1 << enum msg_parameter: not supported there */
    const char *limit_member; /* what the limit of tokens is called there; NULL: as it is */
    struct sb_arena *arena;
};

struct dp_pieces {
    struct sb_slice *list; /* the first DP_PIECES_HEAD are left for the head */
    size_t n;              /* with them */
};

enum { DP_PIECES_HEAD = 2 };

/* Bytes behind the head. */
size_t dp_pieces_body(const struct dp_pieces *pieces);

/* One answer of a provider on its way to the client. */
struct dp_incoming {
    /* Set by the caller.  JSON strings are with quotes, escaped. */
    enum msg_api api;
    uint32_t n;                    /* choices asked for; at least 1 */
    struct sb_slice id_json;       /* generation id */
    struct sb_slice model_json;    /* the catalogue's id of the model that serves */
    struct sb_slice provider_json; /* display name */
    int64_t created;               /* unix seconds, where the provider says none */
    struct sb_arena *arena;        /* of the request; little is taken from it */

    /* Facts, filled by read_answer() and on_event(). */
    bool has_content;  /* content, reasoning, refusal, a tool call or a finish reason came */
    uint32_t finished; /* choices that have a finish reason */
    uint64_t finished_bits[2];     /* which of them, by index */
    bool is_told;                  /* usage came with or after the last finish reason */
    bool is_done;                  /* its own end mark came */
    bool has_error;                /* inside a 200 or a stream */
    int error_status;              /* its numeric code; 0 none */
    struct sb_slice error_message; /* in the arena; empty: none that may be shown */
    struct sb_slice finish_reason; /* the last one, in the arena */
    struct msg_usage usage;        /* source: MSG_USAGE_SOURCE_PROVIDER once it told */
    uint64_t content_bytes;        /* of completion text, for an estimate */
    uint64_t bad_events;           /* that were no JSON and dropped */

    /* Before write_answer() and end(): */
    struct sb_slice usage_json; /* object; empty: none */
    const char *metadata_name;  /* an object beside it; NULL: none */
    struct sb_slice metadata_json;

    /* The dialect's own. */
    struct sb_splice answer;         /* from read_answer() to write_answer() */
    bool repair;                     /* likewise */
    struct dp_openai_repeat *repeat; /* chunks alike; in the arena; NULL none yet */
};

/* What an error answer means. */
struct dp_verdict {
    enum msg_outcome outcome;
    struct sb_slice message; /* provider's text, in the arena; may carry a key: 401-403 */
};

struct dp_dialect {
    const char *name; /* as in the provider record: "openai" */
    /* Path below the base URL; NULL when the dialect has no such API. */
    const char *(*path)(enum msg_api api);
    /* The body of one attempt, in pieces that live as long as the request's body
     * and arena; the list is in the arena, too.  SB_ENOSPC, SB_ETOOBIG, SB_ENOMEM. */
    int (*encode)(const struct dp_outgoing *outgoing, struct dp_pieces *ret_body);
    /* A whole 2xx answer: learns the facts.  SB_EPARSE: not JSON, or no answer;
     * SB_OK with has_error: an error that came with a good status.  Borrows
     * body until write_answer(). */
    int (*read_answer)(struct dp_incoming *in, struct sb_slice body);
    /* Appends what was read, as the client gets it. */
    int (*write_answer)(struct dp_incoming *in, struct sb_buf *out);
    /* One event of a stream.  Learns the facts and appends what the client gets
     * of it: whole events; nothing for comments, usage, errors and end marks. */
    int (*on_event)(struct dp_incoming *in, const struct sb_sse_event *event, struct sb_buf *out);
    /* The last chunk, with usage, and the end mark. */
    int (*end)(struct dp_incoming *in, struct sb_buf *out);
    /* The chunk that ends a stream that failed after content; no end mark.
     * error: JSON object. */
    int (*fail)(struct dp_incoming *in, struct sb_slice error, struct sb_buf *out);
    /* An answer that is not 2xx. */
    void (*classify)(int status, struct sb_slice body, struct sb_arena *arena,
                     struct dp_verdict *ret_verdict);
};

extern const struct dp_dialect dp_dialect_openai; /* dialect/openai.c */

/* By the name in the provider record; NULL when this worker has none. */
const struct dp_dialect *dp_dialect_find(struct sb_slice name);
/* The names of all, ended by NULL. */
extern const char *const dp_dialects[];
/* Comma-separated, for HELLO. */
const char *dp_dialect_names(void);
