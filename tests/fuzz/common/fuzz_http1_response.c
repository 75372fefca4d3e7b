/* tests/fuzz/common/fuzz_http1_response.c - any bytes, cut in three ways, must
 * be read alike; the last bit says whether they answer HEAD. */
#include <stdint.h>

#include "tests/lib/http1_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 7};
    struct http1_run runs[3];

    if (size > 4096)
        return 0;
    for (int i = 0; i < 3; i++) {
        runs[i] = (struct http1_run){
            .limits = {.target_bytes = 128, .head_bytes = 512, .body_bytes = 512},
            .any_error = true,
            .answers_head = size > 0 && data[size - 1] == '#'};
        http1_run(&runs[i], SB_HTTP1_RESPONSE, sb_slice_make(data, size), pieces[i]);
        if (!sb_slice_eq(sb_buf_slice(&runs[i].log), sb_buf_slice(&runs[0].log)))
            abort();
    }
    for (int i = 0; i < 3; i++)
        http1_run_release(&runs[i]);
    return 0;
}
