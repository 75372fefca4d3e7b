/* common/sha256.c */
#include "common/sha256.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/check.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* its destructor frees the context of a thread that ends */
static _Thread_local EVP_MD_CTX *context;

static void on_thread_end(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void on_exit_of_program(void)
{
    on_thread_end(context);
    context = NULL;
}

static void start(void)
{
    SB_BUG_ON(pthread_key_create(&key, on_thread_end) != 0);
    SB_BUG_ON(atexit(on_exit_of_program) != 0);
}

static EVP_MD_CTX *context_of_thread(void)
{
    if (context == NULL) {
        (void)pthread_once(&once, start);
        context = EVP_MD_CTX_new();
        SB_BUG_ON(context == NULL);
        SB_BUG_ON(pthread_setspecific(key, context) != 0);
        SB_BUG_ON(EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1);
    }
    return context;
}

void sb_sha256_parts(const struct sb_slice *parts, size_t n, uint8_t ret_hash[SB_SHA256_BYTES])
{
    EVP_MD_CTX *ctx = context_of_thread();

    /* The same algorithm as before: nothing is looked up or allocated. */
    SB_BUG_ON(EVP_DigestInit_ex(ctx, NULL, NULL) != 1);
    for (size_t i = 0; i < n; i++)
        SB_BUG_ON(parts[i].n > 0 && EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) != 1);
    SB_BUG_ON(EVP_DigestFinal_ex(ctx, ret_hash, NULL) != 1);
}

void sb_sha256(struct sb_slice bytes, uint8_t ret_hash[SB_SHA256_BYTES])
{
    sb_sha256_parts(&bytes, 1, ret_hash);
}

void sb_sha256_end_thread(void)
{
    if (context != NULL) {
        SB_BUG_ON(pthread_setspecific(key, NULL) != 0);
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    OPENSSL_thread_stop();
}
