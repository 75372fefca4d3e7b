/* Values in words, as people read them. */
#include "tests/lib/test.h"

#include "common/arena.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/show.h"

#define NOW UINT64_C(1767323045000000) /* 2026-01-02T03:04:05Z */

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

static void assert_words(const char *json, enum ctl_show show, const char *wanted)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_slice words;

    assert_int_equal(sb_json_read(sb_slice_of(json), 4096, &doc, NULL), SB_OK);
    words = ctl_words(arena, yyjson_doc_get_root(doc), show, NOW);
    assert_string_equal(sb_arena_dup(arena, words).p, wanted);
}

static void values_are_shown_in_words(void **state)
{
    static const struct {
        const char *json;
        enum ctl_show show;
        const char *wanted;
    } values[] = {
        {"\"a b\"", CTL_SHOW_TEXT, "a b"},
        {"true", CTL_SHOW_TEXT, "true"},
        {"null", CTL_SHOW_TEXT, "-"},
        {"1.50", CTL_SHOW_TEXT, "1.5"},
        {"[]", CTL_SHOW_TEXT, ""},
        {"[\"a\", 2, null]", CTL_SHOW_TEXT, "a, 2, null"},
        {"0", CTL_SHOW_COUNT, "0"},
        {"999", CTL_SHOW_COUNT, "999"},
        {"1000", CTL_SHOW_COUNT, "1 000"},
        {"18446744073709551615", CTL_SHOW_COUNT, "18 446 744 073 709 551 615"},
        {"[1, 2]", CTL_SHOW_LENGTH, "2"},
        {"0", CTL_SHOW_BYTES, "0 B"},
        {"1023", CTL_SHOW_BYTES, "1023 B"},
        {"1536", CTL_SHOW_BYTES, "1.5 KiB"},
        {"4294967296", CTL_SHOW_BYTES, "4.0 GiB"},
        {"209715200", CTL_SHOW_BYTES, "200 MiB"},
        {"12.4", CTL_SHOW_MSEC, "12 ms"},
        {"1500", CTL_SHOW_MSEC, "1.5 s"},
        {"600000", CTL_SHOW_MSEC, "10 min"},
        {"0.9995", CTL_SHOW_PERCENT, "99.95 %"},
        {"1", CTL_SHOW_PERCENT, "100.00 %"},
        {"84.26", CTL_SHOW_RATE, "84.3"},
        {"\"0.10\"", CTL_SHOW_DECIMAL, "0.10"},
        {"\"2026-01-02T03:04:05.123456Z\"", CTL_SHOW_TIME, "2026-01-02 03:04:05"},
        {"\"2026-01-02T04:04:05+01:00\"", CTL_SHOW_TIME, "2026-01-02 03:04:05"},
        {"\"soon\"", CTL_SHOW_TIME, "soon"},
        {"\"2026-01-02T03:04:05Z\"", CTL_SHOW_AGE, "now"},
        {"\"2026-01-02T03:04:03Z\"", CTL_SHOW_AGE, "2 s ago"},
        {"\"2026-01-02T03:00:05Z\"", CTL_SHOW_AGE, "4 min ago"},
        {"\"2026-01-02T00:04:06Z\"", CTL_SHOW_AGE, "2 h ago"},
        {"\"2025-12-25T03:04:05Z\"", CTL_SHOW_AGE, "8 d ago"},
        {"\"2027-01-01T00:00:00Z\"", CTL_SHOW_AGE, "now"},
        {"{\"value\": \"yes\", \"evidence\": \"x\"}", CTL_SHOW_CLAIM, "yes"},
        {"\"no\"", CTL_SHOW_CLAIM, "no"},
        {"{\"epoch\": 1, \"revision\": 7}", CTL_SHOW_VERSION, "7"},
        {"7", CTL_SHOW_VERSION, "7"},
        {"true", CTL_SHOW_FLAG, "yes"},
        {"false", CTL_SHOW_FLAG, ""},
        {"\"text\"", CTL_SHOW_COUNT, "text"}, /* not what was expected: as it is */
        {"\"text\"", CTL_SHOW_BYTES, "text"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(values); i++)
        assert_words(values[i].json, values[i].show, values[i].wanted);
    assert_true(sb_slice_is(ctl_words(arena, NULL, CTL_SHOW_COUNT, NOW), "-"));
}

static void members_are_found_by_their_path(void **state)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    yyjson_val *root;

    (void)state;
    assert_int_equal(
        sb_json_read(SB_SLICE_LIT("{\"a\": {\"b\": {\"c\": \"d\"}}, \"e\": 1}"), 100, &doc, NULL),
        SB_OK);
    root = yyjson_doc_get_root(doc);
    assert_true(sb_slice_is(ctl_member_text(root, "a.b.c"), "d"));
    assert_non_null(ctl_member(root, "e"));
    assert_int_equal(ctl_member_text(root, "e").n, 0); /* no text */
    assert_null(ctl_member(root, "a.x.c"));
    assert_null(ctl_member(root, "e.f"));
    assert_null(ctl_member(NULL, "a"));
}

static void a_list_is_a_table(void **state)
{
    static const struct ctl_field fields[] = {
        {"NAME", "name", CTL_SHOW_NAME, false},
        {"N", "load.n", CTL_SHOW_COUNT, false},
    };
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct ctl ctl = {.arena = arena};

    (void)state;
    sb_buf_init(&ctl.out, 4096);
    assert_int_equal(
        sb_json_read(
            SB_SLICE_LIT("[{\"name\": \"a\", \"load\": {\"n\": 1000}}, {\"name\": \"b\"}]"), 100,
            &doc, NULL),
        SB_OK);
    ctl_show_list(&ctl, yyjson_doc_get_root(doc), fields, SB_ARRAY_LEN(fields), "none");
    assert_string_equal(sb_arena_dup(arena, sb_buf_slice(&ctl.out)).p, "NAME      N\n"
                                                                       "a     1 000\n"
                                                                       "b         -\n");
    sb_buf_release(&ctl.out);
}

static void an_object_is_a_line_for_each_member(void **state)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct ctl ctl = {.arena = arena};

    (void)state;
    sb_buf_init(&ctl.out, 4096);
    assert_int_equal(
        sb_json_read(SB_SLICE_LIT("{\"a\": {\"b\": 1, \"c\": [\"x\", \"y\"]}, \"d\": null}"), 100,
                     &doc, NULL),
        SB_OK);
    ctl_show_object(&ctl, yyjson_doc_get_root(doc));
    assert_string_equal(sb_arena_dup(arena, sb_buf_slice(&ctl.out)).p, "MEMBER  VALUE\n"
                                                                       "a.b     1\n"
                                                                       "a.c     x, y\n"
                                                                       "d       -\n");
    sb_buf_release(&ctl.out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_are_shown_in_words),
        TEST(members_are_found_by_their_path),
        TEST(a_list_is_a_table),
        TEST(an_object_is_a_line_for_each_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
