/* dataplane/upstream/conn.h - the inside of a connection, for conn.c and dial.c alone.
 *
 * conn.c knows readiness, events and the plain socket; dial.c makes the
 * connection, and owns the bytes of one that libcurl must carry (TLS).  What
 * everybody else may do is in dataplane/upstream/dial.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/loop.h"
#include "dataplane/upstream/dial.h"

struct dial;
struct dp_multi;
struct dp_trust;

enum dp_conn_state { DP_CONN_DIALLING, DP_CONN_OPEN, DP_CONN_FAILED, DP_CONN_CLOSED };

/* How bytes move.  recv: SB_OK (n > 0), SB_EAGAIN, SB_EEOF, SB_ECONNRESET.
 * sendv: SB_OK (n > 0), SB_EAGAIN, SB_ECONNRESET; at least one part holds
 * something. */
struct dp_conn_io {
    int (*recv)(struct dp_conn *conn, void *buf, size_t size, size_t *ret_n);
    int (*sendv)(struct dp_conn *conn, const struct sb_slice *parts, size_t n, size_t *ret_n);
    /* After a recv that got n of size bytes: may there be more that the poll
     * does not see?  And, if not, is it worth to try again at once? */
    bool (*may_hold)(const struct dp_conn *conn);
    bool (*may_get)(size_t n, size_t size);
};

struct dp_conn {
    struct sb_watch watch; /* OPEN: our own, from the take-over to the end */
    struct sb_task again;  /* OPEN: bytes are left where the poll does not see them */
    const struct dp_conn_io *io;
    dp_conn_event_cb *cb;
    void *ctx;
    struct dp_dialer *dialer;   /* borrowed */
    struct sb_list link;        /* among all of the dialer, or the dead */
    struct dp_conn_place place; /* the pool's */
    /* dial.c's */
    struct dial *dial;      /* while DIALLING, else NULL */
    struct dp_multi *group; /* that holds the easy handle */
    void *ssl;              /* OpenSSL's, in the easy handle; NULL when it is not the only one */
    void *easy;             /* libcurl's; NULL once a plain connection is ours */
    struct dp_trust *trust; /* counted, as long as there is an easy handle */

    sb_msec opened_at;
    uint64_t received, sent;
    uint32_t dial_time; /* ms */
    int fd;             /* -1 while dialling; a plain one is ours to close */
    int ended;          /* what recv returns from now on; SB_OK while it goes on */
    struct {
        uint16_t family, port; /* port in host order */
        unsigned char ip[16];
    } peer;
    uint8_t state;   /* enum dp_conn_state */
    bool tls;        /* libcurl carries the bytes */
    bool tls_proxy;  /* perhaps as TLS inside TLS */
    bool paused;     /* the holder wants no READ */
    bool missed;     /* something came while paused: the socket is not watched */
    bool quiet;      /* nothing to read until the poll says so */
    bool want_write; /* a send was short */
    bool broken;     /* the socket died: the watch is off, the rest can be read */
    bool kept;       /* plain: libcurl has left fd to us */
};

extern const struct dp_conn_io dp_conn_plain;

/* The dial has ended well: fd is connected, and no other watch is on it.
 * SB_EEXIST when one is. */
int dp_conn_open(struct dp_conn *conn, struct sb_loop *loop, int fd,
                 const struct dp_conn_io *io) SB_MUSTCHECK;
/* Ends the events of an open connection; frees its memory later.  The
 * descriptor may be closed when this returns. */
void dp_conn_retire(struct dp_conn *conn);
