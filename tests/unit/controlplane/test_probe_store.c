/* tests/unit/controlplane/test_probe_store.c */
#include "controlplane/probes/probe_store.h"

#include "common/money.h"
#include "common/timefmt.h"
#include "tests/lib/store_fixture.h"

/* 2026-09-22, noon. */
#define NOON (INT64_C(1790078400) * SB_USEC_PER_SEC)
#define DAY  (SB_SEC_PER_DAY * SB_USEC_PER_SEC)

static struct cp_db *db;
static uint64_t sequence;

static int set_up(void **state)
{
    (void)fixture_setup(state);
    db = fixture_connect(CP_DB_SERVICE_ROLE);
    sequence = 0;
    return 0;
}

static int tear_down(void **state)
{
    cp_db_destroy(&db);
    return fixture_teardown(state);
}

static struct cp_probe probe(int64_t reserved)
{
    return (struct cp_probe){.kind = CP_PROBE_COMPLETION,
                             .reason = CP_PROBE_OUTAGE, /* the whole budget may be used */
                             .endpoint = 7,
                             .provider = "acme",
                             .name = "a/b@acme",
                             .reserved = reserved};
}

static bool grant(int64_t budget, sb_usec wall, struct cp_probe *probes, unsigned n)
{
    struct cp_probe_grant wanted = {
        .budget = budget, .wall = wall, .probes = probes, .n = n, .sequence = sequence};

    assert_int_equal(cp_probe_store_grant(db, &wanted), SB_OK);
    sequence = wanted.sequence;
    return !wanted.is_short;
}

static int64_t spent(sb_usec wall)
{
    int64_t amount = -1;

    assert_int_equal(cp_probe_store_spent(db, wall, &amount), SB_OK);
    /* what is kept is the sum of what is recorded */
    assert_int_equal(fixture_number("SELECT ((SELECT coalesce(sum(cost), 0) FROM probe_days)"
                                    " = (SELECT coalesce(sum(cost), 0) FROM probes))::int"),
                     1);
    return amount;
}

static void settle(struct cp_probe *one, int64_t cost)
{
    one->outcome = MSG_OUTCOME_SUCCESS;
    one->status = 200;
    one->cost = cost;
    one->usage.prompt_tokens = 9;
    assert_int_equal(cp_probe_store_settle(db, 0, one, 1), SB_OK);
}

static void only_what_fits_the_budget_is_granted(void **state)
{
    struct cp_probe probes[] = {probe(40), probe(50), probe(30), probe(10), probe(0)};

    (void)state;
    assert_false(grant(100, NOON, probes, 5));
    assert_true(probes[0].is_granted && probes[1].is_granted);
    assert_false(probes[2].is_granted); /* 90 are gone */
    assert_true(probes[3].is_granted);
    assert_true(probes[4].is_granted);
    assert_int_equal(probes[3].sequence, 3);
    assert_int_equal(probes[0].started_at, NOON);
    assert_int_equal(spent(NOON), 100);
    assert_int_equal(spent(NOON + DAY), 0);
}

static void what_it_did_cost_replaces_the_worst_case_once(void **state)
{
    struct cp_probe first = probe(100), second = probe(80);

    (void)state;
    assert_true(grant(100, NOON, &first, 1));
    assert_false(grant(100, NOON, &second, 1));
    settle(&first, 15);
    assert_int_equal(spent(NOON), 15);
    settle(&first, 99); /* a mail that comes again */
    assert_int_equal(spent(NOON), 15);
    assert_true(grant(100, NOON, &second, 1));
    assert_int_equal(spent(NOON), 95);
    assert_int_equal(fixture_number("SELECT outcome FROM probes WHERE sequence = 1"),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(fixture_number("SELECT prompt_tokens FROM probes WHERE sequence = 1"), 9);
}

static void a_day_has_its_own_budget_and_its_own_bill(void **state)
{
    struct cp_probe first = probe(100), second = probe(100);

    (void)state;
    assert_true(grant(100, NOON, &first, 1));
    assert_true(grant(100, NOON + DAY, &second, 1));
    settle(&first, 1); /* after midnight: still of the day before */
    assert_int_equal(spent(NOON), 1);
    assert_int_equal(spent(NOON + DAY), 100);
    /* the clock steps back: that day is as it was left */
    second = probe(99);
    assert_true(grant(100, NOON, &second, 1));
    assert_int_equal(spent(NOON), 100);
}

static void with_nothing_to_spend_only_what_is_free_is_granted(void **state)
{
    struct cp_probe probes[] = {probe(1), probe(0)};

    (void)state;
    assert_false(grant(0, NOON, probes, 2));
    assert_false(probes[0].is_granted);
    assert_true(probes[1].is_granted);
    assert_int_equal(spent(NOON), 0);
}

static int64_t told(void)
{
    return fixture_number("SELECT count(*) FROM events WHERE kind = 'probe_budget_spent'");
}

static void a_spent_budget_is_told_once_a_day(void **state)
{
    struct cp_probe stale = probe(30), first = probe(90), second = probe(20);

    (void)state;
    stale.reason = CP_PROBE_STALE;
    assert_false(grant(0, NOON, &first, 1)); /* nothing is no budget that could be spent */
    assert_true(grant(100, NOON, &first, 1));
    assert_false(grant(200, NOON, &stale, 1)); /* there is money, but for later */
    assert_int_equal(told(), 0);
    assert_false(grant(100, NOON, &second, 1));
    assert_false(grant(100, NOON + 1, &second, 1));
    assert_int_equal(told(), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM events WHERE subject = 'acme'"
                                    " AND detail->>'spent' = '0.00000000000009'"
                                    " AND detail->>'budget' = '0.0000000000001'"),
                     1);
    first = probe(90);
    assert_true(grant(100, NOON + DAY, &first, 1));
    assert_false(grant(100, NOON + DAY, &second, 1));
    assert_int_equal(told(), 2);
}

static void who_bills_more_than_it_can_is_not_probed_again_that_day(void **state)
{
    struct cp_probe one = probe(10), other = probe(10);

    (void)state;
    assert_true(grant(1000, NOON, &one, 1));
    settle(&one, 11);
    one = probe(10);
    (void)snprintf(other.name, sizeof(other.name), "a/b@other");
    assert_true(grant(1000, NOON + 1, &one, 1));
    assert_false(one.is_granted);
    assert_true(grant(1000, NOON + 2, &other, 1));
    assert_true(other.is_granted);
    assert_true(grant(1000, NOON + DAY, &one, 1));
    assert_true(one.is_granted);
}

static void a_bill_beyond_reason_ends_the_days_budget_and_nothing_else(void **state)
{
    struct cp_probe one = probe(10), next[] = {probe(10), probe(0)};

    (void)state;
    assert_true(grant(INT64_MAX, NOON, &one, 1));
    settle(&one, INT64_MAX);
    (void)snprintf(next[0].name, sizeof(next[0].name), "a/b@next");
    (void)snprintf(next[1].name, sizeof(next[1].name), "a/b@next");
    assert_false(grant(INT64_MAX, NOON, next, 2));
    assert_false(next[0].is_granted);
    assert_true(next[1].is_granted);
    assert_int_equal(spent(NOON), INT64_MAX);
}

static void who_does_not_lead_any_more_spends_nothing(void **state)
{
    struct cp_probe one = probe(10), late = probe(5);
    struct cp_probe_grant wanted = {
        .term = 1, .budget = 100, .wall = NOON, .probes = &one, .n = 1, .sequence = 1};

    (void)state;
    assert_true(grant(100, NOON, &late, 1));
    assert_int_equal(cp_probe_store_grant(db, &wanted), SB_ENOTLEADER);
    assert_int_equal(wanted.sequence, 1);
    assert_false(one.is_granted);
    late.outcome = MSG_OUTCOME_SUCCESS;
    assert_int_equal(cp_probe_store_settle(db, 1, &late, 1), SB_ENOTLEADER);
    assert_int_equal(sequence, 1);
    assert_int_equal(spent(NOON), 5);
}

static void a_probe_of_a_provider_has_no_endpoint(void **state)
{
    struct cp_probe one = {
        .kind = CP_PROBE_MODELS, .reason = CP_PROBE_SCHEDULED, .provider = "acme"};

    (void)state;
    assert_true(grant(0, NOON, &one, 1));
    assert_true(one.is_granted);
    assert_int_equal(fixture_number("SELECT count(*) FROM probes WHERE endpoint IS NULL"
                                    " AND endpoint_id IS NULL AND kind = 'models'"),
                     1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_what_fits_the_budget_is_granted),
        TEST(what_it_did_cost_replaces_the_worst_case_once),
        TEST(a_day_has_its_own_budget_and_its_own_bill),
        TEST(with_nothing_to_spend_only_what_is_free_is_granted),
        TEST(a_spent_budget_is_told_once_a_day),
        TEST(who_bills_more_than_it_can_is_not_probed_again_that_day),
        TEST(a_bill_beyond_reason_ends_the_days_budget_and_nothing_else),
        TEST(who_does_not_lead_any_more_spends_nothing),
        TEST(a_probe_of_a_provider_has_no_endpoint),
    };

    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
