/* tests/unit/common/test_crc32c.c */
#include "common/crc32c.h"

#include "tests/lib/random.h"
#include "tests/lib/test.h"

static void check(const void *p, size_t n, uint32_t crc)
{
    assert_int_equal(sb_crc32c(0, p, n), crc);
    assert_int_equal(sb_crc32c_portable(0, p, n), crc);
}

static void gives_the_values_of_rfc_3720(void **state)
{
    unsigned char bytes[32];

    (void)state;
    memset(bytes, 0, sizeof(bytes));
    check(bytes, sizeof(bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    check(bytes, sizeof(bytes), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    check(bytes, sizeof(bytes), 0x46dd794e);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(31 - i);
    check(bytes, sizeof(bytes), 0x113fdb5c);
    check("123456789", 9, 0xe3069283);
    check(NULL, 0, 0);
}

/* One bit after the other: slow, and hard to get wrong. */
static uint32_t bit_by_bit(uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

static void is_the_same_at_any_length_offset_and_cut(void **state)
{
    unsigned char bytes[300];
    uint64_t seed = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)random_next(&seed);
    for (int round = 0; round < 2000; round++) {
        size_t from = random_below(&seed, 16), n = random_below(&seed, sizeof(bytes) - 16);
        size_t cut = random_below(&seed, n + 1);
        uint32_t crc = bit_by_bit(0, bytes + from, n);

        check(bytes + from, n, crc);
        assert_int_equal(sb_crc32c(sb_crc32c(0, bytes + from, cut), bytes + from + cut, n - cut),
                         crc);
        assert_int_equal(sb_crc32c_portable(sb_crc32c_portable(0, bytes + from, cut),
                                            bytes + from + cut, n - cut),
                         crc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_values_of_rfc_3720),
        cmocka_unit_test(is_the_same_at_any_length_offset_and_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
