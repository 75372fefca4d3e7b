/* tests/lib/bus.h - waiting for bus sockets without sleeping. */
#pragma once

#include <poll.h>

#include "common/bus.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/reactor.h"
#include "tests/lib/test.h"

enum { TEST_PATIENCE = 30000 }; /* ms; only a test that fails waits that long */

static inline void test_note_events(void *ctx, unsigned events)
{
    *(unsigned *)ctx |= events;
}

/* Waits until sock is ready for one of events; false: patience is at its end. */
static inline bool test_await(struct sb_bus_socket *sock, unsigned events, sb_msec patience)
{
    sb_msec end = sb_clock_now(&sb_clock_system) + patience, now;
    struct sb_reactor *reactor;
    unsigned seen = 0;

    assert_int_equal(sb_reactor_new(&sb_clock_system, &reactor), SB_OK);
    sb_reactor_add_socket(reactor, sock, events, test_note_events, &seen);
    while (seen == 0 && (now = sb_clock_now(&sb_clock_system)) < end)
        assert_int_equal(sb_reactor_turn(reactor, end - now), SB_OK);
    sb_reactor_destroy(&reactor);
    return seen != 0;
}

/* The next message; fails the test when none comes. */
static inline struct sb_bus_msg *test_recv(struct sb_bus_socket *sock)
{
    struct sb_bus_msg *msg = NULL;

    assert_true(test_await(sock, SB_REACTOR_IN, TEST_PATIENCE));
    assert_int_equal(sb_bus_recv(sock, &msg), SB_OK);
    return msg;
}

/* Waits until a peer can be sent to. */
static inline void test_connected(struct sb_bus_socket *sock)
{
    assert_true(test_await(sock, SB_REACTOR_OUT, TEST_PATIENCE));
}

static inline struct sb_bus_socket *test_socket(enum sb_bus_type type,
                                                const struct sb_bus_opts *opts)
{
    struct sb_bus_socket *sock = NULL;
    struct sb_errmsg err = {.text = ""};

    if (sb_bus_socket_new(type, opts, &sock, &err) != SB_OK)
        fail_msg("%s", err.text);
    return sock;
}

static inline void test_bind(struct sb_bus_socket *sock, const char *addr)
{
    sb_msec end = sb_clock_now(&sb_clock_system) + TEST_PATIENCE;
    struct sb_errmsg err = {.text = ""};
    int rc = sb_bus_bind(sock, addr, &err);

    /* Whoever had the address before was destroyed, but ZeroMQ's own thread
     * may still be closing it. */
    while (rc == SB_EADDRINUSE && sb_clock_now(&sb_clock_system) < end) {
        (void)poll(NULL, 0, 5);
        rc = sb_bus_bind(sock, addr, &err);
    }
    if (rc != SB_OK)
        fail_msg("%s", err.text);
}

static inline void test_connect(struct sb_bus_socket *sock, const char *addr)
{
    struct sb_errmsg err = {.text = ""};

    if (sb_bus_connect(sock, addr, &err) != SB_OK)
        fail_msg("%s", err.text);
}
