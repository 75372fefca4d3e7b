/* common/note.c */
#include "common/note.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/sha256.h"
#include "common/utf8.h"

enum { ED25519 = 1, SIGNATURE_MAX = 4096 /* bytes, of any algorithm */ };

#define DASH SB_SLICE_LIT("\xe2\x80\x94 ") /* U+2014 and a blank */

/* --- keys ------------------------------------------------------------------------ */

/* White_Space of Unicode, but for control characters. */
static bool is_space(uint32_t code)
{
    return code == ' ' || code == 0x85 || code == 0xa0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
           code == 0x202f || code == 0x205f || code == 0x3000;
}

static bool is_name(struct sb_slice name)
{
    size_t n;

    if (name.n == 0 || name.n > SB_NOTE_NAME_MAX)
        return false;
    for (; name.n > 0; name = sb_slice_from(name, n)) {
        uint32_t code = sb_utf8_next(name, &n);

        if (code == SB_UTF8_BAD || code < 0x20 || code == 0x7f || code == '+' || is_space(code))
            return false;
    }
    return true;
}

int sb_note_key_make(struct sb_slice name, const uint8_t public_key[SB_SIGN_PUBLIC],
                     struct sb_note_key *ret, struct sb_errmsg *err)
{
    struct sb_slice parts[] = {name, SB_SLICE_LIT("\n\x01"),
                               sb_slice_make(public_key, SB_SIGN_PUBLIC)};
    uint8_t hash[SB_SHA256_BYTES];

    if (!is_name(name))
        return sb_err_set(err, SB_EINVAL,
                          "a key's name has 1 to %d bytes without blanks, '+' and control "
                          "characters",
                          (int)SB_NOTE_NAME_MAX);
    (void)sb_slice_copy_text(name, ret->name, sizeof(ret->name));
    memcpy(ret->public_key, public_key, SB_SIGN_PUBLIC);
    sb_sha256_parts(parts, SB_ARRAY_LEN(parts), hash);
    memcpy(ret->id, hash, sizeof(ret->id));
    return SB_OK;
}

static void put_id(const uint8_t id[SB_NOTE_KEY_ID], char ret_text[2 * SB_NOTE_KEY_ID + 1])
{
    (void)snprintf(ret_text, 2 * SB_NOTE_KEY_ID + 1, "%02x%02x%02x%02x", id[0], id[1], id[2],
                   id[3]);
}

void sb_note_key_put(const struct sb_note_key *key, char ret_text[SB_NOTE_KEY_TEXT])
{
    char base64[SB_BASE64_SIZE(1 + SB_SIGN_PUBLIC)], id[2 * SB_NOTE_KEY_ID + 1];
    uint8_t bytes[1 + SB_SIGN_PUBLIC] = {ED25519};

    memcpy(bytes + 1, key->public_key, SB_SIGN_PUBLIC);
    sb_base64_put(sb_slice_make(bytes, sizeof(bytes)), base64, sizeof(base64));
    put_id(key->id, id);
    (void)snprintf(ret_text, SB_NOTE_KEY_TEXT, "%s+%s+%s", key->name, id, base64);
}

int sb_note_key_parse(struct sb_slice text, struct sb_note_key *ret, struct sb_errmsg *err)
{
    struct sb_slice name = sb_slice_make(text.p, sb_slice_find(text, '+'));
    struct sb_slice rest = sb_slice_from(text, name.n);
    uint8_t bytes[1 + SB_SIGN_PUBLIC];
    char id[2 * SB_NOTE_KEY_ID + 1];
    struct sb_note_key key = {.name = ""};
    size_t n;
    int rc;

    /* "+", 8 of hex, "+", base64 */
    if (rest.n < 11 || rest.p[9] != '+')
        return sb_err_set(err, SB_EPARSE, "no verifier key: name+key id+base64 is expected");
    rc = sb_base64_read(sb_slice_from(rest, 10), bytes, sizeof(bytes), &n);
    if (rc == SB_OK && bytes[0] != ED25519)
        return sb_err_set(err, SB_EUNSUPPORTED,
                          "the verifier key is of algorithm %u; only Ed25519 (1) is understood",
                          bytes[0]);
    if (rc != SB_OK || n != sizeof(bytes))
        return sb_err_set(err, SB_EPARSE,
                          "no verifier key: base64 of %zu bytes is expected behind the key id",
                          sizeof(bytes));
    rc = sb_note_key_make(name, bytes + 1, &key, err);
    if (rc != SB_OK)
        return SB_EPARSE;
    put_id(key.id, id);
    if (!sb_slice_eq_nocase(sb_slice_make(rest.p + 1, 8), sb_slice_of(id)))
        return sb_err_set(err, SB_EPARSE, "the verifier key of '%s' was changed: its id is %s",
                          key.name, id);
    *ret = key;
    return SB_OK;
}

/* --- notes ----------------------------------------------------------------------- */

/* UTF-8 in lines, each with its end, and no other control characters. */
static bool is_text(struct sb_slice text)
{
    size_t n;

    if (text.n == 0 || text.p[text.n - 1] != '\n')
        return false;
    for (; text.n > 0; text = sb_slice_from(text, n)) {
        uint32_t code = sb_utf8_next(text, &n);

        if (code == SB_UTF8_BAD || (code < 0x20 && code != '\n'))
            return false;
    }
    return true;
}

static int parse_signature(struct sb_slice line, struct sb_note_signature *ret,
                           struct sb_errmsg *err)
{
    uint8_t bytes[SIGNATURE_MAX];
    struct sb_slice rest;
    size_t n;

    if (!sb_slice_starts_with(line, DASH))
        return sb_err_set(err, SB_EPARSE, "a line of the signatures does not begin with a dash");
    rest = sb_slice_from(line, DASH.n);
    ret->name = sb_slice_make(rest.p, sb_slice_find(rest, ' '));
    if (ret->name.n == rest.n || !is_name(ret->name))
        return sb_err_set(err, SB_EPARSE, "a signature without the name of its key");
    ret->base64 = sb_slice_from(rest, ret->name.n + 1);
    if (sb_base64_read(ret->base64, bytes, sizeof(bytes), &n) != SB_OK || n <= SB_NOTE_KEY_ID)
        return sb_err_set(err, SB_EPARSE, "the signature of '%.*s' is not base64 of one",
                          SB_SLICE_ARGS(ret->name));
    memcpy(ret->id, bytes, sizeof(ret->id));
    return SB_OK;
}

/* Bytes up to and with the last empty line; 0: there is none. */
static size_t find_text(struct sb_slice bytes)
{
    for (size_t n = bytes.n; n >= 2; n--)
        if (bytes.p[n - 1] == '\n' && bytes.p[n - 2] == '\n')
            return n;
    return 0;
}

int sb_note_parse(struct sb_slice bytes, struct sb_note *ret, struct sb_errmsg *err)
{
    size_t n_text = find_text(bytes);
    struct sb_note note = {.n = 0};
    struct sb_slice rest;

    if (bytes.n > SB_NOTE_MAX)
        return sb_err_set(err, SB_ETOOBIG, "the note is over %d bytes", (int)SB_NOTE_MAX);
    if (!is_text(bytes))
        return sb_err_set(err, SB_EPARSE, "no note: lines of UTF-8 are expected");
    if (n_text < 2 || n_text == bytes.n)
        return sb_err_set(err, SB_EPARSE, "no note: an empty line and signatures are expected");
    note.text = sb_slice_make(bytes.p, n_text - 1);
    for (rest = sb_slice_from(bytes, n_text); rest.n > 0;) {
        struct sb_slice line = sb_slice_make(rest.p, sb_slice_find(rest, '\n'));
        int rc;

        if (note.n == SB_NOTE_SIGNATURES_MAX)
            return sb_err_set(err, SB_ETOOBIG, "the note has over %d signatures",
                              (int)SB_NOTE_SIGNATURES_MAX);
        rc = parse_signature(line, &note.signatures[note.n++], err);
        if (rc != SB_OK)
            return rc;
        rest = sb_slice_from(rest, line.n + 1);
    }
    *ret = note;
    return SB_OK;
}

int sb_note_verify(const struct sb_note *note, const struct sb_note_key *key, struct sb_errmsg *err)
{
    struct sb_slice name = sb_slice_make(key->name, strlen(key->name));

    for (unsigned i = 0; i < note->n; i++) {
        const struct sb_note_signature *signature = &note->signatures[i];
        uint8_t bytes[SB_NOTE_KEY_ID + SB_SIGN_BYTES];
        size_t n;

        if (!sb_slice_eq(signature->name, name) ||
            memcmp(signature->id, key->id, sizeof(key->id)) != 0)
            continue;
        if (sb_base64_read(signature->base64, bytes, sizeof(bytes), &n) == SB_OK &&
            n == sizeof(bytes) &&
            sb_sign_is_valid(key->public_key, note->text, bytes + SB_NOTE_KEY_ID))
            return SB_OK;
        return sb_err_set(err, SB_EHASH, "the signature of '%s' is wrong", key->name);
    }
    return sb_err_set(err, SB_ENOENT, "not signed by '%s'", key->name);
}

int sb_note_sign(struct sb_slice text, const struct sb_note_key *key, const struct sb_secret *seed,
                 struct sb_buf *out)
{
    uint8_t bytes[SB_NOTE_KEY_ID + SB_SIGN_BYTES];
    char base64[SB_BASE64_SIZE(sizeof(bytes))];
    size_t before = sb_buf_len(out);
    int rc;

    if (!is_text(text))
        return SB_EINVAL;
    memcpy(bytes, key->id, SB_NOTE_KEY_ID);
    sb_sign(seed, text, bytes + SB_NOTE_KEY_ID);
    sb_base64_put(sb_slice_make(bytes, sizeof(bytes)), base64, sizeof(base64));
    rc = sb_buf_append(out, text);
    if (rc == SB_OK)
        rc = sb_buf_printf(out, "\n%.*s%s %s\n", SB_SLICE_ARGS(DASH), key->name, base64);
    if (rc != SB_OK)
        sb_buf_truncate(out, before);
    return rc;
}
