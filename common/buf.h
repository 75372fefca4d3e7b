/* common/buf.h - the one growable byte buffer; it has a ceiling.
 *
 * Bytes are appended at the end and consumed from the front, so it serves as
 * a builder and as a queue.  Storage is the caller's struct plus one heap
 * block that grows by doubling, never past the ceiling.  An empty buffer
 * holds no memory after sb_buf_clear().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_buf {
    char *data;   /* start of the block; NULL while nothing was stored */
    size_t head;  /* offset of the first byte not yet consumed */
    size_t tail;  /* offset past the last byte */
    size_t size;  /* of the block */
    size_t limit; /* most bytes that may be held at once */
};

/* limit: no default on purpose. */
void sb_buf_init(struct sb_buf *buf, size_t limit);
/* Frees the block; the buffer can be used again as after init. */
void sb_buf_clear(struct sb_buf *buf);
/* Frees the block; fits SB_CLEANUP. */
void sb_buf_release(struct sb_buf *buf);
/* Drops the bytes and keeps the block. */
void sb_buf_reset(struct sb_buf *buf);

static inline size_t sb_buf_len(const struct sb_buf *buf)
{
    return buf->tail - buf->head;
}

/* The bytes held; valid until the next call that appends. */
static inline struct sb_slice sb_buf_slice(const struct sb_buf *buf)
{
    return (struct sb_slice){.p = buf->data != NULL ? buf->data + buf->head : NULL,
                             .n = buf->tail - buf->head};
}

/* Errors of all that add bytes: SB_ETOOBIG when the limit would be passed,
 * SB_ENOMEM; the contents are then as before. */
int sb_buf_append(struct sb_buf *buf, struct sb_slice bytes) SB_MUSTCHECK;
int sb_buf_append_text(struct sb_buf *buf, const char *text) SB_MUSTCHECK;
int sb_buf_append_byte(struct sb_buf *buf, char byte) SB_MUSTCHECK;
int sb_buf_printf(struct sb_buf *buf, const char *fmt, ...) SB_PRINTF(2, 3) SB_MUSTCHECK;
/* Makes room for at least n more bytes; writes them yourself at sb_buf_end(),
 * then sb_buf_commit(). */
int sb_buf_reserve(struct sb_buf *buf, size_t n) SB_MUSTCHECK;

static inline char *sb_buf_end(struct sb_buf *buf)
{
    return buf->data + buf->tail;
}

/* Bytes that can be written at sb_buf_end() without another reserve. */
static inline size_t sb_buf_room(const struct sb_buf *buf)
{
    return buf->size - buf->tail;
}

static inline void sb_buf_commit(struct sb_buf *buf, size_t n)
{
    buf->tail += n;
}

/* Drops n bytes (at most the length) from the front. */
void sb_buf_consume(struct sb_buf *buf, size_t n);
/* Drops bytes from the end, so that n (at most the length) are left. */
void sb_buf_truncate(struct sb_buf *buf, size_t n);
