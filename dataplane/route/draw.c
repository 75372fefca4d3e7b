/* dataplane/route/draw.c */
#include "dataplane/route/draw.h"

#include <endian.h>
#include <math.h>

#include "common/secret.h"
#include "dataplane/route/requirements.h"
#include "dataplane/route/view.h"

/* Kinds of conversation keys: a session never meets a cache key of the same
 * text. */
enum { BY_SESSION = 1, BY_CACHE_KEY, BY_MESSAGES };

__extension__ typedef unsigned __int128 wide;

/* Both halves of a product: every bit of the result depends on all of both. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return le64toh(word); /* workers of all kinds draw the same */
}

/* A keyed digest of messages that may be long: SipHash takes 2 us for 2 KB,
 * which would be a tenth of a request.  It has to spread, not to resist: who
 * makes two of his own conversations meet has gained nothing. */
static uint64_t digest(const uint64_t secret[4], struct sb_slice bytes)
{
    uint64_t a = secret[0] ^ bytes.n, b = secret[2];
    const char *p = bytes.p;
    size_t n = bytes.n;
    char rest[32] = {0};

    for (; n >= sizeof(rest); n -= sizeof(rest), p += sizeof(rest)) {
        a = fold(a ^ load(p), secret[1] ^ load(p + 8));
        b = fold(b ^ load(p + 16), secret[3] ^ load(p + 24));
    }
    if (n > 0)
        memcpy(rest, p, n);
    a = fold(a ^ load(rest), secret[1] ^ load(rest + 8));
    b = fold(b ^ load(rest + 16), secret[3] ^ load(rest + 24));
    return fold(a ^ secret[2], b ^ secret[0]);
}

/* The one keyed hash of a request. */
static uint64_t keyed(const struct dp_snapshot *snapshot, uint64_t tenant, uint64_t kind,
                      struct sb_slice a, struct sb_slice b)
{
    const uint8_t *bytes = snapshot->records->sticky_key;
    const uint64_t low = load((const char *)bytes), high = load((const char *)bytes + 8);
    /* all different and all well mixed, whatever the key: equal ones would cancel out */
    const uint64_t secret[4] = {dp_mix(low), dp_mix(high + 1), dp_mix(low ^ high),
                                dp_mix(low + high)};
    const uint64_t words[4] = {htole64(tenant), htole64(kind), htole64(digest(secret, a)),
                               htole64(digest(secret, b))};

    return sb_hash_short(bytes, sb_slice_make(words, sizeof(words)));
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
