/* common/http1_put.c - the writing half of common/http1.h. */
#include "common/http1.h"

#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/num.h"

/* X(code, reason) */
#define STATUS_MAP(X)                                                                              \
    X(100, "Continue")                                                                             \
    X(200, "OK")                                                                                   \
    X(201, "Created")                                                                              \
    X(202, "Accepted")                                                                             \
    X(204, "No Content")                                                                           \
    X(304, "Not Modified")                                                                         \
    X(400, "Bad Request")                                                                          \
    X(401, "Unauthorized")                                                                         \
    X(402, "Payment Required")                                                                     \
    X(403, "Forbidden")                                                                            \
    X(404, "Not Found")                                                                            \
    X(405, "Method Not Allowed")                                                                   \
    X(406, "Not Acceptable")                                                                       \
    X(408, "Request Timeout")                                                                      \
    X(409, "Conflict")                                                                             \
    X(410, "Gone")                                                                                 \
    X(411, "Length Required")                                                                      \
    X(412, "Precondition Failed")                                                                  \
    X(413, "Content Too Large")                                                                    \
    X(414, "URI Too Long")                                                                         \
    X(415, "Unsupported Media Type")                                                               \
    X(417, "Expectation Failed")                                                                   \
    X(422, "Unprocessable Content")                                                                \
    X(425, "Too Early")                                                                            \
    X(426, "Upgrade Required")                                                                     \
    X(428, "Precondition Required")                                                                \
    X(429, "Too Many Requests")                                                                    \
    X(431, "Request Header Fields Too Large")                                                      \
    X(500, "Internal Server Error")                                                                \
    X(501, "Not Implemented")                                                                      \
    X(502, "Bad Gateway")                                                                          \
    X(503, "Service Unavailable")                                                                  \
    X(504, "Gateway Timeout")                                                                      \
    X(505, "HTTP Version Not Supported")

const char *sb_http1_reason(int status)
{
    static const char *const general[] = {"Informational", "Success", "Redirection", "Client Error",
                                          "Server Error"};

    switch (status) {
#define X(code, reason)                                                                            \
    case code:                                                                                     \
        return reason;
        STATUS_MAP(X)
#undef X
    default:
        return status >= 100 && status < 600 ? general[status / 100 - 1] : "Unknown";
    }
}

static char *put(char *out, struct sb_slice bytes)
{
    if (bytes.n > 0)
        memcpy(out, bytes.p, bytes.n);
    return out + bytes.n;
}

int sb_http1_put_status(struct sb_buf *out, int status)
{
    struct sb_slice reason = sb_slice_of(sb_http1_reason(status));
    char *p;
    int rc = sb_buf_reserve(out, 9 + SB_NUM_I64_MAX + 1 + reason.n + 2);

    if (rc != SB_OK)
        return rc;
    p = put(sb_buf_end(out), SB_SLICE_LIT("HTTP/1.1 "));
    p += sb_num_put_i64(p, status);
    *p++ = ' ';
    p = put(p, reason);
    p = put(p, SB_SLICE_LIT("\r\n"));
    sb_buf_commit(out, (size_t)(p - sb_buf_end(out)));
    return SB_OK;
}

static bool is_field_value(struct sb_slice value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (SB_LIKELY((unsigned char)value.p[i] > '\r'))
            continue;
        if (value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == '\0')
            return false;
    }
    return true;
}

int sb_http1_put_field(struct sb_buf *out, struct sb_slice name, struct sb_slice value)
{
    char *p;
    int rc;

    if (!is_field_value(value))
        return SB_EINVAL;
    rc = sb_buf_reserve(out, name.n + value.n + 4);
    if (rc != SB_OK)
        return rc;
    p = put(sb_buf_end(out), name);
    p = put(p, SB_SLICE_LIT(": "));
    p = put(p, value);
    (void)put(p, SB_SLICE_LIT("\r\n"));
    sb_buf_commit(out, name.n + value.n + 4);
    return SB_OK;
}

int sb_http1_put_field_u64(struct sb_buf *out, struct sb_slice name, uint64_t value)
{
    char digits[SB_NUM_U64_MAX];

    return sb_http1_put_field(out, name, sb_slice_make(digits, sb_num_put_u64(digits, value)));
}

int sb_http1_put_end(struct sb_buf *out)
{
    return sb_buf_append(out, SB_SLICE_LIT("\r\n"));
}

size_t sb_http1_chunk_head(char *out, uint64_t bytes)
{
    size_t n = sb_num_put_hex(out, bytes);

    (void)put(out + n, SB_SLICE_LIT("\r\n"));
    return n + 2;
}

int sb_http1_put_chunk(struct sb_buf *out, struct sb_slice bytes)
{
    char *p;
    int rc;

    if (bytes.n == 0)
        return SB_OK;
    if (bytes.n > out->limit) /* before the sum below can wrap */
        return SB_ETOOBIG;
    rc = sb_buf_reserve(out, SB_HTTP1_CHUNK_HEAD_MAX + bytes.n + 2);
    if (rc != SB_OK)
        return rc;
    p = sb_buf_end(out);
    p += sb_http1_chunk_head(p, bytes.n);
    p = put(p, bytes);
    p = put(p, SB_SLICE_LIT("\r\n"));
    sb_buf_commit(out, (size_t)(p - sb_buf_end(out)));
    return SB_OK;
}

int sb_http1_put_last_chunk(struct sb_buf *out)
{
    return sb_buf_append(out, SB_SLICE_LIT("0\r\n\r\n"));
}
