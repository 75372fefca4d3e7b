/* tests/fuzz/common/fuzz_keyring.c - key texts and sealed blobs of anybody.
 * First byte 'k': the rest is a key text; else it is a blob.  A blob opens
 * only if it is one that this very ring sealed. */
#include <stdint.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses can seal, and what was sealed opens. */
static void try_ring(struct sb_slice text)
{
    struct sb_keyring *ring = NULL;
    struct sb_secret *secret = NULL;
    struct sb_errmsg err;
    struct sb_buf blob;

    if (sb_keyring_parse(text, &ring, &err) != SB_OK)
        return;
    sb_buf_init(&blob, 1 << 16);
    if (sb_keyring_current(ring) != NULL) {
        if (sb_keyring_seal(ring, &text, 1, SB_SLICE_LIT("plain"), &blob) == SB_OK &&
            sb_keyring_unseal(ring, &text, 1, sb_buf_slice(&blob), &secret, &err) != SB_OK)
            abort();
    } else if (sb_keyring_hash_key(ring) == NULL) {
        abort();
    }
    sb_secret_destroy(&secret);
    sb_buf_release(&blob);
    sb_keyring_destroy(&ring);
}

static void try_blob(struct sb_slice blob)
{
    static struct sb_keyring *ring; /* kept: making locked memory is slow */
    struct sb_secret *secret = NULL;
    struct sb_errmsg err;
    struct sb_slice id;

    if (ring == NULL &&
        sb_keyring_parse(SB_SLICE_LIT("a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), &ring,
                         &err) != SB_OK)
        abort();
    if (sb_keyring_unseal(ring, NULL, 0, blob, &secret, &err) == SB_OK)
        abort(); /* forged */
    if (sb_keyring_blob_key(blob, &id) == SB_OK && (id.n == 0 || id.n > SB_KEYRING_ID_MAX))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096)
        return 0;
    if (data[0] == 'k')
        try_ring(sb_slice_make(data + 1, size - 1));
    else
        try_blob(sb_slice_make(data + 1, size - 1));
    return 0;
}
