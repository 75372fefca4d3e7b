/* tests/unit/proto/test_bill.c - what an answer cost, to the last digit. */
#include "proto/bill.h"

#include "tests/lib/test.h"

/* 0.10, 0.30 and 0.01 USD for a million tokens; 0.5 USD for a request. */
static const struct msg_prices prices = {.at = {[MSG_PRICE_PROMPT] = 100000000,
                                                [MSG_PRICE_COMPLETION] = 300000000,
                                                [MSG_PRICE_REQUEST] = 500000000000000,
                                                [MSG_PRICE_IMAGE] = -1,
                                                [MSG_PRICE_CACHE_READ] = 10000000,
                                                [MSG_PRICE_CACHE_WRITE] = -1,
                                                [MSG_PRICE_REASONING] = -1}};

static void every_token_has_its_price(void **state)
{
    struct msg_bill bill =
        msg_bill_make(&prices, &(struct msg_usage){.prompt_tokens = 7, .completion_tokens = 3});

    (void)state;
    assert_int_equal(bill.prompt, 700000000);
    assert_int_equal(bill.completion, 900000000);
    assert_int_equal(bill.total, 500000000000000 + 1600000000);
}

static void cached_tokens_cost_what_they_cost_and_only_once(void **state)
{
    struct msg_bill bill =
        msg_bill_make(&prices, &(struct msg_usage){.prompt_tokens = 10, .cached_tokens = 4});

    (void)state;
    assert_int_equal(bill.prompt, INT64_C(6) * 100000000 + 4 * 10000000);
    /* more cached than there were, and written ones beside them */
    bill = msg_bill_make(
        &prices,
        &(struct msg_usage){.prompt_tokens = 10, .cached_tokens = 99, .cache_write_tokens = 99});
    assert_int_equal(bill.prompt, 10 * 10000000);
}

static void a_price_that_is_not_given_is_that_of_the_plain_token(void **state)
{
    struct msg_bill bill = msg_bill_make(&prices, &(struct msg_usage){.prompt_tokens = 10,
                                                                      .cache_write_tokens = 5,
                                                                      .completion_tokens = 8,
                                                                      .reasoning_tokens = 6});

    (void)state;
    assert_int_equal(bill.prompt, INT64_C(10) * 100000000);
    assert_int_equal(bill.completion, INT64_C(8) * 300000000);
}

static void a_price_of_its_own_for_reasoning_is_used(void **state)
{
    struct msg_prices own = prices;
    struct msg_bill bill;

    (void)state;
    own.at[MSG_PRICE_REASONING] = 1;
    bill = msg_bill_make(&own, &(struct msg_usage){.completion_tokens = 8, .reasoning_tokens = 6});
    assert_int_equal(bill.completion, INT64_C(2) * 300000000 + 6);
    /* more reasoning than there was */
    bill = msg_bill_make(&own, &(struct msg_usage){.completion_tokens = 8, .reasoning_tokens = 99});
    assert_int_equal(bill.completion, 8);
}

static void nonsense_saturates(void **state)
{
    const struct msg_usage usage = {.prompt_tokens = INT64_MAX, .completion_tokens = INT64_MAX};
    struct msg_prices highest;
    struct msg_bill bill;

    (void)state;
    for (size_t i = 0; i < MSG_PRICE_COUNT; i++)
        highest.at[i] = INT64_MAX;
    bill = msg_bill_make(&highest, &usage);
    assert_true(bill.prompt == INT64_MAX && bill.completion == INT64_MAX);
    assert_true(bill.total == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_token_has_its_price),
        cmocka_unit_test(cached_tokens_cost_what_they_cost_and_only_once),
        cmocka_unit_test(a_price_that_is_not_given_is_that_of_the_plain_token),
        cmocka_unit_test(a_price_of_its_own_for_reasoning_is_used),
        cmocka_unit_test(nonsense_saturates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
