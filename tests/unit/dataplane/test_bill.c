/* tests/unit/dataplane/test_bill.c - what an answer costs, to the last digit. */
#include "dataplane/bill.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/slice.h"
#include "tests/lib/test.h"

/* 0.10, 0.30 and 0.01 USD for a million tokens; 0.5 USD for a request. */
static const struct dp_prices prices = {.at = {[MSG_PRICE_PROMPT] = 100000000,
                                               [MSG_PRICE_COMPLETION] = 300000000,
                                               [MSG_PRICE_REQUEST] = 500000000000000,
                                               [MSG_PRICE_IMAGE] = -1,
                                               [MSG_PRICE_CACHE_READ] = 10000000,
                                               [MSG_PRICE_CACHE_WRITE] = -1,
                                               [MSG_PRICE_REASONING] = -1}};

static void every_token_has_its_price(void **state)
{
    struct dp_bill bill =
        dp_bill_make(&prices, &(struct msg_usage){.prompt_tokens = 7, .completion_tokens = 3});

    (void)state;
    assert_int_equal(bill.prompt, 700000000);
    assert_int_equal(bill.completion, 900000000);
    assert_int_equal(bill.total, 500000000000000 + 1600000000);
}

static void cached_tokens_cost_what_they_cost_and_only_once(void **state)
{
    struct dp_bill bill =
        dp_bill_make(&prices, &(struct msg_usage){.prompt_tokens = 10, .cached_tokens = 4});

    (void)state;
    assert_int_equal(bill.prompt, INT64_C(6) * 100000000 + 4 * 10000000);
    /* more cached than there were, and written ones beside them */
    bill = dp_bill_make(
        &prices,
        &(struct msg_usage){.prompt_tokens = 10, .cached_tokens = 99, .cache_write_tokens = 99});
    assert_int_equal(bill.prompt, 10 * 10000000);
}

static void a_price_that_is_not_given_is_that_of_the_plain_token(void **state)
{
    struct dp_bill bill = dp_bill_make(&prices, &(struct msg_usage){.prompt_tokens = 10,
                                                                    .cache_write_tokens = 5,
                                                                    .completion_tokens = 8,
                                                                    .reasoning_tokens = 6});

    (void)state;
    assert_int_equal(bill.prompt, INT64_C(10) * 100000000);
    assert_int_equal(bill.completion, INT64_C(8) * 300000000);
}

static void a_price_of_its_own_for_reasoning_is_used(void **state)
{
    struct dp_prices own = prices;
    struct dp_bill bill;

    (void)state;
    own.at[MSG_PRICE_REASONING] = 1;
    bill = dp_bill_make(&own, &(struct msg_usage){.completion_tokens = 8, .reasoning_tokens = 6});
    assert_int_equal(bill.completion, INT64_C(2) * 300000000 + 6);
    /* more reasoning than there was */
    bill = dp_bill_make(&own, &(struct msg_usage){.completion_tokens = 8, .reasoning_tokens = 99});
    assert_int_equal(bill.completion, 8);
}

static void nonsense_saturates(void **state)
{
    const struct msg_usage usage = {.prompt_tokens = INT64_MAX, .completion_tokens = INT64_MAX};
    struct dp_prices highest;
    struct dp_bill bill;

    (void)state;
    for (size_t i = 0; i < MSG_PRICE_COUNT; i++)
        highest.at[i] = INT64_MAX;
    bill = dp_bill_make(&highest, &usage);
    assert_true(bill.prompt == INT64_MAX && bill.completion == INT64_MAX);
    assert_true(bill.total == INT64_MAX);
}

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
    struct dp_bill bill = dp_bill_make(&prices, &usage);
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
        cmocka_unit_test(every_token_has_its_price),
        cmocka_unit_test(cached_tokens_cost_what_they_cost_and_only_once),
        cmocka_unit_test(a_price_that_is_not_given_is_that_of_the_plain_token),
        cmocka_unit_test(a_price_of_its_own_for_reasoning_is_used),
        cmocka_unit_test(nonsense_saturates),
        cmocka_unit_test(only_what_the_provider_did_not_tell_is_estimated),
        cmocka_unit_test(usage_is_written_with_exact_decimals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
