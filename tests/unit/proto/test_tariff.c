/* tests/unit/proto/test_tariff.c - which prices are in force, to the token and to the second. */
#include "proto/tariff.h"

#include "common/timefmt.h"
#include "tests/lib/test.h"

#define NONE -1, -1, -1, -1, -1, -1, -1, -1, -1

static const int64_t base[MSG_PRICE_COUNT] = {100, 300, NONE};

/* Seconds of an RFC 3339 time. */
static int64_t seconds(const char *text)
{
    sb_usec wall = 0;

    assert_int_equal(sb_time_parse(sb_slice_of(text), &wall), SB_OK);
    return (int64_t)(wall / SB_USEC_PER_SEC);
}

static struct msg_moment at(const char *text)
{
    return msg_moment_of(seconds(text));
}

/* "HH:MM" as minutes. */
static uint16_t minute(unsigned hours, unsigned minutes)
{
    return (uint16_t)(hours * 60 + minutes);
}

static void a_long_prompt_has_more_tokens_than_the_threshold(void **state)
{
    const struct msg_override override = {.min_prompt_tokens = 128000, .price = {200, -1, NONE}};

    (void)state;
    assert_false(msg_override_applies(&override, 0, at("2026-12-01T00:00:00Z")));
    assert_false(msg_override_applies(&override, 128000, at("2026-12-01T00:00:00Z")));
    assert_true(msg_override_applies(&override, 128001, at("2026-12-01T00:00:00Z")));
    assert_true(msg_override_applies(&override, UINT64_MAX, at("2026-12-01T00:00:00Z")));
}

static void hours_begin_with_their_first_second_and_end_before_their_last(void **state)
{
    const struct msg_override night = {.from = minute(0, 30), .until = minute(8, 30)};
    const struct msg_override evening = {.from = minute(22, 0), .until = 0};

    (void)state;
    assert_false(msg_override_applies(&night, 0, at("2026-12-01T00:29:59Z")));
    assert_true(msg_override_applies(&night, 0, at("2026-12-01T00:30:00Z")));
    assert_true(msg_override_applies(&night, 0, at("2026-12-01T08:29:59Z")));
    assert_false(msg_override_applies(&night, 0, at("2026-12-01T08:30:00Z")));
    assert_false(msg_override_applies(&evening, 0, at("2026-12-01T21:59:59Z")));
    assert_true(msg_override_applies(&evening, 0, at("2026-12-01T23:59:59Z")));
    assert_false(msg_override_applies(&evening, 0, at("2026-12-02T00:00:00Z")));
}

static void hours_may_go_past_midnight(void **state)
{
    const struct msg_override night = {.from = minute(22, 30), .until = minute(6, 0)};

    (void)state;
    assert_false(msg_override_applies(&night, 0, at("2026-12-01T22:29:59Z")));
    assert_true(msg_override_applies(&night, 0, at("2026-12-01T22:30:00Z")));
    assert_true(msg_override_applies(&night, 0, at("2026-12-02T00:00:00Z")));
    assert_true(msg_override_applies(&night, 0, at("2026-12-02T05:59:59Z")));
    assert_false(msg_override_applies(&night, 0, at("2026-12-02T06:00:00Z")));
}

static void a_day_is_that_of_the_moment_itself(void **state)
{
    const struct msg_override weekend = {.days = 1u << MSG_DAY_SATURDAY | 1u << MSG_DAY_SUNDAY};
    const struct msg_override friday_night = {
        .from = minute(22, 0), .until = minute(4, 0), .days = 1u << MSG_DAY_FRIDAY};

    (void)state;
    for (int day = 0; day < MSG_DAY_COUNT; day++) { /* 2026-11-30 is a Monday */
        const struct msg_override one = {.days = (uint8_t)(1u << day)};

        for (int on = 0; on < MSG_DAY_COUNT; on++)
            assert_int_equal(
                msg_override_applies(
                    &one, 0, msg_moment_of(seconds("2026-11-30T12:00:00Z") + on * SB_SEC_PER_DAY)),
                on == day);
    }
    assert_false(msg_override_applies(&weekend, 0, at("2026-12-04T23:59:59Z")));
    assert_true(msg_override_applies(&weekend, 0, at("2026-12-05T00:00:00Z")));
    assert_true(msg_override_applies(&weekend, 0, at("2026-12-06T23:59:59Z")));
    assert_false(msg_override_applies(&weekend, 0, at("2026-12-07T00:00:00Z")));
    /* the hours after midnight are Saturday's; those before 4 on Friday count */
    assert_true(msg_override_applies(&friday_night, 0, at("2026-12-04T22:00:00Z")));
    assert_true(msg_override_applies(&friday_night, 0, at("2026-12-04T03:59:59Z")));
    assert_false(msg_override_applies(&friday_night, 0, at("2026-12-05T03:00:00Z")));
}

static void a_clock_before_1970_has_days_and_hours_too(void **state)
{
    const struct msg_override wednesday = {
        .from = minute(23, 59), .until = minute(0, 0), .days = 1u << MSG_DAY_WEDNESDAY};

    (void)state;
    assert_true(msg_override_applies(&wednesday, 0, msg_moment_of(-1)));
    assert_false(msg_override_applies(&wednesday, 0, msg_moment_of(-61)));
    assert_false(msg_override_applies(&wednesday, 0, msg_moment_of(0)));
    (void)msg_moment_of(INT64_MAX);
    (void)msg_moment_of(INT64_MIN);
}

static void all_conditions_of_one_must_hold(void **state)
{
    const struct msg_override one = {.min_prompt_tokens = 10,
                                     .from = minute(8, 0),
                                     .until = minute(9, 0),
                                     .days = 1u << MSG_DAY_TUESDAY};

    (void)state;
    assert_true(msg_override_applies(&one, 11, at("2026-12-01T08:00:00Z")));
    assert_false(msg_override_applies(&one, 10, at("2026-12-01T08:00:00Z")));
    assert_false(msg_override_applies(&one, 11, at("2026-12-01T07:00:00Z")));
    assert_false(msg_override_applies(&one, 11, at("2026-12-02T08:00:00Z")));
}

static void for_each_price_the_last_that_names_it_wins(void **state)
{
    const struct msg_override overrides[] = {
        {.min_prompt_tokens = 100, .price = {200, 600, NONE}},
        {.min_prompt_tokens = 1000, .price = {400, -1, NONE}},
        {.from = minute(0, 0), .until = minute(8, 0), .price = {-1, 150, NONE}},
    };
    const struct msg_tariff tariff = {.price = base, .overrides = overrides, .n_overrides = 3};
    struct msg_prices prices;

    (void)state;
    assert_int_equal(msg_tariff_at(&tariff, 100, at("2026-12-01T09:00:00Z"), &prices), 0);
    assert_memory_equal(prices.at, base, sizeof(base));
    assert_int_equal(msg_tariff_at(&tariff, 101, at("2026-12-01T09:00:00Z"), &prices), 1);
    assert_int_equal(prices.at[MSG_PRICE_PROMPT], 200);
    assert_int_equal(prices.at[MSG_PRICE_COMPLETION], 600);
    assert_int_equal(msg_tariff_at(&tariff, 1001, at("2026-12-01T01:00:00Z"), &prices), 7);
    assert_int_equal(prices.at[MSG_PRICE_PROMPT], 400);
    assert_int_equal(prices.at[MSG_PRICE_COMPLETION], 150);
    assert_int_equal(prices.at[MSG_PRICE_REQUEST], -1);
}

static void an_override_may_offer_what_the_base_does_not_and_make_it_free(void **state)
{
    const struct msg_override overrides[] = {
        {.days = 0x7f, .price = {0, -1, -1, -1, -1, -1, -1, 5, -1, -1, -1}}};
    const struct msg_tariff tariff = {.price = base, .overrides = overrides, .n_overrides = 1};
    struct msg_prices prices;

    (void)state;
    assert_int_equal(msg_tariff_at(&tariff, 1, msg_moment_of(0), &prices), 1);
    assert_int_equal(prices.at[MSG_PRICE_PROMPT], 0);
    assert_int_equal(prices.at[MSG_PRICE_COMPLETION], 300);
    assert_int_equal(prices.at[MSG_PRICE_CACHE_READ], 5);
}

static void the_dearest_is_no_less_than_any_that_is_ever_in_force(void **state)
{
    const struct msg_override overrides[] = {
        {.min_prompt_tokens = 100, .price = {200, 200, NONE}},
        {.from = minute(1, 0), .until = minute(2, 0), .price = {50, 700, NONE}},
    };
    const struct msg_tariff tariff = {.price = base, .overrides = overrides, .n_overrides = 2};
    struct msg_prices dearest, prices;

    (void)state;
    msg_tariff_dearest(&tariff, &dearest);
    assert_int_equal(dearest.at[MSG_PRICE_PROMPT], 200);
    assert_int_equal(dearest.at[MSG_PRICE_COMPLETION], 700);
    for (uint64_t tokens = 99; tokens < 103; tokens++) {
        for (int64_t second = 0; second < SB_SEC_PER_DAY; second += 1800) {
            (void)msg_tariff_at(&tariff, tokens, msg_moment_of(second), &prices);
            for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
                assert_true(prices.at[kind] <= dearest.at[kind]);
        }
    }
}

static void a_bill_is_made_by_the_tokens_that_were_counted(void **state)
{
    const struct msg_override overrides[] = {
        {.min_prompt_tokens = 100, .price = {200, -1, NONE}},
        {.from = minute(0, 30), .until = minute(8, 30), .price = {-1, 100, NONE}},
    };
    const struct msg_tariff tariff = {.price = base, .overrides = overrides, .n_overrides = 2};
    const struct msg_usage usual = {.prompt_tokens = 100, .completion_tokens = 10};
    const struct msg_usage longer = {
        .prompt_tokens = 101, .cached_tokens = 90, .completion_tokens = 10};

    (void)state;
    assert_int_equal(msg_bill_make_at(&tariff, seconds("2026-12-01T00:29:59Z"), &usual).total,
                     13000);
    assert_int_equal(msg_bill_make_at(&tariff, seconds("2026-12-01T00:30:00Z"), &usual).total,
                     11000);
    /* cached tokens are tokens of the prompt */
    assert_int_equal(msg_bill_make_at(&tariff, seconds("2026-12-01T00:29:59Z"), &longer).total,
                     23200);
    assert_int_equal(msg_bill_make_at(&tariff, seconds("2026-12-01T00:30:00Z"), &longer).prompt,
                     20200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_prompt_has_more_tokens_than_the_threshold),
        cmocka_unit_test(hours_begin_with_their_first_second_and_end_before_their_last),
        cmocka_unit_test(hours_may_go_past_midnight),
        cmocka_unit_test(a_day_is_that_of_the_moment_itself),
        cmocka_unit_test(a_clock_before_1970_has_days_and_hours_too),
        cmocka_unit_test(all_conditions_of_one_must_hold),
        cmocka_unit_test(for_each_price_the_last_that_names_it_wins),
        cmocka_unit_test(an_override_may_offer_what_the_base_does_not_and_make_it_free),
        cmocka_unit_test(the_dearest_is_no_less_than_any_that_is_ever_in_force),
        cmocka_unit_test(a_bill_is_made_by_the_tokens_that_were_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
