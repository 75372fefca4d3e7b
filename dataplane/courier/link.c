/* dataplane/courier/link.c */
#include "dataplane/courier/link.h"

#include <inttypes.h>
#include <string.h>

#include "common/bus.h"
#include "common/buskey.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/secret.h"
#include "dataplane/conf.h"
#include "dataplane/courier/sync.h"
#include "proto/snapshot.h"

enum {
    PULSE = 1000,    /* milliseconds, all of them */
    QUIET = 2000,    /* ask whether anybody is there */
    LIVENESS = 3000, /* nobody is */
    HELLO_PAUSE = 250,
    SOCKET_PAUSE_MAX = 32000,
    PER_TURN = 64, /* messages of one socket */
    PUB_MAX = 64 << 20,
    ENVELOPE_MAX = 64,
    HELLO_MAX = 4096,
    NAME_MAX_BYTES = MSG_NAME_MAX + 1,
};

/* A socket and what it takes to make it again. */
struct end {
    struct dp_link *link;
    struct sb_bus_socket *sock;
    struct sb_bus_monitor *monitor;
    sb_msec made;  /* when */
    sb_msec pause; /* before it is made again */
};

struct peer {
    struct end end;
    char *addr;
    bool is_connected;
    bool owes_answer; /* to a HELLO */
    sb_msec hello_at; /* when the last HELLO went */
    sb_msec heard;    /* when it said anything */
    char daemon[NAME_MAX_BYTES];
};

struct dp_link {
    struct sb_reactor *reactor;
    const struct dp_link_events *events;
    void *ctx;
    struct sb_buskey *key; /* NULL: plaintext */
    char server[SB_BUSKEY_TEXT + 1];
    struct peer peers[DP_LINK_PEERS_MAX];
    unsigned n_peers;
    struct end sub;
    char *publish; /* addresses, each ended by NUL, then an empty one */
    sb_msec sub_heard;
    struct peer *leader; /* NULL: seeking */
    struct dp_claim claim;
    struct sb_reactor_timer pulse;
    struct dp_link_stats stats;
};

static sb_msec now_of(const struct dp_link *link)
{
    return sb_reactor_now(link->reactor);
}

/* --- sending ------------------------------------------------------------------ */

static int send_to(struct peer *peer, enum msg_kind kind, struct sb_slice body,
                   const struct sb_slice *bulk)
{
    const struct msg_envelope envelope = {.protocol = MSG_PROTOCOL, .kind = (uint8_t)kind};
    SB_CLEANUP(sb_buf_release) struct sb_buf head;
    struct sb_slice frames[3];
    int rc;

    sb_buf_init(&head, ENVELOPE_MAX);
    rc = msg_envelope_encode(&envelope, &head);
    if (rc != SB_OK)
        return rc;
    frames[0] = sb_buf_slice(&head);
    frames[1] = body;
    if (bulk != NULL)
        frames[2] = *bulk;
    return sb_bus_send(peer->end.sock, frames, bulk != NULL ? 3 : 2);
}

int dp_link_send(struct dp_link *link, enum msg_kind kind, struct sb_slice body,
                 const struct sb_slice *bulk)
{
    return link->leader != NULL ? send_to(link->leader, kind, body, bulk) : SB_ENOTLEADER;
}

int dp_link_reply(struct dp_link *link, unsigned peer, enum msg_kind kind, struct sb_slice body,
                  const struct sb_slice *bulk)
{
    return send_to(&link->peers[peer], kind, body, bulk);
}

static void say_hello(struct peer *peer)
{
    struct dp_link *link = peer->end.link;
    struct msg_hello hello = {
        .protocol_min = MSG_PROTOCOL_MIN,
        .protocol_max = MSG_PROTOCOL,
    };
    SB_CLEANUP(sb_buf_release) struct sb_buf body;

    link->events->fill_hello(link->ctx, &hello);
    sb_buf_init(&body, HELLO_MAX);
    if (msg_hello_encode(&hello, &body) != SB_OK ||
        send_to(peer, MSG_KIND_HELLO, sb_buf_slice(&body), NULL) != SB_OK)
        return; /* the next pulse tries again */
    peer->hello_at = now_of(link);
    peer->owes_answer = true;
}

/* To everybody who could be the leader, but not in a circle. */
static void seek(struct dp_link *link)
{
    sb_msec now = now_of(link);

    for (unsigned i = 0; i < link->n_peers; i++) {
        struct peer *peer = &link->peers[i];

        if (peer->is_connected && now - peer->hello_at >= HELLO_PAUSE)
            say_hello(peer);
    }
}

void dp_link_resync(struct dp_link *link, const char *why)
{
    if (link->leader == NULL || now_of(link) - link->leader->hello_at < HELLO_PAUSE)
        return;
    link->stats.resyncs++;
    sb_log_info(SYNC, "asking the leader again daemon=%s reason=%s", link->leader->daemon, why);
    say_hello(link->leader);
}

/* --- the leader --------------------------------------------------------------- */

static void lose_leader(struct dp_link *link, const char *why)
{
    if (link->leader == NULL)
        return;
    sb_log_warn(SYNC, "lost the leader daemon=%s term=%" PRIu64 " reason=%s", link->leader->daemon,
                link->claim.term, why);
    link->leader = NULL;
    link->stats.has_leader = false;
    link->events->on_leader_lost(link->ctx);
}

static void accept_claim(struct dp_link *link, struct dp_claim claim)
{
    link->claim = claim;
    link->stats.term = claim.term;
}

static void hear_leader(struct dp_link *link)
{
    link->stats.heard = now_of(link);
}

static void on_welcome(struct peer *peer, const struct dp_link_message *message)
{
    struct dp_link *link = peer->end.link;
    struct msg_welcome welcome;
    struct dp_claim claim;
    enum dp_claim_verdict verdict;

    if (msg_welcome_decode(message->body, &welcome) != SB_OK ||
        !sb_slice_copy_text(welcome.daemon, peer->daemon, sizeof(peer->daemon)))
        return;
    peer->owes_answer = false;
    claim = (struct dp_claim){.epoch = welcome.version.epoch, .term = message->envelope.term};
    verdict = dp_sync_judge_claim(link->claim, claim);
    if (!welcome.leader || verdict == DP_CLAIM_OLD) {
        if (link->leader == peer)
            lose_leader(link, welcome.leader ? "it is out of date" : "it stepped down");
        return;
    }
    if (link->leader != NULL && link->leader != peer) {
        if (verdict == DP_CLAIM_SAME) /* one daemon by two addresses */
            return;
        lose_leader(link, "another one leads");
    }
    accept_claim(link, claim);
    if (link->leader == NULL) {
        link->leader = peer;
        link->stats.has_leader = true;
        link->sub_heard = now_of(link);
        sb_log_info(SYNC, "joined the leader daemon=%s term=%" PRIu64, peer->daemon, claim.term);
    }
    hear_leader(link);
    link->events->on_leader(link->ctx, &welcome);
}

static void on_heartbeat(struct dp_link *link, const struct dp_link_message *message)
{
    struct msg_heartbeat beat;
    struct dp_claim claim;
    enum dp_claim_verdict verdict;
    bool is_ours;

    if (msg_heartbeat_decode(message->body, &beat) != SB_OK)
        return;
    is_ours = link->leader != NULL && sb_slice_is(beat.daemon, link->leader->daemon);
    if (!beat.leader) {
        if (is_ours)
            lose_leader(link, "it stepped down");
        return;
    }
    claim = (struct dp_claim){.epoch = beat.version.epoch, .term = message->envelope.term};
    verdict = dp_sync_judge_claim(link->claim, claim);
    if (verdict == DP_CLAIM_OLD)
        return;
    if (is_ours) {
        accept_claim(link, claim);
        hear_leader(link);
        link->events->on_heartbeat(link->ctx, &beat);
    } else if (link->leader == NULL || verdict == DP_CLAIM_NEW) {
        lose_leader(link, "another one leads");
        seek(link);
    }
}

/* An announcement on PUB; false: not of the leader that we have joined. */
static bool is_of_leader(struct dp_link *link, const struct dp_link_message *message)
{
    struct dp_claim claim = {.term = message->envelope.term};
    enum dp_claim_verdict verdict;
    struct msg_announce announce;

    if (message->envelope.kind != MSG_KIND_ANNOUNCE) /* its epoch is inside */
        return message->envelope.term == link->claim.term;
    if (msg_announce_decode(message->body, &announce) != SB_OK)
        return false;
    claim.epoch = announce.version.epoch;
    verdict = dp_sync_judge_claim(link->claim, claim);
    if (verdict == DP_CLAIM_NEW && claim.term != link->claim.term) {
        lose_leader(link, "another one publishes");
        seek(link);
        return false;
    }
    if (verdict == DP_CLAIM_NEW) /* the same leader begins a new epoch */
        accept_claim(link, claim);
    return verdict != DP_CLAIM_OLD;
}

/* --- receiving ---------------------------------------------------------------- */

static bool open_message(struct sb_bus_msg **msg, size_t first, struct dp_link_message *ret)
{
    *ret = (struct dp_link_message){
        .body = sb_bus_msg_frame(*msg, first + 1),
        .bulk = sb_bus_msg_frame(*msg, first + 2),
        .msg = msg,
    };
    return msg_envelope_decode(sb_bus_msg_frame(*msg, first), &ret->envelope) == SB_OK;
}

static void dispatch(struct peer *peer, const struct dp_link_message *message)
{
    struct dp_link *link = peer->end.link;

    peer->heard = now_of(link);
    switch (message->envelope.kind) {
    case MSG_KIND_WELCOME:
        on_welcome(peer, message);
        return;
    case MSG_KIND_NOT_LEADER:
        peer->owes_answer = false;
        if (link->leader == peer) {
            lose_leader(link, "it says so");
            seek(link);
        }
        return;
    case MSG_KIND_QUERY: /* whoever has an operator at his API may ask */
        link->events->on_message(link->ctx, message);
        return;
    default:
        break;
    }
    if (link->leader != peer || message->envelope.term < link->claim.term)
        return;
    hear_leader(link);
    link->events->on_message(link->ctx, message);
}

static void on_peer_ready(void *ctx, unsigned events)
{
    struct peer *peer = ctx;
    struct dp_link *link = peer->end.link;

    (void)events;
    for (int i = 0; i < PER_TURN; i++) {
        struct dp_link_message message;
        struct sb_bus_msg *msg = NULL;
        int rc = sb_bus_recv(peer->end.sock, &msg);

        if (rc == SB_EAGAIN)
            return;
        if (rc != SB_OK)
            continue;
        if (open_message(&msg, 0, &message)) {
            message.peer = (unsigned)(peer - link->peers);
            dispatch(peer, &message);
        }
        sb_bus_msg_destroy(&msg);
    }
}

static void on_published(struct dp_link *link, const struct dp_link_message *message)
{
    if (message->envelope.kind == MSG_KIND_HEARTBEAT) {
        on_heartbeat(link, message);
        return;
    }
    if (!is_of_leader(link, message) || link->leader == NULL)
        return;
    hear_leader(link);
    link->events->on_message(link->ctx, message);
}

static void on_sub_ready(void *ctx, unsigned events)
{
    struct dp_link *link = ctx;

    (void)events;
    for (int i = 0; i < PER_TURN; i++) {
        struct dp_link_message message;
        struct sb_bus_msg *msg = NULL;
        int rc = sb_bus_recv(link->sub.sock, &msg);

        if (rc == SB_EAGAIN)
            return;
        if (rc != SB_OK)
            continue;
        if (open_message(&msg, 1, &message)) { /* after the topic */
            message.is_published = true;
            if (message.envelope.term >= link->claim.term)
                link->sub_heard = now_of(link);
            on_published(link, &message);
        }
        sb_bus_msg_destroy(&msg);
    }
}

/* --- sockets ------------------------------------------------------------------ */

static int make_socket(struct end *end, enum sb_bus_type type, size_t max_bytes,
                       struct sb_errmsg *err)
{
    struct dp_link *link = end->link;
    const struct sb_bus_opts opts = {
        .max_message_bytes = max_bytes,
        .key = link->key,
        .server_public = link->key != NULL ? link->server : NULL,
    };
    int rc = sb_bus_socket_new(type, &opts, &end->sock, err);

    if (rc != SB_OK)
        return rc;
    rc = sb_bus_monitor_new(end->sock, &end->monitor);
    if (rc != SB_OK) {
        sb_bus_socket_destroy(&end->sock);
        return sb_err_set(err, rc, "cannot watch a bus socket");
    }
    end->made = now_of(link);
    return SB_OK;
}

static void drop_socket(struct end *end)
{
    if (end->sock == NULL)
        return;
    sb_reactor_remove_socket(end->link->reactor, sb_bus_monitor_socket(end->monitor));
    sb_reactor_remove_socket(end->link->reactor, end->sock);
    sb_bus_monitor_destroy(&end->monitor);
    sb_bus_socket_destroy(&end->sock);
}

static void on_peer_event(void *ctx, unsigned events)
{
    struct peer *peer = ctx;
    enum sb_bus_event event;

    (void)events;
    while (sb_bus_monitor_next(peer->end.monitor, &event, NULL) == SB_OK) {
        switch (event) {
        case SB_BUS_CONNECTED:
            peer->is_connected = true;
            peer->end.pause = 0;
            say_hello(peer); /* a new connection: nobody knows us there */
            break;
        case SB_BUS_REFUSED:
            sb_log_warn(BUS, "a control daemon refused us, or is not who it should be address=%s",
                        peer->addr);
            break;
        case SB_BUS_DISCONNECTED:
            peer->is_connected = false;
            if (peer->end.link->leader == peer)
                lose_leader(peer->end.link, "the connection broke");
            break;
        }
    }
}

static void on_sub_event(void *ctx, unsigned events)
{
    struct dp_link *link = ctx;
    enum sb_bus_event event;

    (void)events;
    while (sb_bus_monitor_next(link->sub.monitor, &event, NULL) == SB_OK)
        if (event == SB_BUS_CONNECTED && link->leader != NULL)
            dp_link_resync(link, "subscribed anew");
}

static int connect_to(struct sb_bus_socket *sock, const char *setting, struct sb_errmsg *err)
{
    char addr[SB_BUSADDR_MAX];
    int rc = sb_busaddr_resolve(setting, addr, err);

    return rc == SB_OK ? sb_bus_connect(sock, addr, err) : rc;
}

static int open_peer(struct peer *peer, struct sb_errmsg *err)
{
    struct sb_reactor *reactor = peer->end.link->reactor;
    int rc = make_socket(&peer->end, SB_BUS_DEALER, MSG_SNAPSHOT_MAX, err);

    if (rc != SB_OK)
        return rc;
    peer->is_connected = peer->owes_answer = false;
    peer->hello_at = 0;
    sb_reactor_add_socket(reactor, peer->end.sock, SB_REACTOR_IN, on_peer_ready, peer);
    sb_reactor_add_socket(reactor, sb_bus_monitor_socket(peer->end.monitor), SB_REACTOR_IN,
                          on_peer_event, peer);
    return connect_to(peer->end.sock, peer->addr, err);
}

static int open_sub(struct dp_link *link, struct sb_errmsg *err)
{
    static const char topics[] = "STH";
    int rc = make_socket(&link->sub, SB_BUS_SUB, PUB_MAX, err);

    if (rc != SB_OK)
        return rc;
    sb_reactor_add_socket(link->reactor, link->sub.sock, SB_REACTOR_IN, on_sub_ready, link);
    sb_reactor_add_socket(link->reactor, sb_bus_monitor_socket(link->sub.monitor), SB_REACTOR_IN,
                          on_sub_event, link);
    for (const char *topic = topics; *topic != '\0'; topic++)
        sb_bus_subscribe(link->sub.sock, sb_slice_make(topic, 1));
    for (const char *addr = link->publish; rc == SB_OK && *addr != '\0'; addr += strlen(addr) + 1)
        rc = connect_to(link->sub.sock, addr, err);
    return rc;
}

/* Twice as long each time, with up to half of it by chance, so that a fleet
 * does not come back in step. */
static bool may_remake(struct end *end, sb_msec now)
{
    if (now - end->made < end->pause)
        return false;
    end->pause = end->pause < LIVENESS ? LIVENESS : end->pause * 2;
    if (end->pause > SOCKET_PAUSE_MAX)
        end->pause = SOCKET_PAUSE_MAX;
    end->pause += sb_random_u64() % (end->pause / 2);
    return true;
}

static void remake_peer(struct peer *peer)
{
    struct sb_errmsg err;

    drop_socket(&peer->end);
    if (open_peer(peer, &err) != SB_OK)
        sb_log_error(BUS, "cannot open a socket address=%s reason=%s", peer->addr, err.text);
}

static void remake_sub(struct dp_link *link)
{
    struct sb_errmsg err;

    drop_socket(&link->sub);
    if (open_sub(link, &err) != SB_OK)
        sb_log_error(BUS, "cannot open a socket reason=%s", err.text);
}

/* --- the pulse ---------------------------------------------------------------- */

static void tend_peer(struct peer *peer, sb_msec now)
{
    struct dp_link *link = peer->end.link;

    if (peer->end.sock == NULL ||
        (peer->owes_answer && now - peer->hello_at >= LIVENESS && now - peer->heard >= LIVENESS) ||
        (!peer->is_connected && now - peer->end.made >= SOCKET_PAUSE_MAX)) {
        if (link->leader == peer)
            lose_leader(link, "it does not answer");
        if (may_remake(&peer->end, now))
            remake_peer(peer);
        return;
    }
    /* A standby is asked now and then, too: it may have become the leader, and
     * the news lost. */
    if (peer->is_connected && link->leader != peer && !peer->owes_answer &&
        (link->leader == NULL || now - peer->hello_at >= SOCKET_PAUSE_MAX))
        say_hello(peer);
}

static void tend_leader(struct dp_link *link, sb_msec now)
{
    if (link->leader == NULL)
        return;
    if (now - link->stats.heard >= QUIET && !link->leader->owes_answer)
        dp_link_resync(link, "it is silent");
    if (now - link->sub_heard >= LIVENESS && may_remake(&link->sub, now)) {
        sb_log_warn(SYNC, "nothing is published, subscribing anew daemon=%s", link->leader->daemon);
        remake_sub(link);
    }
}

static void on_pulse(struct sb_reactor_timer *timer)
{
    struct dp_link *link = container_of(timer, struct dp_link, pulse);
    sb_msec now = now_of(link);

    for (unsigned i = 0; i < link->n_peers; i++)
        tend_peer(&link->peers[i], now);
    tend_leader(link, now);
    link->events->on_pulse(link->ctx, now);
}

/* --- life --------------------------------------------------------------------- */

/* Splits at commas and blanks into texts that end with NUL each; an empty one
 * is the last. */
static char *split(const char *list)
{
    size_t n = strlen(list);
    char *parts = sb_mem_new(n + 2);
    char *to = parts;

    for (const char *at = list; *at != '\0'; at++) {
        if (*at != ',' && *at != ' ')
            *to++ = *at;
        else if (to > parts && to[-1] != '\0')
            *to++ = '\0';
    }
    return parts;
}

static int load_keys(struct dp_link *link, const struct dp_conf *conf, struct sb_errmsg *err)
{
    int rc = SB_OK;

    if (conf->bus_key != NULL)
        rc = sb_buskey_load(conf->bus_key, &link->key, err);
    if (rc == SB_OK && conf->bus_server != NULL)
        rc = sb_buskey_load_public(conf->bus_server, link->server, err);
    return rc;
}

static int open_peers(struct dp_link *link, const struct dp_conf *conf, struct sb_errmsg *err)
{
    char *addrs = split(conf->control);
    int rc = *addrs != '\0' ? SB_OK : sb_err_set(err, SB_EINVAL, "control names no address");

    for (const char *addr = addrs; rc == SB_OK && *addr != '\0'; addr += strlen(addr) + 1) {
        struct peer *peer = &link->peers[link->n_peers];

        if (link->n_peers == DP_LINK_PEERS_MAX) {
            rc = sb_err_set(err, SB_EINVAL, "control names more than %d addresses",
                            DP_LINK_PEERS_MAX);
            break;
        }
        peer->end.link = link;
        peer->addr = sb_mem_strdup(addr);
        link->n_peers++;
        rc = open_peer(peer, err);
    }
    sb_mem_free(addrs);
    return rc;
}

int dp_link_new(const struct dp_conf *conf, struct sb_reactor *reactor,
                const struct dp_link_events *events, void *ctx, struct dp_link **ret_link,
                struct sb_errmsg *err)
{
    struct dp_link *link = sb_mem_new(sizeof(*link));
    int rc;

    link->reactor = reactor;
    link->events = events;
    link->ctx = ctx;
    link->sub.link = link;
    link->publish = split(conf->publish);
    rc = load_keys(link, conf, err);
    /* Subscribed first, asked second: what is published in between is not
     * missed. */
    if (rc == SB_OK)
        rc = open_sub(link, err);
    if (rc == SB_OK)
        rc = open_peers(link, conf, err);
    if (rc != SB_OK) {
        dp_link_destroy(&link);
        return rc;
    }
    sb_reactor_timer_start(reactor, &link->pulse, PULSE, PULSE, on_pulse);
    *ret_link = link;
    return SB_OK;
}

void dp_link_destroy(struct dp_link **linkp)
{
    struct dp_link *link = *linkp;

    *linkp = NULL;
    if (link == NULL)
        return;
    sb_reactor_timer_stop(&link->pulse);
    drop_socket(&link->sub);
    for (unsigned i = 0; i < link->n_peers; i++) {
        drop_socket(&link->peers[i].end);
        sb_mem_free(link->peers[i].addr);
    }
    sb_buskey_destroy(&link->key);
    sb_mem_free(link->publish);
    sb_mem_free(link);
}

bool dp_link_has_leader(const struct dp_link *link)
{
    return link->leader != NULL;
}

const struct dp_link_stats *dp_link_stats(const struct dp_link *link)
{
    return &link->stats;
}
