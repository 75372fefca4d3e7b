/* tests/unit/controlplane/test_price_watch.c */
#include "controlplane/probes/price_watch.h"

#include "common/arena.h"
#include "tests/lib/test.h"

struct prices {
    int64_t at[MSG_PRICE_COUNT];
};

static struct prices none(void)
{
    struct prices prices;

    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        prices.at[kind] = -1;
    return prices;
}

static struct prices of(int64_t prompt, int64_t completion)
{
    struct prices prices = none();

    prices.at[MSG_PRICE_PROMPT] = prompt;
    prices.at[MSG_PRICE_COMPLETION] = completion;
    return prices;
}

static enum cp_price_verdict judge(struct prices have, struct prices seen, bool may_apply)
{
    return cp_price_judge(have.at, seen.at, may_apply, 20);
}

static void what_is_not_said_or_is_the_same_is_no_news(void **state)
{
    struct prices seen = of(100, 200);

    (void)state;
    assert_int_equal(judge(of(100, 200), none(), true), CP_PRICE_SAME);
    assert_int_equal(judge(of(100, 200), of(100, 200), true), CP_PRICE_SAME);
    /* what the catalogue leaves out is charged as something else */
    seen.at[MSG_PRICE_REQUEST] = 0;
    seen.at[MSG_PRICE_CACHE_READ] = 100;
    seen.at[MSG_PRICE_REASONING] = 200;
    assert_int_equal(judge(of(100, 200), seen, true), CP_PRICE_SAME);
}

static void the_operator_chooses_whether_a_change_is_applied(void **state)
{
    struct prices seen = of(100, 200);

    (void)state;
    assert_int_equal(judge(of(100, 200), of(50, 200), true), CP_PRICE_APPLY);
    assert_int_equal(judge(of(100, 200), of(50, 200), false), CP_PRICE_REPORT);
    assert_int_equal(judge(of(100, 200), of(120, 200), true), CP_PRICE_APPLY);
    seen.at[MSG_PRICE_CACHE_READ] = 10;
    assert_int_equal(judge(of(100, 200), seen, true), CP_PRICE_APPLY);
}

static void a_rise_beyond_the_limit_is_never_applied(void **state)
{
    struct prices seen = of(1, 1);

    (void)state;
    assert_int_equal(judge(of(100, 200), of(121, 200), true), CP_PRICE_ROSE);
    assert_int_equal(judge(of(100, 200), of(1, 241), true), CP_PRICE_ROSE); /* one is enough */
    assert_int_equal(judge(of(100, 200), of(121, 200), false), CP_PRICE_ROSE);
    assert_int_equal(judge(of(0, 0), of(1, 0), true), CP_PRICE_ROSE); /* from nothing */
    seen.at[MSG_PRICE_REQUEST] = 1;
    assert_int_equal(judge(of(100, 200), seen, true), CP_PRICE_ROSE);
    assert_int_equal(judge(of(1, 1), of(INT64_MAX, 1), true), CP_PRICE_ROSE);
    assert_int_equal(cp_price_judge(of(100, 1).at, of(101, 1).at, true, 0), CP_PRICE_ROSE);
    assert_int_equal(cp_price_judge(of(100, 1).at, of(10100, 1).at, true, 10000), CP_PRICE_APPLY);
}

static void what_differs_is_written_as_the_catalogue_would(void **state)
{
    struct sb_arena *arena = sb_arena_new(1024);
    struct prices have = of(100000000, 300000000), seen = of(100000000, 250000000);

    (void)state;
    seen.at[MSG_PRICE_REQUEST] = 1000000000000;
    seen.at[MSG_PRICE_CACHE_READ] = 10000000;
    assert_true(
        sb_slice_is(cp_price_json(seen.at, have.at, seen.at, arena),
                    "{\"completion\":\"0.25\",\"request\":\"0.001\",\"cache_read\":\"0.01\"}"));
    assert_true(
        sb_slice_is(cp_price_json(have.at, have.at, seen.at, arena), "{\"completion\":\"0.3\"}"));
    sb_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_or_is_the_same_is_no_news),
        cmocka_unit_test(the_operator_chooses_whether_a_change_is_applied),
        cmocka_unit_test(a_rise_beyond_the_limit_is_never_applied),
        cmocka_unit_test(what_differs_is_written_as_the_catalogue_would),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
