/* tests/unit/dataplane/test_canonical.c */
#include "dataplane/canonical.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/canon.h"
#include "common/err.h"
#include "common/splice.h"
#include "tests/lib/test.h"

static int set_up(void **state)
{
    *state = sb_arena_new(4096);
    return 0;
}

static int tear_down(void **state)
{
    struct sb_arena *arena = *state;

    sb_arena_destroy(&arena);
    return 0;
}

/* As a value that has passed the scan of its body. */
static int canonical(struct sb_arena *arena, const char *value, struct sb_slice *ret_text)
{
    struct sb_splice doc;

    sb_splice_init(&doc, NULL, 0);
    assert_int_equal(
        sb_splice_scan(&doc,
                       sb_arena_printf(arena, "[%s]", value), /* an array records what it can */
                       SB_SPLICE_DEPTH, NULL),
        SB_OK);
    return dp_canonical(sb_slice_of(value), 1000, arena, ret_text);
}

static void there_is_one_spelling_of_each_value(void **state)
{
    static const struct {
        const char *value, *wanted;
    } cases[] = {
        {"{}", "{}"},
        {"[ ]", "[]"},
        {"{ \"b\" : 1 ,\n\"a\" : [ true , null , \"x\" ] }", "{\"a\":[true,null,\"x\"],\"b\":1}"},
        {"{\"B\":1,\"a\":2,\"\":3,\"ab\":4,\"aa\":5}",
         "{\"\":3,\"B\":1,\"a\":2,\"aa\":5,\"ab\":4}"},
        {"{\"z\":{\"y\":2,\"x\":{\"b\":1,\"a\":0}},\"a\":[{\"d\":1,\"c\":2}]}",
         "{\"a\":[{\"c\":2,\"d\":1}],\"z\":{\"x\":{\"a\":0,\"b\":1},\"y\":2}}"},
        {"{\"\\u0062\":1,\"\\u0061\":2}", "{\"a\":2,\"b\":1}"},
        {"\"\\u0041\\/\\u00e9\\ud83d\\ude00\\\"\\\\\"", "\"A/\xc3\xa9\xf0\x9f\x98\x80\\\"\\\\\""},
        {"\"\\u0008\\u0009\\u000a\\u000b\\u000c\\u000D\\u001f\\u007f\"",
         "\"\\b\\t\\n\\u000b\\f\\r\\u001f\x7f\""},
        {"\"\\u0000\"", "\"\\u0000\""},
        {"-1.50e+2", "-1.50e+2"},
        {"false", "false"},
    };
    struct sb_slice text;

    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        assert_int_equal(canonical(*state, cases[i].value, &text), SB_OK);
        if (!sb_slice_is(text, cases[i].wanted))
            fail_msg("%s gives %.*s", cases[i].value, SB_SLICE_ARGS(text));
        assert_true(text.n <= strlen(cases[i].value));
    }
}

/* Who verifies uses common/canon.h. */
static void the_control_plane_spells_it_the_same(void **state)
{
    static const char *const values[] = {
        "{ \"b\" : 1.50 ,\n\"a\" : [ true , null , \"x\" ], \"\\u0061\\u0000\": -0 }",
        "\"\\u0041\\/\\u00e9\\ud83d\\ude00\\\"\\\\\\u0008\\u001f\\u007f\"",
        "[{\"z\":{\"y\":2,\"x\":{\"b\":1,\"a\":0}},\"Z\":[{\"d\":1,\"c\":2}]},1e3]",
    };
    SB_CLEANUP(sb_buf_release) struct sb_buf theirs;
    struct sb_slice ours;

    sb_buf_init(&theirs, 1000);
    for (size_t i = 0; i < SB_ARRAY_LEN(values); i++) {
        sb_buf_reset(&theirs);
        assert_int_equal(canonical(*state, values[i], &ours), SB_OK);
        assert_int_equal(sb_canon_json(&theirs, sb_slice_of(values[i])), SB_OK);
        if (!sb_slice_eq(ours, sb_buf_slice(&theirs)))
            fail_msg("%.*s is not %.*s", SB_SLICE_ARGS(ours), SB_SLICE_ARGS(sb_buf_slice(&theirs)));
    }
}

static void what_is_canonical_stays_as_it_is(void **state)
{
    struct sb_slice once, twice;

    assert_int_equal(
        canonical(*state, "{\"b\":[{\"\\u0001\":\"\\t\"},1e3],\"a\":\"\\u00fc\"}", &once), SB_OK);
    assert_int_equal(dp_canonical(once, 1000, *state, &twice), SB_OK);
    assert_true(sb_slice_eq(once, twice));
}

static void what_is_too_large_is_refused(void **state)
{
    char text[2000], *at = text;
    struct sb_slice got = SB_SLICE_LIT("untouched");

    memset(text, '1', sizeof(text));
    assert_int_equal(dp_canonical(sb_slice_make(text, 1001), 1000, *state, &got), SB_ETOOBIG);
    assert_int_equal(canonical(*state, "[[[[[[[[1]]]]]]]]", &got), SB_OK);
    got = SB_SLICE_LIT("untouched");
    assert_int_equal(canonical(*state, "[[[[[[[[[1]]]]]]]]]", &got), SB_ETOOBIG);
    *at++ = '[';
    for (int i = 0; i <= SB_SPLICE_MEMBERS; i++) {
        *at++ = '1';
        *at++ = i < SB_SPLICE_MEMBERS ? ',' : ']';
    }
    *at = '\0';
    assert_int_equal(canonical(*state, text, &got), SB_ETOOBIG);
    assert_int_equal(canonical(*state, "{\"a\":{\"b\":1,\"\\u0062\":2}}", &got), SB_EEXIST);
    assert_true(sb_slice_is(got, "untouched"));
}

/* Sizes are the client's to choose: many small objects must not cost a table each. */
static void memory_is_bounded_by_depth(void **state)
{
    struct sb_slice many = sb_arena_printf(*state, "["), got;
    size_t before = sb_arena_held(*state);

    for (int i = 0; i < SB_SPLICE_MEMBERS / 2 - 1; i++)
        many = sb_arena_printf(*state, "%.*s{},[],", SB_SLICE_ARGS(many));
    many = sb_arena_printf(*state, "%.*s{}]", SB_SLICE_ARGS(many));
    before = sb_arena_held(*state);
    assert_int_equal(dp_canonical(many, many.n, *state, &got), SB_OK);
    assert_true(sb_slice_eq(many, got));
    assert_true(sb_arena_held(*state) - before < 40000); /* two tables */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_is_one_spelling_of_each_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_control_plane_spells_it_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_canonical_stays_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_large_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_bounded_by_depth, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
