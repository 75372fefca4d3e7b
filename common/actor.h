/* common/actor.h - a thread that owns its resources (a CZMQ zactor).
 *
 * Others reach an actor through its mailbox only, and it reaches them through
 * theirs; nothing else is shared.  It runs a reactor, where its start()
 * registers sockets, descriptors and timers.
 *
 *      sb_actor_start()      in the new thread: start() -> reactor, on_mail()...
 *      sb_actor_stop()       in that thread: reactor ends -> stop(); then joined
 *
 * An owner on a libuv loop makes a mailbox with sb_wake_send() as its wake,
 * gives the actor a reference in ctx, and posts batches into
 * sb_actor_mailbox(): neither call ever blocks.
 *
 * Signals are blocked in the thread: the process's main thread handles them.
 * Start actors after sb_bus_init() only, and never fork without exec while
 * one runs.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

struct sb_actor;
struct sb_mail;
struct sb_mailbox;
struct sb_reactor;

/* All run in the actor's thread, with the ctx of sb_actor_start(). */
struct sb_actor_ops {
    const char *name; /* of the thread; at most 15 bytes are seen in tools */
    /* Opens what the actor owns.  reactor and self (its mailbox) live until
     * stop() has returned.  On failure undo everything, say why in err and
     * return the code; stop() is not called then. */
    int (*start)(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                 struct sb_errmsg *err);
    /* Takes mail: free it, post it on, or reply to it. */
    void (*on_mail)(void *ctx, struct sb_mail *mail);
    /* Closes what start() opened.  Mail still waiting is handed to on_mail
     * before; what comes later is dropped.  To be drained first, an actor has
     * a question of its own for that. */
    void (*stop)(void *ctx);
};

/* Returns when start() has: its code, and its text in err.  Borrows ops and
 * ctx until sb_actor_stop(). */
int sb_actor_start(const struct sb_actor_ops *ops, void *ctx, struct sb_actor **ret,
                   struct sb_errmsg *err) SB_MUSTCHECK;
/* Ends the thread and waits for it; as long as its current callback takes.
 * Sets *actor to NULL; NULL is fine.  Mailbox references of others stay
 * usable: what they post is dropped. */
void sb_actor_stop(struct sb_actor **actor);
/* Borrowed: lives as long as the actor; take a reference to keep it. */
struct sb_mailbox *sb_actor_mailbox(const struct sb_actor *actor);
