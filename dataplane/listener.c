/* dataplane/listener.c */
#define _GNU_SOURCE /* accept4 */
#include "dataplane/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/hostport.h"
#include "common/log.h"
#include "common/mem.h"

enum {
    BACKLOG = 4096,
    ACCEPTS_PER_TURN = 32,
    REST_MSEC = 100, /* without descriptors: others must close first */
};

struct dp_listener {
    struct sb_watch watch;
    struct sb_timer rest;
    dp_accept_cb *cb;
    void *ctx;
    struct sb_loop *loop;
    int fd;
};

static int bind_one(const struct addrinfo *info, bool reuse_port)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (reuse_port)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;

        (void)close(fd);
        return -saved;
    }
    return fd;
}

int dp_listen(const char *address, unsigned port_offset, bool reuse_port, int *ret_fd,
              struct sb_errmsg *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[SB_HOST_MAX], service[8];
    unsigned port;
    int fd, rc;

    rc = sb_hostport_split(address, host, &port, err);
    if (rc != SB_OK)
        return rc;
    if (port + port_offset > 65535)
        return sb_err_set(err, SB_EINVAL, "address '%s' leaves no port for worker %u", address,
                          port_offset);
    (void)snprintf(service, sizeof(service), "%u", port == 0 ? 0 : port + port_offset);
    if (getaddrinfo(host[0] != '\0' ? host : NULL, service, &hints, &found) != 0 || found == NULL)
        return sb_err_set(err, SB_EINVAL, "host '%s' of address '%s' is not known", host, address);
    fd = bind_one(found, reuse_port);
    freeaddrinfo(found);
    if (fd < 0)
        return sb_err_set(err, sb_err_from_errno(-fd), "cannot listen on %s (port %s): %s", address,
                          service, strerror(-fd));
    *ret_fd = fd;
    return SB_OK;
}

static void on_rested(struct sb_timer *timer)
{
    struct dp_listener *listener = container_of(timer, struct dp_listener, rest);

    sb_watch_set(&listener->watch, SB_WATCH_READ);
}

static void on_readable(struct sb_watch *watch, unsigned events, int error)
{
    struct dp_listener *listener = container_of(watch, struct dp_listener, watch);

    (void)events;
    if (error != SB_OK) {
        sb_log_error(MAIN, "listening socket failed code=%s", sb_err_name(error));
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            listener->cb(listener->ctx, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            sb_log_warn(MAIN, "cannot accept, resting rest_ms=%d reason=%s", REST_MSEC,
                        strerror(errno));
            sb_watch_set(&listener->watch, 0);
            sb_timer_set(&listener->rest, sb_loop_now(listener->loop) + REST_MSEC);
        }
        return; /* EAGAIN, or a client that has left meanwhile */
    }
}

int dp_listener_new(struct sb_loop *loop, int fd, dp_accept_cb *cb, void *ctx,
                    struct dp_listener **ret_listener)
{
    struct dp_listener *listener = sb_mem_new(sizeof(*listener));
    int rc;

    *listener = (struct dp_listener){.cb = cb, .ctx = ctx, .loop = loop, .fd = fd};
    rc = sb_watch_init(&listener->watch, loop, fd, on_readable);
    if (rc != SB_OK) {
        (void)close(fd);
        sb_mem_free(listener);
        return rc;
    }
    sb_timer_init(&listener->rest, loop, on_rested);
    *ret_listener = listener;
    return SB_OK;
}

void dp_listener_open(struct dp_listener *listener)
{
    if (!sb_timer_is_set(&listener->rest))
        sb_watch_set(&listener->watch, SB_WATCH_READ);
}

static void on_closed(struct sb_watch *watch)
{
    sb_mem_free(container_of(watch, struct dp_listener, watch));
}

void dp_listener_finish(struct dp_listener **listener)
{
    if (*listener == NULL)
        return;
    for (int i = 0; i < BACKLOG; i++) {
        int fd = accept4((*listener)->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            break;
        (*listener)->cb((*listener)->ctx, fd);
    }
    dp_listener_close(listener);
}

void dp_listener_close(struct dp_listener **listener)
{
    if (*listener == NULL)
        return;
    sb_timer_release(&(*listener)->rest);
    sb_watch_close(&(*listener)->watch, on_closed);
    (void)close((*listener)->fd);
    *listener = NULL;
}
