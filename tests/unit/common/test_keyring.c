/* tests/unit/common/test_keyring.c */
#include "common/keyring.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/buf.h"
#include "tests/lib/tmpdir.h"

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_B "//////////////////////////////////////////8="

#define PART(text)                                                                                 \
    {                                                                                              \
        .p = (text), .n = sizeof(text) - 1                                                         \
    }
static const struct sb_slice binding[] = {PART("cred-1"), PART("tenant"), PART("acme"),
                                          PART("https://api.acme.example")};
enum { PARTS = SB_ARRAY_LEN(binding) };

static struct sb_keyring *parse(const char *text)
{
    struct sb_keyring *ring = NULL;
    struct sb_errmsg err = {.text = ""};

    if (sb_keyring_parse(sb_slice_of(text), &ring, &err) != SB_OK)
        fail_msg("%s", err.text);
    return ring;
}

static void seal(const struct sb_keyring *ring, const char *plain, struct sb_buf *out)
{
    sb_buf_init(out, 1 << 16);
    assert_int_equal(sb_keyring_seal(ring, binding, PARTS, sb_slice_of(plain), out), SB_OK);
}

static int unseal_rc(const struct sb_keyring *ring, struct sb_slice blob, struct sb_errmsg *err)
{
    struct sb_secret *secret = NULL;
    int rc = sb_keyring_unseal(ring, binding, PARTS, blob, &secret, err);

    assert_true((rc == SB_OK) == (secret != NULL));
    sb_secret_destroy(&secret);
    return rc;
}

static void what_was_sealed_opens_with_the_same_binding(void **state)
{
    struct sb_keyring *ring = parse("a:" KEY_A "\n");
    struct sb_secret *secret = NULL;
    struct sb_buf blob, again;
    struct sb_slice id;

    (void)state;
    seal(ring, "sk-provider-key", &blob);
    assert_true(sb_buf_len(&blob) <= strlen("sk-provider-key") + SB_KEYRING_OVERHEAD);
    assert_int_equal(sb_keyring_unseal(ring, binding, PARTS, sb_buf_slice(&blob), &secret, NULL),
                     SB_OK);
    assert_true(sb_slice_is(sb_secret_expose(secret), "sk-provider-key"));
    sb_secret_destroy(&secret);
    assert_int_equal(sb_keyring_blob_key(sb_buf_slice(&blob), &id), SB_OK);
    assert_true(sb_slice_is(id, "a"));
    seal(ring, "sk-provider-key", &again); /* another nonce: nobody sees that it is the same */
    assert_false(sb_slice_eq(sb_buf_slice(&blob), sb_buf_slice(&again)));
    sb_buf_release(&blob);
    sb_buf_release(&again);
    seal(ring, "", &blob);
    assert_int_equal(unseal_rc(ring, sb_buf_slice(&blob), NULL), SB_OK);
    sb_buf_release(&blob);
    sb_keyring_destroy(&ring);
    assert_null(ring);
}

static void no_byte_of_a_blob_can_be_changed(void **state)
{
    struct sb_keyring *ring = parse("ab:" KEY_A "\nbb:" KEY_A);
    struct sb_buf blob;

    (void)state;
    seal(ring, "sk-provider-key", &blob);
    for (size_t i = 0; i < sb_buf_len(&blob); i++) {
        for (int bit = 0; bit < 8; bit++) {
            /* Also an id that names another key with the same bytes. */
            blob.data[i] ^= (char)(1 << bit);
            assert_int_not_equal(unseal_rc(ring, sb_buf_slice(&blob), NULL), SB_OK);
            blob.data[i] ^= (char)(1 << bit);
        }
    }
    blob.data[2] = 'b';
    assert_int_equal(unseal_rc(ring, sb_buf_slice(&blob), NULL), SB_EAUTH);
    blob.data[2] = 'a';
    for (size_t n = 0; n < sb_buf_len(&blob); n++)
        assert_int_not_equal(unseal_rc(ring, sb_slice_make(blob.data, n), NULL), SB_OK);
    assert_int_equal(sb_buf_append_byte(&blob, 'x'), SB_OK);
    assert_int_equal(unseal_rc(ring, sb_buf_slice(&blob), NULL), SB_EAUTH);
    sb_buf_release(&blob);
    sb_keyring_destroy(&ring);
}

static void another_binding_does_not_open_it(void **state)
{
    struct sb_keyring *ring = parse("a:" KEY_A);
    struct sb_slice other[PARTS];
    struct sb_secret *secret = NULL;
    struct sb_errmsg err = {.text = ""};
    struct sb_buf blob;

    (void)state;
    seal(ring, "sk-provider-key", &blob);
    for (size_t i = 0; i < PARTS; i++) {
        memcpy(other, binding, sizeof(other));
        other[i] = SB_SLICE_LIT("other");
        assert_int_equal(sb_keyring_unseal(ring, other, PARTS, sb_buf_slice(&blob), &secret, &err),
                         SB_EAUTH);
        assert_non_null(strstr(err.text, "master key 'a'"));
    }
    /* The same bytes, cut elsewhere. */
    memcpy(other, binding, sizeof(other));
    other[0] = SB_SLICE_LIT("cred-1tena");
    other[1] = SB_SLICE_LIT("nt");
    assert_int_equal(sb_keyring_unseal(ring, other, PARTS, sb_buf_slice(&blob), &secret, NULL),
                     SB_EAUTH);
    assert_int_equal(
        sb_keyring_unseal(ring, binding, PARTS - 1, sb_buf_slice(&blob), &secret, NULL), SB_EAUTH);
    assert_int_equal(sb_keyring_unseal(ring, NULL, 0, sb_buf_slice(&blob), &secret, NULL),
                     SB_EAUTH);
    assert_null(secret);
    sb_buf_release(&blob);
    sb_keyring_destroy(&ring);
}

static void keys_can_be_rotated(void **state)
{
    struct sb_keyring *old = parse("a:" KEY_A), *both = parse("b:" KEY_B "\na:" KEY_A);
    struct sb_keyring *fresh = parse("b:" KEY_B);
    struct sb_errmsg err = {.text = ""};
    struct sb_buf blob, resealed;
    struct sb_slice id;

    (void)state;
    seal(old, "sk-provider-key", &blob);
    assert_string_equal(sb_keyring_current(both), "b");
    assert_int_equal(unseal_rc(both, sb_buf_slice(&blob), NULL), SB_OK);
    seal(both, "sk-provider-key", &resealed);
    assert_int_equal(sb_keyring_blob_key(sb_buf_slice(&resealed), &id), SB_OK);
    assert_true(sb_slice_is(id, "b"));
    assert_int_equal(unseal_rc(fresh, sb_buf_slice(&resealed), NULL), SB_OK);
    assert_int_equal(unseal_rc(fresh, sb_buf_slice(&blob), &err), SB_ENOENT);
    assert_string_equal(err.text, "sealed with master key 'a', which is not loaded");
    assert_true(sb_keyring_has(both, SB_SLICE_LIT("a")));
    assert_false(sb_keyring_has(fresh, SB_SLICE_LIT("a")));
    sb_buf_release(&blob);
    sb_buf_release(&resealed);
    sb_keyring_destroy(&old);
    sb_keyring_destroy(&both);
    sb_keyring_destroy(&fresh);
}

static void blobs_of_other_formats_are_told_apart(void **state)
{
    struct sb_keyring *ring = parse("a:" KEY_A);
    struct sb_errmsg err = {.text = ""};
    struct sb_slice id;

    (void)state;
    assert_int_equal(unseal_rc(ring, SB_SLICE_NONE, &err), SB_EPARSE);
    assert_int_equal(unseal_rc(ring, SB_SLICE_LIT("\x01"), &err), SB_EPARSE);
    assert_int_equal(unseal_rc(ring, SB_SLICE_LIT("\x01\xff tiny"), &err), SB_EPARSE);
    assert_string_equal(err.text, "not a sealed secret");
    assert_int_equal(unseal_rc(ring, SB_SLICE_LIT("\x02later"), &err), SB_EVERSION);
    assert_non_null(strstr(err.text, "format 2"));
    assert_int_equal(sb_keyring_blob_key(SB_SLICE_LIT("\x02later"), &id), SB_EVERSION);
    assert_int_equal(sb_keyring_blob_key(SB_SLICE_NONE, &id), SB_EPARSE);
    sb_keyring_destroy(&ring);
}

static void the_hash_key_never_seals(void **state)
{
    struct sb_keyring *ring = parse("# keys\n\napi-key-hash:" KEY_B "\na:" KEY_A "\n");
    struct sb_keyring *only = parse("api-key-hash:" KEY_B);
    uint8_t hash[SB_HASH_BYTES], other[SB_HASH_BYTES];
    struct sb_buf out;

    (void)state;
    assert_string_equal(sb_keyring_current(ring), "a");
    assert_false(sb_keyring_has(ring, SB_SLICE_LIT("api-key-hash")));
    assert_non_null(sb_keyring_hash_key(ring));
    sb_apikey_hash(sb_keyring_hash_key(ring), SB_SLICE_LIT("sb-x"), hash);
    sb_apikey_hash(sb_keyring_hash_key(only), SB_SLICE_LIT("sb-x"), other);
    assert_memory_equal(hash, other, sizeof(hash));
    sb_buf_init(&out, 1000);
    assert_null(sb_keyring_current(only));
    assert_int_equal(sb_keyring_seal(only, binding, PARTS, SB_SLICE_LIT("x"), &out), SB_ENOENT);
    assert_int_equal(sb_buf_len(&out), 0);
    sb_keyring_destroy(&ring);
    sb_keyring_destroy(&only);
    ring = parse("a:" KEY_A);
    assert_null(sb_keyring_hash_key(ring));
    sb_keyring_destroy(&ring);
}

static void sealing_respects_limits_and_leaves_the_buffer(void **state)
{
    static char big[SB_SECRET_MAX + 1];
    struct sb_keyring *ring = parse("a:" KEY_A);
    struct sb_slice long_part = sb_slice_make(big, sizeof(big));
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, 60);
    assert_int_equal(sb_buf_append_text(&out, "kept"), SB_OK);
    assert_int_equal(sb_keyring_seal(ring, binding, PARTS, SB_SLICE_LIT("0123456789abcdef"), &out),
                     SB_ETOOBIG);
    assert_int_equal(sb_keyring_seal(ring, binding, PARTS, sb_slice_make(big, sizeof(big)), &out),
                     SB_ETOOBIG);
    assert_int_equal(sb_keyring_seal(ring, &long_part, 1, SB_SLICE_LIT("x"), &out), SB_ETOOBIG);
    assert_true(sb_slice_is(sb_buf_slice(&out), "kept"));
    sb_buf_release(&out);
    sb_keyring_destroy(&ring);
}

static void wrong_key_texts_say_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "no keys"},
        {"# only a comment\n\n", "no keys"},
        {"a:" KEY_A "\nnonsense\n", "key 2: not of the form id:base64"},
        {":" KEY_A, "key 1: an id is"},
        {"sp ace:" KEY_A, "key 1: an id is"},
        {"123456789012345678901234567890123:" KEY_A, "key 1: an id is"},
        {"a:" KEY_A "\n\na:" KEY_B, "key 2: 'a' comes twice"},
        {"api-key-hash:" KEY_A ",api-key-hash:" KEY_B, "key 2: 'api-key-hash' comes twice"},
        {"a:AAECAwQFBgc=", "key 1: 'a' is not base64 of 32 bytes"},
        {"a:" KEY_A "AAAA", "key 1: 'a' is not base64 of 32 bytes"},
        {"a:!!", "key 1: 'a' is not base64 of 32 bytes"},
        {"a:", "key 1: 'a' is not base64 of 32 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        struct sb_keyring *ring = NULL;
        struct sb_errmsg err = {.text = ""};

        assert_int_equal(sb_keyring_parse(sb_slice_of(cases[i].text), &ring, &err), SB_EPARSE);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_null(strstr(err.text, "AAEC")); /* never a key's own text */
        assert_null(ring);
    }
}

static void more_keys_than_allowed_are_refused(void **state)
{
    static char text[SB_KEYRING_KEYS_MAX * 64 + 128];
    struct sb_keyring *ring = NULL;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < SB_KEYRING_KEYS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "k%d:" KEY_A "\n", i);
    ring = parse(text);
    assert_string_equal(sb_keyring_current(ring), "k0");
    sb_keyring_destroy(&ring);
    (void)snprintf(text + n, sizeof(text) - n, "more:" KEY_A "\n");
    assert_int_equal(sb_keyring_parse(sb_slice_of(text), &ring, NULL), SB_EPARSE);
}

static void keys_come_from_a_variable_or_a_file(void **state)
{
    struct test_tmpdir dir;
    struct sb_keyring *ring = NULL;
    struct sb_errmsg err = {.text = ""};
    struct sb_buf blob;
    char path[64], first[SB_KEYRING_ID_MAX + 1];

    (void)state;
    test_tmpdir_make(&dir);
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "keys"));
    assert_int_equal(unsetenv("SB_TEST_KEYS"), 0);
    assert_int_equal(sb_keyring_load("SB_TEST_KEYS", NULL, &ring, &err), SB_ENOENT);
    assert_non_null(strstr(err.text, "SB_TEST_KEYS"));
    assert_int_equal(sb_keyring_load("SB_TEST_KEYS", path, &ring, &err), SB_ENOENT);
    assert_int_equal(sb_keyring_generate(path, &err), SB_OK);
    assert_int_equal(test_file_mode(path), 0600);
    assert_int_equal(sb_keyring_generate(path, &err), SB_EEXIST);
    assert_int_equal(sb_keyring_load("SB_TEST_KEYS", path, &ring, &err), SB_OK);
    assert_non_null(sb_keyring_current(ring));
    assert_non_null(sb_keyring_hash_key(ring));
    (void)snprintf(first, sizeof(first), "%s", sb_keyring_current(ring));
    seal(ring, "sk-provider-key", &blob);
    sb_keyring_destroy(&ring);

    assert_int_equal(sb_keyring_rotate(path, &err), SB_OK);
    assert_int_equal(test_file_mode(path), 0600);
    assert_int_equal(sb_keyring_load(NULL, path, &ring, &err), SB_OK);
    assert_string_not_equal(sb_keyring_current(ring), first);
    assert_true(sb_keyring_has(ring, sb_slice_of(first)));
    assert_non_null(sb_keyring_hash_key(ring));
    assert_int_equal(unseal_rc(ring, sb_buf_slice(&blob), &err), SB_OK);
    sb_keyring_destroy(&ring);
    sb_buf_release(&blob);

    assert_int_equal(setenv("SB_TEST_KEYS", "env:" KEY_A ", api-key-hash:" KEY_B, 1), 0);
    assert_int_equal(sb_keyring_load("SB_TEST_KEYS", path, &ring, &err), SB_OK);
    assert_string_equal(sb_keyring_current(ring), "env");
    assert_non_null(sb_keyring_hash_key(ring));
    sb_keyring_destroy(&ring);
    assert_int_equal(setenv("SB_TEST_KEYS", "nonsense", 1), 0);
    assert_int_equal(sb_keyring_load("SB_TEST_KEYS", path, &ring, &err), SB_EPARSE);
    assert_non_null(strstr(err.text, "SB_TEST_KEYS: key 1"));
    assert_int_equal(unsetenv("SB_TEST_KEYS"), 0);

    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(sb_keyring_load(NULL, path, &ring, &err), SB_EACCES);
    assert_int_equal(sb_keyring_rotate(path, &err), SB_EACCES);
    assert_int_equal(unlink(path), 0);
    test_write_file(path, "nonsense\n", 0600);
    assert_int_equal(sb_keyring_load(NULL, path, &ring, &err), SB_EPARSE);
    assert_non_null(strstr(err.text, path));
    assert_null(ring);
    test_tmpdir_remove(&dir);
}

static void who_borrows_a_ring_has_the_keys_that_took_its_place(void **state)
{
    struct sb_keyring *ring = parse("a:" KEY_A "\n"), *newer = parse("b:" KEY_B "\nh:" KEY_A "\n");
    const struct sb_keyring *borrowed = ring;
    struct sb_errmsg err = {.text = ""};
    struct sb_buf by_old, by_new;

    (void)state;
    seal(ring, "old", &by_old);
    seal(newer, "new", &by_new);
    assert_int_equal(unseal_rc(borrowed, sb_buf_slice(&by_new), &err), SB_ENOENT);
    sb_keyring_replace(ring, &newer);
    assert_null(newer);
    assert_int_equal(unseal_rc(borrowed, sb_buf_slice(&by_new), &err), SB_OK);
    assert_int_equal(unseal_rc(borrowed, sb_buf_slice(&by_old), &err), SB_ENOENT);
    assert_string_equal(sb_keyring_current(borrowed), "b");
    sb_buf_release(&by_old);
    sb_buf_release(&by_new);
    sb_keyring_destroy(&ring);
}

enum { REPLACEMENTS = 200 };

struct race {
    struct sb_keyring *ring;
    uint8_t hashes[2][SB_HASH_BYTES]; /* of "key", by either hash key */
    atomic_bool is_over;
};

static void *use_it(void *ctx)
{
    struct race *race = ctx;
    uint8_t hash[SB_HASH_BYTES];
    unsigned long wrong = 0;

    while (!atomic_load(&race->is_over)) {
        struct sb_errmsg err = {.text = ""};
        struct sb_buf blob;

        if (sb_keyring_hash(race->ring, SB_SLICE_LIT("key"), hash) != SB_OK ||
            (memcmp(hash, race->hashes[0], sizeof(hash)) != 0 &&
             memcmp(hash, race->hashes[1], sizeof(hash)) != 0))
            wrong++;
        sb_buf_init(&blob, 1 << 16);
        if (sb_keyring_seal(race->ring, binding, PARTS, SB_SLICE_LIT("plain"), &blob) != SB_OK ||
            unseal_rc(race->ring, sb_buf_slice(&blob), &err) == SB_EAUTH)
            wrong++;
        sb_buf_release(&blob);
    }
    return wrong == 0 ? NULL : race;
}

static void keys_are_replaced_under_those_who_use_them(void **state)
{
    static const char *const texts[2] = {"a:" KEY_A "\napi-key-hash:" KEY_B "\n",
                                         "b:" KEY_B "\napi-key-hash:" KEY_A "\n"};
    struct race race = {.ring = parse(texts[0])};
    struct sb_keyring *other = parse(texts[1]);
    pthread_t threads[2];
    void *failed;

    (void)state;
    assert_int_equal(sb_keyring_hash(race.ring, SB_SLICE_LIT("key"), race.hashes[0]), SB_OK);
    assert_int_equal(sb_keyring_hash(other, SB_SLICE_LIT("key"), race.hashes[1]), SB_OK);
    assert_memory_not_equal(race.hashes[0], race.hashes[1], SB_HASH_BYTES);
    sb_keyring_destroy(&other);
    for (size_t i = 0; i < SB_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_it, &race), 0);
    for (int i = 1; i <= REPLACEMENTS; i++) {
        other = parse(texts[i % 2]);
        sb_keyring_replace(race.ring, &other);
    }
    atomic_store(&race.is_over, true);
    for (size_t i = 0; i < SB_ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    sb_keyring_destroy(&race.ring);
}

static void without_a_hash_key_nothing_is_hashed(void **state)
{
    struct sb_keyring *ring = parse("a:" KEY_A "\n");
    uint8_t hash[SB_HASH_BYTES] = {7};

    (void)state;
    assert_int_equal(sb_keyring_hash(ring, SB_SLICE_LIT("key"), hash), SB_ENOENT);
    assert_int_equal(hash[0], 7);
    sb_keyring_destroy(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_replaced_under_those_who_use_them),
        cmocka_unit_test(without_a_hash_key_nothing_is_hashed),
        cmocka_unit_test(who_borrows_a_ring_has_the_keys_that_took_its_place),
        cmocka_unit_test(what_was_sealed_opens_with_the_same_binding),
        cmocka_unit_test(no_byte_of_a_blob_can_be_changed),
        cmocka_unit_test(another_binding_does_not_open_it),
        cmocka_unit_test(keys_can_be_rotated),
        cmocka_unit_test(blobs_of_other_formats_are_told_apart),
        cmocka_unit_test(the_hash_key_never_seals),
        cmocka_unit_test(sealing_respects_limits_and_leaves_the_buffer),
        cmocka_unit_test(wrong_key_texts_say_what_is_wrong),
        cmocka_unit_test(more_keys_than_allowed_are_refused),
        cmocka_unit_test(keys_come_from_a_variable_or_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
