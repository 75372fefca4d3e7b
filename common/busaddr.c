/* common/busaddr.c */
#include "common/busaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/slice.h"

static bool is_loopback(struct sb_slice host)
{
    struct in_addr v4;
    struct in6_addr v6;
    char text[64];

    if (sb_slice_eq_nocase(host, SB_SLICE_LIT("localhost")))
        return true;
    if (!sb_slice_copy_text(host, text, sizeof(text)))
        return false;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, text, &v6) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}

static bool is_port(struct sb_slice text)
{
    unsigned value = 0;

    if (sb_slice_is(text, "*"))
        return true;
    if (text.n == 0 || text.n > 5)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text.p[i] - '0');
    }
    return value >= 1 && value <= 65535;
}

static int check_tcp(struct sb_slice rest, const char *addr, bool is_secure, struct sb_errmsg *err)
{
    struct sb_slice host;
    size_t colon = rest.n;

    while (colon > 0 && rest.p[colon - 1] != ':')
        colon--;
    /* ';' would start another address, "tcp://here;there". */
    if (colon < 2 || sb_slice_find(rest, ';') < rest.n || !is_port(sb_slice_from(rest, colon)))
        return sb_err_set(err, SB_EINVAL, "'%.150s' is not of the form tcp://host:port", addr);
    host = sb_slice_make(rest.p, colon - 1);
    if (host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = sb_slice_make(host.p + 1, host.n - 2);
    else if (sb_slice_find(host, ':') < host.n)
        return sb_err_set(err, SB_EINVAL, "'%.150s': write an IPv6 address as [address]", addr);
    if (!is_secure && !is_loopback(host))
        return sb_err_set(
            err, SB_EACCES,
            "'%.150s' reaches beyond this machine, which the bus does with CURVE keys "
            "only: name a key file, or use ipc:// or tcp://127.0.0.1",
            addr);
    return SB_OK;
}

int sb_busaddr_check(const char *addr, bool is_secure, struct sb_errmsg *err)
{
    struct sb_slice all = sb_slice_of(addr), rest;

    if (all.n >= SB_BUSADDR_MAX)
        return sb_err_set(err, SB_EINVAL, "a bus address of %zu bytes: under %d are allowed", all.n,
                          (int)SB_BUSADDR_MAX);
    if (sb_slice_starts_with(all, SB_SLICE_LIT("tcp://")))
        return check_tcp(sb_slice_from(all, 6), addr, is_secure, err);
    if (!sb_slice_starts_with(all, SB_SLICE_LIT("ipc://")))
        return sb_err_set(err, SB_EINVAL, "'%.150s' is neither ipc:///path nor tcp://host:port",
                          addr);
    rest = sb_slice_from(all, 6);
    if (rest.n < 2 || rest.p[0] != '/')
        return sb_err_set(err, SB_EINVAL, "'%.150s': an absolute path must follow ipc://", addr);
    if (rest.n > SB_BUSADDR_IPC_MAX)
        return sb_err_set(err, SB_EINVAL,
                          "'%.150s': the path has %zu bytes, a socket's must be under %d: use a "
                          "shorter directory",
                          addr, rest.n, (int)SB_BUSADDR_IPC_MAX + 1);
    return SB_OK;
}

int sb_busaddr_check_list(const char *list, bool is_secure, unsigned max, struct sb_errmsg *err)
{
    static const char separators[] = ", "; /* as the data plane's link splits */
    char one[SB_BUSADDR_MAX] = "", resolved[SB_BUSADDR_MAX];
    unsigned found = 0;

    for (const char *at = list + strspn(list, separators); *at != '\0';
         at += strspn(at, separators)) {
        size_t n = strcspn(at, separators);
        int rc = SB_OK;

        if (++found > max)
            return sb_err_set(err, SB_EINVAL, "more than %u addresses", max);
        if (!sb_slice_copy_text(sb_slice_make(at, n), one, sizeof(one)))
            return sb_err_set(err, SB_EINVAL, "an address of %zu bytes: under %d are allowed", n,
                              (int)SB_BUSADDR_MAX);
        rc = sb_busaddr_resolve(one, resolved, err);
        if (rc == SB_OK)
            rc = sb_busaddr_check(resolved, is_secure, err);
        if (rc != SB_OK)
            return rc;
        at += n;
    }
    return found > 0 ? SB_OK : sb_err_set(err, SB_EINVAL, "names no address");
}

/* The library unlinks what is at the path, whatever it is, and would take the
 * socket of another daemon that runs. */
int sb_busaddr_check_free(const char *addr, struct sb_errmsg *err)
{
    const char *path = addr + (sizeof("ipc://") - 1);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct stat st;
    bool is_alive;
    int fd;

    if (lstat(path, &st) != 0)
        return SB_OK;
    if (!S_ISSOCK(st.st_mode))
        return sb_err_set(err, SB_EEXIST, "%s is there and is not a socket", path);
    if (!sb_slice_copy_text(sb_slice_of(path), sun.sun_path, sizeof(sun.sun_path)))
        return SB_EINVAL;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sb_err_set(err, sb_err_from_errno(errno), "%s: %s", path, strerror(errno));
    is_alive = connect(fd, (const struct sockaddr *)(const void *)&sun, sizeof(sun)) == 0 ||
               errno == EAGAIN;
    (void)close(fd);
    if (is_alive)
        return sb_err_set(err, SB_EADDRINUSE, "another process is listening on ipc://%s", path);
    return SB_OK;
}

int sb_busaddr_resolve(const char *addr, char ret_addr[SB_BUSADDR_MAX], struct sb_errmsg *err)
{
    static const char ipc[] = "ipc://";
    const size_t n = sizeof(ipc) - 1;
    char here[SB_BUSADDR_MAX];
    int length;

    if (strncmp(addr, ipc, n) != 0 || addr[n] == '/' || addr[n] == '\0')
        length = snprintf(ret_addr, SB_BUSADDR_MAX, "%s", addr);
    else if (getcwd(here, sizeof(here)) != NULL)
        length = snprintf(ret_addr, SB_BUSADDR_MAX, "%s%s/%s", ipc, here, addr + n);
    else
        return sb_err_set(err, SB_EINVAL, "'%.150s': the working directory has too long a path",
                          addr);
    if (length < 0 || length >= SB_BUSADDR_MAX)
        return sb_err_set(err, SB_EINVAL, "'%.150s': the path is too long", addr);
    return SB_OK;
}
