/* tests/fuzz/proto/fuzz_batch_bulk.c - the walk over the records of a batch. */
#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "proto/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf again;
    struct sb_slice bulk = sb_slice_make(data, size), record;
    size_t walked;
    int rc;

    sb_buf_init(&again, size);
    while ((rc = msg_batch_next(&bulk, &record)) == SB_OK)
        SB_BUG_ON(msg_batch_append(&again, record) != SB_OK);
    walked = size - bulk.n;
    SB_BUG_ON(rc == SB_EEOF && bulk.n > 0);
    SB_BUG_ON(!sb_slice_eq(sb_buf_slice(&again), sb_slice_make(data, walked)));
    return 0;
}
