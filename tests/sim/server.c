/* tests/sim/server.c */
#define _GNU_SOURCE /* accept4 */
#include "tests/sim/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/sim/conn.h"

enum {
    ACCEPTS_PER_TURN = 64,
    BACKLOG = 4096,
    NO_DESCRIPTOR_MS = 50,
};

static void on_end_of_turn(struct sb_hook *hook)
{
    struct sim_server *server = container_of(hook, struct sim_server, end_of_turn);

    if (!sb_list_is_empty(&server->waiters))
        sim_conn_check_waiters(server);
    server->world->created = (int64_t)(sb_clock_wall(sb_loop_clock(server->loop)) / 1000000);
}

static void on_accept_again(struct sb_timer *timer)
{
    struct sim_server *server = container_of(timer, struct sim_server, accept_again);

    sb_watch_set(&server->listener, SB_WATCH_READ);
}

static void on_listener(struct sb_watch *watch, unsigned events, int error)
{
    struct sim_server *server = container_of(watch, struct sim_server, listener);

    (void)events;
    (void)error;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            sim_conn_start(server, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The waiting ones would wake us at once, for nothing. */
            sb_watch_set(watch, 0);
            sb_timer_set(&server->accept_again, sb_loop_now(server->loop) + NO_DESCRIPTOR_MS);
        }
        return;
    }
}

static int listen_on(const char *address, int port, int *ret_fd, struct sb_errmsg *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd, rc;

    if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
        return sb_err_set(err, SB_EINVAL, "address: '%.60s' is not an IPv4 address", address);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return sb_err_set(err, sb_err_from_errno(errno), "no socket: %s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, BACKLOG) != 0) {
        rc = sb_err_set(err, sb_err_from_errno(errno), "cannot listen on %s:%d: %s", address, port,
                        strerror(errno));
        (void)close(fd);
        return rc;
    }
    *ret_fd = fd;
    return SB_OK;
}

int sim_server_start(struct sim_server *server, struct sb_loop *loop, struct sim_world *world,
                     const struct sim_server_options *options, struct sb_errmsg *err)
{
    int rc;

    *server = (struct sim_server){
        .loop = loop, .world = world, .tls = options->tls, .address = options->address, .fd = -1};
    rc = listen_on(options->address, options->port, &server->fd, err);
    if (rc != SB_OK)
        return rc;
    rc = sb_watch_init(&server->listener, loop, server->fd, on_listener);
    if (rc != SB_OK) {
        (void)close(server->fd);
        return sb_err_set(err, rc, "cannot watch the listener");
    }
    sim_journal_init(&server->journal, options->records);
    sb_list_init(&server->connections);
    sb_list_init(&server->held);
    sb_list_init(&server->waiters);
    sb_timer_init(&server->accept_again, loop, on_accept_again);
    sb_hook_add(&server->end_of_turn, loop, on_end_of_turn);
    sb_watch_set(&server->listener, SB_WATCH_READ);
    return SB_OK;
}

int sim_server_port(const struct sim_server *server)
{
    struct sockaddr_in at = {0};
    socklen_t size = sizeof(at);

    if (getsockname(server->fd, (struct sockaddr *)&at, &size) != 0)
        return 0;
    return ntohs(at.sin_port);
}

void sim_server_stop(struct sim_server *server)
{
    (void)sim_conn_close_all(server, false, false, NULL);
    sb_timer_release(&server->accept_again);
    sb_hook_remove(&server->end_of_turn);
    sb_watch_close(&server->listener, NULL);
    (void)close(server->fd);
}

void sim_server_release(struct sim_server *server)
{
    sim_journal_release(&server->journal);
}
