/* tests/fuzz/proto/fuzz_binding.c - the origin of a base URL.
 *
 * A URL that has an origin has it with anything after a slash, too, and the
 * origin itself, read as a URL, has the same. */
#include "common/check.h"
#include "common/err.h"
#include "proto/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int bind_url(struct sb_slice url, struct sb_buf *out)
{
    return msg_credential_binding(1, SB_SLICE_NONE, SB_SLICE_LIT("p"), url, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    SB_CLEANUP(sb_buf_release) struct sb_buf again;
    struct sb_slice origin;

    sb_buf_init(&text, 8192);
    sb_buf_init(&again, 8192);
    if (size > MSG_URL_MAX - 8 || /* room for the port that is added */
        bind_url(sb_slice_make(data, size), &text) != SB_OK)
        return 0;
    origin = sb_buf_slice(&text);
    SB_BUG_ON(origin.p == NULL || origin.n == 0 || origin.p[origin.n - 1] != '\n');
    origin.n--;
    origin = sb_slice_from(origin, sizeof("switchboard credential 1\nid 1\ntenant 0:\n"
                                          "provider 1:p\norigin ") -
                                       1);
    SB_BUG_ON(bind_url(origin, &again) != SB_OK);
    SB_BUG_ON(!sb_slice_eq(sb_buf_slice(&text), sb_buf_slice(&again)));
    return 0;
}
