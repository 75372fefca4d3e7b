/* tests/fuzz/proto/fuzz_ack.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(ack)
