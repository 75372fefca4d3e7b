/* common/zstd.h - Zstandard (RFC 8878), as streams of constant memory.
 *
 * What comes out goes to a sink, piece by piece, before the call returns.  The
 * frames that are written carry the checksum of their contents.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_zstd_writer;
struct sb_zstd_reader;

/* Takes a piece, borrowed for the call.  Another code than SB_OK ends the call
 * with it. */
typedef int sb_zstd_sink_cb(void *ctx, struct sb_slice piece);

struct sb_zstd_writer *sb_zstd_writer_new(sb_zstd_sink_cb *sink, void *ctx);
void sb_zstd_writer_destroy(struct sb_zstd_writer **writer);
/* SB_EIO: the library failed; codes of the sink. */
int sb_zstd_write(struct sb_zstd_writer *writer, struct sb_slice bytes) SB_MUSTCHECK;
/* Nothing comes any more. */
int sb_zstd_end(struct sb_zstd_writer *writer) SB_MUSTCHECK;

/* Whether bytes, at least the first four, begin a frame. */
bool sb_zstd_is_one(struct sb_slice bytes);
struct sb_zstd_reader *sb_zstd_reader_new(sb_zstd_sink_cb *sink, void *ctx);
void sb_zstd_reader_destroy(struct sb_zstd_reader **reader);
/* A piece, cut anywhere; there may be several frames.  SB_EPARSE: damaged, or
 * none, or one that wants more than 128 MiB of memory; codes of the sink. */
int sb_zstd_read(struct sb_zstd_reader *reader, struct sb_slice bytes) SB_MUSTCHECK;
/* Whether what was read ended where a frame does. */
bool sb_zstd_is_whole(const struct sb_zstd_reader *reader);
