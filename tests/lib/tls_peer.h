/* tests/lib/tls_peer.h - tests/lib/peer.h over TLS, and throw-away
 * certificates for it. */
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tests/lib/peer.h"

/* An authority, or a server signed by one. */
struct tls_id {
    EVP_PKEY *key;
    X509 *cert;
};

static inline void tls_id_extend(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    SB_BUG_ON(extension == NULL || X509_add_ext(cert, extension, -1) != 1);
    X509_EXTENSION_free(extension);
}

/* signer NULL: an authority that signs itself.  names: "DNS:a.test,IP:...".
 * The certificate is valid from an hour ago until valid_s from now. */
static inline struct tls_id tls_id_new(const struct tls_id *signer, const char *names, long valid_s)
{
    static long serial = 1;
    struct tls_id id = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    X509_NAME *subject = X509_get_subject_name(id.cert);
    const unsigned char *cn = (const unsigned char *)(signer != NULL ? "server" : "test authority");

    SB_BUG_ON(id.key == NULL || X509_set_version(id.cert, 2) != 1);
    SB_BUG_ON(ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++) != 1);
    SB_BUG_ON(X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600) == NULL);
    SB_BUG_ON(X509_gmtime_adj(X509_getm_notAfter(id.cert), valid_s) == NULL);
    SB_BUG_ON(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, cn, -1, -1, 0) != 1);
    SB_BUG_ON(X509_set_issuer_name(id.cert, signer != NULL ? X509_get_subject_name(signer->cert)
                                                           : subject) != 1);
    SB_BUG_ON(X509_set_pubkey(id.cert, id.key) != 1);
    if (signer == NULL)
        tls_id_extend(id.cert, NID_basic_constraints, "critical,CA:TRUE");
    else
        tls_id_extend(id.cert, NID_subject_alt_name, names);
    SB_BUG_ON(X509_sign(id.cert, signer != NULL ? signer->key : id.key, EVP_sha256()) == 0);
    return id;
}

static inline void tls_id_free(struct tls_id *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

static inline void tls_id_save(const struct tls_id *id, const char *path)
{
    FILE *file = fopen(path, "w");

    SB_BUG_ON(file == NULL || PEM_write_X509(file, id->cert) != 1);
    SB_BUG_ON(fclose(file) != 0);
}

/* What a peer serves with; pass it to peer_start(). */
static inline SSL_CTX *tls_server(const struct tls_id *id, int min_version, int max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    SB_BUG_ON(ctx == NULL);
    SSL_CTX_set_security_level(ctx, 0); /* so that it can offer what we refuse */
    SB_BUG_ON(SSL_CTX_set_min_proto_version(ctx, min_version) != 1);
    SB_BUG_ON(SSL_CTX_set_max_proto_version(ctx, max_version) != 1);
    SB_BUG_ON(SSL_CTX_use_certificate(ctx, id->cert) != 1);
    SB_BUG_ON(SSL_CTX_use_PrivateKey(ctx, id->key) != 1);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return ctx;
}

static inline bool tls_peer_start(struct peer_conn *pc)
{
    SSL *ssl = SSL_new(pc->peer->ctx);

    pc->tls = ssl;
    SSL_set_accept_state(ssl);
    return ssl != NULL && SSL_set_fd(ssl, pc->fd) == 1;
}

static inline ssize_t tls_peer_result(SSL *ssl, int n)
{
    int error = SSL_get_error(ssl, n);

    ERR_clear_error();
    if (n > 0)
        return n;
    return error == SSL_ERROR_ZERO_RETURN                                  ? 0
           : error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1
                                                                           : -2;
}

/* The handshake happens on the way. */
static inline ssize_t tls_peer_recv(struct peer_conn *pc, void *buf, size_t n)
{
    return tls_peer_result(pc->tls, SSL_read(pc->tls, buf, (int)n));
}

static inline ssize_t tls_peer_send(struct peer_conn *pc, const void *buf, size_t n)
{
    return tls_peer_result(pc->tls, SSL_write(pc->tls, buf, (int)n));
}

static inline void tls_peer_end(struct peer_conn *pc, bool politely)
{
    if (politely && SSL_is_init_finished(pc->tls))
        (void)SSL_shutdown(pc->tls);
    ERR_clear_error();
    SSL_free(pc->tls);
}

static const struct peer_io peer_tls = {
    .start = tls_peer_start, .recv = tls_peer_recv, .send = tls_peer_send, .end = tls_peer_end};
