/* proto/field.h - the types of fields that tables of proto/codec.h are made of.
 *
 * Each is a pair put_<type>(w, const T *, max), get_<type>(r, T *, max); what
 * max means is the type's to say.  Both sides refuse what is over it; that a value
 * may not be zero is the decoder's to refuse.
 *
 * Private to proto/.
 */
#pragma once

#include <string.h>

#include "common/err.h"
#include "proto/wire.h"

/* Unsigned numbers: max is the largest that is legal, so that an enum is
 * checked by its table too. */
/* NOLINTBEGIN(bugprone-macro-parentheses): T is a type. */
#define WIRE_UNSIGNED(name, T)                                                                     \
    static inline void put_##name(struct wire_writer *w, const T *v, uint64_t max)                 \
    {                                                                                              \
        if (*v > max)                                                                              \
            wire_writer_fail(w, SB_ETOOBIG);                                                       \
        wire_write_u64(w, *v);                                                                     \
    }                                                                                              \
    static inline void get_##name(struct wire_reader *r, T *v, uint64_t max)                       \
    {                                                                                              \
        *v = (T)wire_read_u64(r, max);                                                             \
    }
/* NOLINTEND(bugprone-macro-parentheses) */
WIRE_UNSIGNED(u8, uint8_t)
WIRE_UNSIGNED(u16, uint16_t)
WIRE_UNSIGNED(u32, uint32_t)
WIRE_UNSIGNED(u64, uint64_t)

/* As u8, from 1 on: a choice that cannot be missing. */
static inline void put_kind(struct wire_writer *w, const uint8_t *v, uint64_t max)
{
    put_u8(w, v, max);
}

static inline void get_kind(struct wire_reader *r, uint8_t *v, uint64_t max)
{
    *v = (uint8_t)wire_read_u64(r, max);
    if (*v == 0)
        wire_reader_fail(r, SB_EPARSE);
}

/* As u64, never 0. */
static inline void put_id(struct wire_writer *w, const uint64_t *v, uint64_t max)
{
    put_u64(w, v, max);
}

static inline void get_id(struct wire_reader *r, uint64_t *v, uint64_t max)
{
    *v = wire_read_u64(r, max);
    if (*v == 0)
        wire_reader_fail(r, SB_EPARSE);
}

/* Sets: max is the mask of the bits that have a name; others are dropped. */
static inline void put_bits32(struct wire_writer *w, const uint32_t *v, uint64_t mask)
{
    wire_write_u64(w, *v & mask);
}

static inline void get_bits32(struct wire_reader *r, uint32_t *v, uint64_t mask)
{
    *v = (uint32_t)(wire_read_u64(r, UINT64_MAX) & mask);
}

static inline void put_bits64(struct wire_writer *w, const uint64_t *v, uint64_t mask)
{
    wire_write_u64(w, *v & mask);
}

static inline void get_bits64(struct wire_reader *r, uint64_t *v, uint64_t mask)
{
    *v = wire_read_u64(r, UINT64_MAX) & mask;
}

/* UINT32_MAX stands for "none" in memory, nil on the wire. */
static inline void put_opt32(struct wire_writer *w, const uint32_t *v, uint64_t unused)
{
    (void)unused;
    if (*v == UINT32_MAX)
        wire_write_nil(w);
    else
        wire_write_u64(w, *v);
}

static inline void get_opt32(struct wire_reader *r, uint32_t *v, uint64_t unused)
{
    (void)unused;
    *v = wire_read_nil(r) ? UINT32_MAX : (uint32_t)wire_read_u64(r, UINT32_MAX - 1);
}

static inline void put_i32(struct wire_writer *w, const int32_t *v, uint64_t unused)
{
    (void)unused;
    wire_write_i64(w, *v);
}

static inline void get_i32(struct wire_reader *r, int32_t *v, uint64_t unused)
{
    (void)unused;
    *v = (int32_t)wire_read_i64(r, INT32_MIN, INT32_MAX);
}

static inline void put_i64(struct wire_writer *w, const int64_t *v, uint64_t unused)
{
    (void)unused;
    wire_write_i64(w, *v);
}

static inline void get_i64(struct wire_reader *r, int64_t *v, uint64_t unused)
{
    (void)unused;
    *v = wire_read_i64(r, INT64_MIN, INT64_MAX);
}

static inline void put_flag(struct wire_writer *w, const bool *v, uint64_t unused)
{
    (void)unused;
    wire_write_bool(w, *v);
}

static inline void get_flag(struct wire_reader *r, bool *v, uint64_t unused)
{
    (void)unused;
    *v = wire_read_bool(r);
}

/* Strings of at most max bytes. */
static inline void put_text(struct wire_writer *w, const struct sb_slice *v, uint64_t max)
{
    wire_write_text(w, *v, max);
}

static inline void get_text(struct wire_reader *r, struct sb_slice *v, uint64_t max)
{
    *v = wire_read_text(r, max);
}

/* As text, never empty. */
static inline void put_name(struct wire_writer *w, const struct sb_slice *v, uint64_t max)
{
    wire_write_text(w, *v, max);
}

static inline void get_name(struct wire_reader *r, struct sb_slice *v, uint64_t max)
{
    *v = wire_read_text(r, max);
    if (v->n == 0)
        wire_reader_fail(r, SB_EPARSE);
}

static inline void put_bytes(struct wire_writer *w, const struct sb_slice *v, uint64_t max)
{
    wire_write_bytes(w, *v, max);
}

static inline void get_bytes(struct wire_reader *r, struct sb_slice *v, uint64_t max)
{
    *v = wire_read_bytes(r, max);
}

/* An array of exactly size bytes inside the struct; zeros when missing. */
static inline void put_fixed(struct wire_writer *w, const void *v, uint64_t size)
{
    wire_write_bytes(w, sb_slice_make(v, size), size);
}

static inline void get_fixed(struct wire_reader *r, void *v, uint64_t size)
{
    bool missing = r->left == 0;
    struct sb_slice bytes = wire_read_bytes(r, size);

    if (bytes.n == size)
        memcpy(v, bytes.p, size);
    else if (missing)
        memset(v, 0, size);
    else
        wire_reader_fail(r, SB_EPARSE);
}
