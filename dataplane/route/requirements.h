/* dataplane/route/requirements.h - what a request asks for, read from its body.
 *
 * Works on the members that the splicer recorded and on what its visitor has
 * gathered of `messages` in the same pass (dataplane/route/content.h); no
 * document is built.  Checks what routing depends on and nothing else: members
 * that it does not know pass untouched.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"
#include "common/splice.h"
#include "proto/vocabulary.h"

struct dp_content;
struct sb_arena;
struct msg_rules;

/* Members of a body that mean something to us: first the parameters, by their
 * numbers in MSG_PARAMETER_MAP, then these: X(NAME, "member"). */
#define DP_MEMBER_MAP(X)                                                                           \
    X(MODEL, "model")                                                                              \
    X(MODELS, "models")                                                                            \
    X(MESSAGES, "messages")                                                                        \
    X(PROMPT, "prompt")                                                                            \
    X(INPUT, "input")                                                                              \
    X(STREAM, "stream")                                                                            \
    X(STREAM_OPTIONS, "stream_options")                                                            \
    X(N, "n")                                                                                      \
    X(USER, "user")                                                                                \
    X(MODALITIES, "modalities")                                                                    \
    X(PROMPT_CACHE_KEY, "prompt_cache_key")                                                        \
    X(SESSION_ID, "session_id")                                                                    \
    X(PROVIDER, "provider")                                                                        \
    X(SWITCHBOARD, "switchboard")                                                                  \
    X(ROUTE, "route")                                                                              \
    X(TRANSFORMS, "transforms")                                                                    \
    X(PLUGINS, "plugins")                                                                          \
    X(PRESET, "preset")                                                                            \
    X(METADATA, "metadata")

enum dp_member {
    DP_MEMBER_NONE = -1,
    DP_MEMBER_BEFORE_FIRST = MSG_PARAMETER_COUNT - 1,
#define X(name, text) DP_MEMBER_##name,
    DP_MEMBER_MAP(X)
#undef X
        DP_MEMBER_COUNT
};

/* "model", "temperature", ...; a static string. */
const char *dp_member_name(int member);

enum { DP_MODELS_MAX = 8 };

struct dp_requirements {
    const struct sb_splice *body; /* borrowed; must be an object */
    enum msg_api api;
    /* 1 + the index in body->members of each member that is there, null or
     * not; 0 when it is not.  See dp_requirements_member(). */
    uint8_t at[DP_MEMBER_COUNT];

    struct sb_slice model[DP_MODELS_MAX]; /* as asked: model, then models */
    uint32_t n_models;                    /* at least 1 */

    bool stream;
    bool include_usage;   /* stream_options.include_usage is true already */
    bool reasoning;       /* is asked for */
    bool json_schema;     /* response_format.type */
    uint32_t n;           /* answers, to all prompts; 1 when not said */
    uint64_t max_tokens;  /* of one answer; 0 not said */
    uint64_t parameters;  /* bits of enum msg_parameter that are there and not null;
                             max_tokens and max_completion_tokens both when one is */
    uint64_t restricting; /* those that an endpoint must support if its model has any that does */
    uint32_t input_modalities, output_modalities; /* bits of enum msg_modality */
    uint32_t images;                              /* parts, likewise below */
    uint32_t audios;

    uint64_t text_bytes;                      /* of what the model reads, media left out */
    struct sb_slice first_system, first_user; /* content as written in the body; or none */

    struct sb_slice user;             /* JSON text of a string, or none */
    struct sb_slice session_id;       /* of the top level, or none */
    struct sb_slice prompt_cache_key; /* or none */
    const struct msg_rules *rules;    /* of provider and switchboard; NULL when neither is there */
    uint32_t unserved; /* bits 1 << (member - DP_MEMBER_MODEL): accepted, not served, warned of */
};

/* Borrows body and its text.  content: what was gathered as it was scanned;
 * its api is the request's.  Errors: SB_EINVAL when the request is wrong, with
 * the member, the value and what is allowed in err (the answer is 400). */
int dp_requirements_read(const struct sb_splice *body, struct dp_content *content,
                         struct sb_arena *arena, struct dp_requirements *ret_ask,
                         struct sb_errmsg *err) SB_MUSTCHECK;

/* NULL when it is not there.  member: enum dp_member or enum msg_parameter. */
static inline const struct sb_splice_member *
dp_requirements_member(const struct dp_requirements *ask, int member)
{
    return ask->at[member] != 0 ? &ask->body->members[ask->at[member] - 1] : NULL;
}

/* Prompt tokens: the estimate, what it certainly exceeds, and the worst case. */
static inline double dp_requirements_tokens(const struct dp_requirements *ask)
{
    return (double)ask->text_bytes / 4;
}

static inline uint64_t dp_requirements_tokens_at_least(const struct dp_requirements *ask)
{
    return ask->text_bytes / 8;
}

static inline uint64_t dp_requirements_tokens_at_most(const struct dp_requirements *ask)
{
    return (ask->text_bytes + 1) / 2;
}
