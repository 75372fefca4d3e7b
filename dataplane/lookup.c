/* dataplane/lookup.c - questions of a client that the control plane answers:
 * one generation, its receipt, the key itself, its credits.
 *
 * Everything is asked on behalf of the key's tenant: what belongs to another
 * one is not found.
 */
#include "dataplane/answer.h"
#include "dataplane/api.h"
#include "dataplane/courier/courier.h"
#include "dataplane/request.h"
#include "dataplane/worker.h"
#include "proto/bus.h"

enum { RECEIPT_RETRY = 5000 }; /* milliseconds: about how often the log is signed */

static void on_answer(void *ctx, int status, struct sb_slice json)
{
    struct dp_request *req = ctx;

    req->question = NULL;
    if (status == 200) {
        dp_answer_json(req, 200, json);
        dp_request_done(req);
    } else if (status == 404) {
        dp_request_fail(req, MSG_OUTCOME_INVALID,
                        &(struct dp_error){.status = 404,
                                           .type = "not_found",
                                           .message = SB_SLICE_INIT("the tenant of this key has no "
                                                                    "generation of that id")});
    } else {
        dp_request_fail(
            req, MSG_OUTCOME_OVERLOADED,
            &(struct dp_error){.status = 503,
                               .type = "provider_overloaded",
                               .message = SB_SLICE_INIT("the control plane does not answer; "
                                                        "requests are served all the same"),
                               .retry_after = 2000});
    }
}

/* Not yet, but soon. */
static void answer_later(struct dp_request *req)
{
    req->retry_after = RECEIPT_RETRY;
    dp_answer_json(req, 202,
                   SB_SLICE_LIT("{\"status\":\"pending\",\"message\":\"the record is not under a "
                                "signed checkpoint of the log yet; ask again\"}"));
    dp_request_done(req);
}

static void on_receipt(void *ctx, int status, struct sb_slice json)
{
    struct dp_request *req = ctx;

    if (status != 202 && status != 501) {
        on_answer(ctx, status, json);
        return;
    }
    req->question = NULL;
    if (status == 202)
        answer_later(req);
    else
        dp_request_fail(req, MSG_OUTCOME_INVALID,
                        &(struct dp_error){.status = 501,
                                           .type = "not_supported",
                                           .message = SB_SLICE_INIT(
                                               "there are no receipts here: no control daemon "
                                               "signs the log (--log-key)")});
}

static void ask(struct dp_request *req, enum msg_query_what what, struct sb_slice argument,
                dp_question_cb *cb)
{
    const struct dp_asked asked = {
        .what = what, .tenant = req->record.tenant, .key = req->record.key, .argument = argument};

    req->question = dp_courier_ask(req->worker->courier, &asked, cb, req);
}

void dp_serve_generation(struct dp_request *req)
{
    struct sb_slice id = dp_api_query(req, SB_SLICE_LIT("id"));

    if (id.n == 0 || id.n > DP_GENERATION_MAX) {
        dp_request_fail(
            req, MSG_OUTCOME_INVALID,
            &(struct dp_error){.status = 400,
                               .type = "invalid_request",
                               .message = SB_SLICE_INIT("name a generation: ?id=gen-...")});
        return;
    }
    ask(req, MSG_QUERY_GENERATION, id, on_answer);
}

void dp_serve_key(struct dp_request *req)
{
    ask(req, MSG_QUERY_KEY, SB_SLICE_NONE, on_answer);
}

void dp_serve_credits(struct dp_request *req)
{
    ask(req, MSG_QUERY_CREDITS, SB_SLICE_NONE, on_answer);
}

void dp_serve_receipt(struct dp_request *req)
{
    struct sb_slice id = dp_api_name(req, 2);

    if (id.n > DP_GENERATION_MAX) /* none of ours */
        on_answer(req, 404, SB_SLICE_NONE);
    else
        ask(req, MSG_QUERY_RECEIPT, id, on_receipt);
}
