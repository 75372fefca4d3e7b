/* UTF-8: what RFC 3629 allows, and nothing else. */
#include "tests/lib/test.h"

#include "common/utf8.h"

static void every_code_point_is_read_back(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char text[4];
        size_t n = 0, got_n;
        bool is_surrogate = code >= 0xd800 && code <= 0xdfff;

        if (code < 0x80) {
            text[n++] = (char)code;
        } else {
            size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;

            text[n++] = (char)((0xff00 >> (more + 1)) | code >> (6 * more));
            while (more-- > 0)
                text[n++] = (char)(0x80 | (code >> (6 * more) & 0x3f));
        }
        assert_int_equal(sb_utf8_next(sb_slice_make(text, n), &got_n),
                         is_surrogate ? SB_UTF8_BAD : code);
        assert_int_equal(got_n, is_surrogate ? 1 : n);
        for (size_t cut = 1; cut < n; cut++) {
            assert_int_equal(sb_utf8_next(sb_slice_make(text, cut), &got_n), SB_UTF8_BAD);
            assert_int_equal(got_n, 1);
        }
    }
}

static void what_is_no_utf8_is_found(void **state)
{
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xc3(",
                                      "a\xe2\x82"};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++)
        assert_false(sb_utf8_is_valid(sb_slice_of(bad[i])));
    assert_true(sb_utf8_is_valid(SB_SLICE_NONE));
    assert_true(sb_utf8_is_valid(SB_SLICE_LIT("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_read_back),
        cmocka_unit_test(what_is_no_utf8_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
