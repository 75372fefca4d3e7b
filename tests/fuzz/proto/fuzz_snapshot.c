/* tests/fuzz/proto/fuzz_snapshot.c */
#include "proto/snapshot.h"
#include "tests/lib/fuzz_message.h"

FUZZ_MESSAGE(struct msg_snapshot *, msg_snapshot_decode(bytes, arena, &msg, NULL),
             msg_snapshot_encode(msg, out, NULL))
