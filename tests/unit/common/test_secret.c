/* tests/unit/common/test_secret.c */
#include "common/secret.h"

#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/test.h"

static void assert_hex(const uint8_t *bytes, size_t n, const char *hex)
{
    char text[512] = "";

    assert_true(n * 2 < sizeof(text));
    for (size_t i = 0; i < n; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(text, hex);
}

static struct sb_secret *make(struct sb_slice bytes)
{
    struct sb_secret *secret = NULL;

    assert_int_equal(sb_secret_new(bytes, &secret), SB_OK);
    return secret;
}

static void a_secret_is_a_terminated_copy(void **state)
{
    static char big[SB_SECRET_MAX + 1];
    char text[] = "hunter2";
    struct sb_secret *secret = make(sb_slice_of(text)), *other = NULL;

    (void)state;
    sb_secret_wipe(text, sizeof(text) - 1);
    assert_string_equal(text, "");
    assert_true(sb_slice_is(sb_secret_expose(secret), "hunter2"));
    assert_int_equal(sb_secret_expose(secret).p[7], '\0');
    assert_int_equal(sb_secret_len(secret), 7);
    sb_secret_destroy(&secret);
    assert_null(secret);
    sb_secret_destroy(&secret);
    assert_int_equal(sb_secret_new(sb_slice_make(big, sizeof(big)), &other), SB_ETOOBIG);
    assert_null(other);
    sb_mem_fail_nth(1);
    assert_int_equal(sb_secret_new(sb_slice_make(big, 10), &other), SB_ENOMEM);
    assert_null(other);
    secret = make(SB_SLICE_NONE);
    assert_int_equal(sb_secret_len(secret), 0);
    sb_secret_destroy(&secret);
    assert_int_equal(sb_secret_new_guarded(SB_SLICE_LIT("master"), &secret), SB_OK);
    assert_true(sb_slice_is(sb_secret_expose(secret), "master"));
    assert_int_equal(sb_secret_expose(secret).p[6], '\0');
    sb_secret_destroy(&secret);
}

static void equality_looks_at_every_byte(void **state)
{
    char a[64], b[64];

    (void)state;
    memset(a, 'x', sizeof(a));
    for (size_t i = 0; i < sizeof(a); i++) {
        memcpy(b, a, sizeof(a));
        assert_true(sb_secret_equal(sb_slice_make(a, sizeof(a)), sb_slice_make(b, sizeof(b))));
        b[i] ^= 1;
        assert_false(sb_secret_equal(sb_slice_make(a, sizeof(a)), sb_slice_make(b, sizeof(b))));
    }
    assert_false(sb_secret_equal(sb_slice_make(a, 5), sb_slice_make(a, 6)));
    assert_true(sb_secret_equal(SB_SLICE_NONE, sb_slice_make(a, 0)));
}

static void blake2b_256_matches_public_vectors(void **state)
{
    uint8_t hash[SB_HASH_BYTES], bytes[1000];
    struct sb_hash_state parts;
    struct sb_secret *key;
    char key_bytes[32];

    (void)state;
    sb_hash(SB_SLICE_NONE, hash);
    assert_hex(hash, sizeof(hash),
               "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    sb_hash(SB_SLICE_LIT("abc"), hash);
    assert_hex(hash, sizeof(hash),
               "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    /* In parts, across the block of 128 bytes; the rest is from Python's hashlib. */
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i % 251);
    sb_hash_init(&parts);
    sb_hash_update(&parts, sb_slice_make(bytes, 127));
    sb_hash_update(&parts, SB_SLICE_NONE);
    sb_hash_update(&parts, sb_slice_make(bytes + 127, 2));
    sb_hash_update(&parts, sb_slice_make(bytes + 129, sizeof(bytes) - 129));
    sb_hash_final(&parts, hash);
    assert_hex(hash, sizeof(hash),
               "b372d0608f720c8c3dd41e9c8eecb10143b41abe520b616607e754bf79c08331");
    for (size_t i = 0; i < sizeof(key_bytes); i++)
        key_bytes[i] = (char)i;
    key = make(sb_slice_make(key_bytes, sizeof(key_bytes)));
    sb_hash_keyed(key, SB_SLICE_LIT("sb-abc"), hash);
    assert_hex(hash, sizeof(hash),
               "1623e808700dce5177050817aca71df8fdaad6edf565b9af90a4ff939ae08bcc");
    sb_apikey_hash(key, SB_SLICE_LIT("sb-abc"), hash);
    assert_hex(hash, sizeof(hash),
               "1623e808700dce5177050817aca71df8fdaad6edf565b9af90a4ff939ae08bcc");
    sb_secret_destroy(&key);
}

/* From Python's hashlib.blake2b(key=...). */
static void a_salt_is_the_key_of_a_hash(void **state)
{
    static const struct sb_slice parts[] = {SB_SLICE_INIT("a"), SB_SLICE_INIT(""),
                                            SB_SLICE_INIT("bc")};
    uint8_t salt[SB_SALT_BYTES], hash[SB_HASH_BYTES];
    struct sb_hash_state by_parts;

    (void)state;
    for (size_t i = 0; i < sizeof(salt); i++)
        salt[i] = (uint8_t)i;
    sb_hash_salted(salt, parts, SB_ARRAY_LEN(parts), hash);
    assert_hex(hash, sizeof(hash),
               "3fd8fd31501cdbe942607b204368e3dc4ebce5744de1a955a6025f5c9848bb20");
    sb_hash_init_salted(&by_parts, salt);
    sb_hash_final(&by_parts, hash);
    assert_hex(hash, sizeof(hash),
               "037c7d740ea795902b5aebe210fafffff1f627f74010f8dc79c0d5b8a9fb5847");
}

static void no_salt_comes_twice(void **state)
{
    enum { SALTS = 1000 }; /* of several supplies */
    static uint8_t salts[SALTS][SB_SALT_BYTES];

    (void)state;
    for (int i = 0; i < SALTS; i++) {
        sb_random_salt(salts[i]);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(salts[i], salts[j], SB_SALT_BYTES);
    }
}

static void siphash_matches_its_paper(void **state)
{
    uint8_t key[SB_SHORT_KEY_BYTES], bytes[15];

    (void)state;
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    assert_true(sb_hash_short(key, sb_slice_make(bytes, sizeof(bytes))) == 0xa129ca6149be45e5);
    assert_true(sb_hash_short(key, SB_SLICE_NONE) == 0x726fdb47dd0e0e31);
}

static struct sb_secret *counting_key(uint8_t first)
{
    char bytes[SB_AEAD_KEY];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(first + i);
    return make(sb_slice_make(bytes, sizeof(bytes)));
}

static void xchacha20_poly1305_matches_the_draft(void **state)
{
    static const char plain[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only "
        "one tip for the future, sunscreen would be it.";
    static const char bound[] = "\x50\x51\x52\x53\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7";
    uint8_t nonce[SB_AEAD_NONCE], sealed[sizeof(plain) - 1 + SB_AEAD_TAG];
    struct sb_secret *key = counting_key(0x80), *opened = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(nonce); i++)
        nonce[i] = (uint8_t)(0x40 + i);
    sb_aead_seal(key, nonce, SB_SLICE_LIT(bound), SB_SLICE_LIT(plain), sealed);
    assert_hex(
        sealed, sizeof(sealed),
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3"
        "a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2b"
        "c369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8"
        "780acf49");
    assert_int_equal(sb_aead_open(key, nonce, SB_SLICE_LIT(bound),
                                  sb_slice_make(sealed, sizeof(sealed)), &opened),
                     SB_OK);
    assert_true(sb_slice_is(sb_secret_expose(opened), plain));
    sb_secret_destroy(&opened);
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 0x10;
        assert_int_equal(sb_aead_open(key, nonce, SB_SLICE_LIT(bound),
                                      sb_slice_make(sealed, sizeof(sealed)), &opened),
                         SB_EAUTH);
        sealed[i] ^= 0x10;
    }
    assert_int_equal(sb_aead_open(key, nonce, SB_SLICE_LIT("other"),
                                  sb_slice_make(sealed, sizeof(sealed)), &opened),
                     SB_EAUTH);
    assert_int_equal(
        sb_aead_open(key, nonce, SB_SLICE_LIT(bound), sb_slice_make(sealed, 15), &opened),
        SB_EAUTH);
    assert_null(opened);
    sb_secret_destroy(&key);
}

static bool is_base62(struct sb_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            return false;
    }
    return true;
}

static void random_ids_use_their_whole_alphabet_evenly(void **state)
{
    enum { CHARS = 62000 };
    static char text[CHARS + 10];
    unsigned seen[256] = {0};

    (void)state;
    sb_random_id("gen-", CHARS, text, sizeof(text));
    assert_memory_equal(text, "gen-", 4);
    assert_int_equal(strlen(text), CHARS + 4);
    assert_true(is_base62(sb_slice_of(text + 4)));
    for (size_t i = 4; i < CHARS + 4; i++)
        seen[(unsigned char)text[i]]++;
    for (int c = 0; c < 256; c++) /* 1000 each; 200 off is 6 sigma, once in 10^7 runs */
        if (seen[c] > 0)
            assert_in_range(seen[c], 800, 1200);
    sb_random_id("", 0, text, 1);
    assert_string_equal(text, "");
}

static void random_values_differ(void **state)
{
    uint8_t a[16], b[16];
    char id[32], other[32];

    (void)state;
    sb_random_bytes(a, sizeof(a));
    sb_random_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_true(sb_random_u64() != sb_random_u64());
    sb_random_id("gen-", 22, id, sizeof(id));
    sb_random_id("gen-", 22, other, sizeof(other));
    assert_string_not_equal(id, other);
}

static void a_child_draws_its_own_ids(void **state)
{
    char before[32], mine[32], its[32] = "";
    int fds[2], status = 0;
    pid_t child;

    (void)state;
    sb_random_id("gen-", 22, before, sizeof(before)); /* some supply is at hand */
    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sb_random_id("gen-", 22, its, sizeof(its));
        _exit(write(fds[1], its, sizeof(its)) == (ssize_t)sizeof(its) ? 0 : 1);
    }
    sb_random_id("gen-", 22, mine, sizeof(mine));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(fds[0], its, sizeof(its)), (ssize_t)sizeof(its));
    assert_string_not_equal(mine, its);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
}

static void an_api_key_has_256_bits(void **state)
{
    struct sb_secret *key = sb_apikey_new(), *other = sb_apikey_new();
    struct sb_slice text = sb_secret_expose(key);

    (void)state;
    assert_int_equal(text.n, SB_APIKEY_TEXT);
    assert_true(sb_slice_starts_with(text, SB_SLICE_LIT("sb-")));
    assert_int_equal(text.n - 3, 43);
    assert_true(is_base62(sb_slice_from(text, 3)));
    assert_false(sb_slice_eq(text, sb_secret_expose(other)));
    sb_secret_destroy(&key);
    sb_secret_destroy(&other);
}

static void base64_goes_both_ways(void **state)
{
    static const struct {
        const char *plain, *text;
    } cases[] = {{"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    static const char *const bad[] = {"", "Zg", "Zg=", "Zg==\n", " Zg=", "Zh==", "Z!==", "Zm9_"};
    struct sb_secret *secret = NULL, *text;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        assert_int_equal(sb_secret_from_base64(sb_slice_of(cases[i].text), &secret), SB_OK);
        assert_true(sb_slice_is(sb_secret_expose(secret), cases[i].plain));
        text = sb_secret_to_base64(secret);
        assert_true(sb_slice_is(sb_secret_expose(text), cases[i].text));
        sb_secret_destroy(&text);
        sb_secret_destroy(&secret);
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        assert_int_equal(sb_secret_from_base64(sb_slice_of(bad[i]), &secret), SB_EPARSE);
        assert_null(secret);
    }
}

static void every_row_of_bytes_has_one_base64(void **state)
{
    static const char *const bad[] = {"",         "A",     "AA",   "AAA",  "AA==A",
                                      "AAA=\n",   " AAA=", "AB==", "AAB=", "AA-_",
                                      "AAAA====", "AA=A",  "=AAA"};
    uint8_t bytes[8], back[8];
    char text[SB_BASE64_SIZE(sizeof(bytes))];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(250 + i);
    for (size_t i = 1; i <= sizeof(bytes); i++) {
        sb_base64_put(sb_slice_make(bytes, i), text, sizeof(text));
        assert_int_equal(sb_base64_read(sb_slice_of(text), back, i, &n), SB_OK);
        assert_int_equal(n, i);
        assert_memory_equal(back, bytes, i);
        assert_int_equal(sb_base64_read(sb_slice_of(text), back, i - 1, &n), SB_EPARSE);
    }
    assert_string_equal(text, "+vv8/f7/AAE=");
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++)
        assert_int_equal(sb_base64_read(sb_slice_of(bad[i]), back, sizeof(back), &n), SB_EPARSE);
}

static void from_hex(const char *hex, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)strtoul((const char[]){hex[2 * i], hex[2 * i + 1], '\0'}, NULL, 16);
}

/* RFC 8032, 7.1, tests 1 and 2. */
static void ed25519_matches_its_rfc(void **state)
{
    static const struct {
        const char *seed, *public_key, *message, *signature;
    } vectors[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "r",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(vectors); i++) {
        struct sb_slice message = sb_slice_of(vectors[i].message);
        uint8_t bytes[32], signature[SB_SIGN_BYTES], expected[SB_SIGN_BYTES];
        struct sb_secret *seed = NULL;

        from_hex(vectors[i].seed, bytes, sizeof(bytes));
        assert_int_equal(sb_secret_new(sb_slice_make(bytes, sizeof(bytes)), &seed), SB_OK);
        sb_sign_public(seed, bytes);
        from_hex(vectors[i].public_key, expected, 32);
        assert_memory_equal(bytes, expected, 32);
        sb_sign(seed, message, signature);
        from_hex(vectors[i].signature, expected, sizeof(expected));
        assert_memory_equal(signature, expected, sizeof(expected));
        assert_true(sb_sign_is_valid(bytes, message, signature));
        assert_false(sb_sign_is_valid(bytes, SB_SLICE_LIT("x"), signature));
        signature[63] ^= 1;
        assert_false(sb_sign_is_valid(bytes, message, signature));
        sb_secret_destroy(&seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_a_terminated_copy),
        cmocka_unit_test(equality_looks_at_every_byte),
        cmocka_unit_test(blake2b_256_matches_public_vectors),
        cmocka_unit_test(a_salt_is_the_key_of_a_hash),
        cmocka_unit_test(no_salt_comes_twice),
        cmocka_unit_test(siphash_matches_its_paper),
        cmocka_unit_test(xchacha20_poly1305_matches_the_draft),
        cmocka_unit_test(random_ids_use_their_whole_alphabet_evenly),
        cmocka_unit_test(random_values_differ),
        cmocka_unit_test(a_child_draws_its_own_ids),
        cmocka_unit_test(an_api_key_has_256_bits),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(every_row_of_bytes_has_one_base64),
        cmocka_unit_test(ed25519_matches_its_rfc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
