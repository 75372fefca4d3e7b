/* tests/unit/common/test_canon.c */
#include "common/canon.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "tests/lib/test.h"

static struct sb_buf out;

static int set_up(void **state)
{
    (void)state;
    sb_buf_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_mem_fail_nth(0);
    sb_buf_release(&out);
    return 0;
}

static void gives(const char *json, const char *want)
{
    struct sb_slice got;
    int rc;

    sb_buf_reset(&out);
    rc = sb_canon_json(&out, sb_slice_of(json));
    if (rc != SB_OK)
        fail_msg("%s: %s", json, sb_err_name(rc));
    got = sb_buf_slice(&out);
    if (!sb_slice_is(got, want))
        fail_msg("%s: %.*s", json, SB_SLICE_ARGS(got));
}

static void members_are_sorted_by_bytes_at_every_level(void **state)
{
    (void)state;
    gives("{}", "{}");
    gives("[]", "[]");
    gives("{\"b\": 1, \"a\": {\"d\": [ {\"z\": 1, \"y\": 2} ], \"c\": null}}",
          "{\"a\":{\"c\":null,\"d\":[{\"y\":2,\"z\":1}]},\"b\":1}");
    /* a prefix first; upper case before '_' before lower case; UTF-8 behind */
    gives("{\"ab\":1,\"a\":2,\"B\":3,\"_\":4,\"\xc3\xa4\":5,\"a_\":6}",
          "{\"B\":3,\"_\":4,\"a\":2,\"a_\":6,\"ab\":1,\"\xc3\xa4\":5}");
    gives("{\"q\":0,\"p\":0,\"o\":0,\"n\":0,\"m\":0,\"l\":0,\"k\":0,\"j\":0,\"i\":0,\"h\":0,"
          "\"g\":0,\"f\":0,\"e\":0,\"d\":0,\"c\":0,\"b\":0,\"a\":0}",
          "{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"j\":0,"
          "\"k\":0,\"l\":0,\"m\":0,\"n\":0,\"o\":0,\"p\":0,\"q\":0}");
}

static void numbers_stay_as_they_are_written(void **state)
{
    (void)state;
    gives("[1.50, 18446744073709551616, -0, 1e3, 123456789012345678901234567890.5]",
          "[1.50,18446744073709551616,-0,1e3,123456789012345678901234567890.5]");
    gives(" true ", "true");
    gives("[false,null]", "[false,null]");
}

static void strings_escape_as_little_as_can_be(void **state)
{
    (void)state;
    gives("\"\\u0041\\/\\u00e4\\ud83d\\ude00\\u007f\\u2028\"",
          "\"A/\xc3\xa4\xf0\x9f\x98\x80\x7f\xe2\x80\xa8\"");
    gives("\"\\\"\\\\\\b\\f\\n\\r\\t\\u000b\\u0000\\u001F\"",
          "\"\\\"\\\\\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\"");
}

/* At every place of a word and of what is left behind the last one. */
static void what_is_escaped_is_found_wherever_it_is(void **state)
{
    static const char special[] = {'"', '\\', '\0', '\x1f', '\n'};
    char text[40], to[SB_CANON_TEXT_MAX(sizeof(text))];

    (void)state;
    for (size_t n = 1; n < sizeof(text); n++) {
        for (size_t at = 0; at < n; at++) {
            for (size_t s = 0; s < sizeof(special); s++) {
                struct sb_slice got;

                memset(text, (at + n) % 2 == 0 ? 0xbf : '!', n);
                text[at] = special[s];
                got = sb_slice_make(to, (size_t)(sb_canon_text(to, sb_slice_make(text, n)) - to));
                assert_int_equal(got.n, n + 2 + (special[s] == '\0' || special[s] == 0x1f ? 5 : 1));
                assert_memory_equal(got.p + 1, text, at);
                assert_int_equal(got.p[1 + at], '\\');
                assert_memory_equal(got.p + got.n - 1 - (n - at - 1), text + at + 1, n - at - 1);
            }
        }
    }
}

static void bytes_are_lower_case_hexadecimal(void **state)
{
    char to[16];

    (void)state;
    assert_int_equal(sb_canon_hex(to, SB_SLICE_LIT("\x00\xab\x0f")) - to, 8);
    assert_memory_equal(to, "\"00ab0f\"", 8);
}

static void what_is_no_json_of_one_meaning_is_refused(void **state)
{
    char deep[2 * SB_JSON_DEPTH + 4];

    (void)state;
    assert_int_equal(sb_buf_append_text(&out, "before"), SB_OK);
    assert_int_equal(sb_canon_json(&out, SB_SLICE_NONE), SB_EPARSE);
    assert_int_equal(sb_canon_json(&out, SB_SLICE_LIT("{\"a\":1,}")), SB_EPARSE);
    assert_int_equal(sb_canon_json(&out, SB_SLICE_LIT("{\"a\":1,\"b\":2,\"a\":1}")), SB_EPARSE);
    memset(deep, '[', SB_JSON_DEPTH + 1);
    memset(deep + SB_JSON_DEPTH + 1, ']', SB_JSON_DEPTH + 1);
    assert_int_equal(sb_canon_json(&out, sb_slice_make(deep, 2 * (SB_JSON_DEPTH + 1))), SB_ETOOBIG);
    out.limit = 10;
    assert_int_equal(sb_canon_json(&out, SB_SLICE_LIT("[12345678]")), SB_ETOOBIG);
    assert_int_equal(sb_canon_json(&out, SB_SLICE_LIT("\"12345678\"")), SB_ETOOBIG);
    assert_true(sb_slice_is(sb_buf_slice(&out), "before"));
}

static void without_memory_it_fails_cleanly(void **state)
{
    static const char many[] = "{\"q\":0,\"p\":0,\"o\":0,\"n\":0,\"m\":0,\"l\":0,\"k\":0,\"j\":0,"
                               "\"i\":0,\"h\":0,\"g\":0,\"f\":0,\"e\":0,\"d\":0,\"c\":0,\"b\":0,"
                               "\"a\":0}";
    unsigned long n = 0;
    int rc;

    (void)state;
    do {
        sb_mem_fail_nth(++n);
        rc = sb_canon_json(&out, sb_slice_of(many));
        assert_true(rc == SB_OK || rc == SB_ENOMEM);
        assert_true(rc == SB_OK || sb_buf_len(&out) == 0);
    } while (rc != SB_OK);
    assert_true(n > 3); /* the document, the members, the buffer */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(members_are_sorted_by_bytes_at_every_level),
        TEST(numbers_stay_as_they_are_written),
        TEST(strings_escape_as_little_as_can_be),
        TEST(what_is_escaped_is_found_wherever_it_is),
        TEST(bytes_are_lower_case_hexadecimal),
        TEST(what_is_no_json_of_one_meaning_is_refused),
        TEST(without_memory_it_fails_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
