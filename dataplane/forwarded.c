/* dataplane/forwarded.c */
#include "dataplane/forwarded.h"

#include "common/http1.h"
#include "common/mem.h"
#include "common/num.h"
#include "dataplane/client.h"

/* --- settings ------------------------------------------------------------------ */

static struct sb_slice trim(struct sb_slice text)
{
    while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t'))
        text = sb_slice_from(text, 1);
    while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
        text.n--;
    return text;
}

/* Takes what stands before the first comma off the front. */
static struct sb_slice take_first(struct sb_slice *left)
{
    struct sb_slice first = sb_slice_make(left->p, sb_slice_find(*left, ','));

    *left = first.n < left->n ? sb_slice_from(*left, first.n + 1) : SB_SLICE_NONE;
    return trim(first);
}

int dp_proxies_parse(const char *list, struct dp_proxies *ret_proxies, struct sb_errmsg *err)
{
    struct sb_slice left = list != NULL ? sb_slice_of(list) : SB_SLICE_NONE;
    struct dp_proxies proxies = {.n = 0};

    if (left.n > 0) /* no more of them than commas, and one */
        proxies.networks = sb_mem_new((left.n + 1) * sizeof(*proxies.networks));
    while (left.n > 0) {
        struct sb_slice one = take_first(&left);

        if (sb_network_parse(one, &proxies.networks[proxies.n]) != SB_OK) {
            dp_proxies_release(&proxies);
            return sb_err_set(err, SB_EINVAL,
                              "trusted-proxy: '%.*s' is no network; write one as 10.0.0.0/8 or "
                              "2001:db8::/32 (no bits behind the prefix), or an address, with "
                              "commas between",
                              SB_SLICE_ARGS(one));
        }
        proxies.n++;
    }
    *ret_proxies = proxies;
    return SB_OK;
}

void dp_proxies_release(struct dp_proxies *proxies)
{
    sb_mem_free(proxies->networks);
    *proxies = (struct dp_proxies){.n = 0};
}

/* --- one request ---------------------------------------------------------------- */

static bool is_trusted(const struct dp_proxies *proxies, const struct sb_address *address)
{
    for (size_t i = 0; i < proxies->n; i++)
        if (sb_network_has(&proxies->networks[i], address))
            return true;
    return false;
}

static bool is_port(struct sb_slice text)
{
    uint64_t port;

    return text.n > 1 && text.p[0] == ':' && sb_num_read_u64(sb_slice_from(text, 1), &port) &&
           port <= UINT16_MAX;
}

/* "192.0.2.7", "192.0.2.7:4711", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711". */
static int read_hop(struct sb_slice text, struct sb_address *ret_address)
{
    size_t end;

    if (sb_address_parse(text, ret_address) == SB_OK)
        return SB_OK;
    if (text.n > 0 && text.p[0] == '[') {
        end = sb_slice_find(text, ']');
        if (end == text.n || (end + 1 < text.n && !is_port(sb_slice_from(text, end + 1))))
            return SB_EPARSE;
        return sb_address_parse(sb_slice_make(text.p + 1, end - 1), ret_address);
    }
    end = sb_slice_find(text, ':');
    if (end == text.n || !is_port(sb_slice_from(text, end)))
        return SB_EPARSE;
    return sb_address_parse(sb_slice_make(text.p, end), ret_address);
}

/* Takes what stands behind the last comma off the end. */
static struct sb_slice take_last(struct sb_slice *left)
{
    size_t at = left->n;
    struct sb_slice last;

    while (at > 0 && left->p[at - 1] != ',')
        at--;
    last = sb_slice_from(*left, at);
    *left = at > 0 ? sb_slice_make(left->p, at - 1) : SB_SLICE_NONE;
    return trim(last);
}

struct sb_address dp_proxies_client(const struct dp_proxies *proxies, const struct sb_address *peer,
                                    const struct sb_http1_head *head, const char *base)
{
    const struct sb_slice name = SB_SLICE_LIT("x-forwarded-for");
    const struct sb_http1_field *lines[DP_CLIENT_FIELDS_MAX], *line = NULL;
    struct sb_address address = *peer;
    size_t n = 0;

    if (proxies->n == 0 || !is_trusted(proxies, peer))
        return *peer;
    while ((line = sb_http1_find(head, base, name, line)) != NULL && n < SB_ARRAY_LEN(lines))
        lines[n++] = line;
    while (n > 0) { /* several lines are one list */
        struct sb_slice left = sb_http1_slice(base, lines[--n]->value);

        do {
            if (read_hop(take_last(&left), &address) != SB_OK)
                return *peer;
            if (!is_trusted(proxies, &address))
                return address;
        } while (left.p != NULL);
    }
    return address;
}
