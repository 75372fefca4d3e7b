/* common/sha256.h - SHA-256 (FIPS 180-4), as fast as the processor can.
 *
 * libcrypto's, which uses the processor's own instructions (SHA-NI, ARMv8)
 * where libsodium's does not: the audit log hashes everything that is stored.
 * Each thread keeps a context of its own, so that a call allocates nothing.
 * Safe from any thread; cannot fail.  For hashes that need not be this one,
 * sb_hash() of common/secret.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

enum { SB_SHA256_BYTES = 32 };

void sb_sha256(struct sb_slice bytes, uint8_t ret_hash[SB_SHA256_BYTES]);
/* Gives back what libcrypto keeps for this thread.  The last thing that a thread
 * calls which nobody joins: by itself libcrypto does it when the thread is gone,
 * and the process may be gone by then. */
void sb_sha256_end_thread(void);
/* Of n parts, one after the other.  ret_hash may lie in a part. */
void sb_sha256_parts(const struct sb_slice *parts, size_t n, uint8_t ret_hash[SB_SHA256_BYTES]);
