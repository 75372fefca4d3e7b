/* common/notekey.h - the key that signs notes, and the files that keys are in.
 *
 * A key file is text, private as common/keyfile.h says:
 *
 *      # switchboard log key
 *      public: <name>+<key id>+<base64>                the verifier key
 *      secret: PRIVATE+KEY+<name>+<key id>+<base64>
 *
 * Both values are in the form of C2SP's signed-note and of the Go tools around
 * it.  A public key file has the first of these two lines only, or the value
 * alone, and may be read by anybody.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"
#include "common/note.h"
#include "common/slice.h"

struct sb_buf;
struct sb_note_signer; /* a pair */

/* Makes a new pair and writes it to path (mode 0600), and its public half to
 * path + ".pub" (0644).  SB_EEXIST when either is there: a key is never
 * overwritten.  SB_EINVAL: no name of a key. */
int sb_note_signer_generate(const char *path, struct sb_slice name,
                            struct sb_errmsg *err) SB_MUSTCHECK;
/* A new pair that exists in memory only.  SB_EINVAL. */
int sb_note_signer_new(struct sb_slice name, struct sb_note_signer **ret,
                       struct sb_errmsg *err) SB_MUSTCHECK;
/* SB_ENOENT, SB_EACCES (others can read it), SB_EPARSE (also when the halves
 * do not belong together). */
int sb_note_signer_load(const char *path, struct sb_note_signer **ret,
                        struct sb_errmsg *err) SB_MUSTCHECK;
/* Wipes the secret half. */
void sb_note_signer_destroy(struct sb_note_signer **signer);
/* Lives as long as signer. */
const struct sb_note_key *sb_note_signer_key(const struct sb_note_signer *signer);
/* As sb_note_sign(). */
int sb_note_signer_sign(const struct sb_note_signer *signer, struct sb_slice text,
                        struct sb_buf *out) SB_MUSTCHECK;

/* Reads the public half of any of these files. */
int sb_note_key_load(const char *path, struct sb_note_key *ret, struct sb_errmsg *err) SB_MUSTCHECK;
