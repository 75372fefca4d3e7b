/* tests/unit/controlplane/test_answers.c - against a real PostgreSQL, and none. */
#include "controlplane/records/answers.h"

#include "common/bus.h"
#include "controlplane/mail.h"
#include "controlplane/records/audit_rows.h"
#include "controlplane/stats.h"
#include "tests/lib/inbox.h"
#include "tests/lib/ingest_fixture.h"

static struct cp_stats stats;
static struct cp_answers *answers;
static sb_msec waited;     /* by each question, in line */
static struct inbox inbox; /* the publisher's */

static void start(const char *conninfo)
{
    const struct cp_answers_conf conf = {.conninfo = conninfo, .name = "test", .stats = &stats};
    struct sb_errmsg err;

    waited = 0;
    stats = (struct cp_stats){.leading = 0};
    inbox_open(&inbox);
    if (cp_answers_start(&conf, &answers, &err) != SB_OK)
        fail_msg("%s", err.text);
    (void)sb_mailbox_post(cp_answers_mailbox(answers), &cp_attach_new(inbox.box)->mail);
}

static int tear_down(void **state)
{
    (void)state;
    cp_answers_stop(&answers);
    inbox_close(&inbox);
    return 0;
}

/* Asks, and gives the status of the answer. */
static unsigned ask(struct msg_query query, char *ret_json, size_t size)
{
    struct cp_query *mail = cp_query_new(NULL, SB_SLICE_LIT("w"));
    struct msg_answer answer;
    struct cp_send *send;
    struct sb_mail *back;

    mail->term = 3;
    mail->at = sb_clock_now(&sb_clock_system) - waited;
    mail->query = query;
    mail->query.id = 77;
    (void)sb_mailbox_post(cp_answers_mailbox(answers), &mail->mail);
    back = inbox_expect(&inbox, CP_MAIL_SEND);
    send = container_of(back, struct cp_send, mail);
    assert_int_equal(send->kind, MSG_KIND_ANSWER);
    assert_int_equal(send->term, 3);
    assert_true(sb_slice_is(cp_peer_id(&send->to), "w"));
    assert_int_equal(msg_answer_decode(sb_buf_slice(&send->body), &answer), SB_OK);
    assert_int_equal(answer.id, 77);
    if (ret_json != NULL)
        assert_true(sb_slice_copy_text(sb_buf_slice(&send->bulk), ret_json, size));
    cp_mail_free(back);
    return answer.status;
}

static unsigned ask_generation(const char *id)
{
    return ask(
        (struct msg_query){.what = MSG_QUERY_GENERATION, .tenant = 2, .argument = sb_slice_of(id)},
        NULL, 0);
}

static void store(struct cp_db *db, const char *generation)
{
    const struct cp_record_id id = {.worker = SB_SLICE_LIT("w"), .boot = 1, .sequence = 1};
    struct msg_record record = fixture_record(generation);
    struct cp_audit_rows rows;
    struct sb_slice line;

    cp_audit_rows_init(&rows);
    assert_int_equal(cp_audit_rows_add(&rows, &id, &record, 7, &line), SB_OK);
    assert_int_equal(cp_audit_rows_store(&rows, db), SB_OK);
    cp_audit_rows_release(&rows);
}

static void what_is_stored_is_found_also_after_the_connection_broke(void **state)
{
    const char *conninfo = fixture_database();
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fixture_connect(conninfo, NULL);
    char json[256];

    (void)state;
    start(conninfo);
    assert_int_equal(ask_generation("gen-1"), 404);
    store(db, "gen-1");
    assert_int_equal(ask_generation("gen-1"), 200);
    assert_int_equal(cp_db_script(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                      " WHERE application_name LIKE '%answers test'"
                                      " AND datname = current_database()"),
                     SB_OK);
    assert_int_equal(ask_generation("gen-1"), 200);
    assert_int_equal(
        ask((struct msg_query){.what = MSG_QUERY_CREDITS, .tenant = 2}, json, sizeof(json)), 200);
    assert_string_equal(json, "{\"data\":{\"total_credits\":0,\"total_usage\":0}}");
    assert_int_equal(ask((struct msg_query){.what = MSG_QUERY_KEY, .key = 5, .tenant = 2}, NULL, 0),
                     404);
    assert_int_equal(
        ask((struct msg_query){.what = MSG_QUERY_KEY, .key = UINT64_MAX, .tenant = 2}, NULL, 0),
        404);
    assert_int_equal(ask((struct msg_query){.what = 200}, NULL, 0), 501);
    waited = CP_ANSWERS_PATIENCE + 1; /* the worker has given up */
    assert_int_equal(ask_generation("gen-1"), 503);
}

static unsigned ask_receipt(uint64_t tenant, const char *id)
{
    return ask((struct msg_query){.what = MSG_QUERY_RECEIPT,
                                  .tenant = tenant,
                                  .argument = sb_slice_of(id)},
               NULL, 0);
}

/* Whole receipts are for tests/integration/test_receipts.py. */
static void a_receipt_waits_for_a_checkpoint_that_covers_it(void **state)
{
    const char *conninfo = fixture_database();
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fixture_connect(conninfo, NULL);

    (void)state;
    start(conninfo);
    assert_int_equal(ask_receipt(2, "gen-1"), 404);
    store(db, "gen-1"); /* as leaf 7 */
    assert_int_equal(ask_receipt(3, "gen-1"), 404);
    assert_int_equal(ask_receipt(UINT64_MAX, "gen-1"), 404);
    assert_int_equal(ask_receipt(2, "gen-1"), 501); /* nobody signs here, nor ever did */
    assert_int_equal(cp_db_script(db, "INSERT INTO log_checkpoints (size, text) VALUES (7, 'x')"),
                     SB_OK);
    assert_int_equal(ask_receipt(2, "gen-1"), 501); /* beyond the head: never signed */
    assert_int_equal(cp_db_script(db, "UPDATE log_head SET size = 8"), SB_OK);
    assert_int_equal(ask_receipt(2, "gen-1"), 202);
    assert_int_equal(cp_db_script(db, "INSERT INTO log_checkpoints (size, text) VALUES (8, 'x')"),
                     SB_OK);
    assert_int_equal(ask_receipt(2, "gen-1"), 503); /* the tree's nodes are gone */
}

static void a_database_that_is_away_is_503_for_each_and_blocks_none(void **state)
{
    (void)state;
    start("host=/nowhere dbname=none");
    for (int i = 0; i < 20; i++)
        assert_int_equal(ask_generation("gen-1"), 503);
    assert_int_equal(cp_stat_get(&stats, queries_failed), 20);
}

static int group_start(void **state)
{
    return sb_bus_init(NULL) == SB_OK ? fixture_group_start(state) : -1;
}

static int group_stop(void **state)
{
    sb_bus_shutdown();
    return fixture_group_stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_stored_is_found_also_after_the_connection_broke,
                                  tear_down),
        cmocka_unit_test_teardown(a_receipt_waits_for_a_checkpoint_that_covers_it, tear_down),
        cmocka_unit_test_teardown(a_database_that_is_away_is_503_for_each_and_blocks_none,
                                  tear_down),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
