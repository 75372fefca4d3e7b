/* tests/sim/tls.c */
#include "tests/sim/tls.h"

#include <limits.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/mem.h"

struct sim_tls_context {
    SSL_CTX *ctx;
};

struct sim_tls {
    SSL *ssl;
    bool wants_write;
};

static int refuse(const char *path, struct sb_errmsg *err)
{
    const char *reason = ERR_reason_error_string(ERR_get_error());

    ERR_clear_error();
    return sb_err_set(err, SB_EINVAL, "%s: %s", path, reason != NULL ? reason : "cannot be used");
}

/* Only HTTP/1.1 is spoken here; a client that insists on h2 learns it now. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *in, unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof(ours) - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

int sim_tls_context_new(const char *cert_path, const char *key_path,
                        struct sim_tls_context **ret_context, struct sb_errmsg *err)
{
    SB_CLEANUP(sim_tls_context_destroy)
    struct sim_tls_context *context = sb_mem_new(sizeof(*context));

    context->ctx = SSL_CTX_new(TLS_server_method());
    if (context->ctx == NULL)
        return sb_err_set(err, SB_ENOMEM, "no TLS context");
    if (SSL_CTX_use_certificate_chain_file(context->ctx, cert_path) != 1)
        return refuse(cert_path, err);
    if (SSL_CTX_use_PrivateKey_file(context->ctx, key_path, SSL_FILETYPE_PEM) != 1)
        return refuse(key_path, err);
    (void)SSL_CTX_set_mode(context->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                             SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(context->ctx, on_alpn, NULL);
    *ret_context = context;
    context = NULL;
    return SB_OK;
}

void sim_tls_context_destroy(struct sim_tls_context **context)
{
    if (*context == NULL)
        return;
    SSL_CTX_free((*context)->ctx);
    sb_mem_free(*context);
    *context = NULL;
}

int sim_tls_new(struct sim_tls_context *context, int fd, struct sim_tls **ret_tls)
{
    SB_CLEANUP(sim_tls_destroy) struct sim_tls *tls = sb_mem_new(sizeof(*tls));

    tls->ssl = SSL_new(context->ctx);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1) {
        ERR_clear_error();
        return SB_ENOMEM;
    }
    SSL_set_accept_state(tls->ssl);
    *ret_tls = tls;
    tls = NULL;
    return SB_OK;
}

void sim_tls_destroy(struct sim_tls **tls)
{
    if (*tls == NULL)
        return;
    SSL_free((*tls)->ssl);
    sb_mem_free(*tls);
    *tls = NULL;
}

static int result_of(struct sim_tls *tls, int rc)
{
    int error = SSL_get_error(tls->ssl, rc);

    ERR_clear_error();
    tls->wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return SB_EAGAIN;
    return error == SSL_ERROR_ZERO_RETURN ? SB_EEOF : SB_ECONNRESET;
}

int sim_tls_read(struct sim_tls *tls, char *bytes, size_t n, size_t *ret_n)
{
    int got = SSL_read(tls->ssl, bytes, n < INT_MAX ? (int)n : INT_MAX);

    if (got <= 0)
        return result_of(tls, got);
    tls->wants_write = false;
    *ret_n = (size_t)got;
    return SB_OK;
}

int sim_tls_write(struct sim_tls *tls, const char *bytes, size_t n, size_t *ret_n)
{
    int put = SSL_write(tls->ssl, bytes, n < INT_MAX ? (int)n : INT_MAX);

    if (put <= 0)
        return result_of(tls, put);
    tls->wants_write = false;
    *ret_n = (size_t)put;
    return SB_OK;
}

bool sim_tls_wants_write(const struct sim_tls *tls)
{
    return tls->wants_write;
}

void sim_tls_shutdown(struct sim_tls *tls)
{
    if (SSL_is_init_finished(tls->ssl))
        (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
}
