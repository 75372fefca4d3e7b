/* tests/fuzz/common/fuzz_json.c - what can be read can be written and read
 * again; and any bytes, written as a string, come back as a string. */
#include <stdint.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"

enum { MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static yyjson_doc *write_and_read(yyjson_val *value, struct sb_slice text)
{
    yyjson_doc *again;
    struct sb_buf out;
    struct sb_json json;

    sb_buf_init(&out, (size_t)16 * MAX);
    sb_json_init(&json, &out);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "text", text);
    sb_json_name(&json, text); /* which may be "text", too */
    sb_json_put_value(&json, value);
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK)
        abort();
    /* One level more than what was read may have had. */
    if (sb_json_read(sb_buf_slice(&out), (size_t)16 * MAX, &again, NULL) != SB_OK)
        again = NULL;
    sb_buf_release(&out);
    return again;
}

static size_t characters_of(struct sb_slice text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80 ? 1 : 0;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_slice text = sb_slice_make(data, size);
    struct sb_errmsg err = {.text = ""};
    yyjson_doc *doc = NULL, *again;
    int rc = sb_json_read(text, MAX, &doc, &err);

    if (size <= MAX && rc != SB_OK && err.text[0] == '\0')
        abort(); /* it must say why */
    if (size <= MAX / 8) {
        again = write_and_read(yyjson_doc_get_root(doc), text);
        if (again == NULL) {
            if (rc != SB_OK) /* null was written: nothing could fail */
                abort();
        } else {
            yyjson_val *root = yyjson_doc_get_root(again);
            struct sb_slice got = sb_json_text(yyjson_obj_get(root, "text"));

            if (yyjson_obj_size(root) != 2 || characters_of(got) < characters_of(text))
                abort();
        }
        sb_json_free(&again);
    }
    sb_json_free(&doc);
    return 0;
}
