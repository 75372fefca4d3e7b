/* controlplane/ctl/exported.h - checks exported days by the log's public key.
 *
 * Pure.  The form of a file is that of controlplane/log/export.h, decompressed.
 * The edge of the head has to be what its checkpoint was signed for; grown by
 * the entries it has to be what each later checkpoint was signed for, so a line
 * that was changed, removed, inserted or moved is between two of them.  A file
 * has to begin where the one before it ended.
 *
 *      new -> (begin -> feed... -> end) for each file, in order -> close -> destroy
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/note.h"
#include "common/slice.h"
#include "controlplane/ctl/verify.h"

struct ctl_checkpoints;
struct ctl_drops;
struct ctl_exported;
struct ctl_findings;

/* outside: checkpoints that were kept elsewhere, which have to fit as well; NULL:
 * none.  All borrowed. */
struct ctl_exported *ctl_exported_new(const struct sb_note_key *key,
                                      const struct ctl_checkpoints *outside,
                                      struct ctl_findings *findings);
void ctl_exported_destroy(struct ctl_exported **exported);

/* Whether a file that begins with these bytes could be one, decompressed. */
bool ctl_exported_is_one(struct sb_slice bytes);
/* name: for findings; borrowed until end. */
void ctl_exported_begin(struct ctl_exported *exported, const char *name);
/* A piece, cut anywhere.  SB_EPARSE: the rest of the file is not worth reading, a
 * finding says why; SB_ETOOBIG, SB_ENOMEM. */
int ctl_exported_feed(struct ctl_exported *exported, struct sb_slice piece) SB_MUSTCHECK;
void ctl_exported_end(struct ctl_exported *exported);
/* There are no more files. */
void ctl_exported_close(struct ctl_exported *exported);

/* *ret_from: the first leaf of the first file. */
struct ctl_verified ctl_exported_result(const struct ctl_exported *exported, uint64_t *ret_from);
/* What retention dropped; judged when the files are closed.  Borrowed. */
const struct ctl_drops *ctl_exported_drops(const struct ctl_exported *exported);
