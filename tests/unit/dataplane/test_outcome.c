/* tests/unit/dataplane/test_outcome.c - the table of ROUTING.md 8. */
#include "dataplane/outcome.h"

#include "tests/lib/test.h"

static void what_is_not_the_endpoints_fault_never_opens_its_breaker(void **state)
{
    static const enum msg_outcome innocent[] = {
        MSG_OUTCOME_BUSY,     MSG_OUTCOME_RATE_LIMITED, MSG_OUTCOME_CONTEXT_LENGTH,
        MSG_OUTCOME_REFUSED,  MSG_OUTCOME_BAD_REQUEST,  MSG_OUTCOME_CLIENT_GONE,
        MSG_OUTCOME_DEADLINE, MSG_OUTCOME_SHUTDOWN,     MSG_OUTCOME_OVERLOADED,
        MSG_OUTCOME_INTERNAL,
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(innocent); i++)
        assert_int_equal(dp_outcome_meaning(innocent[i])->verdict, DP_BREAKER_NEITHER);
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_SUCCESS)->verdict, DP_BREAKER_OK);
}

static void a_silent_or_broken_endpoint_is_never_tried_again(void **state)
{
    static const enum msg_outcome never[] = {
        MSG_OUTCOME_CREDENTIAL,      MSG_OUTCOME_NOT_OFFERED, MSG_OUTCOME_FIRST_TOKEN_TIMEOUT,
        MSG_OUTCOME_ATTEMPT_TIMEOUT, MSG_OUTCOME_BAD_ANSWER,
    };
    static const enum msg_outcome again[] = {
        MSG_OUTCOME_CONNECT_FAILED, MSG_OUTCOME_CONNECT_TIMEOUT, MSG_OUTCOME_TLS_FAILED,
        MSG_OUTCOME_DNS_FAILED,     MSG_OUTCOME_RESET,           MSG_OUTCOME_SERVER_ERROR,
        MSG_OUTCOME_BUSY,
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(never); i++) {
        assert_false(dp_outcome_meaning(never[i])->again);
        assert_int_equal(dp_outcome_meaning(never[i])->verdict, DP_BREAKER_FAULT);
        assert_int_equal(dp_outcome_meaning(never[i])->next, DP_NEXT_ENDPOINT);
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(again); i++) {
        assert_true(dp_outcome_meaning(again[i])->again);
        assert_int_equal(dp_outcome_meaning(again[i])->next, DP_NEXT_ENDPOINT);
    }
}

static void a_fault_of_the_request_does_not_wander_through_the_endpoints(void **state)
{
    (void)state;
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_CONTEXT_LENGTH)->next, DP_NEXT_LARGER);
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_REFUSED)->next, DP_NEXT_NONE);
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_BAD_REQUEST)->next, DP_NEXT_MODEL);
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_CLIENT_GONE)->next, DP_NEXT_NONE);
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_STREAM_CUT)->next, DP_NEXT_NONE);
}

static void a_key_that_is_not_taken_is_followed_by_its_sister(void **state)
{
    (void)state;
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_CREDENTIAL)->other_key, DP_OTHER_KEY_NEXT);
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_RATE_LIMITED)->other_key, DP_OTHER_KEY_NEXT);
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_NOT_OFFERED)->other_key, DP_OTHER_KEY_LATER);
    assert_int_equal(dp_outcome_meaning(MSG_OUTCOME_SERVER_ERROR)->other_key, DP_OTHER_KEY_LATER);
}

static void no_key_helps_against_silence_or_a_way_that_is_closed(void **state)
{
    static const enum msg_outcome never[] = {
        MSG_OUTCOME_CONNECT_FAILED, MSG_OUTCOME_CONNECT_TIMEOUT,     MSG_OUTCOME_TLS_FAILED,
        MSG_OUTCOME_DNS_FAILED,     MSG_OUTCOME_FIRST_TOKEN_TIMEOUT, MSG_OUTCOME_ATTEMPT_TIMEOUT,
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(never); i++)
        assert_int_equal(dp_outcome_meaning(never[i])->other_key, DP_OTHER_KEY_NEVER);
}

/* Of an attempt: those of requests have no meaning here. */
static void the_control_plane_holds_the_same_for_faults(void **state)
{
    (void)state;
    for (int outcome = MSG_OUTCOME_SUCCESS; outcome <= MSG_OUTCOME_SHUTDOWN; outcome++)
        assert_int_equal(msg_outcome_is_fault((enum msg_outcome)outcome),
                         dp_outcome_meaning((enum msg_outcome)outcome)->verdict ==
                             DP_BREAKER_FAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_the_endpoints_fault_never_opens_its_breaker),
        cmocka_unit_test(a_silent_or_broken_endpoint_is_never_tried_again),
        cmocka_unit_test(a_fault_of_the_request_does_not_wander_through_the_endpoints),
        cmocka_unit_test(a_key_that_is_not_taken_is_followed_by_its_sister),
        cmocka_unit_test(no_key_helps_against_silence_or_a_way_that_is_closed),
        cmocka_unit_test(the_control_plane_holds_the_same_for_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
