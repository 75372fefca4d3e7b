/* dataplane/upstream/target.c */
#include "dataplane/upstream/target.h"

#include "proto/snapshot.h"

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name_char(char c)
{
    return is_alnum(c) || c == '-' || c == '_' || c == '.';
}

static bool is_ipv6_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
           c == '.';
}

static bool consists_of(struct sb_slice text, bool (*fits)(char))
{
    for (size_t i = 0; i < text.n; i++) {
        if (!fits(text.p[i]))
            return false;
    }
    return text.n > 0;
}

/* What may stand in a path and goes into a request line as it is. */
static bool is_path_char(char c)
{
    return c > ' ' && c != 0x7f && c != '?' && c != '#' && c != '\\' && c != '"' && c != '<' &&
           c != '>';
}

static bool starts_with_nocase(struct sb_slice text, const char *prefix)
{
    size_t n = strlen(prefix);

    return text.n >= n && strncasecmp(text.p, prefix, n) == 0;
}

/* Cuts "scheme://" off. */
static int take_scheme(struct dp_target *target, struct sb_slice *url, struct sb_errmsg *err)
{
    target->tls = starts_with_nocase(*url, "https://");
    if (!target->tls && !starts_with_nocase(*url, "http://"))
        return sb_err_set(err, SB_EINVAL, "base URL is neither http:// nor https://");
    *url = sb_slice_from(*url, target->tls ? 8 : 7);
    return SB_OK;
}

static int parse_port(struct dp_target *target, struct sb_slice digits, struct sb_errmsg *err)
{
    unsigned port = 0;

    for (size_t i = 0; i < digits.n && port <= UINT16_MAX; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return sb_err_set(err, SB_EINVAL, "base URL: the port is not a number");
        port = port * 10 + (unsigned)(digits.p[i] - '0');
    }
    if (digits.n == 0 || port == 0 || port > UINT16_MAX)
        return sb_err_set(err, SB_EINVAL, "base URL: the port is not within 1 to 65535");
    target->port = (uint16_t)port;
    return SB_OK;
}

static int parse_authority(struct dp_target *target, struct sb_errmsg *err)
{
    struct sb_slice rest = target->authority;
    size_t n;

    if (rest.n > 0 && rest.p[0] == '[') {
        n = sb_slice_find(rest, ']');
        if (n == rest.n)
            return sb_err_set(err, SB_EINVAL, "base URL: ']' is missing");
        target->host = sb_slice_make(rest.p + 1, n - 1);
        rest = sb_slice_from(rest, n + 1);
        if (!consists_of(target->host, is_ipv6_char))
            return sb_err_set(err, SB_EINVAL, "base URL: not an IPv6 address in brackets");
        if (rest.n > 0 && rest.p[0] != ':')
            return sb_err_set(err, SB_EINVAL, "base URL: something follows ']'");
    } else {
        n = sb_slice_find(rest, ':');
        target->host = sb_slice_make(rest.p, n);
        rest = sb_slice_from(rest, n);
        if (!consists_of(target->host, is_name_char) || target->host.n > DP_HOST_MAX)
            return sb_err_set(err, SB_EINVAL, "base URL: not a host name or address");
    }
    target->port = target->tls ? 443 : 80;
    return rest.n > 0 ? parse_port(target, sb_slice_from(rest, 1), err) : SB_OK;
}

static int check_proxy(struct sb_slice proxy, struct sb_errmsg *err)
{
    static const char *const schemes[] = {"http://",    "https://",  "socks4://",
                                          "socks4a://", "socks5://", "socks5h://"};

    if (proxy.n == 0)
        return SB_OK;
    for (size_t i = 0; i < SB_ARRAY_LEN(schemes); i++) {
        if (starts_with_nocase(proxy, schemes[i]) && proxy.n > strlen(schemes[i]) &&
            consists_of(proxy, is_path_char))
            return SB_OK;
    }
    return sb_err_set(err, SB_EINVAL,
                      "proxy is not http, https, socks4, socks4a, socks5 or "
                      "socks5h://host:port");
}

/* FNV-1a (Fowler, Noll, Vo): keys come from our own catalogue, nobody aims at
 * collisions. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t n, bool nocase)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < n; i++) {
        unsigned c = at[i];

        if (nocase && c >= 'A' && c <= 'Z')
            c += 'a' - 'A';
        hash = (hash ^ c) * 0x100000001b3u;
    }
    return (hash ^ 0xff) * 0x100000001b3u; /* so that "ab","c" is not "a","bc" */
}

static uint64_t hash_key(const struct dp_target *target)
{
    uint64_t hash = 0xcbf29ce484222325u;

    hash = mix(hash, target->provider.p, target->provider.n, false);
    hash = mix(hash, target->host.p, target->host.n, true);
    hash = mix(hash, target->proxy.p, target->proxy.n, false);
    hash = mix(hash, target->ca_file.p, target->ca_file.n, false);
    hash = mix(hash, &target->port, sizeof(target->port), false);
    return mix(hash, &target->tls, sizeof(target->tls), false);
}

int dp_target_init(struct dp_target *target, const struct msg_provider *provider,
                   struct sb_errmsg *err)
{
    struct dp_target t = {.provider = provider->slug,
                          .proxy = provider->proxy,
                          .ca_file = provider->ca_file,
                          .max_connections = provider->max_connections,
                          .max_in_flight = provider->max_in_flight};
    struct sb_slice url = provider->base_url;
    size_t slash;
    int rc;

    rc = take_scheme(&t, &url, err);
    if (rc != SB_OK)
        return rc;
    slash = sb_slice_find(url, '/');
    t.authority = sb_slice_make(url.p, slash);
    t.path = sb_slice_from(url, slash);
    while (t.path.n > 0 && t.path.p[t.path.n - 1] == '/')
        t.path.n--;
    if (t.path.n > 0 && !consists_of(t.path, is_path_char))
        return sb_err_set(err, SB_EINVAL, "base URL: a character that no path may hold");
    rc = parse_authority(&t, err);
    if (rc == SB_OK)
        rc = check_proxy(t.proxy, err);
    if (rc != SB_OK)
        return rc;
    t.hash = hash_key(&t);
    *target = t;
    return SB_OK;
}

bool dp_target_same(const struct dp_target *a, const struct dp_target *b)
{
    return a->hash == b->hash && a->tls == b->tls && a->port == b->port &&
           sb_slice_eq(a->provider, b->provider) && sb_slice_eq_nocase(a->host, b->host) &&
           sb_slice_eq(a->proxy, b->proxy) && sb_slice_eq(a->ca_file, b->ca_file);
}
