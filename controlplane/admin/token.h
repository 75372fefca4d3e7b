/* controlplane/admin/token.h - who may ask, and by which name.
 *
 * The file holds one token today, and who has it is "admin".  Names and roles
 * of several tokens belong here: everybody else sees a principal.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct cp_tokens;

struct cp_principal {
    const char *name; /* static; the author of what it changes */
};

/* A private file (common/keyfile.h); its first line that is not empty and no
 * comment (#) is the token.  SB_ENOENT, SB_EACCES, SB_EINVAL: shorter than
 * CP_ADMIN_TOKEN_MIN, or with characters that no header can carry. */
int cp_tokens_load(const char *path, struct cp_tokens **ret_tokens,
                   struct sb_errmsg *err) SB_MUSTCHECK;
void cp_tokens_destroy(struct cp_tokens **tokens);

/* authorization: the whole field, "Bearer ...".  Takes as long for a nearly
 * right token as for any other.  SB_EAUTH: err says what is missing. */
int cp_tokens_check(const struct cp_tokens *tokens, struct sb_slice authorization,
                    struct cp_principal *ret_who, struct sb_errmsg *err) SB_MUSTCHECK;
