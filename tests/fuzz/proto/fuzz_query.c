/* tests/fuzz/proto/fuzz_query.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(query)
