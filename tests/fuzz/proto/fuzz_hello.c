/* tests/fuzz/proto/fuzz_hello.c */
#include "proto/bus.h"
#include "tests/lib/fuzz_message.h"

FUZZ_PLAIN(hello)
