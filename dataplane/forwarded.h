/* dataplane/forwarded.h - from which address a request comes, behind proxies.
 *
 * X-Forwarded-For is a list to which each proxy adds whom it was asked by, at
 * the end.  So its end is as true as the proxy that wrote it, and its beginning
 * may be anything that a client made up.  It is read from the end, as long as
 * the address that vouches for it is one of ours (--trusted-proxy).
 */
#pragma once

#include <stddef.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/network.h"

struct sb_http1_head;

struct dp_proxies {
    struct sb_network *networks; /* owned */
    size_t n;
};

/* Networks (CIDR) and addresses with commas between; NULL or nothing: none.
 * SB_EINVAL names the one that is wrong. */
int dp_proxies_parse(const char *list, struct dp_proxies *ret_proxies,
                     struct sb_errmsg *err) SB_MUSTCHECK;
void dp_proxies_release(struct dp_proxies *proxies);

/* The peer, or when that is trusted the last address of X-Forwarded-For that is
 * not; the first one when all are.  Before anything that is no address, the
 * peer: such a list says nothing.  An address may have a port. */
struct sb_address dp_proxies_client(const struct dp_proxies *proxies, const struct sb_address *peer,
                                    const struct sb_http1_head *head, const char *base);
