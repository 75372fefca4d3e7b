/* controlplane/probes/probe_request.h - what is sent to a provider to probe it.
 *
 * One vtable per dialect, as in workers; a provider whose dialect is not here
 * is not probed.  The key is the house's, always: a tenant's own is never
 * used for what the tenant did not ask for.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"
#include "controlplane/probes/fetch.h"
#include "controlplane/probes/probe.h"

struct msg_credential;
struct msg_endpoint;
struct msg_provider;
struct msg_snapshot;
struct sb_arena;
struct sb_keyring;

struct cp_probe_dialect {
    const char *name;
    const char *completion_path, *embedding_path, *models_path; /* after the base URL */
    /* The bodies of a tiny streamed completion and of a tiny embedding, in arena. */
    struct sb_slice (*completion_body)(const struct msg_endpoint *endpoint, uint32_t max_tokens,
                                       struct sb_arena *arena);
    struct sb_slice (*embedding_body)(const struct msg_endpoint *endpoint, struct sb_arena *arena);
};
/* NULL: not spoken here. */
const struct cp_probe_dialect *cp_probe_dialect_find(struct sb_slice name);

/* The key to probe a provider with.  True: *ret_credential, or NULL for a
 * provider that nobody has a key for, since it wants none.  False: there are
 * tenants' own keys only, or the house's is suspended. */
bool cp_probe_credential(const struct msg_snapshot *snapshot, uint32_t provider,
                         const struct msg_credential **ret_credential);

/* What an endpoint is asked. */
struct cp_probe_question {
    enum cp_probe_kind kind;
    const char *path;     /* of the dialect */
    struct sb_slice body; /* in arena */
    uint32_t max_tokens;  /* of the answer; 0 of an embedding */
};

/* A completion where it chats, else an embedding; false: it answers neither. */
bool cp_probe_kind_of(const struct msg_endpoint *endpoint, enum cp_probe_kind *ret_kind);
bool cp_probe_question_make(const struct cp_probe_dialect *dialect,
                            const struct msg_endpoint *endpoint, uint32_t max_tokens,
                            struct sb_arena *arena, struct cp_probe_question *ret_question);

/* What is asked of whom; all borrowed. */
struct cp_probe_call {
    const struct msg_provider *provider;
    const struct msg_credential *credential; /* NULL: it wants none */
    const char *path;                        /* one of the dialect's */
    struct sb_slice body;                    /* empty: a GET */
};
/* A request without limits, its texts in arena.  *ret_auth is for
 * request->auth, and to be destroyed when it has been sent; NULL without a
 * credential.  Codes of sb_keyring_unseal(); SB_EINVAL: the key cannot be
 * sent. */
int cp_probe_request_make(const struct cp_probe_call *call, const struct sb_keyring *keyring,
                          struct sb_arena *arena, struct cp_fetch_request *ret_request,
                          struct sb_secret **ret_auth, struct sb_errmsg *err) SB_MUSTCHECK;
