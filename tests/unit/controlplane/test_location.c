/* tests/unit/controlplane/test_location.c */
#include "controlplane/probes/location.h"

#include "proto/country.h"
#include "tests/lib/store_fixture.h"

static enum cp_location_verdict judge(const char *region, enum msg_tri eu_resident,
                                      const char *country)
{
    return cp_location_judge(sb_slice_of(region), eu_resident,
                             msg_country_parse(sb_slice_of(country)));
}

static void an_address_inside_is_fine(void **state)
{
    (void)state;
    assert_int_equal(judge("DE", MSG_TRI_YES, "DE"), CP_LOCATION_FINE);
    assert_int_equal(judge("eu", MSG_TRI_YES, "FR"), CP_LOCATION_FINE);
    assert_int_equal(judge("us", MSG_TRI_UNKNOWN, "US"), CP_LOCATION_FINE);
    assert_int_equal(judge("US", MSG_TRI_NO, "US"), CP_LOCATION_FINE);
    assert_int_equal(judge("global", MSG_TRI_UNKNOWN, "US"), CP_LOCATION_FINE);
    assert_int_equal(judge("", MSG_TRI_UNKNOWN, "US"), CP_LOCATION_FINE);
    assert_int_equal(judge("global", MSG_TRI_YES, "FI"), CP_LOCATION_FINE);
}

static void an_address_outside_refutes_what_promises_europe(void **state)
{
    (void)state;
    assert_int_equal(judge("eu", MSG_TRI_YES, "US"), CP_LOCATION_REFUTED);
    assert_int_equal(judge("eu", MSG_TRI_YES, "CH"), CP_LOCATION_REFUTED);
    assert_int_equal(judge("DE", MSG_TRI_YES, "FR"), CP_LOCATION_REFUTED);
    assert_int_equal(judge("DE", MSG_TRI_UNKNOWN, "US"), CP_LOCATION_REFUTED);
    assert_int_equal(judge("eu", MSG_TRI_UNKNOWN, "GB"), CP_LOCATION_REFUTED);
    assert_int_equal(judge("", MSG_TRI_YES, "US"), CP_LOCATION_REFUTED);
    assert_int_equal(judge("US", MSG_TRI_YES, "US"), CP_LOCATION_REFUTED);
}

static void another_address_outside_is_only_told(void **state)
{
    (void)state;
    assert_int_equal(judge("DE", MSG_TRI_NO, "US"), CP_LOCATION_OUTSIDE);
    assert_int_equal(judge("us", MSG_TRI_UNKNOWN, "DE"), CP_LOCATION_OUTSIDE);
    assert_int_equal(judge("JP", MSG_TRI_NO, "US"), CP_LOCATION_OUTSIDE);
}

#define CATALOG                                                                                    \
    "{version: 1, providers: [{slug: acme, dialect: openai, base_url: \"https://x/v1\"},"          \
    " {slug: other, dialect: openai, base_url: \"https://y/v1\"}], models: [{id: a/b,"             \
    " context_length: 1000, input_modalities: [text], output_modalities: [text]}], endpoints: ["   \
    "{model: a/b, provider: acme, region: DE, pricing: {prompt: 1, completion: 2},"                \
    " eu_resident: {value: yes, evidence: said, expires_on: 2030-01-01}},"                         \
    " {model: a/b, provider: acme, tag: acme/us, region: US,"                                      \
    " pricing: {prompt: 1, completion: 2}},"                                                       \
    " {model: a/b, provider: other, region: DE, pricing: {prompt: 1, completion: 2},"              \
    " eu_resident: {value: yes, evidence: said}}]}"

static int act(const char *country, uint64_t term, uint64_t *ret_refuted)
{
    struct cp_located located[] = {
        {.address = {{0x20, 1, [15] = 1}}, .country = msg_country_parse(SB_SLICE_LIT("DE"))},
        {.address = {{0x20, 1, [15] = 2}}, .country = msg_country_parse(sb_slice_of(country))}};
    const struct cp_locations locations = {.term = term,
                                           .provider = SB_SLICE_LIT("acme"),
                                           .host = SB_SLICE_LIT("api.acme.example"),
                                           .date = "2026-11-28",
                                           .all = located,
                                           .n = 2};
    struct sb_errmsg err;

    return cp_location_act(fx.store, &locations, ret_refuted, &err);
}

static int64_t events(const char *endpoint)
{
    char sql[200];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM events WHERE kind = 'address_outside_region'"
                   " AND subject = '%s'",
                   endpoint);
    return fixture_number(sql);
}

static void a_refuted_claim_is_a_revision_with_the_address_as_evidence(void **state)
{
    uint64_t refuted = 0;

    (void)state;
    fixture_apply(CATALOG);
    assert_int_equal(act("US", 0, &refuted), SB_OK);
    assert_int_equal(refuted, 1);
    assert_int_equal(
        fixture_number("SELECT count(*) FROM endpoints WHERE name = 'a/b@acme'"
                       " AND (eu_resident).value = 'no' AND (eu_resident).expires_on IS NULL"
                       " AND (eu_resident).evidence = '2001::2, an address of api.acme.example,"
                       " is in US by the country database of 2026-11-28'"),
        1);
    assert_int_equal(fixture_number("SELECT revision FROM revisions WHERE author = 'prober'"), 2);
    assert_int_equal(events("a/b@acme"), 1);
    assert_int_equal(events("a/b@other"), 0);
    assert_int_equal(fixture_number("SELECT count(*) FROM events WHERE severity = 2"
                                    " AND detail->>'address' = '2001::2'"
                                    " AND detail->>'country' = 'US'"),
                     1);
    /* DE is outside of US, but nothing of it is claimed to be European */
    assert_int_equal(events("a/b@acme/us"), 1);
    assert_int_equal(
        fixture_number("SELECT count(*) FROM endpoints WHERE (eu_resident).value = 'yes'"), 1);
}

static void nothing_is_told_twice_and_nothing_becomes_a_yes(void **state)
{
    uint64_t refuted = 0;

    (void)state;
    fixture_apply(CATALOG);
    for (int i = 0; i < 3; i++)
        assert_int_equal(act("US", 0, &refuted), SB_OK);
    assert_int_equal(refuted, 0);
    assert_int_equal(fixture_revision(), 2);
    assert_int_equal(events("a/b@acme"), 1);
    assert_int_equal(events("a/b@acme/us"), 1);
    assert_int_equal(act("DE", 0, &refuted), SB_OK);
    assert_int_equal(fixture_revision(), 2);
    assert_int_equal(
        fixture_number("SELECT count(*) FROM endpoints WHERE (eu_resident).value = 'no'"), 1);
    /* who attests it anew is refuted anew */
    fixture_apply(CATALOG);
    assert_int_equal(act("US", 0, &refuted), SB_OK);
    assert_int_equal(refuted, 1);
    assert_int_equal(fixture_revision(), 4);
    assert_int_equal(events("a/b@acme"), 2);
    assert_int_equal(events("a/b@acme/us"), 1);
}

static void who_does_not_lead_tells_nothing(void **state)
{
    uint64_t refuted = 0;

    (void)state;
    fixture_apply(CATALOG);
    assert_int_equal(act("US", 9, &refuted), SB_ENOTLEADER);
    assert_int_equal(fixture_number("SELECT count(*) FROM events"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_inside_is_fine),
        cmocka_unit_test(an_address_outside_refutes_what_promises_europe),
        cmocka_unit_test(another_address_outside_is_only_told),
        TEST(a_refuted_claim_is_a_revision_with_the_address_as_evidence),
        TEST(nothing_is_told_twice_and_nothing_becomes_a_yes),
        TEST(who_does_not_lead_tells_nothing),
    };

    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
