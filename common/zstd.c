/* common/zstd.c */
#include "common/zstd.h"

#include <string.h>
#include <zstd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"

enum { LEVEL = 3, WINDOW_LOG_MAX = 27, PIECE = 1 << 17 };

struct sb_zstd_writer {
    sb_zstd_sink_cb *sink;
    void *ctx;
    ZSTD_CCtx *stream;
    char piece[PIECE];
};

struct sb_zstd_reader {
    sb_zstd_sink_cb *sink;
    void *ctx;
    ZSTD_DCtx *stream;
    bool is_inside; /* of a frame */
    char piece[PIECE];
};

/* --- writing -------------------------------------------------------------------------- */

struct sb_zstd_writer *sb_zstd_writer_new(sb_zstd_sink_cb *sink, void *ctx)
{
    struct sb_zstd_writer *writer = sb_mem_new(sizeof(*writer));

    writer->sink = sink;
    writer->ctx = ctx;
    writer->stream = ZSTD_createCCtx();
    SB_BUG_ON(writer->stream == NULL); /* of a fixed, small size */
    (void)ZSTD_CCtx_setParameter(writer->stream, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(writer->stream, ZSTD_c_checksumFlag, 1);
    return writer;
}

void sb_zstd_writer_destroy(struct sb_zstd_writer **writerp)
{
    struct sb_zstd_writer *writer = *writerp;

    *writerp = NULL;
    if (writer == NULL)
        return;
    (void)ZSTD_freeCCtx(writer->stream);
    sb_mem_free(writer);
}

/* Until all of it was taken, and of the end until all of it came out. */
static int compress(struct sb_zstd_writer *writer, struct sb_slice bytes, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = {.src = bytes.p, .size = bytes.n};
    size_t left;

    do {
        ZSTD_outBuffer out = {.dst = writer->piece, .size = sizeof(writer->piece)};
        int rc = SB_OK;

        left = ZSTD_compressStream2(writer->stream, &out, &in, how);
        if (ZSTD_isError(left))
            return SB_EIO;
        if (out.pos > 0)
            rc = writer->sink(writer->ctx, sb_slice_make(writer->piece, out.pos));
        if (rc != SB_OK)
            return rc;
    } while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return SB_OK;
}

int sb_zstd_write(struct sb_zstd_writer *writer, struct sb_slice bytes)
{
    return bytes.n == 0 ? SB_OK : compress(writer, bytes, ZSTD_e_continue);
}

int sb_zstd_end(struct sb_zstd_writer *writer)
{
    return compress(writer, SB_SLICE_NONE, ZSTD_e_end);
}

/* --- reading --------------------------------------------------------------------------- */

bool sb_zstd_is_one(struct sb_slice bytes)
{
    static const char magic[] = {'\x28', '\xb5', '\x2f', '\xfd'};

    return bytes.n >= sizeof(magic) && memcmp(bytes.p, magic, sizeof(magic)) == 0;
}

struct sb_zstd_reader *sb_zstd_reader_new(sb_zstd_sink_cb *sink, void *ctx)
{
    struct sb_zstd_reader *reader = sb_mem_new(sizeof(*reader));

    reader->sink = sink;
    reader->ctx = ctx;
    reader->stream = ZSTD_createDCtx();
    SB_BUG_ON(reader->stream == NULL);
    (void)ZSTD_DCtx_setParameter(reader->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return reader;
}

void sb_zstd_reader_destroy(struct sb_zstd_reader **readerp)
{
    struct sb_zstd_reader *reader = *readerp;

    *readerp = NULL;
    if (reader == NULL)
        return;
    (void)ZSTD_freeDCtx(reader->stream);
    sb_mem_free(reader);
}

int sb_zstd_read(struct sb_zstd_reader *reader, struct sb_slice bytes)
{
    ZSTD_inBuffer in = {.src = bytes.p, .size = bytes.n};
    bool has_more = false; /* that did not fit into the piece */

    while (in.pos < in.size || has_more) {
        ZSTD_outBuffer out = {.dst = reader->piece, .size = sizeof(reader->piece)};
        size_t left = ZSTD_decompressStream(reader->stream, &out, &in);
        int rc = SB_OK;

        if (ZSTD_isError(left))
            return SB_EPARSE;
        reader->is_inside = left > 0;
        has_more = left > 0 && out.pos == out.size;
        if (out.pos > 0)
            rc = reader->sink(reader->ctx, sb_slice_make(reader->piece, out.pos));
        if (rc != SB_OK)
            return rc;
    }
    return SB_OK;
}

bool sb_zstd_is_whole(const struct sb_zstd_reader *reader)
{
    return !reader->is_inside;
}
