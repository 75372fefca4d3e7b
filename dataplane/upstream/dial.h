/* dataplane/upstream/dial.h - one connection to a provider, plain or TLS.
 *
 * libcurl dials (names, TCP, proxies, TLS); then bytes go in and out, without
 * ever blocking, and what they mean is the caller's business.  After the dial
 * a plain connection is a socket of our own: libcurl is out, reading and
 * writing are one system call each.  A TLS connection keeps its easy handle,
 * in groups small enough that libcurl's searches cost nothing.
 *
 *      dp_dial()                   DIALLING
 *      done(SUCCESS)               OPEN: send, recv, events
 *      done(anything else)         FAILED: can only be closed
 *      dp_conn_close()             gone, from any state, from any callback
 *
 * Whoever dialled owns the connection until he closes it.  Callbacks come from
 * the loop only, never from inside a call made here, and none comes after
 * dp_conn_close().  Everything belongs to the thread of the loop.
 *
 * One socket registration lasts for the connection's life.  Reading is on all
 * the time; asking for writability, after a send that was cut short, and
 * giving it up again is done here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/list.h"
#include "common/slice.h"
#include "dataplane/upstream/target.h"
#include "proto/vocabulary.h"

struct sb_loop;
struct dp_conn;
struct dp_dialer;

/* --- dialer: one per worker ------------------------------------------------- */

enum dp_dial_failure {
    DP_DIAL_FAILED_CONNECT, /* refused, unreachable, reset, refused by the proxy */
    DP_DIAL_FAILED_TIMEOUT,
    DP_DIAL_FAILED_DNS,
    DP_DIAL_FAILED_TLS,
    DP_DIAL_FAILED_LOCAL, /* our own descriptors or memory were used up */
    DP_DIAL_FAILURES
};

/* "connect", "timeout", "dns", "tls", "local"; NULL beyond: a metric label. */
const char *dp_dial_failure_name(int failure);

struct dp_dial_stats {
    uint64_t dials;                      /* begun */
    uint64_t failures[DP_DIAL_FAILURES]; /* ended badly */
    uint64_t abandoned;                  /* closed before they ended */
    uint64_t tls_resumed;                /* TLS dials that resumed a session */
    int64_t dialling;                    /* now */
    int64_t open_plain, open_tls;        /* now, idle ones included */
    int64_t tls_groups;                  /* libcurl multi handles held for TLS */
};

/* SB_EINTERNAL when libcurl does not start.  Call dp_dialer_reload() next. */
int dp_dialer_new(struct sb_loop *loop, struct dp_dialer **ret_dialer,
                  struct sb_errmsg *err) SB_MUSTCHECK;
/* Every connection must have been closed; not from a callback of this module.
 * NULL is fine. */
void dp_dialer_destroy(struct dp_dialer **dialer);
/* Reads the system's certificate authorities (SSL_CERT_FILE, else the
 * distribution's file) and all CA files in use, for dials from now on: at the
 * start, and when the files changed.  Blocks for tens of milliseconds.  What
 * cannot be read stays as it was, err names the first such file (SB_EIO), and
 * a TLS dial that needs it tries once more. */
int dp_dialer_reload(struct dp_dialer *dialer, struct sb_errmsg *err) SB_MUSTCHECK;
/* Borrowed; changes as things happen. */
const struct dp_dial_stats *dp_dialer_stats(const struct dp_dialer *dialer);

/* --- dial ------------------------------------------------------------------- */

/* outcome: SUCCESS; CONNECT_FAILED, CONNECT_TIMEOUT, TLS_FAILED, DNS_FAILED,
 * which are faults of the provider; or OVERLOADED: we are out of descriptors
 * or memory, and nobody is to blame but us.  text: for people, empty on
 * success, valid during the call. */
typedef void dp_dial_done_cb(struct dp_conn *conn, enum msg_outcome outcome, const char *text);

/* Always gives a connection; it is not open before done says so.  target is
 * copied.  timeout covers the name, TCP, the proxy and TLS together; it is at
 * least 1 ms.  Reads the target's CA file when it was not used before.  done
 * should hand over the request at once: see dp_conn_send(). */
struct dp_conn *dp_dial(struct dp_dialer *dialer, const struct dp_target *target, sb_msec timeout,
                        dp_dial_done_cb *done, void *ctx) __attribute__((returns_nonnull));

/* --- connection ------------------------------------------------------------- */

enum dp_conn_events {
    DP_CONN_READ = 1 << 0,  /* dp_conn_recv() has something: bytes, the end or an error */
    DP_CONN_WRITE = 1 << 1, /* after a send that was short: send the rest */
};

typedef void dp_conn_event_cb(struct dp_conn *conn, unsigned events);

/* Who gets the events of an open connection from now on, and the value of
 * dp_conn_ctx().  Costs nothing. */
void dp_conn_hold(struct dp_conn *conn, dp_conn_event_cb *cb, void *ctx);
void *dp_conn_ctx(const struct dp_conn *conn);

/* Receives what is there: at least one byte and at most size (> 0).
 * SB_EAGAIN: nothing now, an event will come.  SB_EEOF: the peer is done.
 * SB_ECONNRESET: broken.  The last two stay.  What TLS that ends without its
 * close_notify is, differs between versions of libcurl: only framing tells a
 * whole answer from one that was cut.
 * Stopping before SB_EAGAIN is fine: what is left raises another event.  So a
 * callback reads a bounded number of times and leaves the rest for later. */
int dp_conn_recv(struct dp_conn *conn, void *buf, size_t size, size_t *ret_n) SB_MUSTCHECK;

/* Sends what fits, at least one byte.  Less than all, or SB_EAGAIN: the rest
 * waits for DP_CONN_WRITE, and that send must begin with the bytes that follow
 * and hold at least as many of them as were offered before (TLS has them
 * encrypted already).  SB_ECONNRESET: broken, or closed by the peer; what was
 * received before can still be read. */
int dp_conn_send(struct dp_conn *conn, struct sb_slice bytes, size_t *ret_n) SB_MUSTCHECK;
/* The same for parts that follow each other, e.g. head and body: in one system
 * call, or in one TLS record when they fit.  Empty parts are fine, all of them
 * empty is not. */
int dp_conn_sendv(struct dp_conn *conn, const struct sb_slice *parts, size_t n,
                  size_t *ret_n) SB_MUSTCHECK;

/* No DP_CONN_READ until resumed.  What arrives stays in the socket, so the
 * peer is slowed down.  Cheap: the socket's registration changes only when
 * bytes really arrive meanwhile. */
void dp_conn_pause(struct dp_conn *conn);
void dp_conn_resume(struct dp_conn *conn);

/* Closes, or gives up a dial.  Sets *conn to NULL; NULL is fine. */
void dp_conn_close(struct dp_conn **conn);

/* --- about a connection ------------------------------------------------------- */

bool dp_conn_is_tls(const struct dp_conn *conn);
/* Time since the dial ended well, and what the dial took. */
sb_msec dp_conn_age(const struct dp_conn *conn);
sb_msec dp_conn_dial_time(const struct dp_conn *conn);
/* Payload bytes since the dial. */
uint64_t dp_conn_received(const struct dp_conn *conn);
uint64_t dp_conn_sent(const struct dp_conn *conn);

/* "192.0.2.7:443" or "[2001:db8::7]:443": the proxy's when there is one. */
#define DP_CONN_PEER_MAX 64
const char *dp_conn_peer(const struct dp_conn *conn, char text[DP_CONN_PEER_MAX]);

/* Room for the pool, which keeps connections of its own; nobody else's. */
struct dp_conn_place {
    struct dp_conn *conn;     /* the one whose place this is */
    struct sb_list link;      /* among the target's idle ones, newest first; or its dials */
    struct sb_list link_all;  /* among all idle, oldest first */
    struct dp_origin *origin; /* NULL when the connection is not the pool's */
    struct dp_take *take;     /* while dialling: who it is for, or NULL */
    sb_msec since;            /* idle since */
    bool reused;
};
struct dp_conn_place *dp_conn_place(struct dp_conn *conn);
