/* common/hostport.c */
#include "common/hostport.h"

#include <stdbool.h>
#include <string.h>

#include "common/slice.h"

enum { PORT_MAX = 65535 };

/* Digits alone: strtoul() takes blanks and signs too. */
static bool read_port(struct sb_slice text, unsigned *ret_port)
{
    unsigned port = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.p[i] - '0');
        if (port > PORT_MAX)
            return false;
    }
    *ret_port = port;
    return text.n > 0;
}

static bool read_host(struct sb_slice text, struct sb_slice *ret_host)
{
    bool has_brackets = text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';

    if (sb_slice_is(text, "*")) {
        *ret_host = SB_SLICE_NONE;
        return true;
    }
    if (has_brackets)
        text = sb_slice_make(text.p + 1, text.n - 2);
    for (size_t i = 0; i < text.n; i++)
        if (strchr("[]/ \t", text.p[i]) != NULL || (text.p[i] == ':' && !has_brackets))
            return false;
    *ret_host = text;
    return text.n > 0; /* all addresses are asked for in so many words */
}

int sb_hostport_split(const char *address, char ret_host[SB_HOST_MAX], unsigned *ret_port,
                      struct sb_errmsg *err)
{
    const char *colon = strrchr(address, ':');
    struct sb_slice host;
    unsigned port;

    if (colon == NULL || !read_port(sb_slice_of(colon + 1), &port) ||
        !read_host(sb_slice_make(address, (size_t)(colon - address)), &host) ||
        !sb_slice_copy_text(host, ret_host, SB_HOST_MAX))
        return sb_err_set(err, SB_EINVAL,
                          "'%.100s' is not allowed: want HOST:PORT or [HOST]:PORT, with a port up "
                          "to %d; * as host is all addresses",
                          address, PORT_MAX);
    *ret_port = port;
    return SB_OK;
}
