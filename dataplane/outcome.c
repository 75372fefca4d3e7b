/* dataplane/outcome.c - the rows in the order of the page. */
#include "dataplane/outcome.h"

#include "common/check.h"

#define FAULT   DP_BREAKER_FAULT
#define NEITHER DP_BREAKER_NEITHER

static const struct dp_meaning meanings[] = {
    [MSG_OUTCOME_SUCCESS] = {DP_BREAKER_OK, DP_NEXT_NONE, false, false},
    [MSG_OUTCOME_CONNECT_FAILED] = {FAULT, DP_NEXT_ENDPOINT, true, false},
    [MSG_OUTCOME_CONNECT_TIMEOUT] = {FAULT, DP_NEXT_ENDPOINT, true, false},
    [MSG_OUTCOME_TLS_FAILED] = {FAULT, DP_NEXT_ENDPOINT, true, false},
    [MSG_OUTCOME_DNS_FAILED] = {FAULT, DP_NEXT_ENDPOINT, true, false},
    [MSG_OUTCOME_RESET] = {FAULT, DP_NEXT_ENDPOINT, true, false},
    [MSG_OUTCOME_SERVER_ERROR] = {FAULT, DP_NEXT_ENDPOINT, true, false},
    [MSG_OUTCOME_BUSY] = {NEITHER, DP_NEXT_ENDPOINT, true, false},
    [MSG_OUTCOME_CREDENTIAL] = {FAULT, DP_NEXT_ENDPOINT, false, true},
    [MSG_OUTCOME_NOT_OFFERED] = {FAULT, DP_NEXT_ENDPOINT, false, false},
    [MSG_OUTCOME_RATE_LIMITED] = {NEITHER, DP_NEXT_ENDPOINT, false, true},
    [MSG_OUTCOME_FIRST_TOKEN_TIMEOUT] = {FAULT, DP_NEXT_ENDPOINT, false, false},
    [MSG_OUTCOME_ATTEMPT_TIMEOUT] = {FAULT, DP_NEXT_ENDPOINT, false, false},
    [MSG_OUTCOME_BAD_ANSWER] = {FAULT, DP_NEXT_ENDPOINT, false, false},
    [MSG_OUTCOME_CONTEXT_LENGTH] = {NEITHER, DP_NEXT_LARGER, false, false},
    [MSG_OUTCOME_REFUSED] = {NEITHER, DP_NEXT_NONE, false, false},
    [MSG_OUTCOME_BAD_REQUEST] = {NEITHER, DP_NEXT_MODEL, false, false},
    [MSG_OUTCOME_CLIENT_GONE] = {NEITHER, DP_NEXT_NONE, false, false},
    [MSG_OUTCOME_STREAM_CUT] = {FAULT, DP_NEXT_NONE, false, false},
    [MSG_OUTCOME_STREAM_STALLED] = {FAULT, DP_NEXT_NONE, false, false},
    [MSG_OUTCOME_DEADLINE] = {NEITHER, DP_NEXT_NONE, false, false},
    [MSG_OUTCOME_SHUTDOWN] = {NEITHER, DP_NEXT_NONE, false, false},
    /* ours, not the provider's: descriptors, max_in_flight */
    [MSG_OUTCOME_OVERLOADED] = {NEITHER, DP_NEXT_ENDPOINT, true, false},
    [MSG_OUTCOME_INTERNAL] = {NEITHER, DP_NEXT_NONE, false, false},
};

const struct dp_meaning *dp_outcome_meaning(enum msg_outcome outcome)
{
    SB_BUG_ON((size_t)outcome >= SB_ARRAY_LEN(meanings));
    return &meanings[outcome];
}
