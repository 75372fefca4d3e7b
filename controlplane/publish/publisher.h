/* controlplane/publish/publisher.h - the daemon's end of the bus.
 *
 * An actor that owns the PUB and the ROUTER socket and the fleet, and that
 * never waits for anything: what takes time is another actor's.
 *
 *  - Leading, it announces every snapshot that the source hands it, answers
 *    GET with its bytes, beats once a second, and passes batches, telemetry
 *    and questions on.  It certifies the key that a worker promises receipts
 *    by (proto/receipt.h), where it has the log's key.
 *  - Standing by, it answers everything with NOT_LEADER.  It beats, too, so
 *    that workers know of it.
 *
 * What is announced may get lost: a worker notices by the version in the
 * heartbeats, and asks.  What is answered too late, or to a connection that is
 * gone, is dropped: the worker asks again.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct cp_publisher;
struct cp_stats;
struct sb_busauth;
struct sb_buskey;
struct sb_mailbox;
struct sb_note_signer;

struct cp_publisher_conf {
    const char *control, *publish; /* addresses; all borrowed */
    const char *name;
    const struct sb_buskey *key; /* NULL: plaintext */
    struct sb_busauth *auth;
    const struct sb_note_signer *log_key; /* certifies workers' keys; NULL: nobody does here */
    struct cp_stats *stats;
    /* Whom it passes things on to, each NULL in tests that need none. */
    struct sb_mailbox *leader, *collector, *tables, *answers;
};

/* SB_EADDRINUSE and other errors of common/bus.h. */
int cp_publisher_start(const struct cp_publisher_conf *conf, struct cp_publisher **ret,
                       struct sb_errmsg *err) SB_MUSTCHECK;
void cp_publisher_stop(struct cp_publisher **publisher);
/* Takes CP_MAIL_LEAD, CP_MAIL_COMPILED, CP_MAIL_SEND and the questions
 * CP_ASK_FLEET, CP_ASK_STATE, CP_ASK_EXPLAIN. */
struct sb_mailbox *cp_publisher_mailbox(const struct cp_publisher *publisher);
/* What the sockets were bound to; static for the publisher's life. */
const char *cp_publisher_control(const struct cp_publisher *publisher);
const char *cp_publisher_publish(const struct cp_publisher *publisher);
