/* tests/lib/message.h - what must hold for every message of proto/.
 *
 * A message is represented by its "recode" function: decode, and on success
 * encode what was decoded.  check_message() needs no more than that and the
 * sample's bytes.
 */
#pragma once

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/slice.h"
#include "tests/lib/test.h"

/* The result of the decoder; on SB_OK the bytes of the encoder are in again. */
typedef int message_recode_fn(struct sb_slice bytes, struct sb_buf *again);

#define MESSAGE_RECODE(name)                                                                       \
    static int recode_##name(struct sb_slice bytes, struct sb_buf *again)                          \
    {                                                                                              \
        struct msg_##name msg;                                                                     \
        int rc = msg_##name##_decode(bytes, &msg);                                                 \
                                                                                                   \
        if (rc == SB_OK)                                                                           \
            assert_int_equal(msg_##name##_encode(&msg, again), SB_OK);                             \
        return rc;                                                                                 \
    }

#define MESSAGE_RECODE_ROWS(name)                                                                  \
    static int recode_##name(struct sb_slice bytes, struct sb_buf *again)                          \
    {                                                                                              \
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(4096);                  \
        struct msg_##name msg;                                                                     \
        int rc = msg_##name##_decode(bytes, arena, &msg);                                          \
                                                                                                   \
        if (rc == SB_OK)                                                                           \
            assert_int_equal(msg_##name##_encode(&msg, again), SB_OK);                             \
        return rc;                                                                                 \
    }

static inline void golden_compare(const char *name, struct sb_slice bytes)
{
    static char want[1 << 16];
    char path[512];
    FILE *file;
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/tests/golden/%s.msgpack", SB_SOURCE_DIR, name);
    if (getenv("SB_GOLDEN_UPDATE") != NULL) {
        file = fopen(path, "wbe");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes.p, 1, bytes.n, file), bytes.n);
        assert_int_equal(fclose(file), 0);
    }
    file = fopen(path, "rbe");
    if (file == NULL)
        fail_msg("%s is missing; tests/golden/README.md says how to make it", path);
    n = fread(want, 1, sizeof(want), file);
    (void)fclose(file);
    assert_int_equal(bytes.n, n);
    assert_memory_equal(bytes.p, want, n);
}

/* Decodes a copy in a block of its own size, so that a sanitizer sees a read
 * past the end. */
static inline int recode_exact(struct sb_slice bytes, message_recode_fn *recode,
                               struct sb_buf *again)
{
    char *exact = sb_mem_new(bytes.n > 0 ? bytes.n : 1);
    int rc;

    if (bytes.n > 0)
        memcpy(exact, bytes.p, bytes.n);
    rc = recode(sb_slice_make(exact, bytes.n), again);
    sb_mem_free(exact);
    return rc;
}

static inline void check_truncations(struct sb_slice bytes, message_recode_fn *recode)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf again;

    sb_buf_init(&again, 1 << 20);
    for (size_t n = 0; n < bytes.n; n++)
        assert_int_equal(recode_exact(sb_slice_make(bytes.p, n), recode, &again), SB_EPARSE);
}

/* The same message from a newer sender, whose array has two more fields. */
static inline void check_newer_sender(struct sb_slice bytes, message_recode_fn *recode)
{
    static const uint8_t more[] = {0x82, 0x01, 0x92, 0xc0, 0xa1, 'x', 0xa1, 'k', 0xcb, 0, 0,
                                   0,    0,    0,    0,    0,    0,   0xc4, 2,   1,    2};
    SB_CLEANUP(sb_buf_release) struct sb_buf newer;
    SB_CLEANUP(sb_buf_release) struct sb_buf again;
    uint8_t tag = (uint8_t)bytes.p[0];
    unsigned fields;
    size_t head;

    sb_buf_init(&newer, 1 << 20);
    sb_buf_init(&again, 1 << 20);
    if (tag == 0xdc) {
        fields = (unsigned)((uint8_t)bytes.p[1] << 8 | (uint8_t)bytes.p[2]);
        head = 3;
    } else {
        assert_in_range(tag, 0x90, 0x9f);
        fields = tag & 0x0fu;
        head = 1;
    }
    fields += 2;
    assert_int_equal(sb_buf_append_byte(&newer, (char)0xdc), SB_OK);
    assert_int_equal(sb_buf_append_byte(&newer, (char)(fields >> 8)), SB_OK);
    assert_int_equal(sb_buf_append_byte(&newer, (char)fields), SB_OK);
    assert_int_equal(sb_buf_append(&newer, sb_slice_from(bytes, head)), SB_OK);
    assert_int_equal(sb_buf_append(&newer, sb_slice_make(more, sizeof(more))), SB_OK);
    assert_int_equal(recode_exact(sb_buf_slice(&newer), recode, &again), SB_OK);
    assert_true(sb_slice_eq(sb_buf_slice(&again), bytes));
}

/* Golden bytes, round trip, truncations, bytes left over, a newer sender. */
static inline void check_message(const char *name, struct sb_slice bytes, message_recode_fn *recode)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf again;
    SB_CLEANUP(sb_buf_release) struct sb_buf longer;

    sb_buf_init(&again, 1 << 20);
    sb_buf_init(&longer, 1 << 20);
    golden_compare(name, bytes);
    assert_int_equal(recode_exact(bytes, recode, &again), SB_OK);
    assert_true(sb_slice_eq(sb_buf_slice(&again), bytes));
    check_truncations(bytes, recode);
    assert_int_equal(sb_buf_append(&longer, bytes), SB_OK);
    assert_int_equal(sb_buf_append_byte(&longer, 0), SB_OK);
    assert_int_equal(recode_exact(sb_buf_slice(&longer), recode, &again), SB_EPARSE);
    check_newer_sender(bytes, recode);
}
