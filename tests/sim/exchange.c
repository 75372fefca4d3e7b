/* tests/sim/exchange.c - from a complete message to the last byte of its answer */
#include "tests/sim/conn_state.h"

#include "common/err.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/control.h"
#include "tests/sim/server.h"

enum {
    OUT_HIGH = 64 << 10,    /* no more is made while so much waits to be written */
    TURN_BYTES = 256 << 10, /* made for one connection in one turn */
};

/* Drops the message that was answered. */
static void next_message(struct sim_conn *conn)
{
    sb_buf_consume(&conn->in, conn->used);
    sb_buf_reset(&conn->body);
    sb_http1_begin(&conn->parser);
    conn->used = 0;
    conn->got_head = conn->slow = conn->more_behind = false;
    conn->split = 0;
    conn->state = SIM_CONN_READING;
    sb_timer_cancel(&conn->timer);
}

/* All of the answer is written. */
static void finish(struct sim_conn *conn)
{
    bool close_now = conn->has_reply && conn->reply.behaviour->close_idle;

    if (conn->has_reply)
        conn->served++;
    sim_conn_end_reply(conn, conn->has_reply && conn->reply.failed ? SIM_OUTCOME_FAILED
                                                                   : SIM_OUTCOME_ANSWERED);
    if (conn->last != SIM_STEP_KEEP || close_now) {
        sim_conn_destroy(conn, conn->last == SIM_STEP_RESET);
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
void sim_exchange_pump(struct sim_conn *conn)
{
    size_t made = 0;

    while (conn->state == SIM_CONN_ANSWERING) {
        size_t before = sb_buf_len(&conn->out);
        sb_msec when = SB_MSEC_NEVER;
        enum sim_step step;

        if (made > TURN_BYTES) {
            sb_task_soon(&conn->task);
            break;
        }
        if (before >= OUT_HIGH) {
            if (!sim_conn_flush(conn))
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
            conn->state = SIM_CONN_FLUSHING;
        conn->last = step;
        break;
    }
    if (conn->record != NULL) {
        conn->record->status = conn->reply.status;
        conn->record->events = conn->reply.events;
    }
    if (sim_conn_flush(conn) && conn->state == SIM_CONN_FLUSHING)
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
    conn->state = SIM_CONN_ANSWERING;
    sim_exchange_pump(conn);
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
        sim_conn_destroy(conn, true);
        return;
    }
    conn->last = conn->head.keep_alive ? SIM_STEP_KEEP : SIM_STEP_CLOSE;
    conn->state = SIM_CONN_FLUSHING;
    if (sim_conn_flush(conn))
        finish(conn);
}

/* Asks, for the first time or again.  True when it was answered. */
bool sim_exchange_ask(struct sim_conn *conn, sb_msec *ret_timeout)
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

void sim_exchange_give_up(struct sim_conn *conn)
{
    struct sb_buf *body = &conn->server->world->body;

    sim_conn_leave_queue(conn);
    sb_buf_reset(body);
    write_control(conn, sim_control_give_up(conn->server, body));
}

static void start_control(struct sim_conn *conn)
{
    sb_msec timeout = 0;

    /* Whatever the answer does to other connections, this one is not idle. */
    conn->state = SIM_CONN_WAITING;
    if (sim_exchange_ask(conn, &timeout))
        return;
    sb_list_add_tail(&conn->server->waiters, &conn->queue);
    sb_timer_set(&conn->timer, sb_loop_now(conn->server->loop) + timeout);
}

/* --- what a message is --------------------------------------------------------------- */

bool sim_exchange_is_control(const struct sim_conn *conn, struct sb_slice *ret_path)
{
    struct sb_slice target = sb_http1_slice(conn->in.data + conn->in.head, conn->head.target);
    struct sb_slice query;

    *ret_path = SB_SLICE_NONE;
    (void)sb_http1_split_target(target, ret_path, &query);
    return sim_control_is_for(*ret_path);
}

void sim_exchange_start(struct sim_conn *conn)
{
    struct sb_slice path;

    if (sim_exchange_is_control(conn, &path))
        start_control(conn);
    else
        start_reply(conn, path);
}

void sim_exchange_refuse(struct sim_conn *conn)
{
    struct sb_buf *body = &conn->server->world->body;
    struct sim_error error;
    int status = sb_http1_err_status(conn->parser.err);

    conn->server->journal.count.malformed++;
    sb_buf_reset(body);
    (void)sim_error_set(&error, status, NULL, "%s", sb_http1_err_text(conn->parser.err));
    if (sim_error_write(&error, body) != SB_OK) {
        sim_conn_destroy(conn, true);
        return;
    }
    conn->head.keep_alive = false;
    write_control(conn, status);
}
