/* tests/lib/fake_daemon.h - a control daemon as a script: ROUTER and PUB on real
 * sockets, in the test's own thread; what it sends.  What it holds, and makes of
 * what comes is in fake_control.h.
 *
 * Answers as a good one does until a test says otherwise (the switches of
 * struct fake_daemon), and notes all that comes.  Runs when it is pumped.
 */
#pragma once

#include "common/arena.h"
#include "common/buf.h"
#include "common/bus.h"
#include "common/secret.h"
#include "proto/bus.h"
#include "proto/snapshot.h"
#include "proto/tables.h"
#include "tests/lib/bus.h"
#include "tests/lib/test.h"

enum { FAKE_RECORDS_MAX = 100000, FAKE_PEER_MAX = 64, FAKE_TEXT = 256 };

struct fake_record {
    uint64_t boot, sequence;
};

/* What the collectors of all daemons share, as PostgreSQL would. */
struct fake_store {
    struct fake_record records[FAKE_RECORDS_MAX];
    size_t n;
    uint64_t batches;
    uint64_t out_of_order; /* a record came before one with a lower sequence */
    uint64_t repeated;     /* records that were sent again, and skipped */
};

struct fake_daemon {
    const char *name;
    struct fake_store *store;
    struct sb_bus_socket *router, *pub;
    char router_addr[128], pub_addr[128];

    /* Switches. */
    bool leads;
    uint64_t term;
    struct msg_version version; /* newest published */
    uint64_t tables_sequence;
    bool is_mute;          /* answers nothing */
    bool holds_batches;    /* commits nothing, answers nothing to BATCH */
    bool commits_silently; /* commits, and loses the answer */
    bool spoils_hash;      /* of the snapshots it sends */
    bool holds_answers;    /* to QUERY */
    int answer_status;
    char answer_json[FAKE_TEXT];

    /* What it sends. */
    struct sb_buf snapshot; /* of version */
    uint8_t hash[MSG_HASH_BYTES];

    /* What came, by kind; and the last of each. */
    unsigned got[16];
    char peer[FAKE_PEER_MAX];
    size_t peer_n;
    struct msg_version hello_version, ack_version, nack_version, beat_version, get_version;
    uint8_t hello_hash[MSG_HASH_BYTES];
    int nack_code;
    char nack_text[FAKE_TEXT];
    char hello_worker[FAKE_TEXT];
    uint64_t hello_boot;
    uint8_t hello_key[MSG_PUBLIC_KEY_BYTES];
    const char *certificate; /* it says; NULL: none */
    struct msg_beat beat;    /* rows and slices not valid */
    unsigned beat_rows, beat_faults, beat_attempts;
    unsigned tables_gets;
    struct msg_query query;
    char query_argument[FAKE_TEXT];
    int answer_got;
    char answer_got_json[4096];
};

static inline void fake_open(struct fake_daemon *daemon, const char *name, const char *dir,
                             struct fake_store *store)
{
    const struct sb_bus_opts opts = {.max_message_bytes = 64 << 20};

    *daemon = (struct fake_daemon){.name = name, .store = store, .leads = true, .term = 1};
    (void)snprintf(daemon->router_addr, sizeof(daemon->router_addr), "ipc://%s/%s.r", dir, name);
    (void)snprintf(daemon->pub_addr, sizeof(daemon->pub_addr), "ipc://%s/%s.p", dir, name);
    daemon->router = test_socket(SB_BUS_ROUTER, &opts);
    daemon->pub = test_socket(SB_BUS_PUB, &opts);
    test_bind(daemon->router, daemon->router_addr);
    test_bind(daemon->pub, daemon->pub_addr);
    sb_buf_init(&daemon->snapshot, 64 << 20);
}

static inline void fake_close(struct fake_daemon *daemon)
{
    sb_bus_socket_destroy(&daemon->router);
    sb_bus_socket_destroy(&daemon->pub);
    sb_buf_release(&daemon->snapshot);
}

/* --- sending ------------------------------------------------------------------ */

static inline struct sb_slice fake_envelope(const struct fake_daemon *daemon, int kind,
                                            struct sb_buf *out)
{
    const struct msg_envelope envelope = {
        .protocol = MSG_PROTOCOL, .kind = (uint8_t)kind, .term = daemon->leads ? daemon->term : 0};

    sb_buf_reset(out);
    assert_int_equal(msg_envelope_encode(&envelope, out), SB_OK);
    return sb_buf_slice(out);
}

/* To whoever said HELLO last.  A worker that has gone is none of our business. */
static inline void fake_send(struct fake_daemon *daemon, int kind, struct sb_slice body,
                             const struct sb_slice *bulk)
{
    struct sb_buf head;
    struct sb_slice frames[3];

    sb_buf_init(&head, 64);
    frames[0] = fake_envelope(daemon, kind, &head);
    frames[1] = body;
    frames[2] = bulk != NULL ? *bulk : SB_SLICE_NONE;
    (void)!sb_bus_send_to(daemon->router, sb_slice_make(daemon->peer, daemon->peer_n), frames,
                          bulk != NULL ? 3 : 2);
    sb_buf_release(&head);
}

#define FAKE_SEND(daemon, kind, type, message, bulk)                                               \
    do {                                                                                           \
        struct sb_buf fake_body;                                                                   \
                                                                                                   \
        sb_buf_init(&fake_body, 64 << 10);                                                         \
        assert_int_equal(msg_##type##_encode((message), &fake_body), SB_OK);                       \
        fake_send((daemon), (kind), sb_buf_slice(&fake_body), (bulk));                             \
        sb_buf_release(&fake_body);                                                                \
    } while (0)

static inline void fake_publish(struct fake_daemon *daemon, char topic, int kind,
                                struct sb_slice body, const struct sb_slice *bulk)
{
    struct sb_slice frames[4];
    struct sb_buf head;

    sb_buf_init(&head, 64);
    frames[0] = sb_slice_make(&topic, 1);
    frames[1] = fake_envelope(daemon, kind, &head);
    frames[2] = body;
    frames[3] = bulk != NULL ? *bulk : SB_SLICE_NONE;
    assert_int_equal(sb_bus_send(daemon->pub, frames, bulk != NULL ? 4 : 3), SB_OK);
    sb_buf_release(&head);
}

static inline void fake_heartbeat(struct fake_daemon *daemon)
{
    const struct msg_heartbeat beat = {.daemon = sb_slice_of(daemon->name),
                                       .leader = daemon->leads,
                                       .version = daemon->version,
                                       .tables_sequence = daemon->tables_sequence};
    struct sb_buf body;

    sb_buf_init(&body, 4096);
    assert_int_equal(msg_heartbeat_encode(&beat, &body), SB_OK);
    fake_publish(daemon, 'H', MSG_KIND_HEARTBEAT, sb_buf_slice(&body), NULL);
    sb_buf_release(&body);
}

static inline struct msg_announce fake_announcement(const struct fake_daemon *daemon)
{
    struct msg_announce announce = {.version = daemon->version,
                                    .size = sb_buf_len(&daemon->snapshot),
                                    .format = MSG_SNAPSHOT_FORMAT};

    memcpy(announce.hash, daemon->hash, sizeof(announce.hash));
    if (daemon->spoils_hash)
        announce.hash[0] ^= 1;
    return announce;
}

static inline void fake_announce(struct fake_daemon *daemon)
{
    const struct msg_announce announce = fake_announcement(daemon);
    struct sb_buf body;

    sb_buf_init(&body, 4096);
    assert_int_equal(msg_announce_encode(&announce, &body), SB_OK);
    fake_publish(daemon, 'S', MSG_KIND_ANNOUNCE, sb_buf_slice(&body), NULL);
    sb_buf_release(&body);
}

static inline void fake_welcome(struct fake_daemon *daemon)
{
    const struct msg_welcome welcome = {.daemon = sb_slice_of(daemon->name),
                                        .leader = daemon->leads,
                                        .version = daemon->version,
                                        .tables_sequence = daemon->tables_sequence,
                                        .certificate = sb_slice_of(daemon->certificate)};

    FAKE_SEND(daemon, MSG_KIND_WELCOME, welcome, &welcome, NULL);
}

static inline void fake_send_snapshot(struct fake_daemon *daemon)
{
    const struct msg_announce announce = fake_announcement(daemon);
    const struct sb_slice bytes = sb_buf_slice(&daemon->snapshot);

    FAKE_SEND(daemon, MSG_KIND_SNAPSHOT, announce, &announce, &bytes);
}

/* One row, whose samples are the sequence. */
static inline void fake_put_tables(struct fake_daemon *daemon, bool complete, struct sb_buf *out)
{
    struct msg_table_row row = {
        .endpoint = 101, .samples = (uint32_t)daemon->tables_sequence, .uptime = 1000000};
    const struct msg_tables tables = {.epoch = daemon->version.epoch,
                                      .term = daemon->term,
                                      .sequence = daemon->tables_sequence,
                                      .complete = complete,
                                      .rows = &row,
                                      .n_rows = 1};

    sb_buf_init(out, 1 << 20);
    assert_int_equal(msg_tables_encode(&tables, out), SB_OK);
}

static inline void fake_publish_tables(struct fake_daemon *daemon)
{
    struct sb_buf bytes;
    struct sb_slice bulk;

    fake_put_tables(daemon, false, &bytes);
    bulk = sb_buf_slice(&bytes);
    fake_publish(daemon, 'T', MSG_KIND_TABLES, SB_SLICE_NONE, &bulk);
    sb_buf_release(&bytes);
}

static inline void fake_send_tables(struct fake_daemon *daemon)
{
    struct sb_buf bytes;
    struct sb_slice bulk;

    fake_put_tables(daemon, true, &bytes);
    bulk = sb_buf_slice(&bytes);
    fake_send(daemon, MSG_KIND_TABLES, SB_SLICE_NONE, &bulk);
    sb_buf_release(&bytes);
}
