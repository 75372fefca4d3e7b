/* proto/generation.c */
#include "proto/generation.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/money.h"
#include "common/timefmt.h"
#include "proto/country.h"
#include "proto/record.h"

bool msg_generation_matches(const struct msg_record *record, struct sb_slice id, uint64_t tenant)
{
    return record->kind == MSG_RECORD_REQUEST && sb_slice_eq(record->generation, id) &&
           (tenant == 0 || tenant == record->tenant);
}

/* What nothing came for is null: clients' schemas have it so. */
static void add_text(struct sb_json *json, const char *name, struct sb_slice text)
{
    if (text.n > 0)
        sb_json_add_text(json, name, text);
    else
        sb_json_add_null(json, name);
}

static void add_money(struct sb_json *json, const char *name, int64_t amount)
{
    char text[SB_MONEY_TEXT_MAX];
    size_t n = sb_money_format(amount, text);

    sb_json_add_raw(json, name, sb_slice_make(text, n));
}

static void add_msec(struct sb_json *json, const char *name, uint64_t microseconds)
{
    sb_json_add_u64(json, name, (microseconds + 500) / 1000);
}

static const char *data_region(struct sb_slice region)
{
    if (sb_slice_eq_nocase(region, SB_SLICE_LIT("us")))
        return "us";
    if (sb_slice_eq_nocase(region, SB_SLICE_LIT("eu")) ||
        msg_country_is_eu(msg_country_parse(region)))
        return "europe";
    return "global";
}

static void add_attempts(struct sb_json *json, const struct msg_record *record)
{
    sb_json_add_array(json, "provider_responses");
    for (size_t i = 0; i < record->n_attempts; i++) {
        const struct msg_attempt *attempt = &record->attempts[i];
        char number[24];

        sb_json_open_object(json);
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)attempt->endpoint);
        sb_json_add_text(json, "endpoint_id", sb_slice_of(number));
        sb_json_add_text(json, "provider_name", /* the slug: what a tag begins with */
                         sb_slice_make(attempt->tag.p, sb_slice_find(attempt->tag, '/')));
        sb_json_add_text(json, "model_permaslug", attempt->model);
        if (attempt->status != 0)
            sb_json_add_i64(json, "status", attempt->status);
        else
            sb_json_add_null(json, "status");
        add_msec(json, "latency", attempt->took);
        sb_json_add_bool(json, "is_byok", attempt->credential_kind == MSG_CREDENTIAL_KIND_OWN);
        sb_json_add_text(json, "tag", attempt->tag);
        sb_json_add_text(json, "outcome", sb_slice_of(msg_outcome_name(attempt->outcome)));
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
}

static void add_usage(struct sb_json *json, const struct msg_record *record)
{
    static const char *const never[] = {"num_media_prompt",   "num_input_audio_prompt",
                                        "num_search_results", "num_media_completion",
                                        "num_fetches",        "cache_discount"};
    const struct msg_usage *usage = &record->usage;

    sb_json_add_u64(json, "tokens_prompt", usage->prompt_tokens);
    sb_json_add_u64(json, "tokens_completion", usage->completion_tokens);
    sb_json_add_u64(json, "native_tokens_prompt", usage->prompt_tokens);
    sb_json_add_u64(json, "native_tokens_completion", usage->completion_tokens);
    sb_json_add_null(json, "native_tokens_completion_images");
    sb_json_add_u64(json, "native_tokens_reasoning", usage->reasoning_tokens);
    sb_json_add_u64(json, "native_tokens_cached", usage->cached_tokens);
    for (size_t i = 0; i < SB_ARRAY_LEN(never); i++)
        sb_json_add_null(json, never[i]);
    add_money(json, "usage", record->cost);
    add_money(json, "total_cost", record->cost);
    add_money(json, "upstream_inference_cost", record->upstream_cost);
}

static void add_switchboard(struct sb_json *json, const struct msg_record *record)
{
    sb_json_add_object(json, "switchboard");
    sb_json_add_text(json, "outcome", sb_slice_of(msg_outcome_name(record->outcome)));
    sb_json_add_i64(json, "status", record->status);
    add_text(json, "tag", record->tag);
    add_text(json, "region", record->region);
    sb_json_add_text(json, "model_asked", record->model_asked);
    sb_json_add_text(json, "usage_source",
                     sb_slice_of(msg_usage_source_name(record->usage.source)));
    sb_json_add_u64(json, "epoch", record->version.epoch);
    sb_json_add_u64(json, "revision", record->version.revision);
    sb_json_close_object(json);
}

int msg_generation_write(const struct msg_record *record, struct sb_buf *out)
{
    static const char *const absent[] = {
        "upstream_id",   "session_id",         "router",       "preset_id",
        "service_tier",  "web_search_engine",  "app_id",       "response_cache_source_id",
        "external_user", "moderation_latency", "http_referer", "user_agent",
        "workspace_id"};
    char created[SB_TIME_TEXT_MAX];
    struct sb_json json;
    size_t n;

    n = sb_time_format(record->received_at > 0 ? (sb_usec)record->received_at : 0, 3, created);
    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_object(&json, "data");
    sb_json_add_text(&json, "id", record->generation);
    add_text(&json, "request_id", record->request_id);
    sb_json_add_text(&json, "api_type",
                     record->api == MSG_API_EMBEDDINGS ? SB_SLICE_LIT("embeddings")
                                                       : SB_SLICE_LIT("completions"));
    sb_json_add_text(&json, "model",
                     record->model_served.n > 0 ? record->model_served : record->model_asked);
    add_text(&json, "provider_name", record->provider);
    sb_json_add_text(&json, "data_region", sb_slice_of(data_region(record->region)));
    sb_json_add_text(&json, "origin", SB_SLICE_NONE);
    sb_json_add_bool(&json, "is_byok", record->credential_kind == MSG_CREDENTIAL_KIND_OWN);
    sb_json_add_bool(&json, "streamed", record->streamed);
    sb_json_add_bool(&json, "cancelled", record->outcome == MSG_OUTCOME_CLIENT_GONE);
    sb_json_add_text(&json, "created_at", sb_slice_make(created, n));
    add_msec(&json, "latency", record->first_token > 0 ? record->first_token : record->took);
    add_msec(&json, "generation_time",
             record->took > record->first_token ? record->took - record->first_token : 0);
    add_text(&json, "finish_reason", record->finish_reason);
    add_text(&json, "native_finish_reason", record->finish_reason);
    add_usage(&json, record);
    add_attempts(&json, record);
    for (size_t i = 0; i < SB_ARRAY_LEN(absent); i++)
        sb_json_add_null(&json, absent[i]);
    add_switchboard(&json, record);
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    return sb_json_end(&json);
}
