/* proto/vocabulary.c */
#include "proto/vocabulary.h"

/* Names are asked for in logs, metrics and answers: a switch compiles to a
 * table.  Parsing compares lengths first, so that a list of thirty words is a
 * handful of comparisons. */
#define X(name, number, text)                                                                      \
    case (number):                                                                                 \
        return text;
#define DEFINE_NAME(list, LIST)                                                                    \
    const char *msg_##list##_name(int number)                                                      \
    {                                                                                              \
        switch (number) {                                                                          \
            MSG_##LIST##_MAP(X) default : return "unknown";                                        \
        }                                                                                          \
    }
MSG_LISTS(DEFINE_NAME)
#undef X

#define X(name, number, word)                                                                      \
    if (sb_slice_eq(text, SB_SLICE_LIT(word)))                                                     \
        return number;
#define DEFINE_PARSE(list, LIST)                                                                   \
    int msg_##list##_parse(struct sb_slice text)                                                   \
    {                                                                                              \
        MSG_##LIST##_MAP(X) return -1;                                                             \
    }
MSG_LISTS(DEFINE_PARSE)
#undef X

bool msg_outcome_is_fault(enum msg_outcome outcome)
{
    switch ((int)outcome) {
    case MSG_OUTCOME_CONNECT_FAILED:
    case MSG_OUTCOME_CONNECT_TIMEOUT:
    case MSG_OUTCOME_TLS_FAILED:
    case MSG_OUTCOME_DNS_FAILED:
    case MSG_OUTCOME_RESET:
    case MSG_OUTCOME_SERVER_ERROR:
    case MSG_OUTCOME_CREDENTIAL:
    case MSG_OUTCOME_NOT_OFFERED:
    case MSG_OUTCOME_FIRST_TOKEN_TIMEOUT:
    case MSG_OUTCOME_ATTEMPT_TIMEOUT:
    case MSG_OUTCOME_BAD_ANSWER:
    case MSG_OUTCOME_STREAM_CUT:
    case MSG_OUTCOME_STREAM_STALLED:
        return true;
    default:
        return false;
    }
}
