/* common/buskey.c */
#include "common/buskey.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "common/check.h"
#include "common/keyfile.h"
#include "common/mem.h"
#include "common/secret.h"

struct sb_buskey {
    char public_text[SB_BUSKEY_TEXT + 1];
    struct sb_secret *secret; /* Z85 too */
};

bool sb_buskey_is_public_text(struct sb_slice text)
{
    uint8_t bytes[32];
    char copy[SB_BUSKEY_TEXT + 1];

    return text.n == SB_BUSKEY_TEXT && memchr(text.p, '\0', text.n) == NULL &&
           sb_slice_copy_text(text, copy, sizeof(copy)) && zmq_z85_decode(bytes, copy) != NULL;
}

static struct sb_buskey *make(const char *public_text, const char *secret_text)
{
    struct sb_buskey *key = sb_mem_new(sizeof(*key));

    memcpy(key->public_text, public_text, SB_BUSKEY_TEXT);
    SB_BUG_ON(sb_secret_new(sb_slice_make(secret_text, SB_BUSKEY_TEXT), &key->secret) != SB_OK);
    return key;
}

struct sb_buskey *sb_buskey_new(void)
{
    char public_text[SB_BUSKEY_TEXT + 1], secret_text[SB_BUSKEY_TEXT + 1];
    struct sb_buskey *key;

    SB_BUG_ON(zmq_curve_keypair(public_text, secret_text) != 0); /* built without CURVE */
    key = make(public_text, secret_text);
    sb_secret_wipe(secret_text, sizeof(secret_text));
    return key;
}

void sb_buskey_destroy(struct sb_buskey **keyp)
{
    struct sb_buskey *key = *keyp;

    *keyp = NULL;
    if (key == NULL)
        return;
    sb_secret_destroy(&key->secret);
    sb_mem_free(key);
}

const char *sb_buskey_public(const struct sb_buskey *key)
{
    return key->public_text;
}

const struct sb_secret *sb_buskey_secret(const struct sb_buskey *key)
{
    return key->secret;
}

static int write_pair(const struct sb_buskey *key, const char *path, const char *public_path,
                      struct sb_errmsg *err)
{
    char text[256];
    int rc, n;

    n = snprintf(text, sizeof(text), "# switchboard bus key\npublic: %s\nsecret: %s\n",
                 key->public_text, sb_secret_expose(key->secret).p);
    rc = sb_keyfile_create(path, 0600, sb_slice_make(text, (size_t)n), err);
    sb_secret_wipe(text, sizeof(text));
    if (rc != SB_OK)
        return rc;
    n = snprintf(text, sizeof(text), "# switchboard bus key, public half\npublic: %s\n",
                 key->public_text);
    rc = sb_keyfile_create(public_path, 0644, sb_slice_make(text, (size_t)n), err);
    if (rc != SB_OK)
        (void)unlink(path); /* nobody has it yet */
    return rc;
}

int sb_buskey_generate(const char *path, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_buskey_destroy) struct sb_buskey *key = sb_buskey_new();
    size_t size = strlen(path) + sizeof(".pub");
    char *public_path = sb_mem_new(size);
    int rc;

    (void)snprintf(public_path, size, "%s.pub", path);
    rc = write_pair(key, path, public_path, err);
    sb_mem_free(public_path);
    return rc;
}

static int take_field(struct sb_slice text, struct sb_slice name, const char *path,
                      char ret_text[SB_BUSKEY_TEXT + 1], struct sb_errmsg *err)
{
    struct sb_slice value = sb_keyfile_field(text, name);

    if (!sb_buskey_is_public_text(value))
        return sb_err_set(err, SB_EPARSE, "%s: no line '%.*s' with %d characters of Z85", path,
                          SB_SLICE_ARGS(name), (int)SB_BUSKEY_TEXT);
    (void)sb_slice_copy_text(value, ret_text, SB_BUSKEY_TEXT + 1);
    return SB_OK;
}

int sb_buskey_load(const char *path, struct sb_buskey **ret, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *text = NULL;
    char public_text[SB_BUSKEY_TEXT + 1], secret_text[SB_BUSKEY_TEXT + 1];
    char derived[SB_BUSKEY_TEXT + 1] = "";
    int rc = sb_keyfile_read(path, true, &text, err);

    if (rc != SB_OK)
        return rc;
    rc = take_field(sb_secret_expose(text), SB_SLICE_LIT("public:"), path, public_text, err);
    if (rc == SB_OK)
        rc = take_field(sb_secret_expose(text), SB_SLICE_LIT("secret:"), path, secret_text, err);
    if (rc != SB_OK)
        return rc;
    /* Halves of two keys would fail every handshake without a word. */
    if (zmq_curve_public(derived, secret_text) != 0 || strcmp(derived, public_text) != 0)
        rc = sb_err_set(err, SB_EPARSE, "%s: the public key is not that of the secret one", path);
    else
        *ret = make(public_text, secret_text);
    sb_secret_wipe(secret_text, sizeof(secret_text));
    return rc;
}

int sb_buskey_load_public(const char *path, char ret_text[SB_BUSKEY_TEXT + 1],
                          struct sb_errmsg *err)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *text = NULL;
    int rc = sb_keyfile_read(path, false, &text, err);

    if (rc != SB_OK)
        return rc;
    return take_field(sb_secret_expose(text), SB_SLICE_LIT("public:"), path, ret_text, err);
}
