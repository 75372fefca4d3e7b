/* controlplane/admin/token.c */
#include "controlplane/admin/token.h"

#include <stdint.h>

#include "common/keyfile.h"
#include "common/mem.h"
#include "common/secret.h"
#include "controlplane/admin/admin.h"

struct cp_tokens {
    /* Hashes, so that all comparisons are of the same length. */
    uint8_t hash[SB_HASH_BYTES];
};

static bool is_fit(struct sb_slice token)
{
    for (size_t i = 0; i < token.n; i++) {
        if (token.p[i] <= ' ' || token.p[i] >= 0x7f)
            return false;
    }
    return true;
}

int cp_tokens_load(const char *path, struct cp_tokens **ret_tokens, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *content = NULL;
    struct sb_slice left, line = SB_SLICE_NONE;
    struct cp_tokens *tokens;
    int rc = sb_keyfile_read(path, true, &content, err);

    if (rc != SB_OK)
        return rc;
    left = sb_secret_expose(content);
    while (sb_keyfile_next_line(&left, &line)) {
        if (line.n > 0 && line.p[0] != '#')
            break;
        line = SB_SLICE_NONE;
    }
    if (line.n < CP_ADMIN_TOKEN_MIN)
        return sb_err_set(err, SB_EINVAL, "%.150s: a token of at least %d characters is needed",
                          path, CP_ADMIN_TOKEN_MIN);
    if (!is_fit(line))
        return sb_err_set(err, SB_EINVAL, "%.150s: blanks or other bytes inside the token", path);
    tokens = sb_mem_new(sizeof(*tokens));
    sb_hash(line, tokens->hash);
    *ret_tokens = tokens;
    return SB_OK;
}

void cp_tokens_destroy(struct cp_tokens **tokens)
{
    if (*tokens != NULL)
        sb_secret_wipe(*tokens, sizeof(**tokens));
    sb_mem_free(*tokens);
    *tokens = NULL;
}

int cp_bearer_read(struct sb_slice authorization, struct sb_slice *ret_token, struct sb_errmsg *err)
{
    static const struct sb_slice scheme = SB_SLICE_INIT("Bearer ");
    struct sb_slice token;

    if (authorization.n == 0)
        return sb_err_set(err, SB_EAUTH, "the field Authorization: Bearer <token> is missing");
    if (authorization.n < scheme.n ||
        !sb_slice_eq_nocase(sb_slice_make(authorization.p, scheme.n), scheme))
        return sb_err_set(err, SB_EAUTH, "Authorization must be: Bearer <token>");
    token = sb_slice_from(authorization, scheme.n);
    while (token.n > 0 && token.p[0] == ' ')
        token = sb_slice_from(token, 1);
    *ret_token = token;
    return SB_OK;
}

bool cp_tokens_has(const struct cp_tokens *tokens, struct sb_slice token)
{
    uint8_t hash[SB_HASH_BYTES];

    sb_hash(token, hash);
    return sb_secret_equal(sb_slice_make(hash, sizeof(hash)),
                           sb_slice_make(tokens->hash, sizeof(tokens->hash)));
}
