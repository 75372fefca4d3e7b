/* tests/sim/conn.c */
#include "tests/sim/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/conn_state.h"
#include "tests/sim/server.h"
#include "tests/sim/tls.h"

enum {
    READ_MIN = 16 << 10,
    READ_MAX = 1 << 20,
    READ_ROUNDS = 8, /* per turn, then the others have their go */
    IN_MAX = 80 << 20,
    OUT_MAX = 300 << 20, /* a whole answer is one part */
    SLOW_MS = 10,
    SLOW_FIRST = 4096, /* read before one knows that it has to be slow */
};

static const struct sb_http1_limits limits = {
    .target_bytes = 64 << 10, .head_bytes = 256 << 10, .body_bytes = 64 << 20};

/* --- reading ---------------------------------------------------------------------------- */

static void on_head(struct sim_conn *conn)
{
    int64_t pace = conn->server->world->now->slow_read;
    struct sb_slice path;

    conn->got_head = true;
    if (conn->head.expect_continue && sb_buf_len(&conn->in) == conn->head.size &&
        (sb_buf_append_text(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n") != SB_OK ||
         !sim_conn_flush(conn)))
        return;
    if (pace > 0 && conn->head.framing != SB_HTTP1_NO_BODY &&
        !sim_exchange_is_control(conn, &path)) {
        int small = (int)(pace < READ_MIN ? pace : READ_MIN);

        conn->slow = true;
        /* Else the kernel takes megabytes while we look slow. */
        (void)setsockopt(conn->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        sb_timer_set(&conn->timer, sb_loop_now(conn->server->loop) + SLOW_MS);
    }
}

/* Reads the messages that are in the buffer, until one has to wait. */
static void consume(struct sim_conn *conn)
{
    while (conn->state == SIM_CONN_READING) {
        struct sb_slice input = sb_slice_from(sb_buf_slice(&conn->in), conn->used);
        struct sb_http1_step step;

        if (input.n == 0)
            return;
        if (sb_http1_execute(&conn->parser, &conn->head, input, &step) != SB_OK) {
            sim_exchange_refuse(conn);
            return;
        }
        conn->used += step.used;
        if ((step.got & SB_HTTP1_GOT_HEAD) != 0)
            on_head(conn);
        if (conn->state == SIM_CONN_DEAD)
            return;
        if ((step.got & SB_HTTP1_GOT_BODY) != 0 && conn->head.framing == SB_HTTP1_CHUNKED &&
            sb_buf_append(&conn->body, step.body) != SB_OK) {
            sim_conn_destroy(conn, true);
            return;
        }
        if ((step.got & SB_HTTP1_GOT_DONE) != 0)
            sim_exchange_start(conn);
        else if (step.got == 0)
            return;
    }
}

/* How much to ask of the socket: the whole rest of a body that is announced. */
static size_t read_size(const struct sim_conn *conn)
{
    int64_t pace = conn->server->world->now->slow_read;
    size_t size = READ_MIN;

    if (conn->slow)
        return pace > 0 ? (size_t)pace : READ_MIN;
    if (pace > 0)
        return SLOW_FIRST;
    if (conn->got_head && conn->head.framing == SB_HTTP1_LENGTH) {
        uint64_t rest = conn->head.content_length + conn->head.size - sb_buf_len(&conn->in);

        size = rest > size ? (size_t)rest : size;
    }
    return size < READ_MAX ? size : READ_MAX;
}

static bool is_used_up(const struct sim_conn *conn)
{
    int64_t most = conn->server->world->now->requests_per_connection;

    return most > 0 && conn->served >= (uint64_t)most && sb_buf_len(&conn->in) == 0;
}

static void read_some(struct sim_conn *conn)
{
    for (int round = 0; round < READ_ROUNDS && conn->state == SIM_CONN_READING; round++) {
        size_t size = read_size(conn), got;
        int rc = sb_buf_reserve(&conn->in, size);

        if (rc == SB_OK)
            rc = sim_conn_read(conn, sb_buf_end(&conn->in), size, &got);
        if (rc == SB_EAGAIN)
            return;
        if (rc != SB_OK) {
            sim_conn_lose(conn);
            return;
        }
        if (is_used_up(conn)) {
            sim_conn_destroy(conn, false); /* as if we had closed just before this came */
            return;
        }
        sb_buf_commit(&conn->in, got);
        consume(conn);
        /* A short read has emptied a plain socket. */
        if (conn->state == SIM_CONN_DEAD || conn->slow || (conn->tls == NULL && got < size))
            return;
    }
    /* What is left inside TLS does not wake the loop. */
    if (conn->state == SIM_CONN_READING)
        sb_task_soon(&conn->task);
}

/* --- events -------------------------------------------------------------------------------- */

/* After an answer: what came meanwhile. */
static void go_on(struct sim_conn *conn)
{
    if (conn->state == SIM_CONN_READING && sb_buf_len(&conn->in) > 0)
        consume(conn);
    if (conn->state == SIM_CONN_READING && conn->tls != NULL)
        read_some(conn);
    if (conn->state != SIM_CONN_DEAD)
        sim_conn_set_interest(conn);
}

/* While we answer, nothing is read: only whether the client has left. */
static void look_for_end(struct sim_conn *conn, unsigned events)
{
    char byte;
    ssize_t got = recv(conn->fd, &byte, 1, MSG_PEEK);

    if (got > 0 && (events & SB_WATCH_HANGUP) == 0)
        conn->more_behind = true;
    else if (got >= 0 || (errno != EAGAIN && errno != EINTR))
        sim_conn_lose(conn);
}

static void on_watch(struct sb_watch *watch, unsigned events, int error)
{
    struct sim_conn *conn = container_of(watch, struct sim_conn, watch);

    if (error != SB_OK) {
        sim_conn_lose(conn);
        return;
    }
    if ((events & SB_WATCH_WRITE) != 0 && conn->state != SIM_CONN_READING)
        sim_exchange_pump(conn);
    else if ((events & SB_WATCH_WRITE) != 0 && sim_conn_flush(conn))
        events |= SB_WATCH_READ; /* TLS may have waited for it */
    if (conn->state == SIM_CONN_DEAD)
        return;
    if ((events & (SB_WATCH_READ | SB_WATCH_HANGUP)) != 0) {
        if (conn->state != SIM_CONN_READING)
            look_for_end(conn, events);
        else if (conn->slow)
            sim_conn_lose(conn);
        else
            read_some(conn);
    }
    if (conn->state != SIM_CONN_DEAD)
        go_on(conn);
}

static void on_timer(struct sb_timer *timer)
{
    struct sim_conn *conn = container_of(timer, struct sim_conn, timer);

    switch (conn->state) {
    case SIM_CONN_READING:
        read_some(conn);
        if (conn->state == SIM_CONN_READING && conn->slow)
            sb_timer_set(timer, sb_loop_now(conn->server->loop) + SLOW_MS);
        break;
    case SIM_CONN_WAITING:
        sim_exchange_give_up(conn);
        break;
    case SIM_CONN_ANSWERING:
    case SIM_CONN_FLUSHING:
        sim_exchange_pump(conn);
        break;
    case SIM_CONN_DEAD:
        return;
    }
    if (conn->state != SIM_CONN_DEAD)
        go_on(conn);
}

static void on_task(struct sb_task *task)
{
    struct sim_conn *conn = container_of(task, struct sim_conn, task);

    if (conn->state == SIM_CONN_READING)
        read_some(conn);
    else
        sim_exchange_pump(conn);
    if (conn->state != SIM_CONN_DEAD)
        go_on(conn);
}

/* --- from outside ----------------------------------------------------------------------------- */

void sim_conn_start(struct sim_server *server, int fd)
{
    struct sim_conn *conn = sb_mem_new(sizeof(*conn));

    *conn = (struct sim_conn){.server = server, .fd = fd};
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if ((server->tls != NULL && sim_tls_new(server->tls, fd, &conn->tls) != SB_OK) ||
        sb_watch_init(&conn->watch, server->loop, fd, on_watch) != SB_OK) {
        sim_tls_destroy(&conn->tls);
        sb_mem_free(conn);
        (void)close(fd);
        return;
    }
    conn->number = ++server->journal.count.connections;
    server->journal.count.open_connections++;
    sb_list_init(&conn->link);
    sb_list_init(&conn->queue);
    sb_list_add_tail(&server->connections, &conn->link);
    sb_timer_init(&conn->timer, server->loop, on_timer);
    sb_task_init(&conn->task, server->loop, on_task);
    sb_buf_init(&conn->in, IN_MAX);
    sb_buf_init(&conn->body, IN_MAX);
    sb_buf_init(&conn->out, OUT_MAX);
    sb_http1_init(&conn->parser, SB_HTTP1_REQUEST, &limits);
    conn->head.fields = conn->fields;
    conn->head.fields_max = SIM_CONN_FIELDS_MAX;
    sim_conn_set_interest(conn);
}

uint64_t sim_conn_close_all(struct sim_server *server, bool idle_only, bool reset,
                            const struct sim_conn *except)
{
    uint64_t n = 0;

    sb_list_for_each_safe(link, &server->connections)
    {
        struct sim_conn *conn = container_of(link, struct sim_conn, link);
        bool idle = conn->state == SIM_CONN_READING && sb_buf_len(&conn->in) == 0;

        if (conn == except || (idle_only && !idle))
            continue;
        sim_conn_end_reply(conn, SIM_OUTCOME_FAILED);
        sim_conn_destroy(conn, reset);
        n++;
    }
    return n;
}

uint64_t sim_conn_release_held(struct sim_server *server, uint64_t max)
{
    struct sb_list *link;
    uint64_t n = 0;

    while (n < max && (link = sb_list_pop(&server->held)) != NULL) {
        struct sim_conn *conn = container_of(link, struct sim_conn, queue);

        sim_conn_leave_queue(conn);
        sim_reply_release(&conn->reply);
        server->journal.count.released++;
        sb_task_soon(&conn->task); /* whoever calls us is in the middle of another answer */
        n++;
    }
    return n;
}

void sim_conn_check_waiters(struct sim_server *server)
{
    sb_list_for_each_safe(link, &server->waiters)
    {
        struct sim_conn *conn = container_of(link, struct sim_conn, queue);
        sb_msec timeout;

        if (!sim_exchange_ask(conn, &timeout))
            continue;
        if (conn->state != SIM_CONN_DEAD) {
            sim_conn_leave_queue(conn);
            go_on(conn);
        }
    }
}
