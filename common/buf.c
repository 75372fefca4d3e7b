/* common/buf.c */
#include "common/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"

enum { FIRST_SIZE = 256 };

void sb_buf_init(struct sb_buf *buf, size_t limit)
{
    *buf = (struct sb_buf){.limit = limit};
}

void sb_buf_clear(struct sb_buf *buf)
{
    size_t limit = buf->limit;

    sb_buf_release(buf);
    sb_buf_init(buf, limit);
}

void sb_buf_release(struct sb_buf *buf)
{
    sb_mem_free(buf->data);
    *buf = (struct sb_buf){.data = NULL};
}

void sb_buf_reset(struct sb_buf *buf)
{
    buf->head = buf->tail = 0;
}

int sb_buf_reserve(struct sb_buf *buf, size_t n)
{
    size_t held = sb_buf_len(buf);
    size_t size;
    char *data;

    if (n > buf->limit || held > buf->limit - n)
        return SB_ETOOBIG;
    if (n <= buf->size - buf->tail && buf->data != NULL)
        return SB_OK;
    /* Moving down is worth it once it frees half the block. */
    if (buf->data != NULL && buf->head > 0 && held + n <= buf->size && buf->head >= buf->size / 2) {
        memmove(buf->data, buf->data + buf->head, held);
        buf->head = 0;
        buf->tail = held;
        return SB_OK;
    }
    size = buf->size > 0 ? buf->size : FIRST_SIZE;
    while (size < held + n)
        size = size > SIZE_MAX / 2 ? held + n : size * 2;
    if (size > buf->limit)
        size = buf->limit;
    if (buf->data == NULL || buf->head == 0) {
        data = sb_mem_resize(buf->data, size);
        if (data == NULL)
            return SB_ENOMEM;
    } else {
        data = sb_mem_resize(NULL, size);
        if (data == NULL)
            return SB_ENOMEM;
        memcpy(data, buf->data + buf->head, held);
        sb_mem_free(buf->data);
    }
    buf->data = data;
    buf->size = size;
    buf->head = 0;
    buf->tail = held;
    return SB_OK;
}

int sb_buf_append(struct sb_buf *buf, struct sb_slice bytes)
{
    int rc;

    if (bytes.n == 0)
        return SB_OK;
    rc = sb_buf_reserve(buf, bytes.n);
    if (rc != SB_OK)
        return rc;
    memcpy(buf->data + buf->tail, bytes.p, bytes.n);
    buf->tail += bytes.n;
    return SB_OK;
}

int sb_buf_append_text(struct sb_buf *buf, const char *text)
{
    return sb_buf_append(buf, sb_slice_of(text));
}

int sb_buf_append_byte(struct sb_buf *buf, char byte)
{
    return sb_buf_append(buf, sb_slice_make(&byte, 1));
}

int sb_buf_printf(struct sb_buf *buf, const char *fmt, ...)
{
    va_list ap;
    int n, rc;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    SB_BUG_ON(n < 0);
    /* One more for the NUL that vsnprintf writes; it is not counted. */
    rc = sb_buf_reserve(buf, (size_t)n + 1);
    if (rc != SB_OK)
        return rc;
    va_start(ap, fmt);
    (void)vsnprintf(buf->data + buf->tail, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf->tail += (size_t)n;
    return SB_OK;
}

void sb_buf_consume(struct sb_buf *buf, size_t n)
{
    SB_BUG_ON(n > sb_buf_len(buf));
    buf->head += n;
    if (buf->head == buf->tail)
        buf->head = buf->tail = 0;
}

void sb_buf_truncate(struct sb_buf *buf, size_t n)
{
    SB_BUG_ON(n > sb_buf_len(buf));
    buf->tail = buf->head + n;
}
