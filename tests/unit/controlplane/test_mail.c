/* tests/unit/controlplane/test_mail.c - that everything posted is freed: the
 * leak checker is the judge. */
#include "controlplane/mail.h"

#include "common/mem.h"
#include "tests/lib/test.h"

static struct sb_mailbox *box;

static int set_up(void **state)
{
    (void)state;
    return sb_mailbox_new(NULL, NULL, &box);
}

static int tear_down(void **state)
{
    (void)state;
    sb_mailbox_unref(&box);
    return 0;
}

/* One of each kind that is no question. */
static void post_all(struct sb_mailbox *to)
{
    const struct sb_slice peer = SB_SLICE_LIT("peer");
    struct cp_compiled_mail *compiled = cp_compiled_mail_new();
    struct cp_send *send = cp_send_new(MSG_KIND_BATCH_OK, 3);
    struct cp_beat *beat = cp_beat_new();
    struct cp_samples *samples = cp_samples_new(CP_SAMPLE_PROBE);

    assert_int_equal(sb_buf_append_text(&compiled->compiled.bytes, "bytes"), SB_OK);
    assert_int_equal(sb_buf_append_text(&send->body, "body"), SB_OK);
    assert_int_equal(sb_buf_append_text(&send->bulk, "bulk"), SB_OK);
    beat->beat.rows = sb_arena_alloc(beat->arena, 100 * sizeof(*beat->beat.rows));
    (void)sb_mailbox_post(to, &cp_attach_new(box)->mail);
    (void)sb_mailbox_post(to, &cp_lead_new(true, 1, 2)->mail);
    (void)sb_mailbox_post(to, &cp_suspect_new((struct msg_version){.epoch = 1}, 9, true)->mail);
    (void)sb_mailbox_post(to, &compiled->mail);
    (void)sb_mailbox_post(to, &cp_batch_new(NULL, peer)->mail);
    (void)sb_mailbox_post(to, &beat->mail);
    samples->rows = sb_arena_alloc(samples->arena, 100 * sizeof(*samples->rows));
    (void)sb_mailbox_post(to, &samples->mail);
    (void)sb_mailbox_post(to, &cp_rows_wanted_new(peer)->mail);
    (void)sb_mailbox_post(to, &cp_query_new(NULL, peer)->mail);
    (void)sb_mailbox_post(to, &send->mail);
}

static void mail_that_is_taken_and_not_wanted_is_freed(void **state)
{
    struct sb_mail *chain, *mail;
    int n = 0;

    (void)state;
    post_all(box);
    chain = sb_mailbox_take(box);
    while ((mail = sb_mail_pop(&chain)) != NULL) {
        cp_mail_free(mail);
        n++;
    }
    assert_int_equal(n, 10);
}

static void mail_to_a_mailbox_that_closes_is_freed(void **state)
{
    struct sb_mailbox *other;

    (void)state;
    assert_int_equal(sb_mailbox_new(NULL, NULL, &other), SB_OK);
    post_all(other);
    sb_mailbox_close(other);
    post_all(other);
    sb_mailbox_unref(&other);
}

static void free_text(struct sb_ask *ask)
{
    sb_mem_free(container_of(ask, struct cp_ask_text, ask));
}

static void a_question_that_nobody_wants_is_answered(void **state)
{
    struct cp_ask_text *text = sb_mem_new(sizeof(*text));
    struct sb_mail *mail;

    (void)state;
    sb_ask_init(&text->ask, CP_ASK_FLEET, free_text);
    sb_ask_send(&text->ask, box, box);
    mail = sb_mailbox_take(box);
    cp_mail_free(mail);
    assert_ptr_equal(sb_mailbox_take(box), mail);
    assert_true(sb_ask_is_done(&text->ask));
    assert_int_equal(text->ask.rc, SB_ECANCELED);
    sb_ask_release(&text->ask);
}

static void an_observer_is_held_until_it_is_let_go(void **state)
{
    struct cp_observers observers = {.n = 0};

    (void)state;
    cp_observers_add(&observers, cp_attach_new(box));
    cp_observers_add(&observers, cp_attach_new(box));
    assert_int_equal(observers.n, 2);
    assert_ptr_equal(observers.boxes[1], box);
    cp_observers_release(&observers);
    assert_int_equal(observers.n, 0);
}

static void a_peer_is_kept_by_value_and_one_too_long_is_nobody(void **state)
{
    char id[CP_PEER_MAX + 1];
    struct cp_peer peer;

    (void)state;
    memset(id, 'x', sizeof(id));
    peer = cp_peer_of(sb_slice_make(id, CP_PEER_MAX));
    assert_true(sb_slice_eq(cp_peer_id(&peer), sb_slice_make(id, CP_PEER_MAX)));
    peer = cp_peer_of(sb_slice_make(id, CP_PEER_MAX + 1));
    assert_int_equal(cp_peer_id(&peer).n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mail_that_is_taken_and_not_wanted_is_freed),
        TEST(mail_to_a_mailbox_that_closes_is_freed),
        TEST(a_question_that_nobody_wants_is_answered),
        TEST(an_observer_is_held_until_it_is_let_go),
        TEST(a_peer_is_kept_by_value_and_one_too_long_is_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
