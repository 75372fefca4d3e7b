/* dataplane/courier/courier.h - the worker's other thread: bus, spool and snapshots.
 *
 * An actor that owns every ZeroMQ socket and the reading end of the spool.  It
 * decodes, checks and indexes a new snapshot aside, keeps the last good one on
 * disk, frees what the loop has let go of, sends batches of records in order,
 * and beats.  The loop and the courier exchange pointers, once per turn of the
 * loop; nothing here ever blocks the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "proto/bus.h"

struct dp_conf;
struct dp_courier;
struct dp_snapshot;
struct dp_spool;
struct dp_telemetry;
struct msg_tables;
struct sb_keyring;
struct sb_loop;

/* What the worker is told, on the loop's thread. */
struct dp_courier_events {
    /* A snapshot to serve by: takes it.  from_disk: no daemon confirmed it. */
    void (*on_snapshot)(void *ctx, struct dp_snapshot *snapshot, bool from_disk);
    /* The one that is held is confirmed by a daemon. */
    void (*on_confirmed)(void *ctx);
    /* Rows to merge; borrowed for the call.  Returns SB_EGAP to have all rows
     * sent anew. */
    int (*on_tables)(void *ctx, const struct msg_tables *tables);
    /* Somebody asks for a decision: a request body, to be explained as a key.
     * Answer with dp_courier_answer(), once. */
    void (*on_explain)(void *ctx, uint64_t id, struct sb_slice key_name, struct sb_slice body);
    /* Records up to this sequence are on stable storage; once and again after
     * dp_courier_want_sync(), until what was wanted is. */
    void (*on_synced)(void *ctx, uint64_t sequence);
    /* A daemon certifies the receipt_key; borrowed for the call. */
    void (*on_certificate)(void *ctx, struct sb_slice certificate);
};

struct dp_courier_start {
    const struct dp_conf *conf; /* all borrowed */
    const char *worker;         /* name in the fleet */
    const struct sb_keyring *keyring;
    const uint8_t *receipt_key; /* MSG_PUBLIC_KEY_BYTES; NULL: none */
    struct sb_loop *loop;
    struct dp_spool *spool;
    struct dp_telemetry *telemetry;
    const struct dp_courier_events *events;
    void *ctx;
};

int dp_courier_new(const struct dp_courier_start *start, struct dp_courier **ret_courier,
                   struct sb_errmsg *err) SB_MUSTCHECK;
/* Sends what it can within a moment, then ends the thread. */
void dp_courier_destroy(struct dp_courier **courier);

/* What a beat says of the loop; copied. */
struct dp_load {
    uint32_t in_flight, connections;
    uint64_t requests;
    bool draining;
};
/* Somebody waits for a record to be on stable storage (audit: sync).  Told with
 * the next dp_courier_note(), so that all who wait in one turn are one question;
 * those who come while the disk works share the next one. */
void dp_courier_want_sync(struct dp_courier *courier, uint64_t sequence);
/* Once per turn at most: the loop's numbers, new records, folded telemetry. */
void dp_courier_note(struct dp_courier *courier, const struct dp_load *load);
/* A snapshot that the loop has let go of: the courier frees it. */
void dp_courier_retire(struct dp_courier *courier, struct dp_snapshot *snapshot);

/* A question to the control plane: generation, key, credits, receipt. */
struct dp_asked {
    enum msg_query_what what;
    uint64_t tenant, key;     /* who asks: ids */
    struct sb_slice argument; /* the generation's id; at most MSG_NAME_MAX bytes */
};

/* Records of this worker that are not committed are looked at too.  Copies
 * asked.  cb comes once, on the loop: status 200 with JSON, 404, or 503 when
 * nobody answered in time; for a receipt also 202 (there will be one) and 501. */
struct dp_question;
typedef void dp_question_cb(void *ctx, int status, struct sb_slice json);
struct dp_question *dp_courier_ask(struct dp_courier *courier, const struct dp_asked *asked,
                                   dp_question_cb *cb, void *ctx);
/* The asker is gone: cb does not come. */
void dp_question_cancel(struct dp_question **question);
void dp_courier_answer(struct dp_courier *courier, uint64_t id, int status, struct sb_slice json);

struct dp_courier_state {
    bool connected; /* a leader answers */
    uint64_t term;
    uint64_t batches, nacks, resyncs, beats;
    uint64_t tables_sequence;
    sb_msec silent_for; /* since anything came from the leader */
};
void dp_courier_state(const struct dp_courier *courier, struct dp_courier_state *ret_state);
