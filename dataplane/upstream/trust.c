/* dataplane/upstream/trust.c */
#include "dataplane/upstream/trust.h"

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "common/mem.h"

struct dp_trust {
    struct sb_list link;
    char *file;        /* "" is the system's */
    X509_STORE *store; /* NULL until it could be read; contexts count it too */
    CURLSH *share;
    unsigned refs; /* the list's, and those given */
};

/* The reason of the last failure of OpenSSL; leaves its queue empty, since what
 * stays there is taken for the failure of a later call. */
static const char *last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return reason != NULL ? reason : "unknown reason";
}

static struct dp_trust *trust_new(struct sb_slice file)
{
    CURLSH *share = curl_share_init();
    struct dp_trust *trust;

    if (share == NULL)
        return NULL;
    /* No lock functions: all users are on one thread. */
    if (curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK ||
        curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK) {
        (void)curl_share_cleanup(share);
        return NULL;
    }
    trust = sb_mem_new(sizeof(*trust));
    trust->file = sb_mem_new(file.n + 1);
    if (file.n > 0)
        memcpy(trust->file, file.p, file.n);
    trust->share = share;
    trust->refs = 1;
    sb_list_init(&trust->link);
    return trust;
}

void dp_trust_unref(struct dp_trust **trust)
{
    struct dp_trust *old = *trust;

    *trust = NULL;
    if (old == NULL || --old->refs > 0)
        return;
    X509_STORE_free(old->store);
    (void)curl_share_cleanup(old->share); /* sessions and names with it */
    sb_mem_free(old->file);
    sb_mem_free(old);
}

int dp_trust_load(struct dp_trust *trust, struct sb_errmsg *err)
{
    const char *file = trust->file;
    X509_STORE *store;

    if (trust->store != NULL)
        return SB_OK;
    if (file[0] == '\0')
        file = getenv("SSL_CERT_FILE");
    if (file == NULL || file[0] == '\0')
        file = curl_version_info(CURLVERSION_NOW)->cainfo; /* the distribution's */
    if (file == NULL)
        return sb_err_set(err, SB_EIO,
                          "certificate authorities: this libcurl knows no file of "
                          "the system, set SSL_CERT_FILE");
    ERR_clear_error();
    store = X509_STORE_new();
    if (store == NULL || X509_STORE_load_file(store, file) != 1) {
        X509_STORE_free(store);
        return sb_err_set(err, SB_EIO, "certificate authorities '%s': %s", file, last_reason());
    }
    /* As libcurl does with a file that it loads itself: an intermediate, or the
     * server's own certificate, may be the anchor. */
    (void)X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    trust->store = store;
    return SB_OK;
}

void *dp_trust_share(const struct dp_trust *trust)
{
    return trust->share;
}

bool dp_trust_apply(const struct dp_trust *trust, void *ssl_ctx)
{
    SSL_CTX *ctx = ssl_ctx;

    /* Not SSL_CTX_set1_cert_store(): libcurl 7.88 puts another store there
     * after this, when the first bytes arrive: the one that the first
     * connection of the multi handle used, whatever file that was verified
     * by.  A store for verification has precedence and is let alone. */
    if (SSL_CTX_set1_verify_cert_store(ctx, trust->store) != 1)
        return false;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    /* After "try again" OpenSSL wants the same bytes, by default also at the
     * same address and all of them at once: ours come from a buffer that
     * moves. */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    /* 34 KB less for a connection that waits */
                                    SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1); /* one recv for a record, not two */
    /* Without it a TLS 1.2 peer can make a send wait for something to read,
     * which would spin: we wait for writability after a short send. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;
}

bool dp_trust_is_resumed(void *ssl)
{
    return SSL_session_reused(ssl) == 1;
}

bool dp_trust_has_pending(void *ssl)
{
    return SSL_has_pending(ssl) == 1;
}

/* --- all of them -------------------------------------------------------------- */

void dp_trusts_init(struct dp_trusts *trusts)
{
    sb_list_init(&trusts->list);
}

void dp_trusts_release(struct dp_trusts *trusts)
{
    struct sb_list *link;

    while ((link = sb_list_pop(&trusts->list)) != NULL) {
        struct dp_trust *trust = container_of(link, struct dp_trust, link);

        dp_trust_unref(&trust);
    }
}

struct dp_trust *dp_trusts_find(struct dp_trusts *trusts, struct sb_slice file)
{
    struct dp_trust *trust;

    sb_list_for_each(link, &trusts->list)
    {
        trust = container_of(link, struct dp_trust, link);
        if (sb_slice_is(file, trust->file)) {
            trust->refs++;
            return trust;
        }
    }
    trust = trust_new(file);
    if (trust != NULL) {
        sb_list_add_tail(&trusts->list, &trust->link);
        trust->refs++;
    }
    return trust;
}

int dp_trusts_reload(struct dp_trusts *trusts, struct sb_errmsg *err)
{
    struct sb_list old, *link;
    int rc = SB_OK;

    sb_list_init(&old);
    sb_list_append_all(&old, &trusts->list);
    while ((link = sb_list_pop(&old)) != NULL) {
        struct dp_trust *trust = container_of(link, struct dp_trust, link);
        struct dp_trust *again = trust_new(sb_slice_of(trust->file));
        struct sb_errmsg why = {.text = "libcurl is out of memory"};

        if (again != NULL && dp_trust_load(again, &why) == SB_OK) {
            sb_list_add_tail(&trusts->list, &again->link);
            dp_trust_unref(&trust);
            continue;
        }
        dp_trust_unref(&again);
        sb_list_add_tail(&trusts->list, link);
        if (rc == SB_OK)
            rc = sb_err_set(err, SB_EIO, "%s", why.text);
    }
    return rc;
}
