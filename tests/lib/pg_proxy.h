/* tests/lib/pg_proxy.h - stands between a client in a child process and the
 * PostgreSQL of tests/lib/pg_cluster.h, and lets one of them die at a chosen step.
 *
 * A step is a message after which the client waits for the server, or a piece of
 * a COPY.  Steps are counted from the start of the connection, 1 first.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/lib/pg_cluster.h"

enum pg_proxy_fault {
    PG_PROXY_CLIENT_BEFORE, /* kill -9 of the client, the server never gets the step */
    PG_PROXY_CLIENT_AFTER,  /* the server has done the step, the client never hears of it */
    PG_PROXY_SERVER_BEFORE, /* kill -9 of the server's process: all of the cluster restarts */
    PG_PROXY_SERVER_AFTER,
};

struct pg_proxy {
    const struct pg_cluster *pg;
    int listener, client, server;
    pid_t child, backend; /* backend: 0 until the server told */
    enum pg_proxy_fault fault;
    unsigned fatal, steps; /* fatal: which step; steps: seen so far */
    bool is_done;
    bool started; /* the first message, which has no type, has passed */
};

static inline struct sockaddr_un pg_proxy_name(const struct pg_cluster *pg, const char *dir)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s%s/.s.PGSQL.5432", pg->dir, dir);
    return name;
}

static inline void pg_proxy_open(struct pg_proxy *proxy, const struct pg_cluster *pg)
{
    struct sockaddr_un name = pg_proxy_name(pg, "/proxy");
    char dir[128];

    *proxy = (struct pg_proxy){.pg = pg, .client = -1, .server = -1};
    (void)snprintf(dir, sizeof(dir), "%s/proxy", pg->dir);
    (void)mkdir(dir, 0700);
    (void)unlink(name.sun_path);
    proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (proxy->listener < 0 ||
        bind(proxy->listener, (const struct sockaddr *)&name, sizeof(name)) != 0 ||
        listen(proxy->listener, 1) != 0)
        pg_cluster_die("the proxy cannot listen");
}

static inline void pg_proxy_close(struct pg_proxy *proxy)
{
    (void)close(proxy->listener);
}

/* How the client connects to it; text has room. */
static inline void pg_proxy_conninfo(const struct pg_cluster *pg, char text[256])
{
    (void)snprintf(text, 256, "host=%s/proxy user=switchboard_owner dbname=t%d", pg->dir,
                   pg->databases);
}

static inline void pg_proxy_die(struct pg_proxy *proxy)
{
    bool is_client =
        proxy->fault == PG_PROXY_CLIENT_BEFORE || proxy->fault == PG_PROXY_CLIENT_AFTER;

    if (kill(is_client ? proxy->child : proxy->backend, SIGKILL) != 0)
        pg_cluster_die("there is nobody to kill");
    proxy->is_done = true;
}

static inline size_t pg_proxy_read(int fd, char *bytes, size_t n)
{
    size_t got = 0;

    while (got < n) {
        ssize_t more = read(fd, bytes + got, n - got);

        if (more <= 0)
            return got;
        got += (size_t)more;
    }
    return got;
}

static inline void pg_proxy_write(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t more = send(fd, bytes, n, MSG_NOSIGNAL);

        if (more <= 0)
            return; /* the other end is gone: reading says so */
        bytes += more;
        n -= (size_t)more;
    }
}

/* Reads one message; gives its bytes, 0 at the end.  head: those of its head. */
static inline size_t pg_proxy_message(int fd, size_t head, char **ret_bytes)
{
    char start[5], *bytes;
    size_t n;

    if (pg_proxy_read(fd, start, head) != head)
        return 0;
    n = (size_t)(unsigned char)start[head - 4] << 24 |
        (size_t)(unsigned char)start[head - 3] << 16 | (size_t)(unsigned char)start[head - 2] << 8 |
        (size_t)(unsigned char)start[head - 1];
    n += head - 4;
    bytes = calloc(1, n);
    if (bytes == NULL)
        pg_cluster_die("no memory");
    memcpy(bytes, start, head);
    if (pg_proxy_read(fd, bytes + head, n - head) != n - head) {
        free(bytes);
        return 0;
    }
    *ret_bytes = bytes;
    return n;
}

/* One message of the server, on to the client when it is still to hear.  False
 * at the end; ret_type may be NULL. */
static inline bool pg_proxy_answer(struct pg_proxy *proxy, bool pass, char *ret_type)
{
    char *bytes;
    size_t n = pg_proxy_message(proxy->server, 5, &bytes);

    if (n == 0)
        return false;
    if (bytes[0] == 'K')
        proxy->backend = (pid_t)((unsigned char)bytes[5] << 24 | (unsigned char)bytes[6] << 16 |
                                 (unsigned char)bytes[7] << 8 | (unsigned char)bytes[8]);
    if (ret_type != NULL)
        *ret_type = bytes[0];
    if (pass)
        pg_proxy_write(proxy->client, bytes, n);
    free(bytes);
    return true;
}

/* Waits until the server is ready for the next step, without telling. */
static inline void pg_proxy_swallow(struct pg_proxy *proxy, char type)
{
    char answer = '\0';

    if (type == 'd')
        return; /* is not answered */
    while (answer != 'Z' && answer != 'G' && pg_proxy_answer(proxy, false, &answer))
        ;
}

static inline bool pg_proxy_ask(struct pg_proxy *proxy)
{
    bool started = proxy->started;
    char *bytes, type;
    size_t n = pg_proxy_message(proxy->client, started ? 5 : 4, &bytes);
    bool is_before =
        proxy->fault == PG_PROXY_CLIENT_BEFORE || proxy->fault == PG_PROXY_SERVER_BEFORE;

    if (n == 0)
        return false;
    type = started ? bytes[0] : '\0';
    proxy->started = true;
    /* Query, Sync, CopyData, CopyDone */
    if (type != '\0' && strchr("QSdc", type) != NULL && ++proxy->steps == proxy->fatal) {
        if (!is_before) {
            pg_proxy_write(proxy->server, bytes, n);
            pg_proxy_swallow(proxy, type);
        }
        pg_proxy_die(proxy);
    } else {
        pg_proxy_write(proxy->server, bytes, n);
    }
    free(bytes);
    return true;
}

/* Serves the one connection of the child until either is gone; gives how many
 * steps there were.  fatal: 0 lets all live. */
static inline unsigned pg_proxy_run(struct pg_proxy *proxy, pid_t child, unsigned fatal,
                                    enum pg_proxy_fault fault)
{
    struct sockaddr_un name = pg_proxy_name(proxy->pg, "");
    struct pollfd polls[2];
    bool is_open = true;

    proxy->child = child;
    proxy->fatal = fatal;
    proxy->fault = fault;
    proxy->steps = 0;
    proxy->is_done = false;
    proxy->started = false;
    proxy->client = accept(proxy->listener, NULL, NULL);
    proxy->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (proxy->client < 0 || proxy->server < 0 ||
        connect(proxy->server, (const struct sockaddr *)&name, sizeof(name)) != 0)
        pg_cluster_die("the proxy cannot connect");
    polls[0] = (struct pollfd){.fd = proxy->client, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = proxy->server, .events = POLLIN};
    while (is_open && !proxy->is_done && poll(polls, 2, -1) > 0) {
        if (polls[1].revents != 0)
            is_open = pg_proxy_answer(proxy, true, NULL);
        else if (polls[0].revents != 0)
            is_open = pg_proxy_ask(proxy);
    }
    (void)close(proxy->client);
    (void)close(proxy->server);
    return proxy->steps;
}
