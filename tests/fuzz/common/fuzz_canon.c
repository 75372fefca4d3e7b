/* tests/fuzz/common/fuzz_canon.c - what was made canonical is canonical, and
 * says the same. */
#include <stdint.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/canon.h"
#include "common/err.h"
#include "common/json.h"

enum { MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_buf once, twice;
    yyjson_doc *doc = NULL, *again = NULL;
    struct sb_slice text = sb_slice_make(data, size);

    sb_buf_init(&once, MAX);
    sb_buf_init(&twice, MAX);
    if (sb_canon_json(&once, text) == SB_OK) {
        if (sb_canon_json(&twice, sb_buf_slice(&once)) != SB_OK ||
            !sb_slice_eq(sb_buf_slice(&once), sb_buf_slice(&twice)))
            abort();
        if (sb_json_read_raw(text, &doc) != SB_OK ||
            sb_json_read_raw(sb_buf_slice(&once), &again) != SB_OK ||
            !yyjson_equals(yyjson_doc_get_root(doc), yyjson_doc_get_root(again)))
            abort();
        sb_json_free(&doc);
        sb_json_free(&again);
    }
    sb_buf_release(&once);
    sb_buf_release(&twice);
    return 0;
}
