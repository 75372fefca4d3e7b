/* tests/fuzz/proto/fuzz_heartbeat.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(heartbeat)
