/* tests/fuzz/proto/fuzz_beat.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_ROWS(beat)
