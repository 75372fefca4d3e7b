/* JSON as YAML: strings stay strings, whatever they look like. */
#include "tests/lib/test.h"

#include "common/arena.h"
#include "common/buf.h"
#include "controlplane/ctl/yaml.h"

static void assert_yaml(const char *json, const char *wanted)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(4096);
    struct sb_buf out;

    sb_buf_init(&out, 1 << 16);
    assert_int_equal(sb_json_read(sb_slice_of(json), 1 << 16, &doc, NULL), SB_OK);
    assert_int_equal(ctl_yaml_write(yyjson_doc_get_root(doc), &out), SB_OK);
    assert_string_equal(sb_arena_dup(arena, sb_buf_slice(&out)).p, wanted);
    sb_buf_release(&out);
}

static void objects_and_lists_are_blocks(void **state)
{
    (void)state;
    assert_yaml("{\"a\": {\"b\": 1, \"c\": [\"x\", \"z\"]}, \"d\": [{\"e\": true}, {\"f\": null}]}",
                "a:\n"
                "  b: 1\n"
                "  c: [x, z]\n"
                "d:\n"
                "- e: true\n"
                "- f: null\n");
    assert_yaml("{}", "{}\n");
    assert_yaml("[]", "[]\n");
    assert_yaml("{\"a\": [], \"b\": {}}", "a: []\nb: {}\n");
}

static void strings_that_look_like_something_else_are_quoted(void **state)
{
    static const char *const words[] = {
        "yes", "No",   "ON",         "off",  "y",        "null", "~",    "",  "0.10", "1e5",
        "-1",  ".inf", "2026-01-31", "0x1f", "12:30:00", "+1",   "true", "=", "<<",   "1_000"};
    char json[64], wanted[64];

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(words); i++) {
        (void)snprintf(json, sizeof(json), "{\"a\": \"%s\"}", words[i]);
        (void)snprintf(wanted, sizeof(wanted), "a: \"%s\"\n", words[i]);
        assert_yaml(json, wanted);
    }
    assert_yaml("{\"yes\": 1}", "\"yes\": 1\n"); /* names as well */
}

static void other_strings_are_as_plain_as_yaml_allows(void **state)
{
    (void)state;
    assert_yaml("{\"a\": \"meta-llama/llama-3\"}", "a: meta-llama/llama-3\n");
    assert_yaml("{\"a\": \"https://x.example/v1\"}", "a: https://x.example/v1\n");
    assert_yaml("{\"a\": \"b: c\"}", "a: 'b: c'\n");
    assert_yaml("{\"a\": \"# b\"}", "a: '# b'\n");
    assert_yaml("{\"a\": \"it's\"}", "a: it's\n");
    assert_yaml("{\"a\": \"gr\\u00fc\\u00df\"}", "a: gr\xc3\xbc\xc3\x9f\n");
    assert_yaml("{\"a\": \"two\\nlines\"}", "a: \"two\\nlines\"\n");
    assert_yaml("{\"a\": \"\\u0007\"}", "a: \"\\a\"\n");
}

static void numbers_stay_as_they_are(void **state)
{
    (void)state;
    assert_yaml("[0, -1, 18446744073709551615, 0.5]", "[0, -1, 18446744073709551615, 0.5]\n");
}

static void what_does_not_fit_is_an_error(void **state)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, 2);
    assert_int_equal(sb_json_read(SB_SLICE_LIT("{\"a\": \"long enough\"}"), 100, &doc, NULL),
                     SB_OK);
    assert_int_equal(ctl_yaml_write(yyjson_doc_get_root(doc), &out), SB_ETOOBIG);
    sb_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_and_lists_are_blocks),
        cmocka_unit_test(strings_that_look_like_something_else_are_quoted),
        cmocka_unit_test(other_strings_are_as_plain_as_yaml_allows),
        cmocka_unit_test(numbers_stay_as_they_are),
        cmocka_unit_test(what_does_not_fit_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
