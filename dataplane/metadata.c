/* dataplane/metadata.c */
#include "dataplane/metadata.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "dataplane/request.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/explain.h"
#include "dataplane/route/requirements.h"

enum { METADATA_MAX = 16 << 20 };

void dp_metadata_make(struct dp_request *req)
{
    const struct dp_candidate *candidate = req->attempt.candidate; /* NULL: nobody was tried */
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    struct sb_json json;

    sb_buf_init(&buf, METADATA_MAX);
    if (req->metadata_name == NULL || req->decision == NULL || req->decision_json.n > 0)
        return;
    sb_json_init(&json, &buf);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "requested", req->record.model_asked);
    sb_json_add_text(
        &json, "strategy",
        sb_slice_of(dp_explain_strategy(req->decision, candidate != NULL ? candidate->model : 0)));
    sb_json_add_text(&json, "summary",
                     sb_arena_printf(req->arena, "%u of %u endpoints could serve this request",
                                     dp_decision_available(req->decision),
                                     req->decision->endpoints));
    dp_explain_add_funnel(&json, &req->route, req->decision, req->arena);
    dp_explain_add_order(&json, req->decision);
    dp_explain_add_dropped(&json, candidate);
    dp_explain_add_warnings(&json, req->decision);
    sb_json_close_object(&json);
    if (sb_json_end(&json) == SB_OK)
        req->decision_json = sb_arena_dup(req->arena, sb_buf_slice(&buf));
}

static void add_attempts(struct sb_json *json, const struct dp_request *req)
{
    sb_json_add_array(json, "attempts");
    for (uint32_t i = 0; i < req->n_attempts; i++) {
        const struct msg_attempt *attempt = &req->attempts[i];

        sb_json_open_object(json);
        sb_json_add_text(json, "endpoint", attempt->tag);
        if (req->told != NULL)
            sb_json_add_raw(json, "provider", req->told[i].provider_json);
        sb_json_add_text(json, "model", attempt->model);
        sb_json_add_text(json, "credential",
                         sb_slice_of(msg_credential_kind_name(attempt->credential_kind)));
        if (attempt->credential_kind == MSG_CREDENTIAL_KIND_OWN && req->told != NULL)
            sb_json_add_u64(json, "sequence", req->told[i].sequence);
        sb_json_add_i64(json, "status", attempt->status);
        sb_json_add_text(json, "outcome", sb_slice_of(msg_outcome_name(attempt->outcome)));
        sb_json_add_i64(json, "ms", attempt->took / 1000);
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
}

struct sb_slice dp_metadata_json(struct dp_request *req)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    struct sb_json json;

    dp_metadata_make(req);
    sb_buf_init(&buf, METADATA_MAX);
    sb_json_init(&json, &buf);
    sb_json_open_object(&json);
    sb_json_add_i64(&json, "attempt", req->n_attempts);
    sb_json_add_null(&json, "region"); /* OpenRouter's edge; its client insists on the member */
    sb_json_add_bool(&json, "is_byok", req->record.credential_kind == MSG_CREDENTIAL_KIND_OWN);
    sb_json_add_bool(&json, "spilled", req->spilled);
    add_attempts(&json, req);
    sb_json_add_object(&json, "timings");
    sb_json_add_i64(&json, "first_token_ms", req->record.first_token / 1000);
    sb_json_add_i64(&json, "total_ms", (int64_t)(dp_request_elapsed(req) / 1000));
    sb_json_close_object(&json);
    sb_json_add_object(&json, "snapshot");
    sb_json_add_u64(&json, "epoch", req->record.version.epoch);
    sb_json_add_u64(&json, "revision", req->record.version.revision);
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK)
        return SB_SLICE_LIT("{}");
    if (req->decision_json.n <= 2)
        return sb_arena_dup(req->arena, sb_buf_slice(&buf));
    /* two objects become one */
    return sb_arena_printf(req->arena, "%.*s,%.*s", (int)req->decision_json.n - 1,
                           req->decision_json.p, (int)sb_buf_len(&buf) - 1,
                           sb_buf_slice(&buf).p + 1);
}
