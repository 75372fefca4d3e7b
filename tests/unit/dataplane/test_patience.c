/* tests/unit/dataplane/test_patience.c - the limits of ROUTING.md 8. */
#include "dataplane/patience.h"

#include "dataplane/conf.h"
#include "dataplane/route/policy.h"
#include "proto/tables.h"
#include "tests/lib/test.h"

static const struct dp_conf conf = {
    .first_token_last = 300000, .answer_timeout = 120000, .answer_timeout_last = 600000};
static struct dp_plan plan;

static struct dp_patience_ask streamed(double prompt_tokens)
{
    plan = (struct dp_plan){.steps = 0};
    return (struct dp_patience_ask){.conf = &conf,
                                    .plan = &plan,
                                    .streamed = true,
                                    .prompt_tokens = prompt_tokens,
                                    .p99 = MSG_NO_DATA};
}

static void first_content_has_ten_seconds_and_one_for_4000_tokens(void **state)
{
    struct dp_patience_ask ask = streamed(0);

    (void)state;
    assert_int_equal(dp_patience(&ask), 10000);
    ask.prompt_tokens = 4000;
    assert_int_equal(dp_patience(&ask), 11000);
    ask.prompt_tokens = 1e6;
    assert_int_equal(dp_patience(&ask), 260000);
}

static void an_endpoint_that_is_known_to_be_slow_has_three_times_its_p99(void **state)
{
    struct dp_patience_ask ask = streamed(4000);

    (void)state;
    ask.p99 = 3000; /* less than anybody has */
    assert_int_equal(dp_patience(&ask), 11000);
    ask.p99 = 9000;
    assert_int_equal(dp_patience(&ask), 27000);
    ask.p99 = MSG_NO_DATA - 1; /* beyond 32 bits */
    assert_int_equal(dp_patience(&ask), 3 * (sb_msec)(MSG_NO_DATA - 1));
}

static void the_last_one_is_waited_for(void **state)
{
    struct dp_patience_ask ask = streamed(1e6);

    (void)state;
    ask.is_last = true;
    ask.p99 = 200000;
    assert_int_equal(dp_patience(&ask), 300000);
}

static void reasoning_takes_six_times_as_long(void **state)
{
    struct dp_patience_ask ask = streamed(4000);

    (void)state;
    ask.reasoning = true;
    assert_int_equal(dp_patience(&ask), 66000);
    ask.is_last = true;
    assert_int_equal(dp_patience(&ask), 1800000);
}

static void a_whole_answer_has_limits_of_its_own(void **state)
{
    struct dp_patience_ask ask = streamed(1e6);

    (void)state;
    ask.streamed = false;
    ask.p99 = 200000;
    ask.reasoning = true;
    assert_int_equal(dp_patience(&ask), 120000);
    ask.is_last = true;
    assert_int_equal(dp_patience(&ask), 600000);
    plan.first_token_timeout = 1; /* says nothing of it */
    assert_int_equal(dp_patience(&ask), 600000);
    plan.attempt_timeout = 2500;
    assert_int_equal(dp_patience(&ask), 2500);
    plan.attempt_timeout = 700000; /* who may wait longer need not */
    assert_int_equal(dp_patience(&ask), 600000);
}

static void policy_and_request_shorten_the_wait_for_first_content(void **state)
{
    struct dp_patience_ask ask = streamed(4000);

    (void)state;
    ask.is_last = ask.reasoning = true;
    plan.first_token_timeout = 700;
    assert_int_equal(dp_patience(&ask), 700);
    plan.attempt_timeout = 500;
    assert_int_equal(dp_patience(&ask), 500);
    plan.attempt_timeout = 900;
    assert_int_equal(dp_patience(&ask), 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_content_has_ten_seconds_and_one_for_4000_tokens),
        cmocka_unit_test(an_endpoint_that_is_known_to_be_slow_has_three_times_its_p99),
        cmocka_unit_test(the_last_one_is_waited_for),
        cmocka_unit_test(reasoning_takes_six_times_as_long),
        cmocka_unit_test(a_whole_answer_has_limits_of_its_own),
        cmocka_unit_test(policy_and_request_shorten_the_wait_for_first_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
