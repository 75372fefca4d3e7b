/* tests/unit/controlplane/test_expiry.c - against a real PostgreSQL. */
#include "controlplane/events/expiry.h"

#include "common/timefmt.h"
#include "tests/lib/ingest_fixture.h"

static struct cp_db *db, *owner;
static int32_t today;

static int set_up(void **state)
{
    const char *conninfo = fixture_database();

    (void)state;
    owner = fixture_connect(conninfo, NULL);
    db = fixture_connect(conninfo, CP_DB_SERVICE_ROLE);
    assert_int_equal(sb_date_parse(SB_SLICE_LIT("2026-06-15"), &today), SB_OK);
    assert_int_equal(
        cp_db_script(
            owner, "INSERT INTO providers (slug, name, dialect, base_url, zdr, from_file, revision)"
                   " VALUES ('acme', 'Acme', 'openai', 'http://x', ROW('yes', 'contract', 'bob',"
                   " '2026-01-01', '2026-07-15')::claim_fields, false, 1);"
                   "INSERT INTO models (model, name, context_length, input_modalities,"
                   " output_modalities, from_file, revision)"
                   " VALUES ('a/m', 'M', 1000, '{text}', '{text}', false, 1);"
                   "INSERT INTO endpoints (name, model_id, provider_id, tag, upstream_model,"
                   " eu_resident, no_training, from_file, revision)"
                   " SELECT 'a/m@acme', m.id, p.id, 'acme', 'm', ROW('yes', 'audit', 'bob',"
                   " '2026-01-01', '2026-07-16')::claim_fields, ROW('no', NULL, NULL, NULL,"
                   " '2026-06-20')::claim_fields, false, 1 FROM models m, providers p"),
        SB_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_db_destroy(&db);
    cp_db_destroy(&owner);
    return 0;
}

static uint64_t tell(int32_t day)
{
    uint64_t told = 99;

    if (cp_expiry_tell(db, FIXTURE_TERM, day, &told) != SB_OK)
        fail_msg("%s", cp_db_last_error(db)->text.text);
    return told;
}

static int64_t events(const char *where)
{
    char sql[300];

    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM events WHERE %s", where);
    return fixture_number(db, sql);
}

static void thirty_days_ahead_it_is_told_once(void **state)
{
    (void)state;
    assert_int_equal(tell(today - 1), 0);
    assert_int_equal(tell(today), 1); /* the endpoint's ends a day later */
    assert_int_equal(tell(today), 0);
    assert_int_equal(events("kind = 'evidence_expiring' AND severity = 1 AND subject = 'acme'"
                            " AND subject_kind = 'providers' AND detail ->> 'claim' = 'zdr'"
                            " AND detail ->> 'expires_on' = '2026-07-15' AND term = 4"),
                     1);
    assert_int_equal(tell(today + 1), 1);
    assert_int_equal(events("subject = 'a/m@acme' AND detail ->> 'claim' = 'eu_resident'"), 1);
}

static void it_is_valid_through_its_last_day(void **state)
{
    (void)state;
    (void)tell(today + 30);
    assert_int_equal(events("kind = 'evidence_expired'"), 0);
    assert_int_equal(tell(today + 31), 1);
    assert_int_equal(events("kind = 'evidence_expired' AND severity = 2 AND subject = 'acme'"), 1);
    assert_int_equal(tell(today + 31), 0);
}

static void new_evidence_is_told_of_again(void **state)
{
    (void)state;
    (void)tell(today);
    assert_int_equal(cp_db_script(owner, "UPDATE providers SET zdr = ROW('yes', 'new', 'eve',"
                                         " '2026-06-15', '2026-07-01')::claim_fields"),
                     SB_OK);
    assert_int_equal(tell(today), 1);
    assert_int_equal(events("subject = 'acme' AND detail ->> 'evidence' = 'new'"), 1);
}

static void who_does_not_lead_any_more_tells_nothing(void **state)
{
    uint64_t told;

    (void)state;
    assert_int_equal(cp_expiry_tell(db, FIXTURE_TERM - 1, today, &told), SB_ENOTLEADER);
    assert_int_equal(events("true"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(thirty_days_ahead_it_is_told_once),
        TEST(it_is_valid_through_its_last_day),
        TEST(new_evidence_is_told_of_again),
        TEST(who_does_not_lead_any_more_tells_nothing),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
