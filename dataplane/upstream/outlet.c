/* dataplane/upstream/outlet.c */
#include "dataplane/upstream/outlet.h"

#include <inttypes.h>

#include "common/buf.h"
#include "common/http1.h"
#include "common/keyring.h"
#include "common/mem.h"
#include "common/secret.h"
#include "dataplane/dialect.h"
#include "dataplane/route/order.h"
#include "dataplane/route/view.h"
#include "proto/snapshot.h"

enum {
    HEAD_MAX = 64 * 1024,
    USER_HASH_HEX = 40, /* 160 bits */
};

/* One credential's heads, or a keyless provider's. */
struct heads {
    char *text[MSG_API_COUNT]; /* NULL: not made yet */
    uint32_t n[MSG_API_COUNT];
};

struct outlet {
    const struct dp_dialect *dialect;
    struct heads keyless;
};

struct dp_outlets {
    const struct msg_snapshot *records; /* borrowed */
    const struct sb_keyring *keyring;   /* borrowed */
    struct dp_target *targets;          /* by provider */
    struct outlet *outlets;             /* likewise */
    struct heads **by_credential;       /* NULL: not used yet */
    struct sb_secret *user_key;
};

static void heads_release(struct heads *heads)
{
    for (int api = 0; api < MSG_API_COUNT; api++) {
        if (heads->text[api] == NULL)
            continue;
        sb_secret_wipe(heads->text[api], heads->n[api]);
        sb_mem_free(heads->text[api]);
        heads->text[api] = NULL;
    }
}

int dp_outlets_new(const struct msg_snapshot *records, const struct sb_keyring *keyring,
                   struct dp_outlets **ret_outlets, struct sb_errmsg *err)
{
    SB_CLEANUP(dp_outlets_destroy) struct dp_outlets *made = sb_mem_new(sizeof(*made));

    made->records = records;
    made->keyring = keyring;
    made->targets = sb_mem_try(records->n_providers * sizeof(*made->targets));
    made->outlets = sb_mem_try(records->n_providers * sizeof(*made->outlets));
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): it is a list of pointers */
    made->by_credential = sb_mem_try((records->n_credentials + 1) * sizeof(*made->by_credential));
    if ((records->n_providers > 0 && (made->targets == NULL || made->outlets == NULL)) ||
        made->by_credential == NULL)
        return sb_err_set(err, SB_ENOMEM, "no memory for the outlets of %zu providers",
                          records->n_providers);
    for (size_t i = 0; i < records->n_providers; i++) {
        int rc = dp_target_init(&made->targets[i], &records->providers[i], err);

        if (rc != SB_OK)
            return rc;
        made->outlets[i].dialect = dp_dialect_find(records->providers[i].dialect);
    }
    if (sb_secret_new(sb_slice_make(records->user_key, sizeof(records->user_key)),
                      &made->user_key) != SB_OK)
        return sb_err_set(err, SB_ENOMEM, "no memory for the key of user hashes");
    *ret_outlets = made;
    made = NULL;
    return SB_OK;
}

void dp_outlets_destroy(struct dp_outlets **outlets)
{
    struct dp_outlets *old = *outlets;

    if (old == NULL)
        return;
    for (size_t i = 0; old->by_credential != NULL && i < old->records->n_credentials; i++) {
        if (old->by_credential[i] == NULL)
            continue;
        heads_release(old->by_credential[i]);
        sb_mem_free(old->by_credential[i]);
    }
    for (size_t i = 0; old->outlets != NULL && i < old->records->n_providers; i++)
        heads_release(&old->outlets[i].keyless);
    sb_secret_destroy(&old->user_key);
    sb_mem_free(old->by_credential);
    sb_mem_free(old->outlets);
    sb_mem_free(old->targets);
    sb_mem_free(old);
    *outlets = NULL;
}

const struct dp_target *dp_outlets_target(const struct dp_outlets *outlets, uint32_t provider)
{
    return &outlets->targets[provider];
}

const struct dp_target *dp_outlets_targets(const struct dp_outlets *outlets, size_t *ret_n)
{
    *ret_n = outlets->records->n_providers;
    return outlets->targets;
}

const struct dp_dialect *dp_outlets_dialect(const struct dp_outlets *outlets, uint32_t provider)
{
    return outlets->outlets[provider].dialect;
}

struct sb_slice dp_outlets_user(const struct dp_outlets *outlets, uint64_t tenant,
                                struct sb_slice user, struct sb_arena *arena)
{
    struct sb_slice text = sb_arena_printf(arena, "%" PRIu64 ":%.*s", tenant, SB_SLICE_ARGS(user));
    uint8_t hash[SB_HASH_BYTES];
    char hex[USER_HASH_HEX + 3];
    size_t n = 0;

    sb_hash_keyed(outlets->user_key, text, hash);
    hex[n++] = '"';
    for (size_t i = 0; i < USER_HASH_HEX / 2; i++) {
        hex[n++] = "0123456789abcdef"[hash[i] >> 4];
        hex[n++] = "0123456789abcdef"[hash[i] & 15];
    }
    hex[n++] = '"';
    return sb_arena_dup(arena, sb_slice_make(hex, n));
}

static int unseal(const struct dp_outlets *outlets, const struct msg_credential *credential,
                  struct sb_secret **ret_secret, struct sb_errmsg *err)
{
    const struct msg_provider *provider = &outlets->records->providers[credential->provider];
    struct sb_slice tenant = credential->tenant != MSG_NONE
                                 ? outlets->records->tenants[credential->tenant].name
                                 : SB_SLICE_NONE;
    SB_CLEANUP(sb_buf_release) struct sb_buf binding;
    struct sb_slice part;
    int rc;

    sb_buf_init(&binding, HEAD_MAX);
    rc = msg_credential_binding(credential->id, tenant, provider->slug, provider->base_url,
                                &binding);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "provider '%.*s' has no origin to bind a credential to",
                          SB_SLICE_ARGS(provider->slug));
    part = sb_buf_slice(&binding);
    return sb_keyring_unseal(outlets->keyring, &part, 1, credential->sealed, ret_secret, err);
}

/* The field that carries the key. */
static int put_auth(const struct msg_provider *provider, const struct sb_secret *secret,
                    struct sb_buf *head)
{
    bool bearer = provider->auth_header.n == 0 ||
                  sb_slice_eq_nocase(provider->auth_header, SB_SLICE_LIT("authorization"));
    struct sb_slice key = sb_secret_expose(secret);
    int rc;

    for (size_t i = 0; i < key.n; i++)
        if ((unsigned char)key.p[i] < ' ' || key.p[i] == 0x7f) /* it would end the field */
            return SB_EINVAL;
    rc = sb_buf_append(head,
                       bearer ? SB_SLICE_LIT("Authorization: Bearer ") : provider->auth_header);
    if (rc == SB_OK && !bearer)
        rc = sb_buf_append(head, SB_SLICE_LIT(": "));
    if (rc == SB_OK)
        rc = sb_buf_append(head, key);
    return rc == SB_OK ? sb_buf_append(head, SB_SLICE_LIT("\r\n")) : rc;
}

/* "POST /v1/chat/completions?a=b HTTP/1.1" */
static int put_request_line(const struct dp_target *target, const struct msg_provider *provider,
                            const char *path, struct sb_buf *head)
{
    int rc = sb_buf_append(head, SB_SLICE_LIT("POST "));

    if (rc == SB_OK)
        rc = sb_buf_append(head, target->path);
    if (rc == SB_OK)
        rc = sb_buf_append_text(head, path);
    for (size_t i = 0; i < provider->n_query && rc == SB_OK; i++) {
        rc = sb_buf_append_byte(head, i == 0 ? '?' : '&');
        if (rc == SB_OK)
            rc = sb_buf_append(head, provider->query[i].name);
        if (rc == SB_OK)
            rc = sb_buf_append_byte(head, '=');
        if (rc == SB_OK)
            rc = sb_buf_append(head, provider->query[i].value);
    }
    return rc == SB_OK ? sb_buf_append(head, SB_SLICE_LIT(" HTTP/1.1\r\n")) : rc;
}

static int put_head(const struct dp_target *target, const struct msg_provider *provider,
                    const char *path, const struct sb_secret *secret, struct sb_buf *head)
{
    int rc = put_request_line(target, provider, path, head);

    if (rc == SB_OK)
        rc = sb_http1_put_field(head, SB_SLICE_LIT("Host"), target->authority);
    if (rc == SB_OK && secret != NULL)
        rc = put_auth(provider, secret, head);
    if (rc == SB_OK)
        rc = sb_buf_append(head, SB_SLICE_LIT("Content-Type: application/json\r\n"
                                              "Accept: application/json, text/event-stream\r\n"
                                              "Accept-Encoding: identity\r\n"
                                              "User-Agent: switchboard\r\n"));
    for (size_t i = 0; i < provider->n_headers && rc == SB_OK; i++)
        rc = sb_http1_put_field(head, provider->headers[i].name, provider->headers[i].value);
    return rc;
}

static int make_head(struct dp_outlets *outlets, const struct dp_candidate *candidate,
                     const char *path, struct heads *heads, enum msg_api api, struct sb_errmsg *err)
{
    uint32_t provider = candidate->endpoint->provider;
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *secret = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf head;
    struct sb_slice text;
    int rc;

    sb_buf_init(&head, HEAD_MAX);
    if (candidate->credential != NULL) {
        rc = unseal(outlets, candidate->credential, &secret, err);
        if (rc != SB_OK)
            return rc;
    }
    /* at once in full size: growing would leave copies of the key in freed memory */
    rc = sb_buf_reserve(&head, HEAD_MAX);
    if (rc == SB_OK)
        rc = put_head(&outlets->targets[provider], &outlets->records->providers[provider], path,
                      secret, &head);
    text = sb_buf_slice(&head);
    if (rc == SB_OK)
        heads->text[api] = sb_mem_try(text.n);
    if (rc == SB_OK && heads->text[api] != NULL && text.p != NULL) {
        heads->n[api] = (uint32_t)text.n;
        memcpy(heads->text[api], text.p, text.n);
    }
    sb_secret_wipe(head.data, sb_buf_len(&head));
    if (rc == SB_OK && heads->text[api] == NULL)
        rc = SB_ENOMEM;
    return rc == SB_OK ? SB_OK : sb_err_set(err, rc, "cannot put the head together");
}

int dp_outlets_head(struct dp_outlets *outlets, const struct dp_candidate *candidate,
                    enum msg_api api, struct sb_slice *ret_head, struct sb_errmsg *err)
{
    struct outlet *outlet = &outlets->outlets[candidate->endpoint->provider];
    struct heads *heads = &outlet->keyless;
    const char *path;
    int rc;

    if (candidate->credential != NULL) {
        size_t i = (size_t)(candidate->credential - outlets->records->credentials);

        if (outlets->by_credential[i] == NULL)
            outlets->by_credential[i] = sb_mem_new(sizeof(*heads));
        heads = outlets->by_credential[i];
    }
    if (heads->text[api] == NULL) {
        path = outlet->dialect != NULL ? outlet->dialect->path(api) : NULL;
        if (path == NULL)
            return sb_err_set(err, SB_EUNSUPPORTED, "the provider's dialect has no %s",
                              msg_api_name((int)api));
        rc = make_head(outlets, candidate, path, heads, api, err);
        if (rc != SB_OK)
            return rc;
    }
    *ret_head = sb_slice_make(heads->text[api], heads->n[api]);
    return SB_OK;
}
