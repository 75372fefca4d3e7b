/* controlplane/admin_tokens.h - the tokens of the admin API that are stored, and
 * what was done with any of them.
 *
 * A token is "sbadm-" and 256 bits; stored is its hash, keyed as that of an API
 * key, so that whoever reads the table can ask for nothing.  It is looked up
 * anew for each request: what one daemon revokes, all refuse at once.
 *
 * What an administrator does that is no revision, and what was refused, is a row
 * of admin_actions, which is append only; making and revoking a token and its
 * row are one transaction.
 *
 * Calls are on a store, and connect it again as those of controlplane/config/store.h do.
 */
#pragma once

#include <stdbool.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "controlplane/roles.h"

struct cp_db;
struct cp_page;
struct cp_store;
struct sb_buf;
struct sb_secret;

#define CP_TOKEN_PREFIX "sbadm-"

enum {
    CP_TOKEN_TENANTS_MAX = 100,  /* of a scope */
    CP_TOKEN_TENANT_BYTES = 256, /* of a name there */
    CP_TOKEN_USED_MINUTES = 5,   /* last_used_at is not moved more often */
    CP_ACTION_AGAIN_SECONDS = 60,
};

/* Who does something, as the audit has it. */
struct cp_actor {
    struct sb_slice name; /* of the token */
    struct sb_slice role;
    struct sb_slice address; /* of the peer; empty: not known */
};

/* Whether text could be a token of ours, so that it is worth to be looked up. */
bool cp_token_is_one(struct sb_slice text);

/* Whose token that is; *ret_who has its scope in arena.  SB_EAUTH: nobody's, or
 * it has expired or was revoked, which err says. */
int cp_token_find(struct cp_store *store, struct sb_slice secret, struct sb_arena *arena,
                  struct cp_principal *ret_who, struct sb_errmsg *err) SB_MUSTCHECK;

struct cp_token_wish {
    struct sb_slice name; /* see cp_token_name_is_fit() */
    enum cp_role role;
    const struct cp_scope *scope;
    struct sb_slice expires_at; /* RFC 3339; empty: never */
};
/* 1 to 64 of letters, digits and "._@-", the first a letter or digit; neither
 * "admin" nor "prober", who are others. */
bool cp_token_name_is_fit(struct sb_slice name);
/* SB_EEXIST: a token of that name is or was there; SB_EUNSUPPORTED: there is no
 * key to hash it with. */
int cp_token_create(struct cp_store *store, const struct cp_token_wish *wish,
                    const struct cp_actor *by, struct sb_secret **ret_secret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
/* SB_ENOENT; SB_ECONFLICT: it was revoked before. */
int cp_token_revoke(struct cp_store *store, struct sb_slice name, const struct cp_actor *by,
                    struct sb_errmsg *err) SB_MUSTCHECK;

/* Append JSON, as cp_store_list() and cp_store_get() do: {"name", "role", "scope":
 * {"kinds", "tenants"}, "state": active|expired|revoked, "created_at",
 * "created_by", "expires_at", "revoked_at", "revoked_by", "last_used_at"}. */
int cp_token_list(struct cp_store *store, struct cp_page *page, struct sb_buf *out) SB_MUSTCHECK;
int cp_token_get(struct cp_store *store, struct sb_slice name, struct sb_buf *out) SB_MUSTCHECK;

/* Writes down what was done, in the transaction that does it.  action: one of
 * those of the table; detail: a JSON object. */
int cp_action_record(struct cp_db *db, const char *action, const struct cp_actor *by,
                     struct sb_slice subject, struct sb_slice detail) SB_MUSTCHECK;
/* Writes down that a valid token was refused.  what: "PUT /admin/v1/keys/a";
 * why: the text that was answered.  The same again within
 * CP_ACTION_AGAIN_SECONDS is not repeated, so that a loop fills no table. */
int cp_action_refused(struct cp_store *store, const struct cp_actor *who, struct sb_slice what,
                      const char *why) SB_MUSTCHECK;
