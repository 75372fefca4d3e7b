/* proto/wire.c */
#include "proto/wire.h"

#include <string.h>

#include <msgpack/pack.h>

#include "common/err.h"

/* The bytes of msgpack that the reader knows by name. */
enum {
    TAG_POSITIVE_END = 0x7f,
    TAG_MAP_MASK = 0xf0,
    TAG_FIXMAP = 0x80,
    TAG_FIXARRAY = 0x90,
    TAG_FIXSTR = 0xa0,
    TAG_NIL = 0xc0,
    TAG_FALSE = 0xc2,
    TAG_TRUE = 0xc3,
    TAG_BIN8 = 0xc4,
    TAG_BIN16 = 0xc5,
    TAG_BIN32 = 0xc6,
    TAG_EXT8 = 0xc7,
    TAG_EXT16 = 0xc8,
    TAG_EXT32 = 0xc9,
    TAG_FLOAT = 0xca,
    TAG_DOUBLE = 0xcb,
    TAG_UINT8 = 0xcc,
    TAG_UINT16 = 0xcd,
    TAG_UINT32 = 0xce,
    TAG_UINT64 = 0xcf,
    TAG_INT8 = 0xd0,
    TAG_INT16 = 0xd1,
    TAG_INT32 = 0xd2,
    TAG_INT64 = 0xd3,
    TAG_FIXEXT1 = 0xd4,
    TAG_FIXEXT16 = 0xd8,
    TAG_STR8 = 0xd9,
    TAG_STR16 = 0xda,
    TAG_STR32 = 0xdb,
    TAG_ARRAY16 = 0xdc,
    TAG_ARRAY32 = 0xdd,
    TAG_MAP16 = 0xde,
    TAG_MAP32 = 0xdf,
    TAG_NEGATIVE = 0xe0,
};

/* ---- writing ---- */

static __attribute__((noinline)) int make_room(struct wire_writer *w, size_t n)
{
    int rc = sb_buf_reserve(w->out, n);

    if (rc == SB_OK)
        return 0;
    wire_writer_fail(w, rc);
    return -1;
}

/* Called by msgpack-c for every piece.  A buffer with room is the normal
 * case: callers keep theirs, so that encoding does not allocate.  In line it
 * is two or three stores where msgpack-c gives a constant length, which is
 * everywhere but in the bodies of strings: this is on the path of every
 * request. */
static inline __attribute__((always_inline)) int on_piece(void *data, const char *p, size_t n)
{
    struct wire_writer *w = data;
    struct sb_buf *out = w->out;

    if (SB_UNLIKELY(n > sb_buf_room(out)) && make_room(w, n) != 0)
        return -1;
    if (n > 0)
        memcpy(sb_buf_end(out), p, n);
    sb_buf_commit(out, n);
    return 0;
}

/* A packer is two pointers: one on the stack of each function lets the
 * compiler see the callback and put it in line. */
static inline msgpack_packer packer(struct wire_writer *w)
{
    return (msgpack_packer){.data = w, .callback = on_piece};
}

struct wire_writer wire_writer_init(struct sb_buf *out)
{
    return (struct wire_writer){.out = out, .start = sb_buf_len(out), .error = SB_OK};
}

int wire_writer_end(struct wire_writer *w)
{
    if (w->error != SB_OK)
        w->out->tail = w->out->head + w->start;
    return w->error;
}

void wire_writer_fail(struct wire_writer *w, int error)
{
    if (w->error != SB_OK)
        return;
    w->error = error;
    w->failed = w->at;
}

void wire_write_array(struct wire_writer *w, size_t n)
{
    msgpack_packer pk = packer(w);

    if (n > UINT32_MAX)
        wire_writer_fail(w, SB_ETOOBIG);
    if (w->error == SB_OK)
        (void)msgpack_pack_array(&pk, n);
}

void wire_write_u64(struct wire_writer *w, uint64_t v)
{
    msgpack_packer pk = packer(w);

    if (w->error == SB_OK)
        (void)msgpack_pack_uint64(&pk, v);
}

void wire_write_i64(struct wire_writer *w, int64_t v)
{
    msgpack_packer pk = packer(w);

    if (w->error == SB_OK)
        (void)msgpack_pack_int64(&pk, v);
}

void wire_write_bool(struct wire_writer *w, bool v)
{
    msgpack_packer pk = packer(w);

    if (w->error == SB_OK)
        (void)(v ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
}

void wire_write_double(struct wire_writer *w, double v)
{
    msgpack_packer pk = packer(w);

    if (w->error == SB_OK)
        (void)msgpack_pack_double(&pk, v);
}

void wire_write_nil(struct wire_writer *w)
{
    msgpack_packer pk = packer(w);

    if (w->error == SB_OK)
        (void)msgpack_pack_nil(&pk);
}

/* The ceilings of proto/limits.h are far below 2^32, which msgpack-c takes
 * for granted. */
static bool may_write(struct wire_writer *w, size_t n, size_t max)
{
    if (n > max || n > UINT32_MAX)
        wire_writer_fail(w, SB_ETOOBIG);
    return w->error == SB_OK;
}

void wire_write_text(struct wire_writer *w, struct sb_slice text, size_t max)
{
    msgpack_packer pk = packer(w);

    if (may_write(w, text.n, max) && msgpack_pack_str(&pk, text.n) == 0)
        (void)msgpack_pack_str_body(&pk, text.p, text.n);
}

void wire_write_bytes(struct wire_writer *w, struct sb_slice bytes, size_t max)
{
    msgpack_packer pk = packer(w);

    if (may_write(w, bytes.n, max) && msgpack_pack_bin(&pk, bytes.n) == 0)
        (void)msgpack_pack_bin_body(&pk, bytes.p, bytes.n);
}

/* ---- reading ---- */

struct wire_reader wire_reader_init(struct sb_slice bytes, struct sb_arena *arena)
{
    const uint8_t *p = (const uint8_t *)bytes.p;

    return (struct wire_reader){
        .p = p,
        .end = bytes.n > 0 ? p + bytes.n : p,
        .left = UINT32_MAX,
        .error = SB_OK,
        .arena = arena,
    };
}

int wire_reader_end(const struct wire_reader *r)
{
    if (r->error != SB_OK)
        return r->error;
    return r->p == r->end ? SB_OK : SB_EPARSE;
}

/* Jumps to the end, so that nothing is read any more. */
void wire_reader_fail(struct wire_reader *r, int error)
{
    if (r->error != SB_OK)
        return;
    r->error = error;
    r->failed = r->at;
    r->p = r->end;
    r->left = 0;
}

static inline size_t remaining(const struct wire_reader *r)
{
    return (size_t)(r->end - r->p);
}

/* Takes the first byte of the next value; false when it is missing or the
 * reader has failed. */
static inline bool take_tag(struct wire_reader *r, uint8_t *ret_tag)
{
    if (r->left == 0)
        return false;
    r->left--;
    if (SB_UNLIKELY(r->p == r->end)) {
        wire_reader_fail(r, SB_EPARSE);
        return false;
    }
    *ret_tag = *r->p++;
    return true;
}

/* A big-endian number of n bytes. */
static uint64_t take_number(struct wire_reader *r, size_t n)
{
    uint64_t v = 0;

    if (n > remaining(r)) {
        wire_reader_fail(r, SB_EPARSE);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        v = v << 8 | r->p[i];
    r->p += n;
    return v;
}

/* The value of an integer whose tag was taken; *ret_negative says whether it
 * is to be read as a two's complement. */
static uint64_t take_integer(struct wire_reader *r, uint8_t tag, bool *ret_negative)
{
    uint64_t v;

    *ret_negative = false;
    switch (tag) {
    case TAG_UINT8:
    case TAG_UINT16:
    case TAG_UINT32:
    case TAG_UINT64:
        return take_number(r, (size_t)1 << (tag - TAG_UINT8));
    case TAG_INT8:
        v = (uint64_t)(int64_t)(int8_t)take_number(r, 1);
        break;
    case TAG_INT16:
        v = (uint64_t)(int64_t)(int16_t)take_number(r, 2);
        break;
    case TAG_INT32:
        v = (uint64_t)(int64_t)(int32_t)take_number(r, 4);
        break;
    case TAG_INT64:
        v = take_number(r, 8);
        break;
    default:
        if (tag <= TAG_POSITIVE_END)
            return tag;
        if (tag < TAG_NEGATIVE)
            wire_reader_fail(r, SB_EPARSE);
        v = (uint64_t)(int64_t)(int8_t)tag;
    }
    *ret_negative = (int64_t)v < 0;
    return v;
}

uint64_t wire_read_u64(struct wire_reader *r, uint64_t max)
{
    uint64_t v = 0;
    uint8_t tag;

    if (!take_tag(r, &tag))
        return 0;
    if (SB_LIKELY(tag <= TAG_POSITIVE_END)) {
        v = tag;
    } else {
        bool negative;

        v = take_integer(r, tag, &negative);
        if (negative)
            wire_reader_fail(r, SB_EPARSE);
    }
    if (v > max)
        wire_reader_fail(r, SB_EPARSE);
    return r->error == SB_OK ? v : 0;
}

int64_t wire_read_i64(struct wire_reader *r, int64_t min, int64_t max)
{
    uint64_t v;
    bool negative;
    uint8_t tag;

    if (!take_tag(r, &tag))
        return 0;
    v = take_integer(r, tag, &negative);
    if ((!negative && v > INT64_MAX) || (int64_t)v < min || (int64_t)v > max)
        wire_reader_fail(r, SB_EPARSE);
    return r->error == SB_OK ? (int64_t)v : 0;
}

bool wire_read_bool(struct wire_reader *r)
{
    uint8_t tag;

    if (!take_tag(r, &tag))
        return false;
    if (tag != TAG_FALSE && tag != TAG_TRUE)
        wire_reader_fail(r, SB_EPARSE);
    return tag == TAG_TRUE;
}

double wire_read_double(struct wire_reader *r)
{
    uint64_t bits;
    uint8_t tag;
    double v;

    if (!take_tag(r, &tag))
        return 0;
    if (tag != TAG_DOUBLE)
        wire_reader_fail(r, SB_EPARSE);
    bits = take_number(r, sizeof(v));
    memcpy(&v, &bits, sizeof(v));
    return r->error == SB_OK ? v : 0;
}

bool wire_read_nil(struct wire_reader *r)
{
    if (r->left == 0)
        return true;
    if (r->p == r->end) {
        wire_reader_fail(r, SB_EPARSE);
        return true;
    }
    if (*r->p != TAG_NIL)
        return false;
    r->p++;
    r->left--;
    return true;
}

static struct sb_slice take_slice(struct wire_reader *r, size_t n, size_t max)
{
    struct sb_slice taken = {.p = (const char *)r->p, .n = n};

    if (n > max)
        wire_reader_fail(r, SB_ETOOBIG);
    else if (n > remaining(r))
        wire_reader_fail(r, SB_EPARSE);
    if (r->error != SB_OK)
        return SB_SLICE_NONE;
    r->p += n;
    return taken;
}

struct sb_slice wire_read_text(struct wire_reader *r, size_t max)
{
    size_t n = 0;
    uint8_t tag;

    if (!take_tag(r, &tag))
        return SB_SLICE_NONE;
    if (SB_LIKELY(tag >= TAG_FIXSTR && tag < TAG_NIL))
        n = tag - TAG_FIXSTR;
    else if (tag >= TAG_STR8 && tag <= TAG_STR32)
        n = take_number(r, (size_t)1 << (tag - TAG_STR8));
    else
        wire_reader_fail(r, SB_EPARSE);
    return take_slice(r, n, max);
}

struct sb_slice wire_read_bytes(struct wire_reader *r, size_t max)
{
    size_t n = 0;
    uint8_t tag;

    if (!take_tag(r, &tag))
        return SB_SLICE_NONE;
    if (tag >= TAG_BIN8 && tag <= TAG_BIN32)
        n = take_number(r, (size_t)1 << (tag - TAG_BIN8));
    else
        wire_reader_fail(r, SB_EPARSE);
    return take_slice(r, n, max);
}

struct wire_scope wire_enter(struct wire_reader *r)
{
    struct wire_scope outer = {.left = 0};
    uint64_t n = 0;
    uint8_t tag;

    if (!take_tag(r, &tag))
        return outer; /* and r->left is 0: an empty array */
    outer.left = r->left;
    if ((tag & TAG_MAP_MASK) == TAG_FIXARRAY)
        n = tag & 0x0f;
    else if (tag == TAG_ARRAY16 || tag == TAG_ARRAY32)
        n = take_number(r, (size_t)2 << (tag - TAG_ARRAY16));
    else
        wire_reader_fail(r, SB_EPARSE);
    if (n > remaining(r)) /* every value is a byte at least */
        wire_reader_fail(r, SB_EPARSE);
    r->left = r->error == SB_OK ? (uint32_t)n : 0;
    return outer;
}

void wire_leave(struct wire_reader *r, struct wire_scope outer)
{
    while (r->left > 0)
        wire_skip(r);
    r->left = r->error == SB_OK ? outer.left : 0;
}

/* Goes behind the value whose tag was taken and gives the number of values
 * inside it, which come next. */
static uint64_t pass(struct wire_reader *r, uint8_t tag)
{
    uint64_t n = 0;

    if (tag <= TAG_POSITIVE_END || tag >= TAG_NEGATIVE || tag == TAG_NIL || tag == TAG_FALSE ||
        tag == TAG_TRUE)
        return 0;
    if (tag < TAG_FIXARRAY)
        return 2 * (uint64_t)(tag & 0x0f);
    if (tag < TAG_FIXSTR)
        return tag & 0x0f;
    if (tag < TAG_NIL)
        n = tag - TAG_FIXSTR;
    else if (tag >= TAG_BIN8 && tag <= TAG_BIN32)
        n = take_number(r, (size_t)1 << (tag - TAG_BIN8));
    else if (tag >= TAG_EXT8 && tag <= TAG_EXT32)
        n = take_number(r, (size_t)1 << (tag - TAG_EXT8)) + 1;
    else if (tag == TAG_FLOAT || tag == TAG_DOUBLE)
        n = tag == TAG_FLOAT ? 4 : 8;
    else if (tag >= TAG_UINT8 && tag <= TAG_UINT64)
        n = (size_t)1 << (tag - TAG_UINT8);
    else if (tag >= TAG_INT8 && tag <= TAG_INT64)
        n = (size_t)1 << (tag - TAG_INT8);
    else if (tag >= TAG_FIXEXT1 && tag <= TAG_FIXEXT16)
        n = ((size_t)1 << (tag - TAG_FIXEXT1)) + 1;
    else if (tag >= TAG_STR8 && tag <= TAG_STR32)
        n = take_number(r, (size_t)1 << (tag - TAG_STR8));
    else if (tag == TAG_ARRAY16 || tag == TAG_ARRAY32)
        return take_number(r, (size_t)2 << (tag - TAG_ARRAY16));
    else if (tag == TAG_MAP16 || tag == TAG_MAP32)
        return 2 * take_number(r, (size_t)2 << (tag - TAG_MAP16));
    else /* 0xc1, which msgpack never uses */
        wire_reader_fail(r, SB_EPARSE);
    (void)take_slice(r, n, SIZE_MAX);
    return 0;
}

/* Counts the values still to come instead of recursing, so that depth costs
 * nothing; the count cannot pass the bytes that remain. */
void wire_skip(struct wire_reader *r)
{
    uint64_t todo = 1;

    if (r->left == 0)
        return;
    r->left--;
    while (todo > 0) {
        if (todo > remaining(r)) {
            wire_reader_fail(r, SB_EPARSE);
            return;
        }
        todo--;
        todo += pass(r, *r->p++);
    }
}

void *wire_read_rows(struct wire_reader *r, size_t max, size_t row_size, size_t *ret_n)
{
    void *rows;

    *ret_n = 0;
    if (r->left > max)
        wire_reader_fail(r, SB_ETOOBIG);
    if (r->left == 0)
        return NULL;
    rows = sb_arena_try(r->arena, r->left * row_size);
    if (rows == NULL) {
        wire_reader_fail(r, SB_ENOMEM);
        return NULL;
    }
    *ret_n = r->left;
    return rows;
}
