/* dataplane/inference.c - ROUTE: from a complete body to the first attempt.
 *
 * Parse and validate (400), decide (400, 403, 404 with the reasons), then hand
 * the candidates to dataplane/failover.h.
 */
#include "common/err.h"
#include "common/json.h"
#include "dataplane/api.h"
#include "dataplane/breaker.h"
#include "dataplane/client.h"
#include "dataplane/conf.h"
#include "dataplane/digest.h"
#include "dataplane/durable.h"
#include "dataplane/failover.h"
#include "dataplane/metadata.h"
#include "dataplane/request.h"
#include "dataplane/route/content.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/explain.h"
#include "dataplane/route/view.h"
#include "dataplane/upstream/outlet.h"
#include "dataplane/worker.h"

static void refuse(struct dp_request *req, int status, const char *type, struct sb_slice message)
{
    const struct dp_error error = {.status = status, .type = type, .message = message};

    dp_request_fail(req,
                    status == 403   ? MSG_OUTCOME_FORBIDDEN
                    : status == 500 ? MSG_OUTCOME_INTERNAL
                                    : MSG_OUTCOME_INVALID,
                    &error);
}

/* "invalid JSON at byte 17, in "messages": bad escape" */
static void refuse_json(struct dp_request *req, const struct sb_splice_error *error)
{
    if (error->member.n > 0)
        refuse(req, 400, "invalid_request",
               sb_arena_printf(req->arena,
                               "the body is not valid JSON at byte %zu, in \"%.*s\": %s",
                               error->offset, SB_SLICE_ARGS(error->member), error->reason));
    else
        refuse(req, 400, "invalid_request",
               sb_arena_printf(req->arena, "the body is not valid JSON at byte %zu: %s",
                               error->offset, error->reason));
}

/* The filters left nothing: 404 with the funnel. */
static void refuse_all(struct dp_request *req)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct sb_json json;

    req->record.demanded = req->decision->plan.demanded;
    req->record.demanded_by_policy = req->decision->plan.demanded_by_policy;
    req->record.residency = dp_plan_residency(&req->decision->plan, req->arena);
    sb_buf_init(&body, 64 << 20);
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    dp_explain_add_refusal(&json, &req->route, req->decision, req->arena);
    if (req->metadata_name != NULL)
        sb_json_add_raw(&json, req->metadata_name, dp_metadata_json(req));
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK) {
        refuse(req, 500, "server", SB_SLICE_LIT("internal error"));
        return;
    }
    req->status = 404;
    dp_digest_answer(req, sb_buf_slice(&body));
    dp_request_record(req, MSG_OUTCOME_NO_ENDPOINT);
    dp_answer_json(req, 404, sb_buf_slice(&body));
    dp_request_done(req);
}

static void fill_route(struct dp_request *req)
{
    struct dp_worker *worker = req->worker;

    req->route = (struct dp_route){
        .snapshot = req->snapshot,
        .tables = worker->tables,
        .health = dp_breakers_health(worker->breakers),
        .ask = req->facts,
        .key = req->key,
        .session = req->session_header,
        .now = sb_loop_now(worker->loop),
        .unix_seconds = req->record.received_at / 1000000,
        .random = dp_worker_random(worker),
    };
}

/* What the decision means for the life of the request. */
static void begin_attempts(struct dp_request *req)
{
    const struct dp_plan *plan = &req->decision->plan;
    sb_msec now = sb_loop_now(req->worker->loop);

    req->attempts = sb_arena_alloc_raw(req->arena, MSG_ATTEMPTS_MAX * sizeof(*req->attempts));
    req->prompt_tokens = req->decision->prompt_tokens;
    req->record.demanded = plan->demanded;
    req->record.demanded_by_policy = plan->demanded_by_policy;
    req->record.residency = dp_plan_residency(plan, req->arena);
    if (req->metadata_name != NULL)
        req->told = sb_arena_alloc_raw(req->arena, MSG_ATTEMPTS_MAX * sizeof(*req->told));
    if (req->facts->user.n > 0) {
        struct sb_slice user;

        if (sb_splice_get_string(req->facts->user, req->arena, &user) == SB_OK)
            req->user_json =
                dp_outlets_user(req->snapshot->extra, req->record.tenant, user, req->arena);
    }
    if (plan->deadline > 0)
        sb_timer_set(&req->deadline, now + plan->deadline);
    if (req->facts->stream)
        dp_request_arm_comment(req);
    if (SB_UNLIKELY(req->durable != NULL))
        dp_durable_dispatch(req);
    else
        dp_failover_start(req);
}

static void serve(struct dp_request *req, enum msg_api api)
{
    struct sb_splice_error json_error;
    struct dp_content content;
    struct sb_errmsg err;
    int rc;

    /* The snapshot of the moment when the body is complete: long uploads hold
     * no old one.  The key was looked up in the one that was pinned then. */
    dp_request_set_state(req, DP_REQ_ROUTE);
    if (req->key->policy != NULL && req->key->policy->said->audit_sync)
        dp_durable_begin(req);
    sb_splice_init(&req->doc,
                   sb_arena_alloc_raw(req->arena, SB_SPLICE_MEMBERS * sizeof(*req->doc.members)),
                   SB_SPLICE_MEMBERS);
    dp_content_init(&content, api);
    rc = sb_splice_visit(&req->doc, req->body, (unsigned)req->worker->conf->json_depth,
                         &content.visitor, &json_error);
    if (rc != SB_OK) {
        refuse_json(req, &json_error);
        return;
    }
    if (req->doc.type != SB_SPLICE_OBJECT) {
        refuse(req, 400, "invalid_request", SB_SLICE_LIT("the body must be a JSON object"));
        return;
    }
    req->facts = sb_arena_alloc_raw(req->arena, sizeof(*req->facts));
    rc = dp_requirements_read(&req->doc, &content, req->arena, req->facts, &err);
    if (rc != SB_OK) {
        req->facts = NULL;
        refuse(req, 400, "invalid_request", sb_slice_of(err.text));
        return;
    }
    req->record.model_asked = sb_arena_dup(req->arena, req->facts->model[0]);
    dp_digest_personal(req);
    fill_route(req);
    req->decision = sb_arena_alloc_raw(req->arena, sizeof(*req->decision));
    rc = dp_route_decide(&req->route, req->arena, req->decision, &err);
    req->is_routed = rc == SB_OK || rc == SB_ENOENT;
    if (req->is_routed && req->decision->plan.explain && req->metadata_name == NULL)
        req->metadata_name = "switchboard_metadata";
    if (rc == SB_ENOENT)
        refuse_all(req);
    else if (rc == SB_EACCES)
        refuse(req, 403, "permission_denied", sb_slice_of(err.text));
    else if (rc != SB_OK)
        refuse(req, 400, "invalid_request", sb_slice_of(err.text));
    else
        begin_attempts(req);
}

void dp_serve_chat(struct dp_request *req)
{
    serve(req, MSG_API_CHAT);
}

void dp_serve_completions(struct dp_request *req)
{
    serve(req, MSG_API_COMPLETIONS);
}

void dp_serve_embeddings(struct dp_request *req)
{
    serve(req, MSG_API_EMBEDDINGS);
}
