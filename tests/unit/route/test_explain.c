/* tests/unit/route/test_explain.c - the shape of what is explained; the reasons
 * themselves are in the cases of the page. */
#include "dataplane/route/explain.h"

#include "tests/lib/route_ask.h"

struct told {
    struct sb_buf text;
    yyjson_doc *doc;
    yyjson_val *root;
};

static struct told explain(struct ask *ask, int want)
{
    struct told told;
    struct sb_json json;
    struct sb_errmsg err;

    sb_buf_init(&told.text, 1 << 22);
    sb_json_init(&json, &told.text);
    assert_int_equal(dp_explain(&json, &ask->route, ask->arena, &err), want);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_int_equal(sb_json_read(sb_buf_slice(&told.text), 1 << 22, &told.doc, &err), SB_OK);
    told.root = yyjson_doc_get_root(told.doc);
    return told;
}

static void forget(struct told *told)
{
    sb_json_free(&told->doc);
    sb_buf_release(&told->text);
}

static yyjson_val *at(yyjson_val *value, const char *pointer)
{
    yyjson_val *found = yyjson_ptr_get(value, pointer);

    if (found == NULL)
        fail_msg("nothing at %s", pointer);
    return found;
}

static void assert_text(yyjson_val *root, const char *pointer, const char *want)
{
    assert_string_equal(yyjson_get_str(at(root, pointer)), want);
}

static void a_refusal_says_who_was_removed_why_and_what_to_relax(void **state)
{
    struct world *world = world_new(
        "{'endpoints': [{'tag': 'a', 'region': 'US', 'zdr': 'yes'}, {'tag': 'b', 'region': 'DE',"
        " 'eu_resident': 'yes'}, {'tag': 'c'}]}");
    struct ask *ask = ask_new(world);
    struct told told;

    (void)state;
    assert_int_equal(ask_for(ask, "'provider': {'zdr': true, 'only': ['a', 'b', 'x']},"
                                  " 'switchboard': {'residency': 'eu'}"),
                     SB_ENOENT);
    told = explain(ask, SB_ENOENT);
    assert_int_equal(yyjson_get_int(at(told.root, "/error/code")), 404);
    assert_text(told.root, "/error/message",
                "No endpoints found for m/a. Every endpoint was removed during routing: "
                "only removed 1; zdr removed 1; residency removed 1.");
    assert_text(told.root, "/error/metadata/error_type", "not_found");
    assert_text(told.root, "/error/metadata/funnel/0/step", "models");
    assert_int_equal(yyjson_get_int(at(told.root, "/error/metadata/funnel/0/left")), 3);
    assert_text(told.root, "/error/metadata/funnel/1/step", "only");
    assert_text(told.root, "/error/metadata/funnel/1/removed/0/endpoint", "c");
    assert_text(told.root, "/error/metadata/funnel/1/removed/0/model", "m/a");
    assert_text(told.root, "/error/metadata/funnel/2/removed/0/reason", "zdr is unknown");
    assert_text(told.root, "/error/metadata/funnel/3/removed/0/reason",
                "region is US, allowed: eu");
    assert_int_equal(yyjson_get_int(at(told.root, "/error/metadata/funnel/3/left")), 0);
    /* one rule each lets one in; all three are needed for c */
    assert_int_equal(yyjson_arr_size(at(told.root, "/error/metadata/relax")), 3);
    assert_text(told.root, "/error/metadata/relax/0/rules/0", "switchboard.residency");
    assert_text(told.root, "/error/metadata/relax/0/endpoints/0", "a");
    assert_text(told.root, "/error/metadata/relax/1/rules/0", "provider.zdr");
    assert_int_equal(yyjson_arr_size(at(told.root, "/error/metadata/relax/2/rules")), 3);
    assert_text(told.root, "/error/metadata/warnings/0",
                "provider.only: \"x\" is not in the catalogue");
    assert_text(told.root, "/error/availability/code", "constraint_filtered");
    assert_true(yyjson_is_false(at(told.root, "/error/availability/retryable")));
    assert_text(told.root, "/error/availability/requested_models/0", "m/a");
    assert_text(told.root, "/error/availability/excluded_by/0", "allowed_providers");
    assert_text(told.root, "/error/availability/excluded_by/1", "data_policy:zdr");
    assert_text(told.root, "/error/availability/excluded_by/2", "data_region");
    assert_text(told.root, "/error/availability/constraint/field", "switchboard.residency");
    assert_text(told.root, "/error/availability/constraint/detail", "region is US, allowed: eu");
    forget(&told);
    ask_free(&ask);
    world_free(&world);
}

static void privacy_alone_and_no_endpoints_have_codes_of_their_own(void **state)
{
    struct world *world =
        world_new("{'endpoints': [{'tag': 'a'}, {'tag': 'b'}], 'models': {'m/none': {}}}");
    struct ask *ask = ask_new(world);
    struct told told;

    (void)state;
    assert_int_equal(ask_for(ask, "'provider': {'data_collection': 'deny', 'zdr': true}"),
                     SB_ENOENT);
    told = explain(ask, SB_ENOENT);
    assert_text(told.root, "/error/availability/code", "privacy_restricted");
    assert_int_equal(yyjson_arr_size(at(told.root, "/error/availability/excluded_by")), 1);
    forget(&told);
    assert_int_equal(ask_for(ask, "'model': 'm/none'"), SB_ENOENT);
    told = explain(ask, SB_ENOENT);
    assert_text(told.root, "/error/availability/code", "no_endpoints");
    assert_null(yyjson_ptr_get(told.root, "/error/availability/constraint"));
    forget(&told);
    ask_free(&ask);
    world_free(&world);
}

static void an_order_is_told_with_weights_and_shares(void **state)
{
    struct world *world =
        world_new("{'endpoints': [{'tag': 'one', 'price': 1}, {'tag': 'two', 'price': 2},"
                  " {'tag': 'three', 'price': 3}, {'tag': 'sick', 'price': 1}, {'tag': 'gone', "
                  "'context': 1}],"
                  " 'providers': {'two': {'house': 2}}}");
    struct ask *ask = ask_new(world);
    struct told told;
    yyjson_val *order, *one;
    size_t i, n;
    double sum = 0;

    (void)state;
    ask_mark(ask, "sick", 0, DP_HEALTH_BREAKER);
    assert_int_equal(
        ask_for(ask, "'seed': 1, 'messages': [{'role': 'user', 'content': 'a longer text'}]"),
        SB_OK);
    told = explain(ask, SB_OK);
    assert_text(told.root, "/requested", "m/a");
    assert_text(told.root, "/strategy", "direct");
    assert_int_equal(yyjson_get_int(at(told.root, "/snapshot/epoch")), 7);
    assert_int_equal(yyjson_get_int(at(told.root, "/snapshot/revision")), 41);
    assert_int_equal(yyjson_get_int(at(told.root, "/endpoints/total")), 5);
    assert_int_equal(yyjson_arr_size(at(told.root, "/endpoints/available")), 4);
    assert_text(told.root, "/funnel/1/step", "context_length");
    order = at(told.root, "/order");
    assert_int_equal(yyjson_arr_size(order), 5); /* two has two keys */
    yyjson_arr_foreach(order, i, n, one)
    {
        struct sb_slice tag = sb_json_text(yyjson_obj_get(one, "endpoint"));
        double share = yyjson_get_num(yyjson_obj_get(one, "share"));

        assert_string_equal(yyjson_get_str(yyjson_obj_get(one, "credential")), "house");
        if (sb_slice_is(tag, "sick")) {
            assert_int_equal(i, 4);
            assert_int_equal(yyjson_get_int(yyjson_obj_get(one, "group")), 2);
            assert_string_equal(yyjson_get_str(yyjson_obj_get(one, "health")), "breaker");
            assert_true(share == 1);
            continue;
        }
        assert_int_equal(yyjson_get_int(yyjson_obj_get(one, "group")), 1);
        assert_true(fabs(share - (sb_slice_is(tag, "one")   ? 36.0 / 49
                                  : sb_slice_is(tag, "two") ? 9.0 / 49
                                                            : 4.0 / 49)) < 1e-9);
        sum += share;
    }
    assert_true(fabs(sum - 1 - 9.0 / 49) < 1e-9); /* two's share is told with each key */
    forget(&told);
    ask_free(&ask);
    world_free(&world);
}

static void what_is_dropped_and_whom_nobody_follows_is_told(void **state)
{
    struct world *world = world_new("{'endpoints': [{'tag': 'one'}, {'tag': 'two', 'without': "
                                    "['seed']}]}");
    struct ask *ask = ask_new(world);
    struct told told;

    (void)state;
    assert_int_equal(ask_for(ask, "'seed': 1, 'provider': {'order': ['one']}"), SB_OK);
    told = explain(ask, SB_OK);
    assert_null(yyjson_ptr_get(told.root, "/order/0/dropped_parameters"));
    assert_text(told.root, "/order/1/dropped_parameters/0", "seed");
    assert_null(yyjson_ptr_get(told.root, "/only_first"));
    forget(&told);
    assert_int_equal(ask_for(ask, "'provider': {'allow_fallbacks': false}"), SB_OK);
    assert_int_equal(dp_decision_available(&ask->decision), 2);
    told = explain(ask, SB_OK);
    assert_int_equal(yyjson_arr_size(at(told.root, "/order")), 1);
    assert_true(yyjson_is_true(at(told.root, "/only_first")));
    forget(&told);
    ask_free(&ask);
    world_free(&world);
}

static void errors_are_told_with_their_status(void **state)
{
    struct world *world =
        world_new("{'endpoints': [{'tag': 'a'}], 'policy': {'allowed_models': ['x/*']}}");
    struct ask *ask = ask_new(world);
    struct told told;

    (void)state;
    assert_int_equal(ask_for(ask, ""), SB_EACCES);
    told = explain(ask, SB_EACCES);
    assert_int_equal(yyjson_get_int(at(told.root, "/error/code")), 403);
    forget(&told);
    assert_int_equal(ask_for(ask, "'model': 'nope'"), SB_EINVAL);
    told = explain(ask, SB_EINVAL);
    assert_int_equal(yyjson_get_int(at(told.root, "/error/code")), 400);
    assert_text(told.root, "/error/message", "nope is not a valid model ID");
    forget(&told);
    ask_free(&ask);
    world_free(&world);
}

static void strategies_have_the_names_that_clients_know(void **state)
{
    struct world *world = world_new("{'endpoints': [{'tag': 'a'}, {'tag': 'b', 'model': 'm/b'}], "
                                    "'models': {'m/a': {'aliases': ['x', 'm/a-latest']}}}");
    struct ask *ask = ask_new(world);

    (void)state;
    assert_int_equal(ask_for(ask, "'models': ['m/b']"), SB_OK);
    assert_string_equal(dp_explain_strategy(&ask->decision, 0), "direct");
    assert_string_equal(dp_explain_strategy(&ask->decision, 1), "fallback");
    assert_int_equal(ask_for(ask, "'model': 'm/a:floor'"), SB_OK);
    assert_string_equal(dp_explain_strategy(&ask->decision, 0), "direct");
    assert_int_equal(ask_for(ask, "'model': 'x'"), SB_OK);
    assert_string_equal(dp_explain_strategy(&ask->decision, 0), "alias");
    assert_int_equal(ask_for(ask, "'model': 'm/a-latest:nitro'"), SB_OK);
    assert_string_equal(dp_explain_strategy(&ask->decision, 0), "alias");
    ask_free(&ask);
    world_free(&world);
}

static void long_lists_are_cut_and_counted(void **state)
{
    static char text[65536];
    struct world *world;
    struct ask *ask;
    struct told told;
    size_t n = (size_t)snprintf(text, sizeof(text), "{'endpoints': [{'tag': 'z/z'}");

    (void)state;
    for (int i = 0; i < 250; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ",{'tag': 'a/%03d'}", i);
    (void)snprintf(text + n, sizeof(text) - n, "]}");
    world = world_new(text);
    ask = ask_new(world);
    assert_int_equal(ask_for(ask, "'provider': {'only': ['z']}"), SB_OK);
    told = explain(ask, SB_OK);
    assert_int_equal(yyjson_arr_size(at(told.root, "/funnel/1/removed")), DP_EXPLAIN_NAMED);
    assert_int_equal(yyjson_get_int(at(told.root, "/funnel/1/more")), 250 - DP_EXPLAIN_NAMED);
    assert_int_equal(yyjson_get_int(at(told.root, "/funnel/1/left")), 1);
    forget(&told);
    assert_int_equal(ask_for(ask, ""), SB_OK); /* and all of the order */
    told = explain(ask, SB_OK);
    assert_int_equal(yyjson_arr_size(at(told.root, "/order")), 251);
    assert_int_equal(yyjson_get_int(at(told.root, "/endpoints/more")), 251 - DP_EXPLAIN_NAMED);
    forget(&told);
    ask_free(&ask);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_says_who_was_removed_why_and_what_to_relax),
        cmocka_unit_test(privacy_alone_and_no_endpoints_have_codes_of_their_own),
        cmocka_unit_test(an_order_is_told_with_weights_and_shares),
        cmocka_unit_test(what_is_dropped_and_whom_nobody_follows_is_told),
        cmocka_unit_test(errors_are_told_with_their_status),
        cmocka_unit_test(strategies_have_the_names_that_clients_know),
        cmocka_unit_test(long_lists_are_cut_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
