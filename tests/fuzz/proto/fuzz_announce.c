/* tests/fuzz/proto/fuzz_announce.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(announce)
