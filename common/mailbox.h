/* common/mailbox.h - hands objects to another thread, without locks or copies.
 *
 * A mailbox belongs to one receiving thread; any thread may post.  What is
 * posted is an object of the sender with a struct sb_mail inside: no
 * allocation, no limit to hit, a post cannot fail.  (What bounds the queue is
 * whatever bounds the objects.)  The receiver is woken when the mailbox goes
 * from empty to not empty, so a batch costs one wake however long it is, and
 * none when the receiver has not yet taken the batch before.
 *
 * Two ways to be woken: an eventfd for threads that poll (a reactor, see
 * common/reactor.h; actors have one, see common/actor.h), or a function that
 * may be called from any thread and never blocks (sb_wake_send() for a libuv
 * loop).
 *
 *      sender                                   receiver, in its wake or poll
 *      job->mail = {.kind = JOB, .drop = ...}   chain = sb_mailbox_take(box)
 *      sb_mailbox_post(box, &job->mail)         while ((mail = sb_mail_pop(&chain)))
 *      (job is the receiver's now)                  job = container_of(mail, struct job, mail)
 *
 * Mail of one sender arrives in the order it was posted.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"

struct sb_mailbox;
struct sb_mail;

/* Frees a mail that nobody will receive; called on the thread that posts or
 * closes. */
typedef void sb_mail_drop_cb(struct sb_mail *mail);
/* Wakes the receiver: from any thread, never blocks, may come too often. */
typedef void sb_mailbox_wake_cb(void *ctx);

/* Embedded in what is sent.  Set kind and drop, leave next alone. */
struct sb_mail {
    struct sb_mail *next;
    sb_mail_drop_cb *drop; /* NULL: nothing to free */
    uint32_t kind;         /* from an enum of the receiver */
};

/* Mail collected by one thread, to be posted with one wake, for example at
 * the end of a loop's turn.  Zero-initialised is empty. */
struct sb_mail_batch {
    struct sb_mail *first, *last;
    size_t n;
};

/* wake == NULL: the mailbox makes an eventfd of its own, see sb_mailbox_fd().
 * Errors: errno of eventfd(). */
int sb_mailbox_new(sb_mailbox_wake_cb *wake, void *ctx, struct sb_mailbox **ret) SB_MUSTCHECK;
/* Counted, from any thread: whoever keeps a mailbox to post into it later
 * holds a reference, and then needs no care about who ends first. */
struct sb_mailbox *sb_mailbox_ref(struct sb_mailbox *box);
/* The last one frees it (after a close).  Sets *box to NULL; NULL is fine. */
void sb_mailbox_unref(struct sb_mailbox **box);

/* Takes mail.  false: the mailbox is closed and mail was dropped. */
bool sb_mailbox_post(struct sb_mailbox *box, struct sb_mail *mail);
/* Takes mail into a batch of this thread. */
void sb_mail_batch_add(struct sb_mail_batch *batch, struct sb_mail *mail);
/* Takes all of the batch and empties it; nothing to do when it is empty. */
bool sb_mailbox_post_batch(struct sb_mailbox *box, struct sb_mail_batch *batch);

/* Receiver only.  Gives everything that has arrived, oldest first, or NULL.
 * Resets the eventfd.  Take once per wake, then work through the chain. */
struct sb_mail *sb_mailbox_take(struct sb_mailbox *box);
/* Takes the first mail off a chain; NULL at its end. */
struct sb_mail *sb_mail_pop(struct sb_mail **chain);
/* Receiver only.  Drops what is there; later posts drop at once.  When it has
 * returned, wake is not running and is not called again, so its ctx may go. */
void sb_mailbox_close(struct sb_mailbox *box);
/* Readable while mail waits; -1 when the mailbox has a wake function. */
int sb_mailbox_fd(const struct sb_mailbox *box);

/* --- Questions: a mail that is answered ------------------------------------
 *
 * Embedded in a request object whose other members are question and answer.
 * Two hold it, asker and answerer, since the asker may give up first; whoever
 * lets go last frees it.
 *
 *      asker                                        answerer, on mail of that kind
 *      sb_ask_init(&q->ask, KIND, free_q)           q->answer = ...
 *      rc = sb_ask_wait(&q->ask, box, 2000)         sb_ask_reply(&q->ask, SB_OK)
 *      if (rc == SB_OK) ... q->answer ...           (q is not ours any more)
 *      sb_ask_release(&q->ask)
 *
 * The answerer must reply exactly once to every question, now or later, from
 * any thread.  A question dropped undelivered is answered SB_ECANCELED.
 */
struct sb_ask;
typedef void sb_ask_free_cb(struct sb_ask *ask);

struct sb_ask {
    struct sb_mail mail; /* delivered to the answerer, with its kind */
    struct sb_mailbox *reply_to;
    /* NULL only when the answerer's thread has ended before the storage goes: an answer that has
     * been waited for may still be let go of */
    sb_ask_free_cb *free_request;
    atomic_uint refs;
    int rc; /* the answer's code; valid after the reply */
    bool is_done;
    pthread_mutex_t lock;
    pthread_cond_t done;
};

/* One reference, the asker's.  free releases the object that holds ask. */
void sb_ask_init(struct sb_ask *ask, uint32_t kind, sb_ask_free_cb *free_request);
/* Posts it and blocks the calling thread until the answer: its rc.
 * SB_ETIMEDOUT: no answer in time; the object may still be written to by the
 * answerer, so do not look at it, only release it.  SB_ECANCELED: the
 * mailbox is closed.  Never wait for oneself, nor in a circle; never call it
 * on a libuv loop.  The reference stays the caller's. */
int sb_ask_wait(struct sb_ask *ask, struct sb_mailbox *box, sb_msec timeout) SB_MUSTCHECK;
/* Posts it and returns; the answer comes back as mail to reply_to (which is
 * referenced meanwhile), with the same kind, sb_ask_is_done() true, and the
 * code in ask->rc.  The asker's reference travels along: release it there. */
void sb_ask_send(struct sb_ask *ask, struct sb_mailbox *box, struct sb_mailbox *reply_to);
/* Answerer: rc and whatever it wrote into the object go to the asker. */
void sb_ask_reply(struct sb_ask *ask, int rc);
/* Tells an answer from a question, in a mailbox that gets both. */
bool sb_ask_is_done(const struct sb_ask *ask);
void sb_ask_release(struct sb_ask *ask);
