/* tests/fuzz/common/fuzz_sse.c - any bytes, cut in three ways, must give the
 * same events. */
#include <stdint.h>

#include "tests/lib/sse_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1 << 20, 1, 7};
    struct sb_buf logs[3];

    if (size > 4096)
        return 0;
    for (int i = 0; i < 3; i++) {
        logs[i] = sse_run(sb_slice_make(data, size), pieces[i], 256);
        if (!sb_slice_eq(sb_buf_slice(&logs[i]), sb_buf_slice(&logs[0])))
            abort();
    }
    for (int i = 0; i < 3; i++)
        sb_buf_release(&logs[i]);
    return 0;
}
