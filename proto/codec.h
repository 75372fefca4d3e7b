/* proto/codec.h - encoders and decoders out of one table of fields.
 *
 * A message is described once, in wire order:
 *
 *      #define ACK_FIELDS(F, A)                        F(type, member, max)
 *          F(u64, version.epoch, UINT64_MAX)           A(type, member, count, max, each)
 *          F(u64, version.revision, UINT64_MAX)
 *      WIRE_STRUCT(ack, ACK_FIELDS)
 *
 * and WIRE_STRUCT makes put_ack(writer, msg, 0) and get_ack(reader, msg, 0)
 * of it, so that the two cannot disagree on order, type or ceiling.  A() is an
 * array of rows: `member` points to `count` of them, at most max; `each` is
 * handed to the row's own type.  A type is a pair put_<type>(w, const T *,
 * max), get_<type>(r, T *, max): those of proto/field.h, and every WIRE_STRUCT.
 *
 * Private to proto/.
 */
#pragma once

#include "common/err.h"
#include "proto/field.h"
#include "proto/wire.h"

/* A sum is made of them, which parentheses would break. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define WIRE_COUNT_F(type, member, max)          +1u
#define WIRE_COUNT_A(type, member, n, max, each) +1u
/* NOLINTEND(bugprone-macro-parentheses) */
#define WIRE_PUT_F(type, member, max)                                                              \
    w->at = #member;                                                                               \
    put_##type(w, &msg->member, (max));
#define WIRE_PUT_A(type, member, count, max, each)                                                 \
    w->at = #member;                                                                               \
    if (msg->count > (max))                                                                        \
        wire_writer_fail(w, SB_ETOOBIG);                                                           \
    wire_write_array(w, msg->count);                                                               \
    for (size_t i = 0; i < msg->count && w->error == SB_OK; i++)                                   \
        put_##type(w, &msg->member[i], (each));
/* Rows go through void *, since some members point to const. */
#define WIRE_GET_F(type, member, max)                                                              \
    r->at = #member;                                                                               \
    get_##type(r, &msg->member, (max));
#define WIRE_GET_A(type, member, count, max, each)                                                 \
    r->at = #member;                                                                               \
    {                                                                                              \
        struct wire_scope around = wire_enter(r);                                                  \
        char *rows = wire_read_rows(r, (max), sizeof(*msg->member), &msg->count);                  \
                                                                                                   \
        msg->member = (void *)rows;                                                                \
        for (size_t i = 0; i < msg->count && r->error == SB_OK; i++)                               \
            get_##type(r, (void *)(rows + i * sizeof(*msg->member)), (each));                      \
        wire_leave(r, around);                                                                     \
    }

#define WIRE_STRUCT(name, FIELDS)                                                                  \
    static void put_##name(struct wire_writer *w, const struct msg_##name *msg, uint64_t unused)   \
    {                                                                                              \
        (void)unused;                                                                              \
        wire_write_array(w, 0u FIELDS(WIRE_COUNT_F, WIRE_COUNT_A));                                \
        FIELDS(WIRE_PUT_F, WIRE_PUT_A)                                                             \
    }                                                                                              \
    static void get_##name(struct wire_reader *r, struct msg_##name *msg, uint64_t unused)         \
    {                                                                                              \
        struct wire_scope outer = wire_enter(r);                                                   \
                                                                                                   \
        (void)unused;                                                                              \
        FIELDS(WIRE_GET_F, WIRE_GET_A)                                                             \
        wire_leave(r, outer);                                                                      \
    }

/* The public pair of a message that is nothing but its fields; with _ROWS one
 * whose arrays come from an arena. */
#define WIRE_MESSAGE(name, FIELDS)                                                                 \
    WIRE_STRUCT(name, FIELDS)                                                                      \
    WIRE_ENCODER(name)                                                                             \
    int msg_##name##_decode(struct sb_slice bytes, struct msg_##name *ret_msg)                     \
        WIRE_DECODER_BODY(name, NULL)

#define WIRE_MESSAGE_ROWS(name, FIELDS)                                                            \
    WIRE_STRUCT(name, FIELDS)                                                                      \
    WIRE_ENCODER(name)                                                                             \
    int msg_##name##_decode(struct sb_slice bytes, struct sb_arena *arena,                         \
                            struct msg_##name *ret_msg) WIRE_DECODER_BODY(name, arena)

#define WIRE_ENCODER(name)                                                                         \
    int msg_##name##_encode(const struct msg_##name *msg, struct sb_buf *out)                      \
    {                                                                                              \
        struct wire_writer w = wire_writer_init(out);                                              \
                                                                                                   \
        put_##name(&w, msg, 0);                                                                    \
        return wire_writer_end(&w);                                                                \
    }

#define WIRE_DECODER_BODY(name, arena)                                                             \
    {                                                                                              \
        struct wire_reader r = wire_reader_init(bytes, (arena));                                   \
        struct msg_##name msg;                                                                     \
        int rc;                                                                                    \
                                                                                                   \
        get_##name(&r, &msg, 0);                                                                   \
        rc = wire_reader_end(&r);                                                                  \
        if (rc == SB_OK)                                                                           \
            *ret_msg = msg;                                                                        \
        return rc;                                                                                 \
    }
