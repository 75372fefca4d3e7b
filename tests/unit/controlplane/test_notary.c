/* tests/unit/controlplane/test_notary.c - against a real PostgreSQL; also of
 * those who keep checkpoints elsewhere, but for a receiver of HTTP:
 * tests/integration/test_audit_log.py. */
#include "controlplane/log/notary.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/bus.h"
#include "common/checkpoint.h"
#include "common/file.h"
#include "common/notekey.h"
#include "controlplane/log/checkpoint_file.h"
#include "controlplane/log/witness.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "tests/lib/inbox.h"
#include "tests/lib/ingest_fixture.h"
#include "tests/lib/log_fixture.h"
#include "tests/lib/tmpdir.h"

static struct cp_stats stats;
static struct cp_notary *notary;
static struct cp_witness *witness;
static struct sb_note_signer *signer;
static struct cp_db *db;
static const char *conninfo;
static struct log_fixture tree;
static struct test_tmpdir dir;
static char path[64];

static int set_up(void **state)
{
    (void)state;
    stats = (struct cp_stats){.leading = 0};
    tree = (struct log_fixture){.edge = {.size = 0}};
    conninfo = fixture_database();
    db = fixture_connect(conninfo, NULL);
    test_tmpdir_make(&dir);
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "checkpoints"));
    return sb_note_signer_new(SB_SLICE_LIT("log"), &signer, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    cp_notary_stop(&notary);
    cp_witness_stop(&witness);
    sb_note_signer_destroy(&signer);
    cp_db_destroy(&db);
    test_tmpdir_remove(&dir);
    return 0;
}

static void start_notary(const char *file, sb_msec interval, uint64_t records)
{
    const struct cp_notary_conf conf = {.conninfo = conninfo,
                                        .name = "test",
                                        .stats = &stats,
                                        .signer = signer,
                                        .file = file,
                                        .interval = interval,
                                        .records = records};
    struct sb_errmsg err;

    if (cp_notary_start(&conf, &notary, &err) != SB_OK)
        fail_msg("%s", err.text);
    (void)sb_mailbox_post(cp_notary_mailbox(notary), &cp_lead_new(true, FIXTURE_TERM, 1)->mail);
}

static void start_witness(enum cp_witness_kind kind, const char *where)
{
    const struct cp_witness_conf conf = {.kind = kind,
                                         .conninfo = conninfo,
                                         .name = "test",
                                         .stats = &stats,
                                         .key = sb_note_signer_key(signer),
                                         .where = where};
    struct sb_errmsg err;

    if (cp_witness_start(&conf, &witness, &err) != SB_OK)
        fail_msg("%s", err.text);
    (void)sb_mailbox_post(cp_witness_mailbox(witness), &cp_lead_new(true, FIXTURE_TERM, 1)->mail);
}

/* Waits until a statement gives that number. */
static void expect(const char *sql, int64_t number)
{
    sb_msec end = sb_clock_now(&sb_clock_system) + INBOX_PATIENCE;

    while (fixture_number(db, sql) != number)
        if (sb_clock_now(&sb_clock_system) > end)
            fail_msg("%s never gave %d but %d", sql, (int)number, (int)fixture_number(db, sql));
}

static const char newest[] = "SELECT coalesce(max(size), 0) FROM log_checkpoints";
static const char forks[] = "SELECT count(*) FROM events WHERE kind = 'log_forked'";

static struct sb_checkpoint checkpoint_of(uint64_t size)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_checkpoint checkpoint;
    struct sb_errmsg err = {.text = ""};

    assert_int_equal(cp_db_query(db, "SELECT text FROM log_checkpoints WHERE size = $1",
                                 CP_PARAMS(CP_P_I64(size)), &rows),
                     SB_OK);
    assert_int_equal(cp_rows_count(rows), 1);
    if (sb_checkpoint_open(cp_rows_bytes(rows, 0, 0), sb_note_signer_key(signer), &checkpoint,
                           &err) != SB_OK)
        fail_msg("%s", err.text);
    assert_int_equal(checkpoint.size, size);
    return checkpoint;
}

static void insert_checkpoint(const struct sb_note_signer *by, uint64_t size)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf note = {.data = NULL};
    struct sb_hash root;

    sb_buf_init(&note, SB_NOTE_MAX);
    sb_merkle_root(&tree.edge, &root);
    assert_int_equal(sb_checkpoint_sign(by, size, &root, &note), SB_OK);
    assert_int_equal(cp_db_exec(db, "INSERT INTO log_checkpoints (size, text) VALUES ($1, $2)",
                                CP_PARAMS(CP_P_I64(size), CP_P_TEXT(sb_buf_slice(&note))), NULL),
                     SB_OK);
}

static void what_grows_is_signed(void **state)
{
    struct sb_checkpoint checkpoint;
    struct sb_hash root;

    (void)state;
    start_notary(NULL, 100, 0);
    for (int i = 0; i < 3; i++) {
        log_fixture_append(&tree, db, 300, 1);
        expect(newest, (int64_t)tree.edge.size);
        checkpoint = checkpoint_of(tree.edge.size);
        sb_merkle_root(&tree.edge, &root);
        assert_true(sb_hash_equal(&checkpoint.root, &root));
    }
    cp_notary_stop(&notary); /* it counts what it has written */
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM log_checkpoints"), 3);
    assert_int_equal(cp_stat_get(&stats, checkpoints), 3);
    assert_int_equal(cp_stat_get(&stats, checkpoint_size), 900);
    assert_int_equal(fixture_number(db, forks), 0);
}

static void many_records_do_not_wait_for_the_interval(void **state)
{
    (void)state;
    start_notary(NULL, 24 * 3600 * 1000, 100);
    log_fixture_append(&tree, db, 99, 1);
    log_fixture_append(&tree, db, 1, 1);
    expect(newest, 100);
    cp_notary_stop(&notary);
    assert_int_equal(cp_stat_get(&stats, checkpoints), 1);
}

static void another_history_is_not_signed(void **state)
{
    (void)state;
    start_notary(NULL, 100, 0);
    log_fixture_append(&tree, db, 300, 1);
    expect(newest, 300);
    /* rewritten whole, as far as the database goes */
    log_fixture_wipe(&tree, db);
    log_fixture_append(&tree, db, 400, 2);
    expect(forks, 1);
    assert_int_equal(cp_stat_get(&stats, log_forked), 1);
    assert_int_equal(fixture_number(db, newest), 300);
    /* and as it was: it goes on */
    log_fixture_wipe(&tree, db);
    log_fixture_append(&tree, db, 500, 1);
    expect(newest, 500);
    cp_notary_stop(&notary); /* it says so when it has written */
    assert_int_equal(cp_stat_get(&stats, log_forked), 0);
    assert_int_equal(fixture_number(db, forks), 1);
}

static void nodes_that_are_gone_or_changed_are_noticed(void **state)
{
    (void)state;
    start_notary(NULL, 100, 0);
    log_fixture_append(&tree, db, 300, 1);
    log_fixture_append(&tree, db, 10, 1);
    expect(newest, 310);
    assert_int_equal(cp_db_script(db, "UPDATE log_nodes SET hashes = overlay(hashes placing '\\x00'"
                                      " from 8390) WHERE first = 0 AND level = 0"),
                     SB_OK); /* of leaf 262, which the next proof is made of */
    log_fixture_append(&tree, db, 10, 1);
    expect(forks, 1);
    assert_int_equal(fixture_number(db, newest), 310);
}

static unsigned notes_in_file(uint64_t *ret_last)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.data = NULL};
    struct sb_slice rest, note;
    struct sb_checkpoint checkpoint;
    unsigned n = 0;

    sb_buf_init(&text, 1 << 20);
    *ret_last = 0;
    if (sb_file_read(path, &text, NULL) != SB_OK)
        return 0;
    rest = sb_buf_slice(&text);
    while (sb_checkpoint_next(&rest, &note)) {
        if (sb_checkpoint_open(note, sb_note_signer_key(signer), &checkpoint, NULL) != SB_OK)
            continue;
        assert_true(checkpoint.size > *ret_last);
        *ret_last = checkpoint.size;
        n++;
    }
    return n;
}

static void expect_in_file(unsigned n, uint64_t last)
{
    sb_msec end = sb_clock_now(&sb_clock_system) + INBOX_PATIENCE;
    uint64_t found;

    while (notes_in_file(&found) != n || found != last)
        if (sb_clock_now(&sb_clock_system) > end)
            fail_msg("the file has %u notes up to %d", notes_in_file(&found), (int)found);
}

static void the_file_knows_what_the_database_forgot(void **state)
{
    (void)state;
    start_witness(CP_WITNESS_FILE, path);
    start_notary(path, 100, 0);
    log_fixture_append(&tree, db, 300, 1);
    expect(newest, 300);
    expect_in_file(1, 300);
    cp_notary_stop(&notary);
    /* an old backup, from before that checkpoint */
    log_fixture_wipe(&tree, db);
    log_fixture_append(&tree, db, 200, 1);
    assert_int_equal(cp_db_script(db, "DELETE FROM log_checkpoints"), SB_OK);
    start_notary(path, 100, 0);
    expect(forks, 1);
    assert_int_equal(fixture_number(db, newest), 0);
}

static void the_file_gets_what_it_missed(void **state)
{
    (void)state;
    insert_checkpoint(signer, 10);
    insert_checkpoint(signer, 20);
    start_witness(CP_WITNESS_FILE, path);
    expect_in_file(2, 20);
    cp_witness_stop(&witness);
    insert_checkpoint(signer, 30);
    insert_checkpoint(signer, 40);
    {
        /* torn by a crash */
        FILE *file = fopen(path, "a");

        assert_non_null(file);
        (void)fputs("\nlog\n30\nabc", file);
        (void)fclose(file);
    }
    start_witness(CP_WITNESS_FILE, path);
    expect_in_file(4, 40);
    assert_int_equal(test_file_mode(path), 0644);
    cp_witness_stop(&witness); /* it counts what it has written */
    assert_int_equal(cp_stat_get(&stats, witness_size[CP_WITNESS_FILE]), 40);
}

static void what_another_key_signed_is_kept_from_witnesses(void **state)
{
    SB_CLEANUP(sb_note_signer_destroy) struct sb_note_signer *other = NULL;

    (void)state;
    assert_int_equal(sb_note_signer_new(SB_SLICE_LIT("log"), &other, NULL), SB_OK);
    insert_checkpoint(signer, 10);
    insert_checkpoint(other, 20);
    insert_checkpoint(signer, 30);
    start_witness(CP_WITNESS_FILE, path);
    expect_in_file(2, 30);
}

static void what_nobody_signed_does_not_hide_what_comes(void **state)
{
    (void)state;
    assert_int_equal(cp_db_script(db,
                                  "INSERT INTO log_checkpoints (size, text)"
                                  " SELECT 1000000 + n, 'forged' FROM generate_series(1, 250) n"),
                     SB_OK);
    insert_checkpoint(signer, 10);
    start_witness(CP_WITNESS_FILE, path);
    expect_in_file(1, 10);
    insert_checkpoint(signer, 20);
    expect_in_file(2, 20);
}

static void a_place_that_somebody_took_is_a_fork(void **state)
{
    (void)state;
    assert_int_equal(cp_db_script(db, "INSERT INTO log_checkpoints (size, text)"
                                      " VALUES (300, 'forged')"),
                     SB_OK);
    start_notary(NULL, 100, 0);
    log_fixture_append(&tree, db, 300, 1);
    expect(forks, 1);
    expect("SELECT count(*) FROM events WHERE kind = 'log_forked'"
           " AND text LIKE '%the checkpoint of 300 entries is taken%'",
           1);
    log_fixture_append(&tree, db, 5, 1);
    expect(newest, 305);
    (void)checkpoint_of(305);
}

static void a_file_of_another_key_is_not_continued(void **state)
{
    SB_CLEANUP(sb_note_signer_destroy) struct sb_note_signer *other = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf note = {.data = NULL};
    struct sb_errmsg err = {.text = ""};
    struct sb_checkpoint last;
    struct sb_hash root;
    sb_msec end;

    (void)state;
    sb_buf_init(&note, SB_NOTE_MAX);
    sb_merkle_root(&tree.edge, &root);
    assert_int_equal(sb_note_signer_new(SB_SLICE_LIT("log"), &other, NULL), SB_OK);
    assert_int_equal(sb_checkpoint_sign(other, 5, &root, &note), SB_OK);
    assert_int_equal(cp_checkpoint_file_append(path, sb_buf_slice(&note), NULL), SB_OK);
    assert_int_equal(cp_checkpoint_file_last(path, sb_note_signer_key(signer), &last, &err),
                     SB_EINVAL);
    assert_non_null(strstr(err.text, path));
    insert_checkpoint(signer, 10);
    start_witness(CP_WITNESS_FILE, path);
    end = sb_clock_now(&sb_clock_system) + INBOX_PATIENCE;
    while (cp_stat_get(&stats, witness_failures[CP_WITNESS_FILE]) == 0)
        assert_true(sb_clock_now(&sb_clock_system) < end);
    cp_witness_stop(&witness);
    {
        uint64_t found;

        assert_int_equal(notes_in_file(&found), 0);
    }
}

static void a_second_database_gets_what_it_missed(void **state)
{
    char first[256];

    (void)state;
    (void)snprintf(first, sizeof(first), "%s", conninfo);
    conninfo = first;
    insert_checkpoint(signer, 10);
    insert_checkpoint(signer, 20);
    {
        char second[256];
        struct cp_db *mine = db;

        (void)snprintf(second, sizeof(second), "%s", pg_cluster_database(&cluster));
        start_witness(CP_WITNESS_DATABASE, second);
        db = fixture_connect(second, NULL);
        expect("SELECT CASE WHEN to_regclass('switchboard.log_checkpoints') IS NULL THEN 0 ELSE 1"
               " END",
               1);
        expect("SELECT coalesce(sum(size), 0)::bigint FROM switchboard.log_checkpoints", 30);
        cp_witness_stop(&witness);
        cp_db_destroy(&db);
        db = mine;
        insert_checkpoint(signer, 40);
        start_witness(CP_WITNESS_DATABASE, second);
        db = fixture_connect(second, NULL);
        expect("SELECT sum(size)::bigint FROM switchboard.log_checkpoints", 70);
        cp_db_destroy(&db);
        db = mine;
    }
    cp_witness_stop(&witness);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_grows_is_signed),
        TEST(many_records_do_not_wait_for_the_interval),
        TEST(another_history_is_not_signed),
        TEST(nodes_that_are_gone_or_changed_are_noticed),
        TEST(the_file_knows_what_the_database_forgot),
        TEST(the_file_gets_what_it_missed),
        TEST(what_another_key_signed_is_kept_from_witnesses),
        TEST(what_nobody_signed_does_not_hide_what_comes),
        TEST(a_place_that_somebody_took_is_a_fork),
        TEST(a_file_of_another_key_is_not_continued),
        TEST(a_second_database_gets_what_it_missed),
    };
    int rc;

    if (sb_bus_init(NULL) != SB_OK)
        return 1;
    rc = cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
    sb_bus_shutdown();
    return rc;
}
