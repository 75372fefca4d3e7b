/* tests/fuzz/proto/fuzz_answer.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(answer)
