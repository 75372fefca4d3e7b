/* common/bus.h - sockets between processes: PUB, SUB, ROUTER and DEALER of
 * ZeroMQ, with frames as slices.
 *
 * A socket belongs to one thread, usually an actor's, and is watched by its
 * reactor.  Nothing here blocks.  Every socket has: linger 0, IPv6, ZeroMQ
 * heartbeats (1 s, given up after 3 s), reconnecting after 1 to 32 s with
 * jitter, unroutable messages reported, no take-over of a routing id.
 *
 *      sb_bus_init -> { new -> bind/connect/subscribe -> send/recv -> destroy } -> sb_bus_shutdown
 *
 * Addresses are those of common/busaddr.h.  Of an ipc:// socket the mode of
 * its directory is the access control; binding replaces a socket file that
 * nobody listens on.
 *
 * What may be lost: PUB drops what a slow subscriber cannot take, silently;
 * SUB sees nothing from before its subscription has arrived; a connection
 * that breaks loses what was under way.  Nothing is ever duplicated or cut.
 *
 * A connection reconnects by itself after every loss and every refusal but
 * one: after a protocol error (a frame over max_message_bytes) the connecting
 * side gives up for ever.  So whoever hears nothing from its peer for the
 * liveness time destroys the socket and makes a new one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/busaddr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"

struct sb_bus_blob;
struct sb_bus_monitor;
struct sb_bus_msg;
struct sb_bus_socket;
struct sb_busauth;
struct sb_buskey;

enum { SB_BUS_FRAMES_MAX = 16 }; /* of one message, the routing id not counted */

enum sb_bus_type { SB_BUS_PUB, SB_BUS_SUB, SB_BUS_ROUTER, SB_BUS_DEALER };

struct sb_bus_opts {
    unsigned send_limit;      /* messages queued per peer; 0: 1000 */
    unsigned recv_limit;      /* likewise */
    size_t max_message_bytes; /* of a frame; a peer that sends more is cut off; no default */
    /* CURVE; all NULL: plaintext.  Borrowed for the call, auth until the
     * socket is gone. */
    const struct sb_buskey *key; /* our own */
    const char *server_public;   /* we connect: the pinned key of the other side, Z85 */
    struct sb_busauth *auth;     /* we bind: who may connect */
};

/* Once per process, before anything of the bus, actors or reactors, and after
 * the last fork that is not followed by exec.  Leaves signal handlers alone
 * and silences CZMQ's own log. */
int sb_bus_init(struct sb_errmsg *err) SB_MUSTCHECK;
/* At the end of the process, when all sockets are destroyed and all actors
 * stopped (anything else is a bug). */
void sb_bus_shutdown(void);

/* SB_EINVAL when CURVE is set up by halves. */
int sb_bus_socket_new(enum sb_bus_type type, const struct sb_bus_opts *opts,
                      struct sb_bus_socket **ret, struct sb_errmsg *err) SB_MUSTCHECK;
/* Drops what is still queued.  Remove it from the reactor before.  The library
 * closes in its own time: binding to the same address right afterwards may be
 * SB_EADDRINUSE once or twice. */
void sb_bus_socket_destroy(struct sb_bus_socket **sock);

/* Errors of common/busaddr.h, SB_EADDRINUSE, SB_EIO.  A socket may have
 * several of each. */
int sb_bus_bind(struct sb_bus_socket *sock, const char *addr, struct sb_errmsg *err) SB_MUSTCHECK;
int sb_bus_connect(struct sb_bus_socket *sock, const char *addr,
                   struct sb_errmsg *err) SB_MUSTCHECK;
/* Ends a connection and its reconnecting, soon: until then messages may still
 * be taken for it, and are lost with what is queued. */
int sb_bus_disconnect(struct sb_bus_socket *sock, const char *addr,
                      struct sb_errmsg *err) SB_MUSTCHECK;
/* What the last bind came to, its port filled in; "" before. */
const char *sb_bus_bound_addr(const struct sb_bus_socket *sock);

/* SUB: messages whose first frame starts with prefix; none before the first call. */
void sb_bus_subscribe(struct sb_bus_socket *sock, struct sb_slice prefix);
void sb_bus_unsubscribe(struct sb_bus_socket *sock, struct sb_slice prefix);

/* Copies 1 to SB_BUS_FRAMES_MAX frames out as one message, whole or not at
 * all.  DEALER: SB_EAGAIN while nobody is connected (nothing is queued for a
 * peer that is not there: wait for SB_REACTOR_OUT) or at the limit.
 * PUB: never SB_EAGAIN. */
int sb_bus_send(struct sb_bus_socket *sock, const struct sb_slice *frames, size_t n) SB_MUSTCHECK;
/* ROUTER: to is a message's sb_bus_msg_peer().  SB_ENOENT: that connection is
 * gone; SB_EAGAIN: at its limit. */
int sb_bus_send_to(struct sb_bus_socket *sock, struct sb_slice to, const struct sb_slice *frames,
                   size_t n) SB_MUSTCHECK;

/* One frame's bytes, copied once and shared by all messages that carry it
 * (a snapshot for many workers).  Belongs to one thread. */
int sb_bus_blob_new(struct sb_slice bytes, struct sb_bus_blob **ret) SB_MUSTCHECK;
/* What was sent stays valid. */
void sb_bus_blob_destroy(struct sb_bus_blob **blob);
struct sb_slice sb_bus_blob_bytes(const struct sb_bus_blob *blob);
/* As send (to empty) or send_to; the blob is the last frame, after n others. */
int sb_bus_send_blob(struct sb_bus_socket *sock, struct sb_slice to, const struct sb_slice *frames,
                     size_t n, struct sb_bus_blob *blob) SB_MUSTCHECK;

/* Gives one message.  SB_EAGAIN: none is there.  SB_EPARSE, SB_EAUTH: a message of
 * too many frames, or of nobody known, was dropped; go on with the next. */
int sb_bus_recv(struct sb_bus_socket *sock, struct sb_bus_msg **ret) SB_MUSTCHECK;
/* The frames live until here; may be called from another thread. */
void sb_bus_msg_destroy(struct sb_bus_msg **msg);
size_t sb_bus_msg_frames(const struct sb_bus_msg *msg);
/* The i-th frame, without a ROUTER's routing id; empty past the last. */
struct sb_slice sb_bus_msg_frame(const struct sb_bus_msg *msg, size_t i);
/* ROUTER: names the connection it came by, unique among those that are open;
 * empty on others.  A peer that reconnects has another one: who it is, it
 * says in its messages, and sb_bus_msg_key() proves. */
struct sb_slice sb_bus_msg_peer(const struct sb_bus_msg *msg);
/* The sender's authenticated public key in Z85 (ZAP's User-Id); empty without
 * CURVE.  Servers only: a client has pinned its server's key. */
struct sb_slice sb_bus_msg_key(const struct sb_bus_msg *msg);
/* Whose key that is, from the authorised keys; empty without CURVE. */
struct sb_slice sb_bus_msg_name(const struct sb_bus_msg *msg);

/* --- What connections do: for logs and for fast reactions -------------------- */

enum sb_bus_event {
    SB_BUS_CONNECTED = 1, /* usable: handshake done */
    SB_BUS_DISCONNECTED,
    SB_BUS_REFUSED, /* handshake failed: wrong server key, or our key is not authorised;
                     * on a binding socket: a peer was turned away.  A DISCONNECTED follows */
};

const char *sb_bus_event_name(enum sb_bus_event event);
/* Watches sock; same thread; destroy it before sock.  At most one per socket. */
int sb_bus_monitor_new(struct sb_bus_socket *sock, struct sb_bus_monitor **ret) SB_MUSTCHECK;
void sb_bus_monitor_destroy(struct sb_bus_monitor **monitor);
/* To be put into the reactor for SB_REACTOR_IN; borrowed. */
struct sb_bus_socket *sb_bus_monitor_socket(struct sb_bus_monitor *monitor);
/* SB_EAGAIN: no more.  ret_addr: the endpoint, SB_BUSADDR_MAX bytes, or NULL. */
int sb_bus_monitor_next(struct sb_bus_monitor *monitor, enum sb_bus_event *ret_event,
                        char *ret_addr) SB_MUSTCHECK;

/* The library's own handle, for common/reactor.c alone. */
void *sb_bus_socket_handle(struct sb_bus_socket *sock);
