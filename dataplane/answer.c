/* dataplane/answer.c */
#include "dataplane/answer.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/http1.h"
#include "common/json.h"
#include "dataplane/client.h"
#include "dataplane/cors.h"
#include "dataplane/receipt.h"
#include "dataplane/request.h"
#include "dataplane/worker.h"

/* A text, since providers have codes of their own, and clients check that. */
static void put_provider_code(struct sb_json *json, int code)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", code);

    sb_json_add_text(json, "provider_code", sb_slice_make(text, (size_t)n));
}

/* The value of "error", and of "availability" inside it. */
static void put_error(struct sb_json *json, const struct dp_error *error)
{
    sb_json_open_object(json);
    sb_json_add_i64(json, "code", error->status);
    sb_json_add_text(json, "message", error->message);
    sb_json_add_object(json, "metadata");
    sb_json_add_text(json, "error_type", sb_slice_of(error->type));
    if (error->provider_code != 0)
        put_provider_code(json, error->provider_code);
    sb_json_close_object(json);
    if (error->availability != NULL) {
        sb_json_add_object(json, "availability");
        sb_json_add_text(json, "code", sb_slice_of(error->availability));
        sb_json_add_bool(json, "retryable", error->retryable);
        if (error->retry_after > 0)
            sb_json_add_u64(json, "retry_after", (error->retry_after + 999) / 1000);
        sb_json_add_raw(json, "requested_models",
                        error->requested_models.n > 0 ? error->requested_models
                                                      : SB_SLICE_LIT("[]"));
        sb_json_add_array(json, "excluded_by");
        sb_json_close_array(json);
        sb_json_close_object(json);
    }
    sb_json_close_object(json);
}

int dp_error_write_inner(const struct dp_error *error, struct sb_buf *out)
{
    struct sb_json json;

    sb_json_init(&json, out);
    put_error(&json, error);
    return sb_json_end(&json);
}

int dp_error_write(const struct dp_error *error, struct sb_buf *out)
{
    struct sb_json json;

    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_name(&json, SB_SLICE_LIT("error"));
    put_error(&json, error);
    if (error->decision_name != NULL)
        sb_json_add_raw(&json, error->decision_name, error->decision);
    sb_json_close_object(&json);
    return sb_json_end(&json);
}

static const char *type_of_status(int status)
{
    switch (status) {
    case 408:
        return "timeout";
    case 413:
        return "payload_too_large";
    case 503:
        return "provider_overloaded";
    default:
        return "invalid_request";
    }
}

void dp_answer_refuse(struct dp_worker *worker, struct dp_client *client, int status,
                      const char *text)
{
    const struct dp_error error = {
        .status = status, .type = type_of_status(status), .message = sb_slice_of(text)};
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct sb_buf *out = &worker->out;
    int rc;

    sb_buf_init(&body, 4096);
    sb_buf_reset(out);
    rc = dp_error_write(&error, &body);
    if (rc == SB_OK)
        rc = sb_http1_put_status(out, status);
    if (rc == SB_OK)
        rc = sb_buf_append(out, dp_worker_date(worker));
    if (rc == SB_OK)
        rc = sb_buf_append_text(out, "Content-Type: application/json\r\nConnection: close\r\n");
    if (rc == SB_OK)
        rc = sb_http1_put_field_u64(out, SB_SLICE_LIT("Content-Length"), sb_buf_len(&body));
    if (rc == SB_OK)
        rc = sb_http1_put_end(out);
    if (rc == SB_OK)
        rc = sb_buf_append(out, sb_buf_slice(&body));
    if (rc == SB_OK)
        dp_client_write(client, sb_buf_slice(out));
    sb_buf_reset(out);
}

/* Fields that depend on how far the request came. */
static int put_own_fields(struct dp_request *req, struct sb_buf *out)
{
    int rc = SB_OK;

    if (req->generation_n > 0)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("X-Generation-Id"), dp_request_generation(req));
    if (rc == SB_OK && req->snapshot_text.n > 0)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("X-Switchboard-Snapshot"), req->snapshot_text);
    if (rc == SB_OK && req->served_tag.n > 0 && !req->comment_sent)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("X-Switchboard-Endpoint"), req->served_tag);
    if (rc == SB_OK && req->generation_n > 0 && !req->comment_sent && req->is_routed)
        rc = sb_http1_put_field_u64(out, SB_SLICE_LIT("X-Switchboard-Attempts"), req->n_attempts);
    if (rc == SB_OK && req->spilled && !req->comment_sent)
        rc = sb_buf_append_text(out, "X-Switchboard-Spilled: true\r\n");
    if (rc == SB_OK && req->request_id.n > 0)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("X-Request-Id"), req->request_id);
    if (rc == SB_OK && SB_UNLIKELY(req->wants_receipt))
        rc = dp_receipt_put_field(req, out);
    return rc == SB_OK ? dp_cors_put_fields(req, out) : rc;
}

/* What the version does not imply by itself. */
static int put_connection(const struct dp_request *req, struct sb_buf *out)
{
    if (!req->keep_alive)
        return sb_buf_append_text(out, "Connection: close\r\n");
    if (req->client != NULL && !dp_client_takes_chunks(req->client)) /* HTTP/1.0 */
        return sb_buf_append_text(out, "Connection: keep-alive\r\n");
    return SB_OK;
}

int dp_answer_head(struct dp_request *req, struct sb_buf *out, int status, const char *content_type,
                   uint64_t length)
{
    int rc = sb_http1_put_status(out, status);

    if (req->client != NULL && !dp_client_keeps_alive(req->client))
        req->keep_alive = false; /* a drain may have begun since the request came */
    if (rc == SB_OK)
        rc = sb_buf_append(out, dp_worker_date(req->worker));
    if (rc == SB_OK)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("Content-Type"), sb_slice_of(content_type));
    if (rc == SB_OK)
        rc = put_own_fields(req, out);
    if (rc == SB_OK && req->retry_after > 0)
        rc = sb_http1_put_field_u64(out, SB_SLICE_LIT("Retry-After"),
                                    (req->retry_after + 999) / 1000);
    if (rc == SB_OK && req->used_up)
        rc = sb_buf_append_text(out, "X-Should-Retry: false\r\n");
    if (rc == SB_OK && req->allow != NULL)
        rc = sb_http1_put_field(out, SB_SLICE_LIT("Allow"), sb_slice_of(req->allow));
    if (rc == SB_OK)
        rc = put_connection(req, out);
    if (rc != SB_OK)
        return rc;
    if (length != UINT64_MAX)
        rc = sb_http1_put_field_u64(out, SB_SLICE_LIT("Content-Length"), length);
    else if (req->is_chunked)
        rc = sb_buf_append_text(out, "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n");
    else
        rc = sb_buf_append_text(out, "Cache-Control: no-cache\r\n");
    return rc == SB_OK ? sb_http1_put_end(out) : rc;
}

void dp_answer_text(struct dp_request *req, int status, const char *content_type,
                    struct sb_slice body)
{
    struct sb_buf *out = &req->worker->out;
    int rc;

    req->status = (uint16_t)status;
    if (req->client == NULL)
        return;
    sb_buf_reset(out);
    rc = dp_answer_head(req, out, status, content_type, body.n);
    if (rc == SB_OK && !req->is_head)
        rc = sb_buf_append(out, body);
    if (rc == SB_OK) {
        dp_client_write(req->client, sb_buf_slice(out));
    } else {
        req->keep_alive = false; /* nothing was written: the connection ends */
    }
    sb_buf_reset(out);
}

void dp_answer_json(struct dp_request *req, int status, struct sb_slice body)
{
    dp_answer_text(req, status, "application/json", body);
}

void dp_answer_write_error(struct dp_request *req, const struct dp_error *error,
                           struct sb_buf *body)
{
    sb_buf_init(body, 16 << 20);
    req->retry_after = error->retry_after;
    req->used_up = error->used_up;
    req->allow = error->allow;
    if (dp_error_write(error, body) == SB_OK)
        return;
    sb_buf_reset(body);
    if (sb_buf_append_text(body, "{\"error\":{\"code\":500,\"message\":\"internal error\"}}") !=
        SB_OK)
        sb_buf_reset(body); /* a head alone, then */
}
