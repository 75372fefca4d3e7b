/* tests/unit/controlplane/test_probe_lists.c */
#include "controlplane/probes/probe_lists.h"

#include "common/err.h"
#include "controlplane/mail.h"
#include "controlplane/probes/fetch.h"
#include "controlplane/probes/sightings.h"
#include "tests/lib/test.h"

enum { INTERVAL = 60000 };

static struct msg_provider providers[] = {
    {.slug = SB_SLICE_INIT("acme"), .dialect = SB_SLICE_INIT("openai")},
    {.slug = SB_SLICE_INIT("exotic"), .dialect = SB_SLICE_INIT("klingon")},
    {.slug = SB_SLICE_INIT("tenants"), .dialect = SB_SLICE_INIT("openai"), .wants_key = true},
    {.slug = SB_SLICE_INIT("other"), .dialect = SB_SLICE_INIT("openai")},
};
static struct msg_model models[] = {{.id = SB_SLICE_INIT("a/b")}};
static struct msg_endpoint endpoints[] = {{.id = 1,
                                           .model = 0,
                                           .provider = 0,
                                           .tag = SB_SLICE_INIT("acme"),
                                           .upstream_model = SB_SLICE_INIT("up")}};
static struct msg_credential credentials[] = {{.id = 1, .provider = 2, .tenant = 0}};
static struct msg_snapshot snapshot;
static struct cp_probe_lists *lists;
static sb_msec now;

static int set_up(void **state)
{
    (void)state;
    snapshot = (struct msg_snapshot){.providers = providers,
                                     .n_providers = 4,
                                     .models = models,
                                     .n_models = 1,
                                     .endpoints = endpoints,
                                     .n_endpoints = 1,
                                     .credentials = credentials,
                                     .n_credentials = 1};
    now = 1000000;
    lists = cp_probe_lists_new(INTERVAL, 7);
    assert_int_equal(cp_probe_lists_set(lists, &snapshot, now), SB_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_probe_lists_destroy(&lists);
    assert_null(lists);
    return 0;
}

/* How often each provider has its turn while so much time goes by. */
static void count_turns(sb_msec length, unsigned turns[4])
{
    struct cp_probe probe;

    for (sb_msec end = now + length; now < end; now += 1000)
        while (cp_probe_lists_take(lists, now, &probe)) {
            assert_int_equal(probe.kind, CP_PROBE_MODELS);
            assert_int_equal(probe.reserved, 0);
            assert_int_equal(probe.endpoint, 0);
            turns[cp_probe_lists_provider(&snapshot, sb_slice_of(probe.provider))]++;
            probe.outcome = MSG_OUTCOME_SUCCESS;
            cp_probe_lists_done(lists, &probe, now);
        }
}

static void only_providers_that_we_can_ask_have_turns(void **state)
{
    unsigned turns[4] = {0};

    (void)state;
    count_turns((sb_msec)20 * INTERVAL, turns);
    assert_in_range(turns[0], 16, 26);
    assert_int_equal(turns[1], 0); /* we do not speak with it */
    assert_int_equal(turns[2], 0); /* only tenants have a key */
    assert_in_range(turns[3], 16, 26);
}

static void a_provider_that_is_gone_has_no_turn_any_more(void **state)
{
    struct msg_snapshot next = snapshot;
    unsigned turns[4] = {0};

    (void)state;
    next.n_providers = 1;
    assert_int_equal(cp_probe_lists_set(lists, &next, now), SB_OK);
    count_turns((sb_msec)5 * INTERVAL, turns);
    assert_true(turns[0] > 0);
    assert_int_equal(turns[3], 0);
    assert_int_equal(cp_probe_lists_provider(&next, SB_SLICE_LIT("other")), MSG_NONE);
}

static void what_was_put_off_waits(void **state)
{
    struct cp_probe probe;

    (void)state;
    while (!cp_probe_lists_take(lists, now, &probe))
        now += 1000;
    cp_probe_lists_put_off(lists, &probe, (sb_msec)10 * INTERVAL, now);
    while (cp_probe_lists_take(lists, now, &probe)) /* the other one's */
        cp_probe_lists_put_off(lists, &probe, (sb_msec)10 * INTERVAL, now);
    assert_int_equal(cp_probe_lists_wait(lists, now, 500), 500);
}

static enum msg_outcome conclude(const struct cp_fetch_end *end, const char *text,
                                 struct cp_sightings *sightings)
{
    struct cp_probe probe = {.kind = CP_PROBE_MODELS, .provider = "acme"};

    cp_probe_lists_conclude(&snapshot, end, sb_slice_of(text), &probe, sightings);
    assert_int_equal(probe.status, end->status);
    return probe.outcome;
}

static void an_answer_is_compared_and_an_error_is_none(void **state)
{
    struct cp_sightings *sightings = cp_sightings_new(1);
    struct cp_fetch_end end = {.outcome = MSG_OUTCOME_SUCCESS, .status = 500};

    (void)state;
    assert_int_equal(conclude(&end, "{\"data\":[{\"id\":\"x\"}]}", sightings),
                     MSG_OUTCOME_SERVER_ERROR);
    end.status = 200;
    end.outcome = MSG_OUTCOME_RESET;
    assert_int_equal(conclude(&end, "{\"data\":[{\"id\":\"x\"}]}", sightings), MSG_OUTCOME_RESET);
    end.outcome = MSG_OUTCOME_SUCCESS;
    assert_int_equal(conclude(&end, "<html>", sightings), MSG_OUTCOME_BAD_ANSWER);
    assert_false(sightings->has_models);
    assert_int_equal(conclude(&end, "{\"data\":[{\"id\":\"x\"}]}", sightings), MSG_OUTCOME_SUCCESS);
    assert_true(sightings->has_models);
    assert_int_equal(sightings->n, 1);
    assert_true(sightings->all[0].is_missing);
    cp_mail_free(&sightings->mail);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_providers_that_we_can_ask_have_turns),
        TEST(a_provider_that_is_gone_has_no_turn_any_more),
        TEST(what_was_put_off_waits),
        TEST(an_answer_is_compared_and_an_error_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
