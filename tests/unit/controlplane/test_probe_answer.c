/* tests/unit/controlplane/test_probe_answer.c */
#include "controlplane/probes/probe_answer.h"

#include "common/err.h"
#include "tests/lib/test.h"

#define CHUNK(delta)                                                                               \
    "data: {\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}\n\n"
#define LAST "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE                                                                                      \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,"                \
    "\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens_details\":null}}\n\n"
#define DONE "data: [DONE]\n\n"

static struct cp_probe_answer answer;

static int set_up(void **state)
{
    (void)state;
    cp_probe_answer_init(&answer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_probe_answer_release(&answer);
    return 0;
}

static int take(const char *text, sb_msec at)
{
    return cp_probe_answer_take(&answer, sb_slice_of(text), at);
}

static void a_whole_answer_is_measured(void **state)
{
    (void)state;
    assert_int_equal(take(": hello\n\n" CHUNK("{\"role\":\"assistant\",\"content\":\"\"}"), 90),
                     SB_OK);
    assert_false(answer.has_content);
    assert_int_equal(take(CHUNK("{\"content\":\"1\"}"), 100), SB_OK);
    assert_int_equal(take(CHUNK("{\"content\":\" 2\"}"), 120), SB_OK);
    assert_int_equal(take(CHUNK("{\"content\":\" 3\"}") LAST USAGE, 140), SB_OK);
    assert_int_equal(take(DONE, 150), SB_EEOF);
    assert_int_equal(cp_probe_answer_end(&answer, 100), MSG_OUTCOME_SUCCESS);
    assert_int_equal(answer.first_at, 100);
    assert_int_equal(answer.usage.prompt_tokens, 9);
    assert_int_equal(answer.usage.completion_tokens, 5);
    assert_int_equal(answer.usage.cached_tokens, 4);
    assert_int_equal(answer.usage.source, MSG_USAGE_SOURCE_PROVIDER);
    /* four tokens after the first in 40 ms */
    assert_int_equal(cp_probe_answer_throughput(&answer), 100000);
}

static enum msg_outcome embedding(const char *text)
{
    cp_probe_answer_release(&answer);
    cp_probe_answer_init(&answer);
    cp_probe_answer_take_embedding(&answer, sb_slice_of(text), 70);
    return cp_probe_answer_end(&answer, 41);
}

static void an_embedding_counts_when_it_is_whole(void **state)
{
    (void)state;
    assert_int_equal(embedding("{\"data\":[{\"embedding\":[0.5,-1]}],"
                               "\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}}"),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(answer.first_at, 70);
    assert_int_equal(answer.usage.prompt_tokens, 3);
    assert_int_equal(answer.usage.completion_tokens, 0);
    assert_int_equal(answer.usage.source, MSG_USAGE_SOURCE_PROVIDER);
    assert_int_equal(cp_probe_answer_throughput(&answer), 0);
    assert_int_equal(embedding("{\"data\":[{\"embedding\":\"AAAAPw==\"}]}"), MSG_OUTCOME_SUCCESS);
    assert_int_equal(answer.usage.prompt_tokens, 11); /* of 41 bytes */
    assert_int_equal(answer.usage.completion_tokens, 0);
    assert_int_equal(answer.usage.source, MSG_USAGE_SOURCE_ESTIMATED);
}

static void what_is_no_embedding_is_a_bad_answer(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"data\":[{\"embedding\":[0.5",
        "{\"data\":[]}",
        "{\"data\":{}}",
        "{\"data\":[{}]}",
        "{\"data\":[{\"embedding\":[]}]}",
        "{\"data\":[{\"embedding\":[\"x\"]}]}",
        "{\"data\":[{\"embedding\":\"\"}]}",
        "{\"data\":[{\"embedding\":{\"a\":1}}]}",
        "{\"data\":[{\"embedding\":7}]}",
        "{\"data\":[{\"embedding\":[1]}],\"error\":{\"message\":\"no\"}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (embedding(texts[i]) != MSG_OUTCOME_BAD_ANSWER)
            fail_msg("%s was taken", texts[i]);
}

static void the_pieces_may_be_cut_anywhere(void **state)
{
    static const char text[] =
        CHUNK("{\"content\":\"1\"}") CHUNK("{\"content\":\"2\"}") LAST USAGE DONE;

    (void)state;
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        cp_probe_answer_release(&answer);
        cp_probe_answer_init(&answer);
        assert_int_equal(cp_probe_answer_take(&answer, sb_slice_make(text, cut), 1), SB_OK);
        assert_int_equal(cp_probe_answer_take(&answer, sb_slice_from(SB_SLICE_LIT(text), cut), 2),
                         SB_EEOF);
        assert_int_equal(cp_probe_answer_end(&answer, 100), MSG_OUTCOME_SUCCESS);
        assert_int_equal(answer.pieces, 2);
        assert_int_equal(answer.usage.completion_tokens, 5);
    }
}

static void what_an_answer_amounts_to(void **state)
{
    static const struct {
        const char *text;
        enum msg_outcome outcome;
    } cases[] = {
        {"", MSG_OUTCOME_BAD_ANSWER},
        {DONE, MSG_OUTCOME_BAD_ANSWER},
        {"<html>busy</html>", MSG_OUTCOME_BAD_ANSWER},
        {"{\"choices\":[{\"message\":{\"content\":\"1\"}}]}", MSG_OUTCOME_BAD_ANSWER},
        {"data: {\"error\":{\"message\":\"no\"}}\n\n", MSG_OUTCOME_BAD_ANSWER},
        {"data: nonsense\n\n" DONE, MSG_OUTCOME_BAD_ANSWER},
        {"data: {\"choices\":7}\n\n" DONE, MSG_OUTCOME_BAD_ANSWER},
        {CHUNK("{\"role\":\"assistant\"}") DONE, MSG_OUTCOME_BAD_ANSWER},
        {LAST, MSG_OUTCOME_SUCCESS}, /* an empty answer that is whole */
        {CHUNK("{\"content\":\"1\"}"), MSG_OUTCOME_STREAM_CUT},
        {CHUNK("{\"content\":\"1\"}") DONE, MSG_OUTCOME_STREAM_CUT},
        {CHUNK("{\"content\":\"1\"}") "data: {\"error\":{\"code\":500}}\n\n" LAST,
         MSG_OUTCOME_STREAM_CUT},
        {CHUNK("{\"content\":\"1\"}") "data: {{{\n\n" LAST DONE, MSG_OUTCOME_SUCCESS},
        {CHUNK("{\"reasoning\":\"hm\"}") LAST, MSG_OUTCOME_SUCCESS},
        {CHUNK("{\"refusal\":\"no\"}") LAST, MSG_OUTCOME_SUCCESS},
        {CHUNK("{\"tool_calls\":[{\"index\":0}]}") LAST, MSG_OUTCOME_SUCCESS},
        /* the last event without its empty line */
        {CHUNK("{\"content\":\"1\"}") "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}",
         MSG_OUTCOME_SUCCESS},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        enum msg_outcome outcome;

        cp_probe_answer_release(&answer);
        cp_probe_answer_init(&answer);
        (void)!take(cases[i].text, 5);
        outcome = cp_probe_answer_end(&answer, 100);
        if (outcome != cases[i].outcome)
            fail_msg("%s: %s", cases[i].text, msg_outcome_name((int)outcome));
    }
}

static void usage_that_is_missing_or_nonsense_is_estimated(void **state)
{
    static const char *const usages[] = {
        "",
        "data: {\"usage\":null}\n\n",
        "data: {\"usage\":7}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":-3}}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1e9}}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":999999999999}}\n\n",
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(usages); i++) {
        cp_probe_answer_release(&answer);
        cp_probe_answer_init(&answer);
        assert_int_equal(take(CHUNK("{\"content\":\"1\"}") LAST, 5), SB_OK);
        assert_int_equal(take(usages[i], 6), SB_OK);
        assert_int_equal(cp_probe_answer_end(&answer, 101), MSG_OUTCOME_SUCCESS);
        assert_int_equal(answer.usage.source, MSG_USAGE_SOURCE_ESTIMATED);
        assert_int_equal(answer.usage.prompt_tokens, 26);
        assert_int_equal(answer.usage.completion_tokens, 1);
    }
}

static void an_endless_answer_ends(void **state)
{
    char big[4096];
    int rc = SB_OK;

    (void)state;
    memset(big, 'x', sizeof(big));
    for (unsigned i = 0; rc == SB_OK; i++) {
        rc = cp_probe_answer_take(&answer, sb_slice_make(big, sizeof(big)), 1);
        assert_true(i <= CP_PROBE_ANSWER_MAX / sizeof(big) + 1);
    }
    assert_int_equal(rc, SB_EPARSE);
    assert_int_equal(cp_probe_answer_end(&answer, 100), MSG_OUTCOME_BAD_ANSWER);
}

static void too_little_gives_no_rate(void **state)
{
    (void)state;
    assert_int_equal(cp_probe_answer_throughput(&answer), 0);
    assert_int_equal(take(CHUNK("{\"content\":\"1 2 3 4 5\"}") LAST USAGE, 100), SB_OK);
    assert_int_equal(cp_probe_answer_throughput(&answer), 0); /* all at once */
    assert_int_equal(take(CHUNK("{\"content\":\"6\"}"), 101), SB_OK);
    assert_int_equal(cp_probe_answer_throughput(&answer), 0); /* as good as */
}

static void statuses_are_outcomes(void **state)
{
    static const struct {
        unsigned status;
        enum msg_outcome outcome;
    } cases[] = {
        {301, MSG_OUTCOME_BAD_ANSWER},   {400, MSG_OUTCOME_BAD_REQUEST},
        {401, MSG_OUTCOME_CREDENTIAL},   {402, MSG_OUTCOME_CREDENTIAL},
        {404, MSG_OUTCOME_NOT_OFFERED},  {408, MSG_OUTCOME_SERVER_ERROR},
        {409, MSG_OUTCOME_BUSY},         {422, MSG_OUTCOME_BAD_REQUEST},
        {429, MSG_OUTCOME_RATE_LIMITED}, {500, MSG_OUTCOME_SERVER_ERROR},
        {503, MSG_OUTCOME_SERVER_ERROR}, {204, MSG_OUTCOME_BAD_ANSWER},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++)
        assert_int_equal(cp_probe_outcome_of_status(cases[i].status), cases[i].outcome);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_answer_is_measured),
        TEST(an_embedding_counts_when_it_is_whole),
        TEST(what_is_no_embedding_is_a_bad_answer),
        TEST(the_pieces_may_be_cut_anywhere),
        TEST(what_an_answer_amounts_to),
        TEST(usage_that_is_missing_or_nonsense_is_estimated),
        TEST(an_endless_answer_ends),
        TEST(too_little_gives_no_rate),
        TEST(statuses_are_outcomes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
