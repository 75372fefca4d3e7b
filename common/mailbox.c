/* common/mailbox.c */
#include "common/mailbox.h"

#include <sched.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"

struct sb_mailbox {
    /* A stack, newest first: senders push, the receiver takes all of it and
     * turns it round.  &closed once closed. */
    _Atomic(struct sb_mail *) head;
    atomic_uint posting; /* threads between looking at head and the end of wake */
    atomic_uint refs;
    sb_mailbox_wake_cb *wake;
    void *ctx;
    int fd; /* -1 with a wake function of the caller's */
};

static struct sb_mail closed;

static void ring(struct sb_mailbox *box)
{
    uint64_t one = 1;

    if (box->fd < 0) {
        box->wake(box->ctx);
        return;
    }
    /* Cannot fail: the counter never comes near its limit, since only the
     * first mail of a batch counts. */
    SB_BUG_ON(write(box->fd, &one, sizeof(one)) != (ssize_t)sizeof(one));
}

int sb_mailbox_new(sb_mailbox_wake_cb *wake, void *ctx, struct sb_mailbox **ret)
{
    struct sb_mailbox *box;
    int fd = -1;

    if (wake == NULL) {
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            return sb_err_from_errno(errno);
    }
    box = sb_mem_new(sizeof(*box));
    atomic_init(&box->head, NULL);
    atomic_init(&box->posting, 0);
    atomic_init(&box->refs, 1);
    box->wake = wake;
    box->ctx = ctx;
    box->fd = fd;
    *ret = box;
    return SB_OK;
}

struct sb_mailbox *sb_mailbox_ref(struct sb_mailbox *box)
{
    (void)atomic_fetch_add(&box->refs, 1);
    return box;
}

void sb_mailbox_unref(struct sb_mailbox **boxp)
{
    struct sb_mailbox *box = *boxp;

    *boxp = NULL;
    if (box == NULL || atomic_fetch_sub(&box->refs, 1) > 1)
        return;
    sb_mailbox_close(box);
    if (box->fd >= 0)
        (void)close(box->fd);
    sb_mem_free(box);
}

/* Newest first becomes oldest first. */
static struct sb_mail *turn_round(struct sb_mail *newest)
{
    struct sb_mail *chain = NULL;

    while (newest != NULL) {
        struct sb_mail *next = newest->next;

        newest->next = chain;
        chain = newest;
        newest = next;
    }
    return chain;
}

static void drop_all(struct sb_mail *newest)
{
    struct sb_mail *chain = turn_round(newest);
    struct sb_mail *mail;

    while ((mail = sb_mail_pop(&chain)) != NULL)
        if (mail->drop != NULL)
            mail->drop(mail);
}

/* Pushes newest ... oldest; false when the mailbox is closed. */
static bool push(struct sb_mailbox *box, struct sb_mail *newest, struct sb_mail *oldest)
{
    struct sb_mail *head;
    bool is_open;

    (void)atomic_fetch_add(&box->posting, 1);
    head = atomic_load(&box->head);
    do {
        is_open = head != &closed;
        if (!is_open)
            break;
        oldest->next = head;
    } while (!atomic_compare_exchange_weak(&box->head, &head, newest));
    if (is_open && head == NULL)
        ring(box);
    (void)atomic_fetch_sub(&box->posting, 1);
    return is_open;
}

bool sb_mailbox_post(struct sb_mailbox *box, struct sb_mail *mail)
{
    mail->next = NULL;
    if (push(box, mail, mail))
        return true;
    mail->next = NULL;
    drop_all(mail);
    return false;
}

void sb_mail_batch_add(struct sb_mail_batch *batch, struct sb_mail *mail)
{
    mail->next = batch->first;
    batch->first = mail;
    if (batch->last == NULL)
        batch->last = mail;
    batch->n++;
}

bool sb_mailbox_post_batch(struct sb_mailbox *box, struct sb_mail_batch *batch)
{
    struct sb_mail_batch all = *batch;

    *batch = (struct sb_mail_batch){.n = 0};
    if (all.n == 0 || push(box, all.first, all.last))
        return true;
    all.last->next = NULL;
    drop_all(all.first);
    return false;
}

struct sb_mail *sb_mailbox_take(struct sb_mailbox *box)
{
    struct sb_mail *head;
    uint64_t count;

    /* The bell first, the mail second: whoever posts in between rings again,
     * and that ring finds nothing, which is harmless. */
    if (box->fd >= 0 && read(box->fd, &count, sizeof(count)) < 0)
        SB_BUG_ON(errno != EAGAIN && errno != EINTR);
    head = atomic_load(&box->head);
    do {
        if (head == NULL || head == &closed)
            return NULL;
    } while (!atomic_compare_exchange_weak(&box->head, &head, NULL));
    return turn_round(head);
}

struct sb_mail *sb_mail_pop(struct sb_mail **chain)
{
    struct sb_mail *mail = *chain;

    if (mail != NULL) {
        *chain = mail->next;
        mail->next = NULL;
    }
    return mail;
}

void sb_mailbox_close(struct sb_mailbox *box)
{
    struct sb_mail *head = atomic_exchange(&box->head, &closed);

    /* A few instructions of a sender that got in before. */
    while (atomic_load(&box->posting) > 0)
        (void)sched_yield();
    if (head != &closed)
        drop_all(head);
}

int sb_mailbox_fd(const struct sb_mailbox *box)
{
    return box->fd;
}

static void on_question_dropped(struct sb_mail *mail)
{
    sb_ask_reply(container_of(mail, struct sb_ask, mail), SB_ECANCELED);
}

static void on_answer_dropped(struct sb_mail *mail)
{
    sb_ask_release(container_of(mail, struct sb_ask, mail));
}

void sb_ask_init(struct sb_ask *ask, uint32_t kind, sb_ask_free_cb *free_request)
{
    pthread_condattr_t attr;

    *ask = (struct sb_ask){.mail = {.kind = kind, .drop = on_question_dropped},
                           .free_request = free_request,
                           .rc = SB_OK};
    atomic_init(&ask->refs, 1);
    SB_BUG_ON(pthread_condattr_init(&attr) != 0);
    SB_BUG_ON(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0);
    SB_BUG_ON(pthread_cond_init(&ask->done, &attr) != 0);
    SB_BUG_ON(pthread_mutex_init(&ask->lock, NULL) != 0);
    (void)pthread_condattr_destroy(&attr);
}

static struct timespec deadline_in(sb_msec timeout)
{
    enum { LONGEST = 24 * 3600 * 1000 };
    struct timespec at;

    if (timeout > LONGEST)
        timeout = LONGEST;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(timeout / 1000);
    at.tv_nsec += (long)(timeout % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

int sb_ask_wait(struct sb_ask *ask, struct sb_mailbox *box, sb_msec timeout)
{
    struct timespec until = deadline_in(timeout);
    int failed = 0, rc;

    (void)atomic_fetch_add(&ask->refs, 1); /* the answerer's */
    (void)sb_mailbox_post(box, &ask->mail);
    (void)pthread_mutex_lock(&ask->lock);
    while (!ask->is_done && failed == 0)
        failed = pthread_cond_timedwait(&ask->done, &ask->lock, &until);
    rc = ask->is_done ? ask->rc : SB_ETIMEDOUT;
    (void)pthread_mutex_unlock(&ask->lock);
    return rc;
}

void sb_ask_send(struct sb_ask *ask, struct sb_mailbox *box, struct sb_mailbox *reply_to)
{
    (void)atomic_fetch_add(&ask->refs, 1); /* the answerer's */
    ask->reply_to = sb_mailbox_ref(reply_to);
    (void)sb_mailbox_post(box, &ask->mail);
}

void sb_ask_reply(struct sb_ask *ask, int rc)
{
    struct sb_mailbox *reply_to;

    (void)pthread_mutex_lock(&ask->lock);
    SB_BUG_ON(ask->is_done);
    ask->rc = rc;
    ask->is_done = true;
    reply_to = ask->reply_to;
    ask->reply_to = NULL;
    (void)pthread_cond_signal(&ask->done);
    (void)pthread_mutex_unlock(&ask->lock);
    if (reply_to != NULL) {
        ask->mail.drop = on_answer_dropped;
        (void)sb_mailbox_post(reply_to, &ask->mail); /* with the asker's reference */
        sb_mailbox_unref(&reply_to);
    }
    sb_ask_release(ask);
}

bool sb_ask_is_done(const struct sb_ask *ask)
{
    return ask->is_done;
}

void sb_ask_release(struct sb_ask *ask)
{
    if (atomic_fetch_sub(&ask->refs, 1) > 1)
        return;
    (void)pthread_cond_destroy(&ask->done);
    (void)pthread_mutex_destroy(&ask->lock);
    if (ask->free_request != NULL)
        ask->free_request(ask);
}
