/* tests/unit/proto/test_receipt.c */
#include "proto/receipt.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/json.h"
#include "proto/limits.h"
#include "proto/record.h"
#include "tests/lib/test.h"

enum { ROOM = 64 << 10 };

static struct sb_buf out, json;
static struct sb_secret *seed;
static uint8_t public_key[SB_SIGN_PUBLIC];
static struct msg_promiser by;

static int set_up(void **state)
{
    (void)state;
    sb_buf_init(&out, ROOM);
    sb_buf_init(&json, ROOM);
    seed = sb_sign_seed_new();
    sb_sign_public(seed, public_key);
    by = (struct msg_promiser){.seed = seed,
                               .worker = SB_SLICE_LIT("host-0"),
                               .boot = UINT64_MAX,
                               .certificate = SB_SLICE_LIT("a\nnote\n")};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_buf_release(&out);
    sb_buf_release(&json);
    sb_secret_destroy(&seed);
    return 0;
}

/* --- certificates ------------------------------------------------------------------- */

static void a_certificate_reads_as_it_was_written(void **state)
{
    struct msg_certificate certificate = {
        .worker = SB_SLICE_LIT("host-0"), .boot = 1790000000000000, .at = INT64_MAX};
    struct msg_certificate got;

    (void)state;
    memcpy(certificate.key, public_key, sizeof(certificate.key));
    assert_int_equal(msg_certificate_write(&certificate, &out), SB_OK);
    assert_true(sb_slice_starts_with(
        sb_buf_slice(&out),
        SB_SLICE_LIT("switchboard/worker-key\nworker host-0\nboot 1790000000000000\nkey ")));
    assert_int_equal(msg_certificate_read(sb_buf_slice(&out), &got), SB_OK);
    assert_true(sb_slice_is(got.worker, "host-0"));
    assert_true(got.boot == certificate.boot && got.at == certificate.at);
    assert_memory_equal(got.key, public_key, sizeof(got.key));
}

static void names_that_could_forge_a_line_are_not_certified(void **state)
{
    static const struct sb_slice names[] = {SB_SLICE_INIT(""), SB_SLICE_INIT("a\nboot 1"),
                                            SB_SLICE_INIT("a b"), SB_SLICE_INIT("\xc3\xa4")};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(names); i++) {
        const struct msg_certificate certificate = {.worker = names[i]};

        assert_int_equal(msg_certificate_write(&certificate, &out), SB_EINVAL);
    }
    assert_int_equal(sb_buf_len(&out), 0);
}

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static void what_is_no_certificate_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "switchboard/worker-key\n",
        "switchboard/audit\nworker a\nboot 1\nkey " KEY "\nat 1\n",
        "switchboard/worker-key\nworker a\nboot 1\nkey " KEY "\nat 1",
        "switchboard/worker-key\nworker a\nboot 1\nkey " KEY "\nat 1\nmore\n",
        "switchboard/worker-key\nworker \nboot 1\nkey " KEY "\nat 1\n",
        "switchboard/worker-key\nworker a\nboot 01\nkey " KEY "\nat 1\n",
        "switchboard/worker-key\nworker a\nboot -1\nkey " KEY "\nat 1\n",
        "switchboard/worker-key\nworker a\nboot 18446744073709551616\nkey " KEY "\nat 1\n",
        "switchboard/worker-key\nworker a\nboot 1\nkey AAEC\nat 1\n",
        "switchboard/worker-key\nworker a\nboot 1\nkey " KEY "\nat 9223372036854775808\n",
    };
    struct msg_certificate got = {.boot = 7};

    (void)state;
    assert_int_equal(
        msg_certificate_read(
            SB_SLICE_LIT("switchboard/worker-key\nworker a\nboot 1\nkey " KEY "\nat 1\n"), &got),
        SB_OK);
    got.boot = 7;
    for (size_t i = 0; i < SB_ARRAY_LEN(texts); i++) {
        if (msg_certificate_read(sb_slice_of(texts[i]), &got) != SB_EPARSE)
            fail_msg("taken: %s", texts[i]);
    }
    assert_int_equal(got.boot, 7);
}

/* --- promises --------------------------------------------------------------------------- */

static const uint8_t salt[MSG_SALT_BYTES] = {0xab, 1}, digest[MSG_HASH_BYTES] = {0xcd, 2};

static struct msg_record record_of(struct msg_evidence *evidence, size_t n)
{
    return (struct msg_record){
        .generation = SB_SLICE_LIT("gen-1-x"),
        .received_at = 1790000000000001,
        .model_served = SB_SLICE_LIT("a/m"),
        .endpoint = 7,
        .tag = SB_SLICE_LIT("acme/turbo"),
        .provider = SB_SLICE_LIT("acme"),
        .region = SB_SLICE_LIT("DE"),
        .demanded = 3,
        .residency = SB_SLICE_LIT("eu"),
        .evidence = evidence,
        .n_evidence = n,
        .salt = sb_slice_make(salt, sizeof(salt)),
        .request_digest = sb_slice_make(digest, sizeof(digest)),
    };
}

static void write_promise(const struct msg_record *record)
{
    struct sb_buf scratch;

    sb_buf_init(&scratch, ROOM);
    assert_int_equal(msg_promise_write(&by, record, 1790000000000002, &scratch, &out), SB_OK);
    sb_buf_release(&scratch);
}

static void a_promise_says_what_the_entry_will(void **state)
{
    struct msg_evidence evidence[] = {{.claim = MSG_CLAIM_ZDR,
                                       .value = MSG_TRI_YES,
                                       .attested_on = 20000,
                                       .evidence = SB_SLICE_INIT("a \"contract\""),
                                       .attested_by = SB_SLICE_INIT("jo")}};
    struct msg_record record = record_of(evidence, 1);
    struct msg_promise promise;
    struct sb_errmsg err;

    (void)state;
    write_promise(&record);
    assert_int_equal(msg_promise_open(sb_buf_slice(&out), &json, &promise, &err), SB_OK);
    assert_true(sb_sign_is_valid(public_key, promise.is_signed, promise.signature));
    if (!sb_slice_is(
            sb_buf_slice(&json),
            "{\"at\":1790000000000002,\"boot_id\":18446744073709551615,"
            "\"certificate\":\"a\\nnote\\n\",\"demanded\":3,\"endpoint_id\":7,\"evidence\":["
            "{\"attested_by\":\"jo\",\"attested_on\":\"2024-10-04\",\"claim\":\"zdr\","
            "\"evidence\":\"a \\\"contract\\\"\",\"value\":\"yes\"}],\"generation\":\"gen-1-x\","
            "\"logged_within\":60,\"model_served\":\"a/m\",\"provider\":\"acme\","
            "\"received_at\":1790000000000001,\"region\":\"DE\",\"request_digest\":"
            "\"cd02000000000000000000000000000000000000000000000000000000000000\","
            "\"residency\":\"eu\",\"salt\":\"ab010000000000000000000000000000\","
            "\"tag\":\"acme/turbo\",\"worker_id\":\"host-0\"}"))
        fail_msg("%.*s", SB_SLICE_ARGS(sb_buf_slice(&json)));
}

static void what_is_not_known_yet_is_left_out(void **state)
{
    const struct msg_record record = {.generation = SB_SLICE_INIT("gen-1-x"),
                                      .salt = {(const char *)salt, sizeof(salt)}};
    struct msg_promise promise;

    (void)state;
    write_promise(&record);
    assert_int_equal(msg_promise_open(sb_buf_slice(&out), &json, &promise, NULL), SB_OK);
    assert_true(sb_slice_is(
        sb_buf_slice(&json),
        "{\"at\":1790000000000002,\"boot_id\":18446744073709551615,\"certificate\":\"a\\nnote\\n\","
        "\"demanded\":0,\"generation\":\"gen-1-x\",\"logged_within\":60,\"received_at\":0,"
        "\"salt\":\"ab010000000000000000000000000000\",\"worker_id\":\"host-0\"}"));
}

/* Heads have limits, and proxies before us lower ones. */
static void long_evidence_is_digested(void **state)
{
    struct msg_evidence evidence[MSG_CLAIM_COUNT];
    struct msg_record record = record_of(evidence, MSG_CLAIM_COUNT);
    struct msg_promise promise;
    char text[MSG_TEXT_MAX];

    (void)state;
    memset(text, 'e', sizeof(text));
    for (int kind = 0; kind < MSG_CLAIM_COUNT; kind++)
        evidence[kind] = (struct msg_evidence){.claim = (uint8_t)kind,
                                               .value = MSG_TRI_YES,
                                               .evidence = sb_slice_make(text, sizeof(text))};
    write_promise(&record);
    assert_true(sb_buf_len(&out) < 4096);
    assert_int_equal(msg_promise_open(sb_buf_slice(&out), &json, &promise, NULL), SB_OK);
    assert_int_equal(sb_buf_append_byte(&json, '\0'), SB_OK);
    assert_non_null(strstr(json.data, "\"evidence_digest\":\""));
}

static void every_change_of_a_promise_shows(void **state)
{
    const struct msg_record record = record_of(NULL, 0);
    struct msg_promise promise;
    char text[2048];
    size_t n;

    (void)state;
    write_promise(&record);
    n = sb_buf_len(&out);
    assert_true(n < sizeof(text));
    for (size_t i = 0; i < n; i++) {
        memcpy(text, sb_buf_slice(&out).p, n);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        sb_buf_reset(&json);
        if (msg_promise_open(sb_slice_make(text, n), &json, &promise, NULL) == SB_OK &&
            sb_sign_is_valid(public_key, promise.is_signed, promise.signature))
            fail_msg("a change of character %zu does not show", i);
    }
}

static void what_is_no_promise_is_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"", SB_EVERSION},     {"none", SB_EVERSION},    {"v2.e30.AA", SB_EVERSION},
        {"v1.", SB_EPARSE},    {"v1.e30", SB_EPARSE},    {"v1.e30.", SB_EPARSE},
        {"v1..AA", SB_EPARSE}, {"v1.e30.AA", SB_EPARSE}, {"v1.e30.AA.AA", SB_EPARSE},
    };
    struct msg_promise promise;
    struct sb_errmsg err;
    char text[200];

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        err.text[0] = '\0';
        if (msg_promise_open(sb_slice_of(cases[i].text), &json, &promise, &err) != cases[i].rc)
            fail_msg("taken: %s", cases[i].text);
        assert_true(err.text[0] != '\0');
    }
    (void)snprintf(text, sizeof(text), "v1.e3 0.%086d", 0);
    assert_int_equal(msg_promise_open(sb_slice_of(text), &json, &promise, &err), SB_EPARSE);
    assert_int_equal(sb_buf_len(&json), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_certificate_reads_as_it_was_written),
        TEST(names_that_could_forge_a_line_are_not_certified),
        TEST(what_is_no_certificate_is_refused),
        TEST(a_promise_says_what_the_entry_will),
        TEST(what_is_not_known_yet_is_left_out),
        TEST(long_evidence_is_digested),
        TEST(every_change_of_a_promise_shows),
        TEST(what_is_no_promise_is_refused),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
