/* tests/unit/dataplane/test_pace.c */
#include "dataplane/pace.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/sketch.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/dialect.h"
#include "proto/bus.h"
#include "proto/sketch.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

enum { ENDPOINT = 7, WAIT = 500000 /* us to the first content */ };

static struct fake_clock fake = FAKE_CLOCK_INIT;
static struct sb_loop *loop;
static struct dp_telemetry *telemetry;
static struct dp_paces *paces;
static struct dp_pace pace;
static struct dp_incoming in;
static struct msg_attempt attempt;
static sb_msec now;

static int set_up(void **state)
{
    (void)state;
    fake = (struct fake_clock)FAKE_CLOCK_INIT;
    assert_int_equal(sb_loop_new(&loop), SB_OK);
    telemetry = dp_telemetry_new(&fake.clock);
    paces = dp_paces_new(telemetry);
    dp_pace_init(&pace, loop);
    in = (struct dp_incoming){.n = 1};
    attempt = (struct msg_attempt){.endpoint = ENDPOINT};
    now = sb_loop_now(loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dp_pace_release(&pace);
    dp_paces_destroy(&paces);
    dp_telemetry_destroy(&telemetry);
    sb_loop_destroy(&loop);
    return 0;
}

/* Streams of so many bytes and tokens have ended. */
static void learn(uint64_t bytes, uint64_t tokens)
{
    struct dp_incoming ended = {
        .n = 1,
        .content_bytes = bytes,
        .usage = {.completion_tokens = tokens, .source = MSG_USAGE_SOURCE_PROVIDER}};

    for (int i = 0; i < 300; i++) /* what was before has faded */
        dp_paces_learn(paces, &attempt, &ended);
}

static void begin(uint64_t first_bytes)
{
    in.content_bytes = first_bytes;
    dp_pace_begin(&pace, paces, &attempt, &in, WAIT, now);
}

/* So many seconds pass, each with so many bytes. */
static void run(int seconds, uint64_t bytes)
{
    for (int i = 0; i < seconds; i++) {
        now += DP_PACE_TICK;
        in.content_bytes += bytes;
        if (!sb_timer_is_set(&pace.tick))
            continue;
        sb_timer_cancel(&pace.tick); /* it fires */
        dp_pace_look(&pace, now);
    }
}

/* What was said since the last time; checks that nothing else was. */
static uint64_t said(double *ret_least, double *ret_most)
{
    struct dp_fold *fold = dp_telemetry_take(telemetry);
    struct sb_arena *arena;
    struct sb_sketch sketch;
    struct msg_beat_row *rows;
    uint64_t count;
    size_t n;

    *ret_least = *ret_most = -1;
    if (fold == NULL)
        return 0;
    arena = sb_arena_new(4096);
    rows = dp_fold_rows(fold, arena, &n);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].endpoint, ENDPOINT);
    assert_int_equal(rows[0].attempts + rows[0].successes + rows[0].faults, 0);
    assert_true(rows[0].completion_tokens == 0 && rows[0].cost == 0);
    assert_int_equal(rows[0].first_token.n, 0);
    sb_sketch_init(&sketch);
    assert_int_equal(msg_sketch_decode(rows[0].throughput, &sketch), SB_OK);
    count = sketch.count;
    *ret_least = sketch.min;
    *ret_most = sketch.max;
    sb_sketch_release(&sketch);
    sb_arena_destroy(&arena);
    dp_fold_destroy(&fold);
    return count;
}

static void assert_said(uint64_t times, double tokens_per_second)
{
    double least, most;

    assert_int_equal(said(&least, &most), times);
    assert_float_equal(least, tokens_per_second, 0.01);
    assert_float_equal(most, tokens_per_second, 0.01);
}

static void assert_said_nothing(void)
{
    double least, most;

    assert_int_equal(said(&least, &most), 0);
}

static void a_steady_stream_says_what_it_will_say_at_its_end(void **state)
{
    (void)state;
    learn(4000, 1000);
    begin(0);
    run(10, 400); /* 100 tokens */
    /* 1000 tokens in 0.5 s and 10 s: at 1, 2, 3, 5 and 8 s */
    assert_said(5, 1000 / 10.5);
}

static void what_came_with_the_first_read_took_no_time_of_its_own(void **state)
{
    (void)state;
    learn(4000, 1000);
    begin(2000); /* the provider had held half of it back */
    run(1, 400);
    assert_said(1, 1000 / 5.5);
}

static void an_answer_longer_than_usual_is_as_long_as_it_is(void **state)
{
    (void)state;
    learn(400, 100);
    begin(0);
    run(1, 800);
    assert_said(1, 200 / 1.5);
}

static void tokens_are_learned_from_the_answers_of_the_endpoint(void **state)
{
    (void)state;
    learn(4000, 1000);
    learn(500, 2000); /* hidden reasoning */
    begin(0);
    run(1, 100);
    /* nearly 2000 tokens in 0.5 s and 5 s */
    assert_said(1, 2000 / 5.5);
}

static void nothing_is_said_while_nothing_was_learned(void **state)
{
    struct dp_incoming ended = {.n = 1, .content_bytes = 40};

    (void)state;
    ended.usage = (struct msg_usage){.completion_tokens = 10, .source = MSG_USAGE_SOURCE_ESTIMATED};
    dp_paces_learn(paces, &attempt, &ended);
    ended.usage = (struct msg_usage){.completion_tokens = 1, .source = MSG_USAGE_SOURCE_PROVIDER};
    dp_paces_learn(paces, &attempt, &ended);
    attempt.endpoint = 8;
    learn(4000, 1000);
    attempt.endpoint = ENDPOINT;
    begin(0);
    run(10, 400);
    assert_said_nothing();
    learn(4000, 1000); /* another stream has ended meanwhile */
    run(3, 400);
    assert_said(1, 1200 / 12.5); /* after 12 s */
}

static void a_long_stream_does_not_outvote_short_ones(void **state)
{
    double least, most;

    (void)state;
    learn(4000, 1000);
    begin(0);
    run(600, 1);
    assert_in_range(said(&least, &most), 10, 16);
}

static void a_change_of_the_pace_is_said_at_once(void **state)
{
    double least, most;

    (void)state;
    learn(4000, 1000);
    begin(0);
    run(30, 400);
    (void)said(&least, &most);
    run(1, 80);
    assert_said_nothing(); /* a second is not much, and the next pause ends after 41 s */
    run(1, 80);
    assert_int_equal(said(&least, &most), 1);
    assert_true(most < 25);
    run(2, 80);
    assert_int_equal(said(&least, &most), 2); /* the pauses begin anew */
    run(1, 400);
    run(1, 400);
    assert_int_equal(said(&least, &most), 2); /* after 3 s of the new pauses, and faster */
    assert_true(most > 90);
}

static void silence_is_said_and_what_comes_after_it(void **state)
{
    (void)state;
    learn(4000, 1000);
    begin(0);
    run(8, 400);
    assert_said(5, 1000 / 10.5);
    run(2, 0);
    assert_said(1, 0);
    run(8, 0);
    assert_said(5, 0);
}

static void a_restless_stream_keeps_to_its_pauses(void **state)
{
    double least, most;
    uint64_t times = 0;

    (void)state;
    learn(4000, 1000);
    begin(0);
    for (int i = 0; i < 30; i++) {
        run(3, 0);
        run(1, 1600);
    }
    times = said(&least, &most);
    assert_in_range(times, 10, 25); /* of two minutes, in which it changed sixty times */
}

static void the_end_of_the_content_is_not_silence(void **state)
{
    (void)state;
    learn(4000, 1000);
    begin(0);
    run(1, 400);
    assert_said(1, 1000 / 10.5);
    in.finished = 1;
    run(5, 0);
    assert_said_nothing();
    assert_false(sb_timer_is_set(&pace.tick));
}

static void a_client_that_does_not_keep_up_ends_it(void **state)
{
    (void)state;
    learn(4000, 1000);
    begin(0);
    dp_pace_hush(&pace);
    run(5, 1);
    assert_said_nothing();
    assert_true(pace.has_begun); /* so that nobody begins it again */
    dp_pace_end(&pace);
    assert_false(pace.has_begun);
}

static void own_keys_say_and_teach_nothing(void **state)
{
    (void)state;
    attempt.credential_kind = MSG_CREDENTIAL_KIND_OWN;
    learn(4000, 1000);
    begin(0);
    assert_true(pace.has_begun);
    run(5, 400);
    assert_said_nothing();
    dp_pace_end(&pace);
    attempt.credential_kind = MSG_CREDENTIAL_KIND_HOUSE;
    begin(0);
    run(5, 400);
    assert_said_nothing();
}

static void the_endpoint_learned_first_is_forgotten(void **state)
{
    (void)state;
    learn(4000, 1000);
    for (uint64_t i = 1; i <= DP_PACES_MAX; i++) {
        attempt.endpoint = ENDPOINT + i;
        learn(40, 10);
    }
    attempt.endpoint = ENDPOINT;
    begin(0);
    run(1, 400);
    assert_said_nothing();
}

static void the_loop_looks_once_a_second(void **state)
{
    (void)state;
    learn(4000, 1000);
    begin(0);
    in.content_bytes = 400;
    sb_loop_skip(loop, DP_PACE_TICK);
    sb_loop_turn(loop);
    assert_true(pace.said.at > pace.begun.at);
    assert_true(sb_timer_is_set(&pace.tick));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_steady_stream_says_what_it_will_say_at_its_end),
        TEST(what_came_with_the_first_read_took_no_time_of_its_own),
        TEST(an_answer_longer_than_usual_is_as_long_as_it_is),
        TEST(tokens_are_learned_from_the_answers_of_the_endpoint),
        TEST(nothing_is_said_while_nothing_was_learned),
        TEST(a_long_stream_does_not_outvote_short_ones),
        TEST(a_change_of_the_pace_is_said_at_once),
        TEST(silence_is_said_and_what_comes_after_it),
        TEST(a_restless_stream_keeps_to_its_pauses),
        TEST(the_end_of_the_content_is_not_silence),
        TEST(a_client_that_does_not_keep_up_ends_it),
        TEST(own_keys_say_and_teach_nothing),
        TEST(the_endpoint_learned_first_is_forgotten),
        TEST(the_loop_looks_once_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
