/* tests/fuzz/proto/fuzz_envelope.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(envelope)
