/* common/secret.h - secrets, randomness, hashes and signatures (libsodium).
 *
 * A secret is opaque, so that no format string and no copy by accident can
 * show it; sb_secret_expose() is its only reader, and tests/lint lists who
 * may call it.  Safe from any thread; a single object is not shared while
 * somebody changes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

enum {
    SB_SECRET_MAX = 16 * 1024, /* bytes of one secret */
    SB_HASH_BYTES = 32,
    SB_SHORT_KEY_BYTES = 16,
    SB_SALT_BYTES = 16,
    SB_APIKEY_TEXT = 46, /* "sb-" and 43 of base62: 256 bits */
};

struct sb_secret;

/* Copies; the source should be wiped by its owner.  SB_ETOOBIG, SB_ENOMEM. */
int sb_secret_new(struct sb_slice bytes, struct sb_secret **ret) SB_MUSTCHECK;
/* The same on pages of its own that are locked, kept out of core dumps and
 * fenced: for the few keys that open all others.  Costs 16 KiB and 20 us. */
int sb_secret_new_guarded(struct sb_slice bytes, struct sb_secret **ret) SB_MUSTCHECK;
/* Wipes and frees; sets *secret to NULL; NULL is fine. */
void sb_secret_destroy(struct sb_secret **secret);
size_t sb_secret_len(const struct sb_secret *secret);
/* The bytes, terminated by a NUL past the length; live as long as secret. */
struct sb_slice sb_secret_expose(const struct sb_secret *secret);
/* Overwrites memory for good: the compiler cannot leave it out. */
void sb_secret_wipe(void *p, size_t n);
/* Takes as long for a wrong first byte as for a wrong last one.  Lengths are
 * not hidden. */
bool sb_secret_equal(struct sb_slice a, struct sb_slice b);

/* From the kernel; cannot fail. */
void sb_random_bytes(void *p, size_t n);
uint64_t sb_random_u64(void);
/* Writes prefix, n characters of [0-9A-Za-z] and a NUL into text; n = 22 has
 * 131 bits.  size must be enough. */
void sb_random_id(const char *prefix, size_t n, char *text, size_t size);

/* BLAKE2b-256. */
void sb_hash(struct sb_slice bytes, uint8_t ret_hash[SB_HASH_BYTES]);
/* The same under a key of 16 to 64 bytes. */
void sb_hash_keyed(const struct sb_secret *key, struct sb_slice bytes,
                   uint8_t ret_hash[SB_HASH_BYTES]);

/* HMAC-SHA-256 (RFC 2104), under a key of any length: for those who expect it,
 * such as receivers of a webhook. */
void sb_hmac_sha256(const struct sb_secret *key, struct sb_slice bytes,
                    uint8_t ret_mac[SB_HASH_BYTES]);

/* In parts: init, update..., final gives what sb_hash() of the whole gives. */
struct sb_hash_state {
    _Alignas(64) unsigned char opaque[384];
};
void sb_hash_init(struct sb_hash_state *state);
void sb_hash_update(struct sb_hash_state *state, struct sb_slice bytes);
void sb_hash_final(struct sb_hash_state *state, uint8_t ret_hash[SB_HASH_BYTES]);

/* The same keyed with a salt, which may be told later: short texts cannot be
 * guessed by who does not have it.  In parts, or n parts at once. */
void sb_hash_init_salted(struct sb_hash_state *state, const uint8_t salt[SB_SALT_BYTES]);
void sb_hash_salted(const uint8_t salt[SB_SALT_BYTES], const struct sb_slice *parts, size_t n,
                    uint8_t ret_hash[SB_HASH_BYTES]);
/* Of a salt itself, under its own name: it is random, so nobody finds it by that. */
void sb_hash_salt(const uint8_t salt[SB_SALT_BYTES], uint8_t ret_hash[SB_HASH_BYTES]);
/* Of a value under a name ("user"): the name, with its NUL, so that equal values
 * of two names differ, and the value. */
void sb_hash_named(const uint8_t salt[SB_SALT_BYTES], const char *name, struct sb_slice value,
                   uint8_t ret_hash[SB_HASH_BYTES]);
/* From a supply of this thread's that the kernel fills: many salts, one call. */
void sb_random_salt(uint8_t ret_salt[SB_SALT_BYTES]);

/* SipHash-2-4: fast, keyed, 64 bits (little-endian as a number).  For tables
 * and sticky routing, not for proving anything. */
uint64_t sb_hash_short(const uint8_t key[SB_SHORT_KEY_BYTES], struct sb_slice bytes);

/* A new API key ("sb-..."), to be shown once. */
struct sb_secret *sb_apikey_new(void);
/* Another secret of 256 bits: prefix and 43 of base62. */
struct sb_secret *sb_token_new(const char *prefix);
/* How an API key is stored and looked up: BLAKE2b-256 keyed with the hash key
 * (sb_keyring_hash_key() in common/keyring.h). */
void sb_apikey_hash(const struct sb_secret *hash_key, struct sb_slice apikey,
                    uint8_t ret_hash[SB_HASH_BYTES]);

/* XChaCha20-Poly1305 with a key of 32 bytes and a nonce of 24; for
 * common/keyring.c, which says how blobs look.  ret has room for plain.n + 16
 * bytes. */
enum { SB_AEAD_KEY = 32, SB_AEAD_NONCE = 24, SB_AEAD_TAG = 16 };
void sb_aead_seal(const struct sb_secret *key, const uint8_t nonce[SB_AEAD_NONCE],
                  struct sb_slice bound, struct sb_slice plain, uint8_t *ret);
/* SB_EAUTH: not sealed by this key with this nonce and bound text, or changed
 * since.  SB_ETOOBIG, SB_ENOMEM. */
int sb_aead_open(const struct sb_secret *key, const uint8_t nonce[SB_AEAD_NONCE],
                 struct sb_slice bound, struct sb_slice sealed,
                 struct sb_secret **ret) SB_MUSTCHECK;

/* Standard base64 with padding.  Decoding: SB_EPARSE. */
int sb_secret_from_base64(struct sb_slice text, struct sb_secret **ret) SB_MUSTCHECK;
/* As text, itself a secret. */
struct sb_secret *sb_secret_to_base64(const struct sb_secret *secret);

/* The same for what is no secret.  Writes the text and a NUL; size is at least
 * SB_BASE64_SIZE(bytes.n). */
#define SB_BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
void sb_base64_put(struct sb_slice bytes, char *text, size_t size);
/* Exactly one text stands for each row of bytes: other padding, blanks and
 * bits that say nothing are refused.  SB_EPARSE, also when size is not enough. */
int sb_base64_read(struct sb_slice text, uint8_t *bytes, size_t size, size_t *ret_n) SB_MUSTCHECK;
/* The same in the alphabet for URLs and without padding.  Gives the length of
 * the text. */
size_t sb_base64url_put(struct sb_slice bytes, char *text, size_t size);
int sb_base64url_read(struct sb_slice text, uint8_t *bytes, size_t size,
                      size_t *ret_n) SB_MUSTCHECK;

/* Ed25519 (RFC 8032).  The secret key is its seed. */
enum { SB_SIGN_SEED = 32, SB_SIGN_PUBLIC = 32, SB_SIGN_BYTES = 64 };
struct sb_secret *sb_sign_seed_new(void);
void sb_sign_public(const struct sb_secret *seed, uint8_t ret_public[SB_SIGN_PUBLIC]);
void sb_sign(const struct sb_secret *seed, struct sb_slice bytes,
             uint8_t ret_signature[SB_SIGN_BYTES]);
bool sb_sign_is_valid(const uint8_t public_key[SB_SIGN_PUBLIC], struct sb_slice bytes,
                      const uint8_t signature[SB_SIGN_BYTES]);
