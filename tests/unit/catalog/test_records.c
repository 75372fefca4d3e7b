/* tests/unit/catalog/test_records.c - a document as records; test_compile.c of the control plane
 * compares them with those of a database. */
#include "controlplane/catalog/records.h"

#include "proto/snapshot.h"
#include "tests/lib/test.h"

static struct sb_arena *arena;
static struct cp_problems problems;
static struct msg_snapshot *records;

/* What cp_records_make() says of a document that is right by itself. */
static int make(const char *text)
{
    struct cp_catalog *catalog = NULL;

    records = NULL;
    cp_problems_init(&problems, arena);
    assert_int_equal(cp_catalog_read(sb_slice_of(text), CP_DOC_AUTO, arena, &problems, &catalog),
                     SB_OK);
    assert_int_equal(problems.n, 0);
    return cp_records_make(catalog, arena, &problems, &records);
}

static void expect_problem(const char *path, const char *text)
{
    for (const struct cp_problem *one = problems.first; one != NULL; one = one->next)
        if (sb_slice_is(one->path, path) && strstr(one->problem.p, text) != NULL)
            return;
    fail_msg("no problem of %s says '%s'", path, text);
}

#define HEAD                                                                                       \
    "version: 1\n"                                                                                 \
    "providers:\n"                                                                                 \
    "  - {slug: beta, dialect: openai, base_url: \"http://b\"}\n"                                  \
    "  - {slug: acme, dialect: openai, base_url: \"http://a\", credential: {env: NEVER_READ},\n"   \
    "     data_policy: {zdr: {value: yes, evidence: dpa}}}\n"                                      \
    "models: [{id: m/a, context_length: 1000}]\n"

static void an_endpoint_has_what_model_and_provider_say(void **state)
{
    (void)state;
    assert_int_equal(make(HEAD "endpoints:\n"
                               "  - {model: m/a, provider: beta, context_length: 50,\n"
                               "     pricing: {prompt: 1, completion: 2}}\n"
                               "  - {model: m/a, provider: acme, pricing: {prompt: 0.1, "
                               "completion: 0, request: 0.5}}\n"),
                     SB_OK);
    assert_int_equal(records->n_endpoints, 2);
    assert_true(sb_slice_is(records->endpoints[0].tag, "acme"));
    assert_int_equal(records->endpoints[0].id, 1);
    assert_int_equal(records->endpoints[0].context_length, 1000);
    assert_int_equal(records->endpoints[0].claim[MSG_CLAIM_ZDR].value, MSG_TRI_YES);
    assert_true(records->endpoints[0].price[MSG_PRICE_PROMPT] == 100000000);
    assert_true(records->endpoints[0].price[MSG_PRICE_REQUEST] == INT64_C(500000000000000));
    assert_true(records->endpoints[0].price[MSG_PRICE_IMAGE] == -1);
    assert_int_equal(records->endpoints[1].context_length, 50);
    assert_int_equal(records->endpoints[1].claim[MSG_CLAIM_ZDR].value, MSG_TRI_UNKNOWN);
    assert_true(sb_slice_is(records->providers[records->endpoints[1].provider].slug, "beta"));
    assert_int_equal(records->n_credentials, 0);
    assert_int_equal(records->n_keys, 0);
}

static void prices_with_conditions_are_rows_in_their_order(void **state)
{
    const struct msg_endpoint *e;

    (void)state;
    assert_int_equal(make(HEAD "endpoints:\n"
                               "  - {model: m/a, provider: acme, pricing: {prompt: 1, completion: "
                               "2, overrides: [\n"
                               "      {min_prompt_tokens: 128000, prompt: 0.1, request: 0},\n"
                               "      {hours: \"22:30-24:00\", days: [tuesday, sunday], "
                               "cache_read: 0.000000001}]}}\n"
                               "  - {model: m/a, provider: beta, pricing: {prompt: 1, completion: "
                               "2}}\n"),
                     SB_OK);
    e = &records->endpoints[0];
    assert_int_equal(e->n_overrides, 2);
    assert_int_equal(e->overrides[0].min_prompt_tokens, 128000);
    assert_int_equal(e->overrides[0].from, e->overrides[0].until);
    assert_int_equal(e->overrides[0].days, 0);
    assert_int_equal(e->overrides[0].price[MSG_PRICE_PROMPT], 100000000);
    assert_int_equal(e->overrides[0].price[MSG_PRICE_REQUEST], 0);
    assert_int_equal(e->overrides[0].price[MSG_PRICE_COMPLETION], -1);
    assert_int_equal(e->overrides[1].min_prompt_tokens, 0);
    assert_int_equal(e->overrides[1].from, 22 * 60 + 30);
    assert_int_equal(e->overrides[1].until, 0);
    assert_int_equal(e->overrides[1].days, 1u << MSG_DAY_TUESDAY | 1u << MSG_DAY_SUNDAY);
    assert_int_equal(e->overrides[1].price[MSG_PRICE_CACHE_READ], 1);
    assert_int_equal(e->overrides[1].price[MSG_PRICE_PROMPT], -1);
    assert_int_equal(records->endpoints[1].n_overrides, 0);
}

static void what_the_document_does_not_name_is_a_problem(void **state)
{
    (void)state;
    assert_int_equal(make(HEAD "endpoints:\n"
                               "  - {model: m/b, provider: acme, pricing: {prompt: 1, completion: "
                               "2}}\n"
                               "  - {model: m/a, provider: gone, pricing: {prompt: 1, completion: "
                               "2}}\n"),
                     SB_EINVAL);
    assert_null(records);
    assert_int_equal(problems.n, 2);
    expect_problem("endpoints[0].model", "there is no model 'm/b'");
    expect_problem("endpoints[1].provider", "there is no provider 'gone'");
}

static void rules_of_a_policy_are_as_written(void **state)
{
    (void)state;
    assert_int_equal(make("version: 1\n"
                          "policies:\n"
                          "  - {name: cheap, zdr: yes, max_price: {prompt: 0.100000001}}\n"
                          "  - {name: any}\n"),
                     SB_OK);
    assert_int_equal(records->n_policies, 2);
    assert_true(sb_slice_is(records->policies[0].name, "any"));
    assert_true(sb_slice_is(records->policies[0].rules, "{}"));
    assert_non_null(strstr(records->policies[1].rules.p, "\"zdr\":true"));
    assert_non_null(strstr(records->policies[1].rules.p, "{\"prompt\":0.100000001}"));
    assert_null(strstr(records->policies[1].rules.p, "cheap"));
}

static void an_empty_document_has_no_rows(void **state)
{
    (void)state;
    assert_int_equal(make("version: 1\n"), SB_OK);
    assert_int_equal(records->n_endpoints, 0);
    assert_int_equal(records->n_tenants, 1);
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
    sb_arena_destroy(&arena);
    return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_endpoint_has_what_model_and_provider_say),
        T(prices_with_conditions_are_rows_in_their_order),
        T(what_the_document_does_not_name_is_a_problem),
        T(rules_of_a_policy_are_as_written),
        T(an_empty_document_has_no_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
