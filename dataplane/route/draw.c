/* dataplane/route/draw.c */
#include "dataplane/route/draw.h"

#include <math.h>

#include "common/secret.h"
#include "dataplane/route/requirements.h"
#include "dataplane/route/view.h"

/* Kinds of conversation keys: a session never meets a cache key of the same
 * text. */
enum { BY_SESSION = 1, BY_CACHE_KEY, BY_MESSAGES };

static uint64_t keyed(const struct dp_snapshot *snapshot, uint64_t tenant, uint64_t kind,
                      struct sb_slice a, struct sb_slice b)
{
    const uint8_t *key = snapshot->records->sticky_key;
    uint64_t words[4] = {tenant, kind, sb_hash_short(key, a), b.n > 0 ? sb_hash_short(key, b) : 0};

    return sb_hash_short(key, sb_slice_make(words, sizeof(words)));
}

bool dp_draw_conversation(const struct dp_snapshot *snapshot, uint64_t tenant,
                          const struct dp_requirements *ask, struct sb_slice session,
                          bool cheaper_cached, uint64_t *ret_conversation)
{
    if (session.n > 0)
        *ret_conversation = keyed(snapshot, tenant, BY_SESSION, session, SB_SLICE_NONE);
    else if (ask->prompt_cache_key.n > 0)
        *ret_conversation =
            keyed(snapshot, tenant, BY_CACHE_KEY, ask->prompt_cache_key, SB_SLICE_NONE);
    else if (cheaper_cached && ask->first_system.n + ask->first_user.n > 0)
        *ret_conversation =
            keyed(snapshot, tenant, BY_MESSAGES, ask->first_system, ask->first_user);
    else
        return false;
    return true;
}

double dp_draw_score(double uniform, double cost)
{
    return -log(uniform) * (cost * cost);
}
