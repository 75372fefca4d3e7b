/* tests/fuzz/proto/fuzz_welcome.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(welcome)
