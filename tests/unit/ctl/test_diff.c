/* Differences: each object once, each member that changed. */
#include "tests/lib/test.h"

#include "common/arena.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/diff.h"

static struct ctl ctl;

static int set_up(void **state)
{
    (void)state;
    ctl = (struct ctl){.arena = sb_arena_new(4096)};
    sb_buf_init(&ctl.out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_buf_release(&ctl.out);
    sb_arena_destroy(&ctl.arena);
    return 0;
}

static void assert_diff(const char *json, const char *wanted)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;

    sb_buf_reset(&ctl.out);
    assert_int_equal(sb_json_read(sb_slice_of(json), 1 << 20, &doc, NULL), SB_OK);
    ctl_diff_print(&ctl, yyjson_doc_get_root(doc));
    assert_string_equal(sb_arena_dup(ctl.arena, sb_buf_slice(&ctl.out)).p, wanted);
}

static void objects_come_and_go(void **state)
{
    (void)state;
    assert_diff("[{\"kind\": \"keys\", \"name\": \"a\", \"action\": \"added\", \"after\": {}},"
                " {\"kind\": \"policies\", \"name\": \"b\", \"action\": \"removed\","
                "  \"before\": {\"x\": 1}}]",
                "   KIND    NAME  CHANGE\n"
                "+  key     a\n"
                "-  policy  b\n"
                "\n");
    assert_diff("[]", "");
}

static void members_are_told_with_before_and_after(void **state)
{
    (void)state;
    assert_diff("[{\"kind\": \"endpoints\", \"name\": \"m@t\", \"action\": \"changed\","
                "  \"before\": {\"region\": \"DE\", \"pricing\": {\"prompt\": \"1\", \"x\": \"2\"},"
                "              \"tags\": [\"a\"], \"same\": {\"deep\": [1, {\"y\": 2}]}},"
                "  \"after\": {\"pricing\": {\"prompt\": \"0.5\", \"x\": \"2\"},"
                "             \"tags\": [\"a\", \"b\"], \"zdr\": {\"value\": \"yes\"},"
                "             \"same\": {\"deep\": [1, {\"y\": 2}]}}}]",
                "   KIND      NAME  CHANGE\n"
                "~  endpoint  m@t   region: DE → (none)\n"
                "                   pricing.prompt: 1 → 0.5\n"
                "                   tags: a → a, b\n"
                "                   zdr.value: yes\n"
                "\n");
}

static void a_new_secret_is_told_not_shown(void **state)
{
    (void)state;
    assert_diff("[{\"kind\": \"credentials\", \"name\": \"c\", \"action\": \"changed\","
                "  \"before\": {\"a\": 1}, \"after\": {\"a\": 1}, \"secret_changed\": true}]",
                "   KIND        NAME  CHANGE\n"
                "~  credential  c     secret: new\n"
                "\n");
}

static void a_kind_that_is_new_to_us_is_shown_as_it_is(void **state)
{
    (void)state;
    assert_diff("[{\"kind\": \"moons\", \"name\": \"c\", \"action\": \"added\", \"after\": {}}]",
                "   KIND   NAME  CHANGE\n"
                "+  moons  c\n"
                "\n");
}

static void long_differences_are_cut(void **state)
{
    struct sb_slice json = SB_SLICE_LIT("[");

    (void)state;
    for (int i = 0; i < CTL_DIFF_LINES + 7; i++)
        json =
            sb_arena_printf(ctl.arena,
                            "%.*s%s{\"kind\": \"keys\", \"name\": \"k%d\", \"action\": \"added\","
                            " \"after\": {}}",
                            SB_SLICE_ARGS(json), i > 0 ? "," : "", i);
    json = sb_arena_printf(ctl.arena, "%.*s]", SB_SLICE_ARGS(json));
    {
        SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
        struct sb_slice out;

        assert_int_equal(sb_json_read(json, 1 << 20, &doc, NULL), SB_OK);
        ctl_diff_print(&ctl, yyjson_doc_get_root(doc));
        out = sb_arena_dup(ctl.arena, sb_buf_slice(&ctl.out));
        assert_non_null(strstr(out.p, "\n... and 7 more objects (-o json shows them)\n"));
        assert_non_null(strstr(out.p, "+  key   k199\n"));
        assert_null(strstr(out.p, "k200"));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(objects_come_and_go),
        TEST(members_are_told_with_before_and_after),
        TEST(a_new_secret_is_told_not_shown),
        TEST(a_kind_that_is_new_to_us_is_shown_as_it_is),
        TEST(long_differences_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
