/* tests/unit/proto/test_generation.c */
#include "proto/generation.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "proto/record.h"
#include "tests/lib/test.h"

static struct msg_attempt attempts[] = {
    {.endpoint = 7,
     .tag = SB_SLICE_INIT("slow"),
     .model = SB_SLICE_INIT("a/b"),
     .status = 0,
     .outcome = MSG_OUTCOME_CONNECT_FAILED,
     .took = 1499},
    {.endpoint = 8,
     .tag = SB_SLICE_INIT("acme/turbo"),
     .model = SB_SLICE_INIT("a/b"),
     .status = 200,
     .credential_kind = MSG_CREDENTIAL_KIND_OWN,
     .outcome = MSG_OUTCOME_SUCCESS,
     .took = 2500500},
};

static const struct msg_record sample = {
    .kind = MSG_RECORD_REQUEST,
    .generation = SB_SLICE_INIT("gen-1-x"),
    .received_at = 1790000000123456,
    .took = 3000000,
    .first_token = 1000000,
    .api = MSG_API_CHAT,
    .streamed = true,
    .tenant = 5,
    .model_asked = SB_SLICE_INIT("b"),
    .model_served = SB_SLICE_INIT("a/b"),
    .endpoint = 8,
    .tag = SB_SLICE_INIT("acme/turbo"),
    .provider = SB_SLICE_INIT("acme"),
    .region = SB_SLICE_INIT("DE"),
    .credential_kind = MSG_CREDENTIAL_KIND_OWN,
    .version = {.epoch = 3, .revision = 4},
    .attempts = attempts,
    .n_attempts = 2,
    .usage = {.prompt_tokens = 10,
              .completion_tokens = 20,
              .cached_tokens = 3,
              .reasoning_tokens = 4,
              .source = MSG_USAGE_SOURCE_PROVIDER},
    .cost = 150000000,
    .upstream_cost = 250000000000000,
    .outcome = MSG_OUTCOME_SUCCESS,
    .status = 200,
    .finish_reason = SB_SLICE_INIT("stop"),
};

static void shows_a_record_in_the_shape_that_clients_know(void **state)
{
    static const char want[] =
        "{\"data\":{\"id\":\"gen-1-x\",\"request_id\":null,\"api_type\":\"completions\","
        "\"model\":\"a/b\",\"provider_name\":\"acme\",\"data_region\":\"europe\",\"origin\":\"\","
        "\"is_byok\":true,\"streamed\":true,\"cancelled\":false,"
        "\"created_at\":\"2026-09-21T14:13:20.123Z\",\"latency\":1000,\"generation_time\":2000,"
        "\"finish_reason\":\"stop\",\"native_finish_reason\":\"stop\",\"tokens_prompt\":10,"
        "\"tokens_completion\":20,\"native_tokens_prompt\":10,\"native_tokens_completion\":20,"
        "\"native_tokens_completion_images\":null,\"native_tokens_reasoning\":4,"
        "\"native_tokens_cached\":3,\"num_media_prompt\":null,\"num_input_audio_prompt\":null,"
        "\"num_search_results\":null,\"num_media_completion\":null,\"num_fetches\":null,"
        "\"cache_discount\":null,\"usage\":0.00000015,\"total_cost\":0.00000015,"
        "\"upstream_inference_cost\":0.25,\"provider_responses\":[{\"endpoint_id\":\"7\","
        "\"provider_name\":\"slow\",\"model_permaslug\":\"a/"
        "b\",\"status\":null,\"latency\":1,\"is_byok\":false,"
        "\"tag\":\"slow\",\"outcome\":\"connect_failed\"},{\"endpoint_id\":\"8\","
        "\"provider_name\":\"acme\",\"model_permaslug\":\"a/b\",\"status\":200,\"latency\":2501,"
        "\"is_byok\":true,\"tag\":\"acme/turbo\",\"outcome\":\"success\"}],\"upstream_id\":null,"
        "\"session_id\":null,\"router\":null,\"preset_id\":null,\"service_tier\":null,"
        "\"web_search_engine\":null,\"app_id\":null,\"response_cache_source_id\":null,"
        "\"external_user\":null,\"moderation_latency\":null,\"http_referer\":null,"
        "\"user_agent\":null,\"workspace_id\":null,\"switchboard\":{\"outcome\":\"success\","
        "\"status\":200,\"tag\":\"acme/turbo\",\"region\":\"DE\",\"model_asked\":\"b\","
        "\"usage_source\":\"provider\",\"epoch\":3,\"revision\":4}}}";
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, 1 << 20);
    assert_int_equal(msg_generation_write(&sample, &out), SB_OK);
    assert_int_equal(sb_buf_append_byte(&out, '\0'), SB_OK);
    assert_string_equal(sb_buf_slice(&out).p, want);
    sb_buf_release(&out);
}

static void says_nothing_of_a_record_of_another_tenant_or_kind(void **state)
{
    struct msg_record record = sample;

    (void)state;
    assert_true(msg_generation_matches(&record, SB_SLICE_LIT("gen-1-x"), 5));
    assert_true(msg_generation_matches(&record, SB_SLICE_LIT("gen-1-x"), 0));
    assert_false(msg_generation_matches(&record, SB_SLICE_LIT("gen-1-x"), 6));
    assert_false(msg_generation_matches(&record, SB_SLICE_LIT("gen-1"), 5));
    record.kind = MSG_RECORD_DISPATCH;
    assert_false(msg_generation_matches(&record, SB_SLICE_LIT("gen-1-x"), 5));
}

static void a_full_buffer_is_left_as_it_was(void **state)
{
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, 100);
    assert_int_equal(sb_buf_append_text(&out, "before"), SB_OK);
    assert_int_equal(msg_generation_write(&sample, &out), SB_ETOOBIG);
    assert_true(sb_slice_is(sb_buf_slice(&out), "before"));
    sb_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_a_record_in_the_shape_that_clients_know),
        cmocka_unit_test(says_nothing_of_a_record_of_another_tenant_or_kind),
        cmocka_unit_test(a_full_buffer_is_left_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
