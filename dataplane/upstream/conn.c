/* dataplane/upstream/conn.c */
#include "dataplane/upstream/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"

/* --- the plain socket --------------------------------------------------------- */

enum { PARTS_MAX = 32 }; /* of one sendmsg; more go with the next */

/* What is wrong with a socket matters to nobody: the request is told that the
 * connection broke, the dial's own errors are classified by dial.c. */
static int plain_failure(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK ? SB_EAGAIN : SB_ECONNRESET;
}

static int plain_recv(struct dp_conn *conn, void *buf, size_t size, size_t *ret_n)
{
    ssize_t n;

    do
        n = recv(conn->fd, buf, size, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return plain_failure();
    if (n == 0)
        return SB_EEOF;
    *ret_n = (size_t)n;
    return SB_OK;
}

static int plain_sendv(struct dp_conn *conn, const struct sb_slice *parts, size_t n, size_t *ret_n)
{
    struct iovec iov[PARTS_MAX];
    struct msghdr msg = {.msg_iov = iov};
    ssize_t sent;

    for (size_t i = 0; i < n && msg.msg_iovlen < PARTS_MAX; i++) {
        if (parts[i].n > 0) {
            iov[msg.msg_iovlen++] =
                (struct iovec){.iov_base = (void *)(uintptr_t)parts[i].p, .iov_len = parts[i].n};
        }
    }
    do
        sent = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return plain_failure();
    *ret_n = (size_t)sent;
    return SB_OK;
}

static bool plain_may_hold(const struct dp_conn *conn)
{
    (void)conn;
    return false;
}

/* A socket that gave less than it could has no more. */
static bool plain_may_get(size_t n, size_t size)
{
    return n == size;
}

const struct dp_conn_io dp_conn_plain = {
    .recv = plain_recv, .sendv = plain_sendv, .may_hold = plain_may_hold, .may_get = plain_may_get};

/* --- events ------------------------------------------------------------------- */

/* What the poll should tell.  A change costs two epoll_ctl, so reading stays
 * on while nothing forces it off: the end (or what came during a pause) would
 * be reported in every turn. */
static void update_interest(struct dp_conn *conn)
{
    unsigned interest = 0;

    if (!conn->broken) {
        if (conn->ended == SB_OK && !conn->missed)
            interest |= SB_WATCH_READ;
        if (conn->want_write)
            interest |= SB_WATCH_WRITE;
    }
    sb_watch_set(&conn->watch, interest);
}

/* Whether recv may find something that the poll will not report. */
static bool is_hidden(const struct dp_conn *conn)
{
    return conn->broken || conn->io->may_hold(conn);
}

static void dispatch(struct dp_conn *conn, unsigned events)
{
    unsigned told = 0;

    if ((events & DP_CONN_READ) != 0 && conn->ended == SB_OK) {
        if (conn->paused)
            conn->missed = true;
        else
            told |= DP_CONN_READ;
    }
    if ((events & DP_CONN_WRITE) != 0 && conn->want_write) {
        conn->want_write = false;
        told |= DP_CONN_WRITE;
    }
    if (told != 0 && conn->cb != NULL)
        conn->cb(conn, told);
    if (conn->state == DP_CONN_OPEN) /* its memory outlives a close in the callback */
        update_interest(conn);
}

static void on_ready(struct sb_watch *watch, unsigned ready, int error)
{
    struct dp_conn *conn = container_of(watch, struct dp_conn, watch);
    unsigned events = 0;

    if (error != SB_OK) {
        /* libuv has stopped the watch.  An answer may still be in the socket
         * before the error: recv reads on, and finds the error behind it. */
        conn->broken = true;
        events = DP_CONN_READ | DP_CONN_WRITE;
    }
    if ((ready & SB_WATCH_READ) != 0)
        events |= DP_CONN_READ;
    if ((ready & SB_WATCH_WRITE) != 0)
        events |= DP_CONN_WRITE;
    if ((events & DP_CONN_READ) != 0)
        conn->quiet = false;
    dispatch(conn, events);
}

static void on_again(struct sb_task *task)
{
    dispatch(container_of(task, struct dp_conn, again), DP_CONN_READ);
}

static void on_retired(struct sb_watch *watch)
{
    sb_mem_free(container_of(watch, struct dp_conn, watch));
}

static void learn_peer(struct dp_conn *conn)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    if (getpeername(conn->fd, (struct sockaddr *)&address, &size) != 0)
        return;
    conn->peer.family = address.ss_family;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&address;

        conn->peer.port = ntohs(in->sin_port);
        memcpy(conn->peer.ip, &in->sin_addr, sizeof(in->sin_addr));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&address;

        conn->peer.port = ntohs(in6->sin6_port);
        memcpy(conn->peer.ip, &in6->sin6_addr, sizeof(in6->sin6_addr));
    }
}

int dp_conn_open(struct dp_conn *conn, struct sb_loop *loop, int fd, const struct dp_conn_io *io)
{
    int rc = sb_watch_init(&conn->watch, loop, fd, on_ready);

    if (rc != SB_OK)
        return rc;
    sb_task_init(&conn->again, loop, on_again);
    conn->io = io;
    conn->fd = fd;
    conn->quiet = true; /* nobody has asked the peer anything yet */
    conn->state = DP_CONN_OPEN;
    learn_peer(conn);
    update_interest(conn);
    return SB_OK;
}

void dp_conn_retire(struct dp_conn *conn)
{
    conn->state = DP_CONN_CLOSED;
    conn->cb = NULL;
    sb_task_cancel(&conn->again);
    sb_watch_close(&conn->watch, on_retired);
}

/* --- for everybody ------------------------------------------------------------ */

void dp_conn_hold(struct dp_conn *conn, dp_conn_event_cb *cb, void *ctx)
{
    conn->cb = cb;
    conn->ctx = ctx;
}

void *dp_conn_ctx(const struct dp_conn *conn)
{
    return conn->ctx;
}

int dp_conn_recv(struct dp_conn *conn, void *buf, size_t size, size_t *ret_n)
{
    size_t n = 0;
    int rc;

    SB_BUG_ON(conn->state != DP_CONN_OPEN || size == 0);
    if (conn->ended != SB_OK)
        return conn->ended;
    if (conn->quiet)
        return SB_EAGAIN;
    rc = conn->io->recv(conn, buf, size, &n);
    if (rc == SB_OK) {
        conn->received += n;
        if (is_hidden(conn)) {
            sb_task_soon(&conn->again);
        } else { /* a recv less where it would find nothing; if it had, the poll tells */
            sb_task_cancel(&conn->again);
            conn->quiet = !conn->io->may_get(n, size);
        }
        *ret_n = n;
        return SB_OK;
    }
    sb_task_cancel(&conn->again);
    if (rc == SB_EAGAIN && !conn->broken) {
        conn->quiet = true;
        return SB_EAGAIN;
    }
    conn->ended = rc == SB_EAGAIN ? SB_ECONNRESET : rc;
    update_interest(conn);
    return conn->ended;
}

int dp_conn_sendv(struct dp_conn *conn, const struct sb_slice *parts, size_t n, size_t *ret_n)
{
    size_t total = 0, sent = 0;
    int rc;

    for (size_t i = 0; i < n; i++)
        total += parts[i].n;
    SB_BUG_ON(conn->state != DP_CONN_OPEN || total == 0);
    rc = conn->io->sendv(conn, parts, n, &sent);
    if (rc == SB_OK) {
        conn->sent += sent;
        *ret_n = sent;
    }
    if (rc == SB_EAGAIN || (rc == SB_OK && sent < total)) {
        conn->want_write = true;
        update_interest(conn);
    }
    return rc;
}

int dp_conn_send(struct dp_conn *conn, struct sb_slice bytes, size_t *ret_n)
{
    return dp_conn_sendv(conn, &bytes, 1, ret_n);
}

void dp_conn_pause(struct dp_conn *conn)
{
    conn->paused = true; /* the watch stays until something comes: dispatch() */
}

void dp_conn_resume(struct dp_conn *conn)
{
    conn->paused = false;
    conn->missed = false;
    if (conn->state != DP_CONN_OPEN)
        return;
    update_interest(conn);
    if (conn->ended == SB_OK && !conn->quiet && is_hidden(conn))
        sb_task_soon(&conn->again);
}

bool dp_conn_is_tls(const struct dp_conn *conn)
{
    return conn->tls;
}

uint64_t dp_conn_received(const struct dp_conn *conn)
{
    return conn->received;
}

uint64_t dp_conn_sent(const struct dp_conn *conn)
{
    return conn->sent;
}

sb_msec dp_conn_dial_time(const struct dp_conn *conn)
{
    return conn->dial_time;
}

struct dp_conn_place *dp_conn_place(struct dp_conn *conn)
{
    return &conn->place;
}

const char *dp_conn_peer(const struct dp_conn *conn, char text[DP_CONN_PEER_MAX])
{
    char ip[INET6_ADDRSTRLEN];

    if (conn->peer.family == 0 ||
        inet_ntop(conn->peer.family, conn->peer.ip, ip, sizeof(ip)) == NULL)
        (void)snprintf(text, DP_CONN_PEER_MAX, "unknown");
    else if (conn->peer.family == AF_INET6)
        (void)snprintf(text, DP_CONN_PEER_MAX, "[%s]:%u", ip, conn->peer.port);
    else
        (void)snprintf(text, DP_CONN_PEER_MAX, "%s:%u", ip, conn->peer.port);
    return text;
}
