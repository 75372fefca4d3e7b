/* common/network.h - IP addresses and networks (CIDR) as values.
 *
 * IPv4 is kept as its mapped IPv6 form, ::ffff:a.b.c.d, so that a peer of a
 * socket for both is the same as one of a socket for IPv4, and one comparison
 * serves both.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct sockaddr_storage;

enum { SB_ADDRESS_TEXT_MAX = 46 }; /* with its NUL */

struct sb_address {
    uint8_t bytes[16];
};

struct sb_network {
    struct sb_address base; /* bits behind the prefix are zero */
    unsigned bits;          /* of the prefix, 0..128 */
};

/* "192.0.2.7", "2001:db8::1".  SB_EPARSE for all else: ports, brackets, zones,
 * blanks. */
int sb_address_parse(struct sb_slice text, struct sb_address *ret_address) SB_MUSTCHECK;
/* Of a socket's peer.  SB_EINVAL: another family. */
int sb_address_from(const struct sockaddr_storage *name,
                    struct sb_address *ret_address) SB_MUSTCHECK;
/* The usual form, IPv4 as IPv4; returns the length. */
size_t sb_address_format(const struct sb_address *address, char text[SB_ADDRESS_TEXT_MAX]);
bool sb_address_eq(const struct sb_address *a, const struct sb_address *b);

/* "192.0.2.0/24", "2001:db8::/32", or an address, which is a network of one.
 * SB_EPARSE, also when bits behind the prefix are set: that is a mistake more
 * often than not. */
int sb_network_parse(struct sb_slice text, struct sb_network *ret_network) SB_MUSTCHECK;
bool sb_network_has(const struct sb_network *network, const struct sb_address *address);
