/* tests/sim/error.c */
#include "tests/sim/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/json.h"

static const struct {
    int status;
    const char *type, *code, *message;
} usual[] = {
    {400, "invalid_request_error", NULL, "The request is not valid."},
    {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."},
    {402, "insufficient_quota", "insufficient_quota", "The account is out of credits."},
    {403, "invalid_request_error", "access_denied", "The project has no access to this model."},
    {404, "invalid_request_error", "model_not_found", "The model does not exist."},
    {408, "timeout", "timeout", "The request timed out."},
    {409, "conflict_error", NULL, "The request was changed meanwhile."},
    {413, "invalid_request_error", NULL, "The request is too large."},
    {422, "invalid_request_error", NULL, "The request cannot be processed."},
    {429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."},
    {500, "server_error", NULL, "The server had an error while processing your request."},
    {502, "server_error", NULL, "Bad gateway."},
    {503, "server_error", "overloaded", "The engine is currently overloaded."},
    {504, "server_error", "timeout", "Gateway time-out."},
};

void sim_error_of_status(struct sim_error *error, int status)
{
    *error = (struct sim_error){.status = status,
                                .type = status < 500 ? "invalid_request_error" : "server_error"};
    (void)snprintf(error->message, sizeof(error->message), "Simulated failure %d.", status);
    for (size_t i = 0; i < SB_ARRAY_LEN(usual); i++) {
        if (usual[i].status == status) {
            error->type = usual[i].type;
            error->code = usual[i].code;
            (void)snprintf(error->message, sizeof(error->message), "%s", usual[i].message);
        }
    }
}

int sim_error_set(struct sim_error *error, int status, const char *param, const char *fmt, ...)
{
    va_list ap;

    sim_error_of_status(error, status);
    error->param = param;
    va_start(ap, fmt);
    (void)vsnprintf(error->message, sizeof(error->message), fmt, ap);
    va_end(ap);
    return status;
}

static void add_text_or_null(struct sb_json *json, const char *name, const char *text)
{
    if (text != NULL)
        sb_json_add_text(json, name, sb_slice_of(text));
    else
        sb_json_add_null(json, name);
}

int sim_error_write(const struct sim_error *error, struct sb_buf *out)
{
    struct sb_json json;

    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_object(&json, "error");
    sb_json_add_text(&json, "message", sb_slice_of(error->message));
    add_text_or_null(&json, "type", error->type);
    add_text_or_null(&json, "param", error->param);
    add_text_or_null(&json, "code", error->code);
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    return sb_json_end(&json);
}
