/* tests/unit/common/test_splice.c */
#include "tests/lib/splice_scalar.h"

#include <dirent.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/splice_check.h"
#include "tests/lib/test.h"

static const struct {
    const char *name;
    splice_scan_fn *scan;
    splice_visit_fn *visit;
} scans[] = {{"vector", sb_splice_scan, sb_splice_visit},
             {"scalar", splice_scalar_scan, splice_scalar_visit}};

static struct sb_splice scanned(const char *text, struct sb_splice_member *members, uint32_t max)
{
    struct sb_splice doc;

    sb_splice_init(&doc, members, max);
    assert_int_equal(sb_splice_scan(&doc, sb_slice_of(text), SB_SPLICE_DEPTH, NULL), SB_OK);
    return doc;
}

/* --- against yyjson --------------------------------------------------------- */

static struct sb_slice read_file(const char *folder, const char *name, char *data, size_t size)
{
    char path[512];
    FILE *in;
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    in = fopen(path, "rbe");
    assert_non_null(in);
    n = fread(data, 1, size, in);
    assert_true(n < size);
    (void)fclose(in);
    return sb_slice_make(data, n);
}

static void check_file(const char *name, struct sb_slice text, unsigned edits)
{
    unsigned char kinds[SPLICE_CHECK_MEMBERS + 1];
    /* A block of its own size, so that a sanitizer sees a read past it. */
    char *exact = malloc(text.n > 0 ? text.n : 1);

    assert_non_null(exact);
    if (text.n > 0)
        memcpy(exact, text.p, text.n);
    /* Every member gets its turn at every change. */
    for (unsigned i = 0; i < sizeof(kinds); i++)
        kinds[i] = (unsigned char)(edits + i * (1 + edits / 3));
    for (size_t i = 0; i < SB_ARRAY_LEN(scans); i++) {
        int rc;
        const char *wrong =
            splice_check(scans[i].scan, scans[i].visit, sb_slice_make(exact, text.n), kinds, &rc);

        if (wrong == NULL && ((strncmp(name, "y_", 2) == 0 && rc != SB_OK) ||
                              (strncmp(name, "n_", 2) == 0 && rc != SB_EPARSE) ||
                              (strncmp(name, "limit_", 6) == 0 && rc != SB_ETOOBIG) ||
                              (strncmp(name, "double_", 7) == 0 && rc != SB_EEXIST)))
            wrong = "not what its name says";
        if (wrong != NULL)
            fail_msg("%s (%s): %s", name, scans[i].name, wrong);
    }
    free(exact);
}

static unsigned check_folder(const char *folder)
{
    static char data[1 << 20];
    DIR *dir = opendir(folder);
    struct dirent *entry;
    unsigned n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        for (unsigned edits = 0; edits < 12; edits++)
            check_file(entry->d_name, read_file(folder, entry->d_name, data, sizeof(data)), edits);
        n++;
    }
    (void)closedir(dir);
    return n;
}

static void agrees_with_yyjson_on_every_file_of_the_corpus(void **state)
{
    (void)state;
    assert_true(check_folder(SB_SOURCE_DIR "/tests/fuzz/corpus/json") > 200);
    assert_true(check_folder(SB_SOURCE_DIR "/tests/fuzz/corpus/splice") > 20);
}

/* Every byte of a good text replaced by others, and every cut of it. */
static void agrees_with_yyjson_on_every_text_one_byte_off(void **state)
{
    static const char good[] = "{\"a\\u00e4\": [1.5e-3, \"\xc3\xa4 long enough for a block\\n\", "
                               "true,null], \"b\":{\"\":-0} , \"c\":\"\\ud83d\\ude00\"}";
    static const char others[] = "\0\x1f \"\\/,:[]{}0-.eE+xu\x7f\x80\xc3\xed\xf4\xff";
    char text[sizeof(good)];

    (void)state;
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        check_file("cut", sb_slice_make(good, i), 0);
        for (size_t k = 0; k < sizeof(others) - 1; k++) {
            memcpy(text, good, sizeof(good));
            text[i] = others[k];
            check_file("changed", sb_slice_make(text, sizeof(good) - 1), (unsigned)k);
        }
    }
}

/* Every special byte at every place of the blocks that are read at once. */
static void strings_of_every_length_end_where_they_end(void **state)
{
    static const char *const inner[] = {
        "\"",   "\\\"", "\\\\",          "\\u0041", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "\x01", "\xc3", "\\ud83d\\ude00"};
    char text[128];

    (void)state;
    for (size_t length = 0; length < 50; length++) {
        for (size_t i = 0; i < SB_ARRAY_LEN(inner); i++) {
            int n = snprintf(text, sizeof(text), "[\"%.*s%s%.*s\"]", (int)length,
                             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", inner[i],
                             (int)(length * 7 % 40), "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");

            check_file("string", sb_slice_make(text, (size_t)n), 0);
        }
    }
}

/* --- what an error says ------------------------------------------------------ */

static void an_error_names_the_place(void **state)
{
    static const struct {
        const char *text, *reason, *member;
        size_t offset;
        int rc;
    } rows[] = {
        {"", "text ends too early", "", 0, SB_EPARSE},
        {"{\"a\":1,\"b\":[1,2,}]}", "value expected", "b", 16, SB_EPARSE},
        {"{\"a\":1 \"b\":2}", "comma or closing bracket expected", "a", 7, SB_EPARSE},
        {"{\"a\":1,b:2}", "member name expected", "", 7, SB_EPARSE},
        {"{\"a\":\"x\ny\"}", "control character in a string", "a", 7, SB_EPARSE},
        {"{\"a\":\"x\xffy\"}", "not UTF-8", "a", 7, SB_EPARSE},
        {"{\"a\":\"\\q\"}", "unknown escape", "a", 6, SB_EPARSE},
        {"{\"a\":\"\\ud800\"}", "half a surrogate pair", "a", 6, SB_EPARSE},
        {"{\"a\":\"\\u12x4\"}", "malformed \\u escape", "a", 6, SB_EPARSE},
        {"{\"a\":01}", "number with a leading zero", "a", 6, SB_EPARSE},
        {"{\"a\":1e999}", "number out of range", "a", 5, SB_EPARSE},
        {"{\"a\":1.}", "digit expected", "a", 7, SB_EPARSE},
        {"{\"a\":nil}", "unknown word", "a", 6, SB_EPARSE},
        {"{\"a\" 1}", "colon expected", "a", 5, SB_EPARSE},
        {"{\"a\":1}x", "more text behind the value", "", 7, SB_EPARSE},
        {"{\"a\":{\"b\":[{", "text ends too early", "a", 12, SB_EPARSE},
        {"{\"a\":1,\"\\u0061\":2}", "doubled member name", "\\u0061", 7, SB_EEXIST},
        {"{\"a\":{\"b\":[{\"c\":[1]}]}}", "nested too deep", "a", 16, SB_ETOOBIG},
        {"{\"a\":1,\"b\":2,\"c\":3}", "too many members", "", 13, SB_ETOOBIG},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < SB_ARRAY_LEN(scans); k++) {
            struct sb_splice_member members[2];
            struct sb_splice_error error;
            struct sb_splice doc;

            sb_splice_init(&doc, members, 2);
            assert_int_equal(scans[k].scan(&doc, sb_slice_of(rows[i].text), 4, &error), rows[i].rc);
            assert_string_equal(error.reason, rows[i].reason);
            assert_int_equal(error.offset, rows[i].offset);
            assert_true(sb_slice_is(error.member, rows[i].member));
        }
    }
}

static void depth_is_the_callers_choice(void **state)
{
    char text[2 * SB_SPLICE_DEPTH_MAX + 2];
    struct sb_splice doc;

    (void)state;
    memset(text, '[', SB_SPLICE_DEPTH_MAX);
    memset(text + SB_SPLICE_DEPTH_MAX, ']', SB_SPLICE_DEPTH_MAX);
    sb_splice_init(&doc, NULL, 0);
    assert_int_equal(sb_splice_scan(&doc, sb_slice_make(text, (size_t)2 * SB_SPLICE_DEPTH_MAX),
                                    SB_SPLICE_DEPTH_MAX, NULL),
                     SB_OK);
    assert_int_equal(doc.type, SB_SPLICE_ARRAY);
    assert_int_equal(doc.count, 1);
    assert_int_equal(sb_splice_scan(&doc, sb_slice_make(text, (size_t)2 * SB_SPLICE_DEPTH_MAX),
                                    SB_SPLICE_DEPTH_MAX - 1, NULL),
                     SB_ETOOBIG);
    assert_int_equal(sb_splice_scan(&doc, SB_SLICE_LIT("[]"), 0, NULL), SB_ETOOBIG);
    assert_int_equal(sb_splice_scan(&doc, SB_SLICE_LIT("1"), 0, NULL), SB_OK);
}

/* --- looking ----------------------------------------------------------------- */

static void finds_members_by_their_unescaped_name(void **state)
{
    struct sb_splice_member table[8];
    struct sb_splice doc =
        scanned("{\"mod\\u0065l\":\"x\",\"stream\" : true,\"\":{},\"a\\\"b\":[1]}", table, 8);
    const struct sb_splice_member *member = sb_splice_find(&doc, SB_SLICE_LIT("model"));

    (void)state;
    assert_ptr_equal(member, &table[0]);
    assert_int_equal(member->type, SB_SPLICE_STRING);
    assert_true(sb_slice_is(sb_splice_name(&doc, member), "mod\\u0065l"));
    assert_true(sb_slice_is(sb_splice_value(&doc, member), "\"x\""));
    assert_int_equal(sb_splice_find(&doc, SB_SLICE_LIT("stream"))->type, SB_SPLICE_TRUE);
    assert_int_equal(sb_splice_find(&doc, SB_SLICE_LIT(""))->type, SB_SPLICE_OBJECT);
    assert_int_equal(sb_splice_find(&doc, SB_SLICE_LIT("a\"b"))->type, SB_SPLICE_ARRAY);
    assert_null(sb_splice_find(&doc, SB_SLICE_LIT("Model")));
    assert_null(sb_splice_find(&doc, SB_SLICE_LIT("a")));
}

static void a_value_is_scanned_for_its_own_members(void **state)
{
    struct sb_splice_member table[8], inner_table[8];
    struct sb_splice doc =
        scanned("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}, 7]}", table, 8);
    struct sb_splice choices, choice;

    (void)state;
    sb_splice_init(&choices, inner_table, 8);
    assert_int_equal(
        sb_splice_scan(&choices, sb_splice_value(&doc, &table[0]), SB_SPLICE_DEPTH, NULL), SB_OK);
    assert_int_equal(choices.type, SB_SPLICE_ARRAY);
    assert_int_equal(choices.n, 2);
    assert_true(sb_slice_is(sb_splice_value(&choices, &inner_table[1]), "7"));
    assert_null(sb_splice_find(&choices, SB_SLICE_LIT("")));
    sb_splice_init(&choice, table, 8);
    assert_int_equal(
        sb_splice_scan(&choice, sb_splice_value(&choices, &inner_table[0]), SB_SPLICE_DEPTH, NULL),
        SB_OK);
    assert_true(
        sb_slice_is(sb_splice_value(&choice, sb_splice_find(&choice, SB_SLICE_LIT("delta"))),
                    "{\"content\":\"hi\"}"));
}

static void of_a_long_array_it_records_what_there_is_room_for(void **state)
{
    struct sb_splice_member table[2];
    struct sb_splice doc = scanned("[1,2,3,4]", table, 2);

    (void)state;
    assert_int_equal(doc.n, 2);
    assert_int_equal(doc.count, 4);
    assert_int_equal(doc.close, 8);
}

static void reads_values(void **state)
{
    struct sb_arena *arena = sb_arena_new(64);
    struct sb_slice text;
    double number;
    int64_t integer;
    bool flag;

    (void)state;
    assert_int_equal(sb_splice_get_int(SB_SLICE_LIT("-9223372036854775808"), &integer), SB_OK);
    assert_true(integer == INT64_MIN);
    assert_int_equal(sb_splice_get_int(SB_SLICE_LIT("9223372036854775807"), &integer), SB_OK);
    assert_true(integer == INT64_MAX);
    assert_int_equal(sb_splice_get_int(SB_SLICE_LIT("9223372036854775808"), &integer), SB_ETOOBIG);
    assert_int_equal(sb_splice_get_int(SB_SLICE_LIT("-9223372036854775809"), &integer), SB_ETOOBIG);
    assert_int_equal(sb_splice_get_int(SB_SLICE_LIT("1.0"), &integer), SB_EINVAL);
    assert_int_equal(sb_splice_get_int(SB_SLICE_LIT("\"1\""), &integer), SB_EINVAL);
    assert_int_equal(sb_splice_get_number(SB_SLICE_LIT("0.7"), &number), SB_OK);
    assert_true(number == 0.7);
    assert_int_equal(sb_splice_get_number(SB_SLICE_LIT("null"), &number), SB_EINVAL);
    assert_int_equal(sb_splice_get_bool(SB_SLICE_LIT("false"), &flag), SB_OK);
    assert_false(flag);
    assert_int_equal(sb_splice_get_bool(SB_SLICE_LIT("0"), &flag), SB_EINVAL);
    assert_int_equal(
        sb_splice_get_string(SB_SLICE_LIT("\"a\\n\\u00e4\\ud83d\\ude00\\/\""), arena, &text),
        SB_OK);
    assert_true(sb_slice_is(text, "a\n\xc3\xa4\xf0\x9f\x98\x80/"));
    text = SB_SLICE_LIT("untouched");
    assert_int_equal(sb_splice_get_string(SB_SLICE_LIT("[]"), arena, &text), SB_EINVAL);
    assert_true(sb_slice_is(text, "untouched"));
    sb_arena_destroy(&arena);
}

static void a_plain_string_is_not_copied(void **state)
{
    struct sb_slice value = SB_SLICE_LIT("\"plain\""), text;

    (void)state;
    assert_int_equal(sb_splice_get_string(value, NULL, &text), SB_OK);
    assert_ptr_equal(text.p, value.p + 1);
    assert_int_equal(text.n, 5);
}

/* --- changing ---------------------------------------------------------------- */

/* Members a, b, c are kept (k), replaced by 9 (r), or cut (x); '+' appends. */
static void edits_leave_all_other_bytes_alone(void **state)
{
    static const struct {
        const char *text, *edits, *want;
    } rows[] = {
        {" { \"a\" : 1 , \"b\":2,\n\"c\":3 } ", "kkk", " { \"a\" : 1 , \"b\":2,\n\"c\":3 } "},
        {" { \"a\" : 1 , \"b\":2,\n\"c\":3 } ", "rkr", " { \"a\" : 9 , \"b\":2,\n\"c\":9 } "},
        {" { \"a\" : 1 , \"b\":2,\n\"c\":3 } ", "xkk", " { \"b\":2,\n\"c\":3 } "},
        {" { \"a\" : 1 , \"b\":2,\n\"c\":3 } ", "kxk", " { \"a\" : 1 ,\n\"c\":3 } "},
        {" { \"a\" : 1 , \"b\":2,\n\"c\":3 } ", "kkx", " { \"a\" : 1 , \"b\":2} "},
        {"{\"a\":1,\"b\":2,\"c\":3}", "xxk", "{\"c\":3}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "xkx", "{\"b\":2}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "kxx", "{\"a\":1}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "xxx", "{}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "xrx", "{\"b\":9}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "xxr", "{\"c\":9}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "rxx+", "{\"a\":9,\"new\":[]}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "xxx+", "{\"new\":[]}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "xxx++", "{\"new\":[],\"new\":[]}"},
        {"{\"a\":1,\"b\":2,\"c\":3 }\n", "kkk+", "{\"a\":1,\"b\":2,\"c\":3 ,\"new\":[]}\n"},
        {"{}", "+", "{\"new\":[]}"},
        {" { } ", "++", " { \"new\":[],\"new\":[]} "},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(rows); i++) {
        struct sb_splice_member table[4];
        struct sb_splice doc = scanned(rows[i].text, table, 4);
        struct sb_splice_edit items[5];
        struct sb_splice_edits edits;
        struct sb_buf out;

        sb_splice_edits_init(&edits, &doc, items, 5);
        /* Backwards, since the order of the calls must not matter. */
        for (size_t k = strlen(rows[i].edits); k-- > 0;) {
            if (rows[i].edits[k] == 'r')
                assert_int_equal(sb_splice_replace(&edits, &table[k], SB_SLICE_LIT("9")), SB_OK);
            else if (rows[i].edits[k] == 'x')
                assert_int_equal(sb_splice_cut(&edits, &table[k]), SB_OK);
            else if (rows[i].edits[k] == '+')
                assert_int_equal(sb_splice_append(&edits, SB_SLICE_LIT("new"), SB_SLICE_LIT("[]")),
                                 SB_OK);
        }
        sb_buf_init(&out, 4096);
        assert_int_equal(sb_buf_append_text(&out, "head"), SB_OK);
        assert_int_equal(sb_splice_emit(&edits, &out), SB_OK);
        assert_int_equal(sb_buf_len(&out), 4 + sb_splice_length(&edits));
        sb_buf_consume(&out, 4);
        if (!sb_slice_is(sb_buf_slice(&out), rows[i].want))
            fail_msg("%s %s: %.*s", rows[i].text, rows[i].edits, SB_SLICE_ARGS(sb_buf_slice(&out)));
        sb_buf_release(&out);
    }
}

static void the_last_change_of_a_member_counts(void **state)
{
    struct sb_splice_member table[4];
    struct sb_splice doc = scanned("{\"a\":1,\"b\":2}", table, 4);
    struct sb_splice_edit items[2];
    struct sb_splice_edits edits;
    struct sb_buf out;

    (void)state;
    sb_splice_edits_init(&edits, &doc, items, 2);
    assert_int_equal(sb_splice_cut(&edits, &table[0]), SB_OK);
    assert_int_equal(sb_splice_replace(&edits, &table[0], SB_SLICE_LIT("7")), SB_OK);
    assert_int_equal(sb_splice_replace(&edits, &table[1], SB_SLICE_LIT("8")), SB_OK);
    assert_int_equal(sb_splice_cut(&edits, &table[1]), SB_OK);
    assert_int_equal(sb_splice_append(&edits, SB_SLICE_LIT("c"), SB_SLICE_LIT("1")), SB_ENOSPC);
    sb_buf_init(&out, 64);
    assert_int_equal(sb_splice_emit(&edits, &out), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&out), "{\"a\":7}"));
    sb_buf_release(&out);
}

static void one_document_serves_several_lists(void **state)
{
    struct sb_splice_member table[4];
    struct sb_splice doc = scanned("{\"model\":\"x\"}", table, 4);
    static const char *const models[] = {"\"longer than before\"", "\"\""};
    struct sb_splice_edit items[1];
    struct sb_splice_edits edits;
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, 256);
    for (size_t i = 0; i < SB_ARRAY_LEN(models); i++) {
        sb_splice_edits_init(&edits, &doc, items, 1);
        assert_int_equal(sb_splice_replace(&edits, &table[0], sb_slice_of(models[i])), SB_OK);
        assert_int_equal(sb_splice_emit(&edits, &out), SB_OK);
    }
    assert_true(
        sb_slice_is(sb_buf_slice(&out), "{\"model\":\"longer than before\"}{\"model\":\"\"}"));
    sb_buf_release(&out);
}

static void emission_fails_whole(void **state)
{
    struct sb_splice_member table[4];
    struct sb_splice doc = scanned("{\"a\":1}", table, 4);
    struct sb_splice_edits edits;
    struct sb_buf out;

    (void)state;
    sb_splice_edits_init(&edits, &doc, NULL, 0);
    sb_buf_init(&out, 6);
    assert_int_equal(sb_splice_emit(&edits, &out), SB_ETOOBIG);
    assert_int_equal(sb_buf_len(&out), 0);
    sb_buf_init(&out, 7);
    sb_mem_fail_nth(1);
    assert_int_equal(sb_splice_emit(&edits, &out), SB_ENOMEM);
    sb_mem_fail_nth(0);
    assert_int_equal(sb_splice_emit(&edits, &out), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&out), "{\"a\":1}"));
    sb_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_yyjson_on_every_file_of_the_corpus),
        cmocka_unit_test(agrees_with_yyjson_on_every_text_one_byte_off),
        cmocka_unit_test(strings_of_every_length_end_where_they_end),
        cmocka_unit_test(an_error_names_the_place),
        cmocka_unit_test(depth_is_the_callers_choice),
        cmocka_unit_test(finds_members_by_their_unescaped_name),
        cmocka_unit_test(a_value_is_scanned_for_its_own_members),
        cmocka_unit_test(of_a_long_array_it_records_what_there_is_room_for),
        cmocka_unit_test(reads_values),
        cmocka_unit_test(a_plain_string_is_not_copied),
        cmocka_unit_test(edits_leave_all_other_bytes_alone),
        cmocka_unit_test(the_last_change_of_a_member_counts),
        cmocka_unit_test(one_document_serves_several_lists),
        cmocka_unit_test(emission_fails_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
