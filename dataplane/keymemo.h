/* dataplane/keymemo.h - the API key that a connection showed last.
 *
 * A client shows the same key with every request of its connection; hashing it
 * is the dearest part of authentication, so the hash of the last one is kept
 * beside it.  The hash is all that is remembered of the answer: the key is
 * looked up in the snapshot of each request, so a revoked one stops at once.
 * A proxy may mix its users in one connection; comparing takes as long for any
 * wrong key, and the key is wiped with the connection.
 */
#pragma once

#include <stdint.h>

#include "common/secret.h"
#include "common/slice.h"

enum { DP_KEYMEMO_MAX = 64 }; /* bytes of a key; longer ones are hashed each time */

/* Zeroed: nothing yet. */
struct dp_keymemo {
    uint8_t hash[SB_HASH_BYTES];
    uint8_t n;
    char apikey[DP_KEYMEMO_MAX];
};

/* sb_apikey_hash(), or what it gave for the same key before.  Good until the
 * next call.  hash_key: the same until the memo is cleared. */
const uint8_t *dp_keymemo_hash(struct dp_keymemo *memo, const struct sb_secret *hash_key,
                               struct sb_slice apikey);
/* Wipes it. */
void dp_keymemo_clear(struct dp_keymemo *memo);
