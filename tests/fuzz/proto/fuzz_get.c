/* tests/fuzz/proto/fuzz_get.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(get)
