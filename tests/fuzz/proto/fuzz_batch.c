/* tests/fuzz/proto/fuzz_batch.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(batch)
