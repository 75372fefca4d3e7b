/* common/loop.h - the event loop: descriptors, deadlines, end-of-turn work.
 *
 * Thin over libuv, and the only file that includes <uv.h>, since its handles
 * are embedded in ours.  One loop per thread; everything here is called by
 * the loop's own thread, except sb_wake_send().
 *
 * A turn of the loop:
 *
 *      due timers -> tasks (sb_task) -> hooks (sb_hook) -> wait -> watches,
 *      wakes, signals -> close callbacks -> the next turn
 *
 * Nothing sleeps between an I/O callback and the tasks and hooks after it.
 * Callbacks run from the loop only, never from inside a function below.
 *
 * Lives: a watch, wake and signal is closed by sb_*_close() and its memory
 * must stay until the done callback (libuv looks at it once more).  Timers,
 * tasks and hooks end at once: after sb_timer_release(), sb_task_cancel(),
 * sb_hook_remove() the memory is free to go.  Storage is always the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/heap.h"
#include "common/list.h"

struct sb_loop {
    uv_loop_t uv;
    uv_prepare_t prepare;  /* runs tasks and hooks, before the loop waits */
    uv_idle_t no_wait;     /* active while tasks are left: the loop polls only */
    uv_timer_t alarm;      /* at the earliest key of timers, or before */
    sb_msec alarm_at;      /* SB_MSEC_NEVER when it is not armed */
    struct sb_clock clock; /* the loop's cached time */
    sb_msec skipped;       /* added by sb_loop_skip() */
    bool firing;           /* timers are running */
    bool one_turn;         /* called by sb_loop_wait(): do not wait after progress */
    bool progress;         /* a timer or task ran in this turn */
    struct sb_heap timers;
    struct sb_list tasks;
    struct sb_list hooks;
};

int sb_loop_new(struct sb_loop **ret_loop) SB_MUSTCHECK;
/* Delivers the close callbacks that are due, frees, sets *loop to NULL (NULL
 * is fine).  Everything on the loop must have been closed: else a bug. */
void sb_loop_destroy(struct sb_loop **loop);
/* Runs until sb_loop_stop(), then the tasks and hooks of that last turn.  An
 * idle loop waits, it does not return.  May be called again. */
void sb_loop_run(struct sb_loop *loop);
/* One turn without waiting, tasks and hooks at its end; for tests and for
 * draining. */
void sb_loop_turn(struct sb_loop *loop);
/* The same, waiting until at least one callback had something to do. */
void sb_loop_wait(struct sb_loop *loop);
/* Makes sb_loop_run() return after this turn. */
void sb_loop_stop(struct sb_loop *loop);
/* Cached: the time when the loop last woke up, and before it first runs, of
 * sb_loop_new(). */
sb_msec sb_loop_now(const struct sb_loop *loop);
/* now() is sb_loop_now(); wall() asks the machine.  Borrows the loop. */
const struct sb_clock *sb_loop_clock(const struct sb_loop *loop);
/* Tests: as if so much time had passed; timers that became due run in the
 * next turn. */
void sb_loop_skip(struct sb_loop *loop, sb_msec by);

/* --- watch: readiness of one descriptor ----------------------------------- */

enum sb_watch_events {
    SB_WATCH_READ = UV_READABLE,
    SB_WATCH_WRITE = UV_WRITABLE,
    /* The peer closed its sending side.  Keeps coming like the others until
     * the interest is dropped; the way to notice a client that left while
     * its bytes are not read. */
    SB_WATCH_HANGUP = UV_DISCONNECT,
};

struct sb_watch;
/* error: SB_OK, or SB_EIO when the socket has failed; events is then 0 and the
 * watch has no interest any more.  Why it failed is left in the socket for
 * its owner: the next send or receive tells, or sb_watch_socket_error();
 * bytes that came before the failure can still be received.
 *
 * Level-triggered: what is left unread comes again in the next turn.  An
 * event may be told that another callback of the turn has used up already,
 * so expect EAGAIN. */
typedef void sb_watch_cb(struct sb_watch *watch, unsigned events, int error);
typedef void sb_watch_closed_cb(struct sb_watch *watch);

struct sb_watch {
    uv_poll_t poll;
    sb_watch_cb *cb;
    sb_watch_closed_cb *closed;
    unsigned interest; /* of enum sb_watch_events; 0 = nothing */
};

/* Borrows fd, which becomes non-blocking; at most one watch per descriptor
 * (SB_EEXIST).  Starts without interest.  On error nothing is to be closed. */
int sb_watch_init(struct sb_watch *watch, struct sb_loop *loop, int fd,
                  sb_watch_cb *cb) SB_MUSTCHECK;
/* Sets the interest as a whole.  Free when it is the same as before; else it
 * costs two epoll_ctl (libuv deletes and adds), so do not toggle WRITE around
 * every send: ask for it only after a short one. */
void sb_watch_set(struct sb_watch *watch, unsigned interest);
/* No more callbacks; the descriptor may be closed when this returns (after,
 * not before).  closed (may be NULL) comes later, once: then the memory may
 * go.  A watch is closed once. */
void sb_watch_close(struct sb_watch *watch, sb_watch_closed_cb *closed);
int sb_watch_fd(const struct sb_watch *watch);
/* The pending error of a socket, which is cleared by asking; SB_OK when there
 * is none.  Not for sockets that libcurl dials: it wants to ask itself. */
int sb_watch_socket_error(const struct sb_watch *watch);

/* --- timer: one deadline -------------------------------------------------- */

#define SB_MSEC_NEVER UINT64_MAX

struct sb_timer;
typedef void sb_timer_cb(struct sb_timer *timer);

/* Lazy, since a deadline of a request is nearly always moved or cancelled:
 * a later deadline only stores the time, so does a cancel; the queue notices
 * when the old time comes.  A keep-alive connection that re-arms for every
 * request does no queue work.  The loop has one libuv timer for all of them:
 * libuv's own timers end asynchronously, which would tie the life of every
 * request to the close callback of each of its deadlines. */
struct sb_timer {
    struct sb_heap_node node; /* queued at its deadline or earlier */
    sb_msec deadline;         /* SB_MSEC_NEVER when not set */
    struct sb_loop *loop;     /* borrowed */
    sb_timer_cb *cb;
};

void sb_timer_init(struct sb_timer *timer, struct sb_loop *loop, sb_timer_cb *cb);
/* Sets or moves the deadline, in time of sb_loop_now(); SB_MSEC_NEVER
 * cancels.  A time in the past fires in the next turn.  The callback comes
 * once, with the deadline cleared, and may set it again (a time in the past
 * is then a millisecond later). */
void sb_timer_set(struct sb_timer *timer, sb_msec deadline);
/* Clears the deadline; the timer may still be queued, so its memory must stay. */
void sb_timer_cancel(struct sb_timer *timer);
/* Takes the timer out of the loop: before its memory goes.  Fine for a timer
 * that was never set, and for one that is all zeros; may be called twice. */
void sb_timer_release(struct sb_timer *timer);

static inline bool sb_timer_is_set(const struct sb_timer *timer)
{
    return timer->deadline != SB_MSEC_NEVER;
}

/* --- task: run once, soon ------------------------------------------------- */

struct sb_task;
typedef void sb_task_cb(struct sb_task *task);

/* A turn runs the tasks that were queued when the turn's tasks began; one
 * that is queued meanwhile, by itself too, runs in the next turn, after I/O
 * had its go.  So a long job that yields this way starves nobody. */
struct sb_task {
    struct sb_list link;
    struct sb_loop *loop; /* borrowed */
    sb_task_cb *cb;
};

void sb_task_init(struct sb_task *task, struct sb_loop *loop, sb_task_cb *cb);
/* Queues it; nothing when it is queued already. */
void sb_task_soon(struct sb_task *task);
/* The memory may go after it. */
void sb_task_cancel(struct sb_task *task);

/* --- hook: run at the end of every turn ----------------------------------- */

struct sb_hook;
typedef void sb_hook_cb(struct sb_hook *hook);

/* For what is collected during a turn: the dead list, messages to the other
 * thread.  Hooks run in the order in which they were added, every turn, so
 * they begin with "is there anything?". */
struct sb_hook {
    struct sb_list link;
    sb_hook_cb *cb;
};

void sb_hook_add(struct sb_hook *hook, struct sb_loop *loop, sb_hook_cb *cb);
/* A hook may remove itself, and no other, while it runs. */
void sb_hook_remove(struct sb_hook *hook);

/* --- wake: from another thread -------------------------------------------- */

struct sb_wake;
typedef void sb_wake_cb(struct sb_wake *wake);

struct sb_wake {
    uv_async_t async;
    sb_wake_cb *cb;
    sb_wake_cb *closed;
};

int sb_wake_init(struct sb_wake *wake, struct sb_loop *loop, sb_wake_cb *cb) SB_MUSTCHECK;
/* From any thread (not from a signal handler): the callback runs on the
 * loop's thread, once for any number of sends before it. */
void sb_wake_send(struct sb_wake *wake);
/* Nobody may send any more.  closed may be NULL. */
void sb_wake_close(struct sb_wake *wake, sb_wake_cb *closed);

/* --- signal --------------------------------------------------------------- */

struct sb_signal;
typedef void sb_signal_cb(struct sb_signal *sig, int signum);
typedef void sb_signal_closed_cb(struct sb_signal *sig);

struct sb_signal {
    uv_signal_t signal;
    sb_signal_cb *cb;
    sb_signal_closed_cb *closed;
};

/* Calls back on the loop, as an ordinary event, whenever signum came.  Several
 * of one kind may be told as one. */
int sb_signal_init(struct sb_signal *sig, struct sb_loop *loop, int signum,
                   sb_signal_cb *cb) SB_MUSTCHECK;
/* The signal has its default action again.  closed may be NULL. */
void sb_signal_close(struct sb_signal *sig, sb_signal_closed_cb *closed);
