/* tests/unit/controlplane/test_pending.c - against a real PostgreSQL. */
#include "controlplane/log/pending.h"

#include "controlplane/log/appender.h"
#include "tests/lib/log_check.h"

static struct cp_db *db, *owner;
static struct sb_arena *arena;
static struct cp_appender appender;

static int set_up(void **state)
{
    const char *conninfo = fixture_database();

    (void)state;
    owner = fixture_connect(conninfo, NULL);
    db = fixture_connect(conninfo, CP_DB_COLLECTOR_ROLE);
    arena = sb_arena_new(65536);
    cp_appender_init(&appender);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)log_check(owner, arena);
    cp_appender_release(&appender);
    sb_arena_destroy(&arena);
    cp_db_destroy(&db);
    cp_db_destroy(&owner);
    return 0;
}

static void by_owner(const char *sql)
{
    if (cp_db_script(owner, sql) != SB_OK)
        fail_msg("%s: %s", sql, cp_db_last_error(owner)->text.text);
}

static bool waits(void)
{
    bool found = false;

    assert_int_equal(cp_pending_look(db, &found), SB_OK);
    return found;
}

static struct log_check append(void)
{
    assert_int_equal(cp_pending_append(db, FIXTURE_TERM, &appender), SB_OK);
    return log_check(owner, arena);
}

static void same(struct sb_slice got, const char *want)
{
    if (!sb_slice_is(got, want))
        fail_msg("\n%.*s\nis not\n%s", SB_SLICE_ARGS(got), want);
}

#define REVISION(number)                                                                           \
    "INSERT INTO revisions (revision, epoch, at, author, action) VALUES (" #number                 \
    ", 9, '2026-12-01 00:00:00.000001', 'admin', 'put');"

static void nothing_waits_and_nothing_is_appended(void **state)
{
    (void)state;
    assert_false(waits());
    assert_int_equal(append().size, 0);
    assert_int_equal(fixture_number(db, "SELECT term FROM log_head"), 0);
}

static void a_revision_is_one_entry_with_all_its_objects(void **state)
{
    struct log_check log;

    (void)state;
    by_owner("INSERT INTO revisions VALUES (1, 9, '2026-12-01 00:00:00.000001', 'admin', 'apply',"
             " 'a \"note\"', true, 'operator', '2001:DB8::1');"
             "INSERT INTO audit_changes VALUES"
             " (1, 'providers', 'b', NULL, '{\"slug\": \"b\", \"name\": \"B\"}', true),"
             " (1, 'models', 'z/z', '{\"id\": \"z/z\", \"n\": 1.50}', NULL, false),"
             " (1, 'providers', 'B', '{\"slug\": null}', '{\"slug\": \"B\"}', false)");
    assert_true(waits());
    log = append();
    assert_false(waits());
    assert_int_equal(log.size, 1);
    same(log.lines[0],
         "{\"action\":\"apply\",\"address\":\"2001:db8::1\",\"at\":1796083200000001,"
         "\"author\":\"admin\",\"epoch\":9,\"forced\":true,\"kind\":\"change\","
         "\"note\":\"a \\\"note\\\"\",\"objects\":["
         "{\"before\":{\"id\":\"z/z\",\"n\":1.50},\"kind\":\"models\",\"name\":\"z/z\","
         "\"secret_changed\":false},"
         "{\"after\":{\"slug\":\"B\"},\"before\":{\"slug\":null},\"kind\":\"providers\","
         "\"name\":\"B\",\"secret_changed\":false},"
         "{\"after\":{\"name\":\"B\",\"slug\":\"b\"},\"kind\":\"providers\",\"name\":\"b\","
         "\"secret_changed\":true}],\"revision\":1,\"role\":\"operator\"}");
    by_owner(REVISION(2));
    log = append();
    same(log.lines[1], "{\"action\":\"put\",\"at\":1796083200000001,\"author\":\"admin\","
                       "\"epoch\":9,\"forced\":false,\"kind\":\"change\",\"revision\":2}");
    assert_int_equal(fixture_number(db, "SELECT leaf FROM log_changes WHERE revision = 2"), 1);
    assert_int_equal(fixture_number(db, "SELECT term FROM log_head"), FIXTURE_TERM);
}

/* A catalogue of millions: the entry has their hash, and any edit of one shows. */
static void a_revision_of_very_many_objects_is_a_hash_of_them(void **state)
{
    struct log_check log;
    const char *hash;

    (void)state;
    by_owner(REVISION(1) "INSERT INTO audit_changes SELECT 1, 'models', i::text, NULL,"
                         " jsonb_build_object('text', repeat('x', 1000)), false"
                         " FROM generate_series(1, 4500) i");
    log = append();
    assert_null(strstr(log.lines[0].p, "\"objects\":"));
    hash = strstr(log.lines[0].p, "\"objects_sha256\":\"");
    assert_non_null(hash);
    by_owner("CREATE TABLE kept AS SELECT * FROM audit_changes WHERE name = '4000';"
             "UPDATE audit_changes SET after = '{}' WHERE name = '4000'");
    {
        SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
        struct sb_buf line;

        sb_buf_init(&line, CP_ENTRY_LINE_MAX);
        assert_int_equal(
            cp_db_query(db, cp_columns_of(CP_ENTRY_CHANGE)->select, CP_NO_PARAMS, &rows), SB_OK);
        assert_int_equal(cp_entry_put_row(CP_ENTRY_CHANGE, rows, 0, &line), SB_OK);
        assert_int_equal(sb_buf_len(&line), log.lines[0].n);
        assert_memory_not_equal(line.data, log.lines[0].p, log.lines[0].n);
        sb_buf_release(&line);
    }
    by_owner("UPDATE audit_changes c SET after = k.after FROM kept k WHERE c.name = k.name");
}

static void what_retention_dropped_is_an_entry(void **state)
{
    struct log_check log;

    (void)state;
    by_owner("SELECT make_partition('audit_refusals', '2026-01-02');"
             "INSERT INTO audit_refusals VALUES"
             " ('2026-01-02 03:00', 'w', 1, 1, 'no_key', 5, 0),"
             " ('2026-01-02 03:00', 'w', 1, 2, 'no_key', 6, NULL);"
             "SELECT make_partition('audit_requests', '2026-01-02');"
             "SELECT drop_partitions('audit_refusals', '2026-01-03');"
             "SELECT drop_partitions('audit_requests', '2026-01-03');"
             "UPDATE log_drops SET at = '2026-12-01 00:00:00.000001'");
    assert_true(waits());
    log = append();
    assert_false(waits());
    assert_int_equal(log.size, 1); /* the empty one is no loss */
    same(log.lines[0], "{\"at\":1796083200000001,\"day\":\"2026-01-02\",\"first_leaf\":0,"
                       "\"history\":\"audit_refusals\",\"id\":1,\"kind\":\"dropped\","
                       "\"last_leaf\":0,\"rows\":2}");
}

static void salts_that_were_destroyed_are_an_entry_also_when_numbers_come_late(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *late = fixture_connect(cluster.conninfo, NULL);
    struct log_check log;

    (void)state;
    assert_int_equal(cp_db_script(late, "BEGIN; INSERT INTO log_erasures (at, author, rows)"
                                        " VALUES ('2026-12-01 00:00:00.000001', 'dpo', 3)"),
                     SB_OK);
    by_owner("INSERT INTO log_erasures (author, rows) VALUES ('dpo', 4)");
    assert_int_equal(append().size, 1);
    assert_int_equal(cp_db_script(late, "COMMIT"), SB_OK);
    assert_true(waits());
    log = append();
    assert_int_equal(log.size, 2);
    same(log.lines[1], "{\"at\":1796083200000001,\"author\":\"dpo\",\"id\":1,\"kind\":\"erased\","
                       "\"rows\":3}");
}

static void what_administrators_did_is_an_entry(void **state)
{
    struct log_check log;

    (void)state;
    by_owner("INSERT INTO admin_actions (at, action, author, role, address, subject, detail)"
             " VALUES ('2026-12-01 00:00:00.000001', 'hold_set', 'eve', 'admin', '192.0.2.7',"
             " 'case-7', '{\"to\": \"b\", \"from\": \"a\"}')");
    assert_true(waits());
    log = append();
    assert_false(waits());
    assert_int_equal(log.size, 1);
    same(log.lines[0], "{\"action\":\"hold_set\",\"address\":\"192.0.2.7\","
                       "\"at\":1796083200000001,\"author\":\"eve\","
                       "\"detail\":{\"from\":\"a\",\"to\":\"b\"},\"id\":1,\"kind\":\"action\","
                       "\"role\":\"admin\",\"subject\":\"case-7\"}");
}

static void many_are_appended_in_some_transactions(void **state)
{
    (void)state;
    by_owner("INSERT INTO revisions (revision, epoch, author, action)"
             " SELECT i, 1, 'admin', 'put' FROM generate_series(1, 150) i");
    assert_int_equal(append().size, CP_PENDING_MAX);
    assert_true(waits());
    (void)append();
    assert_int_equal(append().size, 150);
    assert_false(waits());
    assert_int_equal(
        fixture_number(db, "SELECT count(*) FROM log_changes WHERE leaf = revision - 1"), 150);
}

static void another_term_appends_nothing(void **state)
{
    (void)state;
    by_owner(REVISION(1));
    assert_int_equal(cp_pending_append(db, FIXTURE_TERM + 1, &appender), SB_ENOTLEADER);
    assert_true(waits());
    assert_int_equal(fixture_number(db, "SELECT size FROM log_head"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_waits_and_nothing_is_appended),
        TEST(a_revision_is_one_entry_with_all_its_objects),
        TEST(a_revision_of_very_many_objects_is_a_hash_of_them),
        TEST(what_retention_dropped_is_an_entry),
        TEST(salts_that_were_destroyed_are_an_entry_also_when_numbers_come_late),
        TEST(what_administrators_did_is_an_entry),
        TEST(many_are_appended_in_some_transactions),
        TEST(another_term_appends_nothing),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
