/* dataplane/relay.c */
#include "dataplane/relay.h"

#include "common/check.h"
#include "common/err.h"
#include "common/http1.h"
#include "common/json.h"
#include "dataplane/answer.h"
#include "dataplane/bill.h"
#include "dataplane/client.h"
#include "dataplane/metadata.h"
#include "dataplane/request.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/view.h"
#include "dataplane/worker.h"

/* The prices outlive the snapshot. */
static void keep_tariff(struct dp_request *req, const struct msg_endpoint *row)
{
    memcpy(req->prices.at, row->price, sizeof(req->prices.at));
    req->tariff = (struct msg_tariff){.price = req->prices.at, .n_overrides = row->n_overrides};
    if (SB_UNLIKELY(row->n_overrides > 0)) {
        size_t bytes = row->n_overrides * sizeof(*row->overrides);
        struct msg_override *overrides = sb_arena_alloc_raw(req->arena, bytes);

        memcpy(overrides, row->overrides, bytes);
        req->tariff.overrides = overrides;
    }
}

void dp_relay_begin(struct dp_request *req)
{
    const struct dp_candidate *candidate = req->attempt.candidate;
    const struct msg_endpoint *row = candidate->endpoint->row;
    const struct msg_provider *provider = &req->snapshot->records->providers[row->provider];
    struct msg_attempt *note = &req->attempts[req->n_attempts - 1];

    dp_request_set_state(req, DP_REQ_RELAY);
    req->status = 200;
    req->served_tag = note->tag;
    req->record.model_served = note->model;
    req->record.tag = note->tag;
    req->record.endpoint = row->id;
    req->record.credential_kind = candidate->kind;
    req->is_billed =
        candidate->kind != MSG_CREDENTIAL_KIND_OWN || req->decision->plan.charge_own_keys;
    req->spilled = req->failover.own_key_failed && candidate->kind != MSG_CREDENTIAL_KIND_OWN;
    req->worker->stats.spills += req->spilled;
    req->record.provider = sb_arena_dup(req->arena, provider->slug);
    req->record.region = sb_arena_dup(req->arena, row->region);
    keep_tariff(req, row);
    dp_request_note_evidence(req, candidate);
    req->record.first_token = (uint32_t)req->attempt.first_token_us;
    req->decision->served = candidate->endpoint;
    dp_metadata_make(req); /* needs the snapshot */
    sb_timer_cancel(&req->comment);
    dp_request_unpin(req);
    if (req->attempt.rest.n == 0) /* else it is on its way, to a provider that answers already */
        dp_request_drop_body(req);
}

/* Who leaves, or sets a deadline, has had what came until then. */
static bool is_charged(enum msg_outcome outcome)
{
    return outcome == MSG_OUTCOME_SUCCESS || outcome == MSG_OUTCOME_CLIENT_GONE ||
           outcome == MSG_OUTCOME_DEADLINE;
}

/* For whoever asked; and for whoever got a comment before anyone served: the
 * head could not say endpoint and attempts, so the last chunk does. */
static void put_metadata(struct dp_request *req)
{
    struct dp_incoming *in = &req->attempt.incoming;

    if (req->metadata_name == NULL && !req->comment_sent)
        return;
    in->metadata_name = req->metadata_name != NULL ? req->metadata_name : "switchboard_metadata";
    in->metadata_json = dp_metadata_json(req);
}

/* What the answer cost; known once all of it is there. */
void dp_relay_settle(struct dp_request *req, enum msg_outcome outcome)
{
    struct dp_incoming *in = &req->attempt.incoming;
    bool own = req->record.credential_kind == MSG_CREDENTIAL_KIND_OWN;
    int64_t charged;
    struct msg_bill bill;

    dp_usage_estimate(&in->usage, req->prompt_tokens, in->content_bytes);
    bill = dp_bill(req, &in->usage);
    req->record.usage = in->usage;
    req->record.upstream_cost = bill.total;
    charged = is_charged(outcome) ? bill.total : 0;
    req->record.cost = req->is_billed ? charged : 0;
    req->record.finish_reason = in->finish_reason;
    sb_buf_reset(&req->worker->usage);
    in->usage_json = dp_usage_json(&in->usage, &bill, charged, own, &req->worker->usage);
    put_metadata(req);
}

/* --- writing --------------------------------------------------------------- */

/* Sends head (when it is due) and body parts in one write. */
static void write_parts(struct dp_request *req, struct sb_slice *parts, size_t n)
{
    if (req->client != NULL)
        dp_client_writev(req->client, parts, n);
    for (size_t i = 1; i < n; i++)
        req->answer_bytes += parts[i].n;
}

/* The head of a stream, once; nothing when it is out already. */
static struct sb_slice stream_head(struct dp_request *req)
{
    struct sb_buf *head = &req->worker->head;

    if (req->head_sent)
        return SB_SLICE_NONE;
    req->head_sent = true;
    req->status = 200;
    req->is_chunked = req->client != NULL && dp_client_takes_chunks(req->client);
    if (!req->is_chunked)
        req->keep_alive = false;
    sb_buf_reset(head);
    if (dp_answer_head(req, head, 200, "text/event-stream", UINT64_MAX) != SB_OK) {
        if (req->client != NULL)
            dp_client_lose(req->client); /* no body without a head */
        return SB_SLICE_NONE;
    }
    return sb_buf_slice(head);
}

/* Sends events; last: with the end of the stream. */
static void send_events(struct dp_request *req, struct sb_slice events, bool last)
{
    char chunk[SB_HTTP1_CHUNK_HEAD_MAX];
    struct sb_slice parts[4];

    if (events.n == 0 && !last)
        return;
    parts[0] = stream_head(req);
    parts[1] = parts[3] = SB_SLICE_NONE;
    parts[2] = events;
    if (req->is_chunked && events.n > 0) {
        parts[1] = sb_slice_make(chunk, sb_http1_chunk_head(chunk, events.n));
        parts[3] = last ? SB_SLICE_LIT("\r\n0\r\n\r\n") : SB_SLICE_LIT("\r\n");
    } else if (req->is_chunked) {
        parts[3] = SB_SLICE_LIT("0\r\n\r\n");
    }
    write_parts(req, parts, SB_ARRAY_LEN(parts));
}

/* --- whole ----------------------------------------------------------------- */

void dp_relay_whole(struct dp_request *req)
{
    struct dp_attempt *attempt = &req->attempt;
    struct sb_buf *body = &req->worker->out, *head = &req->worker->head;
    struct sb_slice parts[2];
    int rc;

    dp_relay_settle(req, MSG_OUTCOME_SUCCESS);
    sb_buf_reset(body);
    sb_buf_reset(head);
    req->status = 200;
    rc = attempt->dialect->write_answer(&attempt->incoming, body);
    if (rc == SB_OK)
        rc = dp_answer_head(req, head, 200, "application/json", sb_buf_len(body));
    if (rc != SB_OK) { /* our own memory: the client must not wait for it */
        dp_request_fail(req, MSG_OUTCOME_INTERNAL,
                        &(struct dp_error){.status = 500,
                                           .type = "server",
                                           .message = SB_SLICE_INIT("internal error")});
        return;
    }
    req->answer_bytes = sb_buf_len(body);
    dp_request_record(req, MSG_OUTCOME_SUCCESS);
    parts[0] = sb_buf_slice(head);
    parts[1] = sb_buf_slice(body);
    if (req->client != NULL)
        dp_client_writev(req->client, parts, SB_ARRAY_LEN(parts));
    sb_buf_reset(body);
    sb_buf_clear(&attempt->in);
    dp_request_done(req);
}

/* --- streams --------------------------------------------------------------- */

struct sb_buf *dp_relay_buf(struct dp_request *req)
{
    return &req->worker->out;
}

void dp_relay_events(struct dp_request *req, struct sb_slice events)
{
    struct sb_buf *out = dp_relay_buf(req);

    sb_buf_reset(out);
    if (sb_buf_append(out, events) != SB_OK && req->client != NULL)
        dp_client_lose(req->client);
}

void dp_relay_flush(struct dp_request *req)
{
    struct sb_buf *out = dp_relay_buf(req);

    send_events(req, sb_buf_slice(out), false);
    sb_buf_reset(out);
}

void dp_relay_end(struct dp_request *req)
{
    struct dp_attempt *attempt = &req->attempt;
    struct sb_buf *out = dp_relay_buf(req);

    dp_relay_settle(req, MSG_OUTCOME_SUCCESS);
    if (attempt->dialect->end(&attempt->incoming, out) != SB_OK)
        req->keep_alive = false;
    req->answer_bytes += sb_buf_len(out);
    dp_request_record(req, MSG_OUTCOME_SUCCESS);
    req->answer_bytes -= sb_buf_len(out); /* counted again as it is sent */
    send_events(req, sb_buf_slice(out), true);
    sb_buf_reset(out);
    dp_request_done(req);
}

void dp_relay_error(struct dp_request *req, enum msg_outcome outcome, const struct dp_error *error)
{
    struct dp_attempt *attempt = &req->attempt;
    /* a provider that this worker cannot talk to has none; clients speak this */
    const struct dp_dialect *dialect =
        attempt->dialect != NULL ? attempt->dialect : &dp_dialect_openai;
    struct sb_buf *out = dp_relay_buf(req);
    SB_CLEANUP(sb_buf_release) struct sb_buf json;

    sb_buf_init(&json, 1 << 20);
    put_metadata(req);
    if (dp_error_write_inner(error, &json) != SB_OK ||
        dialect->fail(&attempt->incoming, sb_buf_slice(&json), out) != SB_OK)
        req->keep_alive = false;
    dp_request_record(req, outcome);
    send_events(req, sb_buf_slice(out), true);
    sb_buf_reset(out);
    dp_request_done(req);
}

void dp_relay_fail(struct dp_request *req, enum msg_outcome outcome)
{
    struct dp_incoming *in = &req->attempt.incoming;
    struct dp_error error = {
        .status = 502,
        .type = "provider_unavailable",
        .message = SB_SLICE_LIT("the provider ended the stream before it was complete"),
    };

    if (outcome == MSG_OUTCOME_STREAM_STALLED) {
        error.status = 504;
        error.type = "timeout";
        error.message = SB_SLICE_LIT("the provider fell silent inside the stream");
    } else if (outcome == MSG_OUTCOME_SHUTDOWN) {
        error.status = 503;
        error.type = "provider_overloaded";
        error.message = SB_SLICE_LIT("the gateway is shutting down");
    } else if (outcome == MSG_OUTCOME_DEADLINE) {
        error.status = 408;
        error.type = "timeout";
        error.message = SB_SLICE_LIT("the request's deadline has passed");
    } else if (in->has_error && in->error_message.n > 0) {
        error.message = in->error_message;
        error.provider_code = in->error_status;
    }
    if (req->attempt.is_raw) { /* no chunk can be added to a plain body */
        dp_relay_settle(req, outcome);
        dp_request_record(req, outcome);
        if (req->client != NULL)
            dp_client_abort(req->client);
        req->client = NULL;
        dp_request_done(req);
        return;
    }
    dp_relay_settle(req, outcome);
    dp_relay_error(req, outcome, &error);
}

void dp_relay_comment(struct dp_request *req)
{
    req->comment_sent = true; /* before the head: it says less then */
    send_events(req, SB_SLICE_LIT(": SWITCHBOARD PROCESSING\n\n"), false);
}

/* --- raw ------------------------------------------------------------------- */

void dp_relay_raw_head(struct dp_request *req, uint64_t length)
{
    struct sb_buf *head = &req->worker->head;

    if (req->durable != NULL)
        length = UINT64_MAX; /* by its length the client would know the end before we say so */
    req->head_sent = true;
    req->status = 200;
    req->is_chunked =
        length == UINT64_MAX && req->client != NULL && dp_client_takes_chunks(req->client);
    if (length == UINT64_MAX && !req->is_chunked)
        req->keep_alive = false;
    sb_buf_reset(head);
    if (req->client == NULL)
        return;
    if (dp_answer_head(req, head, 200, "application/json", length) == SB_OK)
        dp_client_write(req->client, sb_buf_slice(head));
    else
        dp_client_lose(req->client);
}

void dp_relay_raw(struct dp_request *req, struct sb_slice bytes)
{
    send_events(req, bytes, false);
}

void dp_relay_raw_end(struct dp_request *req)
{
    dp_relay_settle(req, MSG_OUTCOME_SUCCESS);
    dp_request_record(req, MSG_OUTCOME_SUCCESS);
    send_events(req, SB_SLICE_NONE, true);
    dp_request_done(req);
}
