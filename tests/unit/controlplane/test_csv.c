/* CSV: a reader of RFC 4180 gets back what went in, a spreadsheet no formula. */
#include "tests/lib/test.h"

#include "common/err.h"
#include "controlplane/admin/csv.h"

static void check(const char *text, const char *wanted)
{
    struct sb_buf out;
    struct cp_csv csv;

    sb_buf_init(&out, 1000);
    cp_csv_init(&csv, &out);
    cp_csv_text(&csv, sb_slice_of(text));
    assert_int_equal(cp_csv_end(&csv), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&out), wanted));
    sb_buf_release(&out);
}

static void texts_are_quoted_where_they_must_be(void **state)
{
    (void)state;
    check("plain", "plain\r\n");
    check("", "\r\n");
    check("two words", "two words\r\n");
    check("a,b", "\"a,b\"\r\n");
    check("say \"hi\"", "\"say \"\"hi\"\"\"\r\n");
    check("\"", "\"\"\"\"\r\n");
    check("line\nline", "\"line\nline\"\r\n");
    check("line\rline", "\"line\rline\"\r\n");
}

static void formulas_are_defused(void **state)
{
    (void)state;
    check("=1+1", "'=1+1\r\n");
    check("+1", "'+1\r\n");
    check("-1", "'-1\r\n");
    check("@sum", "'@sum\r\n");
    check("\tx", "\"'\tx\"\r\n");
    check("=a,\"b\"", "\"'=a,\"\"b\"\"\"\r\n");
    check("a=1", "a=1\r\n");
}

static void values_have_commas_between_them(void **state)
{
    struct sb_buf out;
    struct cp_csv csv;

    (void)state;
    sb_buf_init(&out, 1000);
    cp_csv_init(&csv, &out);
    cp_csv_i64(&csv, INT64_MIN);
    cp_csv_none(&csv);
    cp_csv_text(&csv, SB_SLICE_NONE);
    cp_csv_i64(&csv, 0);
    assert_int_equal(cp_csv_end(&csv), SB_OK);
    cp_csv_none(&csv);
    cp_csv_none(&csv);
    assert_int_equal(cp_csv_end(&csv), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&out), "-9223372036854775808,,,0\r\n,\r\n"));
    sb_buf_release(&out);
}

static void the_first_error_sticks(void **state)
{
    struct sb_buf out;
    struct cp_csv csv;

    (void)state;
    sb_buf_init(&out, 4);
    cp_csv_init(&csv, &out);
    cp_csv_text(&csv, SB_SLICE_LIT("longer"));
    cp_csv_text(&csv, SB_SLICE_LIT("x"));
    assert_int_equal(cp_csv_end(&csv), SB_ETOOBIG);
    sb_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_quoted_where_they_must_be),
        cmocka_unit_test(formulas_are_defused),
        cmocka_unit_test(values_have_commas_between_them),
        cmocka_unit_test(the_first_error_sticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
