/* dataplane/failover.c */
#include "dataplane/failover.h"

#include "common/check.h"
#include "common/err.h"
#include "common/json.h"
#include "dataplane/answer.h"
#include "dataplane/breaker.h"
#include "dataplane/metadata.h"
#include "dataplane/outcome.h"
#include "dataplane/relay.h"
#include "dataplane/request.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/view.h"
#include "dataplane/worker.h"

enum {
    AGAIN_MIN = 250, /* milliseconds before the first-ranked is tried once more */
    AGAIN_SPREAD = 250,
    WAIT_MAX = 5000, /* the longest Retry-After that is waited for */
    WAITS_MAX = 2,
    MODELS_BYTES_MAX = 64 * 1024, /* names of those that were asked for, as JSON */
    RETRY_AFTER_MSEC = 1000,      /* of our own limits */
};

#define NOWHERE UINT32_MAX

static bool has(const uint64_t *places, uint32_t at)
{
    return (places[at / 64] >> (at % 64) & 1) != 0;
}

static void mark(uint64_t *places, uint32_t at)
{
    places[at / 64] |= UINT64_C(1) << (at % 64);
}

/* By an own key that must not spill over.  A provider that wants no key counts
 * as the house's. */
static bool is_barred(const struct dp_failover *f, uint32_t at)
{
    return f->house_barred && f->req->decision->candidates[at].kind != MSG_CREDENTIAL_KIND_OWN;
}

static bool is_open(const struct dp_failover *f, uint32_t at)
{
    const struct dp_candidate *candidate = &f->req->decision->candidates[at];

    return !has(f->tried, at) && (f->used_up >> candidate->model & 1) == 0 && !is_barred(f, at);
}

static uint32_t n_candidates(const struct dp_failover *f)
{
    uint32_t n = f->req->decision->n;

    return n < DP_FAILOVER_CANDIDATES ? n : DP_FAILOVER_CANDIDATES;
}

/* The first open candidate, of an endpoint that has not failed if there is
 * one. */
static uint32_t find_open(const struct dp_failover *f)
{
    uint32_t behind = NOWHERE;

    for (uint32_t at = 0; at < n_candidates(f); at++) {
        if (!is_open(f, at))
            continue;
        if (!has(f->behind, at))
            return at;
        if (behind == NOWHERE)
            behind = at;
    }
    return behind;
}

/* The next own key for the endpoint of an own key. */
static uint32_t find_sister(const struct dp_failover *f, const struct dp_candidate *current)
{
    for (uint32_t at = 0; at < n_candidates(f); at++) {
        const struct dp_candidate *candidate = &f->req->decision->candidates[at];

        if (is_open(f, at) && candidate->endpoint == current->endpoint &&
            candidate->kind == current->kind)
            return at;
    }
    return NOWHERE;
}

/* Models that still have open candidates, but for the current one's. */
static uint32_t later_models(const struct dp_failover *f, uint8_t current)
{
    uint32_t models = 0;

    for (uint32_t at = 0; at < n_candidates(f); at++)
        if (is_open(f, at) && f->req->decision->candidates[at].model != current)
            models |= UINT32_C(1) << f->req->decision->candidates[at].model;
    return (uint32_t)__builtin_popcount(models);
}

static void start(struct dp_failover *f, uint32_t at)
{
    struct dp_request *req = f->req;

    mark(f->tried, at);
    f->current = at;
    if (req->n_attempts > 0)
        req->worker->stats.failovers++;
    dp_attempt_start(&req->attempt, &req->decision->candidates[at],
                     find_open(f) == NOWHERE || req->n_attempts + 1 >= DP_ATTEMPTS_TOTAL);
}

static void pause_for(struct dp_failover *f, sb_msec wait, uint32_t at)
{
    f->after_pause = at;
    sb_timer_set(&f->pause, sb_loop_now(f->req->worker->loop) + wait);
}

static void on_pause(struct sb_timer *timer)
{
    struct dp_failover *f = container_of(timer, struct dp_failover, pause);

    start(f, f->after_pause);
}

/* --- the end ----------------------------------------------------------------- */

/* The models that were asked for, as a JSON array. */
static struct sb_slice requested_models(struct dp_request *req)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    struct sb_json json;

    sb_buf_init(&buf, MODELS_BYTES_MAX);
    sb_json_init(&json, &buf);
    sb_json_open_array(&json);
    for (uint32_t i = 0; i < req->decision->models.n; i++)
        sb_json_put_text(&json, req->decision->models.at[i].asked);
    sb_json_close_array(&json);
    return sb_json_end(&json) == SB_OK ? sb_arena_dup(req->arena, sb_buf_slice(&buf))
                                       : SB_SLICE_NONE;
}

void dp_failover_give_up(struct dp_request *req, enum msg_outcome outcome,
                         const struct dp_error *error)
{
    struct dp_error told = *error;

    told.requested_models = requested_models(req);
    if (req->head_sent) { /* a comment has committed the status */
        dp_relay_error(req, outcome, &told);
        return;
    }
    told.decision_name = req->metadata_name;
    if (req->metadata_name != NULL)
        told.decision = dp_metadata_json(req);
    dp_request_fail(req, outcome, &told);
}

/* An answer that stands: the request itself is at fault. */
static void return_answer(struct dp_request *req, enum msg_outcome outcome)
{
    const struct dp_attempt *attempt = &req->attempt;
    struct dp_error error = {
        .status = attempt->status,
        .type = "invalid_request",
        .message = attempt->verdict.message.n > 0
                       ? attempt->verdict.message
                       : SB_SLICE_LIT("the provider refused the request"),
        .provider_code = attempt->status,
    };

    if (attempt->status < 400) { /* nothing was answered: ours */
        error.status = 500;
        error.type = "server";
        error.message = SB_SLICE_LIT("internal error");
        error.provider_code = 0;
    } else if (outcome == MSG_OUTCOME_CONTEXT_LENGTH) {
        error.status = 400;
        error.type = "context_length_exceeded";
    } else if (outcome == MSG_OUTCOME_REFUSED) {
        error.type = "content_policy_violation";
    } else if (attempt->status == 413) {
        error.type = "payload_too_large";
    } else if (attempt->status == 422) {
        error.type = "unprocessable";
    }
    if (attempt->status >= 400) /* whose answer it is */
        req->served_tag = req->attempts[req->n_attempts - 1].tag;
    dp_failover_give_up(req, outcome, &error);
}

/* All candidates are used up.  A limit that ends is no broken offer: both
 * together are as good as unavailable. */
static void exhausted(struct dp_failover *f, enum msg_outcome outcome)
{
    struct dp_error error = {.used_up = true, .provider_code = f->provider_code};

    if (f->any_overload && !f->any_unavailable && !f->any_bad_answer) {
        error.status = 503;
        error.type = "provider_overloaded";
        error.message = SB_SLICE_LIT("every provider that could serve this request is at a limit: "
                                     "of this gateway (max_in_flight, max_connections) or its own");
        error.availability = "capacity_exhausted";
        error.retryable = true;
        error.retry_after = f->retry_after > 0 ? f->retry_after : RETRY_AFTER_MSEC;
        error.provider_code = 0;
    } else if (f->any_rate_limit && !f->any_unavailable && !f->any_bad_answer) {
        error.status = 429;
        error.type = "rate_limit_exceeded";
        error.message = f->house_barred
                            ? SB_SLICE_LIT("the own keys are at their rate limit, and spill is off")
                            : SB_SLICE_LIT("every provider is at its rate limit");
        error.availability = "capacity_exhausted";
        error.retryable = true;
        error.retry_after = f->retry_after;
    } else if (f->any_unavailable || f->any_rate_limit || f->any_overload) {
        error.status = 503;
        error.type = "provider_overloaded";
        error.message = SB_SLICE_LIT("every provider that could serve this request failed");
        error.availability = "temporarily_unavailable";
        error.retryable = true;
        error.retry_after = f->retry_after;
        error.provider_code = 0;
    } else {
        error.status = 502;
        error.type = "provider_unavailable";
        error.message =
            f->house_barred
                ? SB_SLICE_LIT("the own keys were refused or at their limit, and spill is off")
                : SB_SLICE_LIT("no provider gave an answer that can be used");
        error.availability = "model_unavailable_upstream";
    }
    dp_failover_give_up(f->req, outcome, &error);
}

/* --- what an outcome leads to ------------------------------------------------ */

static void remember_failed(struct dp_failover *f, enum msg_outcome outcome)
{
    const struct dp_attempt *attempt = &f->req->attempt;
    uint32_t i = 0;

    while (i < f->n_failed && f->failed[i].at != f->current)
        i++;
    if (i == f->n_failed)
        f->n_failed++;
    f->failed[i] = (struct dp_failed){
        .at = f->current,
        .again = dp_outcome_meaning(outcome)->again,
        .ready_at = outcome == MSG_OUTCOME_RATE_LIMITED
                        ? sb_loop_now(f->req->worker->loop) + attempt->retry_after
                        : 0,
    };
    if (attempt->retry_after > 0 && (f->retry_after == 0 || attempt->retry_after < f->retry_after))
        f->retry_after = attempt->retry_after;
}

static void remember(struct dp_failover *f, enum msg_outcome outcome)
{
    remember_failed(f, outcome);
    if (outcome == MSG_OUTCOME_RATE_LIMITED) {
        f->any_rate_limit = true;
    } else if (outcome == MSG_OUTCOME_CREDENTIAL || outcome == MSG_OUTCOME_NOT_OFFERED ||
               outcome == MSG_OUTCOME_BAD_ANSWER) {
        f->any_bad_answer = true;
        if (f->req->attempt.status >= 400)
            f->provider_code = f->req->attempt.status;
    } else if (outcome == MSG_OUTCOME_OVERLOADED) {
        f->any_overload = true;
    } else if (dp_outcome_meaning(outcome)->next == DP_NEXT_ENDPOINT) {
        f->any_unavailable = true;
    } /* else the request's own fault: it says nothing of providers */
}

/* Models whose context is no larger than the current one's are used up. */
static void bar_smaller_models(struct dp_failover *f, const struct dp_candidate *current)
{
    const struct dp_decision *decision = f->req->decision;
    uint32_t size = current->endpoint->context_length;

    for (uint32_t at = 0; at < n_candidates(f); at++)
        if (decision->candidates[at].endpoint->context_length <= size)
            mark(f->tried, at);
    f->used_up |= UINT32_C(1) << current->model;
}

/* The endpoint has failed, whatever the key: its other keys wait behind the
 * other endpoints, or are not tried at all. */
static void put_endpoint_behind(struct dp_failover *f, const struct dp_candidate *current,
                                const struct dp_meaning *meaning)
{
    const struct dp_candidate *candidates = f->req->decision->candidates;
    bool never = meaning->other_key == DP_OTHER_KEY_NEVER;

    for (uint32_t at = 0; at < n_candidates(f); at++) {
        if (candidates[at].endpoint != current->endpoint)
            continue;
        mark(f->behind, at);
        if (never)
            mark(f->tried, at);
    }
    for (uint32_t i = 0; i < f->n_failed; i++) /* on another key it may have failed by chance */
        if (never && candidates[f->failed[i].at].endpoint == current->endpoint)
            f->failed[i].again &= meaning->again;
}

static bool may_return_to(const struct dp_failover *f, const struct dp_failed *failed)
{
    uint8_t model = f->req->decision->candidates[failed->at].model;

    return (f->used_up >> model & 1) == 0 && !is_barred(f, failed->at);
}

/* Once for all: the first-ranked of those whose failure may have been chance. */
static bool try_once_more(struct dp_failover *f)
{
    const struct dp_failed *first = NULL;

    for (uint32_t i = 0; i < f->n_failed; i++) {
        const struct dp_failed *one = &f->failed[i];

        if (one->again && may_return_to(f, one) && (first == NULL || one->at < first->at))
            first = one;
    }
    if (first == NULL || f->tried_again || !dp_request_has_time(f->req, AGAIN_MIN))
        return false;
    f->tried_again = true;
    pause_for(f, AGAIN_MIN + dp_worker_random(f->req->worker) % AGAIN_SPREAD, first->at);
    return true;
}

/* Of those at their limit the one that is good again first, if that is soon. */
static bool wait_for_limit(struct dp_failover *f)
{
    const struct dp_failed *soonest = NULL;
    sb_msec now = sb_loop_now(f->req->worker->loop), wait;

    for (uint32_t i = 0; i < f->n_failed; i++) {
        const struct dp_failed *one = &f->failed[i];

        if (one->ready_at > 0 && may_return_to(f, one) &&
            (soonest == NULL || one->ready_at < soonest->ready_at))
            soonest = one;
    }
    if (soonest == NULL || f->waits >= WAITS_MAX)
        return false;
    wait = soonest->ready_at > now ? soonest->ready_at - now : 0;
    if (wait > WAIT_MAX || !dp_request_has_time(f->req, wait))
        return false;
    f->waits++;
    pause_for(f, wait, soonest->at);
    return true;
}

void dp_failover_next(struct dp_request *req, enum msg_outcome outcome)
{
    struct dp_failover *f = &req->failover;
    const struct dp_meaning *meaning = dp_outcome_meaning(outcome);
    const struct dp_candidate *current = &req->decision->candidates[f->current];
    bool key_failed = meaning->next == DP_NEXT_ENDPOINT && meaning->other_key == DP_OTHER_KEY_NEXT;
    bool own_key_failed = key_failed && current->kind == MSG_CREDENTIAL_KIND_OWN;
    enum dp_next next = meaning->next;
    uint32_t at = NOWHERE;

    remember(f, outcome);
    if (outcome == MSG_OUTCOME_REFUSED && req->decision->plan.fallback_on_refusal)
        next = DP_NEXT_MODEL;
    if (next == DP_NEXT_MODEL)
        f->used_up |= UINT32_C(1) << current->model;
    else if (next == DP_NEXT_LARGER)
        bar_smaller_models(f, current);
    else if (next == DP_NEXT_ENDPOINT && !key_failed)
        put_endpoint_behind(f, current, meaning);
    f->own_key_failed |= own_key_failed;
    if (own_key_failed && !(current->credential->spill && req->decision->plan.spill))
        f->house_barred = true;
    /* one attempt is kept for each model that is still to come */
    if (req->n_attempts + later_models(f, current->model) >= DP_ATTEMPTS_TOTAL)
        f->used_up |= UINT32_C(1) << current->model;
    if (next != DP_NEXT_NONE && req->n_attempts < DP_ATTEMPTS_TOTAL) {
        if (own_key_failed)
            at = find_sister(f, current);
        if (at == NOWHERE)
            at = find_open(f);
    }
    if (at != NOWHERE)
        start(f, at);
    else if (next != DP_NEXT_ENDPOINT)
        return_answer(req, outcome);
    else if (req->n_attempts >= DP_ATTEMPTS_TOTAL || !(try_once_more(f) || wait_for_limit(f)))
        exhausted(f, outcome);
}

void dp_failover_start(struct dp_request *req)
{
    dp_request_set_state(req, DP_REQ_ATTEMPT);
    start(&req->failover, 0);
}

void dp_failover_init(struct dp_failover *f, struct dp_request *req)
{
    *f = (struct dp_failover){.req = req};
    sb_timer_init(&f->pause, req->worker->loop, on_pause);
}

void dp_failover_release(struct dp_failover *f)
{
    sb_timer_release(&f->pause);
}
