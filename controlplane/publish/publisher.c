/* controlplane/publish/publisher.c */
#include "controlplane/publish/publisher.h"

#include <inttypes.h>

#include "common/actor.h"
#include "common/bus.h"
#include "common/busauth.h"
#include "common/check.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/notekey.h"
#include "common/reactor.h"
#include "controlplane/mail.h"
#include "controlplane/publish/explain.h"
#include "controlplane/publish/fleet.h"
#include "controlplane/stats.h"
#include "proto/bus.h"
#include "proto/receipt.h"
#include "proto/snapshot.h"

enum {
    BEAT_PERIOD = 1000,        /* ms */
    SUSPECT_PERIOD = 1000,     /* ms between two alarms */
    PER_TURN = 200,            /* messages read before others get their turn */
    MESSAGE_MAX = 64 << 20,    /* bytes of one frame of a worker */
    QUEUED_PER_WORKER = 10000, /* messages: snapshots are sent once per GET only */
    BODY_MAX = 1 << 16,
    WAITING_MAX = 256, /* who is beyond hears of it by the announcement */
};

struct cp_publisher {
    struct cp_publisher_conf conf;
    struct sb_actor *actor;
    char control[SB_BUSADDR_MAX], publish[SB_BUSADDR_MAX];
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_bus_socket *pub, *router;
    struct sb_reactor_timer beat;
    struct cp_fleet *fleet;
    struct cp_explains explains;
    bool leading;
    uint64_t term, epoch;
    struct msg_announce newest; /* what blob holds */
    struct sb_bus_blob *blob;   /* NULL: none yet */
    struct msg_announce announced;
    uint64_t announced_term;
    uint64_t tables_sequence;
    sb_msec suspected; /* last alarm */
    /* Those that asked for a snapshot before there was one. */
    struct cp_peer waiting[WAITING_MAX];
    unsigned n_waiting;
};

/* A message of a worker, taken apart. */
struct heard {
    struct sb_bus_msg *msg; /* taken by who sets it to NULL */
    struct sb_slice peer, key_name;
    struct msg_envelope envelope;
    struct sb_slice body, bulk;
};

/* --- sending ----------------------------------------------------------------------- */

static int put_envelope(struct cp_publisher *pub, enum msg_kind kind, struct sb_buf *out)
{
    const struct msg_envelope envelope = {
        .protocol = MSG_PROTOCOL, .kind = (uint8_t)kind, .term = pub->leading ? pub->term : 0};

    return msg_envelope_encode(&envelope, out);
}

/* What cannot be sent is dropped: the worker is gone, or will ask again. */
static void send_to(struct cp_publisher *pub, struct sb_slice to, enum msg_kind kind,
                    struct sb_slice body, const struct sb_slice *bulk)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf envelope = {.limit = 0};
    int rc;

    sb_buf_init(&envelope, BODY_MAX);
    rc = put_envelope(pub, kind, &envelope);
    if (rc == SB_OK) {
        const struct sb_slice frames[] = {sb_buf_slice(&envelope), body,
                                          bulk != NULL ? *bulk : SB_SLICE_NONE};

        rc = sb_bus_send_to(pub->router, to, frames, bulk != NULL ? 3 : 2);
    }
    if (rc != SB_OK) {
        cp_stat_add(pub->conf.stats, bus_unsent, 1);
        sb_log_debug(BUS, "not sent kind=%s code=%s", msg_kind_name((int)kind), sb_err_name(rc));
    }
}

static void publish(struct cp_publisher *pub, char topic, enum msg_kind kind, struct sb_slice body,
                    const struct sb_slice *bulk)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf envelope = {.limit = 0};
    int rc;

    sb_buf_init(&envelope, BODY_MAX);
    rc = put_envelope(pub, kind, &envelope);
    if (rc == SB_OK) {
        const struct sb_slice frames[] = {sb_slice_make(&topic, 1), sb_buf_slice(&envelope), body,
                                          bulk != NULL ? *bulk : SB_SLICE_NONE};

        rc = sb_bus_send(pub->pub, frames, bulk != NULL ? 4 : 3);
    }
    if (rc != SB_OK)
        cp_stat_add(pub->conf.stats, bus_unsent, 1);
}

/* Whether the snapshot at hand is one to be served. */
static bool can_serve(const struct cp_publisher *pub)
{
    return pub->blob != NULL && pub->leading && pub->newest.version.epoch == pub->epoch;
}

/* The newest version, as workers are told.  A leader that has no snapshot of
 * its epoch yet says at least the epoch: by it and the term it is known. */
static struct msg_version served(const struct cp_publisher *pub)
{
    if (can_serve(pub))
        return pub->newest.version;
    return (struct msg_version){.epoch = pub->leading ? pub->epoch : 0};
}

static void put_heartbeat(struct cp_publisher *pub, struct sb_buf *body)
{
    const struct msg_heartbeat beat = {.daemon = sb_slice_of(pub->conf.name),
                                       .leader = pub->leading,
                                       .version = served(pub),
                                       .tables_sequence = pub->tables_sequence};
    int rc = msg_heartbeat_encode(&beat, body);

    SB_BUG_ON(rc != SB_OK); /* of our own making, and small */
}

static void publish_heartbeat(struct cp_publisher *pub)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = 0};

    sb_buf_init(&body, BODY_MAX);
    put_heartbeat(pub, &body);
    publish(pub, 'H', MSG_KIND_HEARTBEAT, sb_buf_slice(&body), NULL);
}

static void send_snapshot(struct cp_publisher *pub, struct sb_slice peer)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf frames = {.limit = 0};
    struct sb_slice parts[2];
    size_t n;
    int rc;

    sb_buf_init(&frames, BODY_MAX);
    rc = put_envelope(pub, MSG_KIND_SNAPSHOT, &frames);
    n = sb_buf_len(&frames);
    if (rc == SB_OK)
        rc = msg_announce_encode(&pub->newest, &frames);
    SB_BUG_ON(rc != SB_OK);
    parts[0] = sb_slice_make(sb_buf_slice(&frames).p, n);
    parts[1] = sb_slice_from(sb_buf_slice(&frames), n);
    rc = sb_bus_send_blob(pub->router, peer, parts, 2, pub->blob);
    if (rc != SB_OK) { /* it will ask again, or is gone */
        cp_stat_add(pub->conf.stats, bus_unsent, 1);
        return;
    }
    cp_stat_add(pub->conf.stats, snapshots_sent, 1);
    cp_fleet_offered(pub->fleet, peer);
}

static bool was_announced(const struct cp_publisher *pub)
{
    return pub->announced_term == pub->term &&
           msg_version_cmp(pub->announced.version, pub->newest.version) == 0 &&
           memcmp(pub->announced.hash, pub->newest.hash, MSG_HASH_BYTES) == 0;
}

/* To everybody, when there is something to announce and we lead. */
static void announce(struct cp_publisher *pub)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = 0};
    int rc;

    if (!can_serve(pub) || was_announced(pub))
        return;
    pub->announced = pub->newest;
    pub->announced_term = pub->term;
    sb_buf_init(&body, BODY_MAX);
    rc = msg_announce_encode(&pub->newest, &body);
    SB_BUG_ON(rc != SB_OK);
    publish(pub, 'S', MSG_KIND_ANNOUNCE, sb_buf_slice(&body), NULL);
    cp_fleet_published(pub->fleet, pub->newest.version);
    cp_stat_add(pub->conf.stats, announced, 1);
    sb_log_info(
        PUB, "announced epoch=%" PRIu64 " revision=%" PRIu64 " bytes=%" PRIu64 " workers=%u",
        pub->newest.version.epoch, pub->newest.version.revision, pub->newest.size,
        cp_fleet_count(pub->fleet, CP_WORKER_SENT) + cp_fleet_count(pub->fleet, CP_WORKER_SYNCED));
    while (pub->n_waiting > 0)
        send_snapshot(pub, cp_peer_id(&pub->waiting[--pub->n_waiting]));
}

/* --- what workers say ----------------------------------------------------------------- */

static void post(struct sb_mailbox *box, struct sb_mail *mail)
{
    if (box != NULL)
        (void)sb_mailbox_post(box, mail);
    else
        cp_mail_free(mail);
}

/* The worker may know a history that this database has lost. */
static void suspect(struct cp_publisher *pub, struct msg_version holds, uint64_t term,
                    bool other_bytes)
{
    sb_msec now = sb_reactor_now(pub->reactor);

    if (now - pub->suspected < SUSPECT_PERIOD || pub->conf.leader == NULL)
        return;
    pub->suspected = now;
    post(pub->conf.leader, &cp_suspect_new(holds, term, other_bytes)->mail);
}

/* A signed note that this key is that worker's; nothing for who has no key, and
 * where there is nothing to sign with. */
static void certify(const struct cp_publisher *pub, const struct msg_hello *hello,
                    struct sb_buf *note)
{
    static const uint8_t none[MSG_PUBLIC_KEY_BYTES];
    struct msg_certificate certificate = {.worker = hello->worker,
                                          .boot = hello->boot,
                                          .at = (int64_t)sb_clock_wall(&sb_clock_system)};
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    int rc;

    sb_buf_init(note, MSG_CERTIFICATE_MAX);
    if (pub->conf.log_key == NULL || memcmp(hello->receipt_key, none, sizeof(none)) == 0)
        return;
    memcpy(certificate.key, hello->receipt_key, sizeof(certificate.key));
    sb_buf_init(&text, MSG_CERTIFICATE_MAX);
    rc = msg_certificate_write(&certificate, &text);
    if (rc == SB_OK)
        rc = sb_note_signer_sign(pub->conf.log_key, sb_buf_slice(&text), note);
    if (rc != SB_OK)
        sb_log_warn(FLEET, "a worker's key was not certified worker=%.*s code=%s",
                    SB_LOG_SLICE(hello->worker), sb_err_name(rc));
}

static void send_welcome(struct cp_publisher *pub, struct sb_slice peer,
                         const struct msg_hello *hello)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = 0}, note = {.limit = 0};
    struct msg_welcome welcome = {.daemon = sb_slice_of(pub->conf.name),
                                  .leader = true,
                                  .version = served(pub),
                                  .tables_sequence = pub->tables_sequence};
    int rc;

    certify(pub, hello, &note);
    welcome.certificate = sb_buf_slice(&note);
    sb_buf_init(&body, BODY_MAX);
    rc = msg_welcome_encode(&welcome, &body);
    SB_BUG_ON(rc != SB_OK);
    send_to(pub, peer, MSG_KIND_WELCOME, sb_buf_slice(&body), NULL);
}

static int hear_hello(struct cp_publisher *pub, struct heard *heard)
{
    struct msg_version newest = served(pub);
    struct msg_hello hello;
    bool other_bytes;
    int rc = msg_hello_decode(heard->body, &hello);

    if (rc != SB_OK)
        return rc;
    if (hello.protocol_min > MSG_PROTOCOL || hello.protocol_max < MSG_PROTOCOL_MIN)
        return SB_EVERSION;
    if (!cp_fleet_may_be(heard->key_name, hello.worker))
        return SB_EAUTH;
    rc = cp_fleet_hello(pub->fleet, heard->peer, heard->key_name, &hello);
    if (rc != SB_OK)
        return rc;
    sb_log_info(FLEET, "hello worker=%.*s host=%.*s worker_pid=%u release=%.*s revision=%" PRIu64,
                SB_LOG_SLICE(hello.worker), SB_LOG_SLICE(hello.host), hello.pid,
                SB_LOG_SLICE(hello.release), hello.version.revision);
    other_bytes = pub->blob != NULL && msg_version_cmp(hello.version, newest) == 0 &&
                  memcmp(hello.hash, pub->newest.hash, MSG_HASH_BYTES) != 0;
    if (msg_version_cmp(hello.version, newest) > 0 || heard->envelope.term > pub->term ||
        other_bytes)
        suspect(pub, hello.version, heard->envelope.term, other_bytes);
    send_welcome(pub, heard->peer, &hello);
    return SB_OK;
}

static int hear_get(struct cp_publisher *pub, struct heard *heard)
{
    struct msg_get get;
    int rc = msg_get_decode(heard->body, &get);

    if (rc != SB_OK)
        return rc;
    if (get.what == MSG_GET_TABLES) {
        post(pub->conf.tables, &cp_rows_wanted_new(heard->peer)->mail);
        return SB_OK;
    }
    if (get.what != MSG_GET_SNAPSHOT)
        return SB_EUNSUPPORTED;
    if (get.format < MSG_SNAPSHOT_FORMAT)
        return SB_EVERSION;
    if (can_serve(pub))
        send_snapshot(pub, heard->peer);
    else if (pub->n_waiting < WAITING_MAX)
        pub->waiting[pub->n_waiting++] = cp_peer_of(heard->peer);
    return SB_OK;
}

static int hear_ack(struct cp_publisher *pub, struct heard *heard)
{
    struct msg_ack ack;
    int rc = msg_ack_decode(heard->body, &ack);

    if (rc == SB_OK)
        cp_fleet_ack(pub->fleet, heard->peer, ack.version);
    return rc;
}

static int hear_nack(struct cp_publisher *pub, struct heard *heard)
{
    struct sb_slice worker = cp_fleet_name(pub->fleet, heard->peer);
    struct msg_nack nack;
    int rc = msg_nack_decode(heard->body, &nack);

    if (rc != SB_OK)
        return rc;
    cp_stat_add(pub->conf.stats, nacks, 1);
    sb_log_error(FLEET,
                 "a worker refused a snapshot worker=%.*s revision=%" PRIu64 " code=%s: %.*s",
                 SB_LOG_SLICE(worker), nack.version.revision, sb_err_name(nack.code),
                 SB_LOG_SLICE(nack.text));
    cp_fleet_nack(pub->fleet, heard->peer, &nack);
    return SB_OK;
}

static int hear_batch(struct cp_publisher *pub, struct heard *heard)
{
    struct msg_batch batch;
    struct cp_batch *mail;
    int rc = msg_batch_decode(heard->body, &batch);

    if (rc != SB_OK)
        return rc;
    if (!cp_fleet_may_be(heard->key_name, batch.worker))
        return SB_EAUTH;
    /* So that every number of its records fits into the database. */
    if (batch.boot > INT64_MAX || batch.first == 0 || batch.first > INT64_MAX / 2)
        return SB_EINVAL;
    mail = cp_batch_new(heard->msg, heard->peer);
    mail->term = pub->term;
    mail->batch = batch;
    mail->bulk = heard->bulk;
    heard->msg = NULL;
    post(pub->conf.collector, &mail->mail);
    return SB_OK;
}

static int hear_beat(struct cp_publisher *pub, struct heard *heard)
{
    struct cp_beat *mail = cp_beat_new();
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = 0};
    int rc = msg_beat_decode(heard->body, mail->arena, &mail->beat);

    if (rc == SB_OK && !cp_fleet_may_be(heard->key_name, mail->beat.worker))
        rc = SB_EAUTH;
    if (rc == SB_OK)
        rc = cp_fleet_beat(pub->fleet, heard->peer, heard->key_name, &mail->beat);
    if (rc != SB_OK) {
        cp_mail_free(&mail->mail);
        return rc;
    }
    cp_stat_add(pub->conf.stats, beats, 1);
    if (msg_version_cmp(mail->beat.version, served(pub)) > 0)
        suspect(pub, mail->beat.version, 0, false);
    sb_buf_init(&body, BODY_MAX);
    put_heartbeat(pub, &body);
    send_to(pub, heard->peer, MSG_KIND_HEARTBEAT, sb_buf_slice(&body), NULL);
    if (mail->beat.n_rows == 0) {
        cp_mail_free(&mail->mail);
        return SB_OK;
    }
    mail->msg = heard->msg;
    heard->msg = NULL;
    post(pub->conf.tables, &mail->mail);
    return SB_OK;
}

static int hear_query(struct cp_publisher *pub, struct heard *heard)
{
    struct msg_query query;
    struct cp_query *mail;
    int rc = msg_query_decode(heard->body, &query);

    if (rc != SB_OK)
        return rc;
    cp_stat_add(pub->conf.stats, queries, 1);
    mail = cp_query_new(heard->msg, heard->peer);
    mail->term = pub->term;
    mail->at = sb_clock_now(&sb_clock_system);
    mail->query = query;
    heard->msg = NULL;
    post(pub->conf.answers, &mail->mail);
    return SB_OK;
}

static int hear_answer(struct cp_publisher *pub, struct heard *heard)
{
    struct msg_answer answer;
    int rc = msg_answer_decode(heard->body, &answer);

    if (rc == SB_OK)
        cp_explains_answer(&pub->explains, answer.id, answer.status, heard->bulk);
    return rc;
}

/* The one place that says what is done with which kind. */
static int hear(struct cp_publisher *pub, struct heard *heard)
{
    static int (*const hearers[])(struct cp_publisher * pub, struct heard * heard) = {
        [MSG_KIND_HELLO] = hear_hello, [MSG_KIND_GET] = hear_get,       [MSG_KIND_ACK] = hear_ack,
        [MSG_KIND_NACK] = hear_nack,   [MSG_KIND_BATCH] = hear_batch,   [MSG_KIND_BEAT] = hear_beat,
        [MSG_KIND_QUERY] = hear_query, [MSG_KIND_ANSWER] = hear_answer,
    };

    if (heard->envelope.kind >= SB_ARRAY_LEN(hearers) || hearers[heard->envelope.kind] == NULL)
        return SB_EUNSUPPORTED;
    if (!pub->leading) {
        send_to(pub, heard->peer, MSG_KIND_NOT_LEADER, SB_SLICE_NONE, NULL);
        return SB_OK;
    }
    (void)cp_fleet_saw(pub->fleet, heard->peer);
    return hearers[heard->envelope.kind](pub, heard);
}

static void take_apart(struct cp_publisher *pub, struct sb_bus_msg *msg)
{
    struct heard heard = {.msg = msg,
                          .peer = sb_bus_msg_peer(msg),
                          .key_name = sb_bus_msg_name(msg),
                          .body = sb_bus_msg_frame(msg, 1),
                          .bulk = sb_bus_msg_frame(msg, 2)};
    int rc = SB_OK;

    cp_stat_add(pub->conf.stats, bus_received, 1);
    /* A key that was taken out closes no connection that exists. */
    if (pub->conf.auth != NULL && !sb_busauth_allows(pub->conf.auth, sb_bus_msg_key(msg)))
        rc = SB_EAUTH;
    if (rc == SB_OK)
        rc = msg_envelope_decode(sb_bus_msg_frame(msg, 0), &heard.envelope);
    if (rc == SB_OK)
        rc = hear(pub, &heard);
    if (rc != SB_OK) {
        cp_stat_add(pub->conf.stats, bus_refused, 1);
        sb_log_warn(BUS, "refused a message kind=%s key=%.*s worker=%.*s code=%s",
                    msg_kind_name(heard.envelope.kind), SB_LOG_SLICE(heard.key_name),
                    SB_LOG_SLICE(cp_fleet_name(pub->fleet, heard.peer)), sb_err_name(rc));
    }
    sb_bus_msg_destroy(&heard.msg);
}

static void on_router(void *ctx, unsigned events)
{
    struct cp_publisher *pub = ctx;

    (void)events;
    for (int i = 0; i < PER_TURN; i++) {
        struct sb_bus_msg *msg = NULL;
        int rc = sb_bus_recv(pub->router, &msg);

        if (rc == SB_EAGAIN)
            return;
        if (rc == SB_OK)
            take_apart(pub, msg);
        else
            cp_stat_add(pub->conf.stats, bus_refused, 1);
    }
}

/* --- what the other actors say ---------------------------------------------------------- */

static void on_lead(struct cp_publisher *pub, const struct cp_lead *lead)
{
    bool was_leading = pub->leading;

    if (lead->leading && lead->term != pub->term)
        pub->tables_sequence = 0;
    pub->leading = lead->leading;
    if (lead->leading) {
        pub->term = lead->term;
        pub->epoch = lead->epoch;
    }
    if (was_leading && !lead->leading) {
        cp_fleet_clear(pub->fleet);
        pub->n_waiting = 0;
        cp_explains_cancel(&pub->explains);
    }
    publish_heartbeat(pub);
    announce(pub);
}

static void on_compiled(struct cp_publisher *pub, const struct cp_compiled *compiled)
{
    struct sb_bus_blob *blob = NULL;
    int rc = sb_bus_blob_new(sb_buf_slice(&compiled->bytes), &blob);

    if (rc != SB_OK) {
        sb_log_error(PUB, "no memory for a snapshot, publishing the old one bytes=%zu",
                     sb_buf_len(&compiled->bytes));
        return;
    }
    sb_bus_blob_destroy(&pub->blob);
    pub->blob = blob;
    pub->newest = (struct msg_announce){.version = compiled->version,
                                        .size = sb_buf_len(&compiled->bytes),
                                        .format = compiled->format};
    memcpy(pub->newest.hash, compiled->hash, sizeof(pub->newest.hash));
    cp_stat_set(pub->conf.stats, snapshot_bytes, (int64_t)pub->newest.size);
    cp_stat_set(pub->conf.stats, snapshot_revision, (int64_t)pub->newest.version.revision);
    announce(pub);
}

static void on_send(struct cp_publisher *pub, const struct cp_send *send)
{
    struct sb_slice bulk = sb_buf_slice(&send->bulk);
    const struct sb_slice *third = bulk.n > 0 ? &bulk : NULL;

    if (!pub->leading || send->term != pub->term)
        return;
    if (send->kind == MSG_KIND_TABLES && send->publish)
        pub->tables_sequence = send->sequence;
    if (send->publish)
        publish(pub, 'T', (enum msg_kind)send->kind, sb_buf_slice(&send->body), third);
    else
        send_to(pub, cp_peer_id(&send->to), (enum msg_kind)send->kind, sb_buf_slice(&send->body),
                third);
}

static void on_ask_explain(struct cp_publisher *pub, struct cp_ask_explain *ask)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = 0};
    struct sb_slice to = cp_fleet_reach(pub->fleet, sb_slice_of(ask->worker));
    struct sb_slice bulk = sb_buf_slice(&ask->body);
    struct msg_query query = {.what = MSG_QUERY_EXPLAIN, .argument = sb_buf_slice(&ask->key_name)};
    int rc = !pub->leading            ? SB_ENOTLEADER
             : to.n > 0               ? SB_OK
             : ask->worker[0] != '\0' ? SB_ENOENT
                                      : SB_EAGAIN;

    sb_buf_init(&body, BODY_MAX);
    if (rc == SB_OK) {
        query.id = cp_explains_next(&pub->explains);
        rc = msg_query_encode(&query, &body);
    }
    if (rc != SB_OK) {
        sb_ask_reply(&ask->ask, rc);
        return;
    }
    cp_stat_add(pub->conf.stats, explained, 1);
    cp_explains_add(&pub->explains, query.id, ask, sb_reactor_now(pub->reactor));
    send_to(pub, to, MSG_KIND_QUERY, sb_buf_slice(&body), &bulk);
}

static void on_ask_state(struct cp_publisher *pub, struct cp_ask_state *ask)
{
    ask->leading = pub->leading;
    ask->term = pub->term;
    ask->published = served(pub);
    ask->tables_sequence = pub->tables_sequence;
    for (int state = 0; state < CP_WORKER_STATES; state++)
        ask->workers[state] = cp_fleet_count(pub->fleet, (enum cp_worker_state)state);
    sb_ask_reply(&ask->ask, SB_OK);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_publisher *pub = ctx;

    switch (mail->kind) {
    case CP_MAIL_LEAD:
        on_lead(pub, container_of(mail, struct cp_lead, mail));
        break;
    case CP_MAIL_COMPILED:
        on_compiled(pub, &container_of(mail, struct cp_compiled_mail, mail)->compiled);
        break;
    case CP_MAIL_SEND:
        on_send(pub, container_of(mail, struct cp_send, mail));
        break;
    case CP_ASK_FLEET: {
        struct cp_ask_text *ask = container_of(mail, struct cp_ask_text, ask.mail);

        sb_ask_reply(&ask->ask,
                     pub->leading ? cp_fleet_json(pub->fleet, &ask->out) : SB_ENOTLEADER);
        return;
    }
    case CP_ASK_METRICS: {
        struct cp_ask_text *ask = container_of(mail, struct cp_ask_text, ask.mail);

        sb_ask_reply(&ask->ask, cp_fleet_metrics(pub->fleet, &ask->out));
        return;
    }
    case CP_ASK_STATE:
        on_ask_state(pub, container_of(mail, struct cp_ask_state, ask.mail));
        return;
    case CP_ASK_EXPLAIN:
        on_ask_explain(pub, container_of(mail, struct cp_ask_explain, ask.mail));
        return;
    default:
        break;
    }
    cp_mail_free(mail);
}

/* --- the actor ------------------------------------------------------------------------------ */

static void on_beat(struct sb_reactor_timer *timer)
{
    struct cp_publisher *pub = container_of(timer, struct cp_publisher, beat);

    publish_heartbeat(pub);
    cp_fleet_tick(pub->fleet);
    cp_explains_expire(&pub->explains, sb_reactor_now(pub->reactor));
}

static int open_socket(const struct cp_publisher *pub, enum sb_bus_type type, const char *addr,
                       struct sb_bus_socket **ret, struct sb_errmsg *err)
{
    const struct sb_bus_opts opts = {.send_limit = QUEUED_PER_WORKER,
                                     .max_message_bytes = MESSAGE_MAX,
                                     .key = pub->conf.key,
                                     .auth = pub->conf.auth};
    char resolved[SB_BUSADDR_MAX];
    int rc = sb_busaddr_resolve(addr, resolved, err);

    if (rc == SB_OK)
        rc = sb_bus_socket_new(type, &opts, ret, err);
    return rc == SB_OK ? sb_bus_bind(*ret, resolved, err) : rc;
}

static void close_all(struct cp_publisher *pub)
{
    sb_bus_socket_destroy(&pub->router);
    sb_bus_socket_destroy(&pub->pub);
    sb_bus_blob_destroy(&pub->blob);
    cp_fleet_destroy(&pub->fleet);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_publisher *pub = ctx;
    int rc;

    (void)self;
    pub->reactor = reactor;
    pub->fleet = cp_fleet_new(&sb_clock_system);
    rc = open_socket(pub, SB_BUS_PUB, pub->conf.publish, &pub->pub, err);
    if (rc == SB_OK)
        rc = open_socket(pub, SB_BUS_ROUTER, pub->conf.control, &pub->router, err);
    if (rc != SB_OK) {
        close_all(pub);
        return rc;
    }
    (void)sb_slice_copy_text(sb_slice_of(sb_bus_bound_addr(pub->router)), pub->control,
                             sizeof(pub->control));
    (void)sb_slice_copy_text(sb_slice_of(sb_bus_bound_addr(pub->pub)), pub->publish,
                             sizeof(pub->publish));
    sb_reactor_add_socket(reactor, pub->router, SB_REACTOR_IN, on_router, pub);
    sb_reactor_timer_start(reactor, &pub->beat, BEAT_PERIOD, BEAT_PERIOD, on_beat);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_publisher *pub = ctx;

    pub->leading = false;
    publish_heartbeat(pub); /* so that workers look for another leader at once */
    cp_explains_cancel(&pub->explains);
    sb_reactor_timer_stop(&pub->beat);
    sb_reactor_remove_socket(pub->reactor, pub->router);
    close_all(pub);
}

static const struct sb_actor_ops ops = {
    .name = "publisher", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_publisher_start(const struct cp_publisher_conf *conf, struct cp_publisher **ret,
                       struct sb_errmsg *err)
{
    struct cp_publisher *pub = sb_mem_new(sizeof(*pub));
    int rc;

    pub->conf = *conf;
    rc = sb_actor_start(&ops, pub, &pub->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(pub);
        return rc;
    }
    *ret = pub;
    return SB_OK;
}

void cp_publisher_stop(struct cp_publisher **publisher)
{
    struct cp_publisher *pub = *publisher;

    *publisher = NULL;
    if (pub == NULL)
        return;
    sb_actor_stop(&pub->actor);
    sb_mem_free(pub);
}

struct sb_mailbox *cp_publisher_mailbox(const struct cp_publisher *publisher)
{
    return sb_actor_mailbox(publisher->actor);
}

const char *cp_publisher_control(const struct cp_publisher *publisher)
{
    return publisher->control;
}

const char *cp_publisher_publish(const struct cp_publisher *publisher)
{
    return publisher->publish;
}
