/* dataplane/attempt_send.c - takes a connection, and sends the request on it. */
#include "dataplane/attempt_private.h"

#include "common/err.h"
#include "dataplane/conf.h"
#include "dataplane/log.h"
#include "dataplane/request.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/view.h"
#include "dataplane/upstream/outlet.h"
#include "dataplane/worker.h"

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
        dp_attempt_read(a);
}

static void on_conn_event(struct dp_conn *conn, unsigned events)
{
    struct dp_attempt *a = dp_conn_ctx(conn);

    if (events & DP_CONN_WRITE)
        send_rest(a);
    if (events & DP_CONN_READ && a->conn == conn && a->state != DP_ATTEMPT_IDLE)
        dp_attempt_read(a);
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
    a->head = (struct sb_http1_head){.fields = a->req->worker->fields,
                                     .fields_max = DP_ATTEMPT_FIELDS_MAX};
    a->got_bytes = false;
    a->state = DP_ATTEMPT_WAIT;
    rc = send_request(a);
    if (rc == SB_OK)
        return;
    if ((rc == SB_ECONNRESET || rc == SB_EIO) && dp_attempt_is_stale(a)) {
        dp_attempt_broken(a);
        return;
    }
    dp_attempt_fail_later(a, rc == SB_ECONNRESET || rc == SB_EIO ? MSG_OUTCOME_RESET
                                                                 : MSG_OUTCOME_INTERNAL);
}

static void on_taken(struct dp_take *take, struct dp_conn *conn, enum msg_outcome outcome,
                     const char *text)
{
    struct dp_attempt *a = container_of(take, struct dp_attempt, take);

    if (conn == NULL) {
        dp_log_dial(a->req, outcome, text);
        dp_attempt_fail(a, outcome);
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

void dp_attempt_dial(struct dp_attempt *a, bool fresh)
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
        dp_attempt_fail_later(a, MSG_OUTCOME_OVERLOADED);
    } else if (dp_take_is_queued(&a->take)) {
        sb_timer_set(&a->limit, queue_until(a));
    }
}
