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
