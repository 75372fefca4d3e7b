/* tests/unit/controlplane/test_pace.c */
#include "controlplane/publish/pace.h"

#include "tests/lib/test.h"

static void after_a_quiet_time_a_burst_is_due_at_once(void **state)
{
    struct cp_pace pace;

    (void)state;
    cp_pace_init(&pace, 200, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(cp_pace_wait(&pace, 1000), 0);
        cp_pace_done(&pace, 1000);
    }
    assert_int_equal(cp_pace_wait(&pace, 1000), 200);
}

static void then_one_is_due_per_interval(void **state)
{
    sb_msec now = 1000;
    struct cp_pace pace;

    (void)state;
    cp_pace_init(&pace, 200, 3);
    for (int i = 0; i < 3; i++)
        cp_pace_done(&pace, now);
    for (int i = 0; i < 20; i++) {
        now += cp_pace_wait(&pace, now);
        cp_pace_done(&pace, now);
    }
    assert_int_equal(now, 1000 + 20 * 200);
}

static void patience_is_saved_up_to_the_burst_and_no_further(void **state)
{
    struct cp_pace pace;
    int at_once = 0;

    (void)state;
    cp_pace_init(&pace, 200, 3);
    cp_pace_done(&pace, 1000);
    while (cp_pace_wait(&pace, 1000000) == 0) {
        cp_pace_done(&pace, 1000000);
        at_once++;
    }
    assert_int_equal(at_once, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_quiet_time_a_burst_is_due_at_once),
        cmocka_unit_test(then_one_is_due_per_interval),
        cmocka_unit_test(patience_is_saved_up_to_the_burst_and_no_further),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
