/* tests/lib/fake_world.h - names, time and descriptors of this test program,
 * for libraries too: the program's own getaddrinfo(), clock_gettime(),
 * socket() and socketpair() come before those of libc.  Include it in one
 * file, which begins with #define _GNU_SOURCE.
 *
 *      api.test    127.0.0.1
 *      two.test    127.0.0.2, where nobody listens, then 127.0.0.1
 *      none.test   there is no such name
 *      hang.test   no answer until world_answer()
 *
 * Other names are looked up for real.
 */
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"

static atomic_uint world_lookups; /* of names ending in .test */
static atomic_uint world_hanging; /* now */
static atomic_long world_skipped; /* seconds */
static atomic_bool world_is_full; /* no more sockets */
static sem_t world_answers;

/* Before the first look-up. */
static inline void world_init(void)
{
    SB_BUG_ON(sem_init(&world_answers, 0, 0) != 0);
}

/* Lets one hanging look-up end. */
static inline void world_answer(void)
{
    SB_BUG_ON(sem_post(&world_answers) != 0);
}

/* So much time passes at once, on the clock that never goes back. */
static inline void world_skip(long seconds)
{
    atomic_fetch_add(&world_skipped, seconds);
}

typedef int world_lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
    world_lookup *real;
    struct addrinfo *first;
    int rc;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (node == NULL || strstr(node, ".test") == NULL)
        return real(node, service, hints, ret);
    atomic_fetch_add(&world_lookups, 1);
    if (strcmp(node, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(node, "hang.test") == 0) {
        atomic_fetch_add(&world_hanging, 1);
        while (sem_wait(&world_answers) != 0)
            ;
        atomic_fetch_sub(&world_hanging, 1);
        return EAI_AGAIN;
    }
    if (strcmp(node, "two.test") != 0)
        return real("127.0.0.1", service, hints, ret);
    rc = real("127.0.0.2", service, hints, &first);
    if (rc == 0)
        rc = real("127.0.0.1", service, hints, &first->ai_next);
    if (rc == 0)
        *ret = first;
    return rc;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ret);

    if (rc == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE ||
                    id == CLOCK_MONOTONIC_RAW)) /* newer libcurls */
        ret->tv_sec += atomic_load(&world_skipped);
    return rc;
}

int socket(int domain, int type, int protocol)
{
    if (world_is_full) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    if (world_is_full) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_socketpair, domain, type, protocol, fds);
}
