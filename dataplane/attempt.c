/* dataplane/attempt.c - see attempt.h for the states. */
#include "dataplane/attempt.h"

#include "common/check.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/retry_after.h"
#include "dataplane/bill.h"
#include "dataplane/client.h"
#include "dataplane/conf.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/failover.h"
#include "dataplane/log.h"
#include "dataplane/outcome.h"
#include "dataplane/patience.h"
#include "dataplane/relay.h"
#include "dataplane/request.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"
#include "dataplane/tail.h"
#include "dataplane/upstream/outlet.h"
#include "dataplane/worker.h"

enum {
    READ_ROUNDS = 8,        /* of the scratch buffer per event */
    SHORT_READ = 16 * 1024, /* less than a TLS record: there is hardly more */
    ERROR_MAX = 256 * 1024, /* bytes of an error answer that are looked at */
    EVENT_MAX = 4 << 20,    /* bytes of one event */
    HELD_MAX = 256 * 1024,  /* chunks before the first content, which adds one event */
    FIELDS_MAX = 100,       /* of an answer's head */
    GRACE_MSEC = 1000,      /* after the finish reason, for usage and end mark */
};

static void start_dial(struct dp_attempt *a, bool fresh);

/* --- the end of an attempt -------------------------------------------------- */

/* Lets go of the connection.  clean: the answer was read to its end. */
static void release_conn(struct dp_attempt *a, bool clean)
{
    struct dp_pool *pool = a->req->worker->pool;

    if (a->conn == NULL)
        return;
    if (clean && a->rest.n == 0)
        dp_pool_give(pool, &a->conn);
    else
        dp_pool_drop(pool, &a->conn);
}

/* Writes the attempt down and tells all who learn from it. */
static void settle(struct dp_attempt *a, enum msg_outcome outcome)
{
    struct dp_request *req = a->req;
    struct dp_worker *worker = req->worker;
    struct msg_attempt *note = &req->attempts[req->n_attempts - 1];
    const struct dp_meaning *meaning = dp_outcome_meaning(outcome);
    uint64_t now = dp_request_elapsed(req);

    note->outcome = (uint8_t)outcome;
    note->status = a->status;
    note->first_token = a->first_token_us > 0 ? (uint32_t)(a->first_token_us - a->started_us) : 0;
    note->took = (uint32_t)(now - a->started_us);
    (void)dp_breakers_report(worker->breakers, &a->ticket, meaning->verdict);
    if (outcome == MSG_OUTCOME_RATE_LIMITED)
        dp_breakers_cool(worker->breakers, note->endpoint, note->credential, a->retry_after);
    worker->stats.attempts[outcome]++;
    worker->stats.bad_events += a->incoming.bad_events;
    if (a->first_token_us > 0) /* the provider may bill what it has sent */
        dp_usage_estimate(&a->incoming.usage, req->prompt_tokens, a->incoming.content_bytes);
    dp_telemetry_add(worker->telemetry,
                     &(struct dp_telemetry_entry){
                         .attempt = note,
                         .usage = &a->incoming.usage,
                         .cost = dp_bill(req, &a->incoming.usage).total,
                         .verdict = meaning->verdict,
                         .retry_after = a->retry_after,
                         .streamed = req->facts != NULL &&
                                     (req->facts->stream || req->facts->api == MSG_API_EMBEDDINGS),
                     });
    if (outcome != MSG_OUTCOME_SUCCESS)
        dp_log_attempt(req, note);
    else if (a->is_stream)
        dp_paces_learn(worker->paces, note, &a->incoming);
}

/* Back to IDLE; what the answer said stays to be looked at, and with it the
 * bytes that it came in: in, and half for an answer whose head came in parts. */
static void quiesce(struct dp_attempt *a)
{
    dp_pool_cancel(a->req->worker->pool, &a->take);
    sb_timer_cancel(&a->limit);
    dp_pace_end(&a->pace);
    sb_task_cancel(&a->later);
    a->rest.n = 0;
    sb_mem_free(a->fields);
    a->fields = NULL;
    a->state = DP_ATTEMPT_IDLE;
}

/* A failure: masked by the next candidate, or told to the client. */
static void fail(struct dp_attempt *a, enum msg_outcome outcome)
{
    bool relaying = a->req->state == DP_REQ_RELAY;

    release_conn(a, false);
    quiesce(a);
    settle(a, outcome);
    sb_buf_clear(&a->held);
    sb_buf_clear(&a->half);
    sb_buf_clear(&a->in);
    if (relaying)
        dp_relay_fail(a->req, outcome);
    else
        dp_failover_next(a->req, outcome);
}

static void on_later(struct sb_task *task)
{
    struct dp_attempt *a = container_of(task, struct dp_attempt, later);

    fail(a, a->found);
}

/* As fail(), from where nothing may be called back. */
static void fail_later(struct dp_attempt *a, enum msg_outcome outcome)
{
    a->found = outcome;
    sb_task_soon(&a->later);
}

void dp_attempt_cancel(struct dp_attempt *a, enum msg_outcome outcome)
{
    if (a->state == DP_ATTEMPT_IDLE)
        return;
    if (a->state != DP_ATTEMPT_CONNECT)
        a->req->worker->stats.cancelled_upstream++;
    release_conn(a, false);
    quiesce(a);
    settle(a, outcome);
}

bool dp_attempt_is_running(const struct dp_attempt *a)
{
    return a->state != DP_ATTEMPT_IDLE;
}

/* --- whole answers ----------------------------------------------------------- */

/* An answer inside a 2xx that is none. */
static enum msg_outcome outcome_of_error(struct dp_attempt *a)
{
    a->verdict.message = a->incoming.error_message;
    if (a->incoming.error_status == 429) {
        a->retry_after = SB_RETRY_AFTER_UNSAID;
        return MSG_OUTCOME_RATE_LIMITED;
    }
    return MSG_OUTCOME_BAD_ANSWER;
}

static void note_first_content(struct dp_attempt *a)
{
    a->first_token_us = dp_request_elapsed(a->req);
    dp_breakers_first_content(a->req->worker->breakers, &a->ticket);
}

static void on_whole(struct dp_attempt *a, struct sb_slice body, bool clean)
{
    struct dp_request *req = a->req;
    enum msg_outcome outcome = MSG_OUTCOME_BAD_ANSWER;

    if (a->status < 200 || a->status > 299) {
        a->dialect->classify(a->status, body, req->arena, &a->verdict);
        outcome = a->verdict.outcome;
    } else if (a->dialect->read_answer(&a->incoming, body) == SB_OK && !req->facts->stream) {
        outcome = a->incoming.has_error ? outcome_of_error(a) : MSG_OUTCOME_SUCCESS;
    } else if (a->incoming.has_error) {
        outcome = outcome_of_error(a);
    }
    if (outcome != MSG_OUTCOME_SUCCESS) {
        if (clean)
            release_conn(a, true);
        fail(a, outcome);
        return;
    }
    note_first_content(a);
    release_conn(a, clean);
    dp_relay_begin(req);
    quiesce(a);
    settle(a, MSG_OUTCOME_SUCCESS);
    dp_relay_whole(req);
}

/* --- streams ----------------------------------------------------------------- */

static bool is_complete(const struct dp_attempt *a)
{
    return a->incoming.finished >= a->incoming.n || a->incoming.is_done;
}

/* All that the client gets has come.  ended: so has the end of the message. */
static void finish_stream(struct dp_attempt *a, bool ended, bool clean)
{
    struct dp_request *req = a->req;

    if (req->state != DP_REQ_RELAY) { /* an end without any content */
        fail(a, MSG_OUTCOME_BAD_ANSWER);
        return;
    }
    /* the rest is read for the sake of the connection: only one that has taken
     * the whole request, and is to be kept, is worth it */
    if (ended || !a->head.keep_alive || a->rest.n > 0)
        release_conn(a, clean);
    else if (a->conn != NULL)
        dp_tail_read(req->worker, &a->conn, &a->parser);
    quiesce(a);
    settle(a, MSG_OUTCOME_SUCCESS);
    dp_relay_end(req);
}

static void first_content(struct dp_attempt *a)
{
    note_first_content(a);
    dp_relay_begin(a->req);
    dp_relay_events(a->req, sb_buf_slice(&a->held));
    sb_buf_clear(&a->held);
}

static sb_msec silence(const struct dp_attempt *a)
{
    const struct dp_conf *conf = a->req->worker->conf;

    return a->req->facts->reasoning ? conf->stream_silence_reasoning : conf->stream_silence;
}

/* Reads one event; false when the attempt has ended.  What leaves of it goes
 * to the client's buffer only once the client gets this answer: the buffer is
 * everybody's. */
static bool on_event(struct dp_attempt *a, const struct sb_sse_event *event)
{
    struct dp_request *req = a->req;
    struct dp_incoming *in = &a->incoming;
    bool relaying = req->state == DP_REQ_RELAY;
    struct sb_buf *out = relaying ? dp_relay_buf(req) : &a->held;
    size_t before = sb_buf_len(out);

    if (a->dialect->on_event(in, event, out) != SB_OK) {
        sb_buf_truncate(out, before); /* half an event would swallow the error's chunk */
        fail(a, relaying ? MSG_OUTCOME_STREAM_CUT : MSG_OUTCOME_BAD_ANSWER);
        return false;
    }
    if (in->has_error) {
        fail(a, relaying ? MSG_OUTCOME_STREAM_CUT : outcome_of_error(a));
        return false;
    }
    if (!relaying && in->has_content)
        first_content(a);
    return true;
}

/* Reads events out of bytes; false when the attempt has ended. */
static bool on_events(struct dp_attempt *a, struct sb_slice bytes)
{
    struct sb_sse_event event;
    int rc = SB_EAGAIN;

    while (!a->incoming.is_done && (rc = sb_sse_next(&a->sse, &bytes, &event)) == SB_OK) {
        a->got_event = true;
        if (!on_event(a, &event))
            return false;
    }
    if (!a->incoming.is_done && rc != SB_EAGAIN) { /* an event beyond all measure */
        fail(a, a->req->state == DP_REQ_RELAY ? MSG_OUTCOME_STREAM_CUT : MSG_OUTCOME_BAD_ANSWER);
        return false;
    }
    return true;
}

/* The provider may be silent for so long from now on. */
static void arm_silence(struct dp_attempt *a)
{
    sb_msec limit = a->is_stream && is_complete(a) ? GRACE_MSEC : silence(a);

    sb_timer_set(&a->limit, sb_loop_now(a->req->worker->loop) + limit);
}

/* After a read that was relayed.  A client that does not read stops the
 * provider, whose silence is then not its own: the client has its time limit. */
static void keep_pace(struct dp_attempt *a)
{
    struct dp_client *client = a->req->client;

    if (client != NULL && dp_client_is_full(client)) {
        dp_conn_pause(a->conn);
        dp_pace_hush(&a->pace);
        sb_timer_cancel(&a->limit);
    } else {
        arm_silence(a);
    }
}

/* After a read: what came goes out as one write, and the limits move on. */
static void after_events(struct dp_attempt *a)
{
    struct dp_request *req = a->req;

    if (req->state == DP_REQ_RELAY) {
        /* nothing is read behind the end mark */
        if (a->incoming.is_done || a->incoming.is_told) {
            finish_stream(a, false, false);
            return;
        }
        dp_relay_flush(req);
        if (SB_UNLIKELY(!a->pace.has_begun))
            dp_pace_begin(&a->pace, req->worker->paces, &req->attempts[req->n_attempts - 1],
                          &a->incoming, a->first_token_us - a->started_us,
                          sb_loop_now(req->worker->loop));
        keep_pace(a);
    } else if (a->incoming.is_done) {
        fail(a, MSG_OUTCOME_BAD_ANSWER);
    }
}

/* --- reading ----------------------------------------------------------------- */

/* What a 429 or 503 asks for. */
static sb_msec retry_after(const struct dp_attempt *a, const char *base)
{
    struct sb_slice value = sb_http1_value(&a->head, base, SB_SLICE_LIT("retry-after"));
    sb_msec wait =
        sb_retry_after_ms(sb_http1_value(&a->head, base, SB_SLICE_LIT("retry-after-ms")));

    if (wait == 0 && value.n > 0)
        wait = sb_retry_after(value, sb_http1_value(&a->head, base, SB_SLICE_LIT("date")),
                              sb_clock_wall(a->req->worker->clock));
    return wait == 0 && a->head.status == 429 ? SB_RETRY_AFTER_UNSAID : wait;
}

/* false: the attempt has ended. */
static bool on_head(struct dp_attempt *a, const char *base)
{
    struct sb_slice type = sb_http1_value(&a->head, base, SB_SLICE_LIT("content-type"));
    struct sb_slice coding = sb_http1_value(&a->head, base, SB_SLICE_LIT("content-encoding"));
    bool good = a->head.status >= 200 && a->head.status <= 299;

    a->status = a->head.status;
    a->state = DP_ATTEMPT_ANSWER;
    a->retry_after = good ? 0 : retry_after(a, base);
    if (good && coding.n > 0 && !sb_slice_eq_nocase(coding, SB_SLICE_LIT("identity"))) {
        fail(a, MSG_OUTCOME_BAD_ANSWER);
        return false;
    }
    a->is_stream = good && a->req->facts->stream && type.n >= 17 &&
                   strncasecmp(type.p, "text/event-stream", 17) == 0;
    if (a->is_stream) {
        sb_sse_release(&a->sse); /* of a former attempt, which may have ended inside an event */
        sb_sse_init(&a->sse, EVENT_MAX);
    } else {
        sb_buf_init(&a->in, good ? a->req->worker->conf->answer_hold : ERROR_MAX);
    }
    return true;
}

/* Its usage is not read: what was relayed is what there is to estimate from. */
static void relay_raw(struct dp_attempt *a, struct sb_slice bytes)
{
    if (a->incoming.api != MSG_API_EMBEDDINGS)
        a->incoming.content_bytes += bytes.n;
    dp_relay_raw(a->req, bytes);
}

/* A part of a whole answer that did not come in one read. */
static bool collect(struct dp_attempt *a, struct sb_slice body)
{
    bool good = a->status >= 200 && a->status <= 299;

    if (a->is_raw) {
        relay_raw(a, body);
        return true;
    }
    if (sb_buf_append(&a->in, body) == SB_OK)
        return true;
    if (!good) /* enough of it is known */
        return true;
    if (a->req->facts->stream) {
        fail(a, MSG_OUTCOME_BAD_ANSWER);
        return false;
    }
    note_first_content(a);
    a->is_raw = true;
    dp_relay_begin(a->req);
    dp_relay_raw_head(a->req, a->head.has_length ? a->head.content_length : UINT64_MAX);
    relay_raw(a, sb_buf_slice(&a->in));
    relay_raw(a, body);
    sb_buf_clear(&a->in);
    return true;
}

/* The message is complete; body: of a whole answer that came in one piece. */
static void on_done(struct dp_attempt *a, struct sb_slice body, bool clean)
{
    clean = clean && a->head.keep_alive;
    if (a->is_stream) {
        struct sb_sse_event event;

        /* the last event may lack the empty line behind it */
        if (!a->incoming.is_done && sb_sse_finish(&a->sse, &event) == SB_OK && !on_event(a, &event))
            return;
        if (is_complete(a))
            finish_stream(a, true, clean);
        else
            fail(a, a->req->state == DP_REQ_RELAY ? MSG_OUTCOME_STREAM_CUT
                    : a->got_event                ? MSG_OUTCOME_RESET
                                                  : MSG_OUTCOME_BAD_ANSWER);
        return;
    }
    if (a->is_raw) {
        release_conn(a, clean);
        quiesce(a);
        settle(a, MSG_OUTCOME_SUCCESS);
        dp_relay_raw_end(a->req);
        return;
    }
    on_whole(a, body.n > 0 ? body : sb_buf_slice(&a->in), clean);
}

static void keep_half_head(struct dp_attempt *a, struct sb_slice all)
{
    if (a->fields == NULL) {
        a->fields = sb_mem_new(sizeof(*a->fields) * FIELDS_MAX);
        memcpy(a->fields, a->head.fields, sizeof(*a->fields) * a->head.fields_n);
        a->head.fields = a->fields;
        if (sb_buf_append(&a->half, all) != SB_OK) {
            fail(a, MSG_OUTCOME_BAD_ANSWER);
            return;
        }
    }
    a->fed = sb_buf_len(&a->half);
}

/* Reads an answer on.  false when the attempt has ended. */
static bool feed(struct dp_attempt *a, struct sb_slice bytes)
{
    struct sb_slice input = bytes;
    const char *base = bytes.p;
    struct sb_http1_step step;

    a->got_bytes = true;
    if (a->fields != NULL && a->state == DP_ATTEMPT_WAIT) { /* go on with a half head */
        if (sb_buf_append(&a->half, bytes) != SB_OK) {
            fail(a, MSG_OUTCOME_BAD_ANSWER);
            return false;
        }
        base = sb_buf_slice(&a->half).p;
        input = sb_slice_from(sb_buf_slice(&a->half), a->fed);
    }
    while (input.n > 0) {
        if (sb_http1_execute(&a->parser, &a->head, input, &step) != SB_OK) {
            fail(a,
                 a->req->state == DP_REQ_RELAY ? MSG_OUTCOME_STREAM_CUT : MSG_OUTCOME_BAD_ANSWER);
            return false;
        }
        input = sb_slice_from(input, step.used);
        if (step.got & SB_HTTP1_GOT_HEAD && !on_head(a, base))
            return false;
        if (step.got & SB_HTTP1_GOT_DONE && !a->is_stream && !a->is_raw &&
            sb_buf_len(&a->in) == 0) { /* whole in one piece: nothing to copy */
            on_done(a, step.got & SB_HTTP1_GOT_BODY ? step.body : SB_SLICE_NONE, input.n == 0);
            return false;
        }
        if (step.got & SB_HTTP1_GOT_BODY &&
            !(a->is_stream ? on_events(a, step.body) : collect(a, step.body)))
            return false;
        if (step.got & SB_HTTP1_GOT_DONE) {
            on_done(a, SB_SLICE_NONE, input.n == 0);
            return false;
        }
    }
    if (a->state == DP_ATTEMPT_WAIT) {
        keep_half_head(a, bytes);
        return a->state != DP_ATTEMPT_IDLE;
    }
    if (a->is_stream)
        after_events(a);
    else if (a->is_raw)
        keep_pace(a);
    return a->state != DP_ATTEMPT_IDLE;
}

/* A pooled connection that the provider had closed already: nobody's fault. */
static bool is_stale(const struct dp_attempt *a)
{
    return dp_conn_is_reused(a->conn) && !a->got_bytes && !a->retried_stale;
}

static void on_broken(struct dp_attempt *a)
{
    if (is_stale(a)) {
        a->req->worker->stats.stale_retries++;
        a->retried_stale = true;
        release_conn(a, false);
        a->rest.n = 0;
        start_dial(a, true);
        return;
    }
    if (a->state == DP_ATTEMPT_ANSWER && sb_http1_finish(&a->parser) == SB_OK) {
        on_done(a, SB_SLICE_NONE, false);
        return;
    }
    if (a->is_stream && is_complete(a))
        finish_stream(a, true, false);
    else
        fail(a, a->req->state == DP_REQ_RELAY ? MSG_OUTCOME_STREAM_CUT : MSG_OUTCOME_RESET);
}

static void on_readable(struct dp_attempt *a)
{
    struct dp_worker *worker = a->req->worker;

    for (int round = 0; round < READ_ROUNDS; round++) {
        size_t n = 0;
        int rc = dp_conn_recv(a->conn, worker->scratch, DP_SCRATCH_BYTES, &n);

        if (rc == SB_EAGAIN)
            return;
        if (rc != SB_OK) {
            on_broken(a);
            return;
        }
        if (!feed(a, sb_slice_make(worker->scratch, n)))
            return;
        if (n < SHORT_READ || (a->req->client != NULL && dp_client_is_full(a->req->client)))
            return;
    }
}

/* --- sending ----------------------------------------------------------------- */

/* The socket has taken so many bytes of what is left. */
static void take_sent(struct dp_pieces *rest, size_t sent)
{
    while (rest->n > 0 && sent >= rest->list[0].n) {
        sent -= rest->list[0].n;
        rest->list++;
        rest->n--;
    }
    if (rest->n > 0)
        rest->list[0] = sb_slice_from(rest->list[0], sent);
}

static void send_rest(struct dp_attempt *a)
{
    size_t n = 0;
    int rc;

    if (a->rest.n == 0)
        return;
    rc = dp_conn_sendv(a->conn, a->rest.list, a->rest.n, &n);
    if (rc == SB_EAGAIN)
        return;
    if (rc == SB_OK)
        take_sent(&a->rest, n);
    if (a->rest.n == 0 && a->req->state == DP_REQ_RELAY)
        dp_request_drop_body(a->req);
    if (rc != SB_OK) /* it may have answered before it read all: 413, 401; not to be used again */
        on_readable(a);
}

static void on_conn_event(struct dp_conn *conn, unsigned events)
{
    struct dp_attempt *a = dp_conn_ctx(conn);

    if (events & DP_CONN_WRITE)
        send_rest(a);
    if (events & DP_CONN_READ && a->conn == conn && a->state != DP_ATTEMPT_IDLE)
        on_readable(a);
}

/* Keeps what the socket did not take: the body is there until it is sent, the
 * head's text is not ours. */
static void keep_rest(struct dp_attempt *a, const struct dp_pieces *all, size_t sent)
{
    a->rest = *all;
    take_sent(&a->rest, sent);
    for (size_t left = all->n - a->rest.n; left < DP_PIECES_HEAD; left++) {
        struct sb_slice *head = &all->list[left];

        *head = sb_arena_dup(a->req->arena, *head);
    }
}

/* Fields that differ from request to request, and the end of the head. */
static int put_last_fields(const struct dp_request *req, size_t body_bytes, struct sb_buf *head)
{
    int rc = SB_OK;

    if (req->beta_header.n > 0)
        rc = sb_http1_put_field(head, SB_SLICE_LIT("x-anthropic-beta"), req->beta_header);
    if (rc == SB_OK && req->trace_header.n > 0)
        rc = sb_http1_put_field(head, SB_SLICE_LIT("traceparent"), req->trace_header);
    if (rc == SB_OK)
        rc = sb_http1_put_field_u64(head, SB_SLICE_LIT("Content-Length"), body_bytes);
    return rc == SB_OK ? sb_http1_put_end(head) : rc;
}

/* Puts the request together and sends it.  Here, not before, so that it is sent
 * as soon as the connection stands. */
static int send_request(struct dp_attempt *a)
{
    struct dp_request *req = a->req;
    struct sb_buf *last = &req->worker->head;
    const struct dp_outgoing outgoing = {
        .ask = req->facts,
        .model_json = a->upstream_model_json,
        .user_json = req->user_json,
        .drop = a->candidate->dropped,
        .limit_member = dp_limit_member(a->candidate->endpoint, req->facts),
        .arena = req->arena,
    };
    struct dp_pieces all = {.n = 0};
    size_t sent = 0;
    int rc = a->dialect->encode(&outgoing, &all);

    sb_buf_reset(last);
    if (rc == SB_OK)
        rc = dp_outlets_head(req->snapshot->extra, a->candidate, req->facts->api, &all.list[0],
                             NULL);
    if (rc == SB_OK)
        rc = put_last_fields(req, dp_pieces_body(&all), last);
    if (rc != SB_OK)
        return rc;
    all.list[1] = sb_buf_slice(last);
    rc = dp_conn_sendv(a->conn, all.list, all.n, &sent);
    if (rc != SB_OK && rc != SB_EAGAIN)
        return rc;
    keep_rest(a, &all, sent);
    return SB_OK;
}

static void on_conn(struct dp_attempt *a)
{
    int rc;

    dp_conn_hold(a->conn, on_conn_event, a);
    if (SB_UNLIKELY(a->limit.deadline != a->limit_at)) /* it came out of the queue */
        sb_timer_set(&a->limit, a->limit_at);
    sb_http1_init(&a->parser, SB_HTTP1_RESPONSE, &a->req->worker->answer_limits);
    a->head = (struct sb_http1_head){.fields = a->req->worker->fields, .fields_max = FIELDS_MAX};
    a->got_bytes = false;
    a->state = DP_ATTEMPT_WAIT;
    rc = send_request(a);
    if (rc == SB_OK)
        return;
    if ((rc == SB_ECONNRESET || rc == SB_EIO) && is_stale(a)) {
        on_broken(a);
        return;
    }
    fail_later(a, rc == SB_ECONNRESET || rc == SB_EIO ? MSG_OUTCOME_RESET : MSG_OUTCOME_INTERNAL);
}

static void on_taken(struct dp_take *take, struct dp_conn *conn, enum msg_outcome outcome,
                     const char *text)
{
    struct dp_attempt *a = container_of(take, struct dp_attempt, take);

    if (conn == NULL) {
        dp_log_dial(a->req, outcome, text);
        fail(a, outcome);
        return;
    }
    a->conn = conn;
    on_conn(a);
}

/* Until when it may wait for room under the provider's max_connections: not
 * for long while another candidate is left. */
static sb_msec queue_until(const struct dp_attempt *a)
{
    sb_msec until = sb_loop_now(a->req->worker->loop) + a->req->worker->conf->connect_timeout;

    return a->is_last || until > a->limit_at ? a->limit_at : until;
}

static void start_dial(struct dp_attempt *a, bool fresh)
{
    struct dp_request *req = a->req;
    int rc;

    a->state = DP_ATTEMPT_CONNECT;
    a->take.cb = on_taken;
    a->take.connect_timeout = req->worker->conf->connect_timeout;
    a->take.fresh = fresh;
    rc = dp_pool_take(req->worker->pool,
                      dp_outlets_target(req->snapshot->extra, a->candidate->endpoint->provider),
                      &a->take, &a->conn);
    if (rc == SB_OK) {
        on_conn(a);
    } else if (rc != SB_EAGAIN) { /* a limit of ours: says nothing about the endpoint */
        dp_log_dial(req, MSG_OUTCOME_OVERLOADED, "the provider's max_in_flight is reached");
        fail_later(a, MSG_OUTCOME_OVERLOADED);
    } else if (dp_take_is_queued(&a->take)) {
        sb_timer_set(&a->limit, queue_until(a));
    }
}

/* --- limits ------------------------------------------------------------------ */

static void on_limit(struct sb_timer *timer)
{
    struct dp_attempt *a = container_of(timer, struct dp_attempt, limit);

    if (a->req->state == DP_REQ_RELAY) {
        if (a->is_stream && is_complete(a))
            finish_stream(a, false, false);
        else
            fail(a, MSG_OUTCOME_STREAM_STALLED);
        return;
    }
    if (a->state != DP_ATTEMPT_CONNECT) {
        fail(a,
             a->req->facts->stream ? MSG_OUTCOME_FIRST_TOKEN_TIMEOUT : MSG_OUTCOME_ATTEMPT_TIMEOUT);
    } else if (dp_take_is_queued(&a->take)) {
        dp_log_dial(a->req, MSG_OUTCOME_OVERLOADED,
                    "none of the provider's max_connections came free in time");
        fail(a, MSG_OUTCOME_OVERLOADED);
    } else if (sb_loop_now(a->req->worker->loop) < a->limit_at) {
        sb_timer_set(timer, a->limit_at); /* it has left the queue meanwhile */
    } else {
        fail(a, MSG_OUTCOME_CONNECT_TIMEOUT);
    }
}

static sb_msec attempt_limit(const struct dp_attempt *a, bool is_last)
{
    const struct dp_request *req = a->req;
    struct dp_patience_ask ask = {
        .conf = req->worker->conf,
        .plan = &req->decision->plan,
        .streamed = req->facts->stream,
        .reasoning = req->facts->reasoning,
        .is_last = is_last,
        .prompt_tokens = req->decision->prompt_tokens,
        .p99 = MSG_NO_DATA,
    };

    if (ask.streamed && !is_last) { /* it says nothing otherwise */
        const struct dp_row *row =
            dp_tables_find(req->worker->tables, req->snapshot, a->candidate->endpoint);

        if (dp_row_is_fresh(row, sb_loop_now(req->worker->loop)))
            ask.p99 = row->first_token[MSG_PERCENTILES - 1];
    }
    return dp_patience(&ask);
}

/* --- start ------------------------------------------------------------------- */

static void describe(struct dp_attempt *a, const struct dp_candidate *candidate)
{
    struct dp_request *req = a->req;
    const struct dp_snapshot *snapshot = req->snapshot;
    const struct msg_endpoint *row = candidate->endpoint->row;
    const struct msg_provider *provider = &snapshot->records->providers[row->provider];
    const struct msg_model *model = &snapshot->records->models[row->model];

    a->incoming = (struct dp_incoming){
        .api = req->facts->api,
        .n = req->facts->n,
        .id_json = req->generation_json,
        .model_json = sb_json_quote(req->arena, model->id),
        .provider_json = sb_json_quote(req->arena, provider->name),
        .created = req->record.received_at / 1000000,
        .arena = req->arena,
    };
    a->upstream_model_json = sb_json_quote(req->arena, row->upstream_model);
    if (req->told != NULL)
        req->told[req->n_attempts] = (struct dp_told){
            .provider_json = a->incoming.provider_json,
            .sequence = candidate->credential != NULL ? candidate->credential->sequence : 0,
        };
    req->attempts[req->n_attempts++] = (struct msg_attempt){
        .endpoint = row->id,
        .tag = sb_arena_dup(req->arena, row->tag),
        .model = sb_arena_dup(req->arena, model->id),
        .credential = candidate->credential != NULL ? candidate->credential->id : 0,
        .credential_kind = candidate->kind,
        .started = (uint32_t)a->started_us,
    };
}

void dp_attempt_start(struct dp_attempt *a, const struct dp_candidate *candidate, bool is_last)
{
    struct dp_request *req = a->req;
    const struct msg_endpoint *row = candidate->endpoint->row;
    struct sb_slice head;
    struct sb_errmsg err;

    SB_BUG_ON(a->state != DP_ATTEMPT_IDLE || req->n_attempts >= MSG_ATTEMPTS_MAX);
    a->candidate = candidate;
    a->dialect = dp_outlets_dialect(req->snapshot->extra, row->provider);
    a->started_us = dp_request_elapsed(req);
    a->first_token_us = 0;
    a->status = 0;
    a->is_stream = a->is_raw = a->retried_stale = a->got_event = false;
    a->retry_after = 0;
    a->verdict = (struct dp_verdict){.outcome = MSG_OUTCOME_NONE};
    a->rest.n = 0;
    sb_buf_init(&a->half, req->worker->conf->head_limit + DP_SCRATCH_BYTES);
    sb_buf_init(&a->held, HELD_MAX + 2 * EVENT_MAX);
    describe(a, candidate);
    a->ticket = dp_breakers_begin(req->worker->breakers, row->id,
                                  candidate->credential != NULL ? candidate->credential->id : 0);
    a->state = DP_ATTEMPT_CONNECT;
    a->is_last = is_last;
    a->limit_at = sb_loop_now(req->worker->loop) + attempt_limit(a, is_last);
    sb_timer_set(&a->limit, a->limit_at);
    /* A key that cannot be unsealed is found out before anything is dialled. */
    if (a->dialect == NULL ||
        dp_outlets_head(req->snapshot->extra, candidate, req->facts->api, &head, &err) != SB_OK) {
        dp_log_dial(req, MSG_OUTCOME_CREDENTIAL, a->dialect == NULL ? "no dialect" : err.text);
        fail_later(a, MSG_OUTCOME_CREDENTIAL);
        return;
    }
    start_dial(a, false);
}

void dp_attempt_resume(struct dp_attempt *a)
{
    if (a->conn == NULL)
        return;
    dp_conn_resume(a->conn);
    arm_silence(a); /* a client is full of nothing but what is relayed */
}

void dp_attempt_init(struct dp_attempt *a, struct dp_request *req)
{
    *a = (struct dp_attempt){.req = req};
    sb_timer_init(&a->limit, req->worker->loop, on_limit);
    sb_task_init(&a->later, req->worker->loop, on_later);
    dp_pace_init(&a->pace, req->worker->loop);
}

void dp_attempt_release(struct dp_attempt *a)
{
    dp_attempt_cancel(a, MSG_OUTCOME_INTERNAL);
    sb_timer_release(&a->limit);
    dp_pace_release(&a->pace);
    sb_task_cancel(&a->later);
    sb_sse_release(&a->sse);
    sb_buf_release(&a->half);
    sb_buf_release(&a->in);
    sb_buf_release(&a->held);
    sb_mem_free(a->fields);
    a->fields = NULL;
}
