/* common/crc32c.h - CRC-32C, which tells torn and rotten bytes from good ones.
 *
 * The Castagnoli polynomial (Castagnoli, Braeuer, Herrmann: "Optimization of
 * cyclic redundancy-check codes with 24 and 32 parity bits", IEEE Trans.
 * Commun. 41, 1993), as in iSCSI (RFC 3720, B.4), ext4 and SCTP.  By the
 * processor's own instruction where there is one (x86 since SSE 4.2, ARMv8),
 * else by eight tables (Kounavis, Berry: "A systematic approach to building
 * high performance software-based CRC generators", ISCC 2005).
 *
 * It proves nothing against somebody who wants to deceive: hash for that.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* crc: 0, or what the bytes before gave. */
uint32_t sb_crc32c(uint32_t crc, const void *p, size_t n);
/* The same without the instruction; for tests. */
uint32_t sb_crc32c_portable(uint32_t crc, const void *p, size_t n);
