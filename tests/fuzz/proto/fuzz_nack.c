/* tests/fuzz/proto/fuzz_nack.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(nack)
