/* common/secret.c */
#include "common/secret.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <sodium.h>

#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"

enum { RANDOM_TEXT = 43 /* of base62: 256 bits */ };

struct sb_secret {
    size_t n;
    bool is_guarded; /* bytes are pages of their own: locked, fenced */
    char *bytes;     /* n and a NUL */
};

_Static_assert(SB_HASH_BYTES == crypto_generichash_BYTES, "BLAKE2b-256");
_Static_assert(SB_SALT_BYTES >= crypto_generichash_KEYBYTES_MIN, "salt");
_Static_assert(SB_SHORT_KEY_BYTES == crypto_shorthash_KEYBYTES, "SipHash");
_Static_assert(SB_AEAD_KEY == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(SB_AEAD_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(SB_AEAD_TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(SB_SIGN_SEED == crypto_sign_SEEDBYTES, "Ed25519");
_Static_assert(SB_SIGN_PUBLIC == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(SB_SIGN_BYTES == crypto_sign_BYTES, "Ed25519");
_Static_assert(sizeof(struct sb_hash_state) >= sizeof(crypto_generichash_state), "state");
_Static_assert(_Alignof(struct sb_hash_state) >= _Alignof(crypto_generichash_state), "state");

/* Random bytes at hand, per thread; those of another generation are not
 * used: a child must not draw what its parent draws. */
static _Thread_local struct {
    unsigned generation;
    size_t left;
    unsigned char bytes[2048];
} supply;
static atomic_uint generation = 1;

static void on_fork_child(void)
{
    (void)atomic_fetch_add(&generation, 1);
}

static void start_library(void)
{
    SB_BUG_ON(sodium_init() < 0);
    SB_BUG_ON(pthread_atfork(NULL, NULL, on_fork_child) != 0);
}

/* Before whatever allocates, draws or picks an implementation. */
static void ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, start_library);
}

static const unsigned char *bytes_of(struct sb_slice slice)
{
    return (const unsigned char *)(slice.n > 0 ? slice.p : "");
}

static struct sb_secret *make(size_t n, bool is_guarded)
{
    struct sb_secret *secret;
    char *bytes;

    ready();
    bytes = is_guarded ? sodium_malloc(n + 1) : sb_mem_try(n + 1);
    if (bytes == NULL)
        return NULL;
    secret = sb_mem_new(sizeof(*secret));
    *secret = (struct sb_secret){.n = n, .is_guarded = is_guarded, .bytes = bytes};
    bytes[n] = '\0';
    return secret;
}

static int make_from(struct sb_slice bytes, bool is_guarded, struct sb_secret **ret)
{
    struct sb_secret *secret;

    if (bytes.n > SB_SECRET_MAX)
        return SB_ETOOBIG;
    secret = make(bytes.n, is_guarded);
    if (secret == NULL)
        return SB_ENOMEM;
    if (bytes.n > 0)
        memcpy(secret->bytes, bytes.p, bytes.n);
    *ret = secret;
    return SB_OK;
}

int sb_secret_new(struct sb_slice bytes, struct sb_secret **ret)
{
    return make_from(bytes, false, ret);
}

int sb_secret_new_guarded(struct sb_slice bytes, struct sb_secret **ret)
{
    return make_from(bytes, true, ret);
}

void sb_secret_destroy(struct sb_secret **secretp)
{
    struct sb_secret *secret = *secretp;

    *secretp = NULL;
    if (secret == NULL)
        return;
    if (secret->is_guarded) {
        sodium_free(secret->bytes); /* wipes */
    } else {
        sodium_memzero(secret->bytes, secret->n);
        sb_mem_free(secret->bytes);
    }
    sb_mem_free(secret);
}

size_t sb_secret_len(const struct sb_secret *secret)
{
    return secret->n;
}

struct sb_slice sb_secret_expose(const struct sb_secret *secret)
{
    return sb_slice_make(secret->bytes, secret->n);
}

void sb_secret_wipe(void *p, size_t n)
{
    if (n > 0)
        sodium_memzero(p, n);
}

bool sb_secret_equal(struct sb_slice a, struct sb_slice b)
{
    return a.n == b.n && (a.n == 0 || sodium_memcmp(a.p, b.p, a.n) == 0);
}

void sb_random_bytes(void *p, size_t n)
{
    ready();
    if (n > 0)
        randombytes_buf(p, n);
}

uint64_t sb_random_u64(void)
{
    uint64_t value;

    sb_random_bytes(&value, sizeof(value));
    return value;
}

/* Bytes of the thread's supply.  A call of the kernel for each id would cost
 * more than the rest of it; bytes are wiped once they are used. */
static void take_supply(unsigned char *p, size_t n)
{
    unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);

    if (supply.left < n || supply.generation != now) {
        sb_random_bytes(supply.bytes, sizeof(supply.bytes));
        supply.left = sizeof(supply.bytes);
        supply.generation = now;
    }
    supply.left -= n;
    memcpy(p, supply.bytes + supply.left, n);
    sodium_memzero(supply.bytes + supply.left, n);
}

static unsigned char supply_byte(void)
{
    unsigned char byte;

    take_supply(&byte, 1);
    return byte;
}

void sb_random_salt(uint8_t ret_salt[SB_SALT_BYTES])
{
    take_supply(ret_salt, SB_SALT_BYTES);
}

static void random_text(char *text, size_t n)
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    enum { EVEN = 256 / 62 * 62 }; /* bytes from here on would favour some characters */

    ready();
    for (size_t i = 0; i < n;) {
        unsigned char byte = supply_byte();

        if (byte < EVEN)
            text[i++] = alphabet[byte % 62];
    }
}

void sb_random_id(const char *prefix, size_t n, char *text, size_t size)
{
    size_t before = strlen(prefix);

    SB_BUG_ON(size <= before || size - before <= n);
    memcpy(text, prefix, before);
    random_text(text + before, n);
    text[before + n] = '\0';
}

void sb_hash(struct sb_slice bytes, uint8_t ret_hash[SB_HASH_BYTES])
{
    SB_BUG_ON(crypto_generichash(ret_hash, SB_HASH_BYTES, bytes_of(bytes), bytes.n, NULL, 0) != 0);
}

void sb_hash_keyed(const struct sb_secret *key, struct sb_slice bytes,
                   uint8_t ret_hash[SB_HASH_BYTES])
{
    SB_BUG_ON(key->n < crypto_generichash_KEYBYTES_MIN || key->n > crypto_generichash_KEYBYTES_MAX);
    SB_BUG_ON(crypto_generichash(ret_hash, SB_HASH_BYTES, bytes_of(bytes), bytes.n,
                                 (const unsigned char *)key->bytes, key->n) != 0);
}

void sb_hmac_sha256(const struct sb_secret *key, struct sb_slice bytes,
                    uint8_t ret_mac[SB_HASH_BYTES])
{
    crypto_auth_hmacsha256_state state;

    _Static_assert(SB_HASH_BYTES == crypto_auth_hmacsha256_BYTES, "SHA-256");
    (void)crypto_auth_hmacsha256_init(&state, (const unsigned char *)key->bytes, key->n);
    (void)crypto_auth_hmacsha256_update(&state, bytes_of(bytes), bytes.n);
    (void)crypto_auth_hmacsha256_final(&state, ret_mac);
    sb_secret_wipe(&state, sizeof(state));
}

static crypto_generichash_state *opaque(struct sb_hash_state *state)
{
    return (crypto_generichash_state *)(void *)state->opaque;
}

void sb_hash_init(struct sb_hash_state *state)
{
    SB_BUG_ON(crypto_generichash_init(opaque(state), NULL, 0, SB_HASH_BYTES) != 0);
}

void sb_hash_update(struct sb_hash_state *state, struct sb_slice bytes)
{
    SB_BUG_ON(crypto_generichash_update(opaque(state), bytes_of(bytes), bytes.n) != 0);
}

void sb_hash_final(struct sb_hash_state *state, uint8_t ret_hash[SB_HASH_BYTES])
{
    SB_BUG_ON(crypto_generichash_final(opaque(state), ret_hash, SB_HASH_BYTES) != 0);
}

void sb_hash_init_salted(struct sb_hash_state *state, const uint8_t salt[SB_SALT_BYTES])
{
    SB_BUG_ON(crypto_generichash_init(opaque(state), salt, SB_SALT_BYTES, SB_HASH_BYTES) != 0);
}

void sb_hash_salted(const uint8_t salt[SB_SALT_BYTES], const struct sb_slice *parts, size_t n,
                    uint8_t ret_hash[SB_HASH_BYTES])
{
    struct sb_hash_state state;

    sb_hash_init_salted(&state, salt);
    for (size_t i = 0; i < n; i++)
        sb_hash_update(&state, parts[i]);
    sb_hash_final(&state, ret_hash);
}

void sb_hash_named(const uint8_t salt[SB_SALT_BYTES], const char *name, struct sb_slice value,
                   uint8_t ret_hash[SB_HASH_BYTES])
{
    const struct sb_slice parts[] = {sb_slice_make(name, strlen(name) + 1), value};

    sb_hash_salted(salt, parts, SB_ARRAY_LEN(parts), ret_hash);
}

void sb_hash_salt(const uint8_t salt[SB_SALT_BYTES], uint8_t ret_hash[SB_HASH_BYTES])
{
    sb_hash_named(salt, "salt", SB_SLICE_NONE, ret_hash);
}

uint64_t sb_hash_short(const uint8_t key[SB_SHORT_KEY_BYTES], struct sb_slice bytes)
{
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t value = 0;

    (void)crypto_shorthash(hash, bytes_of(bytes), bytes.n, key);
    for (size_t i = 0; i < sizeof(hash); i++)
        value |= (uint64_t)hash[i] << (8 * i);
    return value;
}

struct sb_secret *sb_token_new(const char *prefix)
{
    size_t n = strlen(prefix);
    struct sb_secret *secret = make(n + RANDOM_TEXT, false);

    SB_BUG_ON(secret == NULL);
    memcpy(secret->bytes, prefix, n);
    random_text(secret->bytes + n, RANDOM_TEXT);
    return secret;
}

struct sb_secret *sb_apikey_new(void)
{
    _Static_assert(SB_APIKEY_TEXT == 3 + RANDOM_TEXT, "as secret.h says");
    return sb_token_new("sb-");
}

void sb_apikey_hash(const struct sb_secret *hash_key, struct sb_slice apikey,
                    uint8_t ret_hash[SB_HASH_BYTES])
{
    sb_hash_keyed(hash_key, apikey, ret_hash);
}

void sb_aead_seal(const struct sb_secret *key, const uint8_t nonce[SB_AEAD_NONCE],
                  struct sb_slice bound, struct sb_slice plain, uint8_t *ret)
{
    SB_BUG_ON(key->n != SB_AEAD_KEY);
    SB_BUG_ON(crypto_aead_xchacha20poly1305_ietf_encrypt(ret, NULL, bytes_of(plain), plain.n,
                                                         bytes_of(bound), bound.n, NULL, nonce,
                                                         (const unsigned char *)key->bytes) != 0);
}

int sb_aead_open(const struct sb_secret *key, const uint8_t nonce[SB_AEAD_NONCE],
                 struct sb_slice bound, struct sb_slice sealed, struct sb_secret **ret)
{
    struct sb_secret *plain;

    SB_BUG_ON(key->n != SB_AEAD_KEY);
    if (sealed.n < SB_AEAD_TAG)
        return SB_EAUTH;
    if (sealed.n - SB_AEAD_TAG > SB_SECRET_MAX)
        return SB_ETOOBIG;
    plain = make(sealed.n - SB_AEAD_TAG, false);
    if (plain == NULL)
        return SB_ENOMEM;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            (unsigned char *)plain->bytes, NULL, NULL, bytes_of(sealed), sealed.n, bytes_of(bound),
            bound.n, nonce, (const unsigned char *)key->bytes) != 0) {
        sb_secret_destroy(&plain);
        return SB_EAUTH;
    }
    *ret = plain;
    return SB_OK;
}

int sb_secret_from_base64(struct sb_slice text, struct sb_secret **ret)
{
    size_t room = text.n / 4 * 3;
    struct sb_secret *secret;
    const char *end;

    if (text.n == 0 || text.n % 4 != 0 || room > SB_SECRET_MAX)
        return SB_EPARSE;
    secret = make(room, false);
    if (secret == NULL)
        return SB_ENOMEM;
    if (sodium_base642bin((unsigned char *)secret->bytes, room, text.p, text.n, NULL, &secret->n,
                          &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text.p + text.n) {
        secret->n = room; /* all of it is wiped */
        sb_secret_destroy(&secret);
        return SB_EPARSE;
    }
    secret->bytes[secret->n] = '\0';
    *ret = secret;
    return SB_OK;
}

struct sb_secret *sb_secret_to_base64(const struct sb_secret *secret)
{
    size_t size = sodium_base64_ENCODED_LEN(secret->n, sodium_base64_VARIANT_ORIGINAL);
    struct sb_secret *text = make(size - 1, false);

    SB_BUG_ON(text == NULL);
    (void)sodium_bin2base64(text->bytes, size, (const unsigned char *)secret->bytes, secret->n,
                            sodium_base64_VARIANT_ORIGINAL);
    return text;
}

void sb_base64_put(struct sb_slice bytes, char *text, size_t size)
{
    SB_BUG_ON(size < SB_BASE64_SIZE(bytes.n));
    (void)sodium_bin2base64(text, size, bytes_of(bytes), bytes.n, sodium_base64_VARIANT_ORIGINAL);
}

int sb_base64_read(struct sb_slice text, uint8_t *bytes, size_t size, size_t *ret_n)
{
    const char *end;
    size_t n;

    if (text.n == 0 || text.n % 4 != 0 ||
        sodium_base642bin(bytes, size, text.p, text.n, NULL, &n, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text.p + text.n)
        return SB_EPARSE;
    *ret_n = n;
    return SB_OK;
}

size_t sb_base64url_put(struct sb_slice bytes, char *text, size_t size)
{
    SB_BUG_ON(size < SB_BASE64_SIZE(bytes.n));
    (void)sodium_bin2base64(text, size, bytes_of(bytes), bytes.n,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return strlen(text);
}

int sb_base64url_read(struct sb_slice text, uint8_t *bytes, size_t size, size_t *ret_n)
{
    const char *end;
    size_t n;

    if (text.n == 0 ||
        sodium_base642bin(bytes, size, text.p, text.n, NULL, &n, &end,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        end != text.p + text.n)
        return SB_EPARSE;
    *ret_n = n;
    return SB_OK;
}

struct sb_secret *sb_sign_seed_new(void)
{
    struct sb_secret *seed = make(SB_SIGN_SEED, false);

    SB_BUG_ON(seed == NULL);
    sb_random_bytes(seed->bytes, SB_SIGN_SEED);
    return seed;
}

static void make_sign_keys(const struct sb_secret *seed, unsigned char public_key[SB_SIGN_PUBLIC],
                           unsigned char secret_key[crypto_sign_SECRETKEYBYTES])
{
    SB_BUG_ON(seed->n != SB_SIGN_SEED);
    SB_BUG_ON(
        crypto_sign_seed_keypair(public_key, secret_key, (const unsigned char *)seed->bytes) != 0);
}

void sb_sign_public(const struct sb_secret *seed, uint8_t ret_public[SB_SIGN_PUBLIC])
{
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];

    make_sign_keys(seed, ret_public, secret_key);
    sodium_memzero(secret_key, sizeof(secret_key));
}

void sb_sign(const struct sb_secret *seed, struct sb_slice bytes,
             uint8_t ret_signature[SB_SIGN_BYTES])
{
    unsigned char public_key[SB_SIGN_PUBLIC], secret_key[crypto_sign_SECRETKEYBYTES];

    make_sign_keys(seed, public_key, secret_key);
    SB_BUG_ON(crypto_sign_detached(ret_signature, NULL, bytes_of(bytes), bytes.n, secret_key) != 0);
    sodium_memzero(secret_key, sizeof(secret_key));
}

bool sb_sign_is_valid(const uint8_t public_key[SB_SIGN_PUBLIC], struct sb_slice bytes,
                      const uint8_t signature[SB_SIGN_BYTES])
{
    ready();
    return crypto_sign_verify_detached(signature, bytes_of(bytes), bytes.n, public_key) == 0;
}
