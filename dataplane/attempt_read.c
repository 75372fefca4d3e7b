/* dataplane/attempt_read.c - reads the answer, whole or event by event. */
#include "dataplane/attempt_private.h"

#include <string.h>
#include <strings.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/retry_after.h"
#include "dataplane/client.h"
#include "dataplane/conf.h"
#include "dataplane/relay.h"
#include "dataplane/request.h"
#include "dataplane/tail.h"
#include "dataplane/worker.h"

enum {
    READ_ROUNDS = 8,        /* of the scratch buffer per event */
    SHORT_READ = 16 * 1024, /* less than a TLS record: there is hardly more */
    ERROR_MAX = 256 * 1024, /* bytes of an error answer that are looked at */
    GRACE_MSEC = 1000,      /* after the finish reason, for usage and end mark */
};

/* It cannot be read on.  before: the outcome while nothing has been relayed; after
 * that the stream is cut, whatever the cause. */
static void break_off(struct dp_attempt *a, enum msg_outcome before)
{
    dp_attempt_fail(a, a->req->state == DP_REQ_RELAY ? MSG_OUTCOME_STREAM_CUT : before);
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
            dp_attempt_let_go(a, true);
        dp_attempt_fail(a, outcome);
        return;
    }
    note_first_content(a);
    dp_attempt_let_go(a, clean);
    dp_relay_begin(req);
    dp_attempt_succeed(a);
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
        dp_attempt_fail(a, MSG_OUTCOME_BAD_ANSWER);
        return;
    }
    /* the rest is read for the sake of the connection: only one that has taken
     * the whole request, and is to be kept, is worth it */
    if (ended || !a->head.keep_alive || a->rest.n > 0)
        dp_attempt_let_go(a, clean);
    else if (a->conn != NULL)
        dp_tail_read(req->worker, &a->conn, &a->parser);
    dp_attempt_succeed(a);
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
        break_off(a, MSG_OUTCOME_BAD_ANSWER);
        return false;
    }
    if (in->has_error) {
        dp_attempt_fail(a, relaying ? MSG_OUTCOME_STREAM_CUT : outcome_of_error(a));
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
        break_off(a, MSG_OUTCOME_BAD_ANSWER);
        return false;
    }
    return true;
}

void dp_attempt_arm_silence(struct dp_attempt *a)
{
    sb_msec limit = a->is_stream && is_complete(a) ? GRACE_MSEC : silence(a);

    sb_timer_set(&a->limit, sb_loop_now(a->req->worker->loop) + limit);
}

void dp_attempt_silent(struct dp_attempt *a)
{
    if (a->is_stream && is_complete(a))
        finish_stream(a, false, false);
    else
        dp_attempt_fail(a, MSG_OUTCOME_STREAM_STALLED);
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
        dp_attempt_arm_silence(a);
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
        dp_attempt_fail(a, MSG_OUTCOME_BAD_ANSWER);
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
        dp_attempt_fail(a, MSG_OUTCOME_BAD_ANSWER);
        return false;
    }
    a->is_stream = good && a->req->facts->stream && type.n >= 17 &&
                   strncasecmp(type.p, "text/event-stream", 17) == 0;
    if (a->is_stream) {
        sb_sse_release(&a->sse); /* of a former attempt, which may have ended inside an event */
        sb_sse_init(&a->sse, DP_ATTEMPT_EVENT_MAX);
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
        dp_attempt_fail(a, MSG_OUTCOME_BAD_ANSWER);
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
            break_off(a, a->got_event ? MSG_OUTCOME_RESET : MSG_OUTCOME_BAD_ANSWER);
        return;
    }
    if (a->is_raw) {
        dp_attempt_let_go(a, clean);
        dp_attempt_succeed(a);
        dp_relay_raw_end(a->req);
        return;
    }
    on_whole(a, body.n > 0 ? body : sb_buf_slice(&a->in), clean);
}

static void keep_half_head(struct dp_attempt *a, struct sb_slice all)
{
    if (a->fields == NULL) {
        a->fields = sb_mem_new(sizeof(*a->fields) * DP_ATTEMPT_FIELDS_MAX);
        memcpy(a->fields, a->head.fields, sizeof(*a->fields) * a->head.fields_n);
        a->head.fields = a->fields;
        if (sb_buf_append(&a->half, all) != SB_OK) {
            dp_attempt_fail(a, MSG_OUTCOME_BAD_ANSWER);
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
            dp_attempt_fail(a, MSG_OUTCOME_BAD_ANSWER);
            return false;
        }
        base = sb_buf_slice(&a->half).p;
        input = sb_slice_from(sb_buf_slice(&a->half), a->fed);
    }
    while (input.n > 0) {
        if (sb_http1_execute(&a->parser, &a->head, input, &step) != SB_OK) {
            break_off(a, MSG_OUTCOME_BAD_ANSWER);
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

bool dp_attempt_is_stale(const struct dp_attempt *a)
{
    return dp_conn_is_reused(a->conn) && !a->got_bytes && !a->retried_stale;
}

void dp_attempt_broken(struct dp_attempt *a)
{
    if (dp_attempt_is_stale(a)) {
        a->req->worker->stats.stale_retries++;
        a->retried_stale = true;
        dp_attempt_let_go(a, false);
        a->rest.n = 0;
        dp_attempt_dial(a, true);
        return;
    }
    if (a->state == DP_ATTEMPT_ANSWER && sb_http1_finish(&a->parser) == SB_OK) {
        on_done(a, SB_SLICE_NONE, false);
        return;
    }
    if (a->is_stream && is_complete(a))
        finish_stream(a, true, false);
    else
        break_off(a, MSG_OUTCOME_RESET);
}

void dp_attempt_read(struct dp_attempt *a)
{
    struct dp_worker *worker = a->req->worker;

    for (int round = 0; round < READ_ROUNDS; round++) {
        size_t n = 0;
        int rc = dp_conn_recv(a->conn, worker->scratch, DP_SCRATCH_BYTES, &n);

        if (rc == SB_EAGAIN)
            return;
        if (rc != SB_OK) {
            dp_attempt_broken(a);
            return;
        }
        if (!feed(a, sb_slice_make(worker->scratch, n)))
            return;
        if (n < SHORT_READ || (a->req->client != NULL && dp_client_is_full(a->req->client)))
            return;
    }
}
