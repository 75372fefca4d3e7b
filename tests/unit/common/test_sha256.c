/* tests/unit/common/test_sha256.c */
#include "common/sha256.h"

#include <pthread.h>

#include "tests/lib/random.h"
#include "tests/lib/test.h"

static void check_hex(const uint8_t hash[SB_SHA256_BYTES], const char *hex)
{
    char text[2 * SB_SHA256_BYTES + 1];

    for (unsigned i = 0; i < SB_SHA256_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(text, hex);
}

/* https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values */
static void gives_the_values_of_nist(void **state)
{
    uint8_t hash[SB_SHA256_BYTES];
    char *million = test_malloc(1000000);

    (void)state;
    sb_sha256(SB_SLICE_NONE, hash);
    check_hex(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sb_sha256(SB_SLICE_LIT("abc"), hash);
    check_hex(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sb_sha256(SB_SLICE_LIT("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), hash);
    check_hex(hash, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(million, 'a', 1000000);
    sb_sha256(sb_slice_make(million, 1000000), hash);
    check_hex(hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    test_free(million);
}

static void is_the_same_however_it_is_cut(void **state)
{
    char bytes[300];
    uint64_t seed = 11;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)random_next(&seed);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        size_t a = random_below(&seed, n + 1), b = a + random_below(&seed, n - a + 1);
        struct sb_slice parts[] = {
            {bytes, a}, {bytes + a, b - a}, SB_SLICE_NONE, {bytes + b, n - b}};
        uint8_t whole[SB_SHA256_BYTES], cut[SB_SHA256_BYTES];

        sb_sha256(sb_slice_make(bytes, n), whole);
        sb_sha256_parts(parts, SB_ARRAY_LEN(parts), cut);
        assert_memory_equal(whole, cut, sizeof(whole));
    }
}

static void *hash_many(void *ret)
{
    uint8_t *hash = ret;

    memset(hash, 0, SB_SHA256_BYTES);
    for (int i = 0; i < 1000; i++)
        sb_sha256(sb_slice_make(hash, SB_SHA256_BYTES), hash);
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    uint8_t hashes[4][SB_SHA256_BYTES];
    pthread_t threads[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_many, hashes[i]), 0);
    (void)hash_many(hashes[3]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_memory_equal(hashes[i], hashes[3], SB_SHA256_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_values_of_nist),
        cmocka_unit_test(is_the_same_however_it_is_cut),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
