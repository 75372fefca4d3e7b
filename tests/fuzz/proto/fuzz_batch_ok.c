/* tests/fuzz/proto/fuzz_batch_ok.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(batch_ok)
