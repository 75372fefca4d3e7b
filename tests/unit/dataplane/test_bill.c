/* tests/unit/dataplane/test_bill.c - what an answer costs, to the last digit. */
#include "dataplane/bill.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"
#include "tests/lib/test.h"

static void only_what_the_provider_did_not_tell_is_estimated(void **state)
{
    struct msg_usage told = {
        .prompt_tokens = 1, .completion_tokens = 2, .source = MSG_USAGE_SOURCE_PROVIDER};
    struct msg_usage guess = {.prompt_tokens = 99};

    (void)state;
    dp_usage_estimate(&told, 500, 4000);
    assert_int_equal(told.prompt_tokens, 1);
    assert_int_equal(told.completion_tokens, 2);
    dp_usage_estimate(&guess, 11.6, 9);
    assert_int_equal(guess.prompt_tokens, 12);
    assert_int_equal(guess.completion_tokens, 3);
    assert_int_equal(guess.source, MSG_USAGE_SOURCE_ESTIMATED);
}

static void usage_is_written_with_exact_decimals(void **state)
{
    const struct msg_usage usage = {.prompt_tokens = 7, .completion_tokens = 3};
    const struct msg_bill bill = {
        .prompt = 700000000, .completion = 900000000, .total = 500001600000000};
    SB_CLEANUP(sb_buf_release) struct sb_buf out;

    (void)state;
    sb_buf_init(&out, 4096);
    assert_int_equal(sb_buf_append_text(&out, "before"), SB_OK);
    assert_true(sb_slice_is(
        dp_usage_json(&usage, &bill, 0, true, &out),
        "{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":0},\"cost\":0,\"is_byok\":true,"
        "\"cost_details\":{\"upstream_inference_cost\":0.5000016,"
        "\"upstream_inference_prompt_cost\":0.0000007,"
        "\"upstream_inference_completions_cost\":0.0000009}}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_the_provider_did_not_tell_is_estimated),
        cmocka_unit_test(usage_is_written_with_exact_decimals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
