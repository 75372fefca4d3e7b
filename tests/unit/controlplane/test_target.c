/* Targets of requests: escapes undone in the right place, and nothing else. */
#include "tests/lib/test.h"

#include "controlplane/admin/target.h"

static struct sb_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = sb_arena_new(4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_arena_destroy(&arena);
    return 0;
}

static struct cp_target parse(const char *text)
{
    struct cp_target target;

    assert_int_equal(cp_target_parse(sb_slice_of(text), arena, &target, NULL), SB_OK);
    return target;
}

static void the_path_ends_where_the_query_begins(void **state)
{
    struct cp_target target = parse("/a%2Fb/c?x=1&y=2");

    (void)state;
    assert_true(sb_slice_is(target.path, "/a%2Fb/c"));
    assert_int_equal(target.n_params, 2);
    assert_int_equal(parse("/a").n_params, 0);
    assert_int_equal(parse("/a?").n_params, 0);
    assert_int_equal(parse("/a?&&").n_params, 0);
}

static void names_and_values_are_unescaped(void **state)
{
    struct cp_target target = parse("/?model=a%2fb+c%26d&flag&%6bey==x=");

    (void)state;
    assert_int_equal(target.n_params, 3);
    assert_true(sb_slice_is(target.params[0].value, "a/b c&d"));
    assert_true(sb_slice_is(target.params[1].name, "flag"));
    assert_int_equal(target.params[1].value.n, 0);
    assert_non_null(target.params[1].value.p); /* it is there */
    assert_true(sb_slice_is(target.params[2].name, "key"));
    assert_true(sb_slice_is(target.params[2].value, "=x="));
}

static void escapes_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"/?a=%",      "/?a=%4",       "/?a=%4g", "/?a=%g4",
                                      "/?a=%00",    "/?%00=1",      "/?a=%ff", "/?a=%c3",
                                      "/?a=%c3%28", "/?a=%ed%a0%80"};
    struct sb_errmsg err = {.text = ""};
    struct cp_target target;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        assert_int_equal(cp_target_parse(sb_slice_of(bad[i]), arena, &target, &err), SB_EPARSE);
        assert_non_null(strstr(err.text, "parameter"));
    }
}

static void too_many_parameters_are_refused(void **state)
{
    char text[2 + CP_TARGET_PARAMS_MAX * 2 + 3] = "/?";
    struct cp_target target;

    (void)state;
    for (int i = 0; i < CP_TARGET_PARAMS_MAX; i++)
        strcat(text, "a&");
    assert_int_equal(parse(text).n_params, CP_TARGET_PARAMS_MAX);
    strcat(text, "a");
    assert_int_equal(cp_target_parse(sb_slice_of(text), arena, &target, NULL), SB_ETOOBIG);
}

static void a_plus_is_a_blank_in_a_query_only(void **state)
{
    struct sb_slice text;

    (void)state;
    assert_int_equal(cp_target_unescape(SB_SLICE_LIT("a+b%2Bc"), false, arena, &text), SB_OK);
    assert_true(sb_slice_is(text, "a+b+c"));
    assert_int_equal(cp_target_unescape(SB_SLICE_LIT("a+b%2Bc"), true, arena, &text), SB_OK);
    assert_true(sb_slice_is(text, "a b+c"));
}

/* pattern, path, and the arguments that are found; NULL: it does not match. */
static const struct {
    const char *pattern, *path, *first, *second;
} matches[] = {
    {"/keys", "/keys", "", ""},
    {"/keys", "/keys/", NULL, NULL},
    {"/keys", "/key", NULL, NULL},
    {"/keys", "keys", NULL, NULL},
    {"/keys", "", NULL, NULL},
    {"/keys/{name...}", "/keys/a", "a", ""},
    {"/keys/{name...}", "/keys/a/b/c", "a/b/c", ""},
    {"/keys/{name...}", "/keys/a%2Fb", "a%2Fb", ""},
    {"/keys/{name...}", "/keys/a/", "a/", ""},
    {"/keys/{name...}", "/keys/", NULL, NULL},
    {"/keys/{name...}", "/keys", NULL, NULL},
    {"/r/{n}", "/r/7", "7", ""},
    {"/r/{n}", "/r/", NULL, NULL},
    {"/r/{n}", "/r/7/rollback", NULL, NULL},
    {"/r/{n}/rollback", "/r/7/rollback", "7", ""},
    {"/r/{n}/rollback", "/r/7/rollbac", NULL, NULL},
    {"/r/{n}/rollback", "/r//rollback", NULL, NULL},
    {"/r/{n}/{m}", "/r/7/8", "7", "8"},
};

static void patterns_match_whole_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(matches); i++) {
        struct sb_slice args[CP_TARGET_ARGS_MAX] = {SB_SLICE_NONE, SB_SLICE_NONE};
        bool is_match = cp_target_match(matches[i].pattern, sb_slice_of(matches[i].path), args);

        assert_int_equal(is_match, matches[i].first != NULL);
        if (!is_match)
            continue;
        assert_true(sb_slice_is(args[0], matches[i].first));
        assert_true(sb_slice_is(args[1], matches[i].second));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_ends_where_the_query_begins),
        cmocka_unit_test(names_and_values_are_unescaped),
        cmocka_unit_test(escapes_that_are_none_are_refused),
        cmocka_unit_test(too_many_parameters_are_refused),
        cmocka_unit_test(a_plus_is_a_blank_in_a_query_only),
        cmocka_unit_test(patterns_match_whole_paths),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
