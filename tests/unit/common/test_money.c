/* tests/unit/common/test_money.c */
#include "common/money.h"

#include "common/err.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

static sb_money parsed(const char *text)
{
    sb_money money = 77;

    if (sb_money_parse(sb_slice_of(text), &money) != SB_OK)
        fail_msg("'%s' was not read", text);
    return money;
}

static void decimals_are_read_exactly(void **state)
{
    (void)state;
    assert_true(parsed("0") == 0);
    assert_true(parsed("-0") == 0);
    assert_true(parsed("0.000000000000000000000000000") == 0);
    assert_true(parsed("1") == SB_MONEY_USD);
    assert_true(parsed("-1") == -SB_MONEY_USD);
    assert_true(parsed("0.000000000000001") == 1);
    assert_true(parsed("0.00000000000000100000000") == 1);
    assert_true(parsed("0.1") == SB_MONEY_USD / 10);
    assert_true(parsed("12.50") == 25 * SB_MONEY_USD / 2);
    assert_true(parsed("100") == 100 * SB_MONEY_USD);
    assert_true(parsed("9223.372036854775807") == SB_MONEY_MAX);
    assert_true(parsed("-9223.372036854775807") == SB_MONEY_MIN);
}

static void exponents_are_read_exactly(void **state)
{
    (void)state;
    assert_true(parsed("1e0") == SB_MONEY_USD);
    assert_true(parsed("1.5e-07") == 150000000);
    assert_true(parsed("15E-8") == 150000000);
    assert_true(parsed("0.00015e+2") == 15 * SB_MONEY_USD / 1000);
    assert_true(parsed("1000e-18") == 1);
    assert_true(parsed("0e999999999999999999999") == 0);
    assert_true(parsed("0.0e-999999999999999999999") == 0);
    assert_true(parsed("9223372036854775807e-15") == SB_MONEY_MAX);
}

static void what_is_no_json_number_is_no_money(void **state)
{
    static const char *const wrong[] = {
        "",    "-",        "+1",  ".5",   "5.",    "01",   "-01",   "00",  "1,5", "1 ",
        " 1",  "1e",       "1e+", "e5",   "1e1.5", "0x10", "1.2.3", "--1", "$1",  "1_000",
        "NaN", "Infinity", "1e-", "1.e5", "-.5",   "1-",   "1e5e5", "1a",  "٣",   "1.5 USD",
    };
    sb_money money = 77;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        if (sb_money_parse(sb_slice_of(wrong[i]), &money) != SB_EPARSE)
            fail_msg("'%s' was read as money", wrong[i]);
    }
    assert_int_equal(sb_money_parse(SB_SLICE_LIT("1\0"), &money), SB_EPARSE);
    assert_true(money == 77);
}

static void what_cannot_be_exact_is_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"0.0000000000000001", SB_EINVAL},
        {"1.0000000000000005", SB_EINVAL},
        {"1e-16", SB_EINVAL},
        {"123456789012345678901e-16", SB_EINVAL},
        {"0.12345678901234567890123456789", SB_EINVAL},
        {"1e-999999999999999999999999", SB_EINVAL},
        {"9223.372036854775808", SB_ETOOBIG},
        {"-9223.372036854775808", SB_ETOOBIG},
        {"18446.744073709551616", SB_ETOOBIG},
        {"10000", SB_ETOOBIG},
        {"123456789012345678901", SB_ETOOBIG},
        {"184467440737095516160000000000000000000000001", SB_ETOOBIG},
        {"1e4", SB_ETOOBIG},
        {"1e999999999999999999999999", SB_ETOOBIG},
    };
    sb_money money = 77;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        int rc = sb_money_parse(sb_slice_of(cases[i].text), &money);

        if (rc != cases[i].rc)
            fail_msg("'%s' gives %s", cases[i].text, sb_err_name(rc));
    }
    assert_true(money == 77);
}

static void a_price_per_million_is_exact_per_unit(void **state)
{
    char text[SB_MONEY_TEXT_MAX];
    sb_money price = 77;

    (void)state;
    assert_int_equal(sb_money_parse_per_million(SB_SLICE_LIT("0.15"), &price), SB_OK);
    assert_true(price == 150000000);
    (void)sb_money_format(price, text);
    assert_string_equal(text, "0.00000015");
    assert_int_equal(sb_money_format_per_million(price, text), 4);
    assert_string_equal(text, "0.15");
    assert_int_equal(sb_money_parse_per_million(SB_SLICE_LIT("0.000000001"), &price), SB_OK);
    assert_true(price == 1);
    assert_int_equal(sb_money_parse_per_million(SB_SLICE_LIT("0"), &price), SB_OK);
    assert_true(price == 0);
    price = 77;
    assert_int_equal(sb_money_parse_per_million(SB_SLICE_LIT("0.0000000001"), &price), SB_EINVAL);
    assert_int_equal(sb_money_parse_per_million(SB_SLICE_LIT("-1"), &price), SB_EINVAL);
    assert_int_equal(sb_money_parse_per_million(SB_SLICE_LIT("1e10"), &price), SB_ETOOBIG);
    assert_int_equal(sb_money_parse_per_million(SB_SLICE_LIT("one"), &price), SB_EPARSE);
    assert_true(price == 77);
}

static void written_amounts_are_short_and_plain(void **state)
{
    static const struct {
        sb_money money;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1, "0.000000000000001"},
        {-1, "-0.000000000000001"},
        {SB_MONEY_USD, "1"},
        {10 * SB_MONEY_USD, "10"},
        {1000 * SB_MONEY_USD + SB_MONEY_USD / 10, "1000.1"},
        {-35 * SB_MONEY_USD / 10, "-3.5"},
        {SB_MONEY_MAX, "9223.372036854775807"},
        {SB_MONEY_MIN, "-9223.372036854775807"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        char text[SB_MONEY_TEXT_MAX];

        assert_int_equal(sb_money_format(cases[i].money, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

/* Any magnitude is as likely as any other. */
static sb_money random_money(uint64_t *seed)
{
    sb_money money = (sb_money)(random_next(seed) >> (1 + random_below(seed, 63)));

    return random_below(seed, 2) == 0 ? money : -money;
}

static void any_amount_comes_back(void **state)
{
    uint64_t seed = 5;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        sb_money money = random_money(&seed), back = 77;
        char text[SB_MONEY_TEXT_MAX];
        size_t n = sb_money_format(money, text);

        assert_int_equal(n, strlen(text));
        assert_true(parsed(text) == money);
        /* Shortest: no zero at the end of a fraction, and the point is gone with it. */
        assert_true(strchr(text, '.') == NULL || (text[n - 1] != '0' && text[n - 1] != '.'));
        if (money >= 0) {
            n = sb_money_format_per_million(money, text);
            assert_int_equal(sb_money_parse_per_million(sb_slice_make(text, n), &back), SB_OK);
            assert_true(back == money);
        }
    }
}

static void sums_and_products_are_exact_or_refused(void **state)
{
    uint64_t seed = 6;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        sb_money a = random_money(&seed), b = random_money(&seed), got = 77;
        uint64_t count = random_next(&seed) >> random_below(&seed, 64);
        __extension__ typedef __int128 wide;
        wide sum = (wide)a + b, product = (wide)a * (wide)count;
        bool sum_fits = sum <= SB_MONEY_MAX && sum >= SB_MONEY_MIN;
        bool product_fits = product <= SB_MONEY_MAX && product >= SB_MONEY_MIN;

        assert_int_equal(sb_money_add(a, b, &got), sum_fits ? SB_OK : SB_ETOOBIG);
        assert_true(got == (sum_fits ? (sb_money)sum : 77));
        got = 77;
        assert_int_equal(sb_money_mul(a, count, &got), product_fits ? SB_OK : SB_ETOOBIG);
        assert_true(got == (product_fits ? (sb_money)product : 77));
    }
}

static void a_request_costs_what_its_tokens_cost(void **state)
{
    sb_money prompt = 0, completion = 0, cost = 0;
    char text[SB_MONEY_TEXT_MAX];

    (void)state;
    assert_int_equal(sb_money_parse_per_million(SB_SLICE_LIT("2.50"), &prompt), SB_OK);
    assert_int_equal(sb_money_parse_per_million(SB_SLICE_LIT("10"), &completion), SB_OK);
    assert_int_equal(sb_money_mul(prompt, 1234, &prompt), SB_OK);
    assert_int_equal(sb_money_mul(completion, 567, &completion), SB_OK);
    assert_int_equal(sb_money_add(prompt, completion, &cost), SB_OK);
    (void)sb_money_format(cost, text);
    assert_string_equal(text, "0.008755");
    assert_true(sb_money_as_double(cost) > 0.0087549 && sb_money_as_double(cost) < 0.0087551);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_read_exactly),
        cmocka_unit_test(exponents_are_read_exactly),
        cmocka_unit_test(what_is_no_json_number_is_no_money),
        cmocka_unit_test(what_cannot_be_exact_is_refused),
        cmocka_unit_test(a_price_per_million_is_exact_per_unit),
        cmocka_unit_test(written_amounts_are_short_and_plain),
        cmocka_unit_test(any_amount_comes_back),
        cmocka_unit_test(sums_and_products_are_exact_or_refused),
        cmocka_unit_test(a_request_costs_what_its_tokens_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
