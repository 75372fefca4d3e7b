/* tests/unit/controlplane/test_tallies.c - against a real PostgreSQL, through
 * controlplane/records/ingest.h, which is whom it serves. */
#include "controlplane/records/tallies.h"

#include "controlplane/records/audit_rows.h"
#include "controlplane/records/ingest.h"
#include "controlplane/stats.h"
#include "tests/lib/ingest_fixture.h"

static struct cp_db *db, *owner;
static struct cp_stats stats;
static struct sb_buf bulk;
static struct msg_evidence held;

static int set_up(void **state)
{
    const char *conninfo = fixture_database();

    (void)state;
    stats = (struct cp_stats){.leading = 0};
    owner = fixture_connect(conninfo, NULL);
    db = fixture_connect(conninfo, CP_DB_COLLECTOR_ROLE);
    sb_buf_init(&bulk, MSG_BATCH_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_db_destroy(&db);
    cp_db_destroy(&owner);
    sb_buf_release(&bulk);
    return 0;
}

/* Served in Germany on evidence, as was demanded. */
static struct msg_record demanding(unsigned claim)
{
    struct msg_record record = fixture_record("gen-d");

    held = (struct msg_evidence){.claim = (uint8_t)claim,
                                 .value = MSG_TRI_YES,
                                 .evidence = SB_SLICE_LIT("contract"),
                                 .expires_on = 30000};
    record.endpoint = 81;
    record.model_served = SB_SLICE_LIT("a/m");
    record.tag = SB_SLICE_LIT("acme/turbo");
    record.provider = SB_SLICE_LIT("acme");
    record.region = SB_SLICE_LIT("DE");
    record.demanded = 1u << claim;
    if (claim == MSG_CLAIM_EU_RESIDENT)
        record.residency = SB_SLICE_LIT("eu");
    record.evidence = &held;
    record.n_evidence = 1;
    record.usage.prompt_tokens = 10;
    record.usage.completion_tokens = 5;
    record.cost = 1000;
    return record;
}

static void add(struct msg_record record)
{
    fixture_append(&bulk, &record);
}

static void send(uint64_t first)
{
    struct cp_ingest_batch batch = {
        .worker = SB_SLICE_LIT("w"), .boot = 1, .first = first, .bulk = sb_buf_slice(&bulk)};

    assert_int_equal(cp_ingest(db, FIXTURE_TERM, &batch, 1, &stats), SB_OK);
    sb_buf_reset(&bulk);
}

#define COUNT(what) fixture_number(db, "SELECT count(*) FROM " what)
#define SUM(where)                                                                                 \
    fixture_number(db,                                                                             \
                   "SELECT coalesce(sum(requests), 0)::bigint FROM compliance_days WHERE " where)

static void alike_requests_are_one_row_that_grows(void **state)
{
    (void)state;
    add(demanding(MSG_CLAIM_ZDR));
    add(demanding(MSG_CLAIM_ZDR));
    send(1);
    add(demanding(MSG_CLAIM_ZDR));
    send(3);
    assert_int_equal(COUNT("compliance_days"), 1);
    assert_int_equal(COUNT("compliance_days WHERE claim = 'zdr' AND verdict = 'served'"
                           " AND requests = 3 AND tokens = 45 AND cost = 3000 AND demanded = ''"
                           " AND endpoint = 'a/m@acme/turbo' AND provider = 'acme'"
                           " AND region = 'DE' AND evidence = 'contract' AND why = ''"
                           " AND expires_on = date '1970-01-01' + 30000"
                           " AND day = date '1970-01-01' + 20717"),
                     1);
    send(1); /* again: skipped, and not counted */
    assert_int_equal(SUM("true"), 3);
    assert_int_equal(COUNT("compliance_violations"), 0);
}

static void each_claim_counts_and_what_differs_is_apart(void **state)
{
    struct msg_record record = demanding(MSG_CLAIM_ZDR);
    struct msg_evidence both[2];

    (void)state;
    both[0] = both[1] = held;
    both[1].claim = MSG_CLAIM_EU_RESIDENT;
    record.evidence = both;
    record.n_evidence = 2;
    record.demanded |= 1u << MSG_CLAIM_EU_RESIDENT;
    record.residency = SB_SLICE_LIT("DE,FR");
    add(record);
    record.residency = SB_SLICE_LIT("eu");
    add(record);
    both[0].evidence = SB_SLICE_LIT("another contract");
    add(record);
    both[0].expires_on = 0;
    add(record);
    record.received_at += INT64_C(86400) * 1000000;
    add(record);
    record.demanded = 0;
    add(record); /* demanded nothing */
    record.kind = MSG_RECORD_REFUSALS;
    record.demanded = 1;
    add(record);
    send(1);
    assert_int_equal(SUM("claim = 'residency'"), 5);
    assert_int_equal(SUM("claim = 'residency' AND demanded = 'DE,FR'"), 1);
    assert_int_equal(SUM("claim = 'zdr'"), 5);
    assert_int_equal(COUNT("compliance_days WHERE claim = 'zdr'"), 4);
    assert_int_equal(COUNT("compliance_days WHERE claim = 'zdr' AND expires_on IS NULL"), 2);
    assert_int_equal(COUNT("compliance_days WHERE claim = 'residency'"), 3);
    assert_int_equal(SUM("verdict <> 'served'"), 0);
}

static void refused_and_failed_requests_name_nobody(void **state)
{
    struct msg_record record = demanding(MSG_CLAIM_EU_RESIDENT);

    (void)state;
    record.endpoint = 0;
    record.n_evidence = 0;
    record.outcome = MSG_OUTCOME_NO_ENDPOINT;
    add(record);
    record.outcome = MSG_OUTCOME_SERVER_ERROR;
    add(record);
    add(record);
    send(1);
    assert_int_equal(SUM("verdict = 'refused' AND endpoint = '' AND provider = ''"), 1);
    assert_int_equal(SUM("verdict = 'failed' AND endpoint = '' AND demanded = 'eu'"), 2);
}

static void a_violation_is_found_written_down_and_told_once_a_day(void **state)
{
    struct msg_record record = demanding(MSG_CLAIM_ZDR);

    (void)state;
    held.expires_on = 100;
    record.generation = SB_SLICE_LIT("gen-first");
    add(record);
    record.generation = SB_SLICE_LIT("gen-second");
    add(record);
    send(1);
    record.generation = SB_SLICE_LIT("gen-third");
    add(record);
    send(3);
    assert_int_equal(SUM("verdict = 'violation' AND why = 'expired'"), 3);
    assert_int_equal(COUNT("compliance_violations WHERE claim = 'zdr' AND why = 'expired'"
                           " AND endpoint = 'a/m@acme/turbo' AND key_name = 'app'"
                           " AND worker_id = 'w' AND boot_id = 1"
                           " AND expires_on = date '1970-01-01' + 100"),
                     3);
    assert_int_equal(COUNT("compliance_violations v JOIN audit_requests a"
                           " USING (received_at, worker_id, boot_id, sequence)"
                           " WHERE a.generation = v.generation"),
                     3);
    assert_int_equal(COUNT("events WHERE kind = 'compliance_violation' AND severity = 2"
                           " AND subject = 'a/m@acme/turbo' AND term = 4"
                           " AND text LIKE '%gen-first%'"),
                     1);
    assert_int_equal(COUNT("events"), 1);
    record.received_at += INT64_C(86400) * 1000000;
    add(record);
    send(4);
    assert_int_equal(COUNT("events"), 2);
}

/* A text that no index takes must not keep its record out. */
static void long_evidence_is_counted_too(void **state)
{
    static char text[MSG_TEXT_MAX];
    struct msg_record record = demanding(MSG_CLAIM_ZDR);
    uint32_t state_of_random = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        state_of_random = state_of_random * 1664525 + 1013904223; /* does not compress */
        text[i] = (char)('a' + (state_of_random >> 24) % 26);
    }
    held.evidence = sb_slice_make(text, sizeof(text));
    add(record);
    add(record);
    send(1);
    assert_int_equal(COUNT("quarantine"), 0);
    assert_int_equal(SUM("length(evidence) = 8192"), 2);
    assert_int_equal(COUNT("compliance_days"), 1);
}

static void sums_beyond_64_bits_are_exact(void **state)
{
    struct msg_record record = demanding(MSG_CLAIM_ZDR);

    (void)state;
    record.cost = INT64_MAX;
    record.usage.prompt_tokens = record.usage.completion_tokens = INT64_MAX;
    for (int i = 0; i < 3; i++)
        add(record);
    send(1);
    add(record);
    send(4);
    assert_int_equal(COUNT("compliance_days WHERE requests = 4"
                           " AND cost = 4 * 9223372036854775807::numeric"
                           " AND tokens = 8 * 9223372036854775807::numeric"),
                     1);
}

/* gen-bad is found by halving: the others are counted once. */
static void what_is_quarantined_is_not_counted(void **state)
{
    struct msg_record record = demanding(MSG_CLAIM_ZDR);

    (void)state;
    assert_int_equal(
        cp_db_script(owner, "ALTER TABLE audit_requests ADD CHECK (generation <> 'gen-bad')"),
        SB_OK);
    for (int i = 0; i < 5; i++) {
        record.generation = i == 2 ? SB_SLICE_LIT("gen-bad") : SB_SLICE_LIT("gen-good");
        add(record);
    }
    send(1);
    assert_int_equal(COUNT("quarantine"), 1);
    assert_int_equal(SUM("true"), 4);
}

static void the_collector_cannot_take_violations_back(void **state)
{
    struct msg_record record = demanding(MSG_CLAIM_ZDR);

    (void)state;
    held.value = MSG_TRI_NO;
    add(record);
    send(1);
    assert_int_not_equal(cp_db_script(db, "DELETE FROM compliance_violations"), SB_OK);
    assert_int_not_equal(cp_db_script(db, "UPDATE compliance_violations SET why = ''"), SB_OK);
    assert_int_not_equal(cp_db_script(db, "DELETE FROM compliance_days"), SB_OK);
    assert_int_equal(COUNT("compliance_violations"), 1);
}

static void only_so_many_violations_are_written_and_all_are_counted(void **state)
{
    struct msg_record record = demanding(MSG_CLAIM_ZDR);
    struct cp_record_id id = {.worker = SB_SLICE_LIT("w"), .boot = 1, .sequence = 1};
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct cp_tallies tallies;
    struct sb_slice json;

    (void)state;
    held.value = MSG_TRI_NO;
    cp_tallies_init(&tallies, 2);
    for (int i = 0; i < 5; i++)
        assert_int_equal(cp_tallies_note(&tallies, &id, &record), SB_OK);
    assert_int_equal(tallies.violations, 5);
    assert_int_equal(tallies.first->requests, 5);
    assert_int_equal(cp_tallies_violations(&tallies, &json), SB_OK);
    assert_int_equal(sb_json_read(json, json.n, &doc, NULL), SB_OK);
    assert_int_equal(yyjson_arr_size(yyjson_doc_get_root(doc)), 2);
    cp_tallies_release(&tallies);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(alike_requests_are_one_row_that_grows),
        TEST(each_claim_counts_and_what_differs_is_apart),
        TEST(refused_and_failed_requests_name_nobody),
        TEST(a_violation_is_found_written_down_and_told_once_a_day),
        TEST(long_evidence_is_counted_too),
        TEST(sums_beyond_64_bits_are_exact),
        TEST(what_is_quarantined_is_not_counted),
        TEST(the_collector_cannot_take_violations_back),
        cmocka_unit_test(only_so_many_violations_are_written_and_all_are_counted),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
