/* tests/unit/common/test_mailbox.c */
#include "common/mailbox.h"

#include <poll.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/test.h"

struct item {
    struct sb_mail mail;
    int sender, no;
};

static atomic_int n_dropped;

static void drop_item(struct sb_mail *mail)
{
    (void)atomic_fetch_add(&n_dropped, 1);
    sb_mem_free(container_of(mail, struct item, mail));
}

static struct sb_mail *make_item(int sender, int no)
{
    struct item *item = sb_mem_new(sizeof(*item));

    *item = (struct item){.mail = {.kind = 7, .drop = drop_item}, .sender = sender, .no = no};
    return &item->mail;
}

static struct item *item_of(struct sb_mail *mail)
{
    return container_of(mail, struct item, mail);
}

static void count_wake(void *ctx)
{
    (void)atomic_fetch_add((atomic_int *)ctx, 1);
}

static void mail_arrives_in_the_order_it_was_posted(void **state)
{
    struct sb_mailbox *box = NULL;
    struct sb_mail *chain, *mail;
    int no = 0;

    (void)state;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &box), SB_OK);
    assert_null(sb_mailbox_take(box));
    for (int i = 0; i < 10; i++)
        assert_true(sb_mailbox_post(box, make_item(0, i)));
    chain = sb_mailbox_take(box);
    while ((mail = sb_mail_pop(&chain)) != NULL) {
        assert_int_equal(mail->kind, 7);
        assert_int_equal(item_of(mail)->no, no++);
        sb_mem_free(item_of(mail));
    }
    assert_int_equal(no, 10);
    assert_null(sb_mailbox_take(box));
    sb_mailbox_unref(&box);
    assert_null(box);
}

static void a_batch_costs_one_wake(void **state)
{
    struct sb_mail_batch batch = {.n = 0};
    struct sb_mailbox *box = NULL;
    struct sb_mail *chain, *mail;
    atomic_int wakes = 0;
    int no = 0;

    (void)state;
    assert_int_equal(sb_mailbox_new(count_wake, &wakes, &box), SB_OK);
    assert_int_equal(sb_mailbox_fd(box), -1);
    assert_true(sb_mailbox_post_batch(box, &batch));
    assert_int_equal(wakes, 0); /* an empty one costs none */
    for (int i = 0; i < 1000; i++)
        sb_mail_batch_add(&batch, make_item(0, i));
    assert_true(sb_mailbox_post_batch(box, &batch));
    assert_int_equal(wakes, 1);
    assert_int_equal(batch.n, 0);
    for (int i = 1000; i < 1010; i++)
        sb_mail_batch_add(&batch, make_item(0, i));
    assert_true(sb_mailbox_post_batch(box, &batch));
    assert_true(sb_mailbox_post(box, make_item(0, 1010)));
    assert_int_equal(wakes, 1); /* not taken yet: the receiver knows */
    chain = sb_mailbox_take(box);
    while ((mail = sb_mail_pop(&chain)) != NULL) {
        assert_int_equal(item_of(mail)->no, no++);
        sb_mem_free(item_of(mail));
    }
    assert_int_equal(no, 1011);
    assert_true(sb_mailbox_post(box, make_item(0, 0)));
    assert_int_equal(wakes, 2);
    sb_mailbox_unref(&box); /* drops the last one */
}

static bool is_readable(int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};

    return poll(&item, 1, 0) == 1;
}

static void its_descriptor_is_readable_while_mail_waits(void **state)
{
    struct sb_mailbox *box = NULL;
    struct sb_mail *mail;

    (void)state;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &box), SB_OK);
    assert_false(is_readable(sb_mailbox_fd(box)));
    assert_true(sb_mailbox_post(box, make_item(0, 0)));
    assert_true(is_readable(sb_mailbox_fd(box)));
    mail = sb_mailbox_take(box);
    assert_false(is_readable(sb_mailbox_fd(box)));
    sb_mem_free(item_of(mail));
    sb_mailbox_unref(&box);
}

static void a_closed_mailbox_drops_what_comes(void **state)
{
    struct sb_mail_batch batch = {.n = 0};
    struct sb_mailbox *box = NULL;
    atomic_int wakes = 0;

    (void)state;
    n_dropped = 0;
    assert_int_equal(sb_mailbox_new(count_wake, &wakes, &box), SB_OK);
    for (int i = 0; i < 3; i++)
        assert_true(sb_mailbox_post(box, make_item(0, i)));
    sb_mailbox_close(box);
    assert_int_equal(n_dropped, 3);
    assert_false(sb_mailbox_post(box, make_item(0, 3)));
    sb_mail_batch_add(&batch, make_item(0, 4));
    sb_mail_batch_add(&batch, make_item(0, 5));
    assert_false(sb_mailbox_post_batch(box, &batch));
    assert_int_equal(n_dropped, 6);
    assert_null(sb_mailbox_take(box));
    assert_int_equal(wakes, 1);
    sb_mailbox_close(box);
    sb_mailbox_unref(&box);
}

static void a_reference_outlives_the_receiver(void **state)
{
    struct sb_mailbox *box = NULL, *kept;

    (void)state;
    n_dropped = 0;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &box), SB_OK);
    kept = sb_mailbox_ref(box);
    sb_mailbox_close(box);
    sb_mailbox_unref(&box);
    assert_false(sb_mailbox_post(kept, make_item(0, 0)));
    assert_int_equal(n_dropped, 1);
    sb_mailbox_unref(&kept);
}

enum { SENDERS = 4, EACH = 20000 };

struct sender {
    pthread_t thread;
    struct sb_mailbox *box;
    int id;
};

static void *send_many(void *ctx)
{
    struct sender *sender = ctx;
    struct sb_mail_batch batch = {.n = 0};

    for (int i = 0; i < EACH; i++) {
        if (i % 3 == 0) { /* singly and in batches, never out of order */
            (void)sb_mailbox_post_batch(sender->box, &batch);
            (void)sb_mailbox_post(sender->box, make_item(sender->id, i));
        } else {
            sb_mail_batch_add(&batch, make_item(sender->id, i));
        }
    }
    (void)sb_mailbox_post_batch(sender->box, &batch);
    sb_mailbox_unref(&sender->box);
    return NULL;
}

static void start_senders(struct sender *senders, struct sb_mailbox *box)
{
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.box = sb_mailbox_ref(box), .id = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
    }
}

static void many_threads_lose_nothing_and_keep_their_order(void **state)
{
    struct sender senders[SENDERS];
    struct sb_mailbox *box = NULL;
    int next[SENDERS] = {0}, left = SENDERS * EACH;

    (void)state;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &box), SB_OK);
    start_senders(senders, box);
    while (left > 0) {
        struct pollfd item = {.fd = sb_mailbox_fd(box), .events = POLLIN};
        struct sb_mail *chain, *mail;

        /* A lost wake would end here. */
        assert_int_equal(poll(&item, 1, 30000), 1);
        chain = sb_mailbox_take(box);
        while ((mail = sb_mail_pop(&chain)) != NULL) {
            struct item *got = item_of(mail);

            assert_int_equal(got->no, next[got->sender]++);
            sb_mem_free(got);
            left--;
        }
    }
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    sb_mailbox_unref(&box);
}

/* A wake that is still running when its receiver closes. */
struct slow_wake {
    struct sb_mailbox *box;
    atomic_bool is_running, has_close_returned;
    bool was_late;
};

static void wake_slowly(void *ctx)
{
    struct slow_wake *slow = ctx;

    atomic_store(&slow->is_running, true);
    /* A post that is refused shows that the close has begun ... */
    while (sb_mailbox_post(slow->box, make_item(0, 0)))
        (void)poll(NULL, 0, 1);
    /* ... and now it has every chance to return too early. */
    for (int i = 0; i < 50 && !slow->was_late; i++) {
        (void)poll(NULL, 0, 1);
        slow->was_late = atomic_load(&slow->has_close_returned);
    }
}

static void *post_one(void *ctx)
{
    (void)sb_mailbox_post(ctx, make_item(0, 0));
    return NULL;
}

static void close_waits_for_a_wake_under_way(void **state)
{
    struct slow_wake slow = {.was_late = false};
    pthread_t thread;

    (void)state;
    assert_int_equal(sb_mailbox_new(wake_slowly, &slow, &slow.box), SB_OK);
    assert_int_equal(pthread_create(&thread, NULL, post_one, slow.box), 0);
    while (!atomic_load(&slow.is_running))
        (void)poll(NULL, 0, 1);
    sb_mailbox_close(slow.box);
    atomic_store(&slow.has_close_returned, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(slow.was_late);
    sb_mailbox_unref(&slow.box);
}

static void closing_under_fire_loses_no_memory(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct sender senders[SENDERS];
        struct sb_mailbox *box = NULL;

        n_dropped = 0;
        assert_int_equal(sb_mailbox_new(NULL, NULL, &box), SB_OK);
        start_senders(senders, box);
        sb_mailbox_close(box);
        sb_mailbox_unref(&box); /* the senders hold their own */
        for (int i = 0; i < SENDERS; i++)
            assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
        assert_int_equal(n_dropped, SENDERS * EACH);
    }
}

struct question {
    struct sb_ask ask;
    int question, answer;
};

static atomic_int n_freed;

static void free_question(struct sb_ask *ask)
{
    (void)atomic_fetch_add(&n_freed, 1);
    sb_mem_free(container_of(ask, struct question, ask));
}

static struct question *make_question(int question)
{
    struct question *q = sb_mem_new(sizeof(*q));

    sb_ask_init(&q->ask, 9, free_question);
    q->question = question;
    return q;
}

static struct question *question_of(struct sb_mail *mail)
{
    return container_of(mail, struct question, ask.mail);
}

static void *answer_one(void *ctx)
{
    struct sb_mailbox *box = ctx;
    struct pollfd item = {.fd = sb_mailbox_fd(box), .events = POLLIN};
    struct question *q;

    if (poll(&item, 1, 30000) != 1)
        return NULL;
    q = question_of(sb_mailbox_take(box));
    q->answer = q->question * 2;
    sb_ask_reply(&q->ask, SB_ECONFLICT);
    return NULL;
}

static void a_question_waits_for_its_answer(void **state)
{
    struct question *q = make_question(21);
    struct sb_mailbox *box = NULL;
    pthread_t thread;

    (void)state;
    n_freed = 0;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &box), SB_OK);
    assert_int_equal(pthread_create(&thread, NULL, answer_one, box), 0);
    assert_int_equal(sb_ask_wait(&q->ask, box, 30000), SB_ECONFLICT);
    assert_int_equal(q->answer, 42);
    sb_ask_release(&q->ask);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(n_freed, 1);
    sb_mailbox_unref(&box);
}

static void a_late_answer_finds_its_memory(void **state)
{
    struct question *q = make_question(1), *late;
    struct sb_mailbox *box = NULL;

    (void)state;
    n_freed = 0;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &box), SB_OK);
    assert_int_equal(sb_ask_wait(&q->ask, box, 1), SB_ETIMEDOUT);
    sb_ask_release(&q->ask);
    assert_int_equal(n_freed, 0);
    late = question_of(sb_mailbox_take(box));
    late->answer = 2;
    sb_ask_reply(&late->ask, SB_OK);
    assert_int_equal(n_freed, 1);
    sb_mailbox_unref(&box);
}

static void a_question_to_a_closed_mailbox_is_cancelled(void **state)
{
    struct question *q = make_question(1);
    struct sb_mailbox *box = NULL;

    (void)state;
    n_freed = 0;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &box), SB_OK);
    sb_mailbox_close(box);
    assert_int_equal(sb_ask_wait(&q->ask, box, 30000), SB_ECANCELED);
    sb_ask_release(&q->ask);
    assert_int_equal(n_freed, 1);
    sb_mailbox_unref(&box);
}

static void an_answer_can_come_as_mail(void **state)
{
    struct sb_mailbox *asker = NULL, *answerer = NULL;
    struct question *q = make_question(5);

    (void)state;
    n_freed = 0;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &asker), SB_OK);
    assert_int_equal(sb_mailbox_new(NULL, NULL, &answerer), SB_OK);
    sb_ask_send(&q->ask, answerer, asker);
    assert_null(sb_mailbox_take(asker));
    q = question_of(sb_mailbox_take(answerer));
    assert_false(sb_ask_is_done(&q->ask));
    q->answer = 50;
    sb_ask_reply(&q->ask, SB_OK);
    q = question_of(sb_mailbox_take(asker));
    assert_true(sb_ask_is_done(&q->ask));
    assert_int_equal(q->ask.mail.kind, 9);
    assert_int_equal(q->ask.rc, SB_OK);
    assert_int_equal(q->answer, 50);
    sb_ask_release(&q->ask);
    assert_int_equal(n_freed, 1);
    sb_mailbox_unref(&asker);
    sb_mailbox_unref(&answerer);
}

static void an_asker_that_is_gone_leaks_nothing(void **state)
{
    struct sb_mailbox *asker = NULL, *answerer = NULL;
    struct question *q = make_question(5);

    (void)state;
    n_freed = 0;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &asker), SB_OK);
    assert_int_equal(sb_mailbox_new(NULL, NULL, &answerer), SB_OK);
    sb_ask_send(&q->ask, answerer, asker);
    sb_mailbox_close(asker);
    sb_mailbox_unref(&asker);
    sb_ask_reply(&question_of(sb_mailbox_take(answerer))->ask, SB_OK);
    assert_int_equal(n_freed, 1);
    sb_mailbox_unref(&answerer);
}

static void an_unread_question_is_answered_when_its_receiver_goes(void **state)
{
    struct sb_mailbox *asker = NULL, *answerer = NULL;
    struct question *q = make_question(5);

    (void)state;
    n_freed = 0;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &asker), SB_OK);
    assert_int_equal(sb_mailbox_new(NULL, NULL, &answerer), SB_OK);
    sb_ask_send(&q->ask, answerer, asker);
    sb_mailbox_unref(&answerer);
    q = question_of(sb_mailbox_take(asker));
    assert_int_equal(q->ask.rc, SB_ECANCELED);
    sb_ask_release(&q->ask);
    assert_int_equal(n_freed, 1);
    sb_mailbox_unref(&asker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_arrives_in_the_order_it_was_posted),
        cmocka_unit_test(a_batch_costs_one_wake),
        cmocka_unit_test(its_descriptor_is_readable_while_mail_waits),
        cmocka_unit_test(a_closed_mailbox_drops_what_comes),
        cmocka_unit_test(a_reference_outlives_the_receiver),
        cmocka_unit_test(many_threads_lose_nothing_and_keep_their_order),
        cmocka_unit_test(close_waits_for_a_wake_under_way),
        cmocka_unit_test(closing_under_fire_loses_no_memory),
        cmocka_unit_test(a_question_waits_for_its_answer),
        cmocka_unit_test(a_late_answer_finds_its_memory),
        cmocka_unit_test(a_question_to_a_closed_mailbox_is_cancelled),
        cmocka_unit_test(an_answer_can_come_as_mail),
        cmocka_unit_test(an_asker_that_is_gone_leaks_nothing),
        cmocka_unit_test(an_unread_question_is_answered_when_its_receiver_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
