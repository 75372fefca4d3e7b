/* dataplane/courier/outbox.h - what the courier sends on its own: batches of records,
 * and beats.
 *
 * Asleep until the loop says that there are records; then it works in ticks,
 * each of which takes all that has come: makes segments ahead, syncs when it
 * is time, sends a batch when none is under way.  One batch at a time, so that
 * records of a boot are committed in their order; the next when BATCH_OK has
 * come.  A batch without an answer is made again from what is not
 * acknowledged, for whoever leads then; the collector knows what it has.
 *
 * A sync that somebody waits for does not wait for a tick.  While the disk works
 * others come to wait; they share the next one.
 *
 * The courier's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/slice.h"

struct dp_conf;
struct dp_courier_shared;
struct dp_fold;
struct dp_intake;
struct dp_link;
struct dp_outbox;
struct dp_spool;
struct sb_mailbox;
struct sb_reactor;

struct dp_outbox_start {
    const struct dp_conf *conf; /* all borrowed; spool_sync */
    const char *worker;
    struct sb_reactor *reactor;
    struct dp_spool *spool;
    struct dp_intake *intake; /* what beats say of snapshots */
    struct sb_mailbox *loop;  /* gets DP_MAIL_SYNCED; NULL: nobody waits for it */
    struct dp_courier_shared *shared;
    /* Everything is acknowledged, after dp_outbox_drain(). */
    void (*on_drained)(void *ctx);
    void *ctx;
};

struct dp_outbox *dp_outbox_new(const struct dp_outbox_start *start);
void dp_outbox_destroy(struct dp_outbox **outbox);
/* The link, once it is there. */
void dp_outbox_set_link(struct dp_outbox *outbox, struct dp_link *link);

/* The loop has written records. */
void dp_outbox_on_records(struct dp_outbox *outbox);
/* Somebody waits for what is written by now to be on stable storage. */
void dp_outbox_on_sync(struct dp_outbox *outbox);
/* Takes fold; sent at once when it is urgent. */
void dp_outbox_on_fold(struct dp_outbox *outbox, struct dp_fold **fold, bool is_urgent);
void dp_outbox_on_leader(struct dp_outbox *outbox);
void dp_outbox_on_leader_lost(struct dp_outbox *outbox);
void dp_outbox_on_batch_ok(struct dp_outbox *outbox, struct sb_slice body);
void dp_outbox_on_pulse(struct dp_outbox *outbox, sb_msec now);
/* Sends what is left, then calls on_drained; perhaps at once. */
void dp_outbox_drain(struct dp_outbox *outbox);
