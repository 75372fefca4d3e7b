/* tests/unit/common/test_actor.c */
#include "common/actor.h"

#include <poll.h>
#include <signal.h>

#include "common/bus.h"
#include "common/loop.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "tests/lib/test.h"

enum kind { DOUBLE_IT = 1, GIVE_MASK, END_YOURSELF };

struct job {
    struct sb_mail mail;
    int value;
};

struct question {
    struct sb_ask ask;
    bool is_blocked;
};

/* Doubles jobs and sends them to its owner, a batch for a batch. */
struct doubler {
    bool must_fail;
    struct sb_mailbox *owner; /* may be NULL: keeps a count only */
    struct sb_reactor *reactor;
    struct sb_mailbox *self;
    struct sb_reactor_timer flush;
    struct sb_mail_batch out;
    int n_mail, n_stopped;
};

static void free_job(struct sb_mail *mail)
{
    sb_mem_free(container_of(mail, struct job, mail));
}

static struct sb_mail *make_job(int value)
{
    struct job *job = sb_mem_new(sizeof(*job));

    *job = (struct job){.mail = {.kind = DOUBLE_IT, .drop = free_job}, .value = value};
    return &job->mail;
}

static int doubler_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                         struct sb_errmsg *err)
{
    struct doubler *doubler = ctx;

    if (doubler->must_fail)
        return sb_err_set(err, SB_EADDRINUSE, "port %d is taken", 4711);
    doubler->reactor = reactor;
    doubler->self = self;
    return SB_OK;
}

static void on_flush(struct sb_reactor_timer *timer)
{
    struct doubler *doubler = container_of(timer, struct doubler, flush);

    (void)sb_mailbox_post_batch(doubler->owner, &doubler->out);
}

static void free_question(struct sb_ask *ask)
{
    sb_mem_free(container_of(ask, struct question, ask));
}

static void answer_mask(struct sb_mail *mail)
{
    struct question *q = container_of(mail, struct question, ask.mail);
    sigset_t mask;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    q->is_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1;
    sb_ask_reply(&q->ask, SB_OK);
}

static void doubler_on_mail(void *ctx, struct sb_mail *mail)
{
    struct doubler *doubler = ctx;

    doubler->n_mail++;
    if (mail->kind == GIVE_MASK) {
        answer_mask(mail);
    } else if (mail->kind == END_YOURSELF) {
        free_job(mail);
        sb_reactor_stop(doubler->reactor);
    } else if (doubler->owner == NULL) {
        free_job(mail);
    } else {
        container_of(mail, struct job, mail)->value *= 2;
        sb_mail_batch_add(&doubler->out, mail);
        if (!sb_reactor_timer_is_running(&doubler->flush))
            sb_reactor_timer_start(doubler->reactor, &doubler->flush, 0, 0, on_flush);
    }
}

static void doubler_stop(void *ctx)
{
    struct doubler *doubler = ctx;

    doubler->n_stopped++;
}

static const struct sb_actor_ops doubler_ops = {
    .name = "doubler", .start = doubler_start, .on_mail = doubler_on_mail, .stop = doubler_stop};

static struct sb_actor *start(struct doubler *doubler)
{
    struct sb_actor *actor = NULL;

    assert_int_equal(sb_actor_start(&doubler_ops, doubler, &actor, NULL), SB_OK);
    return actor;
}

static void batches_go_there_and_back(void **state)
{
    enum { BATCHES = 50, EACH = 200 };
    struct doubler doubler = {.n_mail = 0};
    struct sb_mail_batch batch = {.n = 0};
    struct sb_actor *actor;
    int next = 0;

    (void)state;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &doubler.owner), SB_OK);
    actor = start(&doubler);
    assert_ptr_equal(doubler.self, sb_actor_mailbox(actor));
    for (int i = 0; i < BATCHES; i++) {
        for (int j = 0; j < EACH; j++)
            sb_mail_batch_add(&batch, make_job(i * EACH + j));
        assert_true(sb_mailbox_post_batch(sb_actor_mailbox(actor), &batch));
    }
    while (next < BATCHES * EACH) {
        struct pollfd item = {.fd = sb_mailbox_fd(doubler.owner), .events = POLLIN};
        struct sb_mail *chain, *mail;

        assert_int_equal(poll(&item, 1, 30000), 1);
        chain = sb_mailbox_take(doubler.owner);
        while ((mail = sb_mail_pop(&chain)) != NULL) {
            assert_int_equal(container_of(mail, struct job, mail)->value, 2 * next++);
            free_job(mail);
        }
    }
    sb_actor_stop(&actor);
    assert_null(actor);
    assert_int_equal(doubler.n_stopped, 1);
    sb_mailbox_unref(&doubler.owner);
}

static void note_wake(void *ctx)
{
    struct sb_mailbox *bell = ctx;

    (void)sb_mailbox_post(bell, make_job(0));
}

static void an_owner_is_woken_once_per_batch(void **state)
{
    struct sb_mailbox *bell = NULL;
    struct doubler doubler = {.n_mail = 0};
    struct sb_mail_batch batch = {.n = 0};
    struct sb_actor *actor;
    struct sb_mail *chain, *mail;
    int n = 0, wakes = 0;

    (void)state;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &bell), SB_OK);
    assert_int_equal(sb_mailbox_new(note_wake, bell, &doubler.owner), SB_OK);
    actor = start(&doubler);
    for (int j = 0; j < 500; j++)
        sb_mail_batch_add(&batch, make_job(j));
    assert_true(sb_mailbox_post_batch(sb_actor_mailbox(actor), &batch));
    sb_actor_stop(&actor); /* handles what waits first, then its timer has no turn */
    (void)sb_mailbox_post_batch(doubler.owner, &doubler.out);
    chain = sb_mailbox_take(doubler.owner);
    while ((mail = sb_mail_pop(&chain)) != NULL) {
        n++;
        free_job(mail);
    }
    assert_int_equal(n, 500);
    chain = sb_mailbox_take(bell);
    while ((mail = sb_mail_pop(&chain)) != NULL) {
        wakes++;
        free_job(mail);
    }
    assert_int_equal(wakes, 1);
    sb_mailbox_unref(&doubler.owner);
    sb_mailbox_unref(&bell);
}

/* An owner on a libuv loop, as a worker is: it posts what a turn has gathered
 * at its end, and takes what came back when it is woken. */
struct owner {
    struct sb_loop *loop;
    struct sb_hook flush;
    struct sb_wake wake;
    struct doubler doubler;
    struct sb_actor *actor;
    struct sb_mail_batch out;
    int posted, came, wakes, flushes;
};

enum { JOBS = 20000, JOBS_PER_TURN = 50 };

static void gather(struct owner *owner)
{
    for (int i = 0; i < JOBS_PER_TURN && owner->posted < JOBS; i++)
        sb_mail_batch_add(&owner->out, make_job(owner->posted++));
}

static void on_turn_end(struct sb_hook *hook)
{
    struct owner *owner = container_of(hook, struct owner, flush);

    owner->flushes += owner->out.n > 0;
    assert_true(sb_mailbox_post_batch(sb_actor_mailbox(owner->actor), &owner->out));
}

static void on_woken(struct sb_wake *wake)
{
    struct owner *owner = container_of(wake, struct owner, wake);
    struct sb_mail *chain = sb_mailbox_take(owner->doubler.owner), *mail;

    owner->wakes++;
    while ((mail = sb_mail_pop(&chain)) != NULL) {
        assert_int_equal(container_of(mail, struct job, mail)->value, 2 * owner->came++);
        free_job(mail);
    }
    gather(owner);
    if (owner->came == JOBS)
        sb_loop_stop(owner->loop);
}

static void send_wake(void *ctx)
{
    sb_wake_send(ctx);
}

static void a_loop_and_an_actor_exchange_batches(void **state)
{
    struct owner owner = {.posted = 0};

    (void)state;
    assert_int_equal(sb_loop_new(&owner.loop), SB_OK);
    assert_int_equal(sb_wake_init(&owner.wake, owner.loop, on_woken), SB_OK);
    assert_int_equal(sb_mailbox_new(send_wake, &owner.wake, &owner.doubler.owner), SB_OK);
    owner.actor = start(&owner.doubler);
    sb_hook_add(&owner.flush, owner.loop, on_turn_end);
    gather(&owner);
    sb_loop_run(owner.loop);
    assert_int_equal(owner.came, JOBS);
    assert_true(owner.wakes <= owner.flushes); /* a batch for a batch, or fewer */
    sb_actor_stop(&owner.actor);
    sb_mailbox_close(owner.doubler.owner);
    sb_mailbox_unref(&owner.doubler.owner);
    sb_hook_remove(&owner.flush);
    sb_wake_close(&owner.wake, NULL);
    sb_loop_destroy(&owner.loop);
}

static void a_failed_start_says_why(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) { /* the thread's end races with the clean-up */
        struct doubler doubler = {.must_fail = true};
        struct sb_actor *actor = NULL;
        struct sb_errmsg err = {.text = ""};

        assert_int_equal(sb_actor_start(&doubler_ops, &doubler, &actor, &err), SB_EADDRINUSE);
        assert_string_equal(err.text, "port 4711 is taken");
        assert_null(actor);
        assert_int_equal(doubler.n_stopped, 0);
    }
}

static void start_and_stop_are_clean_many_times(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct doubler doubler = {.n_mail = 0};
        struct sb_actor *actor = start(&doubler);

        sb_actor_stop(&actor);
        assert_int_equal(doubler.n_stopped, 1);
    }
}

static void mail_that_waits_at_the_stop_is_handled_first(void **state)
{
    struct doubler doubler = {.n_mail = 0};
    struct sb_actor *actor = start(&doubler);
    struct sb_mailbox *box = sb_mailbox_ref(sb_actor_mailbox(actor));

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(sb_mailbox_post(box, make_job(i)));
    sb_actor_stop(&actor);
    assert_int_equal(doubler.n_mail, 1000);
    assert_false(sb_mailbox_post(box, make_job(0))); /* dropped, not leaked */
    sb_mailbox_unref(&box);
}

/* Looks every millisecond: the end of a thread has no descriptor. */
static bool is_closed_within(struct sb_mailbox *box, int patience)
{
    while (sb_mailbox_post(box, make_job(0)))
        if (poll(NULL, 0, 1) != 0 || patience-- == 0)
            return false;
    return true;
}

static void an_actor_that_ended_by_itself_can_be_stopped(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct doubler doubler = {.n_mail = 0};
        struct sb_actor *actor = start(&doubler);
        struct sb_mail *last = make_job(0);

        last->kind = END_YOURSELF;
        assert_true(sb_mailbox_post(sb_actor_mailbox(actor), last));
        if (i % 2 == 0) /* once it has surely ended */
            assert_true(is_closed_within(sb_actor_mailbox(actor), 30000));
        sb_actor_stop(&actor);
        assert_int_equal(doubler.n_stopped, 1);
    }
}

static void questions_are_answered_and_signals_blocked(void **state)
{
    struct doubler doubler = {.n_mail = 0};
    struct sb_actor *actor = start(&doubler);
    struct question *q = sb_mem_new(sizeof(*q));
    sigset_t mask;

    (void)state;
    sb_ask_init(&q->ask, GIVE_MASK, free_question);
    assert_int_equal(sb_ask_wait(&q->ask, sb_actor_mailbox(actor), 30000), SB_OK);
    assert_true(q->is_blocked);
    sb_ask_release(&q->ask);
    sb_actor_stop(&actor);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0); /* ours is as before */
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static int init_bus(void **state)
{
    (void)state;
    return sb_bus_init(NULL);
}

static int shut_bus_down(void **state)
{
    (void)state;
    sb_bus_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_go_there_and_back),
        cmocka_unit_test(an_owner_is_woken_once_per_batch),
        cmocka_unit_test(a_loop_and_an_actor_exchange_batches),
        cmocka_unit_test(a_failed_start_says_why),
        cmocka_unit_test(start_and_stop_are_clean_many_times),
        cmocka_unit_test(mail_that_waits_at_the_stop_is_handled_first),
        cmocka_unit_test(an_actor_that_ended_by_itself_can_be_stopped),
        cmocka_unit_test(questions_are_answered_and_signals_blocked),
    };

    return cmocka_run_group_tests(tests, init_bus, shut_bus_down);
}
