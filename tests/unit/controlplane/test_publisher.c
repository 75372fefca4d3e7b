/* tests/unit/controlplane/test_publisher.c - real sockets; the other actors are
 * mailboxes of the test. */
#include "controlplane/publish/publisher.h"

#include "common/buf.h"
#include "common/mem.h"
#include "common/notekey.h"
#include "common/secret.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "proto/receipt.h"
#include "proto/snapshot.h"
#include "tests/lib/bus.h"
#include "tests/lib/inbox.h"
#include "tests/lib/tmpdir.h"

static struct test_tmpdir dir;
static struct cp_stats stats;
static struct cp_publisher *publisher;
static struct inbox leader, collector, tables, answers;
static struct sb_bus_socket *dealer, *sub;
static struct sb_note_signer *log_key;

static void post(struct sb_mail *mail)
{
    (void)sb_mailbox_post(cp_publisher_mailbox(publisher), mail);
}

static void free_state(struct sb_ask *ask)
{
    sb_mem_free(container_of(ask, struct cp_ask_state, ask));
}

/* Returns when it has been taken: what a worker says comes by another way, and could be first. */
static void lead(bool leading, uint64_t term, uint64_t epoch)
{
    struct cp_ask_state *state = sb_mem_new(sizeof(*state));

    post(&cp_lead_new(leading, term, epoch)->mail);
    sb_ask_init(&state->ask, CP_ASK_STATE, free_state);
    assert_int_equal(sb_ask_wait(&state->ask, cp_publisher_mailbox(publisher), INBOX_PATIENCE),
                     SB_OK);
    assert_true(state->leading == leading && (!leading || state->term == term));
    sb_ask_release(&state->ask);
}

/* What is published before a subscription has arrived is lost. */
static void await_subscription(void)
{
    do
        lead(false, 0, 0); /* which beats */
    while (!test_await(sub, SB_REACTOR_IN, 5));
}

static int set_up(void **state)
{
    static const struct sb_bus_opts plain = {.max_message_bytes = 1 << 24};
    struct cp_publisher_conf conf = {.name = "d", .stats = &stats};
    char control[64], publish[64];
    struct sb_errmsg err;

    (void)state;
    stats = (struct cp_stats){.leading = 0};
    inbox_open(&leader);
    inbox_open(&collector);
    inbox_open(&tables);
    inbox_open(&answers);
    conf.leader = leader.box;
    conf.collector = collector.box;
    conf.tables = tables.box;
    conf.answers = answers.box;
    assert_int_equal(sb_note_signer_new(SB_SLICE_LIT("log"), &log_key, &err), SB_OK);
    conf.log_key = log_key;
    (void)snprintf(control, sizeof(control), "ipc://%s", test_tmp(&dir, "c"));
    (void)snprintf(publish, sizeof(publish), "ipc://%s", test_tmp(&dir, "p"));
    conf.control = control;
    conf.publish = publish;
    if (cp_publisher_start(&conf, &publisher, &err) != SB_OK)
        fail_msg("%s", err.text);
    dealer = test_socket(SB_BUS_DEALER, &plain);
    sub = test_socket(SB_BUS_SUB, &plain);
    test_connect(dealer, cp_publisher_control(publisher));
    test_connect(sub, cp_publisher_publish(publisher));
    sb_bus_subscribe(sub, SB_SLICE_NONE);
    test_connected(dealer);
    await_subscription();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_bus_socket_destroy(&dealer);
    sb_bus_socket_destroy(&sub);
    cp_publisher_stop(&publisher);
    sb_note_signer_destroy(&log_key);
    inbox_close(&leader);
    inbox_close(&collector);
    inbox_close(&tables);
    inbox_close(&answers);
    test_tmpdir_empty(&dir);
    return 0;
}

/* --- the worker's side ------------------------------------------------------------ */

static void say(enum msg_kind kind, const struct sb_buf *body, struct sb_slice bulk, uint64_t term)
{
    const struct msg_envelope envelope = {
        .protocol = MSG_PROTOCOL, .kind = (uint8_t)kind, .term = term};
    struct sb_slice frames[3];
    struct sb_buf head;

    sb_buf_init(&head, 64);
    assert_int_equal(msg_envelope_encode(&envelope, &head), SB_OK);
    frames[0] = sb_buf_slice(&head);
    frames[1] = sb_buf_slice(body);
    frames[2] = bulk;
    assert_int_equal(sb_bus_send(dealer, frames, 3), SB_OK);
    sb_buf_release(&head);
}

#define SAY(KIND, name, message, bulk)                                                             \
    do {                                                                                           \
        struct sb_buf body_;                                                                       \
        sb_buf_init(&body_, 1 << 16);                                                              \
        assert_int_equal(msg_##name##_encode((message), &body_), SB_OK);                           \
        say(MSG_KIND_##KIND, &body_, (bulk), 0);                                                   \
        sb_buf_release(&body_);                                                                    \
    } while (0)

static void say_hello(struct msg_version holds, const uint8_t *hash)
{
    struct msg_hello hello = {.protocol_min = 1,
                              .protocol_max = 1,
                              .worker = SB_SLICE_LIT("w"),
                              .boot = 1,
                              .version = holds};

    if (hash != NULL)
        memcpy(hello.hash, hash, sizeof(hello.hash));
    SAY(HELLO, hello, &hello, SB_SLICE_NONE);
}

static void say_get(enum msg_get_what what)
{
    const struct msg_get get = {.what = (uint8_t)what, .format = MSG_SNAPSHOT_FORMAT};

    SAY(GET, get, &get, SB_SLICE_NONE);
}

/* The next message, which is of that kind; to be destroyed. */
static struct sb_bus_msg *hear(enum msg_kind kind, struct msg_envelope *ret_envelope)
{
    struct sb_bus_msg *msg = test_recv(dealer);

    assert_int_equal(msg_envelope_decode(sb_bus_msg_frame(msg, 0), ret_envelope), SB_OK);
    assert_string_equal(msg_kind_name(ret_envelope->kind), msg_kind_name((int)kind));
    return msg;
}

static struct msg_welcome hear_welcome(uint64_t term)
{
    struct msg_envelope envelope;
    struct sb_bus_msg *msg = hear(MSG_KIND_WELCOME, &envelope);
    struct msg_welcome welcome;

    assert_int_equal(msg_welcome_decode(sb_bus_msg_frame(msg, 1), &welcome), SB_OK);
    assert_true(welcome.leader && sb_slice_is(welcome.daemon, "d"));
    assert_int_equal(envelope.term, term);
    welcome.daemon = SB_SLICE_NONE;
    sb_bus_msg_destroy(&msg);
    return welcome;
}

static void hear_certificate(const uint8_t *key)
{
    struct msg_envelope envelope;
    struct sb_bus_msg *msg = hear(MSG_KIND_WELCOME, &envelope);
    struct msg_certificate certificate;
    struct msg_welcome welcome;
    struct sb_note note;
    struct sb_errmsg err;

    assert_int_equal(msg_welcome_decode(sb_bus_msg_frame(msg, 1), &welcome), SB_OK);
    if (key == NULL) {
        assert_int_equal(welcome.certificate.n, 0);
        sb_bus_msg_destroy(&msg);
        return;
    }
    assert_int_equal(sb_note_parse(welcome.certificate, &note, &err), SB_OK);
    assert_int_equal(sb_note_verify(&note, sb_note_signer_key(log_key), &err), SB_OK);
    assert_int_equal(msg_certificate_read(note.text, &certificate), SB_OK);
    assert_true(sb_slice_is(certificate.worker, "w") && certificate.boot == 1);
    assert_memory_equal(certificate.key, key, sizeof(certificate.key));
    sb_bus_msg_destroy(&msg);
}

/* Published, of that topic, past others. */
static struct sb_bus_msg *hear_published(const char *topic)
{
    for (;;) {
        struct sb_bus_msg *msg = test_recv(sub);

        if (sb_slice_is(sb_bus_msg_frame(msg, 0), topic))
            return msg;
        sb_bus_msg_destroy(&msg);
    }
}

/* --- the actors' side --------------------------------------------------------------- */

static void compiled(uint64_t epoch, uint64_t revision, const char *bytes)
{
    struct cp_compiled_mail *mail = cp_compiled_mail_new();

    mail->compiled.version = (struct msg_version){.epoch = epoch, .revision = revision};
    mail->compiled.format = MSG_SNAPSHOT_FORMAT;
    sb_hash(sb_slice_of(bytes), mail->compiled.hash);
    assert_int_equal(sb_buf_append_text(&mail->compiled.bytes, bytes), SB_OK);
    post(&mail->mail);
}

static void expect_snapshot(const char *bytes)
{
    struct msg_envelope envelope;
    struct sb_bus_msg *msg = hear(MSG_KIND_SNAPSHOT, &envelope);
    struct msg_announce announce;

    assert_int_equal(msg_announce_decode(sb_bus_msg_frame(msg, 1), &announce), SB_OK);
    assert_int_equal(announce.size, strlen(bytes));
    assert_true(sb_slice_is(sb_bus_msg_frame(msg, 2), bytes));
    sb_bus_msg_destroy(&msg);
}

static void a_standby_answers_everything_with_not_leader(void **state)
{
    struct msg_envelope envelope;
    struct sb_bus_msg *msg;

    (void)state;
    compiled(5, 1, "bytes");
    say_hello((struct msg_version){.epoch = 0}, NULL);
    say_get(MSG_GET_SNAPSHOT);
    for (int i = 0; i < 2; i++) {
        msg = hear(MSG_KIND_NOT_LEADER, &envelope);
        assert_int_equal(envelope.term, 0);
        sb_bus_msg_destroy(&msg);
    }
    assert_int_equal(cp_stat_get(&stats, announced), 0);
}

static void a_get_before_the_snapshot_is_answered_when_it_is_there(void **state)
{
    struct msg_welcome welcome;

    (void)state;
    lead(true, 3, 5);
    compiled(4, 9, "of the epoch before");
    say_hello((struct msg_version){.epoch = 0}, NULL);
    welcome = hear_welcome(3);
    assert_int_equal(welcome.version.epoch, 5);
    assert_int_equal(welcome.version.revision, 0);
    say_get(MSG_GET_SNAPSHOT);
    say_get(MSG_GET_TABLES);
    cp_mail_free(inbox_expect(&tables, CP_MAIL_ROWS)); /* so the first GET was heard */
    compiled(5, 1, "new");
    expect_snapshot("new");
    say_get(MSG_GET_SNAPSHOT);
    expect_snapshot("new");
    assert_int_equal(cp_stat_get(&stats, announced), 1);
}

static void one_snapshot_is_announced_once_a_term(void **state)
{
    struct sb_bus_msg *msg;

    (void)state;
    compiled(5, 1, "a"); /* as a standby that is warm */
    lead(true, 3, 5);
    msg = hear_published("S");
    sb_bus_msg_destroy(&msg);
    compiled(5, 1, "a");
    compiled(5, 2, "b");
    msg = hear_published("S");
    sb_bus_msg_destroy(&msg);
    say_get(MSG_GET_SNAPSHOT);
    expect_snapshot("b");
    assert_int_equal(cp_stat_get(&stats, announced), 2);
    lead(false, 0, 0);
    lead(true, 4, 5);
    msg = hear_published("S");
    sb_bus_msg_destroy(&msg);
    say_get(MSG_GET_SNAPSHOT);
    expect_snapshot("b");
    assert_int_equal(cp_stat_get(&stats, announced), 3);
}

static void a_worker_that_knows_better_is_reported(void **state)
{
    uint8_t hash[SB_HASH_BYTES];
    struct cp_suspect *suspect;
    struct sb_mail *mail;

    (void)state;
    compiled(5, 2, "b");
    lead(true, 3, 5);
    sb_hash(SB_SLICE_LIT("b"), hash);
    say_hello((struct msg_version){.epoch = 5, .revision = 2}, hash); /* in order */
    (void)hear_welcome(3);
    assert_null(inbox_wait(&leader, 0));
    hash[0] ^= 1;
    say_hello((struct msg_version){.epoch = 5, .revision = 2}, hash);
    (void)hear_welcome(3);
    mail = inbox_expect(&leader, CP_MAIL_SUSPECT);
    suspect = container_of(mail, struct cp_suspect, mail);
    assert_true(suspect->other_bytes);
    assert_int_equal(suspect->version.revision, 2);
    cp_mail_free(mail);
    say_hello((struct msg_version){.epoch = 9, .revision = 1}, hash);
    (void)hear_welcome(3);
    assert_null(inbox_wait(&leader, 0)); /* one alarm a second is enough */
}

static void batches_and_questions_are_passed_on_whole(void **state)
{
    const struct msg_batch batch = {
        .worker = SB_SLICE_INIT("w"), .boot = 7, .first = 8, .count = 1};
    const struct msg_query query = {
        .id = 5, .what = MSG_QUERY_GENERATION, .tenant = 6, .argument = SB_SLICE_INIT("gen-1")};
    struct cp_batch *got_batch;
    struct cp_query *got_query;
    struct sb_mail *mail;

    (void)state;
    lead(true, 3, 5);
    say_hello((struct msg_version){.epoch = 0}, NULL);
    (void)hear_welcome(3);
    SAY(BATCH, batch, &batch, SB_SLICE_LIT("records"));
    mail = inbox_expect(&collector, CP_MAIL_BATCH);
    got_batch = container_of(mail, struct cp_batch, mail);
    assert_int_equal(got_batch->term, 3);
    assert_true(sb_slice_is(got_batch->batch.worker, "w"));
    assert_int_equal(got_batch->batch.first, 8);
    assert_true(sb_slice_is(got_batch->bulk, "records"));
    cp_mail_free(mail);
    SAY(QUERY, query, &query, SB_SLICE_NONE);
    mail = inbox_expect(&answers, CP_MAIL_QUERY);
    got_query = container_of(mail, struct cp_query, mail);
    assert_int_equal(got_query->query.tenant, 6);
    assert_true(sb_slice_is(got_query->query.argument, "gen-1"));
    cp_mail_free(mail);
}

/* A letter for whoever said hello last. */
static struct cp_send *reply_to_batch(uint64_t term, const char *body)
{
    const struct msg_batch batch = {
        .worker = SB_SLICE_INIT("w"), .boot = 7, .first = 1, .count = 1};
    struct cp_send *send = cp_send_new(MSG_KIND_BATCH_OK, term);
    struct sb_mail *mail;

    SAY(BATCH, batch, &batch, SB_SLICE_NONE);
    mail = inbox_expect(&collector, CP_MAIL_BATCH);
    send->to = container_of(mail, struct cp_batch, mail)->from;
    cp_mail_free(mail);
    assert_int_equal(sb_buf_append_text(&send->body, body), SB_OK);
    return send;
}

static void what_an_actor_says_of_another_term_is_dropped(void **state)
{
    struct msg_envelope envelope;
    struct cp_send *gone;
    struct sb_bus_msg *msg;

    (void)state;
    lead(true, 3, 5);
    post(&reply_to_batch(2, "late")->mail);
    gone = reply_to_batch(3, "to nobody");
    gone->to.id[0] = (char)(gone->to.id[0] + 1);
    post(&gone->mail);
    post(&reply_to_batch(3, "now")->mail);
    msg = hear(MSG_KIND_BATCH_OK, &envelope);
    assert_int_equal(envelope.term, 3);
    assert_true(sb_slice_is(sb_bus_msg_frame(msg, 1), "now"));
    sb_bus_msg_destroy(&msg);
    assert_int_equal(cp_stat_get(&stats, bus_unsent), 1);
}

static void tables_are_published_and_their_sequence_told(void **state)
{
    struct cp_send *send = cp_send_new(MSG_KIND_TABLES, 3);
    struct sb_bus_msg *msg;

    (void)state;
    send->publish = true;
    send->sequence = 17;
    assert_int_equal(sb_buf_append_text(&send->bulk, "rows"), SB_OK);
    lead(true, 3, 5);
    post(&send->mail);
    msg = hear_published("T");
    assert_true(sb_slice_is(sb_bus_msg_frame(msg, 3), "rows"));
    sb_bus_msg_destroy(&msg);
    say_hello((struct msg_version){.epoch = 0}, NULL);
    assert_int_equal(hear_welcome(3).tables_sequence, 17);
    lead(true, 4, 5); /* a term counts anew */
    say_hello((struct msg_version){.epoch = 0}, NULL);
    assert_int_equal(hear_welcome(4).tables_sequence, 0);
}

static void an_address_that_is_taken_is_an_error_that_leaves_nothing(void **state)
{
    struct cp_publisher_conf conf = {.name = "e", .stats = &stats};
    struct cp_publisher *other = NULL;
    struct sb_errmsg err = {.text = ""};
    char publish[64];

    (void)state;
    (void)snprintf(publish, sizeof(publish), "ipc://%s", test_tmp(&dir, "other"));
    conf.publish = publish;
    conf.control = cp_publisher_control(publisher);
    assert_int_equal(cp_publisher_start(&conf, &other, &err), SB_EADDRINUSE);
    assert_null(other);
    assert_true(err.text[0] != '\0');
}

static int group_start(void **state)
{
    (void)state;
    test_tmpdir_make(&dir);
    return sb_bus_init(NULL) == SB_OK ? 0 : -1;
}

static int group_stop(void **state)
{
    (void)state;
    sb_bus_shutdown();
    test_tmpdir_remove(&dir);
    return 0;
}

static void a_workers_key_is_certified(void **state)
{
    struct msg_hello hello = {
        .protocol_min = 1, .protocol_max = 1, .worker = SB_SLICE_LIT("w"), .boot = 1};

    (void)state;
    lead(true, 3, 5);
    SAY(HELLO, hello, &hello, SB_SLICE_NONE);
    hear_certificate(NULL); /* of an older worker, which has none */
    memset(hello.receipt_key, 7, sizeof(hello.receipt_key));
    SAY(HELLO, hello, &hello, SB_SLICE_NONE);
    hear_certificate(hello.receipt_key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_workers_key_is_certified),
        TEST(a_standby_answers_everything_with_not_leader),
        TEST(a_get_before_the_snapshot_is_answered_when_it_is_there),
        TEST(one_snapshot_is_announced_once_a_term),
        TEST(a_worker_that_knows_better_is_reported),
        TEST(batches_and_questions_are_passed_on_whole),
        TEST(what_an_actor_says_of_another_term_is_dropped),
        TEST(tables_are_published_and_their_sequence_told),
        TEST(an_address_that_is_taken_is_an_error_that_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
