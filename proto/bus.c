/* proto/bus.c */
#include "proto/bus.h"

#include "proto/codec.h"

enum { LENGTH_BYTES = 4 }; /* before each record of a batch */

const char *msg_kind_name(int kind)
{
    switch (kind) {
#define X(name, number)                                                                            \
    case number:                                                                                   \
        return #name;
        MSG_KIND_MAP(X)
#undef X
    default:
        return "unknown";
    }
}

#define VERSION_FIELDS(F)                                                                          \
    F(u64, version.epoch, UINT64_MAX)                                                              \
    F(u64, version.revision, UINT64_MAX)

#define HELLO_FIELDS(F, A)                                                                         \
    F(u8, protocol_min, UINT8_MAX)                                                                 \
    F(u8, protocol_max, UINT8_MAX)                                                                 \
    F(name, worker, MSG_WORKER_ID_MAX)                                                             \
    F(u64, boot, UINT64_MAX)                                                                       \
    F(text, host, MSG_NAME_MAX)                                                                    \
    F(u32, pid, UINT32_MAX)                                                                        \
    F(text, release, MSG_NAME_MAX)                                                                 \
    F(text, dialects, MSG_TEXT_MAX)                                                                \
    VERSION_FIELDS(F)                                                                              \
    F(fixed, hash, MSG_HASH_BYTES)                                                                 \
    F(fixed, receipt_key, MSG_PUBLIC_KEY_BYTES)
WIRE_MESSAGE(hello, HELLO_FIELDS)

#define WELCOME_FIELDS(F, A)                                                                       \
    F(name, daemon, MSG_NAME_MAX)                                                                  \
    F(flag, leader, 0)                                                                             \
    VERSION_FIELDS(F)                                                                              \
    F(u64, tables_sequence, UINT64_MAX)                                                            \
    F(text, certificate, MSG_CERTIFICATE_MAX)
WIRE_MESSAGE(welcome, WELCOME_FIELDS)

#define GET_FIELDS(F, A)                                                                           \
    F(kind, what, MSG_GET_TABLES)                                                                  \
    F(u8, format, UINT8_MAX)                                                                       \
    VERSION_FIELDS(F)
WIRE_MESSAGE(get, GET_FIELDS)

#define ANNOUNCE_FIELDS(F, A)                                                                      \
    VERSION_FIELDS(F)                                                                              \
    F(fixed, hash, MSG_HASH_BYTES)                                                                 \
    F(u64, size, UINT64_MAX)                                                                       \
    F(u8, format, UINT8_MAX)
WIRE_MESSAGE(announce, ANNOUNCE_FIELDS)

#define ACK_FIELDS(F, A) VERSION_FIELDS(F)
WIRE_MESSAGE(ack, ACK_FIELDS)

#define NACK_FIELDS(F, A)                                                                          \
    VERSION_FIELDS(F)                                                                              \
    F(i32, code, 0)                                                                                \
    F(text, text, MSG_TEXT_MAX)
WIRE_MESSAGE(nack, NACK_FIELDS)

#define BATCH_FIELDS(F, A)                                                                         \
    F(name, worker, MSG_WORKER_ID_MAX)                                                             \
    F(u64, boot, UINT64_MAX)                                                                       \
    F(u64, first, UINT64_MAX)                                                                      \
    F(u32, count, UINT32_MAX)
WIRE_MESSAGE(batch, BATCH_FIELDS)

#define BATCH_OK_FIELDS(F, A)                                                                      \
    F(name, worker, MSG_WORKER_ID_MAX)                                                             \
    F(u64, boot, UINT64_MAX)                                                                       \
    F(u64, last, UINT64_MAX)
WIRE_MESSAGE(batch_ok, BATCH_OK_FIELDS)

#define HEARTBEAT_FIELDS(F, A)                                                                     \
    F(name, daemon, MSG_NAME_MAX)                                                                  \
    F(flag, leader, 0)                                                                             \
    VERSION_FIELDS(F)                                                                              \
    F(u64, tables_sequence, UINT64_MAX)
WIRE_MESSAGE(heartbeat, HEARTBEAT_FIELDS)

#define QUERY_FIELDS(F, A)                                                                         \
    F(u64, id, UINT64_MAX)                                                                         \
    F(u8, what, UINT8_MAX)                                                                         \
    F(u64, tenant, UINT64_MAX)                                                                     \
    F(u64, key, UINT64_MAX)                                                                        \
    F(text, argument, MSG_NAME_MAX)
WIRE_MESSAGE(query, QUERY_FIELDS)

#define ANSWER_FIELDS(F, A)                                                                        \
    F(u64, id, UINT64_MAX)                                                                         \
    F(u16, status, UINT16_MAX)
WIRE_MESSAGE(answer, ANSWER_FIELDS)

#define BEAT_ROW_FIELDS(F, A)                                                                      \
    F(id, endpoint, UINT64_MAX)                                                                    \
    F(i64, second, 0)                                                                              \
    F(u32, attempts, UINT32_MAX)                                                                   \
    F(u32, successes, UINT32_MAX)                                                                  \
    F(u32, faults, UINT32_MAX)                                                                     \
    F(u32, rate_limited, UINT32_MAX)                                                               \
    F(u64, prompt_tokens, UINT64_MAX)                                                              \
    F(u64, completion_tokens, UINT64_MAX)                                                          \
    F(i64, cost, 0)                                                                                \
    F(u32, retry_after, UINT32_MAX)                                                                \
    F(bytes, first_token, MSG_SKETCH_MAX)                                                          \
    F(bytes, throughput, MSG_SKETCH_MAX)
WIRE_STRUCT(beat_row, BEAT_ROW_FIELDS)

#define BEAT_FIELDS(F, A)                                                                          \
    F(name, worker, MSG_WORKER_ID_MAX)                                                             \
    F(u64, boot, UINT64_MAX)                                                                       \
    VERSION_FIELDS(F)                                                                              \
    F(u32, in_flight, UINT32_MAX)                                                                  \
    F(u32, connections, UINT32_MAX)                                                                \
    F(u64, requests, UINT64_MAX)                                                                   \
    F(u64, spool_bytes, UINT64_MAX)                                                                \
    F(u64, spool_limit, UINT64_MAX)                                                                \
    F(u64, spool_next, UINT64_MAX)                                                                 \
    F(u64, spool_acked, UINT64_MAX)                                                                \
    F(flag, from_disk, 0)                                                                          \
    F(flag, draining, 0)                                                                           \
    A(beat_row, rows, n_rows, MSG_BEAT_ROWS_MAX, 0)
WIRE_MESSAGE_ROWS(beat, BEAT_FIELDS)

/* Not of the table's making: a future protocol is told by its number before
 * anything else of it is judged. */
int msg_envelope_encode(const struct msg_envelope *msg, struct sb_buf *out)
{
    struct wire_writer w = wire_writer_init(out);

    wire_write_array(&w, 3);
    wire_write_u64(&w, msg->protocol);
    wire_write_u64(&w, msg->kind);
    wire_write_u64(&w, msg->term);
    return wire_writer_end(&w);
}

int msg_envelope_decode(struct sb_slice bytes, struct msg_envelope *ret_msg)
{
    struct wire_reader r = wire_reader_init(bytes, NULL);
    struct wire_scope outer = wire_enter(&r);
    struct msg_envelope msg;
    int rc;

    msg.protocol = (uint8_t)wire_read_u64(&r, UINT8_MAX);
    if (r.error == SB_OK && (msg.protocol < MSG_PROTOCOL_MIN || msg.protocol > MSG_PROTOCOL))
        return SB_EVERSION;
    msg.kind = (uint8_t)wire_read_u64(&r, UINT8_MAX);
    msg.term = wire_read_u64(&r, UINT64_MAX);
    wire_leave(&r, outer);
    rc = wire_reader_end(&r);
    if (rc != SB_OK)
        return rc;
    *ret_msg = msg;
    return SB_OK;
}

int msg_batch_append(struct sb_buf *bulk, struct sb_slice record)
{
    size_t n = record.n;
    uint8_t length[LENGTH_BYTES];
    int rc;

    if (n > MSG_RECORD_MAX)
        return SB_ETOOBIG;
    rc = sb_buf_reserve(bulk, LENGTH_BYTES + n);
    if (rc != SB_OK)
        return rc;
    for (int i = 0; i < LENGTH_BYTES; i++)
        length[i] = (uint8_t)(n >> (8 * (LENGTH_BYTES - 1 - i)));
    rc = sb_buf_append(bulk, sb_slice_make(length, sizeof(length)));
    return rc != SB_OK ? rc : sb_buf_append(bulk, record); /* reserved: both succeed */
}

int msg_batch_next(struct sb_slice *bulk, struct sb_slice *ret_record)
{
    uint32_t n = 0;

    if (bulk->n == 0)
        return SB_EEOF;
    if (bulk->n < LENGTH_BYTES)
        return SB_EPARSE;
    for (int i = 0; i < LENGTH_BYTES; i++)
        n = n << 8 | (uint8_t)bulk->p[i];
    if (n > MSG_RECORD_MAX)
        return SB_ETOOBIG;
    if (n > bulk->n - LENGTH_BYTES)
        return SB_EPARSE;
    *ret_record = sb_slice_make(bulk->p + LENGTH_BYTES, n);
    *bulk = sb_slice_from(*bulk, LENGTH_BYTES + (size_t)n);
    return SB_OK;
}
