/* tests/unit/dataplane/test_breaker.c */
#include "dataplane/breaker.h"

#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

enum { ENDPOINT = 7, CREDENTIAL = 3 };

struct fixture {
    struct fake_clock clock;
    struct dp_breakers *breakers;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    f->clock = (struct fake_clock)FAKE_CLOCK_INIT;
    f->clock.at = 100000;
    f->breakers = dp_breakers_new(&f->clock.clock);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    dp_breakers_destroy(&f->breakers);
    assert_null(f->breakers);
    test_free(f);
    return 0;
}

static bool attempt(struct fixture *f, enum dp_breaker_verdict verdict)
{
    struct dp_breaker_ticket ticket = dp_breakers_begin(f->breakers, ENDPOINT, CREDENTIAL);

    return dp_breakers_report(f->breakers, &ticket, verdict);
}

static enum dp_health health(const struct fixture *f)
{
    const struct dp_health_source *source = dp_breakers_health(f->breakers);

    if (source->all_good)
        return DP_HEALTH_GOOD; /* nobody would ask */
    return source->health(source, ENDPOINT, CREDENTIAL, f->clock.at);
}

static enum dp_breaker_state state_of(const struct fixture *f)
{
    return dp_breakers_state(f->breakers, ENDPOINT, CREDENTIAL);
}

static void open_it(struct fixture *f)
{
    for (int i = 0; i < 4; i++)
        assert_false(attempt(f, DP_BREAKER_FAULT));
    assert_true(attempt(f, DP_BREAKER_FAULT));
    assert_int_equal(state_of(f), DP_BREAKER_OPEN);
}

static void five_faults_in_a_row_open_it(void **state)
{
    struct fixture *f = *state;

    assert_true(dp_breakers_health(f->breakers)->all_good);
    open_it(f);
    assert_int_equal(health(f), DP_HEALTH_BREAKER);
    assert_int_equal(dp_breakers_open(f->breakers), 1);
}

static void a_success_begins_the_row_anew(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 20; i++) {
        f->clock.at += 11000; /* each in a window of its own */
        assert_false(attempt(f, i % 5 == 4 ? DP_BREAKER_OK : DP_BREAKER_FAULT));
    }
    assert_int_equal(health(f), DP_HEALTH_GOOD);
}

static void what_says_nothing_is_not_counted(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 4; i++)
        assert_false(attempt(f, DP_BREAKER_FAULT));
    for (int i = 0; i < 100; i++)
        assert_false(attempt(f, DP_BREAKER_NEITHER));
    assert_true(attempt(f, DP_BREAKER_FAULT));
}

static void half_of_twenty_attempts_open_it(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 19; i++) {
        assert_false(attempt(f, i % 2 == 0 ? DP_BREAKER_OK : DP_BREAKER_FAULT));
        f->clock.at += 400; /* 19 of them fit into the window */
    }
    assert_true(attempt(f, DP_BREAKER_FAULT)); /* 10 of 20 */
}

static void less_than_half_do_not(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 300; i++)
        assert_false(attempt(f, i % 9 < 5 ? DP_BREAKER_OK : DP_BREAKER_FAULT));
}

static void attempts_older_than_ten_seconds_do_not_count(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 200; i++) {
        f->clock.at += 1000; /* ten at a time: never twenty */
        assert_false(attempt(f, i % 2 == 0 ? DP_BREAKER_OK : DP_BREAKER_FAULT));
    }
}

static void after_the_pause_it_is_good_for_one_request_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct dp_breaker_ticket probe;

    open_it(f);
    f->clock.at += 4999;
    assert_int_equal(health(f), DP_HEALTH_BREAKER);
    f->clock.at += 1;
    assert_int_equal(health(f), DP_HEALTH_GOOD);
    probe = dp_breakers_begin(f->breakers, ENDPOINT, CREDENTIAL);
    assert_true(probe.probe);
    assert_int_equal(health(f), DP_HEALTH_BREAKER);
    assert_false(dp_breakers_report(f->breakers, &probe, DP_BREAKER_OK));
    assert_int_equal(state_of(f), DP_BREAKER_CLOSED);
    assert_int_equal(health(f), DP_HEALTH_GOOD);
    assert_int_equal(dp_breakers_open(f->breakers), 0);
    open_it(f); /* counting starts from nothing */
}

static struct dp_breaker_ticket first_content(struct fixture *f)
{
    struct dp_breaker_ticket ticket = dp_breakers_begin(f->breakers, ENDPOINT, CREDENTIAL);

    dp_breakers_first_content(f->breakers, &ticket);
    return ticket;
}

static void the_first_content_of_a_probe_closes_it(void **state)
{
    struct fixture *f = *state;
    struct dp_breaker_ticket stream;

    open_it(f);
    f->clock.at += 5000;
    stream = first_content(f);
    assert_int_equal(state_of(f), DP_BREAKER_CLOSED);
    assert_int_equal(health(f), DP_HEALTH_GOOD);
    assert_false(dp_breakers_report(f->breakers, &stream, DP_BREAKER_OK));
    open_it(f);          /* counting starts from nothing */
    f->clock.at += 4999; /* and so does the pause */
    assert_int_equal(health(f), DP_HEALTH_BREAKER);
    f->clock.at += 1;
    assert_int_equal(health(f), DP_HEALTH_GOOD);
}

static void a_probe_that_is_cut_after_its_first_content_opens_it_for_longer(void **state)
{
    struct fixture *f = *state;
    struct dp_breaker_ticket stream;

    open_it(f);
    f->clock.at += 5000;
    stream = first_content(f);
    f->clock.at += 60000;
    assert_true(dp_breakers_report(f->breakers, &stream, DP_BREAKER_FAULT));
    f->clock.at += 9999;
    assert_int_equal(health(f), DP_HEALTH_BREAKER);
    f->clock.at += 1;
    assert_int_equal(health(f), DP_HEALTH_GOOD);
}

static void once_another_attempt_has_ended_well_a_cut_probe_is_one_fault_of_many(void **state)
{
    struct fixture *f = *state;
    struct dp_breaker_ticket stream;

    open_it(f);
    f->clock.at += 5000;
    stream = first_content(f);
    assert_false(attempt(f, DP_BREAKER_OK));
    assert_false(dp_breakers_report(f->breakers, &stream, DP_BREAKER_FAULT));
    assert_int_equal(state_of(f), DP_BREAKER_CLOSED);
}

static void first_content_says_nothing_while_it_is_closed_nor_of_an_earlier_state(void **state)
{
    struct fixture *f = *state;
    struct dp_breaker_ticket early = first_content(f);

    assert_false(early.trial);
    open_it(f);
    dp_breakers_first_content(f->breakers, &early);
    assert_int_equal(state_of(f), DP_BREAKER_OPEN);
    assert_false(dp_breakers_report(f->breakers, &early, DP_BREAKER_FAULT));
    assert_int_equal(dp_breakers_open(f->breakers), 1);
}

static void the_pause_doubles_up_to_a_minute(void **state)
{
    static const sb_msec pauses[] = {5000, 10000, 20000, 40000, 60000, 60000};
    struct fixture *f = *state;

    open_it(f);
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        f->clock.at += pauses[i] - 1;
        assert_int_equal(health(f), DP_HEALTH_BREAKER);
        f->clock.at += 1;
        assert_int_equal(health(f), DP_HEALTH_GOOD);
        assert_true(attempt(f, DP_BREAKER_FAULT));
    }
    f->clock.at += 60000;
    assert_false(attempt(f, DP_BREAKER_OK));
    open_it(f); /* and is short again afterwards */
    f->clock.at += 5000;
    assert_int_equal(health(f), DP_HEALTH_GOOD);
}

static void a_probe_that_says_nothing_leaves_the_next_to_probe(void **state)
{
    struct fixture *f = *state;

    open_it(f);
    f->clock.at += 5000;
    assert_false(attempt(f, DP_BREAKER_NEITHER));
    assert_int_equal(state_of(f), DP_BREAKER_OPEN);
    assert_int_equal(health(f), DP_HEALTH_GOOD);
    assert_false(attempt(f, DP_BREAKER_OK));
    assert_int_equal(state_of(f), DP_BREAKER_CLOSED);
}

static void attempts_of_an_earlier_state_say_nothing(void **state)
{
    struct fixture *f = *state;
    struct dp_breaker_ticket early[5];

    for (int i = 0; i < 5; i++)
        early[i] = dp_breakers_begin(f->breakers, ENDPOINT, CREDENTIAL);
    open_it(f);
    assert_false(dp_breakers_report(f->breakers, &early[0], DP_BREAKER_OK));
    assert_int_equal(state_of(f), DP_BREAKER_OPEN);
    f->clock.at += 5000;
    assert_false(attempt(f, DP_BREAKER_OK));
    for (int i = 1; i < 5; i++)
        assert_false(dp_breakers_report(f->breakers, &early[i], DP_BREAKER_FAULT));
    assert_int_equal(state_of(f), DP_BREAKER_CLOSED);
}

static void an_attempt_for_want_of_anything_else_closes_it_by_success_alone(void **state)
{
    struct fixture *f = *state;

    open_it(f);
    f->clock.at += 1000;
    for (int i = 0; i < 30; i++)
        assert_false(attempt(f, DP_BREAKER_FAULT));
    f->clock.at += 4000; /* the pause did not grow */
    assert_int_equal(health(f), DP_HEALTH_GOOD);
    assert_true(attempt(f, DP_BREAKER_FAULT));
    assert_false(attempt(f, DP_BREAKER_OK));
    assert_int_equal(state_of(f), DP_BREAKER_CLOSED);
}

static void pairs_do_not_share(void **state)
{
    struct fixture *f = *state;
    const struct dp_health_source *source = dp_breakers_health(f->breakers);

    open_it(f);
    assert_int_equal(source->health(source, ENDPOINT, CREDENTIAL + 1, f->clock.at), DP_HEALTH_GOOD);
    assert_int_equal(source->health(source, ENDPOINT, 0, f->clock.at), DP_HEALTH_GOOD);
    assert_int_equal(source->health(source, ENDPOINT + 1, CREDENTIAL, f->clock.at), DP_HEALTH_GOOD);
}

static void a_cooldown_lasts_as_long_as_it_was_told(void **state)
{
    struct fixture *f = *state;

    dp_breakers_cool(f->breakers, ENDPOINT, CREDENTIAL, 2000);
    assert_int_equal(health(f), DP_HEALTH_COOLDOWN);
    assert_int_equal(dp_breakers_cooldown(f->breakers, ENDPOINT, CREDENTIAL), 2000);
    assert_int_equal(dp_breakers_cooldown(f->breakers, ENDPOINT, CREDENTIAL + 1), 0);
    f->clock.at += 500;
    dp_breakers_cool(f->breakers, ENDPOINT, CREDENTIAL, 1000); /* ends earlier: changes nothing */
    f->clock.at += 1499;
    assert_int_equal(health(f), DP_HEALTH_COOLDOWN);
    f->clock.at += 1;
    assert_int_equal(health(f), DP_HEALTH_GOOD);
    dp_breakers_sweep(f->breakers);
    assert_true(dp_breakers_health(f->breakers)->all_good);
    dp_breakers_cool(f->breakers, ENDPOINT, CREDENTIAL, 0);
    assert_true(dp_breakers_health(f->breakers)->all_good);
}

static void pairs_that_nobody_uses_are_forgotten(void **state)
{
    struct fixture *f = *state;
    struct dp_breaker_ticket long_one = dp_breakers_begin(f->breakers, 999, 1);

    for (uint64_t i = 0; i < 1000; i++) {
        struct dp_breaker_ticket ticket = dp_breakers_begin(f->breakers, i % 100, i / 100);

        (void)dp_breakers_report(f->breakers, &ticket, DP_BREAKER_OK);
    }
    open_it(f);
    assert_int_equal(dp_breakers_count(f->breakers), 1001);
    for (int i = 0; i < 40; i++)
        dp_breakers_sweep(f->breakers);
    assert_int_equal(dp_breakers_count(f->breakers), 1001); /* too early */
    f->clock.at += 66000;
    for (int i = 0; i < 40; i++)
        dp_breakers_sweep(f->breakers);
    assert_int_equal(dp_breakers_count(f->breakers), 1); /* under way */
    assert_int_equal(dp_breakers_open(f->breakers), 0);
    assert_true(dp_breakers_health(f->breakers)->all_good);
    (void)dp_breakers_report(f->breakers, &long_one, DP_BREAKER_OK);
    f->clock.at += 60000;
    dp_breakers_sweep(f->breakers);
    assert_int_equal(dp_breakers_count(f->breakers), 0);
    dp_breakers_sweep(f->breakers);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(dp_breaker_state_name(DP_BREAKER_CLOSED), "closed");
    assert_string_equal(dp_breaker_state_name(DP_BREAKER_PROBING), "probing");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(five_faults_in_a_row_open_it),
        TEST(a_success_begins_the_row_anew),
        TEST(what_says_nothing_is_not_counted),
        TEST(half_of_twenty_attempts_open_it),
        TEST(less_than_half_do_not),
        TEST(attempts_older_than_ten_seconds_do_not_count),
        TEST(after_the_pause_it_is_good_for_one_request_at_a_time),
        TEST(the_first_content_of_a_probe_closes_it),
        TEST(a_probe_that_is_cut_after_its_first_content_opens_it_for_longer),
        TEST(once_another_attempt_has_ended_well_a_cut_probe_is_one_fault_of_many),
        TEST(first_content_says_nothing_while_it_is_closed_nor_of_an_earlier_state),
        TEST(the_pause_doubles_up_to_a_minute),
        TEST(a_probe_that_says_nothing_leaves_the_next_to_probe),
        TEST(attempts_of_an_earlier_state_say_nothing),
        TEST(an_attempt_for_want_of_anything_else_closes_it_by_success_alone),
        TEST(pairs_do_not_share),
        TEST(a_cooldown_lasts_as_long_as_it_was_told),
        TEST(pairs_that_nobody_uses_are_forgotten),
        cmocka_unit_test(states_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
