/* tests/fuzz/proto/fuzz_tables.c */
#include "proto/tables.h"
#include "tests/lib/fuzz_message.h"

FUZZ_ROWS(tables)
