/* tests/unit/common/test_json.c */
#include "common/json.h"

#include <math.h>

#include "common/buf.h"
#include "common/mem.h"
#include "tests/lib/test.h"

enum { MAX = 4096 };

static yyjson_doc *read_good(const char *text)
{
    yyjson_doc *doc = NULL;
    struct sb_errmsg err = {.text = ""};

    if (sb_json_read(sb_slice_of(text), MAX, &doc, &err) != SB_OK)
        fail_msg("%s: %s", text, err.text);
    return doc;
}

/* --- reading --------------------------------------------------------------- */

static void refuses_and_says_where(void **state)
{
    static const struct {
        const char *text, *why;
        int rc;
    } rows[] = {
        {"", "line 1 column 1: input is empty", SB_EPARSE},
        {"{\"a\": nil}", "line 1 column 7: ", SB_EPARSE},
        {"{\n  \"a\": 1,\n  \"b\": x\n}", "line 3 column 8: ", SB_EPARSE},
        {"[1] 2", "line 1 column 5: ", SB_EPARSE},
        {"\"\xff\"", "line 1 column 2: ", SB_EPARSE},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(rows); i++) {
        yyjson_doc *doc = NULL;
        struct sb_errmsg err;

        assert_int_equal(sb_json_read(sb_slice_of(rows[i].text), MAX, &doc, &err), rows[i].rc);
        assert_null(doc);
        if (strncmp(err.text, rows[i].why, strlen(rows[i].why)) != 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_int_equal(sb_json_read(sb_slice_of(rows[i].text), MAX, &doc, NULL), rows[i].rc);
    }
}

static void keeps_its_limits(void **state)
{
    char text[2 * SB_JSON_DEPTH + 3];
    struct sb_errmsg err;
    yyjson_doc *doc = NULL;

    (void)state;
    memset(text, '[', SB_JSON_DEPTH + 1);
    memset(text + SB_JSON_DEPTH + 1, ']', SB_JSON_DEPTH + 1);
    assert_int_equal(
        sb_json_read(sb_slice_make(text, (size_t)2 * SB_JSON_DEPTH + 2), MAX, &doc, &err),
        SB_ETOOBIG);
    assert_string_equal(err.text, "nested deeper than 64");
    assert_int_equal(
        sb_json_read(sb_slice_make(text + 1, (size_t)2 * SB_JSON_DEPTH), MAX, &doc, &err), SB_OK);
    sb_json_free(&doc);
    assert_null(doc);
    assert_int_equal(sb_json_read(SB_SLICE_LIT("[10]"), 3, &doc, &err), SB_ETOOBIG);
    assert_string_equal(err.text, "4 bytes, at most 3 are allowed");
    /* Brackets inside strings are not depth. */
    doc = read_good(
        "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]");
    sb_json_free(&doc);
}

static void survives_the_lack_of_memory(void **state)
{
    struct sb_errmsg err;
    yyjson_doc *doc = NULL;

    (void)state;
    sb_mem_fail_nth(1);
    assert_int_equal(sb_json_read(SB_SLICE_LIT("{}"), MAX, &doc, &err), SB_ENOMEM);
    assert_null(doc);
    sb_mem_fail_nth(0);
}

static void gets_members_by_type(void **state)
{
    yyjson_doc *doc = read_good("{\"text\":\"a\\u0000b\",\"i\":-5,\"u\":18446744073709551615,"
                                "\"d\":1.5,\"yes\":true,\"o\":{\"x\":1},\"a\":[1],\"none\":null}");
    yyjson_val *root = yyjson_doc_get_root(doc), *value = NULL;
    struct sb_slice text;
    uint64_t u;
    int64_t i;
    double d;
    bool yes;

    (void)state;
    assert_int_equal(sb_json_get_text(root, "text", &text), SB_OK);
    assert_true(sb_slice_eq(text, SB_SLICE_LIT("a\0b")));
    assert_int_equal(sb_json_get_i64(root, "i", &i), SB_OK);
    assert_int_equal(i, -5);
    assert_int_equal(sb_json_get_u64(root, "u", &u), SB_OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(sb_json_get_i64(root, "u", &i), SB_EINVAL);
    assert_int_equal(sb_json_get_u64(root, "i", &u), SB_EINVAL);
    assert_int_equal(sb_json_get_i64(root, "d", &i), SB_EINVAL);
    assert_int_equal(sb_json_get_double(root, "d", &d), SB_OK);
    assert_true(d == 1.5);
    assert_int_equal(sb_json_get_double(root, "i", &d), SB_OK);
    assert_true(d == -5);
    assert_int_equal(sb_json_get_double(root, "text", &d), SB_EINVAL);
    assert_int_equal(sb_json_get_bool(root, "yes", &yes), SB_OK);
    assert_true(yes);
    assert_int_equal(sb_json_get_bool(root, "i", &yes), SB_EINVAL);
    assert_int_equal(sb_json_get_object(root, "o", &value), SB_OK);
    assert_int_equal(sb_json_get_i64(value, "x", &i), SB_OK);
    assert_int_equal(sb_json_get_object(root, "a", &value), SB_EINVAL);
    assert_int_equal(sb_json_get_array(root, "a", &value), SB_OK);
    assert_int_equal(sb_json_get_array(root, "o", &value), SB_EINVAL);
    assert_int_equal(sb_json_get_text(root, "none", &text), SB_ENOENT);
    assert_int_equal(sb_json_get_text(root, "gone", &text), SB_ENOENT);
    assert_int_equal(sb_json_get_text(root, "i", &text), SB_EINVAL);
    assert_int_equal(sb_json_get_text(value, "text", &text), SB_ENOENT); /* not an object */
    assert_int_equal(sb_json_text(NULL).n, 0);
    assert_string_equal(sb_json_type_name(root), "object");
    assert_string_equal(sb_json_type_name(yyjson_obj_get(root, "i")), "integer");
    assert_string_equal(sb_json_type_name(yyjson_obj_get(root, "d")), "number");
    assert_string_equal(sb_json_type_name(NULL), "nothing");
    sb_json_free(&doc);
}

static void finds_members_that_do_not_belong(void **state)
{
    static const char *const names[] = {"order", "only", NULL};
    yyjson_doc *doc = read_good("[{\"only\":1,\"order\":2},{},{\"order\":1,\"Only\":2},"
                                "{\"only\":1,\"onl\\u0079\":2}]");
    yyjson_val *rows = yyjson_doc_get_root(doc);

    (void)state;
    assert_int_equal(sb_json_unknown_member(yyjson_arr_get(rows, 0), names).n, 0);
    assert_int_equal(sb_json_unknown_member(yyjson_arr_get(rows, 1), names).n, 0);
    assert_true(sb_slice_is(sb_json_unknown_member(yyjson_arr_get(rows, 2), names), "Only"));
    assert_true(sb_slice_is(sb_json_unknown_member(yyjson_arr_get(rows, 3), names), "only"));
    sb_json_free(&doc);
}

static void an_unknown_member_may_have_no_name(void **state)
{
    static const char *const names[] = {"a", NULL};
    yyjson_doc *doc = read_good("{\"\":1}");
    struct sb_slice unknown = sb_json_unknown_member(yyjson_doc_get_root(doc), names);

    (void)state;
    assert_non_null(unknown.p);
    assert_int_equal(unknown.n, 0);
    sb_json_free(&doc);
}

static void a_path_names_the_place(void **state)
{
    struct sb_json_path path;
    size_t before, inner;

    (void)state;
    sb_json_path_init(&path);
    assert_string_equal(path.text, "");
    before = sb_json_path_member(&path, SB_SLICE_LIT("endpoints"));
    inner = sb_json_path_index(&path, 3);
    (void)sb_json_path_member(&path, SB_SLICE_LIT("prices"));
    (void)sb_json_path_member(&path, SB_SLICE_LIT("prompt"));
    assert_string_equal(path.text, "endpoints[3].prices.prompt");
    sb_json_path_back(&path, inner);
    assert_string_equal(path.text, "endpoints");
    sb_json_path_back(&path, before);
    assert_string_equal(path.text, "");
}

static void a_path_too_long_ends_in_dots(void **state)
{
    struct sb_json_path path;
    size_t before = 0;

    (void)state;
    sb_json_path_init(&path);
    for (int i = 0; i < 100; i++)
        before = sb_json_path_member(&path, SB_SLICE_LIT("member"));
    assert_int_equal(strlen(path.text), path.n);
    assert_true(path.n < sizeof(path.text));
    assert_string_equal(path.text + path.n - 3, "...");
    sb_json_path_back(&path, before);
    assert_int_equal(strlen(path.text), before);
    sb_json_path_back(&path, 6);
    (void)sb_json_path_index(&path, SIZE_MAX);
    assert_string_equal(path.text, "member[18446744073709551615]");
}

/* --- writing --------------------------------------------------------------- */

static void writes_all_kinds_of_values(void **state)
{
    yyjson_doc *doc = read_good("{\"k\": [1, \"x\"]}");
    struct sb_json json;
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, MAX);
    sb_json_init(&json, &out);
    sb_json_open_object(&json);
    sb_json_add_object(&json, "error");
    sb_json_add_i64(&json, "code", -404);
    sb_json_add_text(&json, "message", SB_SLICE_LIT("no \"model\""));
    sb_json_close_object(&json);
    sb_json_add_array(&json, "list");
    sb_json_put_u64(&json, UINT64_MAX);
    sb_json_put_i64(&json, INT64_MIN);
    sb_json_put_double(&json, 0.1);
    sb_json_put_double(&json, INFINITY);
    sb_json_put_bool(&json, true);
    sb_json_put_null(&json);
    sb_json_open_array(&json);
    sb_json_close_array(&json);
    sb_json_open_object(&json);
    sb_json_close_object(&json);
    sb_json_close_array(&json);
    sb_json_add_raw(&json, "cost", SB_SLICE_LIT("0.000000000000123"));
    sb_json_add_bool(&json, "no", false);
    sb_json_add_null(&json, "nil");
    sb_json_add_double(&json, "d", 2);
    sb_json_add_u64(&json, "u", 0);
    sb_json_name(&json, SB_SLICE_LIT("doc"));
    sb_json_put_value(&json, yyjson_doc_get_root(doc));
    sb_json_name(&json, SB_SLICE_LIT("nothing"));
    sb_json_put_value(&json, NULL);
    sb_json_close_object(&json);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_true(
        sb_slice_is(sb_buf_slice(&out),
                    "{\"error\":{\"code\":-404,\"message\":\"no \\\"model\\\"\"},"
                    "\"list\":[18446744073709551615,-9223372036854775808,0.1,null,true,null,[],{}],"
                    "\"cost\":0.000000000000123,\"no\":false,\"nil\":null,\"d\":2.0,\"u\":0,"
                    "\"doc\":{\"k\":[1,\"x\"]},\"nothing\":null}"));
    sb_buf_release(&out);
    sb_json_free(&doc);
}

static void escapes_strings_and_mends_what_is_not_utf8(void **state)
{
    const struct {
        struct sb_slice text;
        const char *want;
    } rows[] = {
        {SB_SLICE_LIT(""), "\"\""},
        {SB_SLICE_LIT("a\"b\\c/\b\f\n\r\t\x1f\0z\x7f"),
         "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u001f\\u0000z\x7f\""},
        {SB_SLICE_LIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
         "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {SB_SLICE_LIT("x\xff"), "\"x\xef\xbf\xbd\""},
        {SB_SLICE_LIT("\xc3"), "\"\xef\xbf\xbd\""},
        {SB_SLICE_LIT("\xc3\""), "\"\xef\xbf\xbd\\\"\""},
        {SB_SLICE_LIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {SB_SLICE_LIT("\xf0\x8f\xbf\xbf"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {SB_SLICE_LIT("\xf0\x9f\x98"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(rows); i++) {
        struct sb_json json;
        struct sb_buf out;

        sb_buf_init(&out, MAX);
        sb_json_init(&json, &out);
        sb_json_put_text(&json, rows[i].text);
        assert_int_equal(sb_json_end(&json), SB_OK);
        if (!sb_slice_is(sb_buf_slice(&out), rows[i].want))
            fail_msg("%zu: %.*s", i, SB_SLICE_ARGS(sb_buf_slice(&out)));
        sb_buf_release(&out);
    }
}

static void an_overflow_sticks_and_leaves_the_buffer_as_it_was(void **state)
{
    struct sb_json json;
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, 30);
    assert_int_equal(sb_buf_append_text(&out, "gone, kept"), SB_OK);
    sb_buf_consume(&out, 6);
    sb_json_init(&json, &out);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "long", SB_SLICE_LIT("longer than there is room for"));
    sb_json_add_u64(&json, "n", 1);
    sb_json_close_object(&json);
    assert_int_equal(sb_json_end(&json), SB_ETOOBIG);
    assert_true(sb_slice_is(sb_buf_slice(&out), "kept"));
    sb_mem_fail_nth(1);
    sb_json_init(&json, &out);
    sb_json_put_double(&json, 1.5);
    assert_int_equal(sb_json_end(&json), SB_ENOMEM);
    sb_mem_fail_nth(0);
    sb_buf_release(&out);
}

static void levels_are_independent(void **state)
{
    struct sb_json json;
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, MAX);
    sb_json_init(&json, &out);
    for (int i = 0; i < 60; i++) {
        sb_json_open_array(&json);
        sb_json_put_u64(&json, 1);
    }
    for (int i = 0; i < 60; i++) {
        sb_json_close_array(&json);
        if (i < 59)
            sb_json_put_u64(&json, 2);
    }
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_true(sb_slice_starts_with(sb_buf_slice(&out), SB_SLICE_LIT("[1,[1,[1,[1")));
    assert_true(sb_slice_is(sb_slice_from(sb_buf_slice(&out), sb_buf_len(&out) - 9), ",2],2],2]"));
    sb_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_and_says_where),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(survives_the_lack_of_memory),
        cmocka_unit_test(gets_members_by_type),
        cmocka_unit_test(finds_members_that_do_not_belong),
        cmocka_unit_test(an_unknown_member_may_have_no_name),
        cmocka_unit_test(a_path_names_the_place),
        cmocka_unit_test(a_path_too_long_ends_in_dots),
        cmocka_unit_test(writes_all_kinds_of_values),
        cmocka_unit_test(escapes_strings_and_mends_what_is_not_utf8),
        cmocka_unit_test(an_overflow_sticks_and_leaves_the_buffer_as_it_was),
        cmocka_unit_test(levels_are_independent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
