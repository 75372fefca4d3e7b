/* tests/lib/record_random.h - records with everything that a worker may send,
 * the ends of every range and odd texts more often than the middle. */
#pragma once

#include "common/arena.h"
#include "proto/record.h"
#include "tests/lib/random.h"

static inline uint64_t record_random_number(uint64_t *seed, uint64_t max)
{
    switch (random_below(seed, 5)) {
    case 0:
        return 0;
    case 1:
        return max;
    case 2:
        return random_below(seed, 1000) % (max == UINT64_MAX ? max : max + 1);
    default:
        return max == UINT64_MAX ? random_next(seed) : random_below(seed, max + 1);
    }
}

/* UTF-8 of at most max bytes, without NUL; what JSON escapes is in it often. */
static inline struct sb_slice record_random_text(uint64_t *seed, struct sb_arena *arena, size_t max)
{
    static const char *const pieces[] = {"\"",
                                         "\\",
                                         "\n",
                                         "\x01",
                                         "\x1f",
                                         "\x7f",
                                         "/",
                                         "<",
                                         "a",
                                         "\xc3\xa4",
                                         "\xc2\x80",
                                         "\xe2\x80\xa8",
                                         "\xf0\x9f\x98\x80",
                                         "0",
                                         " ",
                                         "\t"};
    size_t n = 0, want = random_below(seed, 8) == 0 ? max : random_below(seed, max < 40 ? max : 40);
    char *text = sb_arena_alloc(arena, max + 4);

    while (n < want) {
        const char *piece = pieces[random_below(seed, SB_ARRAY_LEN(pieces))];
        size_t len = strlen(piece);

        if (n + len > max)
            break;
        memcpy(text + n, piece, len);
        n += len;
        for (uint64_t plain = random_below(seed, 12); plain > 0 && n < want; plain--)
            text[n++] = (char)('a' + random_below(seed, 26));
    }
    return sb_slice_make(text, n);
}

static inline struct sb_slice record_random_bytes(uint64_t *seed, struct sb_arena *arena, size_t n)
{
    char *bytes = sb_arena_alloc(arena, n);

    if (random_below(seed, 3) == 0)
        return SB_SLICE_NONE;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)random_next(seed);
    return sb_slice_make(bytes, n);
}

static inline struct sb_slice record_random_address(uint64_t *seed)
{
    static const char *const addresses[] = {
        "",
        "unknown",
        "192.0.2.7",
        "255.255.255.255",
        "0.0.0.0",
        "::",
        "::1",
        "::2",
        "::1:2",
        "2001:DB8::0017",
        "2001:db8:0:0:1:0:0:1",
        "2001:db8:0:1:1:1:1:1",
        "::ffff:192.0.2.7",
        "::192.0.2.7",
        "fe80::1%eth0",
        "1:2:3:4:5:6:7:8",
        "0:0:3:4:5:6:7::",
        "1::",
    };

    return sb_slice_of(addresses[random_below(seed, SB_ARRAY_LEN(addresses))]);
}

static inline void record_random_nested(uint64_t *seed, struct sb_arena *arena,
                                        struct msg_record *record)
{
    record->n_evidence = record_random_number(seed, 3);
    record->evidence = sb_arena_alloc(arena, 4 * sizeof(*record->evidence));
    for (size_t i = 0; i < record->n_evidence; i++)
        record->evidence[i] =
            (struct msg_evidence){.claim = (uint8_t)record_random_number(seed, UINT8_MAX),
                                  .value = (uint8_t)record_random_number(seed, UINT8_MAX),
                                  .attested_on = (int32_t)record_random_number(seed, UINT32_MAX),
                                  .expires_on = (int32_t)record_random_number(seed, 40000),
                                  .evidence = record_random_text(seed, arena, MSG_URL_MAX),
                                  .attested_by = record_random_text(seed, arena, MSG_NAME_MAX)};
    record->n_attempts = record_random_number(seed, MSG_ATTEMPTS_MAX);
    record->attempts = sb_arena_alloc(arena, (MSG_ATTEMPTS_MAX + 1) * sizeof(*record->attempts));
    for (size_t i = 0; i < record->n_attempts; i++)
        record->attempts[i] =
            (struct msg_attempt){.endpoint = record_random_number(seed, UINT64_MAX),
                                 .tag = record_random_text(seed, arena, MSG_SLUG_MAX),
                                 .model = record_random_text(seed, arena, MSG_MODEL_ID_MAX),
                                 .credential = record_random_number(seed, UINT64_MAX),
                                 .credential_kind = (uint8_t)record_random_number(seed, UINT8_MAX),
                                 .status = (uint16_t)record_random_number(seed, UINT16_MAX),
                                 .outcome = (uint8_t)record_random_number(seed, UINT8_MAX),
                                 .started = (uint32_t)record_random_number(seed, UINT32_MAX),
                                 .first_token = (uint32_t)record_random_number(seed, UINT32_MAX),
                                 .took = (uint32_t)record_random_number(seed, UINT32_MAX)};
}

static inline void record_random_digests(uint64_t *seed, struct sb_arena *arena,
                                         struct msg_record *record)
{
    record->salt = record_random_bytes(seed, arena, MSG_SALT_BYTES);
    record->request_digest = record_random_bytes(seed, arena, MSG_HASH_BYTES);
    record->response_digest = record_random_bytes(seed, arena, MSG_HASH_BYTES);
    record->user_hash = record_random_bytes(seed, arena, MSG_HASH_BYTES);
    record->metadata_hash = record_random_bytes(seed, arena, MSG_HASH_BYTES);
    record->user_plain = record_random_text(seed, arena, MSG_USER_MAX);
    record->metadata_plain = record_random_text(seed, arena, MSG_NAME_MAX);
    record->demanded_by_policy = (uint32_t)record_random_number(seed, UINT32_MAX);
}

/* Its texts and arrays are in arena.  The database takes it: of a day that has
 * no partition, mostly. */
static inline struct msg_record record_random(uint64_t *seed, struct sb_arena *arena, uint8_t kind)
{
    struct msg_record record = {
        .kind = kind,
        .generation = record_random_text(seed, arena, MSG_SLUG_MAX),
        .request_id = record_random_text(seed, arena, MSG_NAME_MAX),
        .received_at = (int64_t)record_random_number(seed, 1UL << 60) - (1L << 54),
        .took = record_random_number(seed, INT64_MAX),
        .first_token = (uint32_t)record_random_number(seed, UINT32_MAX),
        .api = (uint8_t)record_random_number(seed, UINT8_MAX),
        .streamed = random_below(seed, 2) == 0,
        .key = record_random_number(seed, INT64_MAX),
        .tenant = record_random_number(seed, INT64_MAX),
        .key_name = record_random_text(seed, arena, MSG_SLUG_MAX),
        .tenant_name = record_random_text(seed, arena, MSG_SLUG_MAX),
        .model_asked = record_random_text(seed, arena, MSG_MODEL_ID_MAX),
        .model_served = record_random_text(seed, arena, MSG_MODEL_ID_MAX),
        .endpoint = record_random_number(seed, INT64_MAX),
        .tag = record_random_text(seed, arena, MSG_SLUG_MAX),
        .provider = record_random_text(seed, arena, MSG_NAME_MAX),
        .region = record_random_text(seed, arena, MSG_SLUG_MAX),
        .credential_kind = (uint8_t)record_random_number(seed, UINT8_MAX),
        .version = {record_random_number(seed, INT64_MAX), record_random_number(seed, INT64_MAX)},
        .demanded = (uint32_t)record_random_number(seed, UINT32_MAX),
        .residency = record_random_text(seed, arena, MSG_URL_MAX),
        .usage = {.prompt_tokens = record_random_number(seed, INT64_MAX),
                  .completion_tokens = record_random_number(seed, INT64_MAX),
                  .cached_tokens = record_random_number(seed, INT64_MAX),
                  .cache_write_tokens = record_random_number(seed, INT64_MAX),
                  .reasoning_tokens = record_random_number(seed, INT64_MAX),
                  .source = (uint8_t)record_random_number(seed, UINT8_MAX)},
        .cost = (int64_t)record_random_number(seed, UINT64_MAX),
        .upstream_cost = (int64_t)record_random_number(seed, UINT64_MAX),
        .status = (uint16_t)record_random_number(seed, UINT16_MAX),
        .outcome = (uint8_t)record_random_number(seed, UINT8_MAX),
        .finish_reason = record_random_text(seed, arena, MSG_SLUG_MAX),
        .request_bytes = record_random_number(seed, INT64_MAX),
        .response_bytes = record_random_number(seed, INT64_MAX),
        .refusal = record_random_text(seed, arena, MSG_NAME_MAX),
        .refusals = record_random_number(seed, INT64_MAX),
        .dispatch = record_random_number(seed, INT64_MAX),
        .client_address = record_random_address(seed),
    };

    record_random_nested(seed, arena, &record);
    record_random_digests(seed, arena, &record);
    return record;
}
