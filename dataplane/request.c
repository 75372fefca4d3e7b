/* dataplane/request.c - see request.h for the states. */
#include "dataplane/request.h"

#include <inttypes.h>
#include <time.h>

#include "common/check.h"
#include "common/err.h"
#include "common/keyring.h"
#include "common/secret.h"
#include "dataplane/api.h"
#include "dataplane/client.h"
#include "dataplane/conf.h"
#include "dataplane/cors.h"
#include "dataplane/courier/courier.h"
#include "dataplane/digest.h"
#include "dataplane/durable.h"
#include "dataplane/keymemo.h"
#include "dataplane/log.h"
#include "dataplane/receipt.h"
#include "dataplane/records/spool.h"
#include "dataplane/relay.h"
#include "dataplane/route/view.h"
#include "dataplane/worker.h"
#include "proto/receipt.h"
#include "proto/rules.h"

enum {
    BETA_MAX = 1024, /* bytes of x-anthropic-beta */
    TRACE_MAX = 128, /* of traceparent, which has 55 in its first version */
};

const char *dp_req_state_name(enum dp_req_state state)
{
    static const char *const names[] = {"read", "route", "attempt", "relay", "record", "done"};

    return names[state];
}

void dp_request_set_state(struct dp_request *req, enum dp_req_state next)
{
#define TO(state) (1u << DP_REQ_##state)
    static const unsigned legal[] = {
        [DP_REQ_READ] = TO(ROUTE) | TO(RECORD) | TO(DONE),
        [DP_REQ_ROUTE] = TO(ATTEMPT) | TO(RECORD) | TO(DONE),
        [DP_REQ_ATTEMPT] = TO(RELAY) | TO(RECORD) | TO(DONE),
        [DP_REQ_RELAY] = TO(RECORD) | TO(DONE),
        [DP_REQ_RECORD] = TO(DONE),
        [DP_REQ_DONE] = 0,
    };
#undef TO

    SB_BUG_ON((legal[req->state] & (1u << next)) == 0);
    dp_log_state(req, (int)next);
    req->state = next;
}

static uint64_t now_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t dp_request_elapsed(const struct dp_request *req)
{
    return now_us() - req->received_us;
}

bool dp_request_has_time(const struct dp_request *req, sb_msec wait)
{
    return !sb_timer_is_set(&req->deadline) ||
           sb_loop_now(req->worker->loop) + wait < req->deadline.deadline;
}

struct sb_slice dp_request_generation(const struct dp_request *req)
{
    return sb_slice_make(req->generation + 1, req->generation_n);
}

void dp_request_unpin(struct dp_request *req)
{
    dp_snapshot_unref(&req->snapshot);
    req->key = NULL;
    req->decision = NULL;
    req->attempt.candidate = NULL;
}

void dp_request_drop_body(struct dp_request *req)
{
    sb_buf_clear(&req->body_buf);
    req->body = SB_SLICE_NONE;
    req->worker->body_bytes -= req->body_counted;
    req->body_counted = 0;
}

/* --- READ: the head ---------------------------------------------------------- */

/* The first mistake counts. */
static void refuse(struct dp_request *req, int status, const char *type, struct sb_slice message)
{
    if (req->refusal.status != 0)
        return;
    req->refusal = (struct dp_error){.status = status, .type = type, .message = message};
}

static void refuse_text(struct dp_request *req, int status, const char *type, const char *text)
{
    refuse(req, status, type, sb_slice_of(text));
}

/* What a client says by a field counts whole or not at all, and it hears so. */
static void check_length(struct dp_request *req, struct sb_slice name, struct sb_slice value,
                         size_t max)
{
    if (value.n > max)
        refuse(req, 400, "invalid_request",
               sb_arena_printf(req->arena, "%.*s has %zu bytes; the limit is %zu",
                               SB_SLICE_ARGS(name), value.n, max));
}

static struct sb_slice header(struct dp_request *req, const struct sb_http1_head *head,
                              const char *base, struct sb_slice name, size_t max)
{
    struct sb_slice value = sb_http1_value(head, base, name);

    check_length(req, name, value, max);
    return value.n > 0 && value.n <= max ? sb_arena_dup(req->arena, value) : SB_SLICE_NONE;
}

static bool is_enabled(const struct sb_http1_head *head, const char *base, struct sb_slice name)
{
    return sb_slice_eq_nocase(sb_http1_value(head, base, name), SB_SLICE_LIT("enabled"));
}

/* The one field that says who asks.  Of two, a proxy in front may have looked
 * at the other. */
static struct sb_slice find_authorization(struct dp_request *req, const struct sb_http1_head *head,
                                          const char *base)
{
    static const struct sb_slice name = SB_SLICE_INIT("authorization");
    const struct sb_http1_field *field = sb_http1_find(head, base, name, NULL);

    if (field == NULL)
        return SB_SLICE_NONE;
    if (sb_http1_find(head, base, name, field) != NULL)
        refuse_text(req, 400, "invalid_request", "Authorization: there is more than one; send one");
    return sb_http1_slice(base, field->value);
}

/* Who asks: the key of "Authorization: Bearer sb-...". */
static void authenticate(struct dp_request *req, struct sb_slice field)
{
    static const struct sb_slice scheme = SB_SLICE_INIT("bearer ");
    struct dp_worker *worker = req->worker;
    const struct dp_key *key;
    const uint8_t *hash;

    if (worker->snapshot == NULL) {
        refuse_text(req, 503, "provider_overloaded",
                    "this worker has no configuration yet; try again in a moment");
        req->refusal.retry_after = 1000;
        return;
    }
    if (field.n <= scheme.n || strncasecmp(field.p, scheme.p, scheme.n) != 0) {
        refuse_text(req, 401, "authentication",
                    "no API key: send it as \"Authorization: Bearer sb-...\"");
        return;
    }
    hash = dp_keymemo_hash(dp_client_key(req->client), sb_keyring_hash_key(worker->keyring),
                           sb_slice_from(field, scheme.n));
    key = dp_snapshot_find_key(worker->snapshot, hash);
    if (key == NULL) {
        refuse_text(req, 401, "authentication", "unknown API key");
        return;
    }
    if (key->row->disabled) {
        refuse_text(req, 401, "authentication", "this API key is disabled");
        return;
    }
    if (key->row->expires_at != 0 && key->row->expires_at <= req->record.received_at / 1000000) {
        refuse_text(req, 401, "authentication", "this API key has expired");
        return;
    }
    req->snapshot = dp_snapshot_ref(worker->snapshot);
    req->key = key;
    req->is_authenticated = true;
}

static void note_key(struct dp_request *req)
{
    const struct dp_key *key = req->key;

    req->snapshot_text = sb_arena_dup(
        req->arena, sb_slice_make(req->worker->snapshot_text, req->worker->snapshot_text_n));
    req->record.version = req->snapshot->records->version;
    req->record.key = key->row->id;
    req->record.tenant = key->tenant->row->id;
    req->record.key_name = sb_arena_dup(req->arena, key->row->name);
    req->record.tenant_name = sb_arena_dup(req->arena, key->tenant->row->name);
}

static void make_generation(struct dp_request *req)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    struct dp_worker *worker = req->worker;
    int64_t second = req->record.received_at / 1000000;
    uint64_t bits = dp_worker_random(worker);
    size_t n;

    if (second != worker->generation_second) {
        worker->generation_second = second;
        worker->generation_start_n = (uint8_t)snprintf(
            worker->generation_start, sizeof(worker->generation_start), "gen-%" PRId64 "-", second);
    }
    n = worker->generation_start_n;
    req->generation[0] = '"';
    memcpy(req->generation + 1, worker->generation_start, n);
    for (int i = 0; i < 20; i++) {
        if (i == 10)
            bits = dp_worker_random(worker);
        req->generation[++n] = digits[bits % 62];
        bits /= 62;
    }
    req->generation[n + 1] = '"';
    req->generation_n = (uint8_t)n;
    req->generation_json = sb_slice_make(req->generation, n + 2);
    req->record.generation = dp_request_generation(req);
}

/* Whether there is room for what the head announces. */
static void admit(struct dp_request *req, const struct sb_http1_head *head, const char *base)
{
    struct dp_worker *worker = req->worker;
    struct sb_slice coding = sb_http1_value(head, base, SB_SLICE_LIT("content-encoding"));
    uint64_t bytes = head->has_length ? head->content_length : 0;

    if (coding.n > 0 && !sb_slice_eq_nocase(coding, SB_SLICE_LIT("identity")))
        refuse_text(req, 415, "invalid_request", "encoded bodies are not supported; send it plain");
    if (head->has_length && bytes > worker->conf->body_limit)
        refuse(req, 413, "payload_too_large",
               sb_arena_printf(req->arena, "the body has %" PRIu64 " bytes; the limit is %" PRIu64,
                               bytes, worker->conf->body_limit));
    if (worker->body_bytes + bytes > worker->conf->body_memory) {
        refuse_text(req, 503, "provider_overloaded", "too many large bodies at once");
        req->refusal.retry_after = 1000;
    }
    if (!req->api->is_recorded)
        return;
    if (!dp_spool_reserve(worker->spool)) {
        if (req->refusal.status == 0) {
            refuse_text(req, 503, "provider_overloaded",
                        "records cannot be stored at the moment, so nothing is served");
            req->refusal.retry_after = 5000;
        }
        return;
    }
    req->reserved = true; /* what is refused from here on is recorded, too */
    dp_digest_begin(req);
}

/* For the record. */
static void note_client(struct dp_request *req, const struct sb_http1_head *head, const char *base)
{
    char text[SB_ADDRESS_TEXT_MAX];
    struct sb_slice address = dp_client_peer_text(req->client);
    struct sb_address client;

    if (!req->reserved)
        return;
    if (req->worker->proxies.n > 0) {
        client = dp_proxies_client(&req->worker->proxies, dp_client_peer(req->client), head, base);
        address = sb_slice_make(text, sb_address_format(&client, text));
    }
    req->record.client_address = sb_arena_dup(req->arena, address);
}

static void read_receipt(struct dp_request *req, const struct sb_http1_head *head, const char *base)
{
    struct sb_slice value = sb_http1_value(head, base, SB_SLICE_LIT(MSG_RECEIPT_HEADER));

    req->wants_receipt = dp_receipt_is_wanted(req, value);
    if (value.n > 0 && !sb_slice_eq_nocase(value, SB_SLICE_LIT("request")))
        refuse_text(req, 400, "invalid_request",
                    MSG_RECEIPT_HEADER ": the only value is \"request\"");
}

static void read_head(struct dp_request *req, const struct sb_http1_head *head, const char *base)
{
    struct sb_slice target = sb_http1_slice(base, head->target);
    struct sb_slice path = SB_SLICE_NONE, query = SB_SLICE_NONE;
    struct sb_slice id = sb_http1_value(head, base, SB_SLICE_LIT("x-request-id")), trace;

    (void)sb_http1_split_target(target, &path, &query);
    req->method = head->method;
    req->is_head = head->method == SB_HTTP1_HEAD;
    req->path = sb_arena_dup(req->arena, path);
    req->query = sb_arena_dup(req->arena, query);
    if (id.n > 0 && id.n <= MSG_NAME_MAX)
        req->request_id = sb_arena_dup(req->arena, id);
    req->record.request_id = req->request_id;
    req->api =
        dp_api_find(&req->path, req->method, dp_client_is_status(req->client), &req->refusal);
    if (req->api == NULL)
        dp_cors_look(req, head, base);
    if (req->api == NULL || !req->api->needs_key)
        return;
    authenticate(req, find_authorization(req, head, base));
    if (req->refusal.status != 0)
        return;
    note_key(req);
    make_generation(req);
    check_length(req, SB_SLICE_LIT("x-request-id"), id, MSG_NAME_MAX);
    if (!req->api->takes_body)
        return;
    req->session_header = header(req, head, base, SB_SLICE_LIT("x-session-id"), MSG_SESSION_ID_MAX);
    req->beta_header = header(req, head, base, SB_SLICE_LIT("x-anthropic-beta"), BETA_MAX);
    trace = sb_http1_value(head, base, SB_SLICE_LIT("traceparent"));
    if (trace.n > 0 && trace.n <= TRACE_MAX) /* else none, as its specification says */
        req->trace_header = sb_arena_dup(req->arena, trace);
    if (is_enabled(head, base, SB_SLICE_LIT("x-switchboard-metadata")))
        req->metadata_name = "switchboard_metadata";
    else if (is_enabled(head, base, SB_SLICE_LIT("x-openrouter-metadata")))
        req->metadata_name = "openrouter_metadata";
    read_receipt(req, head, base);
    admit(req, head, base);
    note_client(req, head, base);
    req->wants_body = req->refusal.status == 0;
    if (req->wants_body && head->has_length)
        req->body_expected = head->content_length;
}

static void on_dead(struct sb_task *task);
static void on_deadline(struct sb_timer *timer);
static void on_comment(struct sb_timer *timer);

void dp_request_new(struct dp_worker *worker, struct dp_client *client,
                    const struct sb_http1_head *head, const char *base, struct dp_request **ret_req)
{
    struct sb_arena *arena = sb_arena_cache_take(worker->arenas);
    struct dp_request *req = sb_arena_alloc(arena, sizeof(*req));

    req->worker = worker;
    req->client = client;
    req->arena = arena;
    req->received_us = now_us();
    req->record.kind = MSG_RECORD_REQUEST;
    req->record.received_at = (int64_t)sb_clock_wall(worker->clock);
    sb_task_init(&req->dead, worker->loop, on_dead);
    sb_timer_init(&req->deadline, worker->loop, on_deadline);
    sb_timer_init(&req->comment, worker->loop, on_comment);
    sb_buf_init(&req->body_buf, worker->conf->body_limit);
    dp_attempt_init(&req->attempt, req);
    dp_failover_init(&req->failover, req);
    worker->n_requests++;
    *ret_req = req;
    read_head(req, head, base);
}

/* --- READ: the body ---------------------------------------------------------- */

bool dp_request_wants_body(const struct dp_request *req)
{
    return req->wants_body && req->refusal.status == 0;
}

static bool count_body(struct dp_request *req, uint64_t bytes)
{
    if (req->worker->body_bytes + bytes > req->worker->conf->body_memory) {
        refuse_text(req, 503, "provider_overloaded", "too many large bodies at once");
        return false;
    }
    req->worker->body_bytes += bytes;
    req->body_counted += bytes;
    return true;
}

char *dp_request_body_room(struct dp_request *req, size_t *ret_n)
{
    size_t held = sb_buf_len(&req->body_buf);

    if (held == 0 || held >= req->body_expected || !dp_request_wants_body(req))
        return NULL;
    *ret_n = req->body_expected - held;
    return *ret_n <= sb_buf_room(&req->body_buf) ? sb_buf_end(&req->body_buf) : NULL;
}

void dp_request_on_body(struct dp_request *req, struct sb_slice bytes)
{
    int rc;

    req->record.request_bytes += bytes.n;
    if (!dp_request_wants_body(req) || !count_body(req, bytes.n))
        return;
    if (bytes.n == req->body_expected) { /* came in one piece */
        req->body = sb_arena_dup(req->arena, bytes);
        return;
    }
    rc = SB_OK;
    if (sb_buf_len(&req->body_buf) == 0 && req->body_expected > 0)
        rc = sb_buf_reserve(&req->body_buf, req->body_expected);
    if (rc == SB_OK && req->body_buf.data != NULL && bytes.p == sb_buf_end(&req->body_buf))
        sb_buf_commit(&req->body_buf, bytes.n); /* dp_request_body_room() */
    else if (rc == SB_OK)
        rc = sb_buf_append(&req->body_buf, bytes);
    if (rc == SB_ETOOBIG)
        refuse(req, 413, "payload_too_large",
               sb_arena_printf(req->arena, "the body is over the limit of %" PRIu64 " bytes",
                               req->worker->conf->body_limit));
    else if (rc != SB_OK)
        refuse_text(req, 503, "provider_overloaded", "no memory for the body");
    req->body = sb_buf_slice(&req->body_buf);
}

void dp_request_on_broken_body(struct dp_request *req, int status, const char *text)
{
    refuse_text(req, status, status == 408 ? "timeout" : "invalid_request", text);
}

static enum msg_outcome outcome_of_refusal(int status)
{
    switch (status) {
    case 402:
        return MSG_OUTCOME_OVER_BUDGET;
    case 403:
        return MSG_OUTCOME_FORBIDDEN;
    case 404:
        return MSG_OUTCOME_NO_ENDPOINT;
    case 429:
        return MSG_OUTCOME_LIMITED;
    case 500:
        return MSG_OUTCOME_INTERNAL;
    case 503:
        return MSG_OUTCOME_OVERLOADED;
    default:
        return MSG_OUTCOME_INVALID;
    }
}

void dp_request_on_complete(struct dp_request *req)
{
    req->keep_alive = dp_client_keeps_alive(req->client);
    if (req->refusal.status == 0)
        dp_digest_request(req); /* else it may not be whole */
    if (req->refusal.status != 0) {
        if (!req->is_authenticated)
            dp_worker_count_refusal(req->worker, req->refusal.type);
        dp_request_fail(req, outcome_of_refusal(req->refusal.status), &req->refusal);
        return;
    }
    req->api->serve(req);
}

/* --- RECORD ------------------------------------------------------------------ */

void dp_request_note_evidence(struct dp_request *req, const struct dp_candidate *candidate)
{
    const struct dp_plan *plan = &req->decision->plan;
    const struct msg_endpoint *row = candidate->endpoint->row;
    const struct msg_model *model = &req->snapshot->records->models[row->model];

    req->record.demanded = plan->demanded;
    req->record.residency = dp_plan_residency(plan, req->arena);
    req->record.evidence =
        sb_arena_alloc(req->arena, MSG_CLAIM_COUNT * sizeof(*req->record.evidence));
    for (int kind = 0; kind < MSG_CLAIM_COUNT; kind++) {
        const struct msg_claim *claim =
            kind == MSG_CLAIM_DISTILLABLE ? &model->distillable : &row->claim[kind];

        if ((plan->demanded >> kind & 1) == 0)
            continue;
        req->record.evidence[req->record.n_evidence++] = (struct msg_evidence){
            .claim = (uint8_t)kind,
            .value = claim->value,
            .attested_on = claim->attested_on,
            .expires_on = claim->expires_on,
            .evidence = sb_arena_dup(req->arena, claim->evidence),
            .attested_by = sb_arena_dup(req->arena, claim->attested_by),
        };
    }
}

void dp_request_record(struct dp_request *req, enum msg_outcome outcome)
{
    struct dp_worker *worker = req->worker;
    struct msg_record *record = &req->record;
    uint64_t sequence;

    worker->stats.requests[outcome]++;
    worker->stats.request_bytes += record->request_bytes;
    worker->stats.answer_bytes += req->answer_bytes;
    if (!req->reserved)
        return;
    if (req->state != DP_REQ_RECORD)
        dp_request_set_state(req, DP_REQ_RECORD);
    record->took = dp_request_elapsed(req);
    record->attempts = req->attempts;
    record->n_attempts = req->n_attempts;
    record->status = outcome == MSG_OUTCOME_CLIENT_GONE && !req->head_sent ? 0 : req->status;
    record->outcome = (uint8_t)outcome;
    record->response_bytes = req->answer_bytes;
    dp_digest_finish(req);
    if (req->facts != NULL) {
        record->api = (uint8_t)req->facts->api;
        record->streamed = req->facts->stream;
    }
    sb_buf_reset(&worker->record);
    if (SB_NEVER(msg_record_encode(record, &worker->record) != SB_OK)) {
        dp_spool_unreserve(worker->spool);
        req->reserved = false;
        return;
    }
    sequence = dp_spool_append(worker->spool, sb_buf_slice(&worker->record));
    req->reserved = false;
    if (SB_UNLIKELY(req->durable != NULL))
        dp_durable_hold(req, sequence);
    worker->stats.prompt_tokens += record->usage.prompt_tokens;
    worker->stats.completion_tokens += record->usage.completion_tokens;
    sb_histogram_add(&worker->stats.took, record->took / 1000);
    if (record->first_token > 0)
        sb_histogram_add(&worker->stats.first_token, record->first_token / 1000);
    dp_log_request(req);
}

/* --- DONE -------------------------------------------------------------------- */

/* Frees it: the one place. */
static void on_dead(struct sb_task *task)
{
    struct dp_request *req = container_of(task, struct dp_request, dead);
    struct dp_worker *worker = req->worker;
    struct sb_arena *arena = req->arena;

    dp_attempt_release(&req->attempt);
    dp_failover_release(&req->failover);
    sb_timer_release(&req->deadline);
    sb_timer_release(&req->comment);
    dp_question_cancel(&req->question);
    dp_durable_release(req);
    if (req->reserved)
        dp_spool_unreserve(worker->spool);
    dp_request_drop_body(req);
    dp_request_unpin(req);
    sb_buf_release(&req->body_buf);
    sb_arena_cache_give(worker->arenas, &arena);
    worker->n_requests--;
    dp_worker_request_ended(worker);
}

void dp_request_done(struct dp_request *req)
{
    if (dp_durable_is_holding(req))
        return;
    dp_request_set_state(req, DP_REQ_DONE);
    sb_timer_cancel(&req->deadline);
    sb_timer_cancel(&req->comment);
    if (req->client != NULL)
        dp_client_finish(req->client, req->keep_alive);
    req->client = NULL;
    sb_task_soon(&req->dead);
}

void dp_request_fail(struct dp_request *req, enum msg_outcome outcome, const struct dp_error *error)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = 0};

    req->status = (uint16_t)error->status;
    dp_answer_write_error(req, error, &body);
    if (req->client != NULL)
        dp_digest_answer(req, sb_buf_slice(&body));
    dp_request_record(req, outcome);
    dp_answer_json(req, error->status, sb_buf_slice(&body));
    dp_request_done(req);
}

/* --- what comes from outside --------------------------------------------------- */

void dp_request_on_client_ready(struct dp_request *req)
{
    dp_attempt_resume(&req->attempt);
}

/* Ends whatever is under way; the client sees nothing of it. */
static void cancel(struct dp_request *req, enum msg_outcome outcome)
{
    sb_timer_cancel(&req->failover.pause);
    dp_question_cancel(&req->question);
    dp_durable_cancel(req);
    if (dp_attempt_is_running(&req->attempt))
        dp_attempt_cancel(&req->attempt, outcome);
}

void dp_request_on_client_gone(struct dp_request *req)
{
    req->client = NULL;
    if (req->state == DP_REQ_DONE)
        return;
    if (req->state == DP_REQ_RECORD) { /* nobody is left who waits for it */
        dp_durable_cancel(req);
        dp_request_done(req);
        return;
    }
    cancel(req, MSG_OUTCOME_CLIENT_GONE);
    if (req->state == DP_REQ_RELAY)
        dp_relay_settle(req, MSG_OUTCOME_CLIENT_GONE);
    dp_request_record(req, MSG_OUTCOME_CLIENT_GONE);
    dp_request_done(req);
}

/* Ends an answer that cannot wait any longer. */
static void cut_short(struct dp_request *req, enum msg_outcome outcome,
                      const struct dp_error *error)
{
    if (req->state == DP_REQ_DONE || (req->state == DP_REQ_READ && req->question == NULL))
        return;
    if (req->state == DP_REQ_RECORD) { /* only its record is waited for */
        dp_durable_break_off(req);
        return;
    }
    cancel(req, outcome);
    if (req->state == DP_REQ_RELAY)
        dp_relay_fail(req, outcome);
    else if (req->state == DP_REQ_ATTEMPT)
        dp_failover_give_up(req, outcome, error);
    else
        dp_request_fail(req, outcome, error);
}

static void on_deadline(struct sb_timer *timer)
{
    struct dp_request *req = container_of(timer, struct dp_request, deadline);

    cut_short(req, MSG_OUTCOME_DEADLINE,
              &(struct dp_error){.status = 408,
                                 .type = "timeout",
                                 .message = SB_SLICE_INIT("the request's deadline has passed")});
}

void dp_request_shut_down(struct dp_request *req)
{
    cut_short(req, MSG_OUTCOME_SHUTDOWN,
              &(struct dp_error){.status = 503,
                                 .type = "provider_overloaded",
                                 .message = SB_SLICE_INIT("the gateway is shutting down"),
                                 .retry_after = 1000});
}

static void on_comment(struct sb_timer *timer)
{
    struct dp_request *req = container_of(timer, struct dp_request, comment);

    if (req->state != DP_REQ_ATTEMPT)
        return;
    dp_relay_comment(req);
    dp_request_arm_comment(req);
}

void dp_request_arm_comment(struct dp_request *req)
{
    struct dp_worker *worker = req->worker;

    sb_timer_set(&req->comment, sb_loop_now(worker->loop) + worker->conf->comment_interval);
}
