/* dataplane/lookup.c - questions of a client that the control plane answers:
 * one generation, the key itself, its credits.
 *
 * Everything is asked on behalf of the key's tenant: what belongs to another
 * one is not found.
 */
#include "dataplane/answer.h"
#include "dataplane/api.h"
#include "dataplane/courier.h"
#include "dataplane/request.h"
#include "dataplane/worker.h"
#include "proto/bus.h"

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
                                           .message = SB_SLICE_INIT("there is no such object")});
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

static void ask(struct dp_request *req, enum msg_query_what what, struct sb_slice argument)
{
    const struct dp_asked asked = {
        .what = what, .tenant = req->record.tenant, .key = req->record.key, .argument = argument};

    req->question = dp_courier_ask(req->worker->courier, &asked, on_answer, req);
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
    ask(req, MSG_QUERY_GENERATION, id);
}

void dp_serve_key(struct dp_request *req)
{
    ask(req, MSG_QUERY_KEY, SB_SLICE_NONE);
}

void dp_serve_credits(struct dp_request *req)
{
    ask(req, MSG_QUERY_CREDITS, SB_SLICE_NONE);
}
