/* dataplane/upstream/outlet.h - how requests leave for each provider and credential.
 *
 * Made with a snapshot, beside it: for each provider its target and dialect,
 * for each credential the constant part of the request head, with the secret
 * unsealed in it.  Heads are made when they are used first and wiped with the
 * snapshot.  The loop's thread only.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"
#include "dataplane/upstream/target.h"
#include "proto/vocabulary.h"

struct dp_candidate;
struct dp_dialect;
struct dp_outlets;
struct msg_snapshot;
struct sb_arena;
struct sb_keyring;

/* Borrows both, which must outlive it.  A provider whose base URL cannot be
 * used is an error (SB_EINVAL): such a snapshot is refused. */
int dp_outlets_new(const struct msg_snapshot *records, const struct sb_keyring *keyring,
                   struct dp_outlets **ret_outlets, struct sb_errmsg *err) SB_MUSTCHECK;
void dp_outlets_destroy(struct dp_outlets **outlets);

/* provider: index in the snapshot. */
const struct dp_target *dp_outlets_target(const struct dp_outlets *outlets, uint32_t provider);
/* All of them, for dp_pool_retain(). */
const struct dp_target *dp_outlets_targets(const struct dp_outlets *outlets, size_t *ret_n);
/* NULL when this worker does not speak it. */
const struct dp_dialect *dp_outlets_dialect(const struct dp_outlets *outlets, uint32_t provider);

/* The "user" member for a provider: a keyed hash of tenant and user, as a JSON
 * string in the arena. */
struct sb_slice dp_outlets_user(const struct dp_outlets *outlets, uint64_t tenant,
                                struct sb_slice user, struct sb_arena *arena);

/* Request line and constant fields, up to where Content-Length goes.  Lives
 * as long as the outlets.  SB_ENOENT, SB_EAUTH, SB_EPARSE: the credential
 * cannot be unsealed (err says why); SB_EUNSUPPORTED: the dialect has no such
 * API; SB_ENOMEM. */
int dp_outlets_head(struct dp_outlets *outlets, const struct dp_candidate *candidate,
                    enum msg_api api, struct sb_slice *ret_head,
                    struct sb_errmsg *err) SB_MUSTCHECK;
