/* proto/credential.c - what the sealing of a credential is bound to. */
#include <inttypes.h>

#include "common/err.h"
#include "proto/snapshot.h"

enum { PORT_MAX = 65535 };

struct origin {
    const char *scheme;
    struct sb_slice host; /* as written; an IPv6 address with its brackets */
    uint32_t port;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

static bool is_host_byte(char c)
{
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_';
}

static bool is_address_byte(char c)
{
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f') || c == ':' || c == '.';
}

/* Bytes of the host at the start of text, or 0. */
static size_t host_length(struct sb_slice text)
{
    size_t n = 0;

    if (text.n > 0 && text.p[0] == '[') {
        for (n = 1; n < text.n && is_address_byte(text.p[n]); n++)
            ;
        return n > 1 && n < text.n && text.p[n] == ']' ? n + 1 : 0;
    }
    while (n < text.n && is_host_byte(text.p[n]))
        n++;
    return n;
}

/* Takes ":443" off *rest. */
static int take_port(struct sb_slice *rest, uint32_t *ret_port)
{
    uint32_t port = 0;
    size_t n = 1;

    for (; n < rest->n && is_digit(rest->p[n]) && port <= PORT_MAX; n++)
        port = port * 10 + (uint32_t)(rest->p[n] - '0');
    if (port == 0 || port > PORT_MAX)
        return SB_EINVAL;
    *rest = sb_slice_from(*rest, n);
    *ret_port = port;
    return SB_OK;
}

/* Narrow on purpose: whatever libcurl could read in another way than we do
 * (user names, backslashes, percent signs, other alphabets) has no origin. */
static int parse_origin(struct sb_slice url, struct origin *ret_origin)
{
    static const struct {
        struct sb_slice prefix;
        const char *scheme;
        uint32_t port;
    } schemes[] = {
        {{"https://", 8}, "https", 443},
        {{"http://", 7}, "http", 80},
    };
    struct sb_slice rest;
    size_t n;

    for (size_t i = 0; i < SB_ARRAY_LEN(schemes); i++) {
        struct origin origin = {.scheme = schemes[i].scheme, .port = schemes[i].port};
        struct sb_slice prefix = schemes[i].prefix;

        if (url.n < prefix.n || !sb_slice_eq_nocase(sb_slice_make(url.p, prefix.n), prefix))
            continue;
        rest = sb_slice_from(url, prefix.n);
        n = host_length(rest);
        origin.host = sb_slice_make(rest.p, n);
        rest = sb_slice_from(rest, n);
        if (n == 0 || (rest.n > 0 && rest.p[0] == ':' && take_port(&rest, &origin.port) != SB_OK))
            return SB_EINVAL;
        if (rest.n > 0 && rest.p[0] != '/' && rest.p[0] != '?' && rest.p[0] != '#')
            return SB_EINVAL;
        *ret_origin = origin;
        return SB_OK;
    }
    return SB_EINVAL;
}

/* Names carry their length, so that no name can imitate the line after it.
 * Sealed keys in databases were bound to these very bytes: the text can only
 * ever change together with its first line. */
static int append_text(uint64_t id, struct sb_slice tenant, struct sb_slice provider,
                       const struct origin *origin, struct sb_buf *out)
{
    char host[MSG_URL_MAX];

    for (size_t i = 0; i < origin->host.n; i++)
        host[i] = lower(origin->host.p[i]);
    return sb_buf_printf(out,
                         "switchboard credential 1\n"
                         "id %" PRIu64 "\n"
                         "tenant %zu:%.*s\n"
                         "provider %zu:%.*s\n"
                         "origin %s://%.*s:%" PRIu32 "\n",
                         id, tenant.n, SB_SLICE_ARGS(tenant), provider.n, SB_SLICE_ARGS(provider),
                         origin->scheme, (int)origin->host.n, host, origin->port);
}

int msg_credential_binding(uint64_t id, struct sb_slice tenant, struct sb_slice provider,
                           struct sb_slice base_url, struct sb_buf *out)
{
    struct origin origin;
    int rc;

    if (tenant.n > MSG_SLUG_MAX || provider.n > MSG_SLUG_MAX || base_url.n > MSG_URL_MAX)
        return SB_ETOOBIG;
    if (sb_slice_find(tenant, '\0') < tenant.n || sb_slice_find(provider, '\0') < provider.n)
        return SB_EINVAL; /* the text would end there */
    rc = parse_origin(base_url, &origin);
    return rc == SB_OK ? append_text(id, tenant, provider, &origin, out) : rc;
}
