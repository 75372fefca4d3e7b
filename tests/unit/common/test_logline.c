/* tests/unit/common/test_logline.c */
#include "common/logline.h"

#include <math.h>

#include "common/json.h"
#include "tests/lib/test.h"

static char line[SB_LOG_LINE_MAX + 1];

static const struct sb_logline_head head = {
    .time = 0, .level = "info", .program = "p", .group = "G", .pid = 1};

/* What comes after the head. */
static const char *SB_PRINTF(2, 3) made(enum sb_log_format format, const char *fmt, ...)
{
    static const char logfmt[] =
        "time=1970-01-01T00:00:00.000Z level=info program=p pid=1 group=G ";
    static const char json[] = "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\","
                               "\"program\":\"p\",\"pid\":1,\"group\":\"G\",";
    const char *start = format == SB_LOG_JSON ? json : logfmt;
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = sb_logline_make(line, &head, format, fmt, ap);
    va_end(ap);
    assert_true(n <= SB_LOG_LINE_MAX);
    line[n] = '\0';
    assert_int_equal(strlen(line), n);
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
    assert_memory_equal(line, start, strlen(start));
    if (format == SB_LOG_JSON) {
        yyjson_doc *doc = yyjson_read(line, n, 0);

        assert_non_null(doc);
        yyjson_doc_free(doc);
    }
    return line + strlen(start);
}

static void the_words_of_the_format_make_the_sentence(void **state)
{
    (void)state;
    assert_string_equal(made(SB_LOG_LOGFMT, "started"), "msg=started\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "started well"), "msg=\"started well\"\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "a k=%d b j=%d", 1, 2), "msg=\"a b\" k=1 j=2\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "k=%d after", 1), "msg=after k=1\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "k=%d", 1), "msg=\"\" k=1\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "refused v=%d code=%s: %s, keeping old=%d", 12, "EHASH",
                             "hash differs", 11),
                        "msg=\"refused: hash differs, keeping\" v=12 code=EHASH old=11\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "100%% of x=%d%% A=b =c", 5),
                        "msg=\"100% of A=b =c\" x=\"5%\"\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "listening at=%s:%d", "127.0.0.1", 80),
                        "msg=listening at=127.0.0.1:80\n");
}

static void a_value_cannot_pass_for_more_than_a_value(void **state)
{
    static const char hostile[] = "x y=1 \"q\"\n\tlevel=error \\ \x1b[31m";

    (void)state;
    assert_string_equal(made(SB_LOG_LOGFMT, "event v=%s end=%d", hostile, 1),
                        "msg=event v=\"x y=1 \\\"q\\\"\\n\\tlevel=error \\\\ \\x1b[31m\" end=1\n");
    assert_string_equal(made(SB_LOG_JSON, "event v=%s end=%d", hostile, 1),
                        "\"msg\":\"event\",\"v\":\"x y=1 \\\"q\\\"\\n\\tlevel=error \\\\ "
                        "\\u001b[31m\",\"end\":1}\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "broken %s", hostile),
                        "msg=\"broken x y=1 \\\"q\\\"\\n\\tlevel=error \\\\ \\x1b[31m\"\n");
}

static void a_value_with_our_own_marks_makes_the_line_plain_text(void **state)
{
    (void)state;
    assert_string_equal(made(SB_LOG_LOGFMT, "event a=%s b=%d", "\x1f level=\x1f", 2),
                        "msg=\"event\\x1f\\x1f level=\\x1f\\x1f\\x1f2\\x1f\"\n");
    assert_string_equal(made(SB_LOG_JSON, "event a=%s", "1\x1f"),
                        "\"msg\":\"event\\u001f1\\u001f\\u001f\"}\n");
}

static void text_that_is_no_utf8_or_steers_terminals_is_escaped(void **state)
{
    (void)state;
    assert_string_equal(made(SB_LOG_LOGFMT, "e v=%s", "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
                        "msg=e v=\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "e v=%s", "\xff\xc3(\xed\xa0\x80\xc0\xaf\xf4\x90"),
                        "msg=e v=\"\\xff\\xc3(\\xed\\xa0\\x80\\xc0\\xaf\\xf4\\x90\"\n");
    assert_string_equal(made(SB_LOG_JSON, "e v=%s", "\xff\xe2\x82"),
                        "\"msg\":\"e\",\"v\":\"\\ufffd\\ufffd\\ufffd\"}\n");
    assert_string_equal(made(SB_LOG_LOGFMT, "e v=%s", "\x7f\xc2\x9b"),
                        "msg=e v=\"\\x7f\\xc2\\x9b\"\n");
    assert_string_equal(made(SB_LOG_JSON, "e v=%s", "\x7f\xc2\x9b"),
                        "\"msg\":\"e\",\"v\":\"\\u007f\\u009b\"}\n");
}

static void numbers_are_what_the_format_prints_as_one(void **state)
{
    (void)state;
    assert_string_equal(
        made(SB_LOG_JSON, "n a=%d b=%u c=%lld d=%zu e=%.3f", -1, 2U, 3LL, (size_t)4, 0.5),
        "\"msg\":\"n\",\"a\":-1,\"b\":2,\"c\":3,\"d\":4,\"e\":0.500}\n");
    assert_string_equal(made(SB_LOG_JSON, "n a=%s b=%dms c=%03d d=%f e=%x", "7", 5, 7, NAN, 10U),
                        "\"msg\":\"n\",\"a\":\"7\",\"b\":\"5ms\",\"c\":\"007\",\"d\":\"nan\","
                        "\"e\":\"a\"}\n");
    assert_string_equal(made(SB_LOG_JSON, "n a=%d b=%.0f c=%.1f", 0, 100.0, -0.5),
                        "\"msg\":\"n\",\"a\":0,\"b\":100,\"c\":-0.5}\n");
}

static void no_key_comes_twice(void **state)
{
    (void)state;
    assert_string_equal(made(SB_LOG_LOGFMT, "exited pid=%d v=%d v=%d v=%d", 5, 1, 2, 3),
                        "msg=exited pid_2=5 v=1 v_2=2 v_3=3\n");
}

static void long_values_are_cut_at_a_character(void **state)
{
    char value[3000];
    const char *text;

    (void)state;
    memset(value, 'x', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    memcpy(value + SB_LOG_VALUE_MAX - 1, "\xc3\xa9", 2);
    text = made(SB_LOG_LOGFMT, "e v=%s after=%d", value, 1);
    assert_int_equal(strlen(text), strlen("msg=e v=\"...\" after=1\n") + SB_LOG_VALUE_MAX - 1);
    assert_non_null(strstr(text, "x...\" after=1\n"));
    value[SB_LOG_VALUE_MAX] = '\0';
    memset(value, 'y', SB_LOG_VALUE_MAX);
    text = made(SB_LOG_LOGFMT, "e v=%s", value);
    assert_int_equal(strlen(text), strlen("msg=e v=\n") + SB_LOG_VALUE_MAX);
}

static void members_that_do_not_fit_are_left_out_whole(void **state)
{
    char value[SB_LOG_VALUE_MAX + 1];
    const char *text;

    (void)state;
    memset(value, '\x01', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    text = made(SB_LOG_LOGFMT, "e a=%s b=%s c=%s", value, value, value);
    assert_non_null(strstr(text, "\\x01\" truncated=true\n"));
    assert_null(strstr(text, " b=")); /* 2 KiB each, after escaping */
    text = made(SB_LOG_JSON, "%s a=%s", value, value);
    assert_non_null(strstr(text, "\\u0001\",\"truncated\":true}\n"));
    assert_null(strstr(text, "\"a\":"));
}

static void a_format_beyond_all_measure_is_still_one_line(void **state)
{
    char value[200];

    (void)state;
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
#define EIGHT "a=%d b=%d c=%d d=%d e=%d f=%d g=%d h=%d "
    (void)made(SB_LOG_JSON, EIGHT EIGHT EIGHT EIGHT "more=%d", 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4,
               5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    assert_non_null(strstr(line, "more=9\""));
    (void)made(SB_LOG_JSON, EIGHT EIGHT EIGHT EIGHT, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
               1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8);
    assert_non_null(strstr(line, "\"h_4\":8}"));
    (void)made(SB_LOG_LOGFMT, "%20000s a=%s", "wide", value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_of_the_format_make_the_sentence),
        cmocka_unit_test(a_value_cannot_pass_for_more_than_a_value),
        cmocka_unit_test(a_value_with_our_own_marks_makes_the_line_plain_text),
        cmocka_unit_test(text_that_is_no_utf8_or_steers_terminals_is_escaped),
        cmocka_unit_test(numbers_are_what_the_format_prints_as_one),
        cmocka_unit_test(no_key_comes_twice),
        cmocka_unit_test(long_values_are_cut_at_a_character),
        cmocka_unit_test(members_that_do_not_fit_are_left_out_whole),
        cmocka_unit_test(a_format_beyond_all_measure_is_still_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
