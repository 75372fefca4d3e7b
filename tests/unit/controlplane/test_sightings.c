/* tests/unit/controlplane/test_sightings.c */
#include "controlplane/probes/sightings.h"

#include "controlplane/mail.h"
#include "controlplane/probes/models_list.h"
#include "controlplane/publish/compile.h"
#include "tests/lib/store_fixture.h"

#define CATALOG(updates)                                                                           \
    "{version: 1, providers: [{slug: acme, dialect: openai, base_url: \"https://x/v1\"" updates    \
    "}], models: [{id: a/b, context_length: 1000, input_modalities: [text], output_modalities: "   \
    "[text]}], endpoints: [{model: a/b, provider: acme, upstream_model: up, pricing: {prompt: 1, " \
    "completion: 2}}]}"

static struct cp_sightings *sightings;

static int tear_down(void **state)
{
    if (sightings != NULL)
        cp_mail_free(&sightings->mail);
    sightings = NULL;
    return fixture_teardown(state);
}

static size_t look(const char *list)
{
    struct msg_snapshot *snapshot;
    struct cp_listed *models;
    struct sb_errmsg err;
    size_t n;

    if (sightings != NULL)
        cp_mail_free(&sightings->mail);
    sightings = cp_sightings_new(0);
    assert_int_equal(cp_compile_read(cp_store_db(fx.store), fx.arena, &snapshot, &err), SB_OK);
    assert_int_equal(cp_models_read(sb_slice_of(list), sightings->arena, &models, &n, &err), SB_OK);
    cp_sightings_compare(sightings, snapshot, 0, models, n);
    return sightings->n;
}

static int act(void)
{
    struct sb_errmsg err;

    return cp_sightings_act(fx.store, sightings, 20, &err);
}

static int64_t events(const char *kind)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM events WHERE kind = '%s'", kind);
    return fixture_number(sql);
}

static bool costs(const char *pricing)
{
    return strstr(fixture_get(CP_ENDPOINTS, "a/b@acme"), pricing) != NULL;
}

#define CHEAPER "{\"data\":[{\"id\":\"up\",\"pricing\":{\"prompt\":\"0.0000005\"}}]}"
#define DEARER  "{\"data\":[{\"id\":\"up\",\"pricing\":{\"prompt\":\"0.000002\"}}]}"

static void only_what_differs_is_seen(void **state)
{
    (void)state;
    fixture_apply(CATALOG(""));
    assert_int_equal(look("{\"data\":[{\"id\":\"up\",\"context_length\":1000,\"pricing\":"
                          "{\"prompt\":\"0.000001\",\"completion\":\"0.000002\"}}]}"),
                     0);
    assert_int_equal(look("{\"data\":[]}"), 0); /* says nothing */
    assert_int_equal(look("{\"data\":[{\"id\":\"other\"}]}"), 1);
    assert_true(sightings->all[0].is_missing);
    assert_true(sb_slice_is(sightings->all[0].endpoint, "a/b@acme"));
    assert_int_equal(look(CHEAPER), 1);
}

static void a_price_is_applied_as_a_revision_of_the_prober(void **state)
{
    (void)state;
    fixture_apply(CATALOG(", price_updates: apply"));
    assert_int_equal(look(CHEAPER), 1);
    assert_int_equal(act(), SB_OK);
    assert_true(costs("\"pricing\":{\"prompt\":\"0.5\",\"completion\":\"2\"}") ||
                costs("\"prompt\": \"0.5\""));
    assert_int_equal(fixture_number("SELECT revision FROM revisions WHERE author = 'prober'"), 2);
    assert_int_equal(events("price_changed"), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM price_sightings"), 0);
    assert_int_equal(look(CHEAPER), 0);
}

static void only_base_prices_are_compared_and_overrides_stay(void **state)
{
    (void)state;
    fixture_apply("{version: 1, providers: [{slug: acme, dialect: openai, base_url: "
                  "\"https://x/v1\", price_updates: apply}], models: [{id: a/b, context_length: "
                  "1000}], endpoints: [{model: a/b, provider: acme, upstream_model: up, pricing: "
                  "{prompt: 1, completion: 2, overrides: [{days: [monday, tuesday, wednesday, "
                  "thursday, friday, saturday, sunday], prompt: 0.5}]}}]}");
    assert_int_equal(look("{\"data\":[{\"id\":\"up\",\"pricing\":{\"prompt\":\"0.000001\"}}]}"), 0);
    assert_int_equal(look(CHEAPER), 1);
    assert_int_equal(act(), SB_OK);
    assert_true(costs("overrides"));
    assert_int_equal(look(CHEAPER), 0);
}

static void a_price_is_reported_once_where_nobody_chose(void **state)
{
    (void)state;
    fixture_apply(CATALOG(""));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(look(CHEAPER), 1);
        assert_int_equal(act(), SB_OK);
    }
    assert_int_equal(fixture_revision(), 1);
    assert_int_equal(events("price_differs"), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM price_sightings"), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM price_history"), 2);
}

static void a_rise_is_held_whatever_was_chosen(void **state)
{
    (void)state;
    fixture_apply(CATALOG(", price_updates: apply"));
    assert_int_equal(look(DEARER), 1);
    assert_int_equal(act(), SB_OK);
    assert_int_equal(fixture_revision(), 1);
    assert_int_equal(events("price_rose"), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM price_sightings WHERE verdict = 'held'"),
                     1);
}

static void nothing_is_done_about_a_configuration_that_is_not_the_newest(void **state)
{
    (void)state;
    fixture_apply(CATALOG(", price_updates: apply"));
    assert_int_equal(look(CHEAPER), 1);
    fixture_apply("{version: 1, tenants: [{name: new}]}");
    assert_int_equal(act(), SB_ECONFLICT);
    assert_int_equal(fixture_number("SELECT count(*) FROM events"), 0);
    assert_int_equal(fixture_revision(), 2);
}

static void who_does_not_lead_any_more_tells_nothing(void **state)
{
    (void)state;
    fixture_apply(CATALOG(""));
    assert_int_equal(look(CHEAPER), 1);
    sightings->term = 9;
    assert_int_equal(act(), SB_ENOTLEADER);
    assert_int_equal(fixture_number("SELECT count(*) FROM events"), 0);
}

static void what_is_missing_is_told_once_a_day(void **state)
{
    (void)state;
    fixture_apply(CATALOG(""));
    assert_int_equal(look("{\"data\":[{\"id\":\"other\"}]}"), 1);
    assert_int_equal(act(), SB_OK);
    assert_int_equal(act(), SB_OK);
    assert_in_range(events("model_missing"), 1, 2); /* two at midnight */
    assert_int_equal(look("{\"data\":[{\"id\":\"up\",\"context_length\":5}]}"), 1);
    assert_int_equal(act(), SB_OK);
    assert_int_equal(events("context_differs"), 1);
}

static void what_is_listed_again_is_told_once(void **state)
{
    (void)state;
    fixture_apply(CATALOG(""));
    assert_int_equal(look("{\"data\":[{\"id\":\"up\"}]}"), 0);
    assert_int_equal(act(), SB_OK);
    assert_int_equal(events("model_found"), 0); /* it was never missed */
    assert_int_equal(look("{\"data\":[{\"id\":\"other\"}]}"), 1);
    assert_int_equal(act(), SB_OK);
    assert_int_equal(events("model_found"), 0);
    assert_int_equal(look("{\"data\":[]}"), 0); /* says nothing */
    assert_int_equal(act(), SB_OK);
    assert_int_equal(events("model_found"), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(look("{\"data\":[{\"id\":\"up\"}]}"), 0);
        assert_int_equal(act(), SB_OK);
        assert_int_equal(events("model_found"), 1);
    }
    assert_int_equal(fixture_number("SELECT count(*) FROM events WHERE kind = 'model_found'"
                                    " AND subject = 'a/b@acme' AND severity = 0"),
                     1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_what_differs_is_seen),
        TEST(a_price_is_applied_as_a_revision_of_the_prober),
        TEST(only_base_prices_are_compared_and_overrides_stay),
        TEST(a_price_is_reported_once_where_nobody_chose),
        TEST(a_rise_is_held_whatever_was_chosen),
        TEST(nothing_is_done_about_a_configuration_that_is_not_the_newest),
        TEST(who_does_not_lead_any_more_tells_nothing),
        TEST(what_is_missing_is_told_once_a_day),
        TEST(what_is_listed_again_is_told_once),
    };

    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
