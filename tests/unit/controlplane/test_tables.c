/* tests/unit/controlplane/test_tables.c */
#include "controlplane/tables/tables.h"

#include "common/arena.h"
#include "common/bus.h"
#include "common/mem.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "proto/tables.h"
#include "tests/lib/inbox.h"

static struct cp_stats stats;
static struct cp_tables *tables;
static struct inbox inbox; /* the publisher's */
static struct sb_arena *arena;

static int set_up(void **state)
{
    const struct cp_tables_conf conf = {.interval = 20, .stats = &stats};
    struct sb_errmsg err;

    (void)state;
    arena = sb_arena_new(1024);
    inbox_open(&inbox);
    if (cp_tables_start(&conf, &tables, &err) != SB_OK)
        fail_msg("%s", err.text);
    (void)sb_mailbox_post(cp_tables_mailbox(tables), &cp_attach_new(inbox.box)->mail);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_tables_stop(&tables);
    inbox_close(&inbox);
    sb_arena_destroy(&arena);
    return 0;
}

static void post(struct sb_mail *mail)
{
    (void)sb_mailbox_post(cp_tables_mailbox(tables), mail);
}

static void lead(bool leading, uint64_t term, uint64_t epoch)
{
    post(&cp_lead_new(leading, term, epoch)->mail);
}

static void beat(uint64_t endpoint)
{
    struct cp_beat *mail = cp_beat_new();

    mail->beat.rows = sb_arena_alloc(mail->arena, sizeof(*mail->beat.rows));
    mail->beat.rows[0] =
        (struct msg_beat_row){.endpoint = endpoint, .second = 1, .attempts = 1, .successes = 1};
    mail->beat.n_rows = 1;
    post(&mail->mail);
}

/* The next message; its peer, if any, in ret_peer. */
static struct msg_tables next(struct cp_peer *ret_peer)
{
    struct sb_mail *mail = inbox_expect(&inbox, CP_MAIL_SEND);
    struct cp_send *send = container_of(mail, struct cp_send, mail);
    struct sb_slice bytes = sb_arena_dup(arena, sb_buf_slice(&send->bulk));
    struct msg_tables message;

    assert_int_equal(send->kind, MSG_KIND_TABLES);
    assert_int_equal(msg_tables_decode(bytes, arena, &message), SB_OK);
    assert_int_equal(send->publish, !message.complete);
    assert_int_equal(send->sequence, message.sequence);
    assert_int_equal(send->term, message.term);
    *ret_peer = send->to;
    cp_mail_free(mail);
    return message;
}

static void changes_go_to_all_and_everything_to_who_asks(void **state)
{
    struct msg_tables message;
    struct cp_peer peer;

    (void)state;
    lead(true, 3, 5);
    beat(7);
    message = next(&peer);
    assert_int_equal(message.epoch, 5);
    assert_int_equal(message.term, 3);
    assert_int_equal(message.sequence, 1);
    assert_int_equal(message.n_rows, 1);
    beat(8);
    message = next(&peer);
    assert_int_equal(message.sequence, 2);
    assert_int_equal(message.rows[0].endpoint, 8);
    post(&cp_rows_wanted_new(SB_SLICE_LIT("w"))->mail);
    message = next(&peer);
    assert_true(sb_slice_is(cp_peer_id(&peer), "w"));
    assert_int_equal(message.sequence, 2);
    assert_int_equal(message.n_rows, 2);
}

static void a_term_counts_from_one_and_keeps_what_is_known(void **state)
{
    struct msg_tables message;
    struct cp_peer peer;

    (void)state;
    lead(true, 3, 5);
    beat(7);
    assert_int_equal(next(&peer).sequence, 1);
    lead(true, 3, 6); /* the same term, a new epoch */
    beat(8);
    message = next(&peer);
    assert_int_equal(message.sequence, 2);
    assert_int_equal(message.epoch, 6);
    lead(false, 0, 0);
    lead(true, 4, 6);
    post(&cp_rows_wanted_new(SB_SLICE_LIT("w"))->mail);
    message = next(&peer);
    assert_int_equal(message.term, 4);
    assert_int_equal(message.sequence, 0);
    assert_int_equal(message.n_rows, 2);
}

static void free_text(struct sb_ask *ask)
{
    struct cp_ask_tables *text = container_of(ask, struct cp_ask_tables, ask);

    sb_buf_release(&text->out);
    sb_mem_free(text);
}

static void who_does_not_lead_publishes_and_knows_nothing(void **state)
{
    struct cp_ask_tables *text = sb_mem_new(sizeof(*text));

    (void)state;
    beat(7);
    post(&cp_rows_wanted_new(SB_SLICE_LIT("w"))->mail);
    sb_ask_init(&text->ask, CP_ASK_TABLES, free_text);
    sb_buf_init(&text->out, 1 << 16);
    assert_int_equal(sb_ask_wait(&text->ask, cp_tables_mailbox(tables), INBOX_PATIENCE),
                     SB_ENOTLEADER);
    sb_ask_release(&text->ask);
    cp_tables_stop(&tables);
    assert_null(inbox_wait(&inbox, 0));
    assert_int_equal(cp_stat_get(&stats, table_rows_published), 0);
}

static int group_start(void **state)
{
    (void)state;
    return sb_bus_init(NULL) == SB_OK ? 0 : -1;
}

static int group_stop(void **state)
{
    (void)state;
    sb_bus_shutdown();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_does_not_lead_publishes_and_knows_nothing),
        TEST(changes_go_to_all_and_everything_to_who_asks),
        TEST(a_term_counts_from_one_and_keeps_what_is_known),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
