/* controlplane/ctl/input.h - what a command reads: a file, standard input, a
 * secret, or when something ends. */
#pragma once

#include "common/attr.h"
#include "common/buf.h"

struct ctl;

/* path: "-" is standard input.  Appends all of it; the buffer's ceiling is the
 * file's.  An exit status. */
int ctl_input_read(struct ctl *ctl, const char *path, struct sb_buf *text) SB_MUSTCHECK;

/* Reads a secret: from the file or the variable that is named (NULL: neither),
 * else from standard input; at a terminal it asks for it and shows nothing of
 * what is typed.  Line ends behind it are dropped.  text: empty, at most its
 * ceiling is read, which is reserved at once so that no copy stays behind; the
 * caller wipes it.  An exit status: an empty secret is a failure. */
int ctl_input_secret(struct ctl *ctl, const char *file, const char *variable,
                     struct sb_buf *text) SB_MUSTCHECK;

/* The flag --expires as RFC 3339 in UTC, in the arena of the run; NULL: it is
 * not given.  An exit status: no time, or one that is over, is a misuse. */
int ctl_input_expiry(struct ctl *ctl, const char **ret_moment) SB_MUSTCHECK;
