/* common/keyring.h - master keys, and what is sealed with them.
 *
 * Provider credentials are stored, published and kept on disk sealed only.  A
 * blob names the master key that opens it, so that keys can be rotated: put a
 * new one first, seal again at leisure, take the old one out.
 *
 * The file (private, see common/keyfile.h) or environment
 * value has one key per line (or per comma), "id:base64 of 32 bytes"; empty lines and those
 * with # are skipped.  The first key seals; all open.  The id "api-key-hash"
 * is reserved: that key hashes API keys and never seals.
 *
 *      # switchboard keys
 *      k7Qm2Xv9:3q2+7w...=
 *      api-key-hash:AAECAw...=
 *
 * May be used by several threads at once, one of which may be replacing the
 * keys: a call sees the old ones or the new ones, never some of both.  What is
 * borrowed from a ring lasts until then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/slice.h"

struct sb_buf;
struct sb_keyring;

enum {
    SB_KEYRING_ID_MAX = 32, /* letters, digits, '.', '_', '-' */
    SB_KEYRING_KEYS_MAX = 64,
    SB_KEYRING_BINDING_MAX = 8, /* parts of a binding */
    /* What a blob is longer than its plain text, at most. */
    SB_KEYRING_OVERHEAD = 2 + SB_KEYRING_ID_MAX + SB_AEAD_NONCE + SB_AEAD_TAG,
};

/* SB_EPARSE: text names line and problem, never a key's bytes. */
int sb_keyring_parse(struct sb_slice text, struct sb_keyring **ret,
                     struct sb_errmsg *err) SB_MUSTCHECK;
/* The environment variable env when it is set, else the file.  Either may be
 * NULL.  SB_ENOENT, SB_EACCES (others can read it), SB_EPARSE. */
int sb_keyring_load(const char *env, const char *path, struct sb_keyring **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
void sb_keyring_destroy(struct sb_keyring **ring);
/* Puts the keys of a newer one in the place of those in ring, for whoever
 * borrows it.  Takes newer. */
void sb_keyring_replace(struct sb_keyring *ring, struct sb_keyring **newer);

/* Writes a new file with one master key and one hash key, mode 0600.
 * SB_EEXIST: keys are never overwritten. */
int sb_keyring_generate(const char *path, struct sb_errmsg *err) SB_MUSTCHECK;
/* Puts a new current master key in front of those in the file (written aside,
 * renamed). */
int sb_keyring_rotate(const char *path, struct sb_errmsg *err) SB_MUSTCHECK;

/* Id of the key that seals; NULL when the ring has only a hash key. */
const char *sb_keyring_current(const struct sb_keyring *ring);
bool sb_keyring_has(const struct sb_keyring *ring, struct sb_slice id);
/* Borrowed from the ring; NULL when it has none. */
const struct sb_secret *sb_keyring_hash_key(const struct sb_keyring *ring);
/* sb_apikey_hash() under that key, whoever replaces it meanwhile.  SB_ENOENT:
 * there is none. */
int sb_keyring_hash(const struct sb_keyring *ring, struct sb_slice apikey,
                    uint8_t ret_hash[SB_HASH_BYTES]) SB_MUSTCHECK;

/* Appends the blob to out: version byte, length and bytes of the key's id,
 * nonce, cipher text with tag.  binding: what the secret belongs to
 * (credential id, tenant, provider, origin), in a fixed order; it is not in
 * the blob, and only the same parts open it.  SB_ENOENT: no key that seals;
 * SB_ETOOBIG. */
int sb_keyring_seal(const struct sb_keyring *ring, const struct sb_slice *binding, size_t n,
                    struct sb_slice plain, struct sb_buf *out) SB_MUSTCHECK;
/* SB_ENOENT: the key is not in the ring (text names it); SB_EPARSE: not a
 * blob; SB_EVERSION; SB_EAUTH: changed, or belongs to something else. */
int sb_keyring_unseal(const struct sb_keyring *ring, const struct sb_slice *binding, size_t n,
                      struct sb_slice blob, struct sb_secret **ret,
                      struct sb_errmsg *err) SB_MUSTCHECK;
/* Id of the key that sealed blob: what is not the current one's can be sealed
 * anew.  SB_EPARSE, SB_EVERSION. */
int sb_keyring_blob_key(struct sb_slice blob, struct sb_slice *ret_id) SB_MUSTCHECK;
