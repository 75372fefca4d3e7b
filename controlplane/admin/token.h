/* controlplane/admin/token.h - the token of the file, and how any token comes.
 *
 * Who has the file's token is "admin", of the role admin: the first
 * administrator, and the one that is left when the database is away.  Other
 * tokens are in the database (controlplane/admin_tokens.h).
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct cp_tokens;

/* A private file (common/keyfile.h); its first line that is not empty and no
 * comment (#) is the token.  SB_ENOENT, SB_EACCES, SB_EINVAL: shorter than
 * CP_ADMIN_TOKEN_MIN, or with characters that no header can carry. */
int cp_tokens_load(const char *path, struct cp_tokens **ret_tokens,
                   struct sb_errmsg *err) SB_MUSTCHECK;
void cp_tokens_destroy(struct cp_tokens **tokens);

/* The token of a field Authorization, "Bearer ..."; borrowed from it.  SB_EAUTH:
 * err says what is missing. */
int cp_bearer_read(struct sb_slice authorization, struct sb_slice *ret_token,
                   struct sb_errmsg *err) SB_MUSTCHECK;
/* Whether it is the file's.  Takes as long for a nearly right token as for any
 * other. */
bool cp_tokens_has(const struct cp_tokens *tokens, struct sb_slice token);
