/* tests/unit/catalog/test_yaml.c - YAML and JSON as documents. */
#include "controlplane/catalog/yaml.h"

#include "common/buf.h"
#include "common/json.h"
#include "tests/lib/test.h"

static struct sb_arena *arena;
static struct sb_errmsg err;

static const struct cp_node *read_as(const char *text, enum cp_doc_format format)
{
    struct cp_node *root = NULL;
    int rc = cp_doc_read(sb_slice_of(text), format, arena, &root, &err);

    if (rc != SB_OK)
        fail_msg("%s: %s", text, err.text);
    return root;
}

static const struct cp_node *yaml(const char *text)
{
    return read_as(text, CP_DOC_YAML);
}

static void expect_json(const struct cp_node *node, const char *expected)
{
    struct sb_json json;
    struct sb_buf buf;

    sb_buf_init(&buf, 1 << 20);
    sb_json_init(&json, &buf);
    cp_node_write(node, &json);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_int_equal(sb_buf_append_byte(&buf, '\0'), SB_OK);
    assert_string_equal(sb_buf_slice(&buf).p, expected);
    sb_buf_release(&buf);
}

static void both_languages_give_the_same_document(void **state)
{
    const char *expected =
        "{\"a\":1,\"b\":[\"x\",true,null,0.10],\"c\":{\"d\":\"2026-10-01\",\"e\":\"\"}}";

    (void)state;
    expect_json(yaml("a: 1\nb: [x, true, ~, 0.10]\nc:\n  d: 2026-10-01\n  e: \"\"\n"), expected);
    expect_json(read_as(expected, CP_DOC_JSON), expected);
    expect_json(read_as(expected, CP_DOC_AUTO), expected);
    /* flow YAML begins as JSON does */
    expect_json(read_as("{a: 1, b: [x, true, ~, 0.10], c: {d: 2026-10-01, e: ''}}", CP_DOC_AUTO),
                expected);
}

static void the_reader_decides_what_a_scalar_is(void **state)
{
    const struct cp_node *doc = yaml("no: no\nnorway: NO\nprice: 0.10\nquoted: \"0.10\"\n"
                                     "date: 2026-10-01\noctal: 010\nyes: yes\nname: 123\n");
    struct sb_slice text;
    int64_t number;
    bool truth;

    (void)state;
    assert_int_equal(cp_node_bool(cp_node_get(doc, "no"), &truth), SB_OK);
    assert_false(truth);
    assert_int_equal(cp_node_bool(cp_node_get(doc, "yes"), &truth), SB_OK);
    assert_true(truth);
    assert_int_equal(cp_node_text(cp_node_get(doc, "norway"), &text), SB_OK);
    assert_true(sb_slice_is(text, "NO"));
    assert_int_equal(cp_node_decimal(cp_node_get(doc, "price"), &text), SB_OK);
    assert_true(sb_slice_is(text, "0.10"));
    assert_int_equal(cp_node_decimal(cp_node_get(doc, "quoted"), &text), SB_OK);
    assert_true(sb_slice_is(text, "0.10"));
    assert_int_equal(cp_node_text(cp_node_get(doc, "date"), &text), SB_OK);
    assert_true(sb_slice_is(text, "2026-10-01"));
    assert_int_equal(cp_node_decimal(cp_node_get(doc, "octal"), &text), SB_EINVAL);
    assert_int_equal(cp_node_text(cp_node_get(doc, "name"), &text), SB_OK);
    assert_true(sb_slice_is(text, "123"));
    assert_int_equal(cp_node_i64(cp_node_get(doc, "name"), &number), SB_OK);
    assert_int_equal(number, 123);
}

static void json_numbers_are_no_texts_and_keep_all_digits(void **state)
{
    const struct cp_node *doc =
        read_as("{\"n\": 0.1000000000000000000001, \"b\": true, \"s\": \"yes\"}", CP_DOC_JSON);
    struct sb_slice text;
    bool truth;

    (void)state;
    assert_int_equal(cp_node_decimal(cp_node_get(doc, "n"), &text), SB_OK);
    assert_true(sb_slice_is(text, "0.1000000000000000000001"));
    assert_int_equal(cp_node_text(cp_node_get(doc, "n"), &text), SB_EINVAL);
    assert_int_equal(cp_node_text(cp_node_get(doc, "b"), &text), SB_EINVAL);
    assert_int_equal(cp_node_bool(cp_node_get(doc, "s"), &truth), SB_EINVAL);
}

static void numbers_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {
        "1e3", "1.0", "+1", "0x10", "--1", "1-", "1_000", "99999999999999999999", "\"1\"", "[1]"};
    int64_t number;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "n: %s", bad[i]);
        assert_int_equal(cp_node_i64(cp_node_get(yaml(text), "n"), &number), SB_EINVAL);
    }
    assert_int_equal(cp_node_i64(cp_node_get(yaml("n: -9223372036854775808"), "n"), &number),
                     SB_OK);
    assert_int_equal(number, INT64_MIN);
}

static void nothing_is_null_in_every_spelling(void **state)
{
    const struct cp_node *doc = yaml("a:\nb: ~\nc: null\nd: \"null\"\ne: ''\n");

    (void)state;
    assert_true(cp_node_is_null(cp_node_get(doc, "a")));
    assert_true(cp_node_is_null(cp_node_get(doc, "b")));
    assert_true(cp_node_is_null(cp_node_get(doc, "c")));
    assert_false(cp_node_is_null(cp_node_get(doc, "d")));
    assert_false(cp_node_is_null(cp_node_get(doc, "e")));
    assert_true(cp_node_is_null(cp_node_get(doc, "not there")));
    assert_int_equal(yaml("")->kind, CP_NODE_MAP);
    assert_int_equal(yaml("# only a comment\n")->n, 0);
}

static void lines_are_known(void **state)
{
    const struct cp_node *doc = yaml("a: 1\n\nlist:\n  - x\n  - y: 2\n");

    (void)state;
    assert_int_equal(cp_node_get(doc, "a")->line, 1);
    assert_int_equal(cp_node_get(doc, "list")->first->next->line, 5);
}

static void anchors_and_merge_keys_share_what_is_written_once(void **state)
{
    (void)state;
    expect_json(yaml("base: &b {x: 1, y: 2}\nuse: *b\nmore:\n  <<: *b\n  y: 3\n  z: 4\n"),
                "{\"base\":{\"x\":1,\"y\":2},\"use\":{\"x\":1,\"y\":2},"
                "\"more\":{\"y\":3,\"z\":4,\"x\":1}}");
    expect_json(yaml("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc:\n  <<: [*a, *b]\n"),
                "{\"a\":{\"x\":1},\"b\":{\"x\":2,\"y\":2},\"c\":{\"x\":1,\"y\":2}}");
    expect_json(yaml("a: !!str 010\nb: ! yes\n"), "{\"a\":\"010\",\"b\":\"yes\"}");
}

static void malformed_documents_name_the_line(void **state)
{
    static const struct {
        const char *text;
        enum cp_doc_format format;
        int code;
        const char *message;
    } cases[] = {
        {"a: 1\na: 2\n", CP_DOC_YAML, SB_EPARSE, "line 2: member 'a' comes twice"},
        {"a: [1\nb: 2\n", CP_DOC_YAML, SB_EPARSE, "line 2"},
        {"a: 1\n---\nb: 2\n", CP_DOC_YAML, SB_EPARSE, "line 2: a second document"},
        {"a: *b\n", CP_DOC_YAML, SB_EPARSE, "line 1: an alias without an anchor"},
        {"a: &a [*a]\n", CP_DOC_YAML, SB_EPARSE, "inside of its own anchor"},
        {"a: !!python/object:os.system x\n", CP_DOC_YAML, SB_EPARSE, "no tags"},
        {"a: !foo {x: 1}\n", CP_DOC_YAML, SB_EPARSE, "no tags"},
        {"? [a, b]\n: 1\n", CP_DOC_YAML, SB_EPARSE, "the name of a member must be a text"},
        {"a: \"x\\0y\"\n", CP_DOC_YAML, SB_EPARSE, "NUL"},
        {"a: \xff\n", CP_DOC_YAML, SB_EPARSE, "byte"},
        {"a:\n  <<: 1\n", CP_DOC_YAML, SB_EPARSE, "<< takes maps only"},
        {"a:\n  <<: {x: 1}\n  <<: {y: 1}\n", CP_DOC_YAML, SB_EPARSE, "twice"},
        {"\ta: 1\n", CP_DOC_YAML, SB_EPARSE, "line 1"},
        {"{\"a\": 1,\n\"a\": 2}", CP_DOC_JSON, SB_EPARSE, "member 'a' comes twice"},
        {"{\"a\":\n1,}", CP_DOC_JSON, SB_EPARSE, "line 2"},
        {"{\"a\": \n1", CP_DOC_AUTO, SB_EPARSE, "line 2"},
        {"{\"a\": 01}", CP_DOC_JSON, SB_EPARSE, "line 1"},
        {"", CP_DOC_JSON, SB_EPARSE, "line 1"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        struct cp_node *root = NULL;

        err.text[0] = '\0';
        assert_int_equal(
            cp_doc_read(sb_slice_of(cases[i].text), cases[i].format, arena, &root, &err),
            cases[i].code);
        assert_null(root);
        if (strstr(err.text, cases[i].message) == NULL)
            fail_msg("%s: '%s' lacks '%s'", cases[i].text, err.text, cases[i].message);
    }
}

static void expect_too_big(struct sb_buf *buf, enum cp_doc_format format)
{
    struct cp_node *root = NULL;

    assert_int_equal(cp_doc_read(sb_buf_slice(buf), format, arena, &root, &err), SB_ETOOBIG);
    assert_null(root);
    sb_buf_reset(buf);
}

static void bombs_are_defused(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;

    (void)state;
    sb_buf_init(&buf, 16 << 20);
    /* nine levels of ten: a billion */
    assert_int_equal(sb_buf_append_text(&buf, "a0: &a0 [lol]\n"), SB_OK);
    for (int i = 1; i < 10; i++)
        assert_int_equal(
            sb_buf_printf(&buf, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n",
                          i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1,
                          i - 1),
            SB_OK);
    expect_too_big(&buf, CP_DOC_YAML);
    /* deep through aliases, though each line is flat */
    assert_int_equal(sb_buf_append_text(&buf, "a0: &a0 [x]\n"), SB_OK);
    for (int i = 1; i < 100; i++)
        assert_int_equal(sb_buf_printf(&buf, "a%d: &a%d [*a%d]\n", i, i, i - 1), SB_OK);
    expect_too_big(&buf, CP_DOC_YAML);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(sb_buf_append_byte(&buf, '['), SB_OK);
    expect_too_big(&buf, CP_DOC_YAML);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(sb_buf_append_byte(&buf, '['), SB_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(sb_buf_append_byte(&buf, ']'), SB_OK);
    expect_too_big(&buf, CP_DOC_JSON);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(sb_buf_printf(&buf, "m%d: 1\n", i), SB_OK);
    expect_too_big(&buf, CP_DOC_YAML);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(sb_buf_printf(&buf, "- &x%d y\n", i), SB_OK);
    expect_too_big(&buf, CP_DOC_YAML);
}

static void a_merge_patch_follows_the_examples_of_its_standard(void **state)
{
    /* RFC 7396, appendix A, those whose result is a document of ours */
    static const struct {
        const char *target, *patch, *result;
    } cases[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++)
        expect_json(cp_node_merge(read_as(cases[i].target, CP_DOC_JSON),
                                  read_as(cases[i].patch, CP_DOC_JSON), arena),
                    cases[i].result);
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
        T(both_languages_give_the_same_document),
        T(the_reader_decides_what_a_scalar_is),
        T(json_numbers_are_no_texts_and_keep_all_digits),
        T(numbers_that_are_none_are_refused),
        T(nothing_is_null_in_every_spelling),
        T(lines_are_known),
        T(anchors_and_merge_keys_share_what_is_written_once),
        T(malformed_documents_name_the_line),
        T(bombs_are_defused),
        T(a_merge_patch_follows_the_examples_of_its_standard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
