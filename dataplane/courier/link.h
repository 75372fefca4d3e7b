/* dataplane/courier/link.h - the courier's sockets: one DEALER per control daemon, one
 * SUB for all of them.
 *
 * Finds the leader among the daemons and keeps it:
 *
 *      SEEKING --WELCOME of a leader--> JOINED
 *         ^                               |
 *         +-- NOT_LEADER, hung up, silent, a higher term somewhere
 *
 * Seeking, HELLO goes to every daemon that is connected, each second.  Joined,
 * a HELLO is the question "is it still you, and what is newest?": after any
 * doubt, and when nothing was heard for two seconds.  After three the socket
 * is made anew.  What comes from a lower term, or by a lower epoch, is dropped
 * here and never seen by anybody else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "proto/bus.h"

struct dp_conf;
struct dp_link;
struct sb_bus_msg;
struct sb_reactor;

enum { DP_LINK_PEERS_MAX = 16 }; /* control daemons that a worker can know */

struct dp_link_message {
    struct msg_envelope envelope;
    bool is_published;          /* came by PUB */
    unsigned peer;              /* for dp_link_reply() */
    struct sb_slice body, bulk; /* live as long as *msg */
    struct sb_bus_msg **msg;    /* set it to NULL to keep it */
};

/* All from the reactor. */
struct dp_link_events {
    /* Fills what the worker is and holds. */
    void (*fill_hello)(void *ctx, struct msg_hello *hello);
    /* The leader has answered a HELLO; the first time, and after doubts. */
    void (*on_leader)(void *ctx, const struct msg_welcome *welcome);
    void (*on_leader_lost)(void *ctx);
    void (*on_heartbeat)(void *ctx, const struct msg_heartbeat *heartbeat);
    /* All else: of the leader, and QUERY of any daemon. */
    void (*on_message)(void *ctx, const struct dp_link_message *message);
    /* Once a second. */
    void (*on_pulse)(void *ctx, sb_msec now);
};

struct dp_link_stats {
    uint64_t resyncs; /* HELLOs for a doubt */
    uint64_t term;
    sb_msec heard; /* when anything came from the leader last */
    bool has_leader;
};

/* Borrows conf (control, publish, bus_key, bus_server), reactor, events, ctx. */
int dp_link_new(const struct dp_conf *conf, struct sb_reactor *reactor,
                const struct dp_link_events *events, void *ctx, struct dp_link **ret_link,
                struct sb_errmsg *err) SB_MUSTCHECK;
void dp_link_destroy(struct dp_link **link);

bool dp_link_has_leader(const struct dp_link *link);
/* To the leader.  body: encoded, may be empty; bulk: NULL when the kind has
 * none.  SB_ENOTLEADER: there is none; SB_EAGAIN: it does not take it now. */
int dp_link_send(struct dp_link *link, enum msg_kind kind, struct sb_slice body,
                 const struct sb_slice *bulk) SB_MUSTCHECK;
/* To the daemon that a message came from.  SB_EAGAIN. */
int dp_link_reply(struct dp_link *link, unsigned peer, enum msg_kind kind, struct sb_slice body,
                  const struct sb_slice *bulk) SB_MUSTCHECK;
/* Something does not fit: asks the leader again; on_leader follows. */
void dp_link_resync(struct dp_link *link, const char *why);
const struct dp_link_stats *dp_link_stats(const struct dp_link *link);
