/* tests/unit/proto/test_record.c */
#include "proto/record.h"

#include "proto/wire.h"
#include "tests/lib/message.h"

static struct msg_evidence evidence[] = {
    {.claim = MSG_CLAIM_EU_RESIDENT,
     .value = MSG_TRI_YES,
     .attested_on = 20000,
     .expires_on = 20365,
     .evidence = {"https://acme.example/regions", 28},
     .attested_by = {"legal@example.com", 17}},
    {.claim = MSG_CLAIM_ZDR, .value = MSG_TRI_UNKNOWN},
};
static struct msg_attempt attempts[] = {
    {.endpoint = 71,
     .tag = {"bolt", 4},
     .model = {"meta/llama", 10},
     .credential = 72,
     .credential_kind = MSG_CREDENTIAL_KIND_OWN,
     .status = 429,
     .outcome = MSG_OUTCOME_RATE_LIMITED,
     .started = 300,
     .first_token = 0,
     .took = 40000},
    {.endpoint = 81,
     .tag = {"acme/turbo", 10},
     .model = {"meta/llama", 10},
     .credential = 82,
     .credential_kind = MSG_CREDENTIAL_KIND_HOUSE,
     .status = 200,
     .outcome = MSG_OUTCOME_SUCCESS,
     .started = 41000,
     .first_token = 250000,
     .took = 1750000},
};
static const struct msg_record record = {
    .kind = MSG_RECORD_REQUEST,
    .generation = {"gen-0123456789", 14},
    .request_id = {"req-7", 5},
    .received_at = 1790000000123456,
    .took = 1800000,
    .first_token = 291000,
    .api = MSG_API_COMPLETIONS,
    .streamed = true,
    .key = 51,
    .tenant = 52,
    .key_name = {"app", 3},
    .tenant_name = {"default", 7},
    .model_asked = {"llama", 5},
    .model_served = {"meta/llama", 10},
    .endpoint = 81,
    .tag = {"acme/turbo", 10},
    .provider = {"acme", 4},
    .region = {"DE", 2},
    .credential_kind = MSG_CREDENTIAL_KIND_HOUSE,
    .version = {1780000000000000, 77},
    .demanded = 1u << MSG_CLAIM_EU_RESIDENT | 1u << MSG_CLAIM_ZDR,
    .residency = {"eu", 2},
    .evidence = evidence,
    .n_evidence = SB_ARRAY_LEN(evidence),
    .attempts = attempts,
    .n_attempts = SB_ARRAY_LEN(attempts),
    .usage = {.prompt_tokens = 1001,
              .completion_tokens = 1002,
              .cached_tokens = 503,
              .cache_write_tokens = 504,
              .reasoning_tokens = 505,
              .source = MSG_USAGE_SOURCE_PROVIDER},
    .cost = 500700000000,
    .upstream_cost = 400700000000,
    .status = 200,
    .outcome = MSG_OUTCOME_SUCCESS,
    .finish_reason = {"stop", 4},
    .request_bytes = 2048,
    .response_bytes = 4096,
    .refusal = {"expired", 7},
    .refusals = 3,
    .dispatch = 4001,
    .client_address = {"2001:db8::17", 12},
    .salt = {"0123456789abcdef", MSG_SALT_BYTES},
    .request_digest = {"request digest, which has 32 byte", MSG_HASH_BYTES},
    .response_digest = {"response digest, which has as ma", MSG_HASH_BYTES},
    .user_hash = {"the hash of the name of the user", MSG_HASH_BYTES},
    .metadata_hash = {"the hash of what was said beside", MSG_HASH_BYTES},
    .user_plain = {"user \xe2\x82\xac", 8},
    .metadata_plain = {"{\"a\":\"b\"}", 9},
    .demanded_by_policy = 1u << MSG_CLAIM_ZDR,
};

MESSAGE_RECODE_ROWS(record)

static struct sb_buf out;
static struct sb_arena *arena;

static int set_up(void **state)
{
    (void)state;
    sb_buf_init(&out, 1 << 20);
    arena = sb_arena_new(16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_mem_fail_nth(0);
    sb_buf_release(&out);
    sb_arena_destroy(&arena);
    return 0;
}

static void a_record_keeps_its_bytes(void **state)
{
    (void)state;
    assert_int_equal(msg_record_encode(&record, &out), SB_OK);
    check_message("record", sb_buf_slice(&out), recode_record);
}

/* All that is known before the first byte goes to a provider. */
static void a_dispatch_keeps_its_bytes(void **state)
{
    struct msg_record dispatch = record;

    (void)state;
    dispatch.kind = MSG_RECORD_DISPATCH;
    dispatch.model_served = dispatch.finish_reason = dispatch.refusal = SB_SLICE_NONE;
    dispatch.took = dispatch.dispatch = 0;
    dispatch.first_token = 0;
    dispatch.n_attempts = 0;
    dispatch.usage = (struct msg_usage){.source = MSG_USAGE_SOURCE_NONE};
    dispatch.cost = dispatch.upstream_cost = 0;
    dispatch.status = dispatch.outcome = 0;
    dispatch.response_bytes = dispatch.refusals = 0;
    dispatch.response_digest = SB_SLICE_NONE;
    assert_int_equal(msg_record_encode(&dispatch, &out), SB_OK);
    check_message("dispatch", sb_buf_slice(&out), recode_record);
}

static void same_attempt(const struct msg_attempt *got, const struct msg_attempt *want)
{
    assert_int_equal(got->endpoint, want->endpoint);
    assert_true(sb_slice_eq(got->tag, want->tag));
    assert_true(sb_slice_eq(got->model, want->model));
    assert_int_equal(got->credential, want->credential);
    assert_int_equal(got->credential_kind, want->credential_kind);
    assert_int_equal(got->status, want->status);
    assert_int_equal(got->outcome, want->outcome);
    assert_int_equal(got->started, want->started);
    assert_int_equal(got->first_token, want->first_token);
    assert_int_equal(got->took, want->took);
}

static void same_evidence(const struct msg_evidence *got, const struct msg_evidence *want)
{
    assert_int_equal(got->claim, want->claim);
    assert_int_equal(got->value, want->value);
    assert_int_equal(got->attested_on, want->attested_on);
    assert_int_equal(got->expires_on, want->expires_on);
    assert_true(sb_slice_eq(got->evidence, want->evidence));
    assert_true(sb_slice_eq(got->attested_by, want->attested_by));
}

static void a_record_arrives_whole(void **state)
{
    struct msg_record got;

    (void)state;
    assert_int_equal(msg_record_encode(&record, &out), SB_OK);
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &got), SB_OK);
    assert_int_equal(got.kind, MSG_RECORD_REQUEST);
    assert_true(sb_slice_is(got.generation, "gen-0123456789"));
    assert_true(sb_slice_is(got.request_id, "req-7"));
    assert_true(got.received_at == 1790000000123456);
    assert_int_equal(got.took, 1800000);
    assert_int_equal(got.first_token, 291000);
    assert_int_equal(got.api, MSG_API_COMPLETIONS);
    assert_true(got.streamed);
    assert_int_equal(got.key, 51);
    assert_int_equal(got.tenant, 52);
    assert_true(sb_slice_is(got.key_name, "app"));
    assert_true(sb_slice_is(got.tenant_name, "default"));
    assert_true(sb_slice_is(got.model_asked, "llama"));
    assert_true(sb_slice_is(got.model_served, "meta/llama"));
    assert_int_equal(got.endpoint, 81);
    assert_true(sb_slice_is(got.tag, "acme/turbo"));
    assert_true(sb_slice_is(got.provider, "acme"));
    assert_true(sb_slice_is(got.region, "DE"));
    assert_int_equal(got.credential_kind, MSG_CREDENTIAL_KIND_HOUSE);
    assert_int_equal(msg_version_cmp(got.version, record.version), 0);
    assert_int_equal(got.demanded, 3);
    assert_true(sb_slice_is(got.residency, "eu"));
    assert_int_equal(got.n_evidence, 2);
    assert_int_equal(got.n_attempts, 2);
    for (size_t i = 0; i < 2; i++) {
        same_evidence(&got.evidence[i], &evidence[i]);
        same_attempt(&got.attempts[i], &attempts[i]);
    }
    assert_int_equal(got.usage.prompt_tokens, 1001);
    assert_int_equal(got.usage.completion_tokens, 1002);
    assert_int_equal(got.usage.cached_tokens, 503);
    assert_int_equal(got.usage.cache_write_tokens, 504);
    assert_int_equal(got.usage.reasoning_tokens, 505);
    assert_int_equal(got.usage.source, MSG_USAGE_SOURCE_PROVIDER);
    assert_int_equal(got.cost, 500700000000);
    assert_int_equal(got.upstream_cost, 400700000000);
    assert_int_equal(got.status, 200);
    assert_int_equal(got.outcome, MSG_OUTCOME_SUCCESS);
    assert_true(sb_slice_is(got.finish_reason, "stop"));
    assert_int_equal(got.request_bytes, 2048);
    assert_int_equal(got.response_bytes, 4096);
    assert_true(sb_slice_is(got.refusal, "expired"));
    assert_int_equal(got.refusals, 3);
    assert_int_equal(got.dispatch, 4001);
    assert_true(sb_slice_is(got.client_address, "2001:db8::17"));
    assert_true(sb_slice_eq(got.salt, record.salt));
    assert_true(sb_slice_eq(got.request_digest, record.request_digest));
    assert_true(sb_slice_eq(got.response_digest, record.response_digest));
    assert_true(sb_slice_eq(got.user_hash, record.user_hash));
    assert_true(sb_slice_eq(got.metadata_hash, record.metadata_hash));
    assert_true(sb_slice_eq(got.user_plain, record.user_plain));
    assert_true(sb_slice_eq(got.metadata_plain, record.metadata_plain));
    assert_int_equal(got.demanded_by_policy, 1u << MSG_CLAIM_ZDR);
}

/* The record without its last fields, which are all empty: so many bytes. */
static void decode_older(const struct msg_record *older, unsigned fields, size_t bytes,
                         struct msg_record *ret_got)
{
    size_t n;

    assert_int_equal(msg_record_encode(older, &out), SB_OK);
    n = (size_t)(uint8_t)out.data[1] << 8 | (uint8_t)out.data[2]; /* of array16 */
    out.data[2] = (char)(n - fields);
    out.tail -= bytes;
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, ret_got), SB_OK);
    sb_buf_reset(&out);
}

static void a_record_of_an_older_sender_lacks_what_it_did_not_know(void **state)
{
    struct msg_record older = record, got;

    (void)state;
    older.salt = older.request_digest = older.response_digest = SB_SLICE_NONE;
    older.user_hash = older.metadata_hash = SB_SLICE_NONE;
    older.user_plain = older.metadata_plain = SB_SLICE_NONE;
    older.demanded_by_policy = MSG_DEMANDED_UNKNOWN;
    decode_older(&older, 8, 8, &got); /* nil each */
    assert_true(sb_slice_is(got.client_address, "2001:db8::17"));
    assert_int_equal(got.salt.n + got.request_digest.n + got.response_digest.n, 0);
    assert_int_equal(got.user_hash.n + got.metadata_hash.n, 0);
    assert_int_equal(got.user_plain.n + got.metadata_plain.n, 0);
    assert_int_equal(got.demanded_by_policy, MSG_DEMANDED_UNKNOWN);
    older.dispatch = 0;
    older.client_address = SB_SLICE_NONE;
    decode_older(&older, 8 + 2, 8 + 2, &got); /* and 0, "" */
    assert_int_equal(got.refusals, 3);
    assert_int_equal(got.dispatch, 0);
    assert_int_equal(got.client_address.n, 0);
}

static void a_digest_of_another_length_is_refused_by_both_sides(void **state)
{
    struct msg_record sent = record, got;
    size_t at;

    (void)state;
    sent.user_hash.n--;
    assert_int_equal(msg_record_encode(&sent, &out), SB_ETOOBIG);
    sent = record;
    sent.salt = sb_slice_make("0123456789abcdefg", MSG_SALT_BYTES + 1);
    assert_int_equal(msg_record_encode(&sent, &out), SB_ETOOBIG);
    assert_int_equal(msg_record_encode(&record, &out), SB_OK);
    for (at = 0; memcmp(out.data + at, "\xc4\x10\x30\x31\x32\x33", 6) != 0; at++)
        assert_true(at + 6 < sb_buf_len(&out));
    out.data[at + 1] = 8; /* the header of bin 8 and as many of its bytes */
    memmove(out.data + at + 10, out.data + at + 18, sb_buf_len(&out) - at - 18);
    out.tail -= 8;
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &got), SB_EPARSE);
}

/* Of what was hashed a part would be of no use. */
static void plain_values_are_kept_whole_or_not_at_all(void **state)
{
    static char big[MSG_USER_MAX + 1];
    struct msg_record sent = record, got;
    const struct sb_slice left_out[] = {sb_slice_make(big, sizeof(big)), SB_SLICE_LIT("a\0b"),
                                        SB_SLICE_LIT("caf\xe9")};

    (void)state;
    memset(big, 'x', sizeof(big));
    for (size_t i = 0; i < SB_ARRAY_LEN(left_out); i++) {
        sb_buf_reset(&out);
        sent.user_plain = left_out[i];
        assert_int_equal(msg_record_encode(&sent, &out), SB_OK);
        assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &got), SB_OK);
        assert_int_equal(got.user_plain.n, 0);
        assert_true(sb_slice_eq(got.metadata_plain, record.metadata_plain));
    }
    sb_buf_reset(&out);
    sent.user_plain = sb_slice_make(big, MSG_USER_MAX);
    assert_int_equal(msg_record_encode(&sent, &out), SB_OK);
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &got), SB_OK);
    assert_int_equal(got.user_plain.n, MSG_USER_MAX);
}

/* What a text becomes on its way through a record. */
static struct sb_slice through(struct sb_slice text)
{
    struct msg_record sent = {.kind = MSG_RECORD_REQUEST, .request_id = text}, got;

    sb_buf_reset(&out);
    assert_int_equal(msg_record_encode(&sent, &out), SB_OK);
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &got), SB_OK);
    return got.request_id;
}

static void text_that_a_database_takes_is_kept(void **state)
{
    static const char *const kept[] = {
        "",
        "1234567",
        "12345678",
        "123456789",
        "\x01\x7f control",
        "caf\xc3\xa9",
        "\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf",
        "\xf0\x90\x80\x80 \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf",
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(kept); i++)
        assert_true(sb_slice_is(through(sb_slice_of(kept[i])), kept[i]));
}

static void bytes_that_a_database_refuses_are_replaced(void **state)
{
    const struct {
        struct sb_slice sent;
        const char *stored;
    } cases[] = {
        {SB_SLICE_LIT("a\0b\0"), "ab"},
        {SB_SLICE_LIT("\0"), ""},
        {SB_SLICE_LIT("12345678\0"), "12345678"},
        {SB_SLICE_LIT("\x80\xbf"), "??"},           /* continuation alone */
        {SB_SLICE_LIT("caf\xe9!"), "caf?!"},        /* Latin-1 */
        {SB_SLICE_LIT("\xc0\x80\xc1\xbf"), "????"}, /* overlong */
        {SB_SLICE_LIT("\xe0\x9f\xbf"), "???"},
        {SB_SLICE_LIT("\xed\xa0\x80"), "???"}, /* surrogate */
        {SB_SLICE_LIT("\xf0\x8f\xbf\xbf"), "????"},
        {SB_SLICE_LIT("\xf4\x90\x80\x80"), "????"}, /* beyond Unicode */
        {SB_SLICE_LIT("\xf5\xff"), "??"},
        {SB_SLICE_LIT("\xe2\x82"), "??"},        /* cut */
        {SB_SLICE_LIT("\xe2\x82\0\xac"), "???"}, /* a NUL inside is no way around */
        {SB_SLICE_LIT("\xe2\xe2\x82\xac"), "?\xe2\x82\xac"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++)
        assert_true(sb_slice_is(through(cases[i].sent), cases[i].stored));
}

static void text_over_its_ceiling_is_cut_between_characters(void **state)
{
    char text[3 * MSG_NAME_MAX];
    struct sb_slice got;

    (void)state;
    memset(text, 'x', sizeof(text));
    got = through(sb_slice_make(text, sizeof(text)));
    assert_int_equal(got.n, MSG_NAME_MAX);
    assert_int_equal(through(sb_slice_make(text, MSG_NAME_MAX)).n, MSG_NAME_MAX);
    for (size_t i = 0; i < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3); /* 256 = 85 * 3 + 1 */
    got = through(sb_slice_make(text, sizeof(text)));
    assert_int_equal(got.n, 255);
    assert_memory_equal(got.p, text, 255);
}

static void the_greatest_record_fits_its_ceiling(void **state)
{
    static char big[2 * MSG_METADATA_MAX];
    struct sb_slice any = sb_slice_make(big, sizeof(big));
    struct msg_evidence all_evidence[MSG_EVIDENCE_MAX];
    struct msg_attempt all_attempts[MSG_ATTEMPTS_MAX];
    struct msg_record r;

    (void)state;
    memset(big, 'x', sizeof(big));
    memset(&r, 0xff, sizeof(r));
    for (size_t i = 0; i < MSG_EVIDENCE_MAX; i++)
        all_evidence[i] = (struct msg_evidence){255, 255, INT32_MIN, INT32_MIN, any, any};
    for (size_t i = 0; i < MSG_ATTEMPTS_MAX; i++) {
        all_attempts[i] = attempts[0];
        all_attempts[i].tag = all_attempts[i].model = any;
    }
    r.kind = MSG_RECORD_REQUEST;
    r.streamed = true;
    r.generation = r.request_id = r.key_name = r.tenant_name = r.model_asked = any;
    r.model_served = r.tag = r.provider = r.region = r.residency = any;
    r.finish_reason = r.refusal = r.client_address = any;
    r.salt = sb_slice_make(big, MSG_SALT_BYTES);
    r.request_digest = r.response_digest = r.user_hash = r.metadata_hash =
        sb_slice_make(big, MSG_HASH_BYTES);
    r.user_plain = sb_slice_make(big, MSG_USER_MAX);
    r.metadata_plain = sb_slice_make(big, MSG_METADATA_MAX);
    r.evidence = all_evidence;
    r.n_evidence = MSG_EVIDENCE_MAX;
    r.attempts = all_attempts;
    r.n_attempts = MSG_ATTEMPTS_MAX;
    assert_int_equal(msg_record_encode(&r, &out), SB_OK);
    assert_true(sb_buf_len(&out) <= MSG_RECORD_MAX);
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &r), SB_OK);
    assert_int_equal(r.n_attempts, MSG_ATTEMPTS_MAX);
}

static void more_attempts_or_evidence_than_their_ceiling_are_refused(void **state)
{
    struct msg_attempt many_attempts[MSG_ATTEMPTS_MAX + 1] = {0};
    struct msg_evidence many_evidence[MSG_EVIDENCE_MAX + 1] = {0};
    struct msg_record r = record;
    struct wire_writer w;

    (void)state;
    r.attempts = many_attempts;
    r.n_attempts = MSG_ATTEMPTS_MAX + 1;
    assert_int_equal(msg_record_encode(&r, &out), SB_ETOOBIG);
    r = record;
    r.evidence = many_evidence;
    r.n_evidence = MSG_EVIDENCE_MAX + 1;
    assert_int_equal(msg_record_encode(&r, &out), SB_ETOOBIG);
    assert_int_equal(sb_buf_len(&out), 0);
    /* A record that ends with its evidence. */
    r = (struct msg_record){.kind = MSG_RECORD_REQUEST};
    assert_int_equal(msg_record_encode(&r, &out), SB_OK);
    out.data[2] = 24;                          /* fields, in the header of array16 */
    out.tail -= 1 + 1 + 7 + 2 + 2 + 5 + 2 + 8; /* evidence, attempts, usage and what follows */
    w = wire_writer_init(&out);
    wire_write_array(&w, MSG_EVIDENCE_MAX);
    for (int i = 0; i < MSG_EVIDENCE_MAX; i++)
        wire_write_array(&w, 0);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &r), SB_OK);
    assert_int_equal(r.n_evidence, MSG_EVIDENCE_MAX);
    assert_int_equal(r.n_attempts, 0);
    out.data[out.tail - MSG_EVIDENCE_MAX - 1]++;
    assert_int_equal(sb_buf_append_byte(&out, (char)0x90), SB_OK);
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &r), SB_ETOOBIG);
}

static void a_record_over_its_ceiling_is_refused_unread(void **state)
{
    static char big[MSG_RECORD_MAX + 1];
    struct msg_record got;

    (void)state;
    assert_int_equal(msg_record_decode(sb_slice_make(big, sizeof(big)), arena, &got), SB_ETOOBIG);
}

static void an_unknown_kind_is_refused_and_unknown_words_are_kept(void **state)
{
    struct msg_record sent = record, got = record;

    (void)state;
    sent.outcome = 200;
    sent.api = 99;
    assert_int_equal(msg_record_encode(&sent, &out), SB_OK);
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &got), SB_OK);
    assert_int_equal(got.outcome, 200);
    assert_int_equal(got.api, 99);
    assert_int_equal(msg_record_decode(SB_SLICE_LIT("\x91\x04"), arena, &got), SB_EPARSE);
    assert_int_equal(msg_record_decode(SB_SLICE_LIT("\x90"), arena, &got), SB_EPARSE);
    assert_int_equal(msg_record_decode(SB_SLICE_LIT("\x91\x03"), arena, &got), SB_OK);
    assert_int_equal(got.kind, MSG_RECORD_REFUSALS);
    assert_int_equal(got.n_attempts, 0);
    assert_null(got.attempts);
}

static void encoding_into_a_buffer_with_room_allocates_nothing(void **state)
{
    size_t at;

    (void)state;
    assert_int_equal(sb_buf_reserve(&out, 4096), SB_OK);
    sb_mem_fail_nth(1);
    assert_int_equal(msg_record_encode(&record, &out), SB_OK);
    at = sb_buf_len(&out);
    assert_int_equal(msg_record_encode(&record, &out), SB_OK); /* appends */
    assert_int_equal(sb_buf_len(&out), 2 * at);
    assert_memory_equal(out.data, out.data + at, at);
}

static void without_memory_it_fails_cleanly(void **state)
{
    struct msg_record got = {.key = 1};

    (void)state;
    sb_mem_fail_nth(1);
    assert_int_equal(msg_record_encode(&record, &out), SB_ENOMEM);
    sb_mem_fail_nth(2); /* the buffer grows in the middle */
    assert_int_equal(msg_record_encode(&record, &out), SB_ENOMEM);
    assert_int_equal(sb_buf_len(&out), 0);
    sb_mem_fail_nth(0);
    assert_int_equal(msg_record_encode(&record, &out), SB_OK);
    sb_mem_fail_nth(1);
    assert_int_equal(msg_record_decode(sb_buf_slice(&out), arena, &got), SB_ENOMEM);
    assert_int_equal(got.key, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_record_keeps_its_bytes),
        TEST(a_dispatch_keeps_its_bytes),
        TEST(a_record_arrives_whole),
        TEST(a_record_of_an_older_sender_lacks_what_it_did_not_know),
        TEST(a_digest_of_another_length_is_refused_by_both_sides),
        TEST(plain_values_are_kept_whole_or_not_at_all),
        TEST(text_that_a_database_takes_is_kept),
        TEST(bytes_that_a_database_refuses_are_replaced),
        TEST(text_over_its_ceiling_is_cut_between_characters),
        TEST(the_greatest_record_fits_its_ceiling),
        TEST(more_attempts_or_evidence_than_their_ceiling_are_refused),
        TEST(a_record_over_its_ceiling_is_refused_unread),
        TEST(an_unknown_kind_is_refused_and_unknown_words_are_kept),
        TEST(encoding_into_a_buffer_with_room_allocates_nothing),
        TEST(without_memory_it_fails_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
