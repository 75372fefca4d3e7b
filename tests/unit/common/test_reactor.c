/* tests/unit/common/test_reactor.c */
#include "common/reactor.h"

#include <unistd.h>

#include "common/err.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

struct ticker {
    struct sb_reactor_timer timer;
    struct sb_reactor *reactor;
    struct ticker *victim; /* stopped by its tick */
    bool restarts;         /* with no delay */
    int n, order;
};

static int n_ticks;

static void on_tick(struct sb_reactor_timer *timer)
{
    struct ticker *ticker = container_of(timer, struct ticker, timer);

    ticker->n++;
    ticker->order = ++n_ticks;
    if (ticker->victim != NULL)
        sb_reactor_timer_stop(&ticker->victim->timer);
    if (ticker->restarts)
        sb_reactor_timer_start(ticker->reactor, timer, 0, 0, on_tick);
}

static struct sb_reactor *make_reactor(struct fake_clock *clock)
{
    struct sb_reactor *reactor = NULL;

    n_ticks = 0;
    assert_int_equal(sb_reactor_new(&clock->clock, &reactor), SB_OK);
    return reactor;
}

static void turn(struct sb_reactor *reactor)
{
    assert_int_equal(sb_reactor_turn(reactor, 0), SB_OK);
}

static void timers_fire_when_due_and_in_order(void **state)
{
    struct fake_clock clock = FAKE_CLOCK_INIT;
    struct sb_reactor *reactor = make_reactor(&clock);
    struct ticker a = {.n = 0}, b = {.n = 0}, c = {.n = 0};

    (void)state;
    sb_reactor_timer_start(reactor, &a.timer, 30, 0, on_tick);
    sb_reactor_timer_start(reactor, &b.timer, 10, 0, on_tick);
    sb_reactor_timer_start(reactor, &c.timer, 20, 0, on_tick);
    assert_true(sb_reactor_timer_is_running(&a.timer));
    clock.at += 9;
    turn(reactor);
    assert_int_equal(n_ticks, 0);
    clock.at += 50;
    turn(reactor);
    assert_int_equal(b.order, 1);
    assert_int_equal(c.order, 2);
    assert_int_equal(a.order, 3);
    assert_false(sb_reactor_timer_is_running(&a.timer));
    clock.at += 50;
    turn(reactor);
    assert_int_equal(n_ticks, 3);
    sb_reactor_destroy(&reactor);
}

static void a_repeating_timer_does_not_make_up_for_missed_periods(void **state)
{
    struct fake_clock clock = FAKE_CLOCK_INIT;
    struct sb_reactor *reactor = make_reactor(&clock);
    struct ticker a = {.n = 0};

    (void)state;
    sb_reactor_timer_start(reactor, &a.timer, 10, 10, on_tick);
    for (int i = 0; i < 3; i++) {
        clock.at += 10;
        turn(reactor);
    }
    assert_int_equal(a.n, 3);
    clock.at += 1000;
    turn(reactor);
    turn(reactor);
    assert_int_equal(a.n, 4);
    clock.at += 10;
    turn(reactor);
    assert_int_equal(a.n, 5);
    sb_reactor_timer_stop(&a.timer);
    sb_reactor_timer_stop(&a.timer);
    clock.at += 10;
    turn(reactor);
    assert_int_equal(a.n, 5);
    sb_reactor_destroy(&reactor);
}

static void a_timer_stopped_by_another_does_not_fire(void **state)
{
    struct fake_clock clock = FAKE_CLOCK_INIT;
    struct sb_reactor *reactor = make_reactor(&clock);
    struct ticker a = {.n = 0}, b = {.n = 0}, c = {.n = 0};

    (void)state;
    a.victim = &b;
    sb_reactor_timer_start(reactor, &a.timer, 1, 0, on_tick);
    sb_reactor_timer_start(reactor, &b.timer, 2, 0, on_tick);
    sb_reactor_timer_start(reactor, &c.timer, 3, 0, on_tick);
    clock.at += 5;
    turn(reactor);
    assert_int_equal(a.n, 1);
    assert_int_equal(b.n, 0);
    assert_int_equal(c.n, 1);
    sb_reactor_destroy(&reactor);
}

static void a_timer_without_delay_waits_for_the_next_turn(void **state)
{
    struct fake_clock clock = FAKE_CLOCK_INIT;
    struct sb_reactor *reactor = make_reactor(&clock);
    struct ticker a = {.restarts = true};

    (void)state;
    a.reactor = reactor;
    sb_reactor_timer_start(reactor, &a.timer, 0, 0, on_tick);
    turn(reactor);
    assert_int_equal(a.n, 1);
    turn(reactor);
    assert_int_equal(a.n, 2);
    sb_reactor_destroy(&reactor);
    assert_false(sb_reactor_timer_is_running(&a.timer));
}

struct reader {
    struct sb_reactor *reactor;
    int fd;        /* of itself */
    int remove_fd; /* what it removes when called; -1: nothing */
    int n;
    unsigned events;
};

static void on_ready(void *ctx, unsigned events)
{
    struct reader *reader = ctx;

    reader->n++;
    reader->events = events;
    if (reader->remove_fd >= 0)
        sb_reactor_remove_fd(reader->reactor, reader->remove_fd);
}

static void descriptors_report_what_was_asked_for(void **state)
{
    struct fake_clock clock = FAKE_CLOCK_INIT;
    struct sb_reactor *reactor = make_reactor(&clock);
    struct reader in = {.remove_fd = -1}, out = {.remove_fd = -1};
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    sb_reactor_add_fd(reactor, fds[0], SB_REACTOR_IN, on_ready, &in);
    sb_reactor_add_fd(reactor, fds[1], 0, on_ready, &out);
    turn(reactor);
    assert_int_equal(in.n + out.n, 0);
    sb_reactor_set_fd(reactor, fds[1], SB_REACTOR_OUT);
    turn(reactor);
    assert_int_equal(out.events, SB_REACTOR_OUT);
    sb_reactor_set_fd(reactor, fds[1], 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    turn(reactor);
    turn(reactor); /* by level: still unread */
    assert_int_equal(in.events, SB_REACTOR_IN);
    assert_int_equal(in.n, 2);
    assert_int_equal(out.n, 1);
    sb_reactor_remove_fd(reactor, fds[0]);
    assert_int_equal(close(fds[0]), 0);
    turn(reactor); /* the other end is gone: said without being asked */
    assert_int_equal(out.n, 2);
    assert_true((out.events & SB_REACTOR_ERR) != 0);
    assert_int_equal(in.n, 2);
    assert_int_equal(close(fds[1]), 0);
    sb_reactor_destroy(&reactor);
}

static void what_was_removed_is_not_called_in_the_same_turn(void **state)
{
    struct fake_clock clock = FAKE_CLOCK_INIT;
    struct sb_reactor *reactor = make_reactor(&clock);
    struct reader a = {.reactor = reactor}, b = {.reactor = reactor};
    int one[2], two[2];

    (void)state;
    assert_int_equal(pipe(one), 0);
    assert_int_equal(pipe(two), 0);
    a.remove_fd = two[1];
    b.remove_fd = one[1];
    sb_reactor_add_fd(reactor, one[1], SB_REACTOR_OUT, on_ready, &a);
    sb_reactor_add_fd(reactor, two[1], SB_REACTOR_OUT, on_ready, &b);
    turn(reactor);
    assert_int_equal(a.n + b.n, 1); /* whoever came first removed the other */
    a.remove_fd = b.remove_fd = -1;
    turn(reactor);
    assert_int_equal(a.n + b.n, 2);
    sb_reactor_destroy(&reactor);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(close(one[i]), 0);
        assert_int_equal(close(two[i]), 0);
    }
}

struct letter {
    struct sb_mail mail;
};

static void free_letter(struct sb_mail *mail)
{
    sb_mem_free(container_of(mail, struct letter, mail));
}

static struct sb_mail *make_letter(void)
{
    struct letter *letter = sb_mem_new(sizeof(*letter));

    letter->mail.drop = free_letter;
    return &letter->mail;
}

struct receiver {
    struct sb_reactor *reactor;
    struct sb_mailbox *box;
    int n, leave_after;
};

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct receiver *receiver = ctx;

    free_letter(mail);
    if (++receiver->n == receiver->leave_after) {
        sb_reactor_remove_mailbox(receiver->reactor, receiver->box);
        sb_reactor_stop(receiver->reactor);
    }
}

static void mail_is_handed_over_and_the_loop_can_be_stopped(void **state)
{
    struct fake_clock clock = FAKE_CLOCK_INIT;
    struct receiver receiver = {.leave_after = 5};

    (void)state;
    receiver.reactor = make_reactor(&clock);
    assert_int_equal(sb_mailbox_new(NULL, NULL, &receiver.box), SB_OK);
    sb_reactor_add_mailbox(receiver.reactor, receiver.box, on_mail, &receiver);
    for (int i = 0; i < 4; i++)
        assert_true(sb_mailbox_post(receiver.box, make_letter()));
    turn(receiver.reactor);
    assert_int_equal(receiver.n, 4);
    for (int i = 0; i < 4; i++) /* the last three come after it left: dropped */
        assert_true(sb_mailbox_post(receiver.box, make_letter()));
    assert_int_equal(sb_reactor_run(receiver.reactor), SB_OK);
    assert_int_equal(receiver.n, 5);
    assert_int_equal(sb_reactor_turn(receiver.reactor, 0), SB_ECANCELED);
    sb_reactor_destroy(&receiver.reactor);
    sb_mailbox_unref(&receiver.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_when_due_and_in_order),
        cmocka_unit_test(a_repeating_timer_does_not_make_up_for_missed_periods),
        cmocka_unit_test(a_timer_stopped_by_another_does_not_fire),
        cmocka_unit_test(a_timer_without_delay_waits_for_the_next_turn),
        cmocka_unit_test(descriptors_report_what_was_asked_for),
        cmocka_unit_test(what_was_removed_is_not_called_in_the_same_turn),
        cmocka_unit_test(mail_is_handed_over_and_the_loop_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
