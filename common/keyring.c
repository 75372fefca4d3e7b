/* common/keyring.c */
#include "common/keyring.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/keyfile.h"
#include "common/mem.h"

enum {
    BLOB_VERSION = 1,
    BINDING_ROOM = 16 * 1024,
    NEW_ID_CHARS = 8,
};

static const char hash_key_id[] = "api-key-hash";

struct entry {
    char id[SB_KEYRING_ID_MAX + 1];
    struct sb_secret *key;
};

struct keys {
    size_t n;
    struct entry entries[SB_KEYRING_KEYS_MAX]; /* the first one seals */
    struct sb_secret *hash_key;                /* may be NULL */
};

struct sb_keyring {
    pthread_rwlock_t *lock; /* apart, so that readers of a const ring can take it */
    struct keys keys;       /* under lock, once it is loaded */
};

struct parts {
    struct sb_slice id, nonce, sealed;
    struct sb_slice head; /* version to id: bound along with the binding */
};

static bool is_id(struct sb_slice text)
{
    if (text.n == 0 || text.n > SB_KEYRING_ID_MAX)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

static const struct entry *find(const struct keys *keys, struct sb_slice id)
{
    for (size_t i = 0; i < keys->n; i++)
        if (sb_slice_is(id, keys->entries[i].id))
            return &keys->entries[i];
    return NULL;
}

/* What follows the ':' becomes a key on guarded pages. */
static int parse_key(struct sb_slice text, struct sb_secret **ret)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *key = NULL;
    int rc = sb_secret_from_base64(text, &key);

    if (rc != SB_OK)
        return rc;
    if (sb_secret_len(key) != SB_AEAD_KEY)
        return SB_EPARSE;
    return sb_secret_new_guarded(sb_secret_expose(key), ret);
}

static int add_line(struct keys *keys, struct sb_slice line, unsigned no, struct sb_errmsg *err)
{
    size_t colon = sb_slice_find(line, ':');
    struct sb_slice id = sb_slice_make(line.p, colon);
    struct sb_secret **into;
    bool is_hash_key;
    int rc;

    if (colon == line.n)
        return sb_err_set(err, SB_EPARSE, "key %u: not of the form id:base64", no);
    if (!is_id(id))
        return sb_err_set(err, SB_EPARSE,
                          "key %u: an id is 1 to %d of letters, digits, '.', '_' and '-'", no,
                          (int)SB_KEYRING_ID_MAX);
    is_hash_key = sb_slice_is(id, hash_key_id);
    if (is_hash_key ? keys->hash_key != NULL : find(keys, id) != NULL)
        return sb_err_set(err, SB_EPARSE, "key %u: '%.*s' comes twice", no, SB_SLICE_ARGS(id));
    if (!is_hash_key && keys->n == SB_KEYRING_KEYS_MAX)
        return sb_err_set(err, SB_EPARSE, "over %d master keys", (int)SB_KEYRING_KEYS_MAX);
    into = is_hash_key ? &keys->hash_key : &keys->entries[keys->n].key;
    rc = parse_key(sb_slice_from(line, colon + 1), into);
    if (rc == SB_EPARSE)
        return sb_err_set(err, rc, "key %u: '%.*s' is not base64 of %d bytes", no,
                          SB_SLICE_ARGS(id), (int)SB_AEAD_KEY);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "key %u: no locked memory for it", no);
    if (!is_hash_key)
        (void)sb_slice_copy_text(id, keys->entries[keys->n++].id, SB_KEYRING_ID_MAX + 1);
    return SB_OK;
}

/* One line of a file may hold several keys with commas, as a variable must. */
static int add_keys(struct keys *keys, struct sb_slice line, unsigned *no, struct sb_errmsg *err)
{
    while (line.n > 0) {
        size_t comma = sb_slice_find(line, ',');
        int rc = add_line(keys, sb_slice_make(line.p, comma), ++*no, err);

        if (rc != SB_OK)
            return rc;
        line = sb_slice_from(line, comma < line.n ? comma + 1 : comma);
        while (line.n > 0 && line.p[0] == ' ')
            line = sb_slice_from(line, 1);
    }
    return SB_OK;
}

int sb_keyring_parse(struct sb_slice text, struct sb_keyring **ret, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_keyring_destroy) struct sb_keyring *ring = sb_mem_new(sizeof(*ring));
    struct sb_slice line;
    unsigned no = 0;

    ring->lock = sb_mem_new(sizeof(*ring->lock));
    (void)pthread_rwlock_init(ring->lock, NULL);
    while (sb_keyfile_next_line(&text, &line)) {
        int rc = line.n > 0 && line.p[0] == '#' ? SB_OK : add_keys(&ring->keys, line, &no, err);

        if (rc != SB_OK)
            return rc;
    }
    if (no == 0)
        return sb_err_set(err, SB_EPARSE, "no keys: one line 'id:base64' each is expected");
    *ret = ring;
    ring = NULL;
    return SB_OK;
}

static int say_where(int rc, const char *where, struct sb_errmsg *err)
{
    struct sb_errmsg inner;

    if (rc == SB_OK || err == NULL)
        return rc;
    inner = *err;
    return sb_err_set(err, rc, "%s: %.200s", where, inner.text);
}

int sb_keyring_load(const char *env, const char *path, struct sb_keyring **ret,
                    struct sb_errmsg *err)
{
    const char *value = env != NULL ? getenv(env) : NULL;
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *text = NULL;
    int rc;

    if (value != NULL && value[0] != '\0')
        return say_where(sb_keyring_parse(sb_slice_of(value), ret, err), env, err);
    if (path == NULL)
        return sb_err_set(err, SB_ENOENT, "no keys: set %s or name a key file",
                          env != NULL ? env : "a variable");
    rc = sb_keyfile_read(path, true, &text, err);
    if (rc != SB_OK)
        return rc;
    return say_where(sb_keyring_parse(sb_secret_expose(text), ret, err), path, err);
}

void sb_keyring_destroy(struct sb_keyring **ringp)
{
    struct sb_keyring *ring = *ringp;

    *ringp = NULL;
    if (ring == NULL)
        return;
    for (size_t i = 0; i < SB_KEYRING_KEYS_MAX; i++)
        sb_secret_destroy(&ring->keys.entries[i].key);
    sb_secret_destroy(&ring->keys.hash_key);
    (void)pthread_rwlock_destroy(ring->lock);
    sb_mem_free(ring->lock);
    sb_mem_free(ring);
}

/* Appends "id:base64\n" with a key of this moment. */
static int append_new_key(struct sb_buf *out, const char *id)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *key = NULL, *text = NULL;
    uint8_t bytes[SB_AEAD_KEY];
    int rc;

    sb_random_bytes(bytes, sizeof(bytes));
    rc = sb_secret_new(sb_slice_make(bytes, sizeof(bytes)), &key);
    sb_secret_wipe(bytes, sizeof(bytes));
    if (rc != SB_OK)
        return rc;
    text = sb_secret_to_base64(key);
    return sb_buf_printf(out, "%s:%s\n", id, sb_secret_expose(text).p);
}

static int append_new_master(struct sb_buf *out)
{
    char id[NEW_ID_CHARS + 2];

    sb_random_id("k", NEW_ID_CHARS, id, sizeof(id));
    return append_new_key(out, id);
}

static void wipe_and_release(struct sb_buf *buf)
{
    sb_secret_wipe(buf->data, buf->size);
    sb_buf_release(buf);
}

int sb_keyring_generate(const char *path, struct sb_errmsg *err)
{
    SB_CLEANUP(wipe_and_release) struct sb_buf text;
    int rc;

    sb_buf_init(&text, SB_KEYFILE_MAX);
    rc = sb_buf_reserve(&text, 1024); /* in one piece: nothing is left behind by growing */
    if (rc == SB_OK)
        rc = sb_buf_append_text(&text, "# switchboard keys: keep a copy, what they seal is lost "
                                       "without them\n");
    if (rc == SB_OK)
        rc = append_new_master(&text);
    if (rc == SB_OK)
        rc = append_new_key(&text, hash_key_id);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "%s: %s", path, sb_err_str(rc));
    return sb_keyfile_create(path, 0600, sb_buf_slice(&text), err);
}

int sb_keyring_rotate(const char *path, struct sb_errmsg *err)
{
    SB_CLEANUP(wipe_and_release) struct sb_buf text;
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *old = NULL;
    SB_CLEANUP(sb_keyring_destroy) struct sb_keyring *ring = NULL;
    int rc;

    sb_buf_init(&text, SB_KEYFILE_MAX);
    rc = sb_keyfile_read(path, true, &old, err);
    if (rc != SB_OK)
        return rc;
    rc = sb_keyring_parse(sb_secret_expose(old), &ring, err);
    if (rc != SB_OK)
        return say_where(rc, path, err);
    if (SB_NEVER(ring == NULL))
        return SB_EPARSE;
    if (ring->keys.n == SB_KEYRING_KEYS_MAX)
        return sb_err_set(err, SB_ETOOBIG, "%s: %d master keys already: take old ones out", path,
                          (int)SB_KEYRING_KEYS_MAX);
    rc = sb_buf_reserve(&text, sb_secret_len(old) + 256);
    if (rc == SB_OK)
        rc = append_new_master(&text);
    if (rc == SB_OK)
        rc = sb_buf_append(&text, sb_secret_expose(old));
    if (rc != SB_OK)
        return sb_err_set(err, rc, "%s: %s", path, sb_err_str(rc));
    return sb_keyfile_replace(path, sb_buf_slice(&text), err);
}

static const struct keys *lock(const struct sb_keyring *ring)
{
    (void)pthread_rwlock_rdlock(ring->lock);
    return &ring->keys;
}

static void unlock(const struct sb_keyring *ring)
{
    (void)pthread_rwlock_unlock(ring->lock);
}

const char *sb_keyring_current(const struct sb_keyring *ring)
{
    const struct keys *keys = lock(ring);
    const char *id = keys->n > 0 ? keys->entries[0].id : NULL;

    unlock(ring);
    return id;
}

bool sb_keyring_has(const struct sb_keyring *ring, struct sb_slice id)
{
    bool has = find(lock(ring), id) != NULL;

    unlock(ring);
    return has;
}

void sb_keyring_replace(struct sb_keyring *ring, struct sb_keyring **newer)
{
    struct keys older;

    (void)pthread_rwlock_wrlock(ring->lock);
    older = ring->keys;
    ring->keys = (*newer)->keys;
    (void)pthread_rwlock_unlock(ring->lock);
    (*newer)->keys = older;
    sb_secret_wipe(&older, sizeof(older));
    sb_keyring_destroy(newer);
}

const struct sb_secret *sb_keyring_hash_key(const struct sb_keyring *ring)
{
    const struct sb_secret *key = lock(ring)->hash_key;

    unlock(ring);
    return key;
}

int sb_keyring_hash(const struct sb_keyring *ring, struct sb_slice apikey,
                    uint8_t ret_hash[SB_HASH_BYTES])
{
    const struct sb_secret *key = lock(ring)->hash_key;

    if (key != NULL)
        sb_apikey_hash(key, apikey, ret_hash);
    unlock(ring);
    return key != NULL ? SB_OK : SB_ENOENT;
}

/* Blob head and binding as one text in which no part can flow into another:
 * each has its length before it. */
static int bind(struct sb_buf *out, struct sb_slice head, const struct sb_slice *binding, size_t n)
{
    int rc = sb_buf_append(out, head);

    SB_BUG_ON(n > SB_KEYRING_BINDING_MAX);
    if (rc == SB_OK)
        rc = sb_buf_append_byte(out, (char)n);
    for (size_t i = 0; i < n && rc == SB_OK; i++) {
        uint32_t length = (uint32_t)binding[i].n;
        const char le[4] = {(char)length, (char)(length >> 8), (char)(length >> 16),
                            (char)(length >> 24)};

        if (binding[i].n > BINDING_ROOM)
            return SB_ETOOBIG;
        rc = sb_buf_append(out, sb_slice_make(le, sizeof(le)));
        if (rc == SB_OK)
            rc = sb_buf_append(out, binding[i]);
    }
    return rc;
}

static int seal(const struct keys *keys, const struct sb_slice *binding, size_t n,
                struct sb_slice plain, struct sb_buf *out)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf bound;
    uint8_t head[2 + SB_KEYRING_ID_MAX], nonce[SB_AEAD_NONCE];
    size_t id_n, head_n;
    int rc;

    sb_buf_init(&bound, BINDING_ROOM);
    if (keys->n == 0)
        return SB_ENOENT;
    if (plain.n > SB_SECRET_MAX)
        return SB_ETOOBIG;
    id_n = strlen(keys->entries[0].id);
    head_n = 2 + id_n;
    head[0] = BLOB_VERSION;
    head[1] = (uint8_t)id_n;
    memcpy(head + 2, keys->entries[0].id, id_n);
    rc = bind(&bound, sb_slice_make(head, head_n), binding, n);
    if (rc == SB_OK)
        rc = sb_buf_reserve(out, head_n + sizeof(nonce) + plain.n + SB_AEAD_TAG);
    if (rc != SB_OK)
        return rc;
    /* 192 random bits: no counter to keep, no collision to fear. */
    sb_random_bytes(nonce, sizeof(nonce));
    memcpy(sb_buf_end(out), head, head_n);
    memcpy(sb_buf_end(out) + head_n, nonce, sizeof(nonce));
    sb_aead_seal(keys->entries[0].key, nonce, sb_buf_slice(&bound), plain,
                 (uint8_t *)sb_buf_end(out) + head_n + sizeof(nonce));
    sb_buf_commit(out, head_n + sizeof(nonce) + plain.n + SB_AEAD_TAG);
    return SB_OK;
}

int sb_keyring_seal(const struct sb_keyring *ring, const struct sb_slice *binding, size_t n,
                    struct sb_slice plain, struct sb_buf *out)
{
    int rc = seal(lock(ring), binding, n, plain, out);

    unlock(ring);
    return rc;
}

static int take_apart(struct sb_slice blob, struct parts *ret)
{
    size_t id_n;

    if (blob.n == 0)
        return SB_EPARSE;
    if (blob.p[0] != BLOB_VERSION)
        return SB_EVERSION;
    if (blob.n < 2)
        return SB_EPARSE;
    id_n = (unsigned char)blob.p[1];
    if (blob.n < 2 + id_n + SB_AEAD_NONCE + SB_AEAD_TAG)
        return SB_EPARSE;
    ret->head = sb_slice_make(blob.p, 2 + id_n);
    ret->id = sb_slice_make(blob.p + 2, id_n);
    ret->nonce = sb_slice_make(blob.p + 2 + id_n, SB_AEAD_NONCE);
    ret->sealed = sb_slice_from(blob, 2 + id_n + SB_AEAD_NONCE);
    /* The id goes into messages: nothing but its alphabet. */
    return is_id(ret->id) ? SB_OK : SB_EPARSE;
}

static int unseal(const struct keys *keys, const struct sb_slice *binding, size_t n,
                  struct sb_slice blob, struct sb_secret **ret, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf bound;
    const struct entry *entry;
    struct parts parts;
    int rc = take_apart(blob, &parts);

    sb_buf_init(&bound, BINDING_ROOM);
    if (rc == SB_EVERSION)
        return sb_err_set(err, rc, "sealed in format %u, this program knows %d",
                          (unsigned)(unsigned char)blob.p[0], (int)BLOB_VERSION);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "not a sealed secret");
    entry = find(keys, parts.id);
    if (entry == NULL)
        return sb_err_set(err, SB_ENOENT, "sealed with master key '%.*s', which is not loaded",
                          SB_SLICE_ARGS(parts.id));
    rc = bind(&bound, parts.head, binding, n);
    if (rc == SB_OK)
        rc = sb_aead_open(entry->key, (const uint8_t *)parts.nonce.p, sb_buf_slice(&bound),
                          parts.sealed, ret);
    if (rc == SB_EAUTH)
        return sb_err_set(err, rc,
                          "does not open with master key '%s': changed, or sealed for another "
                          "credential, tenant, provider or address",
                          entry->id);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "%s", sb_err_str(rc));
    return SB_OK;
}

int sb_keyring_unseal(const struct sb_keyring *ring, const struct sb_slice *binding, size_t n,
                      struct sb_slice blob, struct sb_secret **ret, struct sb_errmsg *err)
{
    int rc = unseal(lock(ring), binding, n, blob, ret, err);

    unlock(ring);
    return rc;
}

int sb_keyring_blob_key(struct sb_slice blob, struct sb_slice *ret_id)
{
    struct parts parts;
    int rc = take_apart(blob, &parts);

    if (rc == SB_OK)
        *ret_id = parts.id;
    return rc;
}
