/* controlplane/ctl/input.h - what a command reads: a file, or standard input. */
#pragma once

#include "common/attr.h"
#include "common/buf.h"

struct ctl;

/* path: "-" is standard input.  Appends all of it; the buffer's ceiling is the
 * file's.  An exit status. */
int ctl_input_read(struct ctl *ctl, const char *path, struct sb_buf *text) SB_MUSTCHECK;
