/* tests/unit/controlplane/test_leader.c - against a real PostgreSQL. */
#include "controlplane/publish/leader.h"

#include "common/bus.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "tests/lib/inbox.h"
#include "tests/lib/ingest_fixture.h"

static const char *conninfo;

static int set_up(void **state)
{
    (void)state;
    conninfo = fixture_database();
    return 0;
}

/* A daemon's leader, and who it tells. */
struct party {
    struct cp_stats stats;
    struct cp_leader *leader;
    struct inbox inbox;
};

static void join(struct party *party, const char *name, bool new_epoch)
{
    const struct cp_leader_conf conf = {
        .conninfo = conninfo, .name = name, .new_epoch = new_epoch, .stats = &party->stats};
    struct sb_errmsg err;

    party->stats = (struct cp_stats){.leading = 0};
    inbox_open(&party->inbox);
    assert_int_equal(cp_leader_start(&conf, &party->leader, &err), SB_OK);
    (void)sb_mailbox_post(cp_leader_mailbox(party->leader), &cp_attach_new(party->inbox.box)->mail);
}

static void leave(struct party *party)
{
    cp_leader_stop(&party->leader);
    inbox_close(&party->inbox);
}

static struct cp_lead take(struct sb_mail *mail)
{
    struct cp_lead lead = *container_of(mail, struct cp_lead, mail);

    assert_int_equal(mail->kind, CP_MAIL_LEAD);
    cp_mail_free(mail);
    return lead;
}

/* Waits until it says that it leads. */
static struct cp_lead await_lead(struct party *party)
{
    struct cp_lead lead;

    do
        lead = take(inbox_expect(&party->inbox, CP_MAIL_LEAD));
    while (!lead.leading);
    return lead;
}

static void an_epoch_is_above_all_that_were_seen_and_not_below_the_clock(void **state)
{
    const sb_usec now = UINT64_C(1790000000000000), year = UINT64_C(366) * 86400 * 1000000;

    (void)state;
    assert_true(cp_epoch_after(0, now) == now);
    assert_true(cp_epoch_after(now - 1, now) == now);
    assert_true(cp_epoch_after(now, now) == now + 1);
    assert_true(cp_epoch_after(now + year - 1, now) == now + year);
    assert_true(cp_epoch_after(now + year, now) == 0);
    assert_true(cp_epoch_after(UINT64_MAX, now) == 0);
}

static void one_leads_and_the_next_one_has_a_higher_term(void **state)
{
    struct party a, b;
    struct cp_lead lead;

    (void)state;
    join(&a, "a", false);
    lead = await_lead(&a);
    assert_int_equal(lead.term, FIXTURE_TERM + 1);
    assert_true(lead.epoch > 0);
    join(&b, "b", false);
    assert_false(take(inbox_expect(&b.inbox, CP_MAIL_LEAD)).leading); /* how things stand */
    cp_leader_stop(&a.leader);
    assert_false(take(inbox_expect(&a.inbox, CP_MAIL_LEAD)).leading);
    assert_int_equal(await_lead(&b).term, FIXTURE_TERM + 2);
    assert_int_equal(cp_stat_get(&a.stats, terms_taken), 1);
    assert_int_equal(cp_stat_get(&b.stats, leading), 1);
    leave(&a);
    leave(&b);
}

static void of_many_one_leads_at_a_time(void **state)
{
    enum { N = 5 };
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = NULL;
    struct party parties[N];
    bool is_gone[N] = {false};

    (void)state;
    for (int i = 0; i < N; i++)
        join(&parties[i], "x", false);
    for (uint64_t term = FIXTURE_TERM + 1; term <= FIXTURE_TERM + N; term++) {
        int leading = -1;

        while (leading < 0)
            for (int i = 0; i < N; i++) {
                struct sb_mail *mail = is_gone[i] ? NULL : inbox_wait(&parties[i].inbox, 10);
                struct cp_lead lead = {.leading = false};

                if (mail != NULL)
                    lead = take(mail);
                if (lead.leading) {
                    assert_int_equal(leading, -1);
                    assert_int_equal(lead.term, term);
                    leading = i;
                }
            }
        leave(&parties[leading]);
        is_gone[leading] = true;
    }
    db = fixture_connect(conninfo, NULL);
    assert_int_equal(fixture_number(db, "SELECT term FROM leadership"), FIXTURE_TERM + N);
}

static void a_session_that_is_ended_ends_the_lead(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fixture_connect(conninfo, NULL);
    struct party a;

    (void)state;
    join(&a, "a", false);
    assert_int_equal(await_lead(&a).term, FIXTURE_TERM + 1);
    assert_int_equal(cp_db_script(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                      " WHERE application_name LIKE '%leader a'"
                                      " AND datname = current_database()"),
                     SB_OK);
    assert_false(take(inbox_expect(&a.inbox, CP_MAIL_LEAD)).leading);
    assert_int_equal(await_lead(&a).term, FIXTURE_TERM + 2);
    assert_int_equal(cp_stat_get(&a.stats, terms_lost), 1);
    leave(&a);
}

static void a_term_that_somebody_else_took_ends_the_lead(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fixture_connect(conninfo, NULL);
    struct party a;

    (void)state;
    join(&a, "a", false);
    (void)await_lead(&a);
    assert_int_equal(cp_db_script(db, "UPDATE leadership SET term = 100"), SB_OK);
    assert_false(take(inbox_expect(&a.inbox, CP_MAIL_LEAD)).leading);
    assert_int_equal(await_lead(&a).term, 101);
    leave(&a);
}

static void a_worker_of_another_history_makes_an_epoch_once(void **state)
{
    struct party a;
    struct cp_lead before, after;
    struct msg_version seen;

    (void)state;
    join(&a, "a", false);
    before = await_lead(&a);
    seen = (struct msg_version){.epoch = before.epoch, .revision = 7};
    for (int i = 0; i < 3; i++)
        (void)sb_mailbox_post(cp_leader_mailbox(a.leader), &cp_suspect_new(seen, 0, false)->mail);
    after = await_lead(&a);
    assert_true(after.epoch > before.epoch);
    assert_int_equal(after.term, before.term);
    /* a version like ours, with the bytes of ours, is nothing new */
    seen = (struct msg_version){.epoch = after.epoch, .revision = 0};
    (void)sb_mailbox_post(cp_leader_mailbox(a.leader), &cp_suspect_new(seen, 0, false)->mail);
    (void)sb_mailbox_post(cp_leader_mailbox(a.leader),
                          &cp_suspect_new(seen, after.term, false)->mail);
    (void)sb_mailbox_post(cp_leader_mailbox(a.leader),
                          &cp_suspect_new(seen, after.term + 1, false)->mail);
    assert_true(await_lead(&a).epoch > after.epoch);
    cp_leader_stop(&a.leader);
    assert_int_equal(cp_stat_get(&a.stats, epochs_made), 2);
    leave(&a);
}

static void a_new_epoch_is_made_when_asked_for_and_once(void **state)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = fixture_connect(conninfo, NULL);
    int64_t epoch = fixture_number(db, "SELECT epoch FROM config_head");
    struct party a;
    struct cp_lead first;

    (void)state;
    join(&a, "a", true);
    first = await_lead(&a);
    assert_true(first.epoch > (uint64_t)epoch);
    assert_int_equal(cp_db_script(db, "UPDATE leadership SET term = term + 1"), SB_OK);
    assert_false(take(inbox_expect(&a.inbox, CP_MAIL_LEAD)).leading);
    assert_true(await_lead(&a).epoch == first.epoch);
    leave(&a);
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

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_is_above_all_that_were_seen_and_not_below_the_clock),
        TEST(one_leads_and_the_next_one_has_a_higher_term),
        TEST(of_many_one_leads_at_a_time),
        TEST(a_session_that_is_ended_ends_the_lead),
        TEST(a_term_that_somebody_else_took_ends_the_lead),
        TEST(a_worker_of_another_history_makes_an_epoch_once),
        TEST(a_new_epoch_is_made_when_asked_for_and_once),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
