/* tests/unit/ctl/test_market.c - a catalogue file and measurements, ready for routing. */
#include "controlplane/ctl/market.h"

#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"
#include "tests/lib/test.h"

static struct sb_arena *arena;
static struct cp_problems problems;
static struct ctl_market *market;

static const char catalogue[] =
    "version: 1\n"
    "providers:\n"
    "  - {slug: a, dialect: openai, base_url: \"http://a\", credential: {env: NEVER_READ}}\n"
    "  - {slug: b, dialect: openai, base_url: \"http://b\"}\n"
    "models: [{id: m/x, context_length: 1000, aliases: [x]}]\n"
    "endpoints:\n"
    "  - {model: m/x, provider: a, pricing: {prompt: 1, completion: 1}}\n"
    "  - {model: m/x, provider: b, tag: b/fast, pricing: {prompt: 2, completion: 2}}\n";

static int open_market(const char *text)
{
    cp_problems_init(&problems, arena);
    return ctl_market_new(sb_slice_of(text), CP_DOC_AUTO, &problems, &market);
}

static int measure(const char *text)
{
    cp_problems_init(&problems, arena);
    return ctl_market_measure(market, sb_slice_of(text), 77, &problems);
}

static const struct dp_row *row_of(uint32_t number)
{
    return dp_tables_find(market->tables, market->snapshot, &market->snapshot->endpoints[number]);
}

static void expect_problem(const char *path, const char *text)
{
    for (const struct cp_problem *one = problems.first; one != NULL; one = one->next)
        if (sb_slice_is(one->path, path) && strstr(one->problem.p, text) != NULL)
            return;
    fail_msg("no problem of '%s' says '%s'", path, text);
}

static void every_endpoint_of_the_file_can_be_tried(void **state)
{
    (void)state;
    assert_int_equal(open_market(catalogue), SB_OK);
    assert_int_equal(market->snapshot->records->n_endpoints, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(market->snapshot->endpoints[i].has_house);
        assert_true(market->snapshot->endpoints[i].dialect_known);
    }
}

static void a_file_with_problems_gives_no_market(void **state)
{
    (void)state;
    assert_int_equal(open_market("version: 1\nmodels: [{id: m/x}]\n"), SB_EINVAL);
    assert_null(market);
    expect_problem("models[0].context_length", "");
    assert_int_equal(open_market("version: 1\n"
                                 "endpoints: [{model: m/x, provider: a}]\n"),
                     SB_EINVAL);
    expect_problem("endpoints[0].model", "there is no model 'm/x'");
}

static void without_tables_only_the_answers_length_is_known(void **state)
{
    (void)state;
    assert_int_equal(open_market(catalogue), SB_OK);
    assert_int_equal(measure(""), SB_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(row_of(i)->mean_completion, 77);
        assert_int_equal(row_of(i)->first_token[0], MSG_NO_DATA);
        assert_int_equal(row_of(i)->throughput[3], MSG_NO_DATA);
    }
}

static void rows_are_found_by_model_and_tag(void **state)
{
    (void)state;
    assert_int_equal(open_market(catalogue), SB_OK);
    assert_int_equal(
        measure("[{\"model\": \"m/x\", \"tag\": \"b/fast\", \"health\": \"outage\","
                "  \"latency_ms\": {\"p50\": 120.4, \"p75\": 200, \"p90\": 300, \"p99\": 900},"
                "  \"throughput\": {\"p50\": 84.3}},"
                " {\"model\": \"m/x\", \"tag\": \"a\", \"latency_ms\": null, \"samples\": 0},"
                " {\"model\": \"m/gone\", \"tag\": \"a\", \"latency_ms\": {\"p50\": 1}}]"),
        SB_OK);
    assert_int_equal(market->n_unknown, 1);
    assert_int_equal(row_of(1)->first_token[0], 120);
    assert_int_equal(row_of(1)->first_token[3], 900);
    assert_int_equal(row_of(1)->throughput[0], 84300);
    assert_int_equal(row_of(1)->throughput[1], MSG_NO_DATA);
    assert_int_equal(row_of(1)->outage_until, 0);
    assert_int_equal(row_of(0)->first_token[0], MSG_NO_DATA);
}

static void yaml_and_pages_of_the_api_are_read_as_well(void **state)
{
    (void)state;
    assert_int_equal(open_market(catalogue), SB_OK);
    assert_int_equal(measure("# measured on a Monday\n"
                             "data:\n"
                             "  - {model: x, tag: a, latency_ms: {p50: 7}}\n"),
                     SB_OK);
    assert_int_equal(row_of(0)->first_token[0], 7);
}

static void what_is_no_row_is_named_by_its_place(void **state)
{
    (void)state;
    assert_int_equal(open_market(catalogue), SB_OK);
    assert_int_equal(measure("[{\"tag\": \"a\"},"
                             " {\"model\": \"m/x\", \"tag\": \"a\", \"latency_ms\": 5},"
                             " {\"model\": \"m/x\", \"tag\": \"a\", \"throughput\": {\"p50\": -1},"
                             "  \"latency_ms\": {\"p99\": \"fast\"}}]"),
                     SB_EINVAL);
    assert_int_equal(problems.n, 4);
    expect_problem("[0]", "must name a model and a tag");
    expect_problem("[1].latency_ms", "must be {p50, p75, p90, p99}");
    expect_problem("[2].throughput.p50", "must be a number from 0");
    expect_problem("[2].latency_ms.p99", "must be a number from 0");
    assert_int_equal(measure("{\"data\": 1}"), SB_EINVAL);
    expect_problem("", "must be a list of rows");
    assert_int_equal(measure("[{"), SB_EINVAL);
}

static int setup(void **state)
{
    (void)state;
    arena = sb_arena_new(4096);
    market = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctl_market_destroy(&market);
    assert_null(market);
    sb_arena_destroy(&arena);
    return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_endpoint_of_the_file_can_be_tried),         T(a_file_with_problems_gives_no_market),
        T(without_tables_only_the_answers_length_is_known), T(rows_are_found_by_model_and_tag),
        T(yaml_and_pages_of_the_api_are_read_as_well),      T(what_is_no_row_is_named_by_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
