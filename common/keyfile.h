/* common/keyfile.h - small files that hold secrets.
 *
 * Private means: mode 0600 or tighter, or 0640 where root owns it (mounted
 * secrets).  Anything looser is refused, since by then it may have been read.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct sb_secret;

enum { SB_KEYFILE_MAX = 16 * 1024 }; /* bytes */

/* Gives the whole content.  SB_ENOENT; SB_EACCES: not readable for us, or
 * is_private and others may read it; SB_ETOOBIG; SB_EIO. */
int sb_keyfile_read(const char *path, bool is_private, struct sb_secret **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
/* A new file, on disk when this returns.  mode: 0600, or 0644 for what is
 * public.  SB_EEXIST; after any failure there is no file. */
int sb_keyfile_create(const char *path, unsigned mode, struct sb_slice content,
                      struct sb_errmsg *err) SB_MUSTCHECK;
/* Puts a new private file in the place of path, whole or not at all. */
int sb_keyfile_replace(const char *path, struct sb_slice content,
                       struct sb_errmsg *err) SB_MUSTCHECK;

/* Takes the next line off text, without its end and the spaces around; false
 * when there is none. */
bool sb_keyfile_next_line(struct sb_slice *text, struct sb_slice *ret_line);
/* The value of the first line "name: value", name with its colon; empty when
 * there is none. */
struct sb_slice sb_keyfile_field(struct sb_slice text, struct sb_slice name);
