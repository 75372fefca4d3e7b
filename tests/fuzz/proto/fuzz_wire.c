/* tests/fuzz/proto/fuzz_wire.c - our reader agrees with msgpack-c's.
 *
 * Whatever the bytes are, wire_skip() accepts the first value exactly when
 * msgpack-c does, ends at the same offset, and a typed read gives the value
 * that msgpack-c sees.  msgpack-c is not asked where it would believe a
 * 32-bit count or run out of its fixed stack. */
#include <msgpack.h>

#include "common/check.h"
#include "common/err.h"
#include "proto/wire.h"

enum { STACK = 30 }; /* levels that msgpack-c 4 can hold, less a margin */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An upper bound of the nesting: bytes that could open a container. */
static bool may_be_asked(const uint8_t *data, size_t size)
{
    size_t openers = 0;

    for (size_t i = 0; i < size; i++) {
        if (data[i] == 0xdd || data[i] == 0xdf)
            return false;
        openers += (data[i] >= 0x80 && data[i] < 0xa0) || data[i] == 0xdc || data[i] == 0xde;
    }
    return openers < STACK;
}

static void same_number(struct wire_reader r, const msgpack_object *want)
{
    struct wire_reader s = r;

    if (want->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        SB_BUG_ON(wire_read_u64(&r, UINT64_MAX) != want->via.u64 || r.error != SB_OK);
        SB_BUG_ON((s.error = SB_OK, wire_read_i64(&s, INT64_MIN, INT64_MAX)) !=
                  (want->via.u64 <= INT64_MAX ? (int64_t)want->via.u64 : 0));
    } else {
        SB_BUG_ON(wire_read_i64(&r, INT64_MIN, INT64_MAX) != want->via.i64 || r.error != SB_OK);
        SB_BUG_ON(wire_read_u64(&s, UINT64_MAX) != 0 || s.error != SB_EPARSE);
    }
}

static void same_value(struct sb_slice bytes, const msgpack_object *want)
{
    struct wire_reader r = wire_reader_init(bytes, NULL);
    struct sb_slice got;

    switch ((int)want->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        same_number(r, want);
        break;
    case MSGPACK_OBJECT_STR:
        got = wire_read_text(&r, SIZE_MAX);
        SB_BUG_ON(r.error != SB_OK || got.n != want->via.str.size);
        SB_BUG_ON(got.n > 0 && got.p != want->via.str.ptr);
        break;
    case MSGPACK_OBJECT_BIN:
        got = wire_read_bytes(&r, SIZE_MAX);
        SB_BUG_ON(r.error != SB_OK || got.n != want->via.bin.size);
        SB_BUG_ON(got.n > 0 && got.p != want->via.bin.ptr);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        SB_BUG_ON(wire_read_bool(&r) != want->via.boolean || r.error != SB_OK);
        break;
    case MSGPACK_OBJECT_NIL:
        SB_BUG_ON(!wire_read_nil(&r) || r.error != SB_OK);
        break;
    case MSGPACK_OBJECT_FLOAT64: {
        double v = wire_read_double(&r);
        uint64_t got_bits, want_bits;

        memcpy(&got_bits, &v, sizeof(v));
        memcpy(&want_bits, &want->via.f64, sizeof(v));
        SB_BUG_ON(r.error != SB_OK || got_bits != want_bits); /* NaN too */
        break;
    }
    case MSGPACK_OBJECT_ARRAY:
        (void)wire_enter(&r);
        SB_BUG_ON(r.error != SB_OK || r.left != want->via.array.size);
        break;
    default:
        break; /* kinds that no message of ours has */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_slice bytes = sb_slice_make(data, size);
    struct wire_reader r = wire_reader_init(bytes, NULL);
    msgpack_unpacked theirs;
    size_t at = 0;
    msgpack_unpack_return rc;

    wire_skip(&r);
    if (size == 0 || !may_be_asked(data, size))
        return 0;
    msgpack_unpacked_init(&theirs);
    rc = msgpack_unpack_next(&theirs, bytes.p, bytes.n, &at);
    if (rc == MSGPACK_UNPACK_SUCCESS || rc == MSGPACK_UNPACK_EXTRA_BYTES) {
        SB_BUG_ON(r.error != SB_OK || (size_t)(r.p - data) != at);
        same_value(bytes, &theirs.data);
    } else {
        SB_BUG_ON(r.error == SB_OK);
    }
    msgpack_unpacked_destroy(&theirs);
    return 0;
}
