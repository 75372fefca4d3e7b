/* dataplane/client.c - see client.h for the states. */
#include "dataplane/client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/http1.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/network.h"
#include "dataplane/answer.h"
#include "dataplane/conf.h"
#include "dataplane/keymemo.h"
#include "dataplane/request.h"
#include "dataplane/worker.h"

enum {
    READ_ROUNDS = 4,         /* of the scratch buffer per turn: others want their turn too */
    LINGER_MSEC = 2000,      /* without a byte from the client */
    LINGER_MSEC_MAX = 30000, /* in all; and at most twice the limit of a body */
    FIRST_MSEC = 1000,       /* for the first byte of a client, once the worker drains */
};

enum state { IDLE, HEAD, BODY, BUSY, LINGER };

struct dp_client {
    struct sb_watch watch;
    struct sb_timer deadline;
    struct sb_task later; /* the next pipelined request, or the news that the peer is gone */
    struct sb_list link;  /* worker->clients */
    struct dp_worker *worker;
    struct dp_request *req;        /* from a whole head until it finishes */
    struct sb_http1_field *fields; /* ours while a head is half read, else NULL */
    struct sb_http1_head head;     /* until the request has it */
    struct sb_http1 parser;
    struct sb_buf in;  /* the start of a head, or what was sent ahead */
    struct sb_buf out; /* not yet sent */
    size_t held;       /* bytes at its end that may not leave yet */
    size_t fed;        /* bytes of `in` that the parser has seen */
    size_t lingered;   /* bytes thrown away */
    sb_msec linger_until;
    enum state state;
    bool gone;         /* the socket is dead, or the peer has closed */
    bool read_stopped; /* too much was sent ahead */
    bool was_full;     /* told so; owes the request a call */
    bool finishing;    /* the answer is written, not yet sent */
    bool keep;         /* after that: next request, else close */
    bool used;         /* has sent a whole head */
    bool is_holding;   /* what is written is held */
    bool is_status;    /* came to the status address */
    struct dp_keymemo key;
    struct sb_address peer;
    uint8_t peer_text_n; /* 0: not known */
    char peer_text[SB_ADDRESS_TEXT_MAX];
};

static void parse_more(struct dp_client *client);

static void on_closed(struct sb_watch *watch)
{
    struct dp_client *client = container_of(watch, struct dp_client, watch);

    sb_mem_free(client);
}

/* The only way out.  The object stays until libuv has let go of the watch. */
static void die(struct dp_client *client)
{
    int fd = sb_watch_fd(&client->watch);

    SB_BUG_ON(client->req != NULL);
    sb_timer_release(&client->deadline);
    sb_task_cancel(&client->later);
    sb_list_remove(&client->link);
    client->worker->n_clients--;
    dp_worker_client_ended(client->worker);
    sb_buf_release(&client->in);
    sb_buf_release(&client->out);
    sb_mem_free(client->fields);
    client->fields = NULL;
    dp_keymemo_clear(&client->key);
    sb_watch_close(&client->watch, on_closed);
    (void)close(fd);
}

static void set_deadline(struct dp_client *client, sb_msec after)
{
    sb_timer_set(&client->deadline, sb_loop_now(client->worker->loop) + after);
}

/* Bytes that may leave. */
static size_t unsent(const struct dp_client *client)
{
    return sb_buf_len(&client->out) - client->held;
}

static void set_interest(struct dp_client *client)
{
    unsigned interest = client->read_stopped ? SB_WATCH_HANGUP : SB_WATCH_READ;

    if (client->gone)
        interest = 0;
    else if (unsent(client) > 0)
        interest |= SB_WATCH_WRITE;
    sb_watch_set(&client->watch, interest);
}

/* The peer is not there any more.  The request hears of it from a task, since
 * this is called in the middle of its own writes. */
static void lose(struct dp_client *client)
{
    if (client->gone)
        return;
    client->gone = true;
    sb_buf_clear(&client->out);
    client->held = 0;
    set_interest(client);
    sb_task_soon(&client->later);
}

static void become_idle(struct dp_client *client)
{
    client->state = IDLE;
    client->fed = 0;
    sb_http1_begin(&client->parser);
    if (client->read_stopped) {
        client->read_stopped = false;
        set_interest(client);
    }
    if (sb_buf_len(&client->in) > 0) { /* not from here: answers would nest */
        sb_task_soon(&client->later);
        set_deadline(client, client->worker->conf->head_timeout);
        return;
    }
    sb_buf_clear(&client->in);
    set_deadline(client, client->worker->conf->idle_timeout);
}

static void linger(struct dp_client *client)
{
    client->state = LINGER;
    sb_buf_clear(&client->in);
    client->read_stopped = false;
    (void)shutdown(sb_watch_fd(&client->watch), SHUT_WR);
    set_interest(client);
    set_deadline(client, LINGER_MSEC);
    client->linger_until = sb_loop_now(client->worker->loop) + LINGER_MSEC_MAX;
}

/* Many clients send all of a body before they look for an answer: closed
 * before that, they see a reset, and never why. */
static void throw_away(struct dp_client *client, size_t bytes)
{
    sb_msec now = sb_loop_now(client->worker->loop);

    client->lingered += bytes;
    if (client->lingered > client->worker->conf->body_limit * 2 || now >= client->linger_until)
        lose(client);
    else
        set_deadline(client, LINGER_MSEC);
}

/* The answer is in the socket. */
static void after_answer(struct dp_client *client)
{
    client->finishing = false;
    sb_buf_clear(&client->out);
    if (client->gone)
        sb_task_soon(&client->later);
    else if (client->keep && !client->worker->draining)
        become_idle(client);
    else
        linger(client);
}

/* --- writing --------------------------------------------------------------- */

/* What the socket took of the parts; nothing when there is a queue already. */
static size_t send_parts(struct dp_client *client, const struct sb_slice *parts, size_t n)
{
    struct iovec iov[DP_CLIENT_PARTS_MAX];
    struct msghdr message = {.msg_iov = iov};
    ssize_t sent;

    SB_BUG_ON(n > DP_CLIENT_PARTS_MAX);
    if (sb_buf_len(&client->out) > 0 || client->is_holding)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].n == 0)
            continue;
        iov[message.msg_iovlen++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)parts[i].p, .iov_len = parts[i].n};
    }
    if (message.msg_iovlen == 0)
        return 0;
    sent = sendmsg(sb_watch_fd(&client->watch), &message, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        lose(client);
    return sent > 0 ? (size_t)sent : 0;
}

void dp_client_writev(struct dp_client *client, const struct sb_slice *parts, size_t n)
{
    size_t before = sb_buf_len(&client->out), sent, skip;

    if (client->gone)
        return;
    sent = send_parts(client, parts, n);
    for (size_t i = 0; i < n && !client->gone; i++) {
        skip = sent < parts[i].n ? sent : parts[i].n;
        sent -= skip;
        if (sb_buf_append(&client->out, sb_slice_from(parts[i], skip)) != SB_OK)
            lose(client);
    }
    if (client->is_holding && !client->gone)
        client->held += sb_buf_len(&client->out) - before;
    if (client->gone || unsent(client) == 0)
        return;
    if (!sb_timer_is_set(&client->deadline))
        set_deadline(client, client->worker->conf->write_timeout);
    set_interest(client);
}

void dp_client_write(struct dp_client *client, struct sb_slice bytes)
{
    dp_client_writev(client, &bytes, 1);
}

bool dp_client_is_full(struct dp_client *client)
{
    client->was_full = sb_buf_len(&client->out) > DP_CLIENT_OUT_HIGH;
    return client->was_full;
}

static void on_writable(struct dp_client *client)
{
    struct sb_slice left = sb_slice_make(sb_buf_slice(&client->out).p, unsent(client));
    ssize_t n = send(sb_watch_fd(&client->watch), left.p, left.n, MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            lose(client);
        return;
    }
    sb_buf_consume(&client->out, (size_t)n);
    if (unsent(client) == 0) {
        if (client->held == 0)
            sb_buf_clear(&client->out);
        if (client->state == BUSY || client->finishing) /* else it is the body's: 100 Continue */
            sb_timer_cancel(&client->deadline);
        set_interest(client);
    } else if (n > 0) {
        set_deadline(client, client->worker->conf->write_timeout);
    }
    if (client->was_full && sb_buf_len(&client->out) <= DP_CLIENT_OUT_LOW) {
        client->was_full = false;
        if (client->req != NULL)
            dp_request_on_client_ready(client->req);
    }
    if (client->finishing && sb_buf_len(&client->out) == 0)
        after_answer(client);
}

void dp_client_hold(struct dp_client *client)
{
    SB_BUG_ON(client->state != BUSY);
    client->is_holding = true;
}

void dp_client_unhold(struct dp_client *client)
{
    client->is_holding = false;
    client->held = 0;
    if (client->gone || sb_buf_len(&client->out) == 0)
        return;
    on_writable(client);
    if (client->gone || sb_buf_len(&client->out) == 0)
        return;
    if (!sb_timer_is_set(&client->deadline))
        set_deadline(client, client->worker->conf->write_timeout);
    set_interest(client);
}

void dp_client_finish(struct dp_client *client, bool keep_alive)
{
    SB_BUG_ON(client->req == NULL);
    client->keep = keep_alive && dp_client_keeps_alive(client);
    client->req = NULL;
    client->was_full = false;
    if (sb_buf_len(&client->out) > 0)
        client->finishing = true;
    else
        after_answer(client);
}

/* So that the client does not take half an answer for a whole one. */
static void reset_at_close(struct dp_client *client)
{
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(sb_watch_fd(&client->watch), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void dp_client_abort(struct dp_client *client)
{
    client->req = NULL;
    dp_client_lose(client);
}

void dp_client_lose(struct dp_client *client)
{
    reset_at_close(client);
    lose(client);
}

/* --- reading --------------------------------------------------------------- */

/* An error before there is a request: answered here, and the end. */
static void refuse(struct dp_client *client, int status, const char *reason, const char *text)
{
    dp_worker_count_refusal(client->worker, reason);
    dp_answer_refuse(client->worker, client, status, text);
    client->keep = false;
    if (sb_buf_len(&client->out) > 0) {
        client->state = BUSY;
        client->finishing = true;
    } else {
        after_answer(client);
    }
}

/* Keeps what was sent beyond the current message. */
static void keep_ahead(struct dp_client *client, struct sb_slice bytes)
{
    if (bytes.n > 0 && sb_buf_append(&client->in, bytes) != SB_OK) {
        lose(client);
        return;
    }
    if (sb_buf_len(&client->in) >= DP_CLIENT_AHEAD_MAX && !client->read_stopped) {
        client->read_stopped = true;
        set_interest(client);
    }
}

/* The request has all it will get of its message. */
static void hand_over(struct dp_client *client, bool whole)
{
    client->state = whole ? BUSY : BODY;
    sb_timer_cancel(&client->deadline);
    dp_request_on_complete(client->req);
}

static void on_head(struct dp_client *client, const char *base)
{
    client->state = BODY;
    client->used = true;
    dp_request_new(client->worker, client, &client->head, base, &client->req);
    sb_mem_free(client->fields);
    client->fields = NULL;
}

/* Half a head: its bytes and what the parser noted of them must stay. */
static void keep_half_head(struct dp_client *client, const char *base, struct sb_slice all)
{
    if (client->fields == NULL) {
        client->fields = sb_mem_new(sizeof(*client->fields) * DP_CLIENT_FIELDS_MAX);
        memcpy(client->fields, client->worker->fields,
               sizeof(*client->fields) * client->head.fields_n);
        client->head.fields = client->fields;
    }
    if (sb_buf_len(&client->in) == 0) {
        SB_BUG_ON(all.p != base);
        if (sb_buf_append(&client->in, all) != SB_OK) {
            lose(client);
            return;
        }
    }
    client->fed = sb_buf_len(&client->in);
    if (client->state == IDLE) {
        client->state = HEAD;
        set_deadline(client, client->worker->conf->head_timeout);
    }
}

/* Reads messages out of input.  base: first byte of the current head.  The
 * client may be dead to its request after it, but its memory is there. */
static void parse(struct dp_client *client, const char *base, struct sb_slice input)
{
    struct sb_slice all = sb_slice_make(base, (size_t)(input.p + input.n - base));
    struct sb_http1_step step = {.got = 0};

    if (client->state == IDLE && client->fields == NULL)
        client->head = (struct sb_http1_head){.fields = client->worker->fields,
                                              .fields_max = DP_CLIENT_FIELDS_MAX};
    while (input.n > 0) {
        if (sb_http1_execute(&client->parser, &client->head, input, &step) != SB_OK) {
            enum sb_http1_err err = client->parser.err;

            if (client->req != NULL) { /* a broken body: the request says so */
                dp_request_on_broken_body(client->req, sb_http1_err_status(err),
                                          sb_http1_err_text(err));
                hand_over(client, false);
            } else {
                refuse(client, sb_http1_err_status(err), sb_http1_err_name(err),
                       sb_http1_err_text(err));
            }
            return;
        }
        input = sb_slice_from(input, step.used);
        if (step.got & SB_HTTP1_GOT_HEAD) {
            on_head(client, base);
            if (input.n == 0 && client->head.expect_continue && dp_request_wants_body(client->req))
                dp_client_write(client, SB_SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
        }
        if (step.got & SB_HTTP1_GOT_BODY)
            dp_request_on_body(client->req, step.body);
        if (step.got & SB_HTTP1_GOT_DONE) {
            struct sb_buf held = client->in; /* input may lie in it */

            sb_buf_init(&client->in, held.limit);
            keep_ahead(client, input);
            sb_buf_release(&held);
            hand_over(client, true);
            return;
        }
    }
    if (client->req == NULL) {
        keep_half_head(client, base, all);
        return;
    }
    sb_buf_clear(&client->in); /* bytes of a body are not kept here */
    if (!dp_request_wants_body(client->req)) {
        hand_over(client, false);
        return;
    }
    /* once, not per packet: slow senders end here */
    if (step.got & SB_HTTP1_GOT_HEAD || !sb_timer_is_set(&client->deadline))
        set_deadline(client, client->worker->conf->body_timeout);
}

/* Goes on with what lies in the buffer. */
static void parse_more(struct dp_client *client)
{
    struct sb_slice held = sb_buf_slice(&client->in);

    parse(client, held.p, sb_slice_from(held, client->fed));
}

static void on_bytes(struct dp_client *client, struct sb_slice bytes)
{
    switch (client->state) {
    case IDLE:
        if (sb_buf_len(&client->in) == 0) {
            parse(client, bytes.p, bytes);
            return;
        }
        keep_ahead(client, bytes); /* behind the next request, whose task is queued */
        return;
    case HEAD:
        if (sb_buf_append(&client->in, bytes) != SB_OK) {
            refuse(client, 431, "HEAD_LIMIT", "head over its limit");
            return;
        }
        parse_more(client);
        return;
    case BODY:
        if (client->finishing || client->req == NULL)
            return; /* refused: the rest of the body is of no interest */
        parse(client, bytes.p, bytes);
        return;
    case BUSY:
        keep_ahead(client, bytes);
        return;
    case LINGER:
        throw_away(client, bytes.n);
        return;
    }
}

/* Where what comes next is read to.  The rest of a body whose length is known
 * goes to its place at once, and nothing behind it. */
static char *room_of(struct dp_client *client, size_t *ret_size)
{
    char *room = NULL;

    if (client->state == BODY && !client->finishing && client->req != NULL)
        room = dp_request_body_room(client->req, ret_size);
    if (room != NULL)
        return room;
    *ret_size = DP_SCRATCH_BYTES;
    return client->worker->scratch;
}

static void on_readable(struct dp_client *client)
{
    for (int round = 0; round < READ_ROUNDS && !client->gone; round++) {
        size_t size;
        char *room = room_of(client, &size);
        ssize_t n = recv(sb_watch_fd(&client->watch), room, size, 0);

        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                lose(client);
            return;
        }
        if (n == 0) {
            lose(client);
            return;
        }
        on_bytes(client, sb_slice_make(room, (size_t)n));
        if ((size_t)n < size || room != client->worker->scratch || client->read_stopped)
            return;
    }
}

static void on_event(struct sb_watch *watch, unsigned events, int error)
{
    struct dp_client *client = container_of(watch, struct dp_client, watch);

    if (error != SB_OK || (client->read_stopped && (events & SB_WATCH_HANGUP))) {
        lose(client);
        return;
    }
    if (events & SB_WATCH_WRITE && unsent(client) > 0)
        on_writable(client);
    if (events & SB_WATCH_READ && !client->gone && !client->read_stopped)
        on_readable(client);
}

static void on_later(struct sb_task *task)
{
    struct dp_client *client = container_of(task, struct dp_client, later);

    if (client->gone) {
        struct dp_request *req = client->req;

        client->req = NULL;
        if (req != NULL)
            dp_request_on_client_gone(req);
        die(client);
        return;
    }
    if (client->state == IDLE && sb_buf_len(&client->in) > 0)
        parse_more(client);
}

static void on_deadline(struct sb_timer *timer)
{
    struct dp_client *client = container_of(timer, struct dp_client, deadline);

    switch (client->state) {
    case HEAD:
        refuse(client, 408, "HEAD_TIMEOUT", "the head did not arrive in time");
        return;
    case BODY:
        if (client->req != NULL && !client->finishing) {
            dp_request_on_broken_body(client->req, 408, "the body did not arrive in time");
            hand_over(client, false);
            return;
        }
        break;
    case IDLE:
    case BUSY: /* the client does not read its answer */
    case LINGER:
        break;
    }
    lose(client);
}

/* --- life ------------------------------------------------------------------ */

/* Once per connection, not per request. */
static void note_peer(struct dp_client *client, int fd)
{
    struct sockaddr_storage addr;
    socklen_t n = sizeof(addr);

    if (getpeername(fd, (struct sockaddr *)&addr, &n) == 0 &&
        sb_address_from(&addr, &client->peer) == SB_OK)
        client->peer_text_n = (uint8_t)sb_address_format(&client->peer, client->peer_text);
}

void dp_client_new(struct dp_worker *worker, int fd, bool is_status)
{
    struct dp_client *client = sb_mem_new(sizeof(*client));

    client->worker = worker;
    client->is_status = is_status;
    sb_list_init(&client->link);
    sb_timer_init(&client->deadline, worker->loop, on_deadline);
    sb_task_init(&client->later, worker->loop, on_later);
    sb_buf_init(&client->in,
                (worker->conf->head_limit > DP_CLIENT_AHEAD_MAX ? worker->conf->head_limit
                                                                : DP_CLIENT_AHEAD_MAX) +
                    DP_SCRATCH_BYTES);
    sb_buf_init(&client->out, DP_CLIENT_OUT_MAX);
    sb_http1_init(&client->parser, SB_HTTP1_REQUEST, &worker->request_limits);
    if (sb_watch_init(&client->watch, worker->loop, fd, on_event) != SB_OK) {
        (void)close(fd);
        sb_mem_free(client);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    note_peer(client, fd);
    sb_list_add_tail(&worker->clients, &client->link);
    worker->n_clients++;
    set_interest(client);
    set_deadline(client, worker->conf->head_timeout);
}

void dp_client_destroy(struct dp_client *client)
{
    struct dp_request *req = client->req;

    client->gone = true;
    client->req = NULL;
    if (req != NULL)
        dp_request_on_client_gone(req);
    die(client);
}

static bool is_idle(const struct dp_client *client)
{
    return client->state == IDLE && sb_buf_len(&client->in) == 0 && !client->gone;
}

void dp_client_drain(struct dp_client *client)
{
    if (is_idle(client) && !client->used)
        set_deadline(client, FIRST_MSEC);
}

bool dp_client_is_busy(const struct dp_client *client)
{
    if (client->gone || client->is_status || client->state == LINGER)
        return false;
    return !is_idle(client) || !client->used;
}

void dp_client_close_idle(struct dp_client *client)
{
    if (is_idle(client) && !client->is_status)
        on_readable(client);
    if (is_idle(client))
        lose(client); /* all it sent was read: no reset */
}

void dp_client_shut_down(struct dp_client *client)
{
    if (client->req != NULL && client->state == BUSY)
        dp_request_shut_down(client->req);
    else if (!client->finishing && client->state != LINGER)
        lose(client);
}

bool dp_client_keeps_alive(const struct dp_client *client)
{
    return client->state == BUSY && client->head.keep_alive && !client->worker->draining &&
           !client->gone;
}

bool dp_client_takes_chunks(const struct dp_client *client)
{
    return client->head.minor >= 1;
}

bool dp_client_is_status(const struct dp_client *client)
{
    return client->is_status;
}

struct dp_keymemo *dp_client_key(struct dp_client *client)
{
    return &client->key;
}

const struct sb_address *dp_client_peer(const struct dp_client *client)
{
    return &client->peer;
}

struct sb_slice dp_client_peer_text(const struct dp_client *client)
{
    return sb_slice_make(client->peer_text, client->peer_text_n);
}

struct dp_client *dp_client_of(struct sb_list *link)
{
    return container_of(link, struct dp_client, link);
}
