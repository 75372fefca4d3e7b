/* dataplane/courier/intake.h - snapshots and tables, from the bus or the disk to the loop.
 *
 * A snapshot is fetched when a newer version is heard of, checked against its
 * hash, decoded, indexed and given its outlets aside; then the loop gets the
 * pointer, and when it has taken it the daemon gets the ACK and the disk the
 * bytes.  Whatever goes wrong: the old one stays, the daemon gets a NACK, and
 * the same bytes are tried again after a while only.
 *
 * The courier's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "proto/version.h"

struct dp_conf;
struct dp_courier_shared;
struct dp_intake;
struct dp_link;
struct dp_link_message;
struct dp_snapshot;
struct msg_heartbeat;
struct msg_hello;
struct msg_welcome;
struct sb_keyring;
struct sb_mailbox;
struct sb_reactor;

struct dp_intake_start {
    const struct dp_conf *conf; /* all borrowed; start_wait, snapshot_max_age */
    const char *dir;            /* of the last good ones */
    const struct sb_keyring *keyring;
    struct sb_reactor *reactor;
    struct sb_mailbox *loop;   /* gets what is to be served by */
    struct sb_mailbox *retire; /* gets the snapshots that it has let go of */
    struct dp_courier_shared *shared;
};

/* After start-wait without a snapshot it takes the one on disk. */
struct dp_intake *dp_intake_new(const struct dp_intake_start *start);
/* Keeps the newest tables on disk. */
void dp_intake_destroy(struct dp_intake **intake);
/* The link, once it is there. */
void dp_intake_set_link(struct dp_intake *intake, struct dp_link *link);

void dp_intake_fill_hello(const struct dp_intake *intake, struct msg_hello *hello);
/* What is served by, as far as the loop has said so. */
struct msg_version dp_intake_version(const struct dp_intake *intake);
bool dp_intake_is_from_disk(const struct dp_intake *intake);

void dp_intake_on_leader(struct dp_intake *intake, const struct msg_welcome *welcome);
void dp_intake_on_leader_lost(struct dp_intake *intake);
void dp_intake_on_heartbeat(struct dp_intake *intake, const struct msg_heartbeat *heartbeat);
/* ANNOUNCE, SNAPSHOT, TABLES. */
void dp_intake_on_message(struct dp_intake *intake, const struct dp_link_message *message);
void dp_intake_on_pulse(struct dp_intake *intake, sb_msec now);
/* The loop serves by it now. */
void dp_intake_on_taken(struct dp_intake *intake, struct msg_version version);
/* The loop has missed tables. */
void dp_intake_on_tables_lost(struct dp_intake *intake);
