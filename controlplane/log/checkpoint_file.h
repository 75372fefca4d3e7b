/* controlplane/log/checkpoint_file.h - checkpoints outside of the database: a file
 * to which signed notes are appended, one behind the other, an empty line
 * between them.
 *
 * It is what a rewritten database is caught with, so it should lie where those
 * who may change the database cannot write.  One writer at a time.  A note that
 * was torn by a crash stays, and is no note; nothing is ever taken out.
 */
#pragma once

#include "common/attr.h"
#include "common/checkpoint.h"
#include "common/err.h"
#include "common/slice.h"

/* The last checkpoint of key's in the file; its origin is not set.  SB_ENOENT:
 * there is no file, or nothing in it.  SB_EINVAL: there is something, but no
 * checkpoint of key's.  SB_EACCES, SB_EIO. */
int cp_checkpoint_file_last(const char *path, const struct sb_note_key *key,
                            struct sb_checkpoint *ret, struct sb_errmsg *err) SB_MUSTCHECK;
/* Makes the file when it is missing (mode 0644: it is public).  On disk when
 * this returns SB_OK. */
int cp_checkpoint_file_append(const char *path, struct sb_slice note,
                              struct sb_errmsg *err) SB_MUSTCHECK;
