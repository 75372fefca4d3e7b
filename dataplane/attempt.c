/* dataplane/attempt.c - starts an attempt, ends it, and how long it may take; see
 * attempt.h for the states. */
#include "dataplane/attempt_private.h"

#include "common/check.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "dataplane/bill.h"
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
#include "dataplane/upstream/outlet.h"
#include "dataplane/worker.h"

/* --- the end of an attempt -------------------------------------------------- */

void dp_attempt_let_go(struct dp_attempt *a, bool clean)
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

void dp_attempt_succeed(struct dp_attempt *a)
{
    quiesce(a);
    settle(a, MSG_OUTCOME_SUCCESS);
}

void dp_attempt_fail(struct dp_attempt *a, enum msg_outcome outcome)
{
    bool relaying = a->req->state == DP_REQ_RELAY;

    dp_attempt_let_go(a, false);
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

    dp_attempt_fail(a, a->found);
}

void dp_attempt_fail_later(struct dp_attempt *a, enum msg_outcome outcome)
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
    dp_attempt_let_go(a, false);
    quiesce(a);
    settle(a, outcome);
}

bool dp_attempt_is_running(const struct dp_attempt *a)
{
    return a->state != DP_ATTEMPT_IDLE;
}

/* --- limits ------------------------------------------------------------------ */

static void on_limit(struct sb_timer *timer)
{
    struct dp_attempt *a = container_of(timer, struct dp_attempt, limit);

    if (a->req->state == DP_REQ_RELAY) {
        dp_attempt_silent(a);
        return;
    }
    if (a->state != DP_ATTEMPT_CONNECT) {
        dp_attempt_fail(a, a->req->facts->stream ? MSG_OUTCOME_FIRST_TOKEN_TIMEOUT
                                                 : MSG_OUTCOME_ATTEMPT_TIMEOUT);
    } else if (dp_take_is_queued(&a->take)) {
        dp_log_dial(a->req, MSG_OUTCOME_OVERLOADED,
                    "none of the provider's max_connections came free in time");
        dp_attempt_fail(a, MSG_OUTCOME_OVERLOADED);
    } else if (sb_loop_now(a->req->worker->loop) < a->limit_at) {
        sb_timer_set(timer, a->limit_at); /* it has left the queue meanwhile */
    } else {
        dp_attempt_fail(a, MSG_OUTCOME_CONNECT_TIMEOUT);
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
    sb_buf_init(&a->held, DP_ATTEMPT_HELD_MAX + 2 * DP_ATTEMPT_EVENT_MAX);
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
        dp_attempt_fail_later(a, MSG_OUTCOME_CREDENTIAL);
        return;
    }
    dp_attempt_dial(a, false);
}

void dp_attempt_resume(struct dp_attempt *a)
{
    if (a->conn == NULL)
        return;
    dp_conn_resume(a->conn);
    dp_attempt_arm_silence(a); /* a client is full of nothing but what is relayed */
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
