/* dataplane/log.c */
#include "dataplane/log.h"

#include <inttypes.h>

#include "common/log.h"
#include "dataplane/client.h"
#include "dataplane/request.h"

void dp_log_state(const struct dp_request *req, int next)
{
    sb_log_debug(REQ, "state changes id=%.*s from=%s to=%s",
                 SB_SLICE_ARGS(dp_request_generation(req)), dp_req_state_name(req->state),
                 dp_req_state_name((enum dp_req_state)next));
}

void dp_log_attempt(const struct dp_request *req, const struct msg_attempt *attempt)
{
    sb_log_info(REQ,
                "attempt failed id=%.*s endpoint=%.*s outcome=%s status=%d attempt=%u "
                "took_ms=%u",
                SB_SLICE_ARGS(dp_request_generation(req)), SB_SLICE_ARGS(attempt->tag),
                msg_outcome_name(attempt->outcome), attempt->status, req->n_attempts,
                attempt->took / 1000);
}

void dp_log_dial(const struct dp_request *req, enum msg_outcome outcome, const char *text)
{
    const struct msg_attempt *attempt = &req->attempts[req->n_attempts - 1];

    sb_log_info(DIAL, "no connection id=%.*s endpoint=%.*s outcome=%s reason=%s",
                SB_SLICE_ARGS(dp_request_generation(req)), SB_SLICE_ARGS(attempt->tag),
                msg_outcome_name((int)outcome), text);
}

void dp_log_unsafe(const struct dp_request *req, const char *what)
{
    sb_log_error(REQ, "a record is not on stable storage in time id=%.*s record=%s",
                 SB_SLICE_ARGS(dp_request_generation(req)), what);
}

void dp_log_request(const struct dp_request *req)
{
    const struct msg_record *record = &req->record;
    enum sb_log_level level = record->outcome == MSG_OUTCOME_SUCCESS ? SB_LOG_DEBUG : SB_LOG_INFO;

    sb_log_at(level, REQ,
              "request ended id=%.*s key=%.*s model=%.*s endpoint=%.*s outcome=%s status=%d "
              "attempts=%u took_ms=%" PRIu64 " client=%.*s",
              SB_SLICE_ARGS(dp_request_generation(req)), SB_SLICE_ARGS(record->key_name),
              SB_SLICE_ARGS(record->model_asked), SB_SLICE_ARGS(record->tag),
              msg_outcome_name(record->outcome), record->status, req->n_attempts,
              record->took / 1000, SB_SLICE_ARGS(record->client_address));
}
