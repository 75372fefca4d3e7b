/* tests/unit/sim/test_world.c */
#include "tests/sim/world.h"

#include "tests/lib/test.h"
#include "tests/sim/behaviour.h"

static int set_up(void **state)
{
    static struct sim_world world;
    struct sim_behaviour *start = sim_behaviour_new();

    sim_world_init(&world, "test", &start);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    sim_world_release(*state);
    return 0;
}

static int next_status(struct sim_world *world)
{
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *behaviour = sim_world_next(world);

    return behaviour->fail.status;
}

static void change(struct sim_world *world, const char *text)
{
    struct sb_errmsg err = {.text = ""};

    if (sim_world_change(world, sb_slice_of(text), &err) != SB_OK)
        fail_msg("%s", err.text);
}

static void scripted_behaviours_are_used_once_and_in_order(void **state)
{
    struct sim_world *world = *state;

    change(world, "{\"scripted\":[{\"fail\":500},{\"fail\":503,\"times\":2},{}]}");
    assert_int_equal(world->script_left, 4);
    assert_int_equal(next_status(world), 500);
    assert_int_equal(next_status(world), 503);
    assert_int_equal(next_status(world), 503);
    assert_int_equal(next_status(world), 0);
    assert_int_equal(world->script_left, 0);
    assert_int_equal(next_status(world), 0);
}

static void a_second_script_goes_behind_the_first(void **state)
{
    struct sim_world *world = *state;

    change(world, "{\"scripted\":[{\"fail\":500},{\"fail\":501}]}");
    assert_int_equal(next_status(world), 500);
    change(world, "{\"scripted\":[{\"fail\":502}]}");
    assert_int_equal(next_status(world), 501);
    assert_int_equal(next_status(world), 502);
    assert_int_equal(next_status(world), 0);
}

static void a_scripted_behaviour_adds_to_what_is_set_beside_it(void **state)
{
    struct sim_world *world = *state;
    struct sim_behaviour *first;

    change(world, "{\"tokens\":3,\"scripted\":[{\"fail\":500}]}");
    first = sim_world_next(world);
    assert_int_equal(first->tokens, 3);
    assert_int_equal(first->fail.status, 500);
    sim_behaviour_unref(&first);
    assert_int_equal(world->now->tokens, 3);
    assert_int_equal(world->now->fail.status, 0);
}

static void a_refused_change_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "{\"tokens\":3,\"scripted\":[{\"fail\":500},{\"no_such\":1}]}",
        "{\"tokens\":3,\"scripted\":{}}",
        "{\"tokens\":3,\"scripted\":[{\"times\":0}]}",
        "{\"tokens\":3,\"scripted\":[7]}",
        "{\"tokens\":3,\"no_such\":1}",
        "{\"tokens\":3",
        "",
    };
    struct sim_world *world = *state;

    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        struct sb_errmsg err = {.text = ""};

        assert_int_not_equal(sim_world_change(world, sb_slice_of(bad[i]), &err), SB_OK);
        assert_true(strlen(err.text) > 0);
        assert_int_equal(world->now->tokens, 50);
        assert_int_equal(world->script_left, 0);
        assert_int_equal(next_status(world), 0);
    }
}

static void restoring_forgets_changes_and_script(void **state)
{
    struct sim_world *world = *state;

    change(world, "{\"tokens\":3,\"scripted\":[{\"fail\":500}]}");
    sim_world_restore(world);
    assert_int_equal(world->now->tokens, 50);
    assert_int_equal(next_status(world), 0);
}

static void a_request_keeps_the_behaviour_it_took(void **state)
{
    struct sim_world *world = *state;
    struct sim_behaviour *taken;

    change(world, "{\"content\":\"old\"}");
    taken = sim_world_next(world);
    change(world, "{\"content\":\"new\"}");
    assert_string_equal(taken->content, "old");
    sim_behaviour_unref(&taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scripted_behaviours_are_used_once_and_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_second_script_goes_behind_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_scripted_behaviour_adds_to_what_is_set_beside_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_refused_change_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(restoring_forgets_changes_and_script, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_keeps_the_behaviour_it_took, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
