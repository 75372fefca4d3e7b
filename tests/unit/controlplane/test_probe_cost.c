/* tests/unit/controlplane/test_probe_cost.c */
#include "controlplane/probes/probe_cost.h"

#include "common/err.h"
#include "common/money.h"
#include "common/timefmt.h"
#include "proto/tariff.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

static struct msg_endpoint endpoint(int64_t prompt, int64_t completion)
{
    struct msg_endpoint made = {.id = 1};

    for (int i = 0; i < MSG_PRICE_COUNT; i++)
        made.price[i] = -1;
    made.price[MSG_PRICE_PROMPT] = prompt;
    made.price[MSG_PRICE_COMPLETION] = completion;
    return made;
}

static void the_worst_case_is_more_than_any_usage_that_fits_the_request(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        struct msg_endpoint one = endpoint((int64_t)random_below(&seed, SB_MONEY_USD / 1000),
                                           (int64_t)random_below(&seed, SB_MONEY_USD / 1000));
        size_t bytes = random_below(&seed, 1000);
        uint32_t tokens = (uint32_t)random_below(&seed, 64);
        struct msg_usage usage = {.prompt_tokens = random_below(&seed, bytes + 1),
                                  .completion_tokens = random_below(&seed, tokens + 1)};
        struct msg_override overrides[2] = {
            {.min_prompt_tokens = 1 + (uint32_t)random_below(&seed, bytes + 1)},
            {.from = 60, .until = 120}};
        int64_t worst = -1, moment = (int64_t)random_below(&seed, 3 * 3600);
        struct msg_tariff tariff;

        for (int price = MSG_PRICE_REQUEST; price < MSG_PRICE_COUNT; price++)
            one.price[price] = (int64_t)random_below(&seed, SB_MONEY_USD / 1000) - 1;
        for (int price = 0; price < 2 * MSG_PRICE_COUNT; price++)
            overrides[price % 2].price[price / 2] =
                random_below(&seed, 2) == 0 ? -1
                                            : (int64_t)random_below(&seed, SB_MONEY_USD / 1000);
        one.overrides = overrides;
        one.n_overrides = random_below(&seed, 3);
        tariff = msg_endpoint_tariff(&one);
        /* no cached tokens: it is a first question */
        usage.cache_write_tokens = random_below(&seed, usage.prompt_tokens + 1);
        usage.reasoning_tokens = random_below(&seed, usage.completion_tokens + 1);
        assert_int_equal(cp_probe_worst(&one, bytes, tokens, &worst), SB_OK);
        assert_true(msg_bill_make_at(&tariff, moment, &usage).total <= worst);
    }
}

static void what_is_free_costs_nothing_and_what_has_no_price_is_not_probed(void **state)
{
    struct msg_endpoint one = endpoint(0, 0);
    int64_t worst = -1;

    (void)state;
    assert_int_equal(cp_probe_worst(&one, 100, 16, &worst), SB_OK);
    assert_int_equal(worst, 0);
    one.price[MSG_PRICE_PROMPT] = -1;
    worst = -7;
    assert_int_equal(cp_probe_worst(&one, 100, 16, &worst), SB_EINVAL);
    one = endpoint(0, -1);
    assert_int_equal(cp_probe_worst(&one, 100, 16, &worst), SB_EINVAL);
    one = endpoint(2, -1); /* an embedding has no completion */
    assert_int_equal(cp_probe_worst(&one, 100, 0, &worst), SB_OK);
    assert_int_equal(worst, 2 * (100 + 256));
    worst = -7;
    one = endpoint(INT64_MAX, 1);
    assert_int_equal(cp_probe_worst(&one, 100, 16, &worst), SB_ETOOBIG);
    assert_int_equal(worst, -7);
}

static void the_budget_is_spread_over_the_day_but_for_outages(void **state)
{
    const sb_usec midnight = UINT64_C(20000) * 86400 * SB_USEC_PER_SEC;
    const sb_usec hour = UINT64_C(3600) * SB_USEC_PER_SEC;
    const int64_t budget = SB_MONEY_USD;
    int64_t before = 0;

    (void)state;
    assert_int_equal(cp_probe_allowance(budget, CP_PROBE_STALE, midnight), budget / 24);
    assert_int_equal(cp_probe_allowance(budget, CP_PROBE_STALE, midnight + 11 * hour), budget / 2);
    assert_int_equal(cp_probe_allowance(budget, CP_PROBE_STALE, midnight + 23 * hour), budget);
    assert_int_equal(cp_probe_allowance(budget, CP_PROBE_OUTAGE, midnight), budget);
    for (sb_usec at = midnight; at < midnight + 24 * hour; at += hour / 7) {
        int64_t allowed = cp_probe_allowance(INT64_MAX, CP_PROBE_STALE, at);

        assert_true(allowed >= before);
        before = allowed;
    }
    assert_int_equal(cp_probe_allowance(0, CP_PROBE_STALE, midnight + 12 * hour), 0);
    assert_int_equal(cp_probe_allowance(0, CP_PROBE_OUTAGE, midnight + 12 * hour), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_case_is_more_than_any_usage_that_fits_the_request),
        cmocka_unit_test(what_is_free_costs_nothing_and_what_has_no_price_is_not_probed),
        cmocka_unit_test(the_budget_is_spread_over_the_day_but_for_outages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
