/* tests/fuzz/proto/fuzz_record.c */
#include "proto/record.h"
#include "tests/lib/fuzz_message.h"

FUZZ_ROWS(record)
