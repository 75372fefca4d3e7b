/* tests/unit/ctl/test_simulation.c - requests of one kind through the real routing. */
#include "controlplane/ctl/simulation.h"

#include "dataplane/route/view.h"
#include "proto/snapshot.h"
#include "tests/lib/test.h"

enum { DRAWS = 100000 };

static struct sb_arena *arena;
static struct ctl_market *market;
static struct ctl_workload workload;
static struct ctl_outcome outcome;

/* Prices 1, 2, 3 for prompt and completion alike. */
#define HEAD                                                                                       \
    "version: 1\n"                                                                                 \
    "providers:\n"                                                                                 \
    "  - {slug: a, dialect: openai, base_url: \"http://a\"}\n"                                     \
    "  - {slug: b, dialect: openai, base_url: \"http://b\", headquarters: DE}\n"                   \
    "  - {slug: c, dialect: openai, base_url: \"http://c\"}\n"                                     \
    "models: [{id: m/x, context_length: 100000}, {id: m/empty, context_length: 1}]\n"              \
    "policies:\n"                                                                                  \
    "  - {name: german, operator_countries: {allow: [DE]}}\n"                                      \
    "  - {name: other, allowed_models: [\"m/y\"]}\n"                                               \
    "  - {name: proven, zdr: true}\n"
static const char one_two_three[] =
    HEAD "endpoints:\n"
         "  - {model: m/x, provider: a, pricing: {prompt: 1, completion: 1}}\n"
         "  - {model: m/x, provider: b, pricing: {prompt: 2, completion: 2}}\n"
         "  - {model: m/x, provider: c, pricing: {prompt: 3, completion: 3}}\n";

static void open_market(const char *text, const char *measured)
{
    struct cp_problems problems;

    cp_problems_init(&problems, arena);
    ctl_market_destroy(&market);
    assert_int_equal(ctl_market_new(sb_slice_of(text), CP_DOC_AUTO, &problems, &market), SB_OK);
    assert_int_equal(ctl_market_measure(market, sb_slice_of(measured), 300, &problems), SB_OK);
    workload = (struct ctl_workload){
        .model = dp_snapshot_find_model(market->snapshot, SB_SLICE_LIT("m/x")),
        .policy = MSG_NONE,
        .prompt_tokens = 1000,
        .completion_tokens = 300,
        .requests = 1000,
        .seed = 1,
        .unix_seconds = 1790000000,
    };
}

static int run(enum ctl_strategy strategy)
{
    struct sb_errmsg err = {.text = ""};

    return ctl_simulate(market, &workload, strategy, arena, &outcome, &err);
}

static uint64_t afford(uint64_t usd)
{
    uint64_t requests = 0;

    assert_true(ctl_outcome_affords(&outcome, workload.model->n, usd * CTL_BUDGET_USD, &requests));
    return requests;
}

/* How far counts are from what was expected; two degrees of freedom. */
static double chi_square(const uint64_t expected_of_49[3])
{
    double sum = 0;

    for (int i = 0; i < 3; i++) {
        double expected = (double)outcome.requests * (double)expected_of_49[i] / 49;
        double off = (double)outcome.served[i].requests - expected;

        sum += off * off / expected;
    }
    return sum;
}

static void prices_1_2_3_split_36_9_4(void **state)
{
    const uint64_t expected[3] = {36, 9, 4};
    const double critical = 13.82; /* p = 0.001 */

    (void)state;
    open_market(one_two_three, "");
    workload.requests = DRAWS;
    assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_OK);
    assert_int_equal(outcome.requests, DRAWS);
    assert_true(chi_square(expected) < critical);
}

static void conversations_that_caches_make_sticky_are_drawn_alike(void **state)
{
    const uint64_t expected[3] = {36, 9, 4};

    (void)state;
    open_market(HEAD "endpoints:\n"
                     "  - {model: m/x, provider: a, pricing: {prompt: 1, completion: 1, "
                     "cache_read: 0.1}}\n"
                     "  - {model: m/x, provider: b, pricing: {prompt: 2, completion: 2}}\n"
                     "  - {model: m/x, provider: c, pricing: {prompt: 3, completion: 3}}\n",
                "");
    workload.requests = DRAWS;
    assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_OK);
    assert_true(chi_square(expected) < 13.82);
}

static void the_same_seed_gives_the_same(void **state)
{
    uint64_t first[3];

    (void)state;
    open_market(one_two_three, "");
    assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_OK);
    for (int i = 0; i < 3; i++)
        first[i] = outcome.served[i].requests;
    assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(outcome.served[i].requests, first[i]);
    workload.seed = 2;
    assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_OK);
    assert_true(outcome.served[0].requests != first[0] || outcome.served[1].requests != first[1]);
}

static void a_budget_is_counted_exactly(void **state)
{
    (void)state;
    open_market(one_two_three, "");
    assert_int_equal(run(CTL_STRATEGY_PRICE), SB_OK);
    assert_int_equal(outcome.served[0].requests, 1000);
    assert_true(outcome.served[0].price == INT64_C(1300000000000)); /* 1300 tokens of 1e-6 USD */
    assert_true(outcome.served[2].price == INT64_C(3900000000000));
    assert_int_equal(afford(13), 10000); /* not one less, as a double would have it */
    assert_int_equal(afford(100), 76923);
    assert_int_equal(afford(1000000), 769230769);
}

static void what_is_free_has_no_limit(void **state)
{
    uint64_t requests = 0;

    (void)state;
    open_market(HEAD "endpoints:\n"
                     "  - {model: m/x, provider: a, pricing: {prompt: 0, completion: 0}}\n"
                     "  - {model: m/x, provider: b, pricing: {prompt: 2, completion: 2}}\n",
                "");
    assert_int_equal(run(CTL_STRATEGY_PRICE), SB_OK);
    assert_false(ctl_outcome_affords(&outcome, workload.model->n, CTL_BUDGET_USD, &requests));
    assert_true(outcome.mean_price == 0);
}

static void sorts_go_where_the_tables_say(void **state)
{
    (void)state;
    open_market(one_two_three,
                "[{\"model\": \"m/x\", \"tag\": \"b\", \"latency_ms\": {\"p50\": 400},"
                "  \"throughput\": {\"p50\": 90}},"
                " {\"model\": \"m/x\", \"tag\": \"c\", \"latency_ms\": {\"p50\": 100},"
                "  \"throughput\": {\"p50\": 30}}]");
    assert_int_equal(run(CTL_STRATEGY_THROUGHPUT), SB_OK);
    assert_int_equal(outcome.served[1].requests, 1000);
    assert_true(outcome.mean_throughput == 90 && outcome.throughput_known == 1);
    assert_int_equal(run(CTL_STRATEGY_LATENCY), SB_OK);
    assert_int_equal(outcome.served[2].requests, 1000);
    assert_true(outcome.mean_latency == 100);
    assert_int_equal(run(CTL_STRATEGY_PRICE), SB_OK); /* goes where nobody has measured */
    assert_true(outcome.latency_known == 0 && outcome.throughput_known == 0);
    assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_OK);
    assert_true(outcome.latency_known > 0 && outcome.latency_known < 0.5);
    assert_true(outcome.mean_latency > 100 && outcome.mean_latency < 400);
}

static void the_rules_of_a_policy_hold(void **state)
{
    (void)state;
    open_market(one_two_three, "");
    workload.policy = 0;
    assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_OK);
    assert_int_equal(outcome.served[1].requests, 1000);
}

static void a_refusal_is_an_outcome(void **state)
{
    (void)state;
    open_market(one_two_three, "");
    for (uint32_t policy = 1; policy <= 2; policy++) { /* 403 and 404 */
        workload.policy = policy;
        assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_OK);
        assert_int_equal(outcome.requests, 0);
        assert_true(outcome.refusal.n > 0);
    }
    assert_non_null(strstr(outcome.refusal.p, "zdr removed 3"));
    workload.policy = MSG_NONE;
    workload.model = dp_snapshot_find_model(market->snapshot, SB_SLICE_LIT("m/empty"));
    assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_OK);
    assert_true(outcome.refusal.n > 0);
}

static void a_price_beyond_money_is_an_error(void **state)
{
    (void)state;
    open_market(HEAD "endpoints:\n"
                     "  - {model: m/x, provider: a, pricing: {prompt: 1000000, completion: 1, "
                     "request: 9000}}\n",
                "");
    assert_int_equal(run(CTL_STRATEGY_BALANCED), SB_ETOOBIG);
}

static void on_simulated(void *ctx, uint64_t done)
{
    *(uint64_t *)ctx = done;
}

static void long_runs_say_how_far_they_are(void **state)
{
    uint64_t done = 0;

    (void)state;
    open_market(one_two_three, "");
    workload.requests = 20000;
    workload.on_simulated = on_simulated;
    workload.ctx = &done;
    assert_int_equal(run(CTL_STRATEGY_PRICE), SB_OK);
    assert_true(done > 0 && done <= 20000);
}

static void strategies_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < CTL_STRATEGIES; i++)
        assert_int_equal(ctl_strategy_parse(sb_slice_of(ctl_strategy_name((enum ctl_strategy)i))),
                         i);
    assert_int_equal(ctl_strategy_parse(SB_SLICE_LIT("fast")), -1);
}

static int setup(void **state)
{
    (void)state;
    arena = sb_arena_new(4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctl_market_destroy(&market);
    sb_arena_destroy(&arena);
    return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(prices_1_2_3_split_36_9_4),
        T(conversations_that_caches_make_sticky_are_drawn_alike),
        T(the_same_seed_gives_the_same),
        T(a_budget_is_counted_exactly),
        T(what_is_free_has_no_limit),
        T(sorts_go_where_the_tables_say),
        T(the_rules_of_a_policy_hold),
        T(a_refusal_is_an_outcome),
        T(a_price_beyond_money_is_an_error),
        T(long_runs_say_how_far_they_are),
        T(strategies_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
