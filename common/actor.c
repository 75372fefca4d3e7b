/* common/actor.c */
#include "common/actor.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>

#include <czmq.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/sha256.h"

struct sb_actor {
    const struct sb_actor_ops *ops;
    void *ctx;
    struct sb_mailbox *box;
    zactor_t *thread;
    /* The thread's own. */
    struct sb_reactor *reactor;
    zsock_t *pipe; /* its end: the end of the thread is announced there */
    /* Of start(), valid once is_started. */
    int rc;
    struct sb_errmsg err;
    /* What the thread wrote is visible after them; the library's pipe says so
     * too, but a race detector cannot see into it. */
    atomic_bool is_started, is_ended;
};

static void on_pipe(void *ctx, unsigned events)
{
    struct sb_actor *actor = ctx;
    char *command = zstr_recv(actor->pipe);

    (void)events;
    /* "$TERM" from zactor_destroy() is the only one; NULL: the other end is
     * gone. */
    zstr_free(&command);
    sb_reactor_stop(actor->reactor);
}

static int start(struct sb_actor *actor)
{
    int rc = sb_reactor_new(&sb_clock_system, &actor->reactor);

    if (rc != SB_OK)
        return rc;
    sb_reactor_add_mailbox(actor->reactor, actor->box, actor->ops->on_mail, actor->ctx);
    sb_reactor_add_handle(actor->reactor, zsock_resolve(actor->pipe), SB_REACTOR_IN, on_pipe,
                          actor);
    return actor->ops->start(actor->ctx, actor->reactor, actor->box, &actor->err);
}

static void finish(struct sb_actor *actor)
{
    struct sb_mail *chain = sb_mailbox_take(actor->box);
    struct sb_mail *mail;

    while ((mail = sb_mail_pop(&chain)) != NULL)
        actor->ops->on_mail(actor->ctx, mail);
    actor->ops->stop(actor->ctx);
}

static void body(zsock_t *pipe, void *ctx)
{
    struct sb_actor *actor = ctx;

    (void)prctl(PR_SET_NAME, actor->ops->name); /* cuts it to 15 bytes */
    actor->pipe = pipe;
    actor->rc = start(actor);
    atomic_store(&actor->is_started, true);
    /* Also after a failure: the end of the thread signals once more, and
     * zactor_destroy() waits for that one. */
    (void)zsock_signal(pipe, 0);
    if (actor->rc == SB_OK) {
        /* When polling fails there is no way on; whoever posts learns it. */
        int rc = sb_reactor_run(actor->reactor);

        (void)rc;
        finish(actor);
    }
    sb_mailbox_close(actor->box);
    sb_reactor_destroy(&actor->reactor);
    /* By hand: the thread is nobody's to join, and may outlive the process's end
     * by the moment in which OpenSSL would do it. */
    sb_sha256_end_thread();
    atomic_store(&actor->is_ended, true);
}

static void release(struct sb_actor *actor)
{
    zactor_destroy(&actor->thread);
    SB_BUG_ON(!atomic_load(&actor->is_ended));
    sb_mailbox_unref(&actor->box);
    sb_mem_free(actor);
}

int sb_actor_start(const struct sb_actor_ops *ops, void *ctx, struct sb_actor **ret,
                   struct sb_errmsg *err)
{
    struct sb_actor *actor = sb_mem_new(sizeof(*actor));
    sigset_t all, old;
    int rc = sb_mailbox_new(NULL, NULL, &actor->box);

    if (rc != SB_OK) {
        sb_mem_free(actor);
        return sb_err_set(err, rc, "actor '%s': no descriptor for its mailbox", ops->name);
    }
    actor->ops = ops;
    actor->ctx = ctx;
    atomic_init(&actor->is_started, false);
    atomic_init(&actor->is_ended, false);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    actor->thread = zactor_new(body, actor); /* returns after the signal of body() */
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    SB_BUG_ON(!atomic_load(&actor->is_started));
    rc = actor->rc;
    if (rc != SB_OK) {
        if (err != NULL)
            *err = actor->err;
        release(actor);
        return rc;
    }
    *ret = actor;
    return SB_OK;
}

void sb_actor_stop(struct sb_actor **actorp)
{
    struct sb_actor *actor = *actorp;

    *actorp = NULL;
    if (actor != NULL)
        release(actor);
}

struct sb_mailbox *sb_actor_mailbox(const struct sb_actor *actor)
{
    return actor->box;
}
