/* Filters: a parameter becomes a parameter of SQL, or a problem. */
#include "tests/lib/test.h"

#include "controlplane/admin/call.h"
#include "controlplane/admin/filter.h"
#include "proto/vocabulary.h"

static struct sb_arena *arena;
static struct cp_call call;

/* A call with this query. */
static void ask(const char *target)
{
    sb_arena_destroy(&arena);
    arena = sb_arena_new(4096);
    call = (struct cp_call){.arena = arena};
    cp_problems_init(&call.problems, arena);
    assert_int_equal(cp_target_parse(sb_slice_of(target), arena, &call.target, NULL), SB_OK);
}

static void assert_null_param(struct cp_param param)
{
    assert_int_equal(param.type, CP_PARAM_NULL);
}

static void assert_text(struct cp_param param, const char *wanted)
{
    assert_int_equal(param.type, CP_PARAM_TEXT);
    assert_true(sb_slice_is(param.bytes, wanted));
}

static void assert_problem(const char *path, const char *part)
{
    assert_int_equal(call.problems.n, 1);
    assert_true(sb_slice_is(call.problems.first->path, path));
    assert_non_null(strstr(sb_arena_dup(arena, call.problems.first->problem).p, part));
}

static void what_is_not_asked_for_is_null(void **state)
{
    int64_t with = 0, without = 0;

    (void)state;
    ask("/");
    assert_null_param(cp_filter_text(&call, "key"));
    assert_null_param(cp_filter_time(&call, "from"));
    assert_null_param(cp_filter_money(&call, "min_cost"));
    assert_null_param(cp_filter_number(&call, "revision"));
    assert_null_param(cp_filter_outcomes(&call, "outcome"));
    assert_null_param(cp_filter_network(&call, "client"));
    cp_filter_bit(&call, "zdr", MSG_CLAIM_ZDR, &with, &without);
    assert_int_equal(with | without, 0);
    assert_int_equal(call.problems.n, 0);
}

static void an_empty_text_is_asked_for(void **state)
{
    (void)state;
    ask("/?key=");
    assert_text(cp_filter_text(&call, "key"), "");
}

static void times_are_turned_to_utc(void **state)
{
    (void)state;
    ask("/?a=2026-01-31&b=2026-01-31T12:00:00%2B02:00&c=2026-01-31T12:00:00.5Z&d=1970-01-01");
    assert_text(cp_filter_time(&call, "a"), "2026-01-31T00:00:00.000000Z");
    assert_text(cp_filter_time(&call, "b"), "2026-01-31T10:00:00.000000Z");
    assert_text(cp_filter_time(&call, "c"), "2026-01-31T12:00:00.500000Z");
    assert_text(cp_filter_time(&call, "d"), "1970-01-01T00:00:00.000000Z");
    assert_int_equal(call.problems.n, 0);
}

static void what_is_no_time_is_a_problem(void **state)
{
    static const char *const bad[] = {"/?from=yesterday", "/?from=2026-02-30",
                                      "/?from=", "/?from=1969-12-31",
                                      "/?from=2026-01-31T25:00:00Z"};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        ask(bad[i]);
        assert_null_param(cp_filter_time(&call, "from"));
        assert_problem("from", "is not a time");
    }
}

static void money_is_exact(void **state)
{
    struct cp_param param;

    (void)state;
    ask("/?min_cost=0.000000000000001");
    param = cp_filter_money(&call, "min_cost");
    assert_int_equal(param.type, CP_PARAM_I64);
    assert_int_equal(param.number, 1);
    ask("/?min_cost=1e-16");
    assert_null_param(cp_filter_money(&call, "min_cost"));
    assert_problem("min_cost", "is not an amount");
}

static void numbers_fit_the_database(void **state)
{
    (void)state;
    ask("/?n=9223372036854775807");
    assert_true(cp_filter_number(&call, "n").number == INT64_MAX);
    ask("/?n=9223372036854775808");
    assert_null_param(cp_filter_number(&call, "n"));
    assert_problem("n", "whole number");
    ask("/?n=-1");
    assert_null_param(cp_filter_number(&call, "n"));
    assert_problem("n", "whole number");
}

static void a_network_is_one(void **state)
{
    (void)state;
    ask("/?client=192.0.2.0/24&other=2001:db8::1");
    assert_text(cp_filter_network(&call, "client"), "192.0.2.0/24");
    assert_text(cp_filter_network(&call, "other"), "2001:db8::1");
    ask("/?client=192.0.2.1/24");
    assert_null_param(cp_filter_network(&call, "client"));
    assert_problem("client", "is not an address or a network");
}

static void outcomes_are_a_list_of_numbers(void **state)
{
    (void)state;
    ask("/?outcome=success,stream_cut");
    assert_text(cp_filter_outcomes(&call, "outcome"), "{1,19}");
    ask("/?outcome=internal");
    assert_text(cp_filter_outcomes(&call, "outcome"), "{37}");
    ask("/?outcome=sucess");
    (void)cp_filter_outcomes(&call, "outcome");
    assert_problem("outcome", "did you mean 'success'?");
    ask("/?outcome=success,");
    (void)cp_filter_outcomes(&call, "outcome");
    assert_problem("outcome", "'' is none; there are success, ");
}

static void flags_say_with_or_without(void **state)
{
    int64_t with = 0, without = 0;

    (void)state;
    ask("/?zdr=true&distillable=false");
    cp_filter_bit(&call, "zdr", MSG_CLAIM_ZDR, &with, &without);
    cp_filter_bit(&call, "distillable", MSG_CLAIM_DISTILLABLE, &with, &without);
    assert_int_equal(with, 1 << MSG_CLAIM_ZDR);
    assert_int_equal(without, 1 << MSG_CLAIM_DISTILLABLE);
    ask("/?zdr=perhaps");
    cp_filter_bit(&call, "zdr", MSG_CLAIM_ZDR, &with, &without);
    assert_problem("zdr", "neither true nor false");
}

static void pages_have_limits(void **state)
{
    struct cp_page page;

    (void)state;
    ask("/");
    assert_int_equal(cp_call_page(&call, &page), SB_OK);
    assert_int_equal(page.limit, 100);
    assert_string_equal(page.cursor, "");
    ask("/?limit=1000&cursor=a%2Fb");
    assert_int_equal(cp_call_page(&call, &page), SB_OK);
    assert_int_equal(page.limit, 1000);
    assert_string_equal(page.cursor, "a/b");
    ask("/?limit=1001");
    assert_int_equal(cp_call_page(&call, &page), SB_EINVAL);
    assert_problem("limit", "from 1 to 1000");
    ask("/?limit=0");
    assert_int_equal(cp_call_page(&call, &page), SB_EINVAL);
}

static int tear_down(void **state)
{
    (void)state;
    sb_arena_destroy(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_asked_for_is_null),
        cmocka_unit_test(an_empty_text_is_asked_for),
        cmocka_unit_test(times_are_turned_to_utc),
        cmocka_unit_test(what_is_no_time_is_a_problem),
        cmocka_unit_test(money_is_exact),
        cmocka_unit_test(numbers_fit_the_database),
        cmocka_unit_test(a_network_is_one),
        cmocka_unit_test(outcomes_are_a_list_of_numbers),
        cmocka_unit_test(flags_say_with_or_without),
        cmocka_unit_test(pages_have_limits),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down);
}
