/* tests/unit/common/test_loop.c */
#include "common/loop.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/test.h"

/* What happened, one letter each, in order. */
static char events[64];

static void note(char letter)
{
    size_t n = strlen(events);

    assert_true(n + 1 < sizeof(events));
    events[n] = letter;
    events[n + 1] = '\0';
}

static struct sb_loop *loop;

static int set_up(void **state)
{
    (void)state;
    events[0] = '\0';
    return sb_loop_new(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    sb_loop_destroy(&loop);
    return loop == NULL ? 0 : 1;
}

/* --- timers ----------------------------------------------------------------- */

/* Real time passes as well: everything is hours apart. */
#define HOUR UINT64_C(3600000)

struct lettered_timer {
    struct sb_timer timer;
    char letter;
};

static void on_lettered(struct sb_timer *timer)
{
    assert_false(sb_timer_is_set(timer));
    note(container_of(timer, struct lettered_timer, timer)->letter);
}

static void timers_fire_once_in_order_of_their_deadlines(void **state)
{
    struct lettered_timer timers[4];
    static const sb_msec after[4] = {3 * HOUR, 1 * HOUR, 5 * HOUR, 2 * HOUR};
    sb_msec start = sb_loop_now(loop);

    (void)state;
    for (int i = 0; i < 4; i++) {
        timers[i].letter = (char)('a' + i);
        sb_timer_init(&timers[i].timer, loop, on_lettered);
        assert_false(sb_timer_is_set(&timers[i].timer));
        sb_timer_set(&timers[i].timer, start + after[i]);
    }
    sb_loop_turn(loop);
    assert_string_equal(events, "");
    sb_loop_skip(loop, 3 * HOUR);
    sb_loop_turn(loop);
    assert_string_equal(events, "bda");
    sb_loop_skip(loop, 2 * HOUR);
    sb_loop_turn(loop);
    sb_loop_turn(loop);
    assert_string_equal(events, "bdac");
}

static void a_later_deadline_does_no_queue_work_and_still_counts(void **state)
{
    struct lettered_timer t = {.letter = 't'};
    sb_msec start = sb_loop_now(loop);

    (void)state;
    sb_timer_init(&t.timer, loop, on_lettered);
    sb_timer_set(&t.timer, start + HOUR);
    for (sb_msec i = 1; i <= 100; i++) {
        sb_timer_cancel(&t.timer);
        sb_timer_set(&t.timer, start + HOUR * i);
        assert_true(t.timer.node.key == start + HOUR);
    }
    sb_loop_skip(loop, 99 * HOUR);
    sb_loop_turn(loop);
    assert_string_equal(events, "");
    assert_true(t.timer.node.key == start + 100 * HOUR);
    sb_loop_skip(loop, HOUR);
    sb_loop_turn(loop);
    assert_string_equal(events, "t");
}

static void an_earlier_deadline_counts_at_once(void **state)
{
    struct lettered_timer t = {.letter = 't'};
    sb_msec start = sb_loop_now(loop);

    (void)state;
    sb_timer_init(&t.timer, loop, on_lettered);
    sb_timer_set(&t.timer, start + 3 * HOUR);
    sb_timer_set(&t.timer, start + 1 * HOUR);
    sb_loop_skip(loop, 2 * HOUR);
    sb_loop_turn(loop);
    assert_string_equal(events, "t");
}

static void a_cancelled_timer_stays_silent(void **state)
{
    struct lettered_timer t = {.letter = 't'};

    (void)state;
    sb_timer_init(&t.timer, loop, on_lettered);
    sb_timer_set(&t.timer, sb_loop_now(loop) + 10);
    sb_timer_cancel(&t.timer);
    assert_false(sb_timer_is_set(&t.timer));
    sb_loop_skip(loop, 1000);
    sb_loop_turn(loop);
    assert_string_equal(events, "");
}

static void memory_of_a_released_timer_may_go_at_once(void **state)
{
    struct lettered_timer *t = sb_mem_new(sizeof(*t));
    struct lettered_timer other = {.letter = 'o'};
    struct sb_timer zeros = {.loop = NULL};

    (void)state;
    sb_timer_init(&t->timer, loop, on_lettered);
    sb_timer_init(&other.timer, loop, on_lettered);
    sb_timer_set(&t->timer, sb_loop_now(loop) + 10);
    sb_timer_set(&other.timer, sb_loop_now(loop) + 20);
    sb_timer_cancel(&t->timer);
    sb_timer_release(&t->timer);
    sb_timer_release(&t->timer);
    sb_timer_release(&zeros);
    sb_mem_free(t);
    sb_loop_skip(loop, 100);
    sb_loop_turn(loop);
    assert_string_equal(events, "o");
}

static void on_again(struct sb_timer *timer)
{
    note('t');
    sb_timer_set(timer, 0);
}

static void a_timer_that_sets_itself_to_the_past_runs_once_per_turn(void **state)
{
    struct sb_timer timer;

    (void)state;
    sb_timer_init(&timer, loop, on_again);
    sb_timer_set(&timer, 0);
    for (int i = 0; i < 3; i++) {
        sb_loop_turn(loop);
        sb_loop_skip(loop, 1);
    }
    assert_string_equal(events, "ttt");
    sb_timer_release(&timer);
}

static struct lettered_timer victim;

static void on_release_other(struct sb_timer *timer)
{
    (void)timer;
    note('r');
    sb_timer_release(&victim.timer);
}

static void a_timer_may_release_another_that_is_due_too(void **state)
{
    struct sb_timer first;
    sb_msec now = sb_loop_now(loop);

    (void)state;
    victim.letter = 'v';
    sb_timer_init(&first, loop, on_release_other);
    sb_timer_init(&victim.timer, loop, on_lettered);
    sb_timer_set(&victim.timer, now + 2);
    sb_timer_set(&first, now + 1);
    sb_loop_skip(loop, 10);
    sb_loop_turn(loop);
    assert_string_equal(events, "r");
}

static void on_stop(struct sb_timer *timer)
{
    note('s');
    sb_loop_stop(timer->loop);
}

static void the_clock_is_the_loops_and_real_deadlines_come(void **state)
{
    struct sb_timer timer;
    sb_msec start = sb_loop_now(loop);

    (void)state;
    sb_timer_init(&timer, loop, on_stop);
    sb_timer_set(&timer, start + 3);
    sb_loop_run(loop);
    assert_string_equal(events, "s");
    assert_true(sb_loop_now(loop) >= start + 3);
    assert_true(sb_clock_now(sb_loop_clock(loop)) == sb_loop_now(loop));
    start = sb_loop_now(loop);
    sb_loop_skip(loop, 5000);
    assert_true(sb_clock_now(sb_loop_clock(loop)) == start + 5000);
    assert_true(sb_clock_wall(sb_loop_clock(loop)) > UINT64_C(1700000000000000));
}

/* --- tasks and hooks --------------------------------------------------------- */

static void on_task(struct sb_task *task)
{
    (void)task;
    note('t');
}

static void on_greedy(struct sb_task *task)
{
    note('g');
    sb_task_soon(task);
}

static void on_hook(struct sb_hook *hook)
{
    (void)hook;
    note('h');
}

static void tasks_run_once_then_hooks(void **state)
{
    struct sb_task a, b, cancelled;
    struct sb_hook hook;

    (void)state;
    sb_task_init(&a, loop, on_task);
    sb_task_init(&b, loop, on_task);
    sb_task_init(&cancelled, loop, on_task);
    sb_hook_add(&hook, loop, on_hook);
    sb_task_soon(&a);
    sb_task_soon(&a);
    sb_task_soon(&cancelled);
    sb_task_soon(&b);
    sb_task_cancel(&cancelled);
    sb_loop_wait(loop); /* tasks are progress: it does not wait for more */
    assert_memory_equal(events, "tth", 3);
    sb_hook_remove(&hook);
    events[0] = '\0';
    sb_loop_turn(loop);
    assert_string_equal(events, "");
}

static int pair[2];

static void on_readable(struct sb_watch *watch, unsigned what, int error)
{
    char byte;

    assert_int_equal(error, SB_OK);
    assert_int_equal(what, SB_WATCH_READ);
    assert_int_equal(read(sb_watch_fd(watch), &byte, 1), 1);
    note(byte);
    sb_loop_stop(loop);
}

static void on_watch_gone(struct sb_watch *watch)
{
    (void)watch;
    note('c');
}

/* Closes a watch and lets its memory go. */
static void drop(struct sb_watch *watch)
{
    sb_watch_close(watch, NULL);
    sb_loop_turn(loop);
}

static void open_pair(void)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(void)
{
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void a_task_that_queues_itself_does_not_starve_descriptors(void **state)
{
    struct sb_task greedy;
    struct sb_watch watch;

    (void)state;
    open_pair();
    sb_task_init(&greedy, loop, on_greedy);
    assert_int_equal(sb_watch_init(&watch, loop, pair[0], on_readable), SB_OK);
    sb_watch_set(&watch, SB_WATCH_READ);
    assert_int_equal(write(pair[1], "x", 1), 1);
    sb_task_soon(&greedy);
    sb_loop_run(loop);
    assert_string_equal(events, "gxg"); /* the last of the stopping turn */
    sb_task_cancel(&greedy);
    drop(&watch);
    close_pair();
}

static void hooks_run_after_the_last_callback_of_a_stopped_loop(void **state)
{
    struct sb_watch watch;
    struct sb_hook hook;

    (void)state;
    open_pair();
    assert_int_equal(sb_watch_init(&watch, loop, pair[0], on_readable), SB_OK);
    sb_watch_set(&watch, SB_WATCH_READ);
    sb_hook_add(&hook, loop, on_hook);
    assert_int_equal(write(pair[1], "x", 1), 1);
    sb_loop_run(loop);
    assert_string_equal(events, "hxh");
    sb_hook_remove(&hook);
    drop(&watch);
    close_pair();
}

/* --- watches ------------------------------------------------------------------ */

static unsigned seen;
static int seen_error;

static void on_any(struct sb_watch *watch, unsigned what, int error)
{
    (void)watch;
    seen |= what;
    seen_error = error;
    note(error != SB_OK ? '!' : '.');
}

static void a_watch_tells_only_what_it_was_asked_for(void **state)
{
    struct sb_watch watch;

    (void)state;
    open_pair();
    assert_int_equal(sb_watch_init(&watch, loop, pair[0], on_any), SB_OK);
    assert_int_equal(write(pair[1], "x", 1), 1);
    sb_loop_turn(loop);
    assert_string_equal(events, "");
    seen = 0;
    sb_watch_set(&watch, SB_WATCH_WRITE);
    sb_loop_wait(loop);
    assert_int_equal(seen, SB_WATCH_WRITE);
    seen = 0;
    sb_watch_set(&watch, SB_WATCH_READ | SB_WATCH_WRITE);
    sb_loop_wait(loop);
    assert_int_equal(seen, SB_WATCH_READ | SB_WATCH_WRITE);
    sb_watch_set(&watch, 0);
    events[0] = '\0';
    sb_loop_turn(loop);
    assert_string_equal(events, "");
    drop(&watch);
    close_pair();
}

static void a_hang_up_is_noticed_without_reading(void **state)
{
    struct sb_watch watch;

    (void)state;
    open_pair();
    assert_int_equal(sb_watch_init(&watch, loop, pair[0], on_any), SB_OK);
    sb_watch_set(&watch, SB_WATCH_HANGUP);
    assert_int_equal(write(pair[1], "unread", 6), 6);
    sb_loop_turn(loop);
    assert_string_equal(events, "");
    seen = 0;
    assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
    sb_loop_wait(loop);
    assert_int_equal(seen, SB_WATCH_HANGUP);
    drop(&watch);
    close_pair();
}

/* A connected TCP pair on the loopback in pair[]. */
static void open_tcp_pair(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &size), 0);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair[0], (struct sockaddr *)&addr, sizeof(addr)), 0);
    pair[1] = accept(listener, NULL, NULL);
    assert_true(pair[1] >= 0);
    (void)close(listener);
}

static void a_reset_is_an_error_whose_reason_is_in_the_socket(void **state)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    struct sb_watch watch;

    (void)state;
    open_tcp_pair();
    assert_int_equal(sb_watch_init(&watch, loop, pair[0], on_any), SB_OK);
    sb_watch_set(&watch, SB_WATCH_READ);
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    (void)close(pair[1]);
    sb_loop_wait(loop);
    assert_string_equal(events, "!");
    assert_int_equal(seen_error, SB_EIO);
    assert_int_equal(watch.interest, 0);
    assert_int_equal(sb_watch_socket_error(&watch), SB_ECONNRESET);
    assert_int_equal(sb_watch_socket_error(&watch), SB_OK);
    drop(&watch);
    (void)close(pair[0]);
}

static void a_second_watch_on_a_descriptor_is_refused(void **state)
{
    struct sb_watch watch, second;

    (void)state;
    open_pair();
    assert_int_equal(sb_watch_init(&watch, loop, pair[0], on_any), SB_OK);
    sb_watch_set(&watch, SB_WATCH_READ);
    assert_int_equal(sb_watch_init(&second, loop, pair[0], on_any), SB_EEXIST);
    assert_true(sb_watch_init(&second, loop, -1, on_any) < 0);
    sb_watch_close(&watch, NULL);
    /* Closed is closed: the number is free again before the callback. */
    assert_int_equal(sb_watch_init(&second, loop, pair[0], on_any), SB_OK);
    drop(&second);
    close_pair();
}

static void on_watch_freed(struct sb_watch *watch)
{
    note('f');
    sb_mem_free(watch);
}

static void a_closed_watch_is_silent_and_its_memory_may_go_in_the_callback(void **state)
{
    struct sb_watch *watch = sb_mem_new(sizeof(*watch));

    (void)state;
    open_pair();
    assert_int_equal(sb_watch_init(watch, loop, pair[0], on_any), SB_OK);
    sb_watch_set(watch, SB_WATCH_READ);
    assert_int_equal(write(pair[1], "x", 1), 1);
    sb_watch_close(watch, on_watch_freed);
    close_pair();
    assert_string_equal(events, "");
    sb_loop_turn(loop);
    assert_string_equal(events, "f");
}

static void destroying_the_loop_delivers_close_callbacks(void **state)
{
    struct sb_watch watch;

    (void)state;
    open_pair();
    assert_int_equal(sb_watch_init(&watch, loop, pair[0], on_any), SB_OK);
    sb_watch_close(&watch, on_watch_gone);
    close_pair();
    sb_loop_destroy(&loop);
    assert_string_equal(events, "c");
    assert_null(loop);
    sb_loop_destroy(&loop);
}

/* --- wakes and signals ---------------------------------------------------------- */

static void on_wake(struct sb_wake *wake)
{
    (void)wake;
    note('w');
    sb_loop_stop(loop);
}

static void *send_wakes(void *arg)
{
    for (int i = 0; i < 100; i++)
        sb_wake_send(arg);
    return NULL;
}

static void another_thread_wakes_the_loop(void **state)
{
    struct sb_wake wake;
    pthread_t thread;

    (void)state;
    assert_int_equal(sb_wake_init(&wake, loop, on_wake), SB_OK);
    assert_int_equal(pthread_create(&thread, NULL, send_wakes, &wake), 0);
    sb_loop_run(loop);
    assert_int_equal(events[0], 'w');
    assert_int_equal(pthread_join(thread, NULL), 0);
    sb_loop_turn(loop);
    assert_true(strlen(events) < sizeof(events) - 1);
    sb_wake_close(&wake, NULL);
    sb_loop_turn(loop);
}

static void on_usr1(struct sb_signal *sig, int signum)
{
    (void)sig;
    assert_int_equal(signum, SIGUSR1);
    note('u');
}

static void a_signal_is_an_event_of_the_loop(void **state)
{
    struct sb_signal sig;

    (void)state;
    assert_int_equal(sb_signal_init(&sig, loop, SIGUSR1, on_usr1), SB_OK);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_string_equal(events, "");
    sb_loop_wait(loop);
    assert_string_equal(events, "u");
    sb_signal_close(&sig, NULL);
    sb_loop_turn(loop);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(timers_fire_once_in_order_of_their_deadlines),
        LOOP_TEST(a_later_deadline_does_no_queue_work_and_still_counts),
        LOOP_TEST(an_earlier_deadline_counts_at_once),
        LOOP_TEST(a_cancelled_timer_stays_silent),
        LOOP_TEST(memory_of_a_released_timer_may_go_at_once),
        LOOP_TEST(a_timer_that_sets_itself_to_the_past_runs_once_per_turn),
        LOOP_TEST(a_timer_may_release_another_that_is_due_too),
        LOOP_TEST(the_clock_is_the_loops_and_real_deadlines_come),
        LOOP_TEST(tasks_run_once_then_hooks),
        LOOP_TEST(a_task_that_queues_itself_does_not_starve_descriptors),
        LOOP_TEST(hooks_run_after_the_last_callback_of_a_stopped_loop),
        LOOP_TEST(a_watch_tells_only_what_it_was_asked_for),
        LOOP_TEST(a_hang_up_is_noticed_without_reading),
        LOOP_TEST(a_reset_is_an_error_whose_reason_is_in_the_socket),
        LOOP_TEST(a_second_watch_on_a_descriptor_is_refused),
        LOOP_TEST(a_closed_watch_is_silent_and_its_memory_may_go_in_the_callback),
        LOOP_TEST(destroying_the_loop_delivers_close_callbacks),
        LOOP_TEST(another_thread_wakes_the_loop),
        LOOP_TEST(a_signal_is_an_event_of_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
