/* proto/wire.h - msgpack, bounded: how every message is written and read.
 *
 * A message is an array of fields in a fixed order.  New fields go at the end
 * and old ones are never removed, so that either side may be older: a reader
 * skips the fields that it does not know and reads the missing ones as zero,
 * "" or absent.  Strings are str, other bytes bin, an absent value is nil.
 *
 * Errors stick, on both sides: after the first one nothing is written, every
 * read gives zero, and one check at the end serves all fields.
 *
 * The writer is msgpack-c's.  The reader is ours: msgpack-c builds a tree of
 * objects, whose size follows the counts that the peer claims (five bytes can
 * ask for 100 GB) and whose depth is the peer's too.  Bounding it takes a walk
 * over all bytes before; with that walk at hand, the tree is one pass and one
 * copy too many.  fuzz_wire compares it with msgpack-c on any input.
 *
 * Private to proto/: others use the msg_ functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"

/* ---- writing ---- */

struct wire_writer {
    struct sb_buf *out; /* borrowed */
    size_t start;       /* its length before the first byte of ours */
    int error;          /* SB_OK until the first failure */
    const char *at;     /* name of the field being written, or NULL */
    const char *failed; /* the field of the first failure */
};

/* Appends to out. */
struct wire_writer wire_writer_init(struct sb_buf *out);
/* The first error, after taking back all that was written; or SB_OK. */
int wire_writer_end(struct wire_writer *w) SB_MUSTCHECK;
/* Fails the writer, unless it failed before. */
void wire_writer_fail(struct wire_writer *w, int error);

/* n values follow. */
void wire_write_array(struct wire_writer *w, size_t n);
void wire_write_u64(struct wire_writer *w, uint64_t v);
void wire_write_i64(struct wire_writer *w, int64_t v);
void wire_write_bool(struct wire_writer *w, bool v);
void wire_write_double(struct wire_writer *w, double v);
void wire_write_nil(struct wire_writer *w);
/* SB_ETOOBIG when over max bytes. */
void wire_write_text(struct wire_writer *w, struct sb_slice text, size_t max);
void wire_write_bytes(struct wire_writer *w, struct sb_slice bytes, size_t max);

/* ---- reading ---- */

struct wire_reader {
    const uint8_t *p, *end; /* borrowed */
    uint32_t left;          /* fields not yet read of the innermost array */
    int error;              /* SB_OK until the first failure */
    struct sb_arena *arena; /* borrowed; for arrays of rows, or NULL */
    const char *at;         /* name of the field being read, or NULL */
    const char *failed;     /* the field of the first failure */
};

/* The enclosing array, while an inner one is read. */
struct wire_scope {
    uint32_t left;
};

/* Outside of any array any number of values may follow one another, and one
 * that is missing is an error. */
struct wire_reader wire_reader_init(struct sb_slice bytes, struct sb_arena *arena);
/* The first error, or SB_EPARSE when bytes are left over. */
int wire_reader_end(const struct wire_reader *r) SB_MUSTCHECK;
void wire_reader_fail(struct wire_reader *r, int error);

/* Enters an array; r->left is then its length, never more than the bytes that
 * remain.  An array that is missing is empty. */
struct wire_scope wire_enter(struct wire_reader *r);
/* Skips what is left of the array and goes on behind it. */
void wire_leave(struct wire_reader *r, struct wire_scope outer);

/* A value outside its range is SB_EPARSE, of another type too. */
uint64_t wire_read_u64(struct wire_reader *r, uint64_t max);
int64_t wire_read_i64(struct wire_reader *r, int64_t min, int64_t max);
bool wire_read_bool(struct wire_reader *r);
double wire_read_double(struct wire_reader *r);
/* Takes a nil, or a value that is missing, and says so; otherwise reads
 * nothing.  True after an error too. */
bool wire_read_nil(struct wire_reader *r);
/* Borrowed from the input.  Over max bytes: SB_ETOOBIG. */
struct sb_slice wire_read_text(struct wire_reader *r, size_t max);
struct sb_slice wire_read_bytes(struct wire_reader *r, size_t max);
/* One value of any kind, with all that is inside. */
void wire_skip(struct wire_reader *r);

/* Room in the arena for the r->left rows of the array just entered; more than
 * max fail with SB_ETOOBIG before anything is allocated.  Not zeroed.  NULL
 * when there are none, or after an error; *ret_n is then 0. */
void *wire_read_rows(struct wire_reader *r, size_t max, size_t row_size, size_t *ret_n);
