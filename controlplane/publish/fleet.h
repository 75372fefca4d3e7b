/* controlplane/publish/fleet.h - which workers there are, and what each of them holds.
 *
 * A worker is known by its name, and reached by the connection that it said
 * hello on last.  Pure: no sockets, time is the caller's.
 *
 *      SENT     the newest version was offered, the answer is due
 *      SYNCED   holds the newest version
 *      NACKED   refused the newest version, holds another
 *      STALE    holds another version, and did not answer in time
 *      GONE     silent for CP_FLEET_LIVENESS
 *
 *               published / hello          ack
 *      any ------------------------> SENT -----> SYNCED
 *                                     | nack
 *                                     +--------> NACKED
 *                                     | CP_FLEET_PATIENCE
 *                                     +--------> STALE --ack--> SYNCED
 *      any --silence--> GONE --any message--> as its version says
 *
 * Not thread-safe: it is the publisher's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/slice.h"
#include "proto/bus.h"

struct cp_fleet;
struct sb_buf;

enum {
    CP_FLEET_LIVENESS = 3000,      /* ms without a message until a worker is gone */
    CP_FLEET_PATIENCE = 5000,      /* ms for an answer to what was offered */
    CP_FLEET_MEMORY = 3600 * 1000, /* ms that one who is gone is remembered */
    CP_FLEET_MAX = 10000,          /* workers */
};

#define CP_WORKER_STATE_MAP(X)                                                                     \
    X(SENT, "sent")                                                                                \
    X(SYNCED, "synced")                                                                            \
    X(NACKED, "nacked")                                                                            \
    X(STALE, "stale")                                                                              \
    X(GONE, "gone")

enum cp_worker_state {
#define X(name, text) CP_WORKER_##name,
    CP_WORKER_STATE_MAP(X)
#undef X
        CP_WORKER_STATES
};
const char *cp_worker_state_name(enum cp_worker_state state);

/* clock: borrowed. */
struct cp_fleet *cp_fleet_new(const struct sb_clock *clock);
void cp_fleet_destroy(struct cp_fleet **fleet);
/* Forgets everybody: this daemon does not lead any more. */
void cp_fleet_clear(struct cp_fleet *fleet);

/* May the owner of this CURVE key speak as that worker?  The key NAME stands
 * for workers NAME and NAME-<number>: those of one host.  Without a key (a
 * socket that has none) everybody may.  Nobody may have a name that is not
 * printable ASCII without blanks. */
bool cp_fleet_may_be(struct sb_slice key_name, struct sb_slice worker);

/* Both make the worker known under this connection.  SB_ECONFLICT: a later
 * start of the same worker is known; SB_ETOOBIG: the fleet is full. */
int cp_fleet_hello(struct cp_fleet *fleet, struct sb_slice peer, struct sb_slice key_name,
                   const struct msg_hello *hello) SB_MUSTCHECK;
int cp_fleet_beat(struct cp_fleet *fleet, struct sb_slice peer, struct sb_slice key_name,
                  const struct msg_beat *beat) SB_MUSTCHECK;
/* Any message came by this connection; false: nobody said hello on it. */
bool cp_fleet_saw(struct cp_fleet *fleet, struct sb_slice peer);
/* It is being sent the newest version. */
void cp_fleet_offered(struct cp_fleet *fleet, struct sb_slice peer);
void cp_fleet_ack(struct cp_fleet *fleet, struct sb_slice peer, struct msg_version version);
/* Name of the worker of that connection, for logs; empty when unknown. */
struct sb_slice cp_fleet_name(const struct cp_fleet *fleet, struct sb_slice peer);
void cp_fleet_nack(struct cp_fleet *fleet, struct sb_slice peer, const struct msg_nack *nack);
/* This version is offered to everybody. */
void cp_fleet_published(struct cp_fleet *fleet, struct msg_version version);
/* About once a second: who is late, and who is gone. */
void cp_fleet_tick(struct cp_fleet *fleet);

unsigned cp_fleet_count(const struct cp_fleet *fleet, enum cp_worker_state state);
/* The connection of that worker, or with an empty name of one that can answer
 * for all: it holds the newest version and does not drain.  Empty: none. */
struct sb_slice cp_fleet_reach(const struct cp_fleet *fleet, struct sb_slice name);

/* Appends a JSON array, one object per worker, sorted by name. */
int cp_fleet_json(struct cp_fleet *fleet, struct sb_buf *out) SB_MUSTCHECK;
/* Appends what the workers said of themselves, for Prometheus. */
int cp_fleet_metrics(struct cp_fleet *fleet, struct sb_buf *page) SB_MUSTCHECK;
