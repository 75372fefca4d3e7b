/* tests/unit/controlplane/test_probe_sample.c */
#include "controlplane/probes/probe_sample.h"

#include "common/err.h"
#include "common/retry_after.h"
#include "controlplane/mail.h"
#include "controlplane/probes/fetch.h"
#include "controlplane/probes/probe_answer.h"
#include "proto/sketch.h"
#include "proto/tariff.h"
#include "tests/lib/test.h"

#define CONTENT "data: {\"choices\":[{\"delta\":{\"content\":\"1\"}}]}\n\n"
#define LAST    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE   "data: {\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n"

enum { REQUEST_BYTES = 200 };

static const struct msg_prices prices = {.at = {[MSG_PRICE_PROMPT] = 3,
                                                [MSG_PRICE_COMPLETION] = 7,
                                                [MSG_PRICE_CACHE_READ] = -1,
                                                [MSG_PRICE_CACHE_WRITE] = -1,
                                                [MSG_PRICE_REASONING] = -1}};

/* Between 01:00 and 02:00 a completion is dearer. */
static const struct msg_override overrides[] = {
    {.from = 60, .until = 120, .price = {-1, 70, -1, -1, -1, -1, -1, -1, -1, -1, -1}}};
static const struct msg_tariff tariff = {
    .price = prices.at, .overrides = overrides, .n_overrides = SB_ARRAY_LEN(overrides)};

static struct cp_probe conclude_at(sb_usec at, const struct cp_fetch_end *end, const char *text)
{
    struct cp_probe probe = {.endpoint = 5, .reserved = 1000, .started_at = at};
    struct cp_probe_answer answer;

    cp_probe_answer_init(&answer);
    (void)!cp_probe_answer_take(&answer, sb_slice_of(text), 300);
    cp_probe_conclude(&probe, end, &answer, REQUEST_BYTES, &tariff);
    cp_probe_answer_release(&answer);
    return probe;
}

static struct cp_probe conclude(const struct cp_fetch_end *end, const char *text)
{
    return conclude_at(0, end, text);
}

static void what_it_costs_depends_on_the_hour_when_it_was_started(void **state)
{
    static const struct cp_fetch_end end = {
        .outcome = MSG_OUTCOME_SUCCESS, .was_sent = true, .status = 200};

    (void)state;
    assert_int_equal(conclude_at(3599999999, &end, CONTENT LAST USAGE).cost, 10 * 3 + 4 * 7);
    assert_int_equal(conclude_at(3600000000, &end, CONTENT LAST USAGE).cost, 10 * 3 + 4 * 70);
}

static void what_it_costs_depends_on_how_far_it_came(void **state)
{
    static const struct {
        struct cp_fetch_end end;
        const char *text;
        enum msg_outcome outcome;
        int64_t cost;
    } cases[] = {
        {{.outcome = MSG_OUTCOME_SUCCESS, .was_sent = true, .status = 200},
         CONTENT LAST USAGE,
         MSG_OUTCOME_SUCCESS,
         10 * 3 + 4 * 7},
        {{.outcome = MSG_OUTCOME_SUCCESS, .was_sent = true, .status = 200},
         CONTENT LAST,
         MSG_OUTCOME_SUCCESS,
         REQUEST_BYTES / 4 * 3 + 7},
        {{.outcome = MSG_OUTCOME_SUCCESS, .was_sent = true, .status = 503},
         "",
         MSG_OUTCOME_SERVER_ERROR,
         0},
        {{.outcome = MSG_OUTCOME_SUCCESS, .was_sent = true, .status = 429},
         "",
         MSG_OUTCOME_RATE_LIMITED,
         0},
        {{.outcome = MSG_OUTCOME_CONNECT_FAILED}, "", MSG_OUTCOME_CONNECT_FAILED, 0},
        {{.outcome = MSG_OUTCOME_DNS_FAILED}, "", MSG_OUTCOME_DNS_FAILED, 0},
        /* sent, and nobody knows: the prompt */
        {{.outcome = MSG_OUTCOME_FIRST_TOKEN_TIMEOUT, .was_sent = true},
         "",
         MSG_OUTCOME_FIRST_TOKEN_TIMEOUT,
         REQUEST_BYTES / 4 * 3},
        {{.outcome = MSG_OUTCOME_RESET, .was_sent = true, .status = 200},
         CONTENT,
         MSG_OUTCOME_STREAM_CUT,
         REQUEST_BYTES / 4 * 3 + 7},
        {{.outcome = MSG_OUTCOME_ATTEMPT_TIMEOUT, .was_sent = true, .status = 200},
         CONTENT,
         MSG_OUTCOME_STREAM_STALLED,
         REQUEST_BYTES / 4 * 3 + 7},
        {{.outcome = MSG_OUTCOME_BAD_ANSWER, .was_sent = true, .status = 200, .is_too_big = true},
         "",
         MSG_OUTCOME_BAD_ANSWER,
         REQUEST_BYTES / 4 * 3},
        /* reset after the finish reason: it was whole */
        {{.outcome = MSG_OUTCOME_RESET, .was_sent = true, .status = 200},
         CONTENT LAST USAGE,
         MSG_OUTCOME_SUCCESS,
         10 * 3 + 4 * 7},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        struct cp_probe probe = conclude(&cases[i].end, cases[i].text);

        if (probe.outcome != cases[i].outcome || probe.cost != cases[i].cost)
            fail_msg("case %zu: %s, %ld", i, msg_outcome_name((int)probe.outcome),
                     (long)probe.cost);
    }
}

static void the_first_token_counts_from_when_the_request_could_be_sent(void **state)
{
    const struct cp_fetch_end end = {.outcome = MSG_OUTCOME_SUCCESS,
                                     .was_sent = true,
                                     .status = 200,
                                     .connect = 190000,
                                     .ready = 200000,
                                     .took = 400000};
    struct cp_probe probe = conclude(&end, CONTENT LAST);

    (void)state;
    assert_int_equal(probe.first_token, 100000);
    assert_int_equal(probe.connect, 190000);
    assert_int_equal(probe.took, 400000);
}

static double median(struct sb_slice bytes)
{
    struct sb_sketch sketch;
    double value;

    sb_sketch_init(&sketch);
    assert_int_equal(msg_sketch_decode(bytes, &sketch), SB_OK);
    value = sb_sketch_quantile(&sketch, 0.5);
    sb_sketch_release(&sketch);
    return value;
}

static void a_sample_says_what_a_beat_would(void **state)
{
    struct cp_probe probe = {.endpoint = 5,
                             .outcome = MSG_OUTCOME_SUCCESS,
                             .first_token = 440000,
                             .throughput = 255000,
                             .usage = {.prompt_tokens = 10, .completion_tokens = 4},
                             .cost = 9,
                             .retry_after = 5000};
    struct cp_samples *samples = cp_probe_sample(&probe, 77);

    (void)state;
    assert_int_equal(samples->source, CP_SAMPLE_PROBE);
    assert_int_equal(samples->n_rows, 1);
    assert_int_equal(samples->rows[0].endpoint, 5);
    assert_int_equal(samples->rows[0].second, 77);
    assert_int_equal(samples->rows[0].successes, 1);
    assert_int_equal(samples->rows[0].faults, 0);
    assert_int_equal(samples->rows[0].retry_after, 0); /* only a 429 asks to be left alone */
    assert_int_equal(samples->rows[0].cost, 9);
    assert_float_equal(median(samples->rows[0].first_token), 440, 5);
    /* 256 tokens in 0.44 s and 1 s */
    assert_float_equal(median(samples->rows[0].throughput), 177.8, 2);
    cp_mail_free(&samples->mail);
}

static void faults_and_limits_are_told_apart(void **state)
{
    struct cp_probe probe = {
        .endpoint = 5, .outcome = MSG_OUTCOME_RATE_LIMITED, .retry_after = 5000};
    struct cp_samples *samples = cp_probe_sample(&probe, 1);

    (void)state;
    assert_int_equal(samples->rows[0].rate_limited, 1);
    assert_int_equal(samples->rows[0].faults + samples->rows[0].successes, 0);
    assert_int_equal(samples->rows[0].retry_after, 5000);
    assert_int_equal(samples->rows[0].first_token.n + samples->rows[0].throughput.n, 0);
    cp_mail_free(&samples->mail);
    probe.retry_after = 0;
    samples = cp_probe_sample(&probe, 1);
    assert_int_equal(samples->rows[0].retry_after, SB_RETRY_AFTER_UNSAID);
    cp_mail_free(&samples->mail);
    probe.outcome = MSG_OUTCOME_TLS_FAILED;
    samples = cp_probe_sample(&probe, 1);
    assert_int_equal(samples->rows[0].faults, 1);
    cp_mail_free(&samples->mail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_costs_depends_on_how_far_it_came),
        cmocka_unit_test(what_it_costs_depends_on_the_hour_when_it_was_started),
        cmocka_unit_test(the_first_token_counts_from_when_the_request_could_be_sent),
        cmocka_unit_test(a_sample_says_what_a_beat_would),
        cmocka_unit_test(faults_and_limits_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
