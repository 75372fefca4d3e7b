/* tests/unit/controlplane/test_entry.c - against a real PostgreSQL: the line of
 * a row is the line of the record that it was made of. */
#include "controlplane/log/entry.h"

#include "controlplane/records/audit_rows.h"
#include "tests/lib/ingest_fixture.h"
#include "tests/lib/record_random.h"

static struct cp_db *db, *owner;
static struct cp_audit_rows rows;
static struct sb_arena *arena;
static struct sb_buf out;
static const struct cp_record_id id = {.worker = SB_SLICE_INIT("w"), .boot = 5, .sequence = 6};

static int set_up(void **state)
{
    (void)state;
    db = fixture_connect(fixture_database(), CP_DB_COLLECTOR_ROLE);
    owner = fixture_connect(cluster.conninfo, NULL);
    arena = sb_arena_new(1024);
    cp_audit_rows_init(&rows);
    sb_buf_init(&out, CP_ENTRY_LINE_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_buf_release(&out);
    cp_audit_rows_release(&rows);
    sb_arena_destroy(&arena);
    cp_db_destroy(&owner);
    cp_db_destroy(&db);
    return 0;
}

static struct cp_rows *ask(enum cp_entry_kind kind, const char *where)
{
    struct cp_rows *found = NULL;
    char sql[8192];

    (void)snprintf(sql, sizeof(sql), "%s %s", cp_columns_of(kind)->select, where);
    if (cp_db_query(db, sql, CP_NO_PARAMS, &found) != SB_OK)
        fail_msg("%s: %s", sql, cp_db_last_error(db)->text.text);
    return found;
}

/* The line of the only row, in the arena. */
static struct sb_slice line_of(enum cp_entry_kind kind, const char *where)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *found = ask(kind, where);

    assert_int_equal(cp_rows_count(found), 1);
    sb_buf_reset(&out);
    assert_int_equal(cp_entry_put_row(kind, found, 0, &out), SB_OK);
    return sb_arena_dup(arena, sb_buf_slice(&out));
}

static void same(struct sb_slice got, struct sb_slice want)
{
    if (!sb_slice_eq(got, want))
        fail_msg("\n%.*s\nis not\n%.*s", SB_SLICE_ARGS(got), SB_SLICE_ARGS(want));
}

static struct sb_slice add(const struct cp_record_id *who, const struct msg_record *record,
                           uint64_t leaf)
{
    struct sb_slice line;

    assert_int_equal(cp_audit_rows_add(&rows, who, record, leaf, &line), SB_OK);
    return sb_arena_dup(arena, line);
}

static void store(void)
{
    if (cp_audit_rows_store(&rows, db) != SB_OK)
        fail_msg("%s", cp_db_last_error(db)->text.text);
}

/* What is hashed is for ever: these lines are written by hand. */
static void lines_look_as_they_always_did(void **state)
{
    struct msg_evidence evidence[] = {{.claim = MSG_CLAIM_ZDR,
                                       .value = MSG_TRI_YES,
                                       .attested_on = 20000,
                                       .expires_on = 20365,
                                       .evidence = SB_SLICE_LIT("https://acme/\"zdr\""),
                                       .attested_by = SB_SLICE_LIT("legal")},
                                      {.claim = MSG_CLAIM_EU_RESIDENT, .value = MSG_TRI_NO}};
    struct msg_attempt attempt = {.endpoint = 11,
                                  .tag = SB_SLICE_LIT("acme/turbo"),
                                  .model = SB_SLICE_LIT("m1"),
                                  .credential = 12,
                                  .credential_kind = 2,
                                  .status = 200,
                                  .outcome = 1,
                                  .started = 3,
                                  .first_token = 4,
                                  .took = 5};
    struct msg_record record = fixture_record("gen-1");

    (void)state;
    record.evidence = evidence;
    record.n_evidence = 2;
    record.attempts = &attempt;
    record.n_attempts = 1;
    record.streamed = true;
    record.client_address = SB_SLICE_LIT("2001:DB8::0017");
    record.salt = SB_SLICE_LIT("0123456789abcdef");
    record.user_plain = SB_SLICE_LIT("somebody");
    record.user_hash = SB_SLICE_LIT("\x01\xff");
    record.demanded = 1u << MSG_CLAIM_ZDR;
    record.demanded_by_policy = record.demanded;
    record.cost = -7;
    same(add(&id, &record, 99),
         SB_SLICE_LIT("{\"api\":0,\"attempts\":[{\"credential_id\":12,\"credential_kind\":2,"
                      "\"endpoint_id\":11,\"first_token_us\":4,\"model\":\"m1\",\"outcome\":1,"
                      "\"started_us\":3,\"status\":200,\"tag\":\"acme/turbo\",\"took_us\":5}],"
                      "\"boot_id\":5,\"cache_write_tokens\":0,\"cached_tokens\":0,"
                      "\"client_address\":\"2001:db8::17\",\"completion_tokens\":0,\"cost\":-7,"
                      "\"credential_kind\":0,\"demanded\":2,\"demanded_by_policy\":2,\"epoch\":0,"
                      "\"evidence\":[{\"attested_by\":\"legal\",\"attested_on\":\"2024-10-04\","
                      "\"claim\":\"zdr\",\"evidence\":\"https://acme/\\\"zdr\\\"\","
                      "\"expires_on\":\"2025-10-04\",\"value\":\"yes\"},"
                      "{\"claim\":\"eu_resident\",\"value\":\"no\"}],"
                      "\"generation\":\"gen-1\",\"key_id\":1,\"key_name\":\"app\","
                      "\"kind\":\"request\",\"model_asked\":\"a/m\",\"outcome\":1,"
                      "\"prompt_tokens\":0,\"reasoning_tokens\":0,"
                      "\"received_at\":1790000000000000,\"request_bytes\":0,"
                      "\"response_bytes\":0,\"revision\":0,"
                      "\"salt_hash\":"
                      "\"23d95cd854760846794eca207362fd8ea39ae1d2b3a49dfac42b550cdedb8a04\","
                      "\"sequence\":6,\"status\":200,"
                      "\"streamed\":true,\"tenant_id\":2,\"tenant_name\":\"default\","
                      "\"took_us\":1000,\"upstream_cost\":0,\"usage_source\":0,"
                      "\"user_hash\":\"01ff\",\"worker_id\":\"w\"}"));
    record = (struct msg_record){.kind = MSG_RECORD_DISPATCH,
                                 .generation = SB_SLICE_LIT("gen-2"),
                                 .received_at = 1,
                                 .demanded_by_policy = MSG_DEMANDED_UNKNOWN};
    same(add(&id, &record, 99),
         SB_SLICE_LIT("{\"api\":0,\"boot_id\":5,\"credential_kind\":0,\"demanded\":0,\"epoch\":0,"
                      "\"generation\":\"gen-2\",\"key_id\":0,\"key_name\":\"\","
                      "\"kind\":\"dispatch\",\"model_asked\":\"\",\"received_at\":1,"
                      "\"request_bytes\":0,\"revision\":0,\"sequence\":6,\"streamed\":false,"
                      "\"tenant_id\":0,\"tenant_name\":\"\",\"worker_id\":\"w\"}"));
    record = (struct msg_record){.kind = MSG_RECORD_REFUSALS,
                                 .refusal = SB_SLICE_LIT("no_key"),
                                 .refusals = 3,
                                 .received_at = -1};
    same(add(&id, &record, 99),
         SB_SLICE_LIT("{\"boot_id\":5,\"kind\":\"refusals\",\"reason\":\"no_key\","
                      "\"received_at\":-1,\"refusals\":3,\"sequence\":6,\"worker_id\":\"w\"}"));
}

static void columns_are_sorted_and_kind_is_in_its_place(void **state)
{
    (void)state;
    for (int kind = 0; kind < CP_ENTRY_KINDS; kind++) {
        const struct cp_columns *columns = cp_columns_of((enum cp_entry_kind)kind);

        assert_true(columns->n <= CP_COLUMNS_MAX);
        for (int i = 1; i < columns->n; i++)
            assert_true(strcmp(columns->at[i - 1].label.p, columns->at[i].label.p) < 0);
        assert_true(strcmp(columns->at[columns->kind_at - 1].label.p, "\"kind\"") < 0);
        assert_true(strcmp(columns->at[columns->kind_at].label.p, "\"kind\"") > 0);
        assert_string_equal(columns->at[columns->leaf].label.p, "\"leaf\":");
        assert_false(columns->at[columns->leaf].is_in);
    }
}

/* Random records of one kind, stored, and their lines made of the rows. */
static void lines_of_rows_are_those_of_records(uint8_t kind, enum cp_entry_kind entry, int n)
{
    struct sb_slice *lines = sb_arena_alloc(arena, (size_t)n * sizeof(*lines));
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *found = NULL;
    struct cp_record_id next = id;
    uint64_t seed = kind;

    for (int i = 0; i < n; i++, next.sequence++) {
        struct msg_record record = record_random(&seed, arena, kind);

        next.worker = record_random_text(&seed, arena, MSG_WORKER_ID_MAX);
        next.boot = record_random_number(&seed, INT64_MAX);
        lines[i] = add(&next, &record, (uint64_t)i);
    }
    store();
    found = ask(entry, "ORDER BY leaf");
    assert_int_equal(cp_rows_count(found), n);
    for (int i = 0; i < n; i++) {
        sb_buf_reset(&out);
        assert_int_equal(cp_entry_put_row(entry, found, (size_t)i, &out), SB_OK);
        same(sb_buf_slice(&out), lines[i]);
    }
}

static void a_request_reads_back_as_the_same_line(void **state)
{
    (void)state;
    lines_of_rows_are_those_of_records(MSG_RECORD_REQUEST, CP_ENTRY_REQUEST, 2000);
}

static void a_dispatch_reads_back_as_the_same_line(void **state)
{
    (void)state;
    lines_of_rows_are_those_of_records(MSG_RECORD_DISPATCH, CP_ENTRY_DISPATCH, 1000);
}

static void refusals_read_back_as_the_same_line(void **state)
{
    (void)state;
    lines_of_rows_are_those_of_records(MSG_RECORD_REFUSALS, CP_ENTRY_REFUSALS, 1000);
}

/* Of a column of each type another value than any that is there. */
static const char *const other[] = {
    [CP_COLUMN_I16] = "-32768",
    [CP_COLUMN_I32] = "-2147483648",
    [CP_COLUMN_I64] = "-9223372036854775808",
    [CP_COLUMN_BOOL] = "true",
    [CP_COLUMN_TEXT] = "'other'",
    [CP_COLUMN_BYTES] = "'\\x0123'",
    [CP_COLUMN_JSON] = "'[{\"added\": 1}]'",
    [CP_COLUMN_INET] = "'192.0.2.0/24'",
    [CP_COLUMN_TIME] = "'2026-12-01 00:00:00.000001'",
};

/* Edits one column after another. */
static void every_edit_shows(enum cp_entry_kind kind, const char *table)
{
    const struct cp_columns *columns = cp_columns_of(kind);
    struct sb_slice before = line_of(kind, "");
    char sql[512];

    for (int i = 0; i < columns->n; i++) {
        struct sb_slice label = columns->at[i].label, after;
        char name[64];

        (void)snprintf(name, sizeof(name), "%.*s", (int)label.n - 3, label.p + 1);
        (void)snprintf(sql, sizeof(sql), "UPDATE %s SET %s = %s", table, name,
                       other[columns->at[i].type]);
        if (cp_db_script(owner, sql) != SB_OK)
            fail_msg("%s: %s", sql, cp_db_last_error(owner)->text.text);
        after = line_of(kind, "");
        if (sb_slice_eq(before, after) == columns->at[i].is_in)
            fail_msg("%s: %.*s", sql, SB_SLICE_ARGS(after));
        before = after;
    }
}

static void every_column_that_is_edited_shows_but_those_that_are_beside(void **state)
{
    struct msg_record record = fixture_record("gen");

    (void)state;
    record.demanded_by_policy = 1;
    (void)add(&id, &record, 1);
    record.kind = MSG_RECORD_DISPATCH;
    (void)add(&id, &record, 2);
    record.kind = MSG_RECORD_REFUSALS;
    (void)add(&id, &record, 3);
    store();
    every_edit_shows(CP_ENTRY_REQUEST, "audit_requests");
    every_edit_shows(CP_ENTRY_DISPATCH, "audit_dispatches");
    every_edit_shows(CP_ENTRY_REFUSALS, "audit_refusals");
}

static void what_an_edit_can_put_into_a_row_makes_a_line_or_an_error(void **state)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *found = NULL;
    struct msg_record record = fixture_record("gen");
    struct sb_slice line;

    (void)state;
    (void)add(&id, &record, 1);
    store();
    assert_int_equal(cp_db_script(owner, "UPDATE audit_requests SET attempts ="
                                         " '{\"b\": 1.50, \"aa\": 1e400, \"a\": [true, null]}',"
                                         " received_at = 'infinity', client_address = '::/0'"),
                     SB_OK);
    line = line_of(CP_ENTRY_REQUEST, "");
    assert_non_null(strstr(line.p, "\"client_address\":\"::/0\""));
    assert_non_null(strstr(line.p, "\"attempts\":{\"a\":[true,null],\"aa\":1000000"));
    assert_non_null(strstr(line.p, "0,\"b\":1.50}"));
    assert_int_equal(cp_db_script(owner, "UPDATE audit_requests SET attempts ="
                                         " (repeat('[', 65) || repeat(']', 65))::jsonb"),
                     SB_OK);
    found = ask(CP_ENTRY_REQUEST, "");
    sb_buf_reset(&out);
    assert_int_equal(cp_entry_put_row(CP_ENTRY_REQUEST, found, 0, &out), SB_ETOOBIG);
    assert_int_equal(sb_buf_len(&out), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_look_as_they_always_did),
        TEST(columns_are_sorted_and_kind_is_in_its_place),
        TEST(a_request_reads_back_as_the_same_line),
        TEST(a_dispatch_reads_back_as_the_same_line),
        TEST(refusals_read_back_as_the_same_line),
        TEST(every_column_that_is_edited_shows_but_those_that_are_beside),
        TEST(what_an_edit_can_put_into_a_row_makes_a_line_or_an_error),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
