/* tests/unit/dataplane/test_telemetry.c */
#include "dataplane/courier/telemetry.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/sketch.h"
#include "proto/bus.h"
#include "proto/record.h"
#include "proto/sketch.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

static struct fake_clock clock = FAKE_CLOCK_INIT;
static struct dp_telemetry *telemetry;
static struct sb_arena *arena;
static struct dp_fold *fold;

static int set_up(void **state)
{
    (void)state;
    clock = (struct fake_clock)FAKE_CLOCK_INIT;
    telemetry = dp_telemetry_new(&clock.clock);
    arena = sb_arena_new(4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dp_fold_destroy(&fold);
    dp_telemetry_destroy(&telemetry);
    sb_arena_destroy(&arena);
    return 0;
}

/* A good attempt, to be changed by the test. */
static struct msg_attempt attempt;
static struct msg_usage usage;
static struct dp_telemetry_entry good(uint64_t endpoint)
{
    attempt = (struct msg_attempt){.endpoint = endpoint,
                                   .outcome = MSG_OUTCOME_SUCCESS,
                                   .credential_kind = MSG_CREDENTIAL_KIND_HOUSE,
                                   .first_token = 200000,
                                   .took = 1200000};
    usage = (struct msg_usage){
        .prompt_tokens = 10, .completion_tokens = 101, .source = MSG_USAGE_SOURCE_PROVIDER};
    return (struct dp_telemetry_entry){.attempt = &attempt,
                                       .usage = &usage,
                                       .cost = 500,
                                       .verdict = DP_BREAKER_OK,
                                       .streamed = true};
}

static struct msg_beat_row *rows_of(size_t *ret_n)
{
    dp_fold_destroy(&fold);
    fold = dp_telemetry_take(telemetry);
    assert_non_null(fold);
    return dp_fold_rows(fold, arena, ret_n);
}

static struct msg_beat_row only_row(void)
{
    size_t n;
    const struct msg_beat_row *rows = rows_of(&n);

    assert_int_equal(n, 1);
    return rows[0];
}

static double median_of(struct sb_slice bytes)
{
    struct sb_sketch sketch;
    double median;

    sb_sketch_init(&sketch);
    assert_int_equal(msg_sketch_decode(bytes, &sketch), SB_OK);
    median = sb_sketch_quantile(&sketch, 0.5);
    sb_sketch_release(&sketch);
    return median;
}

static void adds_up_the_attempts_of_one_second(void **state)
{
    struct dp_telemetry_entry entry = good(7);
    struct msg_beat_row row;

    (void)state;
    for (int i = 0; i < 3; i++)
        dp_telemetry_add(telemetry, &entry);
    row = only_row();
    assert_int_equal(row.endpoint, 7);
    assert_int_equal(row.second, 1790000000);
    assert_int_equal(row.attempts, 3);
    assert_int_equal(row.successes, 3);
    assert_int_equal(row.faults, 0);
    assert_int_equal(row.prompt_tokens, 30);
    assert_int_equal(row.completion_tokens, 303);
    assert_int_equal(row.cost, 1500);
    assert_true(median_of(row.first_token) > 198 && median_of(row.first_token) < 202);
    /* 101 tokens in 1.2 s: the wait for the first is part of it */
    assert_true(median_of(row.throughput) > 83 && median_of(row.throughput) < 86);
}

static void keeps_endpoints_and_seconds_apart(void **state)
{
    struct dp_telemetry_entry entry;
    struct msg_beat_row *rows;
    uint32_t attempts = 0;
    size_t n;

    (void)state;
    for (int second = 0; second < 3; second++) {
        for (uint64_t endpoint = 1; endpoint <= 4; endpoint++) {
            entry = good(endpoint);
            dp_telemetry_add(telemetry, &entry);
            dp_telemetry_add(telemetry, &entry);
        }
        clock.wall_at += 1000000;
    }
    rows = rows_of(&n);
    assert_int_equal(n, 12);
    for (size_t i = 0; i < n; i++) {
        assert_in_range(rows[i].second, 1790000000, 1790000002);
        assert_in_range(rows[i].endpoint, 1, 4);
        assert_int_equal(rows[i].attempts, 2);
        attempts += rows[i].attempts;
    }
    assert_int_equal(attempts, 24);
}

static void what_is_taken_is_gone(void **state)
{
    struct dp_telemetry_entry entry = good(7);
    bool is_urgent = true;

    (void)state;
    assert_false(dp_telemetry_has(telemetry, &is_urgent));
    assert_false(is_urgent);
    assert_null(dp_telemetry_take(telemetry));
    dp_telemetry_add(telemetry, &entry);
    assert_true(dp_telemetry_has(telemetry, &is_urgent));
    assert_false(is_urgent);
    assert_int_equal(only_row().attempts, 1);
    assert_false(dp_telemetry_has(telemetry, &is_urgent));
    dp_telemetry_add(telemetry, &entry);
    assert_int_equal(only_row().attempts, 1);
}

static void a_fault_is_urgent_and_no_success(void **state)
{
    struct dp_telemetry_entry entry = good(7);
    struct msg_beat_row row;
    bool is_urgent;

    (void)state;
    attempt.outcome = MSG_OUTCOME_CONNECT_FAILED;
    attempt.first_token = 0;
    usage = (struct msg_usage){.source = MSG_USAGE_SOURCE_NONE, .prompt_tokens = 99};
    entry.verdict = DP_BREAKER_FAULT;
    dp_telemetry_add(telemetry, &entry);
    assert_true(dp_telemetry_has(telemetry, &is_urgent) && is_urgent);
    row = only_row();
    assert_int_equal(row.attempts, 1);
    assert_int_equal(row.successes, 0);
    assert_int_equal(row.faults, 1);
    assert_int_equal(row.prompt_tokens, 0); /* usage without a source */
    assert_int_equal(row.cost, 0);
    assert_int_equal(row.first_token.n, 0);
    assert_int_equal(row.throughput.n, 0);
}

static void a_429_is_urgent_and_no_fault(void **state)
{
    struct dp_telemetry_entry entry = good(7);
    struct msg_beat_row row;
    bool is_urgent;

    (void)state;
    attempt.outcome = MSG_OUTCOME_RATE_LIMITED;
    attempt.first_token = 0;
    entry.verdict = DP_BREAKER_NEITHER;
    entry.retry_after = 7000;
    dp_telemetry_add(telemetry, &entry);
    entry.retry_after = 3000;
    dp_telemetry_add(telemetry, &entry);
    assert_true(dp_telemetry_has(telemetry, &is_urgent) && is_urgent);
    row = only_row();
    assert_int_equal(row.rate_limited, 2);
    assert_int_equal(row.retry_after, 7000);
    assert_int_equal(row.faults + row.successes, 0);
}

/* A client that hung up says nothing of the endpoint, but its first token
 * does. */
static void an_attempt_that_says_nothing_still_has_its_times(void **state)
{
    struct dp_telemetry_entry entry = good(7);
    struct msg_beat_row row;

    (void)state;
    attempt.outcome = MSG_OUTCOME_CLIENT_GONE;
    entry.verdict = DP_BREAKER_NEITHER;
    dp_telemetry_add(telemetry, &entry);
    row = only_row();
    assert_int_equal(row.attempts, 1);
    assert_int_equal(row.faults + row.successes, 0);
    assert_true(row.first_token.n > 0);
    assert_int_equal(row.throughput.n, 0); /* cut short */
}

static void a_whole_answer_says_nothing_of_the_first_token(void **state)
{
    struct dp_telemetry_entry entry = good(7);
    struct msg_beat_row row;

    (void)state;
    entry.streamed = false;
    attempt.first_token = attempt.took = 2020000;
    dp_telemetry_add(telemetry, &entry);
    row = only_row();
    assert_int_equal(row.first_token.n, 0);
    assert_true(median_of(row.throughput) > 49 && median_of(row.throughput) < 51);
}

static void times_out_of_the_ordinary_do_no_harm(void **state)
{
    struct dp_telemetry_entry entry = good(7);
    struct msg_beat_row row;

    (void)state;
    attempt.took = 0;
    dp_telemetry_add(telemetry, &entry);
    usage.completion_tokens = UINT64_MAX;
    attempt.took = attempt.first_token + 1;
    dp_telemetry_add(telemetry, &entry);
    entry.retry_after = UINT64_MAX;
    attempt.outcome = MSG_OUTCOME_RATE_LIMITED;
    dp_telemetry_add(telemetry, &entry);
    row = only_row();
    assert_int_equal(row.attempts, 3);
    assert_int_equal(row.retry_after, UINT32_MAX);
    assert_int_equal(row.throughput.n, 0);
}

static void tenants_own_keys_are_not_folded(void **state)
{
    struct dp_telemetry_entry entry = good(7);
    bool is_urgent;

    (void)state;
    attempt.credential_kind = MSG_CREDENTIAL_KIND_OWN;
    entry.verdict = DP_BREAKER_FAULT;
    dp_telemetry_add(telemetry, &entry);
    assert_false(dp_telemetry_has(telemetry, &is_urgent));
}

static void a_stream_that_runs_says_its_throughput_and_nothing_else(void **state)
{
    struct dp_telemetry_entry entry = good(7);
    struct msg_beat_row row;

    (void)state;
    dp_telemetry_pace(telemetry, 7, 20);
    dp_telemetry_pace(telemetry, 7, 20);
    dp_telemetry_pace(telemetry, 7, -1); /* out of range */
    row = only_row();
    assert_int_equal(row.attempts + row.successes + row.faults, 0);
    assert_int_equal(row.prompt_tokens + row.completion_tokens, 0);
    assert_int_equal(row.cost, 0);
    assert_int_equal(row.first_token.n, 0);
    assert_float_equal(median_of(row.throughput), 20, 0.2);
    dp_telemetry_pace(telemetry, 7, 20);
    dp_telemetry_add(telemetry, &entry); /* the same one ends */
    row = only_row();
    assert_int_equal(row.attempts, 1);
    assert_int_equal(row.completion_tokens, 101);
}

static void is_bounded(void **state)
{
    struct dp_telemetry_entry entry;
    size_t n;

    (void)state;
    for (uint64_t endpoint = 1; endpoint <= DP_FOLD_ROWS_MAX + 10; endpoint++) {
        entry = good(endpoint);
        dp_telemetry_add(telemetry, &entry);
    }
    assert_int_equal(dp_telemetry_lost(telemetry), 10);
    entry = good(5); /* those that are there go on */
    dp_telemetry_add(telemetry, &entry);
    assert_int_equal(dp_telemetry_lost(telemetry), 10);
    (void)rows_of(&n);
    assert_int_equal(n, DP_FOLD_ROWS_MAX);
}

/* A beat with all of it can be encoded and read. */
static void a_full_fold_fits_a_beat(void **state)
{
    struct msg_beat beat = {.worker = SB_SLICE_INIT("host-0")}, again;
    struct sb_buf bytes;

    (void)state;
    for (uint64_t endpoint = 1; endpoint <= DP_FOLD_ROWS_MAX; endpoint++) {
        struct dp_telemetry_entry entry = good(endpoint);

        dp_telemetry_add(telemetry, &entry);
    }
    beat.rows = rows_of(&beat.n_rows);
    sb_buf_init(&bytes, 16 << 20);
    assert_int_equal(msg_beat_encode(&beat, &bytes), SB_OK);
    assert_int_equal(msg_beat_decode(sb_buf_slice(&bytes), arena, &again), SB_OK);
    assert_int_equal(again.n_rows, DP_FOLD_ROWS_MAX);
    sb_buf_release(&bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(adds_up_the_attempts_of_one_second),
        TEST(keeps_endpoints_and_seconds_apart),
        TEST(what_is_taken_is_gone),
        TEST(a_fault_is_urgent_and_no_success),
        TEST(a_429_is_urgent_and_no_fault),
        TEST(an_attempt_that_says_nothing_still_has_its_times),
        TEST(a_whole_answer_says_nothing_of_the_first_token),
        TEST(times_out_of_the_ordinary_do_no_harm),
        TEST(tenants_own_keys_are_not_folded),
        TEST(a_stream_that_runs_says_its_throughput_and_nothing_else),
        TEST(is_bounded),
        TEST(a_full_fold_fits_a_beat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
