/* tests/fuzz/proto/fuzz_promise.c - the value of a receipt's header from anybody.
 * What opens lies within the text, and is what the same bytes give again; a text
 * that is refused leaves nothing behind. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "proto/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_slice text = sb_slice_make(data, size);
    struct sb_buf json = {.limit = 1 << 20}, again = {.limit = 1 << 20};
    struct msg_promise promise, same;
    struct sb_errmsg err = {.text = ""};
    int rc = msg_promise_open(text, &json, &promise, &err);

    if (rc != SB_OK) {
        if (sb_buf_len(&json) != 0 || err.text[0] == '\0')
            abort();
    } else {
        if (size > MSG_PROMISE_MAX || promise.is_signed.p != text.p ||
            promise.is_signed.n >= text.n || text.p[promise.is_signed.n] != '.')
            abort();
        if (sb_buf_len(&json) > promise.is_signed.n)
            abort();
        if (msg_promise_open(text, &again, &same, NULL) != SB_OK ||
            !sb_slice_eq(sb_buf_slice(&json), sb_buf_slice(&again)) ||
            memcmp(promise.signature, same.signature, sizeof(same.signature)) != 0)
            abort();
    }
    sb_buf_release(&json);
    sb_buf_release(&again);
    return 0;
}
