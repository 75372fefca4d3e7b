/* proto/bus.h - the messages of the bus other than snapshot, tables, record.
 *
 * Every message is: frame 0 the envelope, frame 1 the body of its kind (may
 * be empty), frame 2 bulk bytes where the kind says so.  On PUB a topic frame
 * of one byte stands before: 'S', 'T' or 'H'.
 *
 *  worker -> control                      control -> worker
 *  HELLO   who I am, what I hold          WELCOME  who leads, what is newest
 *  GET     snapshot or all tables         SNAPSHOT announce + bulk bytes; TABLES bulk bytes
 *  ACK / NACK a version                   NOT_LEADER  ask another daemon
 *  BATCH   bulk = records                 BATCH_OK  committed up to a sequence
 *  BEAT    load and folded telemetry      QUERY  explain (bulk = JSON body)
 *  QUERY   generation, key, credits,      ANSWER bulk = JSON
 *          receipt
 *  ANSWER  bulk = JSON
 *                                         PUB: ANNOUNCE (S), TABLES (T, bulk), HEARTBEAT (H)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"
#include "proto/limits.h"
#include "proto/version.h"

enum { MSG_PROTOCOL = 1, MSG_PROTOCOL_MIN = 1 };

/* X(NAME, number): numbers are never reused. */
#define MSG_KIND_MAP(X)                                                                            \
    X(HELLO, 1)                                                                                    \
    X(WELCOME, 2)                                                                                  \
    X(GET, 3)                                                                                      \
    X(SNAPSHOT, 4)                                                                                 \
    X(ANNOUNCE, 5)                                                                                 \
    X(TABLES, 6)                                                                                   \
    X(ACK, 7)                                                                                      \
    X(NACK, 8)                                                                                     \
    X(BATCH, 9)                                                                                    \
    X(BATCH_OK, 10)                                                                                \
    X(BEAT, 11)                                                                                    \
    X(HEARTBEAT, 12)                                                                               \
    X(QUERY, 13)                                                                                   \
    X(ANSWER, 14)                                                                                  \
    X(NOT_LEADER, 15)

enum msg_kind {
#define X(name, number) MSG_KIND_##name = (number),
    MSG_KIND_MAP(X)
#undef X
};
/* "HELLO"; "unknown" for a number that is not ours. */
const char *msg_kind_name(int kind);

struct msg_envelope {
    uint8_t protocol;
    uint8_t kind;  /* enum msg_kind */
    uint64_t term; /* of the leader that sends; 0 from workers and standbys */
};

struct msg_hello {
    uint8_t protocol_min, protocol_max;
    struct sb_slice worker; /* stable name, the home of its spool: "host-0" */
    uint64_t boot;          /* new at every start, grows: microseconds since 1970 */
    struct sb_slice host;
    uint32_t pid;
    struct sb_slice release;  /* program version */
    struct sb_slice dialects; /* comma-separated */
    struct msg_version version;
    uint8_t hash[MSG_HASH_BYTES]; /* of the snapshot held; zero for none */
    /* Ed25519, of this boot: signs promises (proto/receipt.h); zero for none. */
    uint8_t receipt_key[MSG_PUBLIC_KEY_BYTES];
};

struct msg_welcome {
    struct sb_slice daemon; /* name of the control daemon */
    bool leader;
    struct msg_version version; /* newest published */
    uint64_t tables_sequence;
    /* Signed note of the log's key about the receipt_key; empty where the daemon
     * has none of the two. */
    struct sb_slice certificate;
};

enum msg_get_what { MSG_GET_SNAPSHOT = 1, MSG_GET_TABLES = 2 };

struct msg_get {
    uint8_t what;               /* enum msg_get_what */
    uint8_t format;             /* newest snapshot format that the worker decodes */
    struct msg_version version; /* held */
};

/* Announces on PUB, and is the body of a SNAPSHOT whose bulk frame has the
 * bytes. */
struct msg_announce {
    struct msg_version version;
    uint8_t hash[MSG_HASH_BYTES]; /* BLAKE2b-256 of the bytes */
    uint64_t size;                /* bytes */
    uint8_t format;
};

struct msg_ack {
    struct msg_version version;
};

struct msg_nack {
    struct msg_version version;
    int32_t code; /* enum sb_err */
    struct sb_slice text;
};

/* Records first .. first + count - 1 of one boot; the bulk frame holds, for
 * each, a 32-bit big-endian length and the bytes. */
struct msg_batch {
    struct sb_slice worker;
    uint64_t boot;
    uint64_t first;
    uint32_t count;
};

struct msg_batch_ok {
    struct sb_slice worker;
    uint64_t boot;
    uint64_t last; /* highest sequence committed */
};

/* One endpoint's attempts that ended in one second at one worker; and what
 * streams that still ran said of its throughput, which no number counts. */
struct msg_beat_row {
    uint64_t endpoint;
    int64_t second; /* unix seconds */
    uint32_t attempts;
    uint32_t successes;
    uint32_t faults;       /* that speak against the endpoint */
    uint32_t rate_limited; /* 429s */
    uint64_t prompt_tokens, completion_tokens;
    int64_t cost;                /* 1e-15 USD */
    uint32_t retry_after;        /* milliseconds, the largest seen; 0 none */
    struct sb_slice first_token; /* encoded sketch of milliseconds; empty none */
    struct sb_slice throughput;  /* encoded sketch of tokens per second; empty none */
};

struct msg_beat {
    struct sb_slice worker;
    uint64_t boot;
    struct msg_version version;
    uint32_t in_flight;   /* requests */
    uint32_t connections; /* of clients */
    uint64_t requests;    /* since boot */
    uint64_t spool_bytes, spool_limit;
    uint64_t spool_next;  /* next sequence to be written */
    uint64_t spool_acked; /* highest sequence acknowledged */
    bool from_disk;       /* serves a snapshot that no daemon has confirmed yet */
    bool draining;
    struct msg_beat_row *rows;
    size_t n_rows;
};

struct msg_heartbeat {
    struct sb_slice daemon;
    bool leader;
    struct msg_version version;
    uint64_t tables_sequence;
};

enum msg_query_what {
    MSG_QUERY_GENERATION = 1,
    MSG_QUERY_KEY = 2,
    MSG_QUERY_CREDITS = 3,
    MSG_QUERY_EXPLAIN = 4,
    MSG_QUERY_RECEIPT = 5, /* argument: generation id; answer 202: not in the log yet */
};

struct msg_query {
    uint64_t id;              /* of the asker; comes back in the answer */
    uint8_t what;             /* enum msg_query_what; a number of a newer peer is given as it
                                 came: answer 501 */
    uint64_t tenant, key;     /* on whose behalf; 0 for an operator */
    struct sb_slice argument; /* generation id, or the name of the key to explain as */
};

struct msg_answer {
    uint64_t id;
    uint16_t status; /* HTTP status that fits */
};

/* Encoders append to out: SB_ENOMEM, SB_ETOOBIG (also a field over its ceiling);
 * out is then as before.  Decoders borrow bytes, write *ret_msg on success
 * only, skip members newer than they are, and leave missing ones zero; where
 * zero makes no sense (a worker without a name, a GET of nothing, telemetry of
 * endpoint 0) that is SB_EPARSE.  Errors: SB_EPARSE, SB_ETOOBIG, SB_ENOMEM. */
int msg_envelope_encode(const struct msg_envelope *msg, struct sb_buf *out) SB_MUSTCHECK;
/* Also SB_EVERSION for a protocol outside MSG_PROTOCOL_MIN..MSG_PROTOCOL. */
int msg_envelope_decode(struct sb_slice bytes, struct msg_envelope *ret_msg) SB_MUSTCHECK;

#define MSG_PLAIN_MAP(X)                                                                           \
    X(hello)                                                                                       \
    X(welcome)                                                                                     \
    X(get)                                                                                         \
    X(announce)                                                                                    \
    X(ack)                                                                                         \
    X(nack)                                                                                        \
    X(batch)                                                                                       \
    X(batch_ok)                                                                                    \
    X(heartbeat)                                                                                   \
    X(query)                                                                                       \
    X(answer)
#define X(name)                                                                                    \
    int msg_##name##_encode(const struct msg_##name *msg, struct sb_buf *out) SB_MUSTCHECK;        \
    int msg_##name##_decode(struct sb_slice bytes, struct msg_##name *ret_msg) SB_MUSTCHECK;
MSG_PLAIN_MAP(X)
#undef X
int msg_beat_encode(const struct msg_beat *msg, struct sb_buf *out) SB_MUSTCHECK;
/* Rows are in arena. */
int msg_beat_decode(struct sb_slice bytes, struct sb_arena *arena,
                    struct msg_beat *ret_msg) SB_MUSTCHECK;

/* Appends one record to the bulk frame of a BATCH.  Errors: SB_ETOOBIG (also
 * over MSG_RECORD_MAX), SB_ENOMEM. */
int msg_batch_append(struct sb_buf *bulk, struct sb_slice record) SB_MUSTCHECK;
/* Walks the bulk frame of a BATCH: takes the first record off *bulk.  Errors:
 * SB_EEOF at its end, SB_EPARSE, SB_ETOOBIG (over MSG_RECORD_MAX). */
int msg_batch_next(struct sb_slice *bulk, struct sb_slice *ret_record) SB_MUSTCHECK;
