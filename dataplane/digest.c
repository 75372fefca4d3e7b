/* dataplane/digest.c */
#include "dataplane/digest.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/splice.h"
#include "dataplane/canonical.h"
#include "dataplane/conf.h"
#include "dataplane/request.h"
#include "dataplane/route/requirements.h"
#include "dataplane/route/view.h"
#include "dataplane/worker.h"
#include "proto/limits.h"

_Static_assert((int)SB_SALT_BYTES == (int)MSG_SALT_BYTES, "in records");
_Static_assert((int)SB_HASH_BYTES == (int)MSG_HASH_BYTES, "in records");

struct dp_digest {
    struct sb_hash_state answer; /* meaningful once has_answer */
    bool has_answer;
    uint8_t salt[SB_SALT_BYTES];
};

void dp_digest_begin(struct dp_request *req)
{
    /* of an alignment that an arena does not promise */
    const uintptr_t mask = _Alignof(struct dp_digest) - 1;
    uintptr_t at = (uintptr_t)sb_arena_alloc_raw(req->arena, sizeof(*req->digest) + mask);

    req->digest = (void *)((at + mask) & ~mask); /* NOLINT(performance-no-int-to-ptr) */
    req->digest->has_answer = false;
    sb_random_salt(req->digest->salt);
    req->record.salt = sb_slice_make(req->digest->salt, SB_SALT_BYTES);
}

/* The bodies, too?  A receipt is about them. */
static bool has_bodies(const struct dp_request *req)
{
    return req->digest != NULL &&
           (req->worker->conf->digests == DP_DIGESTS_ALL || req->wants_receipt);
}

void dp_digest_request(struct dp_request *req)
{
    uint8_t *to;

    if (!has_bodies(req))
        return;
    to = sb_arena_alloc_raw(req->arena, SB_HASH_BYTES);
    sb_hash_salted(req->digest->salt, &req->body, 1, to);
    req->record.request_digest = sb_slice_make(to, SB_HASH_BYTES);
}

static struct sb_slice hash_member(struct dp_request *req, const char *name, struct sb_slice value)
{
    uint8_t *to = sb_arena_alloc_raw(req->arena, SB_HASH_BYTES);

    sb_hash_named(req->digest->salt, name, value, to);
    return sb_slice_make(to, SB_HASH_BYTES);
}

void dp_digest_personal(struct dp_request *req)
{
    const struct dp_requirements *facts = req->facts;
    const struct dp_rules *policy = req->key->policy;
    bool is_plain = policy != NULL && policy->said->audit_personal_plain;
    const struct sb_splice_member *member = dp_requirements_member(facts, DP_MEMBER_METADATA);
    struct sb_slice text;

    if (req->digest == NULL)
        return;
    if (facts->user.n > 0 && sb_splice_get_string(facts->user, req->arena, &text) == SB_OK) {
        req->record.user_hash = hash_member(req, "user", text);
        if (is_plain)
            req->record.user_plain = text;
    }
    if (member != NULL && member->type != SB_SPLICE_NULL &&
        dp_canonical(sb_splice_value(&req->doc, member), MSG_METADATA_MAX, req->arena, &text) ==
            SB_OK) {
        req->record.metadata_hash = hash_member(req, "metadata", text);
        if (is_plain)
            req->record.metadata_plain = text;
    }
}

void dp_digest_answer(struct dp_request *req, struct sb_slice bytes)
{
    struct dp_digest *digest = req->digest;

    req->answer_bytes += bytes.n;
    if (!has_bodies(req))
        return;
    if (!digest->has_answer) {
        sb_hash_init_salted(&digest->answer, digest->salt);
        digest->has_answer = true;
    }
    sb_hash_update(&digest->answer, bytes);
}

void dp_digest_finish(struct dp_request *req)
{
    uint8_t *to;

    if (req->digest == NULL || !req->digest->has_answer)
        return;
    to = sb_arena_alloc_raw(req->arena, SB_HASH_BYTES);
    sb_hash_final(&req->digest->answer, to);
    req->record.response_digest = sb_slice_make(to, SB_HASH_BYTES);
    req->digest->has_answer = false;
}
