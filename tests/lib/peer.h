/* tests/lib/peer.h - a real server on loopback, on the loop of the test.
 *
 * It accepts, collects what it receives, and else does only what the test
 * says.  A test waits with UNTIL(loop, condition); the time limit of the test
 * program is what ends a condition that never comes.
 */
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/list.h"
#include "common/loop.h"
#include "common/mem.h"

#define UNTIL(loop, condition)                                                                     \
    do {                                                                                           \
        while (!(condition))                                                                       \
            sb_loop_wait(loop);                                                                    \
    } while (0)

struct peer;
struct peer_conn;

/* How its bytes move: plain below, TLS in tests/lib/tls_peer.h.  Both return a
 * count, 0 at the end, -1 for "not now", -2 for broken. */
struct peer_io {
    bool (*start)(struct peer_conn *pc);
    ssize_t (*recv)(struct peer_conn *pc, void *buf, size_t n);
    ssize_t (*send)(struct peer_conn *pc, const void *buf, size_t n);
    void (*end)(struct peer_conn *pc, bool politely); /* or NULL */
};

struct peer {
    struct sb_loop *loop;
    const struct peer_io *io;
    void *ctx; /* of the io */
    struct sb_watch watch;
    int fd;
    uint16_t port;
    struct sb_list conns; /* newest last */
    unsigned accepted, open;
    bool deaf;                              /* new connections are not read until peer_listen() */
    void (*on_ready)(struct peer_conn *pc); /* after each read, of nothing too */
};

struct peer_conn {
    struct peer *peer;
    struct sb_list link;
    struct sb_watch watch;
    int fd;
    void *tls;
    struct sb_buf in;
    size_t largest; /* read at once */
    unsigned step;  /* of a script in on_ready */
    bool deaf, eof, broken;
};

static inline bool peer_plain_start(struct peer_conn *pc)
{
    (void)pc;
    return true;
}

static inline ssize_t peer_plain_recv(struct peer_conn *pc, void *buf, size_t n)
{
    ssize_t got = recv(pc->fd, buf, n, 0);

    return got >= 0 ? got : errno == EAGAIN ? -1 : -2;
}

static inline ssize_t peer_plain_send(struct peer_conn *pc, const void *buf, size_t n)
{
    ssize_t sent = send(pc->fd, buf, n, MSG_NOSIGNAL);

    return sent >= 0 ? sent : errno == EAGAIN ? -1 : -2;
}

static const struct peer_io peer_plain = {
    .start = peer_plain_start, .recv = peer_plain_recv, .send = peer_plain_send};

static inline void peer_on_freed(struct sb_watch *watch)
{
    struct peer_conn *pc = container_of(watch, struct peer_conn, watch);

    sb_buf_release(&pc->in);
    sb_mem_free(pc);
}

/* politely: with a TLS close_notify. */
static inline void peer_drop(struct peer_conn *pc, bool politely)
{
    sb_list_remove(&pc->link);
    pc->peer->open--;
    if (pc->peer->io->end != NULL)
        pc->peer->io->end(pc, politely);
    sb_watch_close(&pc->watch, peer_on_freed);
    (void)close(pc->fd);
}

static inline void peer_close(struct peer_conn *pc)
{
    peer_drop(pc, true);
}

/* RST instead of FIN. */
static inline void peer_reset(struct peer_conn *pc)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(pc->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    peer_drop(pc, false);
}

static inline void peer_read(struct peer_conn *pc)
{
    char bytes[65536];
    ssize_t n = pc->peer->io->recv(pc, bytes, sizeof(bytes));

    if (n > 0) {
        SB_BUG_ON(sb_buf_append(&pc->in, sb_slice_make(bytes, (size_t)n)) != SB_OK);
        pc->largest = (size_t)n > pc->largest ? (size_t)n : pc->largest;
    }
    if (n > 0 || n == -1) {
        if (pc->peer->on_ready != NULL)
            pc->peer->on_ready(pc);
        return;
    }
    pc->eof = n == 0;
    pc->broken = n == -2;
    sb_watch_set(&pc->watch, 0);
}

static inline void peer_on_ready(struct sb_watch *watch, unsigned events, int error)
{
    struct peer_conn *pc = container_of(watch, struct peer_conn, watch);

    (void)events;
    if (error != SB_OK)
        pc->broken = true;
    else
        peer_read(pc);
}

static inline void peer_on_accept(struct sb_watch *watch, unsigned events, int error)
{
    struct peer *peer = container_of(watch, struct peer, watch);
    int fd = accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct peer_conn *pc;

    (void)events;
    (void)error;
    if (fd < 0)
        return;
    pc = sb_mem_new(sizeof(*pc));
    pc->peer = peer;
    pc->fd = fd;
    pc->deaf = peer->deaf;
    sb_buf_init(&pc->in, (size_t)1 << 28);
    sb_list_add_tail(&peer->conns, &pc->link);
    peer->accepted++;
    peer->open++;
    SB_BUG_ON(sb_watch_init(&pc->watch, peer->loop, fd, peer_on_ready) != SB_OK);
    SB_BUG_ON(!peer->io->start(pc));
    if (!pc->deaf)
        sb_watch_set(&pc->watch, SB_WATCH_READ);
}

/* A connection that was deaf is read from now on. */
static inline void peer_listen(struct peer_conn *pc)
{
    pc->deaf = false;
    sb_watch_set(&pc->watch, SB_WATCH_READ);
}

/* A socket bound to 127.0.0.1 and a port of the system's choice. */
static inline int peer_bind(uint16_t *ret_port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    SB_BUG_ON(fd < 0 || bind(fd, (struct sockaddr *)&in, size) != 0);
    SB_BUG_ON(getsockname(fd, (struct sockaddr *)&in, &size) != 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static inline void peer_start(struct peer *peer, struct sb_loop *loop, const struct peer_io *io,
                              void *ctx)
{
    *peer = (struct peer){.loop = loop, .io = io, .ctx = ctx};
    sb_list_init(&peer->conns);
    peer->fd = peer_bind(&peer->port);
    SB_BUG_ON(listen(peer->fd, 1024) != 0);
    SB_BUG_ON(sb_watch_init(&peer->watch, loop, peer->fd, peer_on_accept) != SB_OK);
    sb_watch_set(&peer->watch, SB_WATCH_READ);
}

/* Closes all that is open. */
static inline void peer_stop(struct peer *peer)
{
    while (!sb_list_is_empty(&peer->conns))
        peer_close(container_of(sb_list_first(&peer->conns), struct peer_conn, link));
    sb_watch_close(&peer->watch, NULL);
    (void)close(peer->fd);
    sb_loop_turn(peer->loop);
}

/* The connection accepted last. */
static inline struct peer_conn *peer_last(struct peer *peer)
{
    return container_of(sb_list_last(&peer->conns), struct peer_conn, link);
}

/* Sends all of it; only for what fits into the socket. */
static inline void peer_say(struct peer_conn *pc, const char *text)
{
    size_t n = strlen(text);

    SB_BUG_ON(pc->peer->io->send(pc, text, n) != (ssize_t)n);
}

static inline bool peer_heard(const struct peer_conn *pc, const char *text)
{
    return sb_slice_is(sb_buf_slice(&pc->in), text);
}

/* Descriptors of this process. */
static inline unsigned count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    SB_BUG_ON(dir == NULL);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}
