/* proto/record.c */
#include "proto/record.h"

#include "proto/codec.h"

enum { WORD = sizeof(uint64_t) };

/* Bytes of the UTF-8 character at p (RFC 3629), or 0 when there is none. */
static size_t character(const uint8_t *p, size_t n)
{
    uint8_t low = 0x80, high = 0xbf; /* of the second byte */
    size_t want;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    want = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        low = 0xa0; /* shorter forms exist */
    else if (p[0] == 0xed)
        high = 0x9f; /* surrogates */
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    if (n < want || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return want;
}

/* Copies text of at most max bytes that a database takes: no NUL, only UTF-8,
 * cut between characters. */
static size_t clean(struct sb_slice text, char *to, size_t max)
{
    const uint8_t *p = (const uint8_t *)text.p;
    size_t n = 0;

    for (size_t at = 0; at < text.n;) {
        size_t len = character(p + at, text.n - at);
        size_t step = len > 0 ? len : 1;

        if (p[at] != '\0') {
            if (n + step > max)
                break;
            if (len > 0)
                memcpy(to + n, p + at, len);
            else
                to[n] = '?';
            n += step;
        }
        at += step;
    }
    return n;
}

/* Would clean() keep it as it is? */
static bool is_clean(struct sb_slice text)
{
    const uint8_t *p = (const uint8_t *)text.p;
    size_t len;

    for (size_t at = 0; at < text.n; at += len) {
        len = character(p + at, text.n - at);
        if (len == 0 || p[at] == '\0')
            return false;
    }
    return true;
}

/* True when all bytes are ASCII and none is NUL, which is nearly always: a
 * word at a time, since this is on the path of every request.  (A zero byte
 * borrows from its own top bit; nothing else does.) */
static bool is_plain(struct sb_slice text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t suspect = 0, word;

    if (text.n < WORD) {
        for (size_t i = 0; i < text.n; i++)
            suspect |= (uint64_t)(uint8_t)text.p[i] | ((uint64_t)(uint8_t)text.p[i] - 1);
        return (suspect & 0x80) == 0;
    }
    for (size_t at = 0; at + WORD < text.n; at += WORD) {
        memcpy(&word, text.p + at, WORD);
        suspect |= word | (word - ones);
    }
    memcpy(&word, text.p + text.n - WORD, WORD); /* may overlap the one before */
    suspect |= word | (word - ones);
    return (suspect & (ones << 7)) == 0;
}

/* Apart, so that its copy is not on the stack of the usual case. */
static __attribute__((noinline)) void put_cleaned(struct wire_writer *w, struct sb_slice text,
                                                  size_t max)
{
    char copy[MSG_TEXT_MAX];

    wire_write_text(w, sb_slice_make(copy, clean(text, copy, max)), max);
}

/* Text of any length and content; what is stored is clean.  max is at most
 * MSG_TEXT_MAX. */
static void put_any(struct wire_writer *w, const struct sb_slice *v, uint64_t max)
{
    if (SB_LIKELY(v->n <= max && is_plain(*v)))
        wire_write_text(w, *v, max);
    else
        put_cleaned(w, *v, max);
}

static void get_any(struct wire_reader *r, struct sb_slice *v, uint64_t max)
{
    get_text(r, v, max);
}

/* Text that is of use only as it is. */
static void put_whole(struct wire_writer *w, const struct sb_slice *v, uint64_t max)
{
    if (v->n > 0 && v->n <= max && (is_plain(*v) || is_clean(*v)))
        wire_write_text(w, *v, max);
    else
        wire_write_nil(w);
}

static void get_whole(struct wire_reader *r, struct sb_slice *v, uint64_t max)
{
    *v = wire_read_nil(r) ? SB_SLICE_NONE : wire_read_text(r, max);
}

/* Exactly size bytes, or none. */
static void put_exact(struct wire_writer *w, const struct sb_slice *v, uint64_t size)
{
    if (v->n == 0) {
        wire_write_nil(w);
        return;
    }
    if (v->n != size)
        wire_writer_fail(w, SB_ETOOBIG);
    wire_write_bytes(w, *v, size);
}

static void get_exact(struct wire_reader *r, struct sb_slice *v, uint64_t size)
{
    *v = wire_read_nil(r) ? SB_SLICE_NONE : wire_read_bytes(r, size);
    if (v->n != 0 && v->n != size)
        wire_reader_fail(r, SB_EPARSE);
}

#define EVIDENCE_FIELDS(F, A)                                                                      \
    F(u8, claim, UINT8_MAX)                                                                        \
    F(u8, value, UINT8_MAX)                                                                        \
    F(i32, attested_on, 0)                                                                         \
    F(i32, expires_on, 0)                                                                          \
    F(any, evidence, MSG_TEXT_MAX)                                                                 \
    F(any, attested_by, MSG_NAME_MAX)
WIRE_STRUCT(evidence, EVIDENCE_FIELDS)

#define ATTEMPT_FIELDS(F, A)                                                                       \
    F(u64, endpoint, UINT64_MAX)                                                                   \
    F(any, tag, MSG_SLUG_MAX)                                                                      \
    F(any, model, MSG_MODEL_ID_MAX)                                                                \
    F(u64, credential, UINT64_MAX)                                                                 \
    F(u8, credential_kind, UINT8_MAX)                                                              \
    F(u16, status, UINT16_MAX)                                                                     \
    F(u8, outcome, UINT8_MAX)                                                                      \
    F(u32, started, UINT32_MAX)                                                                    \
    F(u32, first_token, UINT32_MAX)                                                                \
    F(u32, took, UINT32_MAX)
WIRE_STRUCT(attempt, ATTEMPT_FIELDS)

#define USAGE_FIELDS(F, A)                                                                         \
    F(u64, prompt_tokens, UINT64_MAX)                                                              \
    F(u64, completion_tokens, UINT64_MAX)                                                          \
    F(u64, cached_tokens, UINT64_MAX)                                                              \
    F(u64, cache_write_tokens, UINT64_MAX)                                                         \
    F(u64, reasoning_tokens, UINT64_MAX)                                                           \
    F(u8, source, UINT8_MAX)
WIRE_STRUCT(usage, USAGE_FIELDS)

#define RECORD_FIELDS(F, A)                                                                        \
    F(kind, kind, MSG_RECORD_REFUSALS)                                                             \
    F(any, generation, MSG_SLUG_MAX)                                                               \
    F(any, request_id, MSG_NAME_MAX)                                                               \
    F(i64, received_at, 0)                                                                         \
    F(u64, took, UINT64_MAX)                                                                       \
    F(u32, first_token, UINT32_MAX)                                                                \
    F(u8, api, UINT8_MAX)                                                                          \
    F(flag, streamed, 0)                                                                           \
    F(u64, key, UINT64_MAX)                                                                        \
    F(u64, tenant, UINT64_MAX)                                                                     \
    F(any, key_name, MSG_SLUG_MAX)                                                                 \
    F(any, tenant_name, MSG_SLUG_MAX)                                                              \
    F(any, model_asked, MSG_MODEL_ID_MAX)                                                          \
    F(any, model_served, MSG_MODEL_ID_MAX)                                                         \
    F(u64, endpoint, UINT64_MAX)                                                                   \
    F(any, tag, MSG_SLUG_MAX)                                                                      \
    F(any, provider, MSG_NAME_MAX)                                                                 \
    F(any, region, MSG_SLUG_MAX)                                                                   \
    F(u8, credential_kind, UINT8_MAX)                                                              \
    F(u64, version.epoch, UINT64_MAX)                                                              \
    F(u64, version.revision, UINT64_MAX)                                                           \
    F(u32, demanded, UINT32_MAX)                                                                   \
    F(any, residency, MSG_URL_MAX)                                                                 \
    A(evidence, evidence, n_evidence, MSG_EVIDENCE_MAX, 0)                                         \
    A(attempt, attempts, n_attempts, MSG_ATTEMPTS_MAX, 0)                                          \
    F(usage, usage, 0)                                                                             \
    F(i64, cost, 0)                                                                                \
    F(i64, upstream_cost, 0)                                                                       \
    F(u16, status, UINT16_MAX)                                                                     \
    F(u8, outcome, UINT8_MAX)                                                                      \
    F(any, finish_reason, MSG_SLUG_MAX)                                                            \
    F(u64, request_bytes, UINT64_MAX)                                                              \
    F(u64, response_bytes, UINT64_MAX)                                                             \
    F(any, refusal, MSG_NAME_MAX)                                                                  \
    F(u64, refusals, UINT64_MAX)                                                                   \
    F(u64, dispatch, UINT64_MAX)                                                                   \
    F(any, client_address, MSG_ADDRESS_MAX)                                                        \
    F(exact, salt, MSG_SALT_BYTES)                                                                 \
    F(exact, request_digest, MSG_HASH_BYTES)                                                       \
    F(exact, response_digest, MSG_HASH_BYTES)                                                      \
    F(exact, user_hash, MSG_HASH_BYTES)                                                            \
    F(exact, metadata_hash, MSG_HASH_BYTES)                                                        \
    F(whole, user_plain, MSG_USER_MAX)                                                             \
    F(whole, metadata_plain, MSG_METADATA_MAX)                                                     \
    F(opt32, demanded_by_policy, 0)
WIRE_STRUCT(record, RECORD_FIELDS)

WIRE_ENCODER(record)

int msg_record_decode(struct sb_slice bytes, struct sb_arena *arena, struct msg_record *ret_msg)
{
    struct wire_reader r = wire_reader_init(bytes, arena);
    struct msg_record record;
    int rc;

    if (bytes.n > MSG_RECORD_MAX)
        return SB_ETOOBIG;
    get_record(&r, &record, 0);
    rc = wire_reader_end(&r);
    if (rc == SB_OK)
        *ret_msg = record;
    return rc;
}
