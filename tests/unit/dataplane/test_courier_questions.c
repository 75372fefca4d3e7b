/* tests/unit/dataplane/test_courier_questions.c - QUERY and ANSWER, both ways. */
#include "dataplane/courier/courier.h"

#include "tests/lib/courier_run.h"

static struct courier_world world; /* one after the other */

static int set_up(void **state)
{
    (void)state;
    world_init(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_release(&world);
    return 0;
}

static struct fake_daemon *begin(void)
{
    struct fake_daemon *a = world_add_daemon(&world, "a");

    world_start(&world);
    WORLD_UNTIL(&world, world_is_connected(&world));
    return a;
}

static void on_answer(void *ctx, int status, struct sb_slice json)
{
    struct courier_world *to = ctx;

    to->answers++;
    to->answer_status = status;
    assert_true(sb_slice_copy_text(json, to->answer_json, sizeof(to->answer_json)));
}

static struct dp_question *ask_as(uint64_t tenant, enum msg_query_what what, const char *argument)
{
    const struct dp_asked asked = {
        .what = what, .tenant = tenant, .key = 21, .argument = sb_slice_of(argument)};

    return dp_courier_ask(world.courier, &asked, on_answer, &world);
}

static struct dp_question *ask(enum msg_query_what what, const char *argument)
{
    return ask_as(7, what, argument);
}

/* One who has no log key gives none, and does not take back what another gave. */
static void a_certificate_reaches_the_loop_and_stays(void **state)
{
    struct fake_daemon *a = world_add_daemon(&world, "a"), *b = world_add_daemon(&world, "b");

    (void)state;
    a->certificate = "a note";
    b->leads = false;
    world_start(&world);
    WORLD_UNTIL(&world, world_is_connected(&world));
    WORLD_UNTIL(&world, strcmp(world.certificate, "a note") == 0);
    (void)snprintf(world.certificate, sizeof(world.certificate), "as it was");
    a->leads = false;
    b->leads = true;
    b->term = a->term + 1;
    WORLD_UNTIL(&world, world_state(&world).term == b->term);
    assert_string_equal(world.certificate, "as it was");
}

/* --- of clients --------------------------------------------------------------- */

static void a_question_is_answered_by_the_leader(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->answer_status = 200;
    (void)snprintf(a->answer_json, sizeof(a->answer_json), "{\"data\":{\"usage\":1}}");
    (void)ask(MSG_QUERY_KEY, "");
    assert_int_equal(world.answers, 0); /* never from inside the call */
    WORLD_UNTIL(&world, world.answers == 1);
    assert_int_equal(world.answer_status, 200);
    assert_string_equal(world.answer_json, "{\"data\":{\"usage\":1}}");
    assert_int_equal(a->query.what, MSG_QUERY_KEY);
    assert_int_equal(a->query.tenant, 7);
    assert_int_equal(a->query.key, 21);
    a->answer_status = 404;
    (void)ask(MSG_QUERY_GENERATION, "gen-none");
    WORLD_UNTIL(&world, world.answers == 2);
    assert_int_equal(world.answer_status, 404);
    assert_int_equal(a->query.what, MSG_QUERY_GENERATION);
    assert_string_equal(a->query_argument, "gen-none");
}

static void many_questions_are_open_at_once(void **state)
{
    enum { MANY = 1500 }; /* more than are kept open */
    struct fake_daemon *a = begin();

    (void)state;
    a->answer_status = 404;
    for (int i = 0; i < MANY; i++)
        (void)ask(MSG_QUERY_CREDITS, "");
    WORLD_UNTIL(&world, world.answers == MANY);
    (void)ask(MSG_QUERY_CREDITS, "");
    WORLD_UNTIL(&world, world.answers == MANY + 1);
    assert_int_equal(world.answer_status, 404);
}

static void nobody_there_is_503(void **state)
{
    (void)state;
    world_start(&world);
    (void)ask(MSG_QUERY_CREDITS, "");
    WORLD_UNTIL(&world, world.answers == 1);
    assert_int_equal(world.answer_status, 503);
}

static void no_answer_in_time_is_503(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->holds_answers = true;
    (void)ask(MSG_QUERY_CREDITS, "");
    WORLD_UNTIL(&world, world.answers == 1);
    assert_int_equal(world.answer_status, 503);
    assert_int_equal(a->got[MSG_KIND_QUERY], 1);
    a->answer_status = 200; /* too late: for nobody */
    fake_answer_query(a);
    world_beats(&world, 2);
    assert_int_equal(world.answers, 1);
}

static void an_asker_that_is_gone_is_not_called(void **state)
{
    struct fake_daemon *a = begin();
    struct dp_question *question;

    (void)state;
    a->holds_answers = true;
    question = ask(MSG_QUERY_CREDITS, "");
    WORLD_UNTIL(&world, a->got[MSG_KIND_QUERY] == 1);
    dp_question_cancel(&question);
    assert_null(question);
    dp_question_cancel(&question);
    fake_answer_query(a);
    (void)ask(MSG_QUERY_KEY, "");
    WORLD_UNTIL(&world, a->got[MSG_KIND_QUERY] == 2);
    a->answer_status = 200;
    fake_answer_query(a);
    WORLD_UNTIL(&world, world.answers == 1);
}

static void a_new_leader_is_asked_what_is_open(void **state)
{
    struct fake_daemon *a = begin(), *b = world_add_daemon(&world, "b");

    (void)state;
    b->leads = false;
    b->answer_status = 200;
    WORLD_UNTIL(&world, b->got[MSG_KIND_HELLO] > 0);
    a->holds_answers = true;
    (void)ask(MSG_QUERY_CREDITS, "");
    WORLD_UNTIL(&world, a->got[MSG_KIND_QUERY] == 1);
    a->leads = false;
    b->leads = true;
    b->term = 2;
    WORLD_UNTIL(&world, world.answers == 1);
    assert_int_equal(world.answer_status, 200);
    assert_int_equal(b->got[MSG_KIND_QUERY], 1);
}

/* --- of our own records ------------------------------------------------------- */

static void a_generation_that_waits_here_is_answered_from_here(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->holds_batches = true;
    a->answer_status = 404;
    for (int i = 0; i < 300; i++)
        (void)world_record(&world, "gen-other");
    (void)world_record(&world, "gen-mine");
    for (int i = 0; i < 300; i++)
        (void)world_record(&world, "gen-another");
    (void)ask(MSG_QUERY_GENERATION, "gen-mine");
    WORLD_UNTIL(&world, world.answers == 1);
    assert_int_equal(world.answer_status, 200);
    assert_non_null(strstr(world.answer_json, "{\"data\":{\"id\":\"gen-mine\""));
    assert_int_equal(a->got[MSG_KIND_QUERY], 0);
}

/* What waits here is not in the log, so the leader need not be asked. */
static void a_receipt_of_what_waits_here_comes_later(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->holds_batches = true;
    (void)world_record(&world, "gen-here");
    (void)ask(MSG_QUERY_RECEIPT, "gen-here");
    WORLD_UNTIL(&world, world.answers == 1);
    assert_int_equal(world.answer_status, 202);
    a->answer_status = 202;
    (void)ask(MSG_QUERY_RECEIPT, "gen-there");
    WORLD_UNTIL(&world, world.answers == 2);
    assert_int_equal(world.answer_status, 202);
    assert_int_equal(a->query.what, MSG_QUERY_RECEIPT);
    assert_string_equal(a->query_argument, "gen-there");
    a->answer_status = 501;
    (void)ask(MSG_QUERY_RECEIPT, "gen-there");
    WORLD_UNTIL(&world, world.answers == 3);
    assert_int_equal(world.answer_status, 501);
    (void)ask_as(8, MSG_QUERY_RECEIPT, "gen-here"); /* another tenant's */
    a->answer_status = 404;
    WORLD_UNTIL(&world, world.answers == 4);
    assert_int_equal(world.answer_status, 404);
}

static void a_generation_is_answered_without_a_control_plane(void **state)
{
    (void)state;
    world_start(&world);
    (void)world_record(&world, "gen-mine");
    world_stop(&world); /* of an earlier boot, then */
    world_start(&world);
    (void)ask(MSG_QUERY_GENERATION, "gen-mine");
    WORLD_UNTIL(&world, world.answers == 1);
    assert_int_equal(world.answer_status, 200);
    (void)ask(MSG_QUERY_GENERATION, "gen-none"); /* who knows */
    WORLD_UNTIL(&world, world.answers == 2);
    assert_int_equal(world.answer_status, 503);
}

static void a_generation_of_another_tenant_is_not_found_here(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->holds_batches = true;
    a->answer_status = 404;
    (void)world_record(&world, "gen-mine");
    (void)ask_as(8, MSG_QUERY_GENERATION, "gen-mine");
    WORLD_UNTIL(&world, world.answers == 1);
    assert_int_equal(world.answer_status, 404);
    assert_int_equal(a->got[MSG_KIND_QUERY], 1);
    assert_int_equal(a->query.tenant, 8);
}

/* --- of the control plane ----------------------------------------------------- */

static void an_explain_goes_to_the_loop_and_back(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    fake_query(a, MSG_QUERY_EXPLAIN, 77, 0, "app", "{\"model\":\"a/b\"}");
    WORLD_UNTIL(&world, world.explains == 1);
    assert_string_equal(world.explain_key, "app");
    assert_string_equal(world.explain_body, "{\"model\":\"a/b\"}");
    dp_courier_answer(world.courier, world.explain_id, 200, SB_SLICE_LIT("{\"chosen\":1}"));
    WORLD_UNTIL(&world, a->answer_got == 200);
    assert_string_equal(a->answer_got_json, "{\"chosen\":1}");
    dp_courier_answer(world.courier, world.explain_id, 200, SB_SLICE_LIT("{}")); /* once */
    world_beats(&world, 2);
    assert_int_equal(a->got[MSG_KIND_ANSWER], 1);
}

/* An operator's request may come to any daemon. */
static void a_standby_may_ask_for_a_decision(void **state)
{
    struct fake_daemon *a = begin(), *b = world_add_daemon(&world, "b");

    (void)state;
    (void)a;
    b->leads = false;
    WORLD_UNTIL(&world, b->got[MSG_KIND_HELLO] > 0);
    fake_query(b, MSG_QUERY_EXPLAIN, 78, 0, "", "{}");
    WORLD_UNTIL(&world, world.explains == 1);
    dp_courier_answer(world.courier, world.explain_id, 404, SB_SLICE_LIT("{}"));
    WORLD_UNTIL(&world, b->answer_got == 404);
}

static void too_many_decisions_at_once_are_503(void **state)
{
    struct fake_daemon *a = begin();
    unsigned n = 0;

    (void)state;
    do {
        fake_query(a, MSG_QUERY_EXPLAIN, n, 0, "", "{}");
        n++;
        world_turn(&world);
    } while (a->got[MSG_KIND_ANSWER] == 0 && n < 1000);
    assert_int_equal(a->answer_got, 503);
    assert_in_range(n, 2, 999);
}

static void the_control_plane_may_ask_for_a_generation_that_waits_here(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->holds_batches = true;
    (void)world_record(&world, "gen-mine");
    fake_query(a, MSG_QUERY_GENERATION, 1, 7, "gen-mine", "");
    WORLD_UNTIL(&world, a->answer_got == 200);
    assert_non_null(strstr(a->answer_got_json, "\"gen-mine\""));
    fake_query(a, MSG_QUERY_GENERATION, 2, 8, "gen-mine", "");
    WORLD_UNTIL(&world, a->answer_got == 404);
}

static void a_question_of_a_newer_daemon_is_501(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    fake_query(a, 99, 1, 0, "", "");
    WORLD_UNTIL(&world, a->answer_got == 501);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_reaches_the_loop_and_stays),
        TEST(a_question_is_answered_by_the_leader),
        TEST(many_questions_are_open_at_once),
        TEST(nobody_there_is_503),
        TEST(no_answer_in_time_is_503),
        TEST(an_asker_that_is_gone_is_not_called),
        TEST(a_new_leader_is_asked_what_is_open),
        TEST(a_generation_that_waits_here_is_answered_from_here),
        TEST(a_receipt_of_what_waits_here_comes_later),
        TEST(a_generation_is_answered_without_a_control_plane),
        TEST(a_generation_of_another_tenant_is_not_found_here),
        TEST(an_explain_goes_to_the_loop_and_back),
        TEST(a_standby_may_ask_for_a_decision),
        TEST(too_many_decisions_at_once_are_503),
        TEST(the_control_plane_may_ask_for_a_generation_that_waits_here),
        TEST(a_question_of_a_newer_daemon_is_501),
    };

    return world_main(tests, SB_ARRAY_LEN(tests));
}
