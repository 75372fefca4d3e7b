/* common/err.h - the one error type of the tree.
 *
 * A function that can fail in more than one way returns int: SB_OK (0) or a
 * negative SB_E* code.  Codes below -1000 are ours; the others are -errno.
 */
#pragma once

#include <errno.h>

#include "common/attr.h"

/* X(name, value, text): one row per code, so that strings cannot drift. */
#define SB_ERR_MAP(X)                                                                              \
    X(OK, 0, "ok")                                                                                 \
    X(ENOMEM, -ENOMEM, "not enough memory")                                                        \
    X(EINVAL, -EINVAL, "invalid argument")                                                         \
    X(ENOENT, -ENOENT, "no such object")                                                           \
    X(EEXIST, -EEXIST, "exists already")                                                           \
    X(EAGAIN, -EAGAIN, "try again later")                                                          \
    X(EIO, -EIO, "input or output failed")                                                         \
    X(ENOSPC, -ENOSPC, "no space left")                                                            \
    X(EACCES, -EACCES, "not permitted")                                                            \
    X(ECONNREFUSED, -ECONNREFUSED, "cannot connect")                                               \
    X(ECONNRESET, -ECONNRESET, "connection reset by peer")                                         \
    X(ETIMEDOUT, -ETIMEDOUT, "timed out")                                                          \
    X(ECANCELED, -ECANCELED, "cancelled")                                                          \
    X(EADDRINUSE, -EADDRINUSE, "address in use")                                                   \
    X(ETOOBIG, -1001, "over the configured limit")                                                 \
    X(EPARSE, -1002, "malformed input")                                                            \
    X(EVERSION, -1003, "unsupported protocol version")                                             \
    X(EGAP, -1004, "update does not follow the current version")                                   \
    X(EINTERNAL, -1005, "internal error")                                                          \
    X(ECONFLICT, -1006, "changed by somebody else meanwhile")                                      \
    X(EHASH, -1007, "content does not match its hash")                                             \
    X(EAUTH, -1008, "not authenticated")                                                           \
    X(EEOF, -1009, "end of input")                                                                 \
    X(ENOTLEADER, -1010, "not the leader")                                                         \
    X(EDB, -1011, "database failed")                                                               \
    X(EUNSUPPORTED, -1012, "not supported")                                                        \
    X(EFORBIDDEN, -1013, "not allowed to who asks")

enum sb_err {
#define X(name, value, text) SB_##name = (value),
    SB_ERR_MAP(X)
#undef X
};

/* Text a person can act on, filled only on failure.  Callers that do not
 * want it pass NULL. */
struct sb_errmsg {
    char text[256];
};

/* Returns a static string; unknown codes give "unknown error". */
const char *sb_err_str(int code);
/* Returns the short stable label used in logs and metrics, e.g. "EGAP". */
const char *sb_err_name(int code);
/* Maps an errno value to one of our codes; what has no code of its own is
 * SB_EIO. */
int sb_err_from_errno(int errnum);
/* Formats into err (when not NULL) and returns code, so that a failure is
 * one statement: return sb_err_set(err, SB_EPARSE, "offset %zu", at); */
int sb_err_set(struct sb_errmsg *err, int code, const char *fmt, ...) SB_PRINTF(3, 4);
