/* common/note.h - signed notes: text that carries signatures of named keys.
 *
 * The form is C2SP's signed-note (https://c2sp.org/signed-note), so that what
 * we sign is verified by tools that are not ours:
 *
 *      text, one or more lines
 *      <empty line>
 *      EM-DASH <name of the key> <base64 of: 4 bytes of key id, signature>
 *      ... more signature lines
 *
 * A verifier key as text is "name+key id in hex+base64 of: 0x01, public key";
 * 0x01 is Ed25519, the only algorithm here.  The key id is the beginning of
 * SHA-256(name || 0x0A || 0x01 || public key): it only helps to find the key.
 *
 * Signatures of keys that nobody asks for are as good as absent.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/slice.h"

struct sb_buf;

enum {
    SB_NOTE_MAX = 64 * 1024, /* bytes of a note */
    SB_NOTE_SIGNATURES_MAX = 16,
    SB_NOTE_NAME_MAX = 128, /* bytes of a key's name */
    SB_NOTE_KEY_ID = 4,
    /* Characters of a verifier key, with its NUL. */
    SB_NOTE_KEY_TEXT = SB_NOTE_NAME_MAX + 1 + 2 * SB_NOTE_KEY_ID + 1 + 44 + 1,
};

/* A verifier key. */
struct sb_note_key {
    char name[SB_NOTE_NAME_MAX + 1]; /* no blanks, no '+' */
    uint8_t id[SB_NOTE_KEY_ID];
    uint8_t public_key[SB_SIGN_PUBLIC];
};

/* SB_EINVAL: no name of a key. */
int sb_note_key_make(struct sb_slice name, const uint8_t public_key[SB_SIGN_PUBLIC],
                     struct sb_note_key *ret, struct sb_errmsg *err) SB_MUSTCHECK;
/* SB_EPARSE (also when the id is another key's), SB_EUNSUPPORTED: of another
 * algorithm. */
int sb_note_key_parse(struct sb_slice text, struct sb_note_key *ret,
                      struct sb_errmsg *err) SB_MUSTCHECK;
void sb_note_key_put(const struct sb_note_key *key, char ret_text[SB_NOTE_KEY_TEXT]);

struct sb_note_signature {
    struct sb_slice name; /* of the key */
    uint8_t id[SB_NOTE_KEY_ID];
    struct sb_slice base64; /* of id and signature */
};

/* Borrows from the bytes that were parsed. */
struct sb_note {
    struct sb_slice text; /* what is signed, with the end of its last line */
    unsigned n;           /* at least 1 */
    struct sb_note_signature signatures[SB_NOTE_SIGNATURES_MAX];
};

/* The whole of bytes is one note.  SB_EPARSE, SB_ETOOBIG. */
int sb_note_parse(struct sb_slice bytes, struct sb_note *ret, struct sb_errmsg *err) SB_MUSTCHECK;
/* SB_ENOENT: key has not signed it.  SB_EHASH: there is a signature under its
 * name and id, and it is wrong. */
int sb_note_verify(const struct sb_note *note, const struct sb_note_key *key,
                   struct sb_errmsg *err) SB_MUSTCHECK;
/* Appends text, the empty line and the signature.  text ends with a line's end
 * and has no other control characters (SB_EINVAL).  SB_ETOOBIG, SB_ENOMEM. */
int sb_note_sign(struct sb_slice text, const struct sb_note_key *key, const struct sb_secret *seed,
                 struct sb_buf *out) SB_MUSTCHECK;
