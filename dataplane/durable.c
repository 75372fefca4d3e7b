/* dataplane/durable.c */
#include "dataplane/durable.h"

#include "common/attr.h"
#include "common/check.h"
#include "common/err.h"
#include "dataplane/client.h"
#include "dataplane/conf.h"
#include "dataplane/courier/courier.h"
#include "dataplane/failover.h"
#include "dataplane/log.h"
#include "dataplane/records/spool.h"
#include "dataplane/records/wait.h"
#include "dataplane/request.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/view.h"
#include "dataplane/worker.h"

enum { RETRY_AFTER_MSEC = 5000 };

struct dp_durable {
    struct dp_request *req;
    struct dp_wait wait; /* for the DISPATCH, then for the record */
};

static void wait_for(struct dp_durable *durable, uint64_t sequence, dp_wait_cb *cb)
{
    struct dp_worker *worker = durable->req->worker;

    durable->wait.cb = cb;
    dp_wait_begin(&durable->wait, &worker->waits, sequence, worker->conf->sync_timeout);
    dp_courier_want_sync(worker->courier, sequence);
}

/* --- before the first byte to a provider ------------------------------------------ */

/* Nothing was sent, so there is nothing to wait for in the end. */
static void refuse(struct dp_request *req)
{
    dp_durable_release(req);
    dp_request_fail(req, MSG_OUTCOME_OVERLOADED,
                    &(struct dp_error){.status = 503,
                                       .type = "provider_overloaded",
                                       .message = SB_SLICE_INIT(
                                           "the policy of this key demands a record on stable "
                                           "storage, which is not to be had at the moment; "
                                           "nothing was sent to a provider"),
                                       .retry_after = RETRY_AFTER_MSEC});
}

static void on_dispatched(struct dp_wait *wait, bool is_safe)
{
    struct dp_request *req = container_of(wait, struct dp_durable, wait)->req;

    if (is_safe) {
        if (req->facts->stream) /* the first may have come due meanwhile */
            dp_request_arm_comment(req);
        dp_failover_start(req);
        return;
    }
    dp_log_unsafe(req, "dispatch");
    refuse(req);
}

/* What is known before it is sent: where it goes first, and by which evidence. */
static struct msg_record describe(struct dp_request *req)
{
    const struct dp_candidate *first = &req->decision->candidates[0];
    const struct msg_endpoint *row = first->endpoint->row;
    struct msg_record dispatch;

    dp_request_note_evidence(req, first);
    dispatch = req->record;
    dispatch.kind = MSG_RECORD_DISPATCH;
    dispatch.api = (uint8_t)req->facts->api;
    dispatch.streamed = req->facts->stream;
    dispatch.endpoint = row->id;
    dispatch.tag = row->tag;
    dispatch.provider = req->snapshot->records->providers[row->provider].slug;
    dispatch.region = row->region;
    dispatch.credential_kind = first->kind;
    req->record.n_evidence = 0; /* of whoever serves it in the end */
    return dispatch;
}

void dp_durable_dispatch(struct dp_request *req)
{
    struct dp_worker *worker = req->worker;
    struct msg_record dispatch;

    if (!dp_spool_reserve(worker->spool)) {
        refuse(req);
        return;
    }
    dispatch = describe(req);
    sb_buf_reset(&worker->record);
    if (SB_NEVER(msg_record_encode(&dispatch, &worker->record) != SB_OK)) {
        dp_spool_unreserve(worker->spool);
        refuse(req);
        return;
    }
    req->record.dispatch = dp_spool_append(worker->spool, sb_buf_slice(&worker->record));
    wait_for(req->durable, req->record.dispatch, on_dispatched);
}

/* --- before the last byte to the client --------------------------------------------- */

static void on_recorded(struct dp_wait *wait, bool is_safe)
{
    struct dp_request *req = container_of(wait, struct dp_durable, wait)->req;

    if (!is_safe) {
        dp_log_unsafe(req, "record");
        dp_durable_break_off(req);
        return;
    }
    if (req->client != NULL)
        dp_client_unhold(req->client);
    dp_request_done(req);
}

void dp_durable_hold(struct dp_request *req, uint64_t sequence)
{
    if (req->client == NULL)
        return;
    sb_timer_cancel(&req->deadline); /* the answer is there */
    sb_timer_cancel(&req->comment);
    dp_client_hold(req->client);
    wait_for(req->durable, sequence, on_recorded);
}

bool dp_durable_is_holding(const struct dp_request *req)
{
    return req->durable != NULL && req->state == DP_REQ_RECORD &&
           dp_wait_is_waiting(&req->durable->wait);
}

void dp_durable_break_off(struct dp_request *req)
{
    dp_durable_cancel(req);
    if (req->client != NULL)
        dp_client_abort(req->client);
    req->client = NULL;
    dp_request_done(req);
}

/* --- life ------------------------------------------------------------------------------ */

void dp_durable_begin(struct dp_request *req)
{
    req->durable = sb_arena_alloc(req->arena, sizeof(*req->durable));
    req->durable->req = req;
    dp_wait_init(&req->durable->wait, req->worker->loop, on_dispatched);
}

void dp_durable_cancel(struct dp_request *req)
{
    if (req->durable != NULL)
        dp_wait_cancel(&req->durable->wait);
}

void dp_durable_release(struct dp_request *req)
{
    if (req->durable != NULL)
        dp_wait_release(&req->durable->wait);
    req->durable = NULL;
}
