/* dataplane/keymemo.c */
#include "dataplane/keymemo.h"

const uint8_t *dp_keymemo_hash(struct dp_keymemo *memo, const struct sb_secret *hash_key,
                               struct sb_slice apikey)
{
    if (memo->n > 0 && sb_secret_equal(sb_slice_make(memo->apikey, memo->n), apikey))
        return memo->hash;
    sb_apikey_hash(hash_key, apikey, memo->hash);
    memo->n = 0;
    if (apikey.n > 0 && apikey.n <= sizeof(memo->apikey)) {
        memcpy(memo->apikey, apikey.p, apikey.n);
        memo->n = (uint8_t)apikey.n;
    }
    return memo->hash;
}

void dp_keymemo_clear(struct dp_keymemo *memo)
{
    sb_secret_wipe(memo, sizeof(*memo));
}
