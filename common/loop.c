/* common/loop.c */
#include "common/loop.h"

#include <sys/socket.h>

#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"

/* --- timers ----------------------------------------------------------------- */

static void on_alarm(uv_timer_t *alarm);

/* Starts libuv's timer when the earliest of ours is earlier. */
static void set_alarm(struct sb_loop *loop)
{
    const struct sb_heap_node *first = loop->timers.root;
    sb_msec now = sb_loop_now(loop);

    if (first == NULL || first->key >= loop->alarm_at)
        return;
    loop->alarm_at = first->key;
    (void)uv_timer_start(&loop->alarm, on_alarm, first->key > now ? first->key - now : 0, 0);
}

static void fire(struct sb_timer *timer, sb_msec now)
{
    if (timer->deadline == SB_MSEC_NEVER)
        return; /* cancelled since it was queued */
    if (timer->deadline > now) {
        sb_heap_insert(&timer->loop->timers, &timer->node, timer->deadline);
        return; /* moved since it was queued */
    }
    timer->deadline = SB_MSEC_NEVER;
    timer->loop->progress = true;
    timer->cb(timer);
}

static void on_alarm(uv_timer_t *alarm)
{
    struct sb_loop *loop = container_of(alarm, struct sb_loop, alarm);
    sb_msec now = sb_loop_now(loop);

    loop->alarm_at = SB_MSEC_NEVER;
    loop->firing = true;
    while (loop->timers.root != NULL && loop->timers.root->key <= now) {
        struct sb_heap_node *node = loop->timers.root;

        sb_heap_remove(&loop->timers, node);
        fire(container_of(node, struct sb_timer, node), now);
    }
    loop->firing = false;
    set_alarm(loop);
}

void sb_timer_init(struct sb_timer *timer, struct sb_loop *loop, sb_timer_cb *cb)
{
    *timer = (struct sb_timer){.deadline = SB_MSEC_NEVER, .loop = loop, .cb = cb};
}

void sb_timer_set(struct sb_timer *timer, sb_msec deadline)
{
    struct sb_loop *loop = timer->loop;
    sb_msec now = sb_loop_now(loop);

    /* A callback that sets its timer to "now" must not keep the loop in
     * on_alarm() for ever. */
    if (loop->firing && deadline <= now)
        deadline = now + 1;
    timer->deadline = deadline;
    if (deadline == SB_MSEC_NEVER || (timer->node.queued && timer->node.key <= deadline))
        return;
    if (timer->node.queued)
        sb_heap_decrease(&loop->timers, &timer->node, deadline);
    else
        sb_heap_insert(&loop->timers, &timer->node, deadline);
    if (!loop->firing)
        set_alarm(loop);
}

void sb_timer_cancel(struct sb_timer *timer)
{
    timer->deadline = SB_MSEC_NEVER;
}

void sb_timer_release(struct sb_timer *timer)
{
    timer->deadline = SB_MSEC_NEVER;
    if (timer->node.queued)
        sb_heap_remove(&timer->loop->timers, &timer->node);
}

/* --- tasks and hooks --------------------------------------------------------- */

void sb_task_init(struct sb_task *task, struct sb_loop *loop, sb_task_cb *cb)
{
    *task = (struct sb_task){.loop = loop, .cb = cb};
    sb_list_init(&task->link);
}

void sb_task_soon(struct sb_task *task)
{
    if (!sb_list_is_linked(&task->link))
        sb_list_add_tail(&task->loop->tasks, &task->link);
}

void sb_task_cancel(struct sb_task *task)
{
    sb_list_remove(&task->link);
}

void sb_hook_add(struct sb_hook *hook, struct sb_loop *loop, sb_hook_cb *cb)
{
    hook->cb = cb;
    sb_list_init(&hook->link);
    sb_list_add_tail(&loop->hooks, &hook->link);
}

void sb_hook_remove(struct sb_hook *hook)
{
    sb_list_remove(&hook->link);
}

static void end_turn(struct sb_loop *loop)
{
    struct sb_list round, *link;

    sb_list_init(&round);
    sb_list_append_all(&round, &loop->tasks);
    while ((link = sb_list_pop(&round)) != NULL) {
        struct sb_task *task = container_of(link, struct sb_task, link);

        loop->progress = true;
        task->cb(task);
    }
    sb_list_for_each_safe(at, &loop->hooks)
    {
        struct sb_hook *hook = container_of(at, struct sb_hook, link);

        hook->cb(hook);
    }
}

static void on_idle(uv_idle_t *no_wait)
{
    (void)no_wait; /* that it is active is its work */
}

/* After timers and all callbacks of the turn before, right before the wait:
 * the one place from where nothing is left undone while the loop sleeps. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct sb_loop *loop = container_of(prepare, struct sb_loop, prepare);

    end_turn(loop);
    if (!sb_list_is_empty(&loop->tasks) || (loop->one_turn && loop->progress))
        (void)uv_idle_start(&loop->no_wait, on_idle);
    else
        (void)uv_idle_stop(&loop->no_wait);
    loop->progress = false;
}

/* --- loop -------------------------------------------------------------------- */

static sb_msec loop_clock_now(const struct sb_clock *clock)
{
    return sb_loop_now(container_of(clock, const struct sb_loop, clock));
}

static sb_usec loop_clock_wall(const struct sb_clock *clock)
{
    (void)clock;
    return sb_clock_wall(&sb_clock_system);
}

int sb_loop_new(struct sb_loop **ret_loop)
{
    struct sb_loop *loop = sb_mem_new(sizeof(*loop));
    int rc = uv_loop_init(&loop->uv);

    if (rc != 0) {
        sb_mem_free(loop);
        return sb_err_from_errno(-rc);
    }
    loop->clock = (struct sb_clock){.now = loop_clock_now, .wall = loop_clock_wall};
    loop->alarm_at = SB_MSEC_NEVER;
    sb_list_init(&loop->tasks);
    sb_list_init(&loop->hooks);
    /* These only link the handles into the loop; they cannot fail. */
    (void)uv_timer_init(&loop->uv, &loop->alarm);
    (void)uv_idle_init(&loop->uv, &loop->no_wait);
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_prepare_start(&loop->prepare, on_prepare);
    *ret_loop = loop;
    return SB_OK;
}

static void expect_closing(uv_handle_t *handle, void *arg)
{
    (void)arg;
    SB_BUG_ON(!uv_is_closing(handle)); /* a watch, wake or signal was forgotten */
}

void sb_loop_destroy(struct sb_loop **loop)
{
    struct sb_loop *old = *loop;

    if (old == NULL)
        return;
    *loop = NULL;
    uv_close((uv_handle_t *)&old->prepare, NULL);
    uv_close((uv_handle_t *)&old->no_wait, NULL);
    uv_close((uv_handle_t *)&old->alarm, NULL);
    uv_walk(&old->uv, expect_closing, NULL);
    (void)uv_run(&old->uv, UV_RUN_DEFAULT); /* the close callbacks */
    SB_BUG_ON(uv_loop_close(&old->uv) != 0);
    sb_mem_free(old);
}

void sb_loop_run(struct sb_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    end_turn(loop);
}

void sb_loop_turn(struct sb_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    end_turn(loop);
}

void sb_loop_wait(struct sb_loop *loop)
{
    loop->one_turn = true;
    (void)uv_run(&loop->uv, UV_RUN_ONCE);
    loop->one_turn = false;
    end_turn(loop);
}

void sb_loop_stop(struct sb_loop *loop)
{
    uv_stop(&loop->uv);
}

sb_msec sb_loop_now(const struct sb_loop *loop)
{
    return uv_now(&loop->uv) + loop->skipped;
}

const struct sb_clock *sb_loop_clock(const struct sb_loop *loop)
{
    return &loop->clock;
}

void sb_loop_skip(struct sb_loop *loop, sb_msec by)
{
    loop->skipped += by;
    loop->alarm_at = SB_MSEC_NEVER; /* it stands for a time before the skip */
    set_alarm(loop);
}

/* --- watch ------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sb_watch *watch = container_of(poll, struct sb_watch, poll);

    if (status < 0) {
        watch->interest = 0; /* libuv has stopped it */
        watch->cb(watch, 0, SB_EIO);
        return;
    }
    watch->cb(watch, (unsigned)events, SB_OK);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct sb_watch *watch = container_of(handle, struct sb_watch, poll);

    if (watch->closed != NULL)
        watch->closed(watch);
}

int sb_watch_init(struct sb_watch *watch, struct sb_loop *loop, int fd, sb_watch_cb *cb)
{
    int rc;

    *watch = (struct sb_watch){.cb = cb};
    rc = uv_poll_init(&loop->uv, &watch->poll, fd);
    return rc == 0 ? SB_OK : sb_err_from_errno(-rc);
}

void sb_watch_set(struct sb_watch *watch, unsigned interest)
{
    int rc;

    if (interest == watch->interest)
        return;
    watch->interest = interest;
    rc = interest != 0 ? uv_poll_start(&watch->poll, (int)interest, on_poll)
                       : uv_poll_stop(&watch->poll);
    SB_BUG_ON(rc != 0); /* two watches on one descriptor, or it was closed before its watch */
}

void sb_watch_close(struct sb_watch *watch, sb_watch_closed_cb *closed)
{
    watch->interest = 0;
    watch->closed = closed;
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

int sb_watch_fd(const struct sb_watch *watch)
{
    return watch->poll.io_watcher.fd;
}

int sb_watch_socket_error(const struct sb_watch *watch)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(sb_watch_fd(watch), SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return sb_err_from_errno(errno);
    return error == 0 ? SB_OK : sb_err_from_errno(error);
}

/* --- wake -------------------------------------------------------------------- */

static void on_async(uv_async_t *async)
{
    struct sb_wake *wake = container_of(async, struct sb_wake, async);

    wake->cb(wake);
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct sb_wake *wake = container_of(handle, struct sb_wake, async);

    if (wake->closed != NULL)
        wake->closed(wake);
}

int sb_wake_init(struct sb_wake *wake, struct sb_loop *loop, sb_wake_cb *cb)
{
    int rc;

    *wake = (struct sb_wake){.cb = cb};
    rc = uv_async_init(&loop->uv, &wake->async, on_async);
    return rc == 0 ? SB_OK : sb_err_from_errno(-rc);
}

void sb_wake_send(struct sb_wake *wake)
{
    (void)uv_async_send(&wake->async);
}

void sb_wake_close(struct sb_wake *wake, sb_wake_cb *closed)
{
    wake->closed = closed;
    uv_close((uv_handle_t *)&wake->async, on_wake_closed);
}

/* --- signal ------------------------------------------------------------------ */

static void on_signal(uv_signal_t *signal, int signum)
{
    struct sb_signal *sig = container_of(signal, struct sb_signal, signal);

    sig->cb(sig, signum);
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct sb_signal *sig = container_of(handle, struct sb_signal, signal);

    if (sig->closed != NULL)
        sig->closed(sig);
}

int sb_signal_init(struct sb_signal *sig, struct sb_loop *loop, int signum, sb_signal_cb *cb)
{
    int rc;

    *sig = (struct sb_signal){.cb = cb};
    rc = uv_signal_init(&loop->uv, &sig->signal);
    if (rc != 0)
        return sb_err_from_errno(-rc);
    /* Fails only for a number that is no signal, or one that cannot be caught. */
    SB_BUG_ON(uv_signal_start(&sig->signal, on_signal, signum) != 0);
    return SB_OK;
}

void sb_signal_close(struct sb_signal *sig, sb_signal_closed_cb *closed)
{
    sig->closed = closed;
    uv_close((uv_handle_t *)&sig->signal, on_signal_closed);
}
