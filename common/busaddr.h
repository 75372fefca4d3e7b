/* common/busaddr.h - which addresses the bus takes.
 *
 *      ipc:///path         under 107 bytes of path
 *      tcp://host:port     without CURVE only 127.0.0.0/8, [::1] and localhost
 *
 * A port may be "*" where one binds: any free one.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"

enum {
    SB_BUSADDR_MAX = 256,     /* bytes with the NUL */
    SB_BUSADDR_IPC_MAX = 106, /* bytes of an ipc:// path */
};

/* Opens nothing: for settings too.  is_secure: with CURVE.  SB_EINVAL:
 * malformed; SB_EACCES: plaintext beyond loopback. */
int sb_busaddr_check(const char *addr, bool is_secure, struct sb_errmsg *err) SB_MUSTCHECK;
/* The same for a list at commas and blanks, of ipc:// paths that need not be
 * absolute: 1 to max addresses. */
int sb_busaddr_check_list(const char *list, bool is_secure, unsigned max,
                          struct sb_errmsg *err) SB_MUSTCHECK;
/* Of an ipc:// address that passed the check, before it is bound.
 * SB_EADDRINUSE: a process is listening there; SB_EEXIST: something that is
 * not a socket is. */
int sb_busaddr_check_free(const char *addr, struct sb_errmsg *err) SB_MUSTCHECK;
/* Settings may name an ipc:// path from where the program was started: makes
 * it absolute; other addresses stay as they are.  SB_EINVAL: too long. */
int sb_busaddr_resolve(const char *addr, char ret_addr[SB_BUSADDR_MAX],
                       struct sb_errmsg *err) SB_MUSTCHECK;
