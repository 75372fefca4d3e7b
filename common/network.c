/* common/network.c */
#include "common/network.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/err.h"
#include "common/num.h"

enum { BITS = 128, BITS_BEFORE_V4 = 96 };

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const struct sb_address *address)
{
    return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

int sb_address_parse(struct sb_slice text, struct sb_address *ret_address)
{
    struct sb_address address;
    char copy[SB_ADDRESS_TEXT_MAX];

    /* a NUL inside would hide what follows it */
    if (!sb_slice_copy_text(text, copy, sizeof(copy)) || strlen(copy) != text.n)
        return SB_EPARSE;
    if (inet_pton(AF_INET, copy, address.bytes + sizeof(mapped)) == 1)
        memcpy(address.bytes, mapped, sizeof(mapped));
    else if (inet_pton(AF_INET6, copy, address.bytes) != 1)
        return SB_EPARSE;
    *ret_address = address;
    return SB_OK;
}

int sb_address_from(const struct sockaddr_storage *name, struct sb_address *ret_address)
{
    if (name->ss_family == AF_INET6) {
        memcpy(ret_address->bytes, &((const struct sockaddr_in6 *)(const void *)name)->sin6_addr,
               sizeof(ret_address->bytes));
        return SB_OK;
    }
    if (name->ss_family != AF_INET)
        return SB_EINVAL;
    memcpy(ret_address->bytes, mapped, sizeof(mapped));
    memcpy(ret_address->bytes + sizeof(mapped),
           &((const struct sockaddr_in *)(const void *)name)->sin_addr,
           sizeof(ret_address->bytes) - sizeof(mapped));
    return SB_OK;
}

size_t sb_address_format(const struct sb_address *address, char text[SB_ADDRESS_TEXT_MAX])
{
    if (is_v4(address))
        (void)inet_ntop(AF_INET, address->bytes + sizeof(mapped), text, SB_ADDRESS_TEXT_MAX);
    else
        (void)inet_ntop(AF_INET6, address->bytes, text, SB_ADDRESS_TEXT_MAX);
    return strlen(text);
}

bool sb_address_eq(const struct sb_address *a, const struct sb_address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* The first bits of an address, the others zero. */
static struct sb_address prefix_of(const struct sb_address *address, unsigned bits)
{
    struct sb_address prefix = {.bytes = {0}};

    memcpy(prefix.bytes, address->bytes, bits / 8);
    if (bits % 8 != 0)
        prefix.bytes[bits / 8] = (uint8_t)(address->bytes[bits / 8] & (0xff00u >> bits % 8));
    return prefix;
}

int sb_network_parse(struct sb_slice text, struct sb_network *ret_network)
{
    size_t slash = sb_slice_find(text, '/');
    struct sb_network network = {.bits = BITS};
    struct sb_address prefix;
    uint64_t bits;
    unsigned before;
    int rc = sb_address_parse(sb_slice_make(text.p, slash), &network.base);

    if (rc != SB_OK)
        return rc;
    if (slash < text.n) {
        before = is_v4(&network.base) ? BITS_BEFORE_V4 : 0;
        if (!sb_num_read_u64(sb_slice_from(text, slash + 1), &bits) || bits > BITS - before)
            return SB_EPARSE;
        network.bits = before + (unsigned)bits;
    }
    prefix = prefix_of(&network.base, network.bits);
    if (!sb_address_eq(&prefix, &network.base))
        return SB_EPARSE;
    *ret_network = network;
    return SB_OK;
}

bool sb_network_has(const struct sb_network *network, const struct sb_address *address)
{
    struct sb_address prefix = prefix_of(address, network->bits);

    return sb_address_eq(&prefix, &network->base);
}
