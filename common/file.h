/* common/file.h - small files and directories, safely.
 *
 * These block: they are for start-up, for the courier and for the control
 * plane's actors, never for the worker's loop.  err (may be NULL) names the
 * path and the system's reason.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct sb_buf;

/* Appends the whole file to buf, whose ceiling is the ceiling of the file:
 * SB_ETOOBIG beyond it.  SB_ENOENT, SB_EACCES, SB_EIO, SB_ENOMEM.  On error
 * buf is as before. */
int sb_file_read(const char *path, struct sb_buf *buf, struct sb_errmsg *err) SB_MUSTCHECK;

/* Replaces the file by one with these bytes and this mode (exactly: the umask
 * is not applied): written aside in the same directory, synced, renamed, the
 * directory synced.  A reader, or a start after a crash, sees the old or the
 * new file as a whole.  On error the old file stays and nothing is left
 * aside.  One writer per path at a time. */
int sb_file_write(const char *path, struct sb_slice bytes, mode_t mode,
                  struct sb_errmsg *err) SB_MUSTCHECK;
/* The same with bytes that lie in n pieces. */
int sb_file_write_parts(const char *path, const struct sb_slice *parts, size_t n, mode_t mode,
                        struct sb_errmsg *err) SB_MUSTCHECK;

/* Makes the directory and the parents that are missing, all with this mode
 * (exactly).  One that exists is left as it is.  SB_EEXIST when a part of the
 * path is something else. */
int sb_dir_make(const char *path, mode_t mode, struct sb_errmsg *err) SB_MUSTCHECK;

/* Locks the directory, through a file "lock" in it that is made when missing,
 * against all other processes and other locks in this one.  Never waits:
 * SB_EAGAIN when somebody holds it; ret_fd is untouched on errors.  The lock
 * ends with sb_dir_unlock(), or with the process, however it dies. */
int sb_dir_lock(const char *path, int *ret_fd, struct sb_errmsg *err) SB_MUSTCHECK;
/* Ends the lock and sets *fd to -1 (-1 is fine). */
void sb_dir_unlock(int *fd);

/* Lets this process and its children have as many descriptors as the system
 * allows; the usual 1024 are for programs that call select().  Returns how
 * many that is. */
uint64_t sb_file_raise_limit(void);
