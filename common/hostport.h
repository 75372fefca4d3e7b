/* common/hostport.h - an address to listen on, as settings write it.
 *
 *      127.0.0.1:8080    [::1]:8080    localhost:8080    *:8080
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

enum { SB_HOST_MAX = 256 }; /* bytes of a host, with its NUL */

/* Looks nothing up: for settings too.  The host comes without brackets, and
 * empty for "*", all of this machine's addresses; the port may be 0.
 * SB_EINVAL with the address and what is allowed. */
int sb_hostport_split(const char *address, char ret_host[SB_HOST_MAX], unsigned *ret_port,
                      struct sb_errmsg *err) SB_MUSTCHECK;
