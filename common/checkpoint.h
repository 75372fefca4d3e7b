/* common/checkpoint.h - what a log's key signs: how large the tree is, and its
 * root.
 *
 * The form is C2SP's tlog-checkpoint (https://c2sp.org/tlog-checkpoint): the
 * text of a signed note (common/note.h) whose lines are
 *
 *      origin, which names the log: the name of its key
 *      size in leaves, decimal
 *      root, base64
 *      ... lines of others, which are kept and mean nothing here
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/merkle.h"
#include "common/note.h"
#include "common/slice.h"

struct sb_buf;
struct sb_note_signer;

enum { SB_CHECKPOINT_MAX = 1024 }; /* bytes of one that we sign */

struct sb_checkpoint {
    struct sb_slice origin; /* borrowed */
    uint64_t size;          /* leaves */
    struct sb_hash root;
};

/* Of the text of a note.  SB_EPARSE. */
int sb_checkpoint_parse(struct sb_slice text, struct sb_checkpoint *ret,
                        struct sb_errmsg *err) SB_MUSTCHECK;
/* bytes are a note that has to be key's, for a log of its name.  SB_EPARSE,
 * SB_ETOOBIG; SB_ENOENT, SB_EHASH: not signed by key, or wrongly; SB_EINVAL:
 * of another log. */
int sb_checkpoint_open(struct sb_slice bytes, const struct sb_note_key *key,
                       struct sb_checkpoint *ret, struct sb_errmsg *err) SB_MUSTCHECK;
/* Appends a signed note; the origin is the name of the signer's key. */
int sb_checkpoint_sign(const struct sb_note_signer *signer, uint64_t size,
                       const struct sb_hash *root, struct sb_buf *out) SB_MUSTCHECK;

/* Takes the next note off text, which has one after the other, as a file of
 * checkpoints has: text without empty lines, an empty line, signatures.  Empty
 * lines between notes are skipped, and so is a text without signatures: a note
 * that was torn.  False when there is none; the rest may be garbage. */
bool sb_checkpoint_next(struct sb_slice *text, struct sb_slice *ret_note);
