/* tests/sim/conn.c */
#include "tests/sim/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/http1.h"
#include "common/mem.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/control.h"
#include "tests/sim/reply.h"
#include "tests/sim/server.h"
#include "tests/sim/tls.h"

enum {
    FIELDS_MAX = 200,
    READ_MIN = 16 << 10,
    READ_MAX = 1 << 20,
    READ_ROUNDS = 8,        /* per turn, then the others have their go */
    OUT_HIGH = 64 << 10,    /* no more is made while so much waits to be written */
    TURN_BYTES = 256 << 10, /* made for one connection in one turn */
    IN_MAX = 80 << 20,
    OUT_MAX = 300 << 20, /* a whole answer is one part */
    SLOW_MS = 10,
    SLOW_FIRST = 4096, /* read before one knows that it has to be slow */
};

enum state { READING, ANSWERING, FLUSHING, WAITING, DEAD };

struct sim_conn {
    struct sb_list link;  /* of server->connections */
    struct sb_list queue; /* of server->held or server->waiters */
    struct sim_server *server;
    struct sim_tls *tls; /* NULL: plain */
    struct sb_watch watch;
    struct sb_timer timer; /* next part of the answer, next slow read, end of a wait */
    struct sb_task task;   /* goes on after a long turn */
    struct sb_buf in;      /* the message that is read or answered, and what follows it */
    struct sb_buf body;    /* of a chunked message */
    struct sb_buf out;
    struct sb_http1 parser;
    struct sb_http1_head head;
    struct sb_http1_field fields[FIELDS_MAX];
    struct sim_reply reply;    /* while has_reply */
    struct sim_record *record; /* likewise, when it is recorded */
    uint64_t number;           /* of the connection */
    uint64_t served;           /* answers */
    size_t used;               /* bytes of in that the parser took of this message */
    size_t split;              /* most bytes of one write; 0: any */
    int fd;
    enum state state;
    enum sim_step last;  /* how it goes on after FLUSHING */
    bool got_head;       /* of the message that is read */
    bool slow;           /* its body is read slowly */
    bool more_behind;    /* the client sent more while it was answered: it waits in the socket */
    bool has_reply;      /* of the provider, not one about /_sim/ */
    bool counts_stream;  /* in open_streams */
    bool counts_hanging; /* in hanging */
    bool counts_held;    /* in held */
};

static const struct sb_http1_limits limits = {
    .target_bytes = 64 << 10, .head_bytes = 256 << 10, .body_bytes = 64 << 20};

/* --- the socket ------------------------------------------------------------------ */

static int read_bytes(struct sim_conn *conn, char *bytes, size_t n, size_t *ret_n)
{
    ssize_t got;

    if (conn->tls != NULL)
        return sim_tls_read(conn->tls, bytes, n, ret_n);
    do
        got = recv(conn->fd, bytes, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? SB_EAGAIN : SB_ECONNRESET;
    *ret_n = (size_t)got;
    return got > 0 ? SB_OK : SB_EEOF;
}

static int write_bytes(struct sim_conn *conn, const char *bytes, size_t n, size_t *ret_n)
{
    ssize_t put;

    if (conn->tls != NULL)
        return sim_tls_write(conn->tls, bytes, n, ret_n);
    do
        put = send(conn->fd, bytes, n, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? SB_EAGAIN : SB_ECONNRESET;
    *ret_n = (size_t)put;
    return SB_OK;
}

static void set_interest(struct sim_conn *conn)
{
    unsigned interest = SB_WATCH_READ;

    if (conn->state == READING ? conn->slow : conn->more_behind)
        interest = SB_WATCH_HANGUP;
    /* While a task or the split goes on, it is not the socket we wait for. */
    if ((sb_buf_len(&conn->out) > 0 && !sb_list_is_linked(&conn->task.link)) ||
        (conn->tls != NULL && sim_tls_read_wants_write(conn->tls)))
        interest |= SB_WATCH_WRITE;
    sb_watch_set(&conn->watch, interest);
}

static void on_closed(struct sb_watch *watch)
{
    struct sim_conn *conn = container_of(watch, struct sim_conn, watch);

    sb_buf_release(&conn->in);
    sb_buf_release(&conn->body);
    sb_buf_release(&conn->out);
    sb_mem_free(conn);
}

static void leave_queue(struct sim_conn *conn)
{
    struct sim_counters *count = &conn->server->journal.count;

    sb_list_remove(&conn->queue);
    if (conn->counts_held)
        count->held--;
    conn->counts_held = false;
}

/* The exchange is over, one way or another. */
static void end_reply(struct sim_conn *conn, enum sim_outcome outcome)
{
    struct sim_counters *count = &conn->server->journal.count;

    if (!conn->has_reply)
        return;
    conn->has_reply = false;
    leave_queue(conn);
    count->open_requests--;
    count->open_streams -= conn->counts_stream;
    count->hanging -= conn->counts_hanging;
    count->answered += outcome == SIM_OUTCOME_ANSWERED;
    count->failed += outcome == SIM_OUTCOME_FAILED;
    count->aborted += outcome == SIM_OUTCOME_ABORTED;
    count->streams_aborted += outcome == SIM_OUTCOME_ABORTED && conn->counts_stream;
    conn->counts_stream = conn->counts_hanging = false;
    if (conn->record != NULL) {
        conn->record->outcome = outcome;
        conn->record->status = conn->reply.status;
        conn->record->events = conn->reply.events;
    }
    sim_journal_leave(&conn->record);
    sim_reply_end(&conn->reply);
}

static void destroy(struct sim_conn *conn, bool reset)
{
    SB_BUG_ON(conn->state == DEAD);
    end_reply(conn, SIM_OUTCOME_ABORTED);
    leave_queue(conn);
    conn->state = DEAD;
    conn->server->journal.count.open_connections--;
    sb_list_remove(&conn->link);
    sb_timer_release(&conn->timer);
    sb_task_cancel(&conn->task);
    if (conn->tls != NULL && !reset)
        sim_tls_shutdown(conn->tls);
    sim_tls_destroy(&conn->tls);
    if (reset)
        (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                         sizeof(struct linger));
    sb_watch_close(&conn->watch, on_closed);
    (void)close(conn->fd);
}

/* The client left. */
static void lose(struct sim_conn *conn)
{
    if (conn->state == READING && sb_buf_len(&conn->in) > 0)
        conn->server->journal.count.truncated++;
    destroy(conn, false);
}

/* Writes what there is.  True: all is written.  False: not yet, or dead. */
static bool flush(struct sim_conn *conn)
{
    while (sb_buf_len(&conn->out) > 0) {
        struct sb_slice bytes = sb_buf_slice(&conn->out);
        size_t n = conn->split > 0 && conn->split < bytes.n ? conn->split : bytes.n;
        size_t put;
        int rc = write_bytes(conn, bytes.p, n, &put);

        if (rc == SB_EAGAIN)
            return false;
        if (rc != SB_OK) {
            lose(conn);
            return false;
        }
        sb_buf_consume(&conn->out, put);
        if (conn->split > 0 && sb_buf_len(&conn->out) > 0) {
            sb_task_soon(&conn->task);
            return false;
        }
    }
    return true;
}

/* --- answering --------------------------------------------------------------------- */

/* Drops the message that was answered. */
static void next_message(struct sim_conn *conn)
{
    sb_buf_consume(&conn->in, conn->used);
    sb_buf_reset(&conn->body);
    sb_http1_begin(&conn->parser);
    conn->used = 0;
    conn->got_head = conn->slow = conn->more_behind = false;
    conn->split = 0;
    conn->state = READING;
    sb_timer_cancel(&conn->timer);
}

/* All of the answer is written. */
static void finish(struct sim_conn *conn)
{
    bool close_now = conn->has_reply && conn->reply.behaviour->close_idle;

    if (conn->has_reply)
        conn->served++;
    end_reply(conn,
              conn->has_reply && conn->reply.failed ? SIM_OUTCOME_FAILED : SIM_OUTCOME_ANSWERED);
    if (conn->last != SIM_STEP_KEEP || close_now) {
        destroy(conn, conn->last == SIM_STEP_RESET);
        return;
    }
    next_message(conn);
}

static void hold(struct sim_conn *conn)
{
    if (conn->counts_held)
        return;
    conn->counts_held = true;
    conn->server->journal.count.held++;
    sb_list_add_tail(&conn->server->held, &conn->queue);
}

static void hang(struct sim_conn *conn)
{
    if (conn->counts_hanging)
        return;
    conn->counts_hanging = true;
    conn->server->journal.count.hanging++;
}

/* Makes and writes as much of the answer as can be now. */
static void pump(struct sim_conn *conn)
{
    size_t made = 0;

    while (conn->state == ANSWERING) {
        size_t before = sb_buf_len(&conn->out);
        sb_msec when = SB_MSEC_NEVER;
        enum sim_step step;

        if (made > TURN_BYTES) {
            sb_task_soon(&conn->task);
            break;
        }
        if (before >= OUT_HIGH) {
            if (!flush(conn))
                return;
            before = 0;
        }
        step = sim_reply_step(&conn->reply, sb_loop_now(conn->server->loop), &conn->out, &when);
        made += sb_buf_len(&conn->out) - before;
        if (step == SIM_STEP_MORE)
            continue;
        if (step == SIM_STEP_WAIT)
            sb_timer_set(&conn->timer, when);
        else if (step == SIM_STEP_HOLD)
            hold(conn);
        else if (step == SIM_STEP_HANG)
            hang(conn);
        else
            conn->state = FLUSHING;
        conn->last = step;
        break;
    }
    if (conn->record != NULL) {
        conn->record->status = conn->reply.status;
        conn->record->events = conn->reply.events;
    }
    if (flush(conn) && conn->state == FLUSHING)
        finish(conn);
}

/* --- a request is there --------------------------------------------------------------- */

static struct sb_slice message_head(const struct sim_conn *conn)
{
    return sb_slice_make(conn->in.data + conn->in.head, conn->head.size);
}

static struct sb_slice message_body(const struct sim_conn *conn)
{
    if (conn->head.framing == SB_HTTP1_CHUNKED)
        return sb_buf_slice(&conn->body);
    return sb_slice_make(conn->in.data + conn->in.head + conn->head.size,
                         conn->used - conn->head.size);
}

static struct sb_slice credential_of(const struct sim_conn *conn, const char *base)
{
    static const struct sb_slice names[] = {SB_SLICE_INIT("authorization"),
                                            SB_SLICE_INIT("api-key"), SB_SLICE_INIT("x-api-key")};
    struct sb_slice bearer = SB_SLICE_LIT("Bearer ");

    for (size_t i = 0; i < SB_ARRAY_LEN(names); i++) {
        struct sb_slice value = sb_http1_value(&conn->head, base, names[i]);

        if (value.n > bearer.n && sb_slice_eq_nocase(sb_slice_make(value.p, bearer.n), bearer))
            return sb_slice_from(value, bearer.n);
        if (value.p != NULL)
            return value;
    }
    return SB_SLICE_NONE;
}

static void record(struct sim_conn *conn, struct sb_slice head, struct sb_slice body)
{
    struct sim_record facts = {.number = conn->reply.asked.number,
                               .connection = conn->number,
                               .stream = sim_reply_is_stream(&conn->reply)};

    sim_journal_add(&conn->server->journal, &facts, head, body, &conn->record);
}

static void start_reply(struct sim_conn *conn, struct sb_slice path)
{
    struct sim_world *world = conn->server->world;
    struct sim_counters *count = &conn->server->journal.count;
    struct sb_slice head = message_head(conn), body = message_body(conn);
    struct sim_asked asked = {.is_post = conn->head.method == SB_HTTP1_POST,
                              .is_get = conn->head.method == SB_HTTP1_GET,
                              .keep_alive = conn->head.keep_alive && conn->head.minor > 0,
                              .authorized = true,
                              .path = path,
                              .body = body};

    if (world->api_key != NULL) {
        asked.credential = credential_of(conn, head.p);
        asked.authorized = sb_slice_is(asked.credential, world->api_key);
    }
    asked.number = ++count->requests;
    count->open_requests++;
    sim_reply_start(&conn->reply, world, &asked, sb_loop_now(conn->server->loop));
    conn->has_reply = true;
    conn->counts_stream = sim_reply_is_stream(&conn->reply);
    count->streams += conn->counts_stream;
    count->open_streams += conn->counts_stream;
    conn->split = (size_t)conn->reply.behaviour->chunk_split;
    record(conn, head, body);
    conn->state = ANSWERING;
    pump(conn);
}

static void write_control(struct sim_conn *conn, int status)
{
    struct sb_buf *body = &conn->server->world->body;
    struct sb_buf *out = &conn->out;

    if (sb_http1_put_status(out, status) != SB_OK ||
        sb_http1_put_field(out, SB_SLICE_LIT("content-type"), SB_SLICE_LIT("application/json")) !=
            SB_OK ||
        sb_http1_put_field_u64(out, SB_SLICE_LIT("content-length"), sb_buf_len(body)) != SB_OK ||
        sb_http1_put_end(out) != SB_OK || sb_buf_append(out, sb_buf_slice(body)) != SB_OK) {
        destroy(conn, true);
        return;
    }
    conn->last = conn->head.keep_alive ? SIM_STEP_KEEP : SIM_STEP_CLOSE;
    conn->state = FLUSHING;
    if (flush(conn))
        finish(conn);
}

/* Asks, for the first time or again.  True when it was answered. */
static bool answer_control(struct sim_conn *conn, sb_msec *ret_timeout)
{
    const char *base = conn->in.data + conn->in.head;
    struct sim_control control = {.method = sb_http1_slice(base, conn->head.method_text),
                                  .body = message_body(conn),
                                  .conn = conn};
    struct sb_buf *body = &conn->server->world->body;
    int status;

    (void)sb_http1_split_target(sb_http1_slice(base, conn->head.target), &control.path,
                                &control.query);
    sb_buf_reset(body);
    status = sim_control_answer(conn->server, &control, body, ret_timeout);
    if (status != 0)
        write_control(conn, status);
    return status != 0;
}

static void start_control(struct sim_conn *conn)
{
    sb_msec timeout = 0;

    /* Whatever the answer does to other connections, this one is not idle. */
    conn->state = WAITING;
    if (answer_control(conn, &timeout))
        return;
    sb_list_add_tail(&conn->server->waiters, &conn->queue);
    sb_timer_set(&conn->timer, sb_loop_now(conn->server->loop) + timeout);
}

/* --- reading ---------------------------------------------------------------------------- */

static bool is_control(const struct sim_conn *conn, struct sb_slice *ret_path)
{
    struct sb_slice target = sb_http1_slice(conn->in.data + conn->in.head, conn->head.target);
    struct sb_slice query;

    *ret_path = SB_SLICE_NONE;
    (void)sb_http1_split_target(target, ret_path, &query);
    return sim_control_is_for(*ret_path);
}

static void on_request(struct sim_conn *conn)
{
    struct sb_slice path;

    if (is_control(conn, &path))
        start_control(conn);
    else
        start_reply(conn, path);
}

static void on_head(struct sim_conn *conn)
{
    int64_t pace = conn->server->world->now->slow_read;
    struct sb_slice path;

    conn->got_head = true;
    if (conn->head.expect_continue && sb_buf_len(&conn->in) == conn->head.size &&
        (sb_buf_append_text(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n") != SB_OK || !flush(conn)))
        return;
    if (pace > 0 && conn->head.framing != SB_HTTP1_NO_BODY && !is_control(conn, &path)) {
        int small = (int)(pace < READ_MIN ? pace : READ_MIN);

        conn->slow = true;
        /* Else the kernel takes megabytes while we look slow. */
        (void)setsockopt(conn->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        sb_timer_set(&conn->timer, sb_loop_now(conn->server->loop) + SLOW_MS);
    }
}

static void refuse_message(struct sim_conn *conn)
{
    struct sb_buf *body = &conn->server->world->body;
    struct sim_error error;
    int status = sb_http1_err_status(conn->parser.err);

    conn->server->journal.count.malformed++;
    sb_buf_reset(body);
    (void)sim_error_set(&error, status, NULL, "%s", sb_http1_err_text(conn->parser.err));
    if (sim_error_write(&error, body) != SB_OK) {
        destroy(conn, true);
        return;
    }
    conn->head.keep_alive = false;
    write_control(conn, status);
}

/* Reads the messages that are in the buffer, until one has to wait. */
static void consume(struct sim_conn *conn)
{
    while (conn->state == READING) {
        struct sb_slice input = sb_slice_from(sb_buf_slice(&conn->in), conn->used);
        struct sb_http1_step step;

        if (input.n == 0)
            return;
        if (sb_http1_execute(&conn->parser, &conn->head, input, &step) != SB_OK) {
            refuse_message(conn);
            return;
        }
        conn->used += step.used;
        if ((step.got & SB_HTTP1_GOT_HEAD) != 0)
            on_head(conn);
        if (conn->state == DEAD)
            return;
        if ((step.got & SB_HTTP1_GOT_BODY) != 0 && conn->head.framing == SB_HTTP1_CHUNKED &&
            sb_buf_append(&conn->body, step.body) != SB_OK) {
            destroy(conn, true);
            return;
        }
        if ((step.got & SB_HTTP1_GOT_DONE) != 0)
            on_request(conn);
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
    for (int round = 0; round < READ_ROUNDS && conn->state == READING; round++) {
        size_t size = read_size(conn), got;
        int rc = sb_buf_reserve(&conn->in, size);

        if (rc == SB_OK)
            rc = read_bytes(conn, sb_buf_end(&conn->in), size, &got);
        if (rc == SB_EAGAIN)
            return;
        if (rc != SB_OK) {
            lose(conn);
            return;
        }
        if (is_used_up(conn)) {
            destroy(conn, false); /* as if we had closed just before this came */
            return;
        }
        sb_buf_commit(&conn->in, got);
        consume(conn);
        /* A short read has emptied a plain socket. */
        if (conn->state == DEAD || conn->slow || (conn->tls == NULL && got < size))
            return;
    }
    /* What is left inside TLS does not wake the loop. */
    if (conn->state == READING)
        sb_task_soon(&conn->task);
}

/* --- events -------------------------------------------------------------------------------- */

/* After an answer: what came meanwhile. */
static void go_on(struct sim_conn *conn)
{
    if (conn->state == READING && sb_buf_len(&conn->in) > 0)
        consume(conn);
    if (conn->state == READING && conn->tls != NULL)
        read_some(conn);
    if (conn->state != DEAD)
        set_interest(conn);
}

/* While we answer, nothing is read: only whether the client has left. */
static void look_for_end(struct sim_conn *conn, unsigned events)
{
    char byte;
    ssize_t got = recv(conn->fd, &byte, 1, MSG_PEEK);

    if (got > 0 && (events & SB_WATCH_HANGUP) == 0)
        conn->more_behind = true;
    else if (got >= 0 || (errno != EAGAIN && errno != EINTR))
        lose(conn);
}

static void on_watch(struct sb_watch *watch, unsigned events, int error)
{
    struct sim_conn *conn = container_of(watch, struct sim_conn, watch);

    if (error != SB_OK) {
        lose(conn);
        return;
    }
    if ((events & SB_WATCH_WRITE) != 0 && conn->state != READING)
        pump(conn);
    else if ((events & SB_WATCH_WRITE) != 0 && flush(conn))
        events |= SB_WATCH_READ; /* TLS may have waited for it */
    if (conn->state == DEAD)
        return;
    if ((events & (SB_WATCH_READ | SB_WATCH_HANGUP)) != 0) {
        if (conn->state != READING)
            look_for_end(conn, events);
        else if (conn->slow)
            lose(conn);
        else
            read_some(conn);
    }
    if (conn->state != DEAD)
        go_on(conn);
}

static void on_timer(struct sb_timer *timer)
{
    struct sim_conn *conn = container_of(timer, struct sim_conn, timer);

    switch (conn->state) {
    case READING:
        read_some(conn);
        if (conn->state == READING && conn->slow)
            sb_timer_set(timer, sb_loop_now(conn->server->loop) + SLOW_MS);
        break;
    case WAITING:
        leave_queue(conn);
        sb_buf_reset(&conn->server->world->body);
        write_control(conn, sim_control_give_up(conn->server, &conn->server->world->body));
        break;
    case ANSWERING:
    case FLUSHING:
        pump(conn);
        break;
    case DEAD:
        return;
    }
    if (conn->state != DEAD)
        go_on(conn);
}

static void on_task(struct sb_task *task)
{
    struct sim_conn *conn = container_of(task, struct sim_conn, task);

    if (conn->state == READING)
        read_some(conn);
    else
        pump(conn);
    if (conn->state != DEAD)
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
    conn->head.fields_max = FIELDS_MAX;
    set_interest(conn);
}

uint64_t sim_conn_close_all(struct sim_server *server, bool idle_only, bool reset,
                            const struct sim_conn *except)
{
    uint64_t n = 0;

    sb_list_for_each_safe(link, &server->connections)
    {
        struct sim_conn *conn = container_of(link, struct sim_conn, link);
        bool idle = conn->state == READING && sb_buf_len(&conn->in) == 0;

        if (conn == except || (idle_only && !idle))
            continue;
        end_reply(conn, SIM_OUTCOME_FAILED);
        destroy(conn, reset);
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

        leave_queue(conn);
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

        if (!answer_control(conn, &timeout))
            continue;
        if (conn->state != DEAD) {
            leave_queue(conn);
            go_on(conn);
        }
    }
}
