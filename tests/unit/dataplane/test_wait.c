/* tests/unit/dataplane/test_wait.c */
#include "dataplane/records/wait.h"

#include "common/attr.h"
#include "common/err.h"
#include "tests/lib/test.h"

enum { LONG = 3600000, MANY = 50 };

struct waiter {
    struct dp_wait wait;
    int safe, in_vain;
    uint64_t next; /* begins again with it; 0 not */
};

static struct sb_loop *loop;
static struct dp_waits waits;
static struct waiter waiters[MANY];

static void on_wait(struct dp_wait *wait, bool is_safe)
{
    struct waiter *waiter = container_of(wait, struct waiter, wait);

    assert_false(dp_wait_is_waiting(wait));
    waiter->safe += is_safe;
    waiter->in_vain += !is_safe;
    if (waiter->next > 0)
        dp_wait_begin(wait, &waits, waiter->next, LONG);
    waiter->next = 0;
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(sb_loop_new(&loop), SB_OK);
    dp_waits_init(&waits);
    memset(waiters, 0, sizeof(waiters));
    for (int i = 0; i < MANY; i++)
        dp_wait_init(&waiters[i].wait, loop, on_wait);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++)
        dp_wait_release(&waiters[i].wait);
    assert_true(sb_list_is_empty(&waits.waiting));
    sb_loop_destroy(&loop);
    return 0;
}

static void begin(int i, uint64_t sequence, sb_msec limit)
{
    dp_wait_begin(&waiters[i].wait, &waits, sequence, limit);
    assert_true(dp_wait_is_waiting(&waiters[i].wait));
}

static void news_serve_all_up_to_their_sequence_once(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++)
        begin(i, (uint64_t)i + 1, LONG);
    dp_waits_advance(&waits, 20);
    dp_waits_advance(&waits, 20);
    dp_waits_advance(&waits, 7); /* older news */
    for (int i = 0; i < MANY; i++)
        assert_int_equal(waiters[i].safe, i < 20);
    dp_waits_advance(&waits, 1000);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(waiters[i].safe, 1);
}

static void who_begins_again_in_its_callback_waits_for_the_next(void **state)
{
    (void)state;
    begin(0, 1, LONG);
    begin(1, 2, LONG);
    waiters[0].next = 3;
    dp_waits_advance(&waits, 2);
    assert_int_equal(waiters[0].safe, 1);
    assert_true(dp_wait_is_waiting(&waiters[0].wait));
    dp_waits_advance(&waits, 3);
    assert_int_equal(waiters[0].safe, 2);
}

static void who_cancels_hears_nothing_and_others_do(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        begin(i, (uint64_t)i + 1, LONG);
    dp_wait_cancel(&waiters[1].wait);
    dp_wait_cancel(&waiters[1].wait);
    dp_waits_advance(&waits, 3);
    assert_int_equal(waiters[0].safe, 1);
    assert_int_equal(waiters[1].safe + waiters[1].in_vain, 0);
    assert_int_equal(waiters[2].safe, 1);
}

static void who_waits_too_long_is_told_so(void **state)
{
    (void)state;
    begin(0, 1, LONG);
    begin(1, 2, 0);
    while (waiters[1].in_vain == 0)
        sb_loop_turn(loop);
    assert_int_equal(waiters[1].safe, 0);
    assert_int_equal(waiters[0].safe + waiters[0].in_vain, 0);
    dp_waits_advance(&waits, 2);
    assert_int_equal(waiters[0].safe, 1);
    assert_int_equal(waiters[1].safe, 0); /* once is enough */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(news_serve_all_up_to_their_sequence_once),
        TEST(who_begins_again_in_its_callback_waits_for_the_next),
        TEST(who_cancels_hears_nothing_and_others_do),
        TEST(who_waits_too_long_is_told_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
