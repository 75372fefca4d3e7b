/* common/notekey.c */
#include "common/notekey.h"

#include <stdio.h>
#include <unistd.h>

#include "common/check.h"
#include "common/keyfile.h"
#include "common/mem.h"

#define PRIVATE SB_SLICE_LIT("PRIVATE+KEY+")

struct sb_note_signer {
    struct sb_note_key key;
    struct sb_secret *seed;
};

/* Takes seed. */
static int make(struct sb_slice name, struct sb_secret *seed, struct sb_note_signer **ret,
                struct sb_errmsg *err)
{
    struct sb_note_signer *signer = sb_mem_new(sizeof(*signer));
    uint8_t public_key[SB_SIGN_PUBLIC];
    int rc;

    signer->seed = seed;
    sb_sign_public(seed, public_key);
    rc = sb_note_key_make(name, public_key, &signer->key, err);
    if (rc == SB_OK)
        *ret = signer;
    else
        sb_note_signer_destroy(&signer);
    return rc;
}

int sb_note_signer_new(struct sb_slice name, struct sb_note_signer **ret, struct sb_errmsg *err)
{
    return make(name, sb_sign_seed_new(), ret, err);
}

void sb_note_signer_destroy(struct sb_note_signer **signerp)
{
    struct sb_note_signer *signer = *signerp;

    *signerp = NULL;
    if (signer == NULL)
        return;
    sb_secret_destroy(&signer->seed);
    sb_mem_free(signer);
}

const struct sb_note_key *sb_note_signer_key(const struct sb_note_signer *signer)
{
    return &signer->key;
}

int sb_note_signer_sign(const struct sb_note_signer *signer, struct sb_slice text,
                        struct sb_buf *out)
{
    return sb_note_sign(text, &signer->key, signer->seed, out);
}

/* --- files ----------------------------------------------------------------------- */

static int write_private(const struct sb_note_signer *signer, const char *path,
                         struct sb_errmsg *err)
{
    uint8_t bytes[1 + SB_SIGN_SEED] = {1};
    char public_text[SB_NOTE_KEY_TEXT], base64[SB_BASE64_SIZE(sizeof(bytes))], text[1024];
    size_t n_front; /* of the public text: name and id are those of the secret one */
    int rc, n;

    sb_note_key_put(&signer->key, public_text);
    n_front = strlen(signer->key.name) + 1 + (size_t)2 * SB_NOTE_KEY_ID + 1;
    memcpy(bytes + 1, sb_secret_expose(signer->seed).p, SB_SIGN_SEED);
    sb_base64_put(sb_slice_make(bytes, sizeof(bytes)), base64, sizeof(base64));
    n = snprintf(text, sizeof(text), "# switchboard log key\npublic: %s\nsecret: %.*s%.*s%s\n",
                 public_text, SB_SLICE_ARGS(PRIVATE), (int)n_front, public_text, base64);
    rc = sb_keyfile_create(path, 0600, sb_slice_make(text, (size_t)n), err);
    sb_secret_wipe(text, sizeof(text));
    sb_secret_wipe(base64, sizeof(base64));
    sb_secret_wipe(bytes, sizeof(bytes));
    return rc;
}

static int write_public(const struct sb_note_signer *signer, const char *path,
                        struct sb_errmsg *err)
{
    char public_text[SB_NOTE_KEY_TEXT], text[512];
    size_t size = strlen(path) + sizeof(".pub");
    char *public_path = sb_mem_new(size);
    int rc, n;

    sb_note_key_put(&signer->key, public_text);
    (void)snprintf(public_path, size, "%s.pub", path);
    n = snprintf(text, sizeof(text), "# switchboard log key, public half\npublic: %s\n",
                 public_text);
    rc = sb_keyfile_create(public_path, 0644, sb_slice_make(text, (size_t)n), err);
    sb_mem_free(public_path);
    return rc;
}

int sb_note_signer_generate(const char *path, struct sb_slice name, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_note_signer_destroy) struct sb_note_signer *signer = NULL;
    int rc = sb_note_signer_new(name, &signer, err);

    if (rc == SB_OK)
        rc = write_private(signer, path, err);
    if (rc != SB_OK)
        return rc;
    rc = write_public(signer, path, err);
    if (rc != SB_OK)
        (void)unlink(path); /* nobody has signed with it yet */
    return rc;
}

/* PRIVATE+KEY+name+id+base64 of 0x01 and the seed. */
static int parse_secret(struct sb_slice text, const struct sb_note_key *key,
                        struct sb_note_signer **ret, struct sb_errmsg *err)
{
    uint8_t bytes[1 + SB_SIGN_SEED];
    struct sb_secret *seed = NULL;
    struct sb_note_signer *signer = NULL;
    size_t n = 0, n_front = PRIVATE.n + strlen(key->name) + 2 + (size_t)2 * SB_NOTE_KEY_ID;
    int rc = SB_EPARSE;

    if (sb_slice_starts_with(text, PRIVATE) && text.n > n_front)
        rc = sb_base64_read(sb_slice_from(text, n_front), bytes, sizeof(bytes), &n);
    if (rc == SB_OK && n == sizeof(bytes) && bytes[0] == 1) {
        SB_BUG_ON(sb_secret_new(sb_slice_make(bytes + 1, SB_SIGN_SEED), &seed) != SB_OK);
        (void)make(sb_slice_of(key->name), seed, &signer, NULL); /* key has that name, so it does */
    }
    sb_secret_wipe(bytes, sizeof(bytes));
    if (signer == NULL)
        return sb_err_set(err, SB_EPARSE,
                          "the line 'secret:' is not PRIVATE+KEY+name+key id+base64 of a key");
    if (memcmp(&signer->key.public_key, key->public_key, SB_SIGN_PUBLIC) != 0) {
        sb_note_signer_destroy(&signer);
        return sb_err_set(err, SB_EPARSE, "the public key is not that of the secret one");
    }
    *ret = signer;
    return SB_OK;
}

static int parse_public(struct sb_slice text, struct sb_note_key *ret, struct sb_errmsg *err)
{
    struct sb_slice value = sb_keyfile_field(text, SB_SLICE_LIT("public:")), line;

    while (value.n == 0 && sb_keyfile_next_line(&text, &line))
        if (line.n > 0 && line.p[0] != '#' && sb_slice_find(line, ' ') == line.n)
            value = line; /* the value alone */
    if (value.n == 0)
        return sb_err_set(err, SB_EPARSE, "no line 'public: name+key id+base64'");
    return sb_note_key_parse(value, ret, err);
}

static int name_file(const char *path, int rc, const struct sb_errmsg *why, struct sb_errmsg *err)
{
    return sb_err_set(err, rc, "%s: %s", path, why->text);
}

int sb_note_signer_load(const char *path, struct sb_note_signer **ret, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *text = NULL;
    struct sb_errmsg why = {.text = ""};
    struct sb_note_key key;
    struct sb_slice bytes;
    int rc = sb_keyfile_read(path, true, &text, err);

    if (rc != SB_OK)
        return rc;
    bytes = sb_secret_expose(text);
    rc = parse_public(bytes, &key, &why);
    if (rc == SB_OK)
        rc = parse_secret(sb_keyfile_field(bytes, SB_SLICE_LIT("secret:")), &key, ret, &why);
    return rc == SB_OK ? SB_OK : name_file(path, rc, &why, err);
}

int sb_note_key_load(const char *path, struct sb_note_key *ret, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *text = NULL;
    struct sb_errmsg why = {.text = ""};
    int rc = sb_keyfile_read(path, false, &text, err);

    if (rc != SB_OK)
        return rc;
    rc = parse_public(sb_secret_expose(text), ret, &why);
    return rc == SB_OK ? SB_OK : name_file(path, rc, &why, err);
}
