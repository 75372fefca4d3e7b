/* common/reactor.c
 *
 * Not zloop: its timers are heap objects that fire once for every period
 * slept through, it ends on EINTR, and it needs CZMQ's own socket type.
 */
#include "common/reactor.h"

#include <limits.h>
#include <stddef.h>

#include <zmq.h>

#include "common/bus.h"
#include "common/check.h"
#include "common/err.h"
#include "common/mailbox.h"
#include "common/mem.h"

enum { TAKE_FIRST_ROOM = 8 };

struct source {
    void *handle; /* ZeroMQ's, or NULL: then fd */
    int fd;
    unsigned events;
    struct sb_mailbox *box; /* NULL unless it is one */
    sb_reactor_cb *on_ready;
    sb_reactor_mail_cb *on_mail;
    void *ctx;
    bool is_removed; /* freed before the next poll */
};

struct sb_reactor {
    const struct sb_clock *clock;
    struct source **sources;
    size_t n_sources, room;
    zmq_pollitem_t *items;  /* of the poll under way, made from sources */
    struct source **polled; /* items[i] belongs to polled[i] */
    size_t n_items, n_items_room;
    bool is_changed; /* items do not match sources any more */
    bool is_in_turn, is_stopped;
    struct sb_reactor_timer *timers; /* unordered: there are few */
};

int sb_reactor_new(const struct sb_clock *clock, struct sb_reactor **ret)
{
    struct sb_reactor *reactor = sb_mem_new(sizeof(*reactor));

    reactor->clock = clock;
    reactor->is_changed = true;
    *ret = reactor;
    return SB_OK;
}

void sb_reactor_destroy(struct sb_reactor **reactorp)
{
    struct sb_reactor *reactor = *reactorp;

    *reactorp = NULL;
    if (reactor == NULL)
        return;
    SB_BUG_ON(reactor->is_in_turn);
    while (reactor->timers != NULL)
        sb_reactor_timer_stop(reactor->timers);
    for (size_t i = 0; i < reactor->n_sources; i++)
        sb_mem_free(reactor->sources[i]);
    sb_mem_free(reactor->sources);
    sb_mem_free(reactor->items);
    sb_mem_free(reactor->polled);
    sb_mem_free(reactor);
}

static void *grown(void *p, size_t n, size_t size)
{
    p = sb_mem_resize(p, n * size);
    SB_BUG_ON(p == NULL); /* a count of our own sources */
    return p;
}

static struct source *find(const struct sb_reactor *reactor, const void *handle, int fd)
{
    for (size_t i = 0; i < reactor->n_sources; i++) {
        struct source *source = reactor->sources[i];

        if (!source->is_removed && source->handle == handle && source->fd == fd)
            return source;
    }
    return NULL;
}

static struct source *add(struct sb_reactor *reactor, void *handle, int fd, unsigned events)
{
    struct source *source;

    SB_BUG_ON(find(reactor, handle, fd) != NULL);
    if (reactor->n_sources == reactor->room) {
        reactor->room = reactor->room > 0 ? reactor->room * 2 : TAKE_FIRST_ROOM;
        reactor->sources = grown(reactor->sources, reactor->room, sizeof(struct source *));
    }
    source = sb_mem_new(sizeof(*source));
    *source = (struct source){.handle = handle, .fd = fd, .events = events};
    reactor->sources[reactor->n_sources++] = source;
    reactor->is_changed = true;
    return source;
}

static void set_events(struct sb_reactor *reactor, const void *handle, int fd, unsigned events)
{
    struct source *source = find(reactor, handle, fd);

    SB_BUG_ON(source == NULL);
    if (source->events == events)
        return;
    source->events = events;
    reactor->is_changed = true;
}

static void remove_source(struct sb_reactor *reactor, const void *handle, int fd)
{
    struct source *source = find(reactor, handle, fd);

    SB_BUG_ON(source == NULL);
    source->is_removed = true;
    reactor->is_changed = true;
}

void sb_reactor_add_handle(struct sb_reactor *reactor, void *handle, unsigned events,
                           sb_reactor_cb *on_ready, void *ctx)
{
    struct source *source = add(reactor, handle, -1, events);

    source->on_ready = on_ready;
    source->ctx = ctx;
}

void sb_reactor_remove_handle(struct sb_reactor *reactor, void *handle)
{
    remove_source(reactor, handle, -1);
}

void sb_reactor_add_socket(struct sb_reactor *reactor, struct sb_bus_socket *sock, unsigned events,
                           sb_reactor_cb *on_ready, void *ctx)
{
    sb_reactor_add_handle(reactor, sb_bus_socket_handle(sock), events, on_ready, ctx);
}

void sb_reactor_set_socket(struct sb_reactor *reactor, struct sb_bus_socket *sock, unsigned events)
{
    set_events(reactor, sb_bus_socket_handle(sock), -1, events);
}

void sb_reactor_remove_socket(struct sb_reactor *reactor, struct sb_bus_socket *sock)
{
    remove_source(reactor, sb_bus_socket_handle(sock), -1);
}

void sb_reactor_add_fd(struct sb_reactor *reactor, int fd, unsigned events, sb_reactor_cb *on_ready,
                       void *ctx)
{
    struct source *source = add(reactor, NULL, fd, events);

    source->on_ready = on_ready;
    source->ctx = ctx;
}

void sb_reactor_set_fd(struct sb_reactor *reactor, int fd, unsigned events)
{
    set_events(reactor, NULL, fd, events);
}

void sb_reactor_remove_fd(struct sb_reactor *reactor, int fd)
{
    remove_source(reactor, NULL, fd);
}

void sb_reactor_add_mailbox(struct sb_reactor *reactor, struct sb_mailbox *box,
                            sb_reactor_mail_cb *on_mail, void *ctx)
{
    struct source *source = add(reactor, NULL, sb_mailbox_fd(box), SB_REACTOR_IN);

    SB_BUG_ON(source->fd < 0);
    source->box = box;
    source->on_mail = on_mail;
    source->ctx = ctx;
}

void sb_reactor_remove_mailbox(struct sb_reactor *reactor, struct sb_mailbox *box)
{
    remove_source(reactor, NULL, sb_mailbox_fd(box));
}

static void link_timer(struct sb_reactor_timer **list, struct sb_reactor_timer *timer)
{
    timer->next = *list;
    timer->prev = list;
    if (*list != NULL)
        (*list)->prev = &timer->next;
    *list = timer;
}

static void unlink_timer(struct sb_reactor_timer *timer)
{
    *timer->prev = timer->next;
    if (timer->next != NULL)
        timer->next->prev = timer->prev;
    timer->next = NULL;
    timer->prev = NULL;
}

void sb_reactor_timer_start(struct sb_reactor *reactor, struct sb_reactor_timer *timer,
                            sb_msec delay, sb_msec period, sb_reactor_timer_cb *fire)
{
    sb_reactor_timer_stop(timer);
    timer->reactor = reactor;
    timer->fire = fire;
    timer->at = sb_clock_now(reactor->clock) + delay;
    timer->period = period;
    link_timer(&reactor->timers, timer);
}

void sb_reactor_timer_stop(struct sb_reactor_timer *timer)
{
    if (timer->reactor == NULL)
        return;
    unlink_timer(timer);
    timer->reactor = NULL;
}

bool sb_reactor_timer_is_running(const struct sb_reactor_timer *timer)
{
    return timer->reactor != NULL;
}

/* Due ones go to a list of their own first, so that one which starts itself
 * again with no delay waits for the next turn, and the sockets get theirs. */
static void fire_timers(struct sb_reactor *reactor)
{
    sb_msec now = sb_clock_now(reactor->clock);
    struct sb_reactor_timer *due = NULL, *next;

    for (struct sb_reactor_timer *timer = reactor->timers; timer != NULL; timer = next) {
        next = timer->next;
        if (timer->at <= now) {
            unlink_timer(timer);
            link_timer(&due, timer);
        }
    }
    while (due != NULL) {
        struct sb_reactor_timer *timer = due;

        for (next = due; next != NULL; next = next->next)
            if (next->at < timer->at)
                timer = next;
        unlink_timer(timer);
        if (timer->period > 0) {
            timer->at += timer->period;
            if (timer->at <= now)
                timer->at = now + timer->period;
            link_timer(&reactor->timers, timer);
        } else {
            timer->reactor = NULL;
        }
        timer->fire(timer);
    }
}

/* How long to poll: -1 for ever. */
static long wait_for(const struct sb_reactor *reactor, sb_msec timeout, bool is_endless)
{
    enum { LONGEST = 3600 * 1000 };
    sb_msec now = sb_clock_now(reactor->clock);
    bool is_bounded = !is_endless;

    for (const struct sb_reactor_timer *t = reactor->timers; t != NULL; t = t->next) {
        sb_msec left = t->at > now ? t->at - now : 0;

        if (!is_bounded || left < timeout)
            timeout = left;
        is_bounded = true;
    }
    if (!is_bounded)
        return -1;
    return timeout < LONGEST ? (long)timeout : LONGEST;
}

static void forget_removed(struct sb_reactor *reactor)
{
    size_t kept = 0;

    for (size_t i = 0; i < reactor->n_sources; i++) {
        if (reactor->sources[i]->is_removed)
            sb_mem_free(reactor->sources[i]);
        else
            reactor->sources[kept++] = reactor->sources[i];
    }
    reactor->n_sources = kept;
}

static void make_items(struct sb_reactor *reactor)
{
    forget_removed(reactor);
    if (reactor->n_items_room < reactor->n_sources) {
        reactor->n_items_room = reactor->room;
        reactor->items = grown(reactor->items, reactor->room, sizeof(zmq_pollitem_t));
        reactor->polled = grown(reactor->polled, reactor->room, sizeof(struct source *));
    }
    for (size_t i = 0; i < reactor->n_sources; i++) {
        struct source *source = reactor->sources[i];
        short events = 0;

        if ((source->events & SB_REACTOR_IN) != 0)
            events |= ZMQ_POLLIN;
        if ((source->events & SB_REACTOR_OUT) != 0)
            events |= ZMQ_POLLOUT;
        if (source->handle == NULL)
            events |= ZMQ_POLLERR;
        reactor->polled[i] = source;
        reactor->items[i] =
            (zmq_pollitem_t){.socket = source->handle, .fd = source->fd, .events = events};
    }
    reactor->n_items = reactor->n_sources;
    reactor->is_changed = false;
}

static void deliver(struct source *source)
{
    struct sb_mail *chain = sb_mailbox_take(source->box);
    struct sb_mail *mail;

    while ((mail = sb_mail_pop(&chain)) != NULL) {
        /* Removed by the mail before: the rest has no receiver. */
        if (!source->is_removed)
            source->on_mail(source->ctx, mail);
        else if (mail->drop != NULL)
            mail->drop(mail);
    }
}

static void dispatch(struct sb_reactor *reactor)
{
    for (size_t i = 0; i < reactor->n_items; i++) {
        struct source *source = reactor->polled[i];
        unsigned events = 0;

        if (source->is_removed || reactor->items[i].revents == 0)
            continue;
        if (source->box != NULL) {
            deliver(source);
            continue;
        }
        if ((reactor->items[i].revents & ZMQ_POLLIN) != 0)
            events |= SB_REACTOR_IN;
        if ((reactor->items[i].revents & ZMQ_POLLOUT) != 0)
            events |= SB_REACTOR_OUT;
        if ((reactor->items[i].revents & ZMQ_POLLERR) != 0)
            events |= SB_REACTOR_ERR;
        /* It may have been narrowed by a callback of this turn. */
        events &= source->events | SB_REACTOR_ERR;
        if (events != 0)
            source->on_ready(source->ctx, events);
    }
}

static int turn(struct sb_reactor *reactor, sb_msec timeout, bool is_endless)
{
    long wait;
    int n;

    SB_BUG_ON(reactor->is_in_turn);
    if (reactor->is_changed)
        make_items(reactor);
    wait = wait_for(reactor, timeout, is_endless);
    SB_BUG_ON(reactor->n_items == 0 && wait < 0); /* would never end */
    SB_BUG_ON(reactor->n_items > INT_MAX);
    n = zmq_poll(reactor->items, (int)reactor->n_items, wait);
    if (n < 0 && zmq_errno() != EINTR)
        return zmq_errno() == ETERM ? SB_ECANCELED : SB_EIO;
    reactor->is_in_turn = true;
    if (n > 0)
        dispatch(reactor);
    fire_timers(reactor);
    reactor->is_in_turn = false;
    return SB_OK;
}

int sb_reactor_run(struct sb_reactor *reactor)
{
    while (!reactor->is_stopped) {
        int rc = turn(reactor, 0, true);

        if (rc != SB_OK)
            return rc;
    }
    return SB_OK;
}

int sb_reactor_turn(struct sb_reactor *reactor, sb_msec timeout)
{
    return reactor->is_stopped ? SB_ECANCELED : turn(reactor, timeout, false);
}

void sb_reactor_stop(struct sb_reactor *reactor)
{
    reactor->is_stopped = true;
}

sb_msec sb_reactor_now(const struct sb_reactor *reactor)
{
    return sb_clock_now(reactor->clock);
}
