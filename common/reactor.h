/* common/reactor.h - the event loop of an actor: bus sockets, descriptors,
 * mailboxes and timers, over zmq_poll().
 *
 * For threads that may block (control-plane actors, the worker's courier);
 * the worker's request path is on libuv (common/loop.h).  Everything is used
 * from the thread that runs it; other threads reach it through a mailbox.
 * Readiness is by level: what a callback leaves unread is reported again next
 * turn, so read a bounded amount and return.
 *
 *      new -> add_* / timer_start ... -> run (callbacks) -> destroy
 *
 * A callback may add and remove anything, itself too; what was removed is not
 * called again, not even for events of the same turn.  When a callback has
 * blocked past several periods of a repeating timer, that timer fires once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"

struct sb_bus_socket;
struct sb_mail;
struct sb_mailbox;
struct sb_reactor;
struct sb_reactor_timer;

enum sb_reactor_event {
    SB_REACTOR_IN = 1 << 0,  /* readable */
    SB_REACTOR_OUT = 1 << 1, /* writable: a bus socket: a send would not be SB_EAGAIN */
    SB_REACTOR_ERR = 1 << 2, /* descriptors only; always reported, never asked for */
};

typedef void sb_reactor_cb(void *ctx, unsigned events);
typedef void sb_reactor_mail_cb(void *ctx, struct sb_mail *mail);
typedef void sb_reactor_timer_cb(struct sb_reactor_timer *timer);

/* Embedded; get back with container_of.  All members are the reactor's. */
struct sb_reactor_timer {
    struct sb_reactor *reactor; /* NULL while not running */
    struct sb_reactor_timer *next, **prev;
    sb_reactor_timer_cb *fire;
    sb_msec at, period;
};

/* clock: borrowed; &sb_clock_system outside tests. */
int sb_reactor_new(const struct sb_clock *clock, struct sb_reactor **ret) SB_MUSTCHECK;
/* Stops all timers.  Destroys no socket, descriptor or mailbox. */
void sb_reactor_destroy(struct sb_reactor **reactor);

/* Borrow what they watch: remove it before you destroy or close it.
 * events: what to wait for; none of them is fine and waits for none. */
void sb_reactor_add_socket(struct sb_reactor *reactor, struct sb_bus_socket *sock, unsigned events,
                           sb_reactor_cb *on_ready, void *ctx);
void sb_reactor_set_socket(struct sb_reactor *reactor, struct sb_bus_socket *sock, unsigned events);
void sb_reactor_remove_socket(struct sb_reactor *reactor, struct sb_bus_socket *sock);

void sb_reactor_add_fd(struct sb_reactor *reactor, int fd, unsigned events, sb_reactor_cb *on_ready,
                       void *ctx);
void sb_reactor_set_fd(struct sb_reactor *reactor, int fd, unsigned events);
void sb_reactor_remove_fd(struct sb_reactor *reactor, int fd);

/* Takes what arrives and hands on_mail each mail, which is its to free.  The
 * mailbox must be one with an eventfd. */
void sb_reactor_add_mailbox(struct sb_reactor *reactor, struct sb_mailbox *box,
                            sb_reactor_mail_cb *on_mail, void *ctx);
void sb_reactor_remove_mailbox(struct sb_reactor *reactor, struct sb_mailbox *box);

/* fire runs after delay, then every period (0: once).  Starting a running
 * timer moves it. */
void sb_reactor_timer_start(struct sb_reactor *reactor, struct sb_reactor_timer *timer,
                            sb_msec delay, sb_msec period, sb_reactor_timer_cb *fire);
/* A timer that does not run is fine (also one that is all zero). */
void sb_reactor_timer_stop(struct sb_reactor_timer *timer);
bool sb_reactor_timer_is_running(const struct sb_reactor_timer *timer);

/* Runs until stopped.  SB_OK after a stop; SB_ECANCELED when the process's
 * bus is being shut down; SB_EIO when polling failed. */
int sb_reactor_run(struct sb_reactor *reactor) SB_MUSTCHECK;
/* Waits at most timeout for anything, handles what is due, returns.  Never
 * from a callback.  Errors as run; also SB_ECANCELED after a stop. */
int sb_reactor_turn(struct sb_reactor *reactor, sb_msec timeout) SB_MUSTCHECK;
/* From a callback: run returns when this turn is over. */
void sb_reactor_stop(struct sb_reactor *reactor);
/* Milliseconds of the reactor's clock. */
sb_msec sb_reactor_now(const struct sb_reactor *reactor);

/* A socket of the library itself, for common/actor.c and common/busauth.c
 * alone; sb_reactor_remove_handle() before it is closed. */
void sb_reactor_add_handle(struct sb_reactor *reactor, void *handle, unsigned events,
                           sb_reactor_cb *on_ready, void *ctx);
void sb_reactor_remove_handle(struct sb_reactor *reactor, void *handle);
