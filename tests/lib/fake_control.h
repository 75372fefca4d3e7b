/* tests/lib/fake_control.h - a scripted control daemon that listens; see
 * fake_daemon.h. */
#pragma once

#include "tests/lib/fake_daemon.h"

/* --- what it holds ------------------------------------------------------------ */

/* A small snapshot of this version, with one endpoint, 101.  base_url: of its
 * provider. */
static inline void fake_set_snapshot(struct fake_daemon *daemon, struct msg_version version,
                                     const char *base_url)
{
    struct msg_provider provider = {.slug = SB_SLICE_INIT("acme"),
                                    .name = SB_SLICE_INIT("Acme"),
                                    .dialect = SB_SLICE_INIT("openai"),
                                    .base_url = sb_slice_of(base_url),
                                    .auth_header = SB_SLICE_INIT("authorization")};
    struct msg_model model = {.id = SB_SLICE_INIT("a/b"),
                              .name = SB_SLICE_INIT("B"),
                              .context_length = 1000,
                              .input_modalities = 1,
                              .output_modalities = 1};
    struct msg_endpoint endpoint = {.id = 101,
                                    .tag = SB_SLICE_INIT("acme"),
                                    .upstream_model = SB_SLICE_INIT("b"),
                                    .context_length = 1000,
                                    .input_modalities = 1,
                                    .output_modalities = 1};
    const struct msg_snapshot snapshot = {.version = version,
                                          .created_at = 1790000000000000,
                                          .providers = &provider,
                                          .models = &model,
                                          .endpoints = &endpoint,
                                          .n_providers = 1,
                                          .n_models = 1,
                                          .n_endpoints = 1};
    struct sb_errmsg err = {.text = ""};

    sb_buf_reset(&daemon->snapshot);
    if (msg_snapshot_encode(&snapshot, &daemon->snapshot, &err) != SB_OK)
        fail_msg("%s", err.text);
    sb_hash(sb_buf_slice(&daemon->snapshot), daemon->hash);
    daemon->version = version;
}

/* --- receiving ---------------------------------------------------------------- */

static inline void fake_note_hello(struct fake_daemon *daemon, const struct sb_bus_msg *msg)
{
    struct sb_slice peer = sb_bus_msg_peer(msg);
    struct msg_hello hello;

    assert_int_equal(msg_hello_decode(sb_bus_msg_frame(msg, 1), &hello), SB_OK);
    assert_true(peer.n <= sizeof(daemon->peer));
    memcpy(daemon->peer, peer.p, peer.n);
    daemon->peer_n = peer.n;
    daemon->hello_version = hello.version;
    daemon->hello_boot = hello.boot;
    memcpy(daemon->hello_key, hello.receipt_key, sizeof(daemon->hello_key));
    memcpy(daemon->hello_hash, hello.hash, sizeof(hello.hash));
    assert_true(sb_slice_copy_text(hello.worker, daemon->hello_worker, FAKE_TEXT));
    assert_true(hello.host.n > 0 && hello.pid > 0 && hello.release.n > 0);
    assert_true(sb_slice_is(hello.dialects, "openai"));
    fake_welcome(daemon);
}

static inline void fake_commit(struct fake_store *store, const struct msg_batch *batch,
                               struct sb_slice bulk)
{
    uint64_t newest = 0;
    struct sb_slice record;

    for (size_t i = 0; i < store->n; i++)
        if (store->records[i].boot == batch->boot && store->records[i].sequence > newest)
            newest = store->records[i].sequence;
    store->batches++;
    for (uint32_t i = 0; i < batch->count; i++) {
        uint64_t sequence = batch->first + i;

        assert_int_equal(msg_batch_next(&bulk, &record), SB_OK);
        if (sequence <= newest) {
            store->repeated++;
            continue;
        }
        store->out_of_order += sequence != newest + 1;
        newest = sequence;
        assert_true(store->n < FAKE_RECORDS_MAX);
        store->records[store->n++] =
            (struct fake_record){.boot = batch->boot, .sequence = sequence};
    }
    assert_int_equal(bulk.n, 0);
}

static inline void fake_note_batch(struct fake_daemon *daemon, const struct sb_bus_msg *msg)
{
    struct msg_batch_ok ok;
    struct msg_batch batch;

    assert_int_equal(msg_batch_decode(sb_bus_msg_frame(msg, 1), &batch), SB_OK);
    if (!daemon->leads) {
        fake_send(daemon, MSG_KIND_NOT_LEADER, SB_SLICE_NONE, NULL);
        return;
    }
    if (daemon->holds_batches)
        return;
    fake_commit(daemon->store, &batch, sb_bus_msg_frame(msg, 2));
    if (daemon->commits_silently)
        return;
    ok = (struct msg_batch_ok){
        .worker = batch.worker, .boot = batch.boot, .last = batch.first + batch.count - 1};
    FAKE_SEND(daemon, MSG_KIND_BATCH_OK, batch_ok, &ok, NULL);
}

static inline void fake_note_beat(struct fake_daemon *daemon, struct sb_slice body)
{
    struct sb_arena *arena = sb_arena_new(4096);

    assert_int_equal(msg_beat_decode(body, arena, &daemon->beat), SB_OK);
    daemon->beat_version = daemon->beat.version;
    for (size_t i = 0; i < daemon->beat.n_rows; i++) {
        daemon->beat_rows++;
        daemon->beat_faults += daemon->beat.rows[i].faults;
        daemon->beat_attempts += daemon->beat.rows[i].attempts;
    }
    sb_arena_destroy(&arena);
}

static inline void fake_answer_query(struct fake_daemon *daemon)
{
    const struct msg_answer answer = {.id = daemon->query.id,
                                      .status = (uint16_t)daemon->answer_status};
    struct sb_slice json = sb_slice_of(daemon->answer_json);

    FAKE_SEND(daemon, MSG_KIND_ANSWER, answer, &answer, &json);
}

static inline void fake_note_query(struct fake_daemon *daemon, struct sb_slice body)
{
    assert_int_equal(msg_query_decode(body, &daemon->query), SB_OK);
    assert_true(sb_slice_copy_text(daemon->query.argument, daemon->query_argument, FAKE_TEXT));
    if (!daemon->holds_answers)
        fake_answer_query(daemon);
}

static inline void fake_note_get(struct fake_daemon *daemon, struct sb_slice body)
{
    struct msg_get get;

    assert_int_equal(msg_get_decode(body, &get), SB_OK);
    if (get.what == MSG_GET_TABLES) {
        daemon->tables_gets++;
        fake_send_tables(daemon);
        return;
    }
    daemon->get_version = get.version;
    fake_send_snapshot(daemon);
}

static inline void fake_note(struct fake_daemon *daemon, const struct sb_bus_msg *msg)
{
    struct sb_slice body = sb_bus_msg_frame(msg, 1);
    struct msg_envelope envelope;
    struct msg_answer answer;
    struct msg_nack nack;
    struct msg_ack ack;

    assert_int_equal(msg_envelope_decode(sb_bus_msg_frame(msg, 0), &envelope), SB_OK);
    assert_true(envelope.kind < 16);
    assert_int_equal(envelope.term, 0);
    daemon->got[envelope.kind]++;
    if (daemon->is_mute)
        return;
    switch (envelope.kind) {
    case MSG_KIND_HELLO:
        fake_note_hello(daemon, msg);
        break;
    case MSG_KIND_GET:
        fake_note_get(daemon, body);
        break;
    case MSG_KIND_ACK:
        assert_int_equal(msg_ack_decode(body, &ack), SB_OK);
        daemon->ack_version = ack.version;
        break;
    case MSG_KIND_NACK:
        assert_int_equal(msg_nack_decode(body, &nack), SB_OK);
        daemon->nack_version = nack.version;
        daemon->nack_code = nack.code;
        assert_true(sb_slice_copy_text(nack.text, daemon->nack_text, FAKE_TEXT));
        break;
    case MSG_KIND_BATCH:
        fake_note_batch(daemon, msg);
        break;
    case MSG_KIND_BEAT:
        fake_note_beat(daemon, body);
        break;
    case MSG_KIND_QUERY:
        fake_note_query(daemon, body);
        break;
    case MSG_KIND_ANSWER:
        assert_int_equal(msg_answer_decode(body, &answer), SB_OK);
        daemon->answer_got = answer.status;
        assert_true(sb_slice_copy_text(sb_bus_msg_frame(msg, 2), daemon->answer_got_json,
                                       sizeof(daemon->answer_got_json)));
        break;
    default:
        fail_msg("a worker does not send %s", msg_kind_name(envelope.kind));
    }
}

/* Handles what has come. */
static inline void fake_pump(struct fake_daemon *daemon)
{
    struct sb_bus_msg *msg = NULL;

    while (daemon->router != NULL && sb_bus_recv(daemon->router, &msg) == SB_OK) {
        fake_note(daemon, msg);
        sb_bus_msg_destroy(&msg);
    }
}

/* Asks the worker; its answer goes to answer_got. */
static inline void fake_query(struct fake_daemon *daemon, int what, uint64_t id, uint64_t tenant,
                              const char *argument, const char *body)
{
    const struct msg_query query = {
        .id = id, .what = (uint8_t)what, .tenant = tenant, .argument = sb_slice_of(argument)};
    struct sb_slice bulk = sb_slice_of(body);

    daemon->answer_got = 0;
    FAKE_SEND(daemon, MSG_KIND_QUERY, query, &query, &bulk);
}
