/* tests/unit/proto/test_rules.c - reading rules; what they do to a request is
 * shown by tests/unit/route/. */
#include "proto/rules.h"

#include "common/arena.h"
#include "common/err.h"
#include "proto/limits.h"
#include "tests/lib/test.h"

enum { PROBLEMS = 4 };

struct fixture {
    struct sb_arena *arena;
    struct msg_rules rules;
    struct msg_problem problem[PROBLEMS];
    struct msg_report report;
    char text[32768];
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    f->arena = sb_arena_new(1024);
    f->report = (struct msg_report){.problem = f->problem, .max = PROBLEMS};
    msg_rules_init(&f->rules);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sb_arena_destroy(&f->arena);
    test_free(f);
    return 0;
}

/* ' stands for ". */
static int read_rules(struct fixture *f, int schemas, const char *text)
{
    size_t n = strlen(text);

    assert_true(n < sizeof(f->text));
    for (size_t i = 0; i <= n; i++)
        f->text[i] = (char)(text[i] == '\'' ? '"' : text[i]);
    f->report.n = 0;
    return msg_rules_read(&f->rules, schemas, sb_slice_make(f->text, n), f->arena, &f->report);
}

static void nothing_is_said_by_null_by_no_members_and_by_null_members(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_rules(f, MSG_IN_PROVIDER, "null"), SB_OK);
    assert_int_equal(read_rules(f, MSG_IN_PROVIDER, "{}"), SB_OK);
    assert_int_equal(read_rules(f, MSG_IN_SWITCHBOARD, "{'pin': null, 'byok': null}"), SB_OK);
    assert_int_equal(f->rules.said, 0);
    assert_true(f->rules.allow_fallbacks);
    assert_true(f->rules.spill);
    assert_int_equal(f->rules.max_cost, -1);
    assert_int_equal(f->rules.max_latency.at[0], MSG_NO_DATA);
}

static void provider_is_read_whole(void **state)
{
    struct fixture *f = *state;
    const struct msg_rules *rules = &f->rules;

    assert_int_equal(
        read_rules(
            f, MSG_IN_PROVIDER,
            "{'order': ['a', 'b/c'], 'allow_fallbacks': false, 'only': ['\\u0061cme'],"
            " 'ignore': [], 'require_parameters': true, 'data_collection': 'deny',"
            " 'zdr': true, 'enforce_distillable_text': true, 'quantizations': ['fp4', 'int8'],"
            " 'sort': {'by': 'latency', 'partition': 'none'},"
            " 'preferred_min_throughput': 30.5, 'preferred_max_latency': {'p90': 1.001, 'p50': "
            "null},"
            " 'max_price': {'prompt': '0.25', 'completion': 2, 'image': 0.5}}"),
        SB_OK);
    assert_int_equal(rules->order.n, 2);
    assert_true(sb_slice_is(rules->order.name[1], "b/c"));
    assert_false(rules->allow_fallbacks);
    assert_true(sb_slice_is(rules->only.name[0], "acme"));
    assert_true(msg_rules_say(rules, MSG_RULE_IGNORE));
    assert_int_equal(rules->ignore.n, 0);
    assert_true(rules->require_parameters && rules->deny_data_collection && rules->zdr &&
                rules->distillable);
    assert_int_equal(rules->quantizations, 1 << MSG_QUANTIZATION_FP4 | 1 << MSG_QUANTIZATION_MXFP4 |
                                               1 << MSG_QUANTIZATION_NVFP4 |
                                               1 << MSG_QUANTIZATION_INT8);
    assert_int_equal(rules->sort, MSG_SORT_LATENCY);
    assert_true(rules->sort_across_models);
    assert_int_equal(rules->preferred_min_throughput.at[0], 30500);
    assert_int_equal(rules->preferred_max_latency.at[0], MSG_NO_DATA);
    assert_int_equal(rules->preferred_max_latency.at[2], 1001);
    assert_int_equal(rules->max_price[MSG_PRICE_PROMPT], 250000000);
    assert_int_equal(rules->max_price[MSG_PRICE_COMPLETION], 2000000000);
    assert_int_equal(rules->max_price[MSG_PRICE_IMAGE], SB_MONEY_USD / 2);
    assert_int_equal(rules->max_price[MSG_PRICE_REQUEST], -1);
}

static void switchboard_is_read_whole(void **state)
{
    struct fixture *f = *state;
    const struct msg_rules *rules = &f->rules;

    assert_int_equal(
        read_rules(f, MSG_IN_SWITCHBOARD,
                   "{'residency': ['de', 'FR'], 'operator_countries': {'deny': ['RU']},"
                   " 'min_throughput': {'p50': 1}, 'max_latency': 2, 'unknown_ok': true,"
                   " 'max_cost': '0.01', 'pin': 'a/b', 'strict': true,"
                   " 'first_token_timeout_ms': 1, 'attempt_timeout_ms': 2, 'deadline_ms': 86400000,"
                   " 'byok': 'never', 'spill': false, 'session_id': 's\\n1',"
                   " 'fallback_on_refusal': true, 'explain': true}"),
        SB_OK);
    assert_false(rules->residency_eu);
    assert_true(msg_countries_have(&rules->residency, msg_country_parse(SB_SLICE_LIT("DE"))));
    assert_false(msg_countries_have(&rules->residency, msg_country_parse(SB_SLICE_LIT("US"))));
    assert_false(rules->has_operator_allow);
    assert_true(msg_countries_have(&rules->operator_deny, msg_country_parse(SB_SLICE_LIT("RU"))));
    assert_int_equal(rules->min_throughput.at[0], 1000);
    assert_int_equal(rules->max_latency.at[0], 2000);
    assert_true(rules->unknown_ok && rules->strict && rules->fallback_on_refusal && rules->explain);
    assert_int_equal(rules->max_cost, SB_MONEY_USD / 100);
    assert_true(sb_slice_is(rules->pin, "a/b"));
    assert_int_equal(rules->first_token_timeout, 1);
    assert_int_equal(rules->attempt_timeout, 2);
    assert_int_equal(rules->deadline, 86400000);
    assert_int_equal(rules->byok, MSG_BYOK_NEVER);
    assert_false(rules->spill);
    assert_true(sb_slice_is(rules->session_id, "s\n1"));
}

static void a_policy_may_say_the_members_of_both_and_its_own(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_rules(f, MSG_IN_POLICY,
                                "{'residency': 'eu', 'zdr': true, 'max_price': {'prompt': 1},"
                                " 'allowed_models': ['meta-llama/*'], 'audit': 'sync',"
                                " 'charge_own_keys': true, 'audit_personal': 'plain',"
                                " 'receipts': true}"),
                     SB_OK);
    assert_true(f->rules.audit_personal_plain && f->rules.receipts);
    assert_true(f->rules.charge_own_keys);
    assert_true(f->rules.residency_eu && f->rules.zdr && f->rules.audit_sync);
    assert_true(sb_slice_is(f->rules.allowed_models.name[0], "meta-llama/*"));
}

static void every_problem_is_reported_with_its_path(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_rules(f, MSG_IN_POLICY,
                                "{'zdr': 1, 'max_price': {'prompt': -1, 'tea': 2},"
                                " 'residency': ['DE', 'Mars'], 'nonsense': [], 'sort': 'up'}"),
                     SB_EINVAL);
    assert_int_equal(f->report.n, 6); /* more than there was room for */
    assert_string_equal(f->problem[0].path, "zdr");
    assert_string_equal(f->problem[0].text, "1 is not allowed; it must be true or false");
    assert_string_equal(f->problem[1].path, "max_price.prompt");
    assert_string_equal(f->problem[2].path, "max_price.tea");
    assert_string_equal(f->problem[3].path, "residency[1]");
}

static void a_request_names_the_object_in_the_path(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_rules(f, MSG_IN_SWITCHBOARD, "{'zdr': true}"), SB_EINVAL);
    assert_string_equal(f->problem[0].path, "switchboard.zdr");
    assert_int_equal(read_rules(f, MSG_IN_PROVIDER, "[]"), SB_EINVAL);
    assert_string_equal(f->problem[0].path, "provider");
    assert_string_equal(f->problem[0].text, "[] is not allowed; it must be an object");
}

static void wrong_values_are_refused_and_named(void **state)
{
    static const struct {
        const char *text, *path;
    } wrong[] = {
        {"{'order': {}}", "order"},
        {"{'order': [1]}", "order[0]"},
        {"{'order': ['']}", "order[0]"},
        {"{'only': []}", "only"},
        {"{'quantizations': []}", "quantizations"},
        {"{'quantizations': ['fp9']}", "quantizations[0]"},
        {"{'residency': []}", "residency"},
        {"{'residency': ['EU']}", "residency[0]"},
        {"{'residency': 'DE'}", "residency"},
        {"{'operator_countries': {'allow': []}}", "operator_countries.allow"},
        {"{'operator_countries': ['DE']}", "operator_countries"},
        {"{'allowed_models': []}", "allowed_models"},
        {"{'audit': 'never'}", "audit"},
        {"{'charge_own_keys': 1}", "charge_own_keys"},
        {"{'audit_personal': 'clear'}", "audit_personal"},
        {"{'receipts': 'yes'}", "receipts"},
        {"{'max_price': 1}", "max_price"},
        {"{'max_price': {'prompt': '1 USD'}}", "max_price.prompt"},
        {"{'max_price': {'prompt': '-0.1'}}", "max_price.prompt"},
        {"{'max_price': {'prompt': true}}", "max_price.prompt"},
        {"{'max_price': {'prompt': ''}}", "max_price.prompt"},
        {"{'max_cost': -0.1}", "max_cost"},
        {"{'sort': {'by': 'price', 'then': 'latency'}}", "sort.then"},
        {"{'sort': 1}", "sort"},
        {"{'min_throughput': -1}", "min_throughput"},
        {"{'min_throughput': {'p50': 'x'}}", "min_throughput.p50"},
        {"{'max_latency': [1]}", "max_latency"},
        {"{'pin': ''}", "pin"},
        {"{'pin': 7}", "pin"},
        {"{'deadline_ms': 1.5}", "deadline_ms"},
        {"{'deadline_ms': 86400001}", "deadline_ms"},
        {"{'deadline_ms': '5'}", "deadline_ms"},
        {"{'session_id': 5}", "session_id"},
        {"{'byok': 'Only'}", "byok"},
        {"{'spill': 0}", "spill"},
        {"{'z\\u0064x': true}", "zdx"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        msg_rules_init(&f->rules);
        if (read_rules(f, MSG_IN_POLICY, wrong[i].text) != SB_EINVAL)
            fail_msg("%s was taken", wrong[i].text);
        assert_int_equal(f->report.n, 1);
        assert_string_equal(f->problem[0].path, wrong[i].path);
        assert_true(strlen(f->problem[0].text) > 10);
    }
}

static void what_is_not_json_and_what_comes_twice_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_rules(f, MSG_IN_POLICY, "{'zdr': true"), SB_EPARSE);
    assert_int_equal(read_rules(f, MSG_IN_POLICY, ""), SB_EPARSE);
    assert_int_equal(read_rules(f, MSG_IN_POLICY, "{'zdr': true, 'zdr': false}"), SB_EINVAL);
    assert_int_equal(read_rules(f, MSG_IN_POLICY, "{'zdr': true, 'z\\u0064r': false}"), SB_EINVAL);
}

static void escaped_names_are_meant_as_they_read(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_rules(f, MSG_IN_PROVIDER, "{'z\\u0064r': true}"), SB_OK);
    assert_true(f->rules.zdr);
}

static void lists_have_a_ceiling(void **state)
{
    struct fixture *f = *state;
    char text[8192] = "{'ignore': ['a'";
    size_t n = strlen(text);

    for (int i = 1; i < MSG_LIST_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ",'a'");
    (void)snprintf(text + n, sizeof(text) - n, "]}");
    assert_int_equal(read_rules(f, MSG_IN_PROVIDER, text), SB_OK);
    assert_int_equal(f->rules.ignore.n, MSG_LIST_MAX);
    (void)snprintf(text + n, sizeof(text) - n, ",'a']}");
    assert_int_equal(read_rules(f, MSG_IN_PROVIDER, text), SB_EINVAL);
    assert_string_equal(f->problem[0].text, "has 257 entries; at most 256 are allowed");
}

static void a_session_id_has_at_most_256_characters_not_bytes(void **state)
{
    struct fixture *f = *state;
    char text[1024] = "{'session_id': '";
    size_t n = strlen(text);

    for (int i = 0; i < 256; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "\xc3\xa4");
    (void)snprintf(text + n, sizeof(text) - n, "'}");
    assert_int_equal(read_rules(f, MSG_IN_SWITCHBOARD, text), SB_OK);
    assert_int_equal(f->rules.session_id.n, 512);
    (void)snprintf(text + n, sizeof(text) - n, "x'}");
    assert_int_equal(read_rules(f, MSG_IN_SWITCHBOARD, text), SB_EINVAL);
}

static void numbers_at_the_edges_keep_their_meaning(void **state)
{
    struct fixture *f = *state;

    /* finer than a unit is rounded, beyond any price is no limit at all */
    assert_int_equal(
        read_rules(f, MSG_IN_PROVIDER, "{'max_price': {'prompt': 0.30000000000000004}}"), SB_OK);
    assert_int_equal(f->rules.max_price[MSG_PRICE_PROMPT], 300000000);
    assert_int_equal(read_rules(f, MSG_IN_PROVIDER, "{'max_price': {'prompt': 1e300}}"), SB_OK);
    assert_int_equal(f->rules.max_price[MSG_PRICE_PROMPT], SB_MONEY_MAX);
    assert_int_equal(
        read_rules(f, MSG_IN_PROVIDER, "{'max_price': {'prompt': 6.66666666666666666666e55}}"),
        SB_OK); /* both at once */
    assert_int_equal(f->rules.max_price[MSG_PRICE_PROMPT], SB_MONEY_MAX);
    assert_int_equal(read_rules(f, MSG_IN_PROVIDER, "{'max_price': {'prompt': '1e-3'}}"), SB_OK);
    assert_int_equal(f->rules.max_price[MSG_PRICE_PROMPT], 1000000);
    /* a limit between two milliseconds decides as it would among real numbers */
    assert_int_equal(read_rules(f, MSG_IN_SWITCHBOARD, "{'max_latency': 0.0015}"), SB_OK);
    assert_int_equal(f->rules.max_latency.at[0], 1);
    assert_int_equal(read_rules(f, MSG_IN_SWITCHBOARD, "{'min_throughput': 0.0015}"), SB_OK);
    assert_int_equal(f->rules.min_throughput.at[0], 2);
    for (int ms = 1; ms < 3000; ms++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "{'max_latency': %d.%03d}", ms / 1000, ms % 1000);
        assert_int_equal(read_rules(f, MSG_IN_SWITCHBOARD, text), SB_OK);
        assert_int_equal(f->rules.max_latency.at[0], ms);
    }
    assert_int_equal(read_rules(f, MSG_IN_SWITCHBOARD, "{'max_latency': 1e12}"), SB_OK);
    assert_int_equal(f->rules.max_latency.at[0], MSG_NO_DATA - 1);
}

static void long_wrong_values_are_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    char text[512] = "{'sort': '";
    size_t n = strlen(text);

    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "\xe2\x82\xac");
    (void)snprintf(text + n, sizeof(text) - n, "'}");
    assert_int_equal(read_rules(f, MSG_IN_PROVIDER, text), SB_EINVAL);
    assert_non_null(strstr(f->problem[0].text, "\xe2\x82\xac... is not allowed"));
}

static void patterns_match_any_run_of_characters(void **state)
{
    static const struct {
        const char *pattern, *model;
        bool matches;
    } tries[] = {
        {"*", "a/b", true},
        {"*", "", true},
        {"", "", true},
        {"", "a", false},
        {"a/*", "a/b", true},
        {"a/*", "a/", true},
        {"a/*", "b/a/x", false},
        {"*/b", "a/b", true},
        {"*/b", "a/bc", false},
        {"a*b*c", "a-b-b-c", true},
        {"a*b*c", "a-c-b", false},
        {"**x", "yyx", true},
        {"a/b", "a/b", true},
        {"a/b", "A/b", false},
        {"a/b.", "a/bc", false},
        {"*llama*", "meta/llama-3", true},
        {"*aab", "aaaaaaaab", true},
        {"x*", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
        assert_int_equal(
            msg_pattern_matches(sb_slice_of(tries[i].pattern), sb_slice_of(tries[i].model)),
            tries[i].matches);
}

static void a_report_is_not_needed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        msg_rules_read(&f->rules, MSG_IN_PROVIDER, SB_SLICE_LIT("{\"a\":1}"), f->arena, NULL),
        SB_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_said_by_null_by_no_members_and_by_null_members),
        TEST(provider_is_read_whole),
        TEST(switchboard_is_read_whole),
        TEST(a_policy_may_say_the_members_of_both_and_its_own),
        TEST(every_problem_is_reported_with_its_path),
        TEST(a_request_names_the_object_in_the_path),
        TEST(wrong_values_are_refused_and_named),
        TEST(what_is_not_json_and_what_comes_twice_is_refused),
        TEST(escaped_names_are_meant_as_they_read),
        TEST(lists_have_a_ceiling),
        TEST(a_session_id_has_at_most_256_characters_not_bytes),
        TEST(numbers_at_the_edges_keep_their_meaning),
        TEST(long_wrong_values_are_cut_between_characters),
        TEST(patterns_match_any_run_of_characters),
        TEST(a_report_is_not_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
