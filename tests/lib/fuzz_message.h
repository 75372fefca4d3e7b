/* tests/lib/fuzz_message.h - a fuzz target of a message in one line.
 *
 * Whatever decodes must encode, and what was encoded must decode to the same
 * again: nothing that a decoder lets through is lost or refused later.
 */
#pragma once

#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/slice.h"

enum { FUZZ_MESSAGE_OUT_MAX = 1 << 26 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* decode(bytes) and encode(out) are expressions over msg and arena. */
#define FUZZ_MESSAGE(type, decode, encode)                                                         \
    static int recode(struct sb_slice bytes, struct sb_buf *out)                                   \
    {                                                                                              \
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(4096);                  \
        type msg;                                                                                  \
        int rc = (decode);                                                                         \
                                                                                                   \
        (void)arena;                                                                               \
        if (rc == SB_OK)                                                                           \
            SB_BUG_ON((encode) != SB_OK);                                                          \
        return rc;                                                                                 \
    }                                                                                              \
                                                                                                   \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                                   \
    {                                                                                              \
        SB_CLEANUP(sb_buf_release) struct sb_buf first;                                            \
        SB_CLEANUP(sb_buf_release) struct sb_buf second;                                           \
                                                                                                   \
        sb_buf_init(&first, FUZZ_MESSAGE_OUT_MAX);                                                 \
        sb_buf_init(&second, FUZZ_MESSAGE_OUT_MAX);                                                \
        if (recode(sb_slice_make(data, size), &first) == SB_OK) {                                  \
            SB_BUG_ON(first.data == NULL);                                                         \
            SB_BUG_ON(recode(sb_buf_slice(&first), &second) != SB_OK);                             \
            SB_BUG_ON(!sb_slice_eq(sb_buf_slice(&first), sb_buf_slice(&second)));                  \
        }                                                                                          \
        return 0;                                                                                  \
    }

#define FUZZ_PLAIN(name)                                                                           \
    FUZZ_MESSAGE(struct msg_##name, msg_##name##_decode(bytes, &msg),                              \
                 msg_##name##_encode(&msg, out))
#define FUZZ_ROWS(name)                                                                            \
    FUZZ_MESSAGE(struct msg_##name, msg_##name##_decode(bytes, arena, &msg),                       \
                 msg_##name##_encode(&msg, out))
