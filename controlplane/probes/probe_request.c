/* controlplane/probes/probe_request.c */
#include "controlplane/probes/probe_request.h"

#include <inttypes.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/keyring.h"
#include "common/secret.h"
#include "proto/snapshot.h"

enum {
    BINDING_MAX = 8192,
    FIXED_FIELDS = 3,
};

#ifndef SB_VERSION
#define SB_VERSION "0.1.0"
#endif

/* --- openai ---------------------------------------------------------------------- */

static bool has_parameter(const struct msg_endpoint *endpoint, enum msg_parameter parameter)
{
    return (endpoint->parameters >> parameter & 1) != 0;
}

/* Newer models of some providers refuse the older of the two names. */
static const char *limit_name(const struct msg_endpoint *endpoint)
{
    return has_parameter(endpoint, MSG_PARAMETER_MAX_COMPLETION_TOKENS) &&
                   !has_parameter(endpoint, MSG_PARAMETER_MAX_TOKENS)
               ? "max_completion_tokens"
               : "max_tokens";
}

static struct sb_slice openai_completion(const struct msg_endpoint *endpoint, uint32_t max_tokens,
                                         struct sb_arena *arena)
{
    struct sb_slice model = sb_json_quote(arena, endpoint->upstream_model);

    return sb_arena_printf(arena,
                           "{\"model\":%.*s,\"messages\":[{\"role\":\"user\",\"content\":"
                           "\"Count from 1 to 20.\"}],\"%s\":%" PRIu32 ",\"stream\":true,"
                           "\"stream_options\":{\"include_usage\":true}}",
                           SB_SLICE_ARGS(model), limit_name(endpoint), max_tokens);
}

static struct sb_slice openai_embedding(const struct msg_endpoint *endpoint, struct sb_arena *arena)
{
    struct sb_slice model = sb_json_quote(arena, endpoint->upstream_model);

    return sb_arena_printf(arena, "{\"model\":%.*s,\"input\":\"Hello.\"}", SB_SLICE_ARGS(model));
}

static const struct cp_probe_dialect dialects[] = {
    {.name = "openai",
     .completion_path = "/chat/completions",
     .embedding_path = "/embeddings",
     .models_path = "/models",
     .completion_body = openai_completion,
     .embedding_body = openai_embedding},
};

const struct cp_probe_dialect *cp_probe_dialect_find(struct sb_slice name)
{
    for (size_t i = 0; i < SB_ARRAY_LEN(dialects); i++) {
        if (sb_slice_is(name, dialects[i].name))
            return &dialects[i];
    }
    return NULL;
}

/* --- keys -------------------------------------------------------------------------- */

bool cp_probe_credential(const struct msg_snapshot *snapshot, uint32_t provider,
                         const struct msg_credential **ret_credential)
{
    *ret_credential = NULL;
    for (size_t i = 0; i < snapshot->n_credentials; i++) {
        const struct msg_credential *one = &snapshot->credentials[i];

        if (one->provider == provider && one->tenant == MSG_NONE) {
            *ret_credential = one; /* sorted: the first of the house */
            return true;
        }
    }
    return !snapshot->providers[provider].wants_key;
}

static bool gives(const struct msg_endpoint *endpoint, enum msg_modality modality)
{
    return (endpoint->output_modalities >> modality & 1) != 0;
}

bool cp_probe_kind_of(const struct msg_endpoint *endpoint, enum cp_probe_kind *ret_kind)
{
    if ((endpoint->input_modalities >> MSG_MODALITY_TEXT & 1) == 0)
        return false;
    if (gives(endpoint, MSG_MODALITY_TEXT))
        *ret_kind = CP_PROBE_COMPLETION;
    else if (gives(endpoint, MSG_MODALITY_EMBEDDINGS))
        *ret_kind = CP_PROBE_EMBEDDING;
    else
        return false;
    return true;
}

bool cp_probe_question_make(const struct cp_probe_dialect *dialect,
                            const struct msg_endpoint *endpoint, uint32_t max_tokens,
                            struct sb_arena *arena, struct cp_probe_question *ret_question)
{
    enum cp_probe_kind kind;

    if (!cp_probe_kind_of(endpoint, &kind))
        return false;
    if (kind == CP_PROBE_COMPLETION)
        *ret_question = (struct cp_probe_question){
            .kind = CP_PROBE_COMPLETION,
            .path = dialect->completion_path,
            .body = dialect->completion_body(endpoint, max_tokens, arena),
            .max_tokens = max_tokens,
        };
    else
        *ret_question = (struct cp_probe_question){
            .kind = CP_PROBE_EMBEDDING,
            .path = dialect->embedding_path,
            .body = dialect->embedding_body(endpoint, arena),
        };
    return true;
}

static int unseal(const struct msg_provider *provider, const struct msg_credential *credential,
                  const struct sb_keyring *keyring, struct sb_secret **ret_key,
                  struct sb_errmsg *err)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf binding = {.limit = 0};
    struct sb_slice part;
    int rc;

    sb_buf_init(&binding, BINDING_MAX);
    rc = msg_credential_binding(credential->id, SB_SLICE_NONE, provider->slug, provider->base_url,
                                &binding);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "provider '%.*s' has no origin to bind a credential to",
                          SB_SLICE_ARGS(provider->slug));
    part = sb_buf_slice(&binding);
    return sb_keyring_unseal(keyring, &part, 1, credential->sealed, ret_key, err);
}

/* "Authorization: Bearer key", or the provider's own field with the key. */
static int make_auth(const struct msg_provider *provider, const struct sb_secret *secret,
                     struct sb_secret **ret_auth)
{
    static const struct sb_slice bearer = SB_SLICE_INIT("Authorization: Bearer ");
    bool is_bearer = provider->auth_header.n == 0 ||
                     sb_slice_eq_nocase(provider->auth_header, SB_SLICE_LIT("authorization"));
    struct sb_slice name = is_bearer ? bearer : provider->auth_header;
    struct sb_slice key = sb_secret_expose(secret);
    char field[SB_SECRET_MAX];
    size_t n = 0;
    int rc;

    for (size_t i = 0; i < key.n; i++)
        if ((unsigned char)key.p[i] < ' ' || key.p[i] == 0x7f) /* it would end the field */
            return SB_EINVAL;
    if (name.n + 2 + key.n > sizeof(field))
        return SB_ETOOBIG;
    memcpy(field, name.p, name.n);
    n = name.n;
    if (!is_bearer) {
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): its length goes with it */
        memcpy(field + n, ": ", 2);
        n += 2;
    }
    memcpy(field + n, key.p, key.n);
    rc = sb_secret_new(sb_slice_make(field, n + key.n), ret_auth);
    sb_secret_wipe(field, sizeof(field));
    return rc;
}

/* --- the request ------------------------------------------------------------------------ */

static const char *make_url(const struct msg_provider *provider, const char *path,
                            struct sb_arena *arena)
{
    struct sb_slice url = sb_arena_printf(arena, "%.*s%s", SB_SLICE_ARGS(provider->base_url), path);

    for (size_t i = 0; i < provider->n_query; i++)
        url = sb_arena_printf(arena, "%.*s%c%.*s=%.*s", SB_SLICE_ARGS(url), i == 0 ? '?' : '&',
                              SB_SLICE_ARGS(provider->query[i].name),
                              SB_SLICE_ARGS(provider->query[i].value));
    return url.p;
}

static const char *const *make_fields(const struct msg_provider *provider, bool has_body,
                                      struct sb_arena *arena)
{
    size_t n = 0;
    const char **fields =
        sb_arena_alloc(arena, (provider->n_headers + FIXED_FIELDS + 1) * sizeof(*fields));

    fields[n++] = "User-Agent: switchboard/" SB_VERSION;
    fields[n++] = "Accept: application/json, text/event-stream";
    if (has_body)
        fields[n++] = "Content-Type: application/json";
    for (size_t i = 0; i < provider->n_headers; i++)
        fields[n++] = sb_arena_printf(arena, "%.*s: %.*s", SB_SLICE_ARGS(provider->headers[i].name),
                                      SB_SLICE_ARGS(provider->headers[i].value))
                          .p;
    return fields;
}

int cp_probe_request_make(const struct cp_probe_call *call, const struct sb_keyring *keyring,
                          struct sb_arena *arena, struct cp_fetch_request *ret_request,
                          struct sb_secret **ret_auth, struct sb_errmsg *err)
{
    const struct msg_provider *provider = call->provider;
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *key = NULL;
    struct sb_secret *auth = NULL;
    int rc;

    if (call->credential != NULL) {
        rc = unseal(provider, call->credential, keyring, &key, err);
        if (rc == SB_OK)
            rc = make_auth(provider, key, &auth);
        if (rc != SB_OK)
            return rc;
    }
    *ret_request = (struct cp_fetch_request){
        .url = make_url(provider, call->path, arena),
        .body = call->body,
        .fields = make_fields(provider, call->body.n > 0, arena),
        .auth = auth,
        .proxy = sb_arena_dup(arena, provider->proxy).p,
        .ca_file = sb_arena_dup(arena, provider->ca_file).p,
    };
    *ret_auth = auth;
    return SB_OK;
}
