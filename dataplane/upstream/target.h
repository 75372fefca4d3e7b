/* dataplane/upstream/target.h - where a provider is: what a connection must agree in.
 *
 * Made once per provider and snapshot, then used for every attempt: finding
 * the pool's connections costs one look-up by the hash made here.  Plain
 * data: copied freely, nothing to release.  All slices are borrowed from the
 * provider's record, and so live as long as the snapshot.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct msg_provider;

enum { DP_HOST_MAX = 253 }; /* bytes of a host name */

struct dp_target {
    /* The key of a connection.  The provider is part of it, beyond the
     * address: limits are per provider, and a provider that misbehaves on a
     * connection can then harm nobody but itself. */
    struct sb_slice provider; /* slug */
    struct sb_slice host;     /* a name, IPv4, or IPv6 without brackets; at most DP_HOST_MAX */
    struct sb_slice proxy;    /* URL or empty */
    struct sb_slice ca_file;  /* path, or empty for the system's authorities */
    uint16_t port;
    bool tls;
    uint64_t hash; /* of the key */

    /* Not part of the key. */
    struct sb_slice authority; /* for the Host header: host and port as written */
    struct sb_slice path;      /* comes before "/chat/completions"; "" or "/v1" */
    uint32_t max_connections;  /* 0 the pool's default */
    uint32_t max_in_flight;    /* 0 no limit */
};

/* Borrows the provider's strings.  The base URL must be http or https, a host
 * of letters, digits, '-', '_', '.' or an IPv6 address in brackets, perhaps a
 * port and a path: no user, query or fragment.  So strict, since two parsers
 * that read one URL differently would send a key to the wrong host.  A proxy
 * is http, https, socks4, socks4a, socks5 or socks5h.  SB_EINVAL with the reason. */
int dp_target_init(struct dp_target *target, const struct msg_provider *provider,
                   struct sb_errmsg *err) SB_MUSTCHECK;

/* Whether a connection to one serves the other. */
bool dp_target_same(const struct dp_target *a, const struct dp_target *b);
