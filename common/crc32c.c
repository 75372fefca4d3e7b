/* common/crc32c.c */
#include "common/crc32c.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

#define POLYNOMIAL UINT32_C(0x82f63b78) /* 0x1edc6f41, lowest bit first */

/* tables[k][b]: what byte b does to the remainder when k bytes follow it. */
static uint32_t tables[8][256];
static pthread_once_t tables_made = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;

        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        tables[0][b] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t b = 0; b < 256; b++)
            tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xff];
}

static uint64_t read_le64(const unsigned char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint32_t sb_crc32c_portable(uint32_t crc, const void *p, size_t n)
{
    const unsigned char *at = p;

    (void)pthread_once(&tables_made, make_tables);
    crc = ~crc;
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t word = read_le64(at) ^ crc;

        crc = 0;
        for (int k = 0; k < 8; k++)
            crc ^= tables[7 - k][(word >> (8 * k)) & 0xff];
    }
    for (; n > 0; n--, at++)
        crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const void *p,
                                                                 size_t n)
{
    const unsigned char *at = p;
    uint64_t rest = (uint32_t)~crc;

    for (; n >= 8; n -= 8, at += 8)
        rest = _mm_crc32_u64(rest, read_le64(at));
    for (; n > 0; n--, at++)
        rest = _mm_crc32_u8((uint32_t)rest, *at);
    return ~(uint32_t)rest;
}

uint32_t sb_crc32c(uint32_t crc, const void *p, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, p, n)
                                            : sb_crc32c_portable(crc, p, n);
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
uint32_t sb_crc32c(uint32_t crc, const void *p, size_t n)
{
    const unsigned char *at = p;

    crc = ~crc;
    for (; n >= 8; n -= 8, at += 8)
        crc = __crc32cd(crc, read_le64(at));
    for (; n > 0; n--, at++)
        crc = __crc32cb(crc, *at);
    return ~crc;
}
#else
uint32_t sb_crc32c(uint32_t crc, const void *p, size_t n)
{
    return sb_crc32c_portable(crc, p, n);
}
#endif
