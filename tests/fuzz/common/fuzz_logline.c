/* tests/fuzz/common/fuzz_logline.c - values from outside cannot break a line. */
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/json.h"
#include "common/logline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t SB_PRINTF(3, 4)
    make(char line[SB_LOG_LINE_MAX], enum sb_log_format format, const char *fmt, ...)
{
    static const struct sb_logline_head head = {
        .time = 1, .level = "warn", .program = "fuzz", .group = "REQ", .pid = 1};
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = sb_logline_make(line, &head, format, fmt, ap);
    va_end(ap);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char fmt[] = "said %.*s from=%.*s: n=%d";
    struct sb_slice value = sb_slice_make(data, size);
    char line[SB_LOG_LINE_MAX];
    yyjson_doc *doc;
    yyjson_val *n_member;
    size_t n;

    n = make(line, SB_LOG_LOGFMT, fmt, SB_LOG_SLICE(value), SB_LOG_SLICE(value), 7);
    SB_BUG_ON(n == 0 || memchr(line, '\n', n) != line + n - 1);
    for (size_t i = 0; i + 1 < n; i++)
        SB_BUG_ON((unsigned char)line[i] < ' ' || line[i] == 0x7f);

    n = make(line, SB_LOG_JSON, fmt, SB_LOG_SLICE(value), SB_LOG_SLICE(value), 7);
    SB_BUG_ON(memchr(line, '\n', n) != line + n - 1);
    doc = yyjson_read(line, n, 0);
    SB_BUG_ON(doc == NULL);
    SB_BUG_ON(!yyjson_equals_str(yyjson_obj_get(yyjson_doc_get_root(doc), "group"), "REQ"));
    /* Absent when the line overflowed or the value had our marks, never another. */
    n_member = yyjson_obj_get(yyjson_doc_get_root(doc), "n");
    SB_BUG_ON(n_member != NULL && yyjson_get_int(n_member) != 7);
    yyjson_doc_free(doc);
    return 0;
}
