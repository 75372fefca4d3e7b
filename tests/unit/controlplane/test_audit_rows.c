/* tests/unit/controlplane/test_audit_rows.c - against a real PostgreSQL. */
#include "controlplane/records/audit_rows.h"

#include "tests/lib/ingest_fixture.h"

static struct cp_db *db;
static struct cp_audit_rows rows;
static struct sb_arena *arena;
static struct sb_slice line; /* of the last record */
static const struct cp_record_id id = {.worker = SB_SLICE_INIT("w"), .boot = 5, .sequence = 6};

static int set_up(void **state)
{
    (void)state;
    db = fixture_connect(fixture_database(), CP_DB_COLLECTOR_ROLE);
    arena = sb_arena_new(1024);
    cp_audit_rows_init(&rows);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_audit_rows_release(&rows);
    sb_arena_destroy(&arena);
    cp_db_destroy(&db);
    return 0;
}

static void store(void)
{
    if (cp_audit_rows_store(&rows, db) != SB_OK)
        fail_msg("%s", cp_db_last_error(db)->text.text);
}

static void same(struct sb_slice a, struct sb_slice b)
{
    if (!sb_slice_eq(a, b))
        fail_msg("'%.*s' is not '%.*s'", SB_SLICE_ARGS(a), SB_SLICE_ARGS(b));
}

static void a_record_comes_back_as_it_went_in(void **state)
{
    struct msg_attempt attempts[] = {
        {.endpoint = 11,
         .tag = SB_SLICE_LIT("acme/turbo"),
         .model = SB_SLICE_LIT("m \"1\""),
         .credential = 12,
         .credential_kind = 2,
         .status = 503,
         .outcome = 7,
         .started = 1,
         .first_token = 2,
         .took = UINT32_MAX},
        {.endpoint = INT64_MAX, .tag = SB_SLICE_LIT("\xc3\xa4"), .outcome = 200},
    };
    struct msg_record in = fixture_record("gen-full"), out;

    (void)state;
    in.request_id = SB_SLICE_LIT("req\n");
    in.took = INT64_MAX;
    in.first_token = UINT32_MAX;
    in.api = 255;
    in.streamed = true;
    in.key = INT64_MAX;
    in.model_served = SB_SLICE_LIT("b/n");
    in.endpoint = 11;
    in.tag = SB_SLICE_LIT("acme/turbo");
    in.provider = SB_SLICE_LIT("acme");
    in.region = SB_SLICE_LIT("DE");
    in.credential_kind = 2;
    in.version = (struct msg_version){.epoch = 1, .revision = INT64_MAX};
    in.demanded = 0x80000001u;
    in.residency = SB_SLICE_LIT("eu");
    in.attempts = attempts;
    in.n_attempts = 2;
    in.usage = (struct msg_usage){.prompt_tokens = 1,
                                  .completion_tokens = 2,
                                  .cached_tokens = 3,
                                  .cache_write_tokens = 4,
                                  .reasoning_tokens = 5,
                                  .source = 200};
    in.cost = -7;
    in.upstream_cost = INT64_MIN;
    in.status = 65535;
    in.outcome = 250;
    in.finish_reason = SB_SLICE_LIT("stop");
    in.request_bytes = 8;
    in.response_bytes = 9;
    in.salt = SB_SLICE_LIT("0123456789abcde\0");
    in.request_digest = SB_SLICE_LIT("request");
    in.response_digest = SB_SLICE_LIT("response");
    in.user_hash = SB_SLICE_LIT("\xff\0");
    in.metadata_hash = SB_SLICE_LIT("metadata");
    in.user_plain = SB_SLICE_LIT("\xc3\xa4");
    in.metadata_plain = SB_SLICE_LIT("{}");
    in.demanded_by_policy = 0x80000000u;
    assert_int_equal(cp_audit_rows_add(&rows, &id, &in, 7, &line), SB_OK);
    store();
    assert_int_equal(cp_audit_find(db, SB_SLICE_LIT("gen-full"), 2, arena, &out), SB_OK);
    same(out.generation, in.generation);
    same(out.request_id, in.request_id);
    assert_true(out.received_at == in.received_at && out.took == in.took);
    assert_int_equal(out.first_token, in.first_token);
    assert_int_equal(out.api, in.api);
    assert_true(out.streamed);
    assert_true(out.key == in.key && out.tenant == in.tenant);
    same(out.key_name, in.key_name);
    same(out.model_served, in.model_served);
    assert_int_equal(out.endpoint, in.endpoint);
    same(out.tag, in.tag);
    same(out.provider, in.provider);
    same(out.region, in.region);
    assert_int_equal(msg_version_cmp(out.version, in.version), 0);
    assert_int_equal(out.demanded, in.demanded);
    same(out.residency, in.residency);
    assert_memory_equal(&out.usage, &in.usage, sizeof(in.usage));
    assert_true(out.cost == in.cost && out.upstream_cost == in.upstream_cost);
    assert_int_equal(out.status, in.status);
    assert_int_equal(out.outcome, in.outcome);
    same(out.finish_reason, in.finish_reason);
    assert_true(out.request_bytes == 8 && out.response_bytes == 9);
    same(out.salt, in.salt);
    same(out.request_digest, in.request_digest);
    same(out.response_digest, in.response_digest);
    same(out.user_hash, in.user_hash);
    same(out.metadata_hash, in.metadata_hash);
    same(out.user_plain, in.user_plain);
    same(out.metadata_plain, in.metadata_plain);
    assert_int_equal(out.demanded_by_policy, in.demanded_by_policy);
    assert_int_equal(out.n_attempts, 2);
    same(out.attempts[0].model, attempts[0].model);
    assert_int_equal(out.attempts[0].took, UINT32_MAX);
    assert_int_equal(out.attempts[0].credential, 12);
    assert_true(out.attempts[1].endpoint == INT64_MAX);
    same(out.attempts[1].tag, attempts[1].tag);
    assert_int_equal(out.attempts[1].outcome, 200);
}

static void nothing_is_null_and_comes_back_as_nothing(void **state)
{
    struct msg_record in = fixture_record("gen-bare"), out;

    (void)state;
    in.demanded_by_policy = MSG_DEMANDED_UNKNOWN;
    assert_int_equal(cp_audit_rows_add(&rows, &id, &in, 7, &line), SB_OK);
    store();
    assert_int_equal(
        fixture_number(db, "SELECT count(*) FROM audit_requests WHERE endpoint_id IS NULL"
                           " AND request_id IS NULL AND model_served IS NULL AND tag IS NULL"
                           " AND first_token_us IS NULL AND residency IS NULL"
                           " AND evidence IS NULL AND finish_reason IS NULL"
                           " AND salt IS NULL AND request_digest IS NULL AND user_plain IS NULL"
                           " AND demanded_by_policy IS NULL"
                           " AND attempts = '[]'"),
        1);
    assert_int_equal(cp_audit_find(db, SB_SLICE_LIT("gen-bare"), 0, arena, &out), SB_OK);
    assert_int_equal(out.endpoint, 0);
    assert_int_equal(out.n_attempts, 0);
    assert_int_equal(out.model_served.n, 0);
    assert_int_equal(out.user_hash.n, 0);
    assert_int_equal(out.demanded_by_policy, MSG_DEMANDED_UNKNOWN);
}

static void addresses_are_stored_as_such_and_what_is_none_is_null(void **state)
{
    static const char *const sent[] = {"192.0.2.7", "2001:db8::17", "unknown", ""};
    struct cp_record_id next = id;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(sent); i++, next.sequence++) {
        struct msg_record record = fixture_record("gen");

        record.client_address = sb_slice_of(sent[i]);
        assert_int_equal(cp_audit_rows_add(&rows, &next, &record, 7, &line), SB_OK);
    }
    store();
    assert_int_equal(fixture_number(db,
                                    "SELECT count(*) FROM audit_requests WHERE client_address <<="
                                    " '192.0.2.0/24' AND host(client_address) = '192.0.2.7'"),
                     1);
    assert_int_equal(fixture_number(db,
                                    "SELECT count(*) FROM audit_requests WHERE client_address <<="
                                    " '2001:db8::/32' AND host(client_address) = '2001:db8::17'"),
                     1);
    assert_int_equal(
        fixture_number(db, "SELECT count(*) FROM audit_requests WHERE client_address IS NULL"), 2);
}

static void a_number_that_no_column_takes_is_refused_and_leaves_no_trace(void **state)
{
    struct msg_record good = fixture_record("good"), bad = fixture_record("bad");

    (void)state;
    assert_int_equal(cp_audit_rows_add(&rows, &id, &good, 7, &line), SB_OK);
    bad.response_bytes = UINT64_MAX; /* the last column */
    assert_int_equal(cp_audit_rows_add(&rows, &id, &bad, 7, &line), SB_EINVAL);
    bad = good;
    bad.key = (uint64_t)INT64_MAX + 1;
    assert_int_equal(cp_audit_rows_add(&rows, &id, &bad, 7, &line), SB_EINVAL);
    store();
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM audit_requests"), 1);
}

static void days_of_evidence_that_no_calendar_has_are_left_out(void **state)
{
    struct msg_evidence evidence[] = {
        {.claim = 1, .value = 2, .attested_on = INT32_MAX, .expires_on = -5},
        {.claim = 0, .value = 2, .attested_on = 2932896, .evidence = SB_SLICE_LIT("e")},
    };
    struct msg_record record = fixture_record("gen");

    (void)state;
    record.evidence = evidence;
    record.n_evidence = 2;
    assert_int_equal(cp_audit_rows_add(&rows, &id, &record, 7, &line), SB_OK);
    store();
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM audit_requests WHERE evidence ="
                                        " '[{\"claim\": \"zdr\", \"value\": \"yes\"},"
                                        " {\"claim\": \"eu_resident\", \"value\": \"yes\","
                                        " \"attested_on\": \"9999-12-31\","
                                        " \"evidence\": \"e\"}]'"),
                     1);
}

static void each_kind_has_its_table_and_rows_can_be_used_again(void **state)
{
    struct msg_record record = fixture_record("gen-d");
    struct cp_record_id next = id;

    (void)state;
    for (int round = 0; round < 2; round++) {
        record.kind = MSG_RECORD_DISPATCH;
        assert_int_equal(cp_audit_rows_add(&rows, &next, &record, 7, &line), SB_OK);
        record.kind = MSG_RECORD_REFUSALS;
        record.refusal = SB_SLICE_LIT("no_key");
        record.refusals = 3;
        assert_int_equal(cp_audit_rows_add(&rows, &next, &record, 7, &line), SB_OK);
        store();
        cp_audit_rows_reset(&rows);
        next.sequence++;
    }
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM audit_dispatches"), 2);
    assert_int_equal(fixture_number(db, "SELECT sum(refusals)::bigint FROM audit_refusals"), 6);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM audit_requests"), 0);
}

static void another_tenants_generation_is_not_there(void **state)
{
    struct msg_record record = fixture_record("gen"), out;

    (void)state;
    assert_int_equal(cp_audit_rows_add(&rows, &id, &record, 7, &line), SB_OK);
    store();
    assert_int_equal(cp_audit_find(db, SB_SLICE_LIT("gen"), 3, arena, &out), SB_ENOENT);
    assert_int_equal(cp_audit_find(db, SB_SLICE_LIT("gem"), 2, arena, &out), SB_ENOENT);
    assert_int_equal(cp_audit_find(db, SB_SLICE_LIT("gen"), UINT64_MAX, arena, &out), SB_ENOENT);
    assert_int_equal(cp_audit_find(db, SB_SLICE_LIT("gen"), 0, arena, &out), SB_OK);
}

static void what_somebody_else_wrote_into_the_row_is_not_trusted(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = fixture_connect(cluster.conninfo, NULL);
    struct msg_record record = fixture_record("gen"), out;

    (void)state;
    assert_int_equal(cp_audit_rows_add(&rows, &id, &record, 7, &line), SB_OK);
    store();
    assert_int_equal(
        cp_db_script(owner, "UPDATE audit_requests SET attempts = '[1, {}, {\"tag\": 5}]'"), SB_OK);
    assert_int_equal(cp_audit_find(db, SB_SLICE_LIT("gen"), 0, arena, &out), SB_OK);
    assert_int_equal(out.n_attempts, 3);
    assert_int_equal(out.attempts[2].tag.n, 0);
    assert_int_equal(cp_db_script(owner, "UPDATE audit_requests SET attempts ="
                                         " (SELECT jsonb_agg(i) FROM generate_series(1, 17) i)"),
                     SB_OK);
    assert_int_equal(cp_audit_find(db, SB_SLICE_LIT("gen"), 0, arena, &out), SB_ETOOBIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_comes_back_as_it_went_in),
        TEST(nothing_is_null_and_comes_back_as_nothing),
        TEST(addresses_are_stored_as_such_and_what_is_none_is_null),
        TEST(a_number_that_no_column_takes_is_refused_and_leaves_no_trace),
        TEST(days_of_evidence_that_no_calendar_has_are_left_out),
        TEST(each_kind_has_its_table_and_rows_can_be_used_again),
        TEST(another_tenants_generation_is_not_there),
        TEST(what_somebody_else_wrote_into_the_row_is_not_trusted),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
