/* tests/unit/proto/test_bus.c */
#include "proto/bus.h"

#include "proto/wire.h"
#include "tests/lib/message.h"

/* Fills a hash with bytes that tell their place. */
#define HASH                                                                                       \
    {                                                                                              \
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,  \
            25, 26, 27, 28, 29, 30, 31                                                             \
    }

static const struct msg_hello hello = {
    .protocol_min = 1,
    .protocol_max = 3,
    .worker = {"host-0", 6},
    .boot = 1790000000000000,
    .host = {"host", 4},
    .pid = 4242,
    .release = {"0.1.0", 5},
    .dialects = {"openai,anthropic", 16},
    .version = {1780000000000000, 77},
    .hash = HASH,
    .receipt_key = HASH,
};
static const struct msg_welcome welcome = {.daemon = {"control-1", 9},
                                           .leader = true,
                                           .version = {9, 1000},
                                           .tables_sequence = 70000,
                                           .certificate = {"a note\n", 7}};
static const struct msg_get get = {.what = MSG_GET_TABLES, .format = 2, .version = {9, 999}};
static const struct msg_announce announce = {
    .version = {9, 1001}, .hash = HASH, .size = 3500000, .format = 1};
static const struct msg_ack ack = {.version = {9, 1001}};
static const struct msg_nack nack = {
    .version = {9, 1001}, .code = SB_EPARSE, .text = {"endpoints[3]: no tag", 20}};
static const struct msg_batch batch = {
    .worker = {"host-0", 6}, .boot = 1790000000000000, .first = 100001, .count = 200};
static const struct msg_batch_ok batch_ok = {
    .worker = {"host-0", 6}, .boot = 1790000000000000, .last = 100200};
static const struct msg_heartbeat heartbeat = {
    .daemon = {"control-1", 9}, .leader = true, .version = {9, 1001}, .tables_sequence = 70001};
static const struct msg_query query = {
    .id = 5, .what = MSG_QUERY_EXPLAIN, .tenant = 6, .key = 7, .argument = {"app", 3}};
static const struct msg_answer answer = {.id = 5, .status = 404};
static const struct msg_envelope envelope = {
    .protocol = MSG_PROTOCOL, .kind = MSG_KIND_BATCH_OK, .term = 300};

static struct msg_beat_row rows[] = {
    {.endpoint = 11,
     .second = 1790000000,
     .attempts = 12,
     .successes = 9,
     .faults = 2,
     .rate_limited = 1,
     .prompt_tokens = 13000,
     .completion_tokens = 14000,
     .cost = 150000000000,
     .retry_after = 16000,
     .first_token = {"\x01\x02\x03", 3},
     .throughput = {"\x04\x05", 2}},
    {.endpoint = 12, .second = 1790000001, .attempts = 1, .cost = -1},
};
static const struct msg_beat beat = {
    .worker = {"host-0", 6},
    .boot = 1790000000000000,
    .version = {9, 1001},
    .in_flight = 21,
    .connections = 22,
    .requests = 230000,
    .spool_bytes = 240000,
    .spool_limit = 4294967296,
    .spool_next = 26,
    .spool_acked = 25,
    .from_disk = true,
    .draining = false,
    .rows = rows,
    .n_rows = 2,
};

MESSAGE_RECODE(hello)
MESSAGE_RECODE(welcome)
MESSAGE_RECODE(get)
MESSAGE_RECODE(announce)
MESSAGE_RECODE(ack)
MESSAGE_RECODE(nack)
MESSAGE_RECODE(batch)
MESSAGE_RECODE(batch_ok)
MESSAGE_RECODE(heartbeat)
MESSAGE_RECODE(query)
MESSAGE_RECODE(answer)
MESSAGE_RECODE(envelope)
MESSAGE_RECODE_ROWS(beat)

static struct sb_buf out;

static int set_up(void **state)
{
    (void)state;
    sb_buf_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_mem_fail_nth(0);
    sb_buf_release(&out);
    return 0;
}

#define CHECK_GOLDEN(name)                                                                         \
    do {                                                                                           \
        sb_buf_reset(&out);                                                                        \
        assert_int_equal(msg_##name##_encode(&name, &out), SB_OK);                                 \
        check_message(#name, sb_buf_slice(&out), recode_##name);                                   \
    } while (0)

static void every_message_keeps_its_bytes(void **state)
{
    (void)state;
    CHECK_GOLDEN(hello);
    CHECK_GOLDEN(welcome);
    CHECK_GOLDEN(get);
    CHECK_GOLDEN(announce);
    CHECK_GOLDEN(ack);
    CHECK_GOLDEN(nack);
    CHECK_GOLDEN(batch);
    CHECK_GOLDEN(batch_ok);
    CHECK_GOLDEN(heartbeat);
    CHECK_GOLDEN(query);
    CHECK_GOLDEN(answer);
    CHECK_GOLDEN(envelope);
    CHECK_GOLDEN(beat);
}

#define SEND(name)                                                                                 \
    struct msg_##name got;                                                                         \
                                                                                                   \
    (void)state;                                                                                   \
    assert_int_equal(msg_##name##_encode(&name, &out), SB_OK);                                     \
    assert_int_equal(msg_##name##_decode(sb_buf_slice(&out), &got), SB_OK)

#define SAME_VERSION(name) assert_int_equal(msg_version_cmp(got.version, name.version), 0)

static void a_hello_arrives_whole(void **state)
{
    SEND(hello);
    assert_int_equal(got.protocol_min, 1);
    assert_int_equal(got.protocol_max, 3);
    assert_true(sb_slice_is(got.worker, "host-0"));
    assert_true(got.boot == hello.boot);
    assert_true(sb_slice_is(got.host, "host"));
    assert_int_equal(got.pid, 4242);
    assert_true(sb_slice_is(got.release, "0.1.0"));
    assert_true(sb_slice_is(got.dialects, "openai,anthropic"));
    SAME_VERSION(hello);
    assert_memory_equal(got.hash, hello.hash, MSG_HASH_BYTES);
    assert_memory_equal(got.receipt_key, hello.receipt_key, MSG_PUBLIC_KEY_BYTES);
}

static void a_welcome_arrives_whole(void **state)
{
    SEND(welcome);
    assert_true(sb_slice_is(got.daemon, "control-1"));
    assert_true(got.leader);
    SAME_VERSION(welcome);
    assert_int_equal(got.tables_sequence, 70000);
    assert_true(sb_slice_is(got.certificate, "a note\n"));
}

static void a_get_arrives_whole(void **state)
{
    SEND(get);
    assert_int_equal(got.what, MSG_GET_TABLES);
    assert_int_equal(got.format, 2);
    SAME_VERSION(get);
}

static void an_announcement_arrives_whole(void **state)
{
    SEND(announce);
    SAME_VERSION(announce);
    assert_memory_equal(got.hash, announce.hash, MSG_HASH_BYTES);
    assert_int_equal(got.size, 3500000);
    assert_int_equal(got.format, 1);
}

static void a_nack_arrives_whole(void **state)
{
    SEND(nack);
    SAME_VERSION(nack);
    assert_int_equal(got.code, SB_EPARSE);
    assert_true(sb_slice_is(got.text, "endpoints[3]: no tag"));
}

static void a_batch_arrives_whole(void **state)
{
    SEND(batch);
    assert_true(sb_slice_is(got.worker, "host-0"));
    assert_true(got.boot == batch.boot);
    assert_int_equal(got.first, 100001);
    assert_int_equal(got.count, 200);
}

static void a_batch_ok_arrives_whole(void **state)
{
    SEND(batch_ok);
    assert_true(sb_slice_is(got.worker, "host-0"));
    assert_true(got.boot == batch_ok.boot);
    assert_int_equal(got.last, 100200);
}

static void a_heartbeat_arrives_whole(void **state)
{
    SEND(heartbeat);
    assert_true(sb_slice_is(got.daemon, "control-1"));
    assert_true(got.leader);
    SAME_VERSION(heartbeat);
    assert_int_equal(got.tables_sequence, 70001);
}

static void a_query_arrives_whole(void **state)
{
    SEND(query);
    assert_int_equal(got.id, 5);
    assert_int_equal(got.what, MSG_QUERY_EXPLAIN);
    assert_int_equal(got.tenant, 6);
    assert_int_equal(got.key, 7);
    assert_true(sb_slice_is(got.argument, "app"));
}

static void an_answer_arrives_whole(void **state)
{
    SEND(answer);
    assert_int_equal(got.id, 5);
    assert_int_equal(got.status, 404);
}

static void an_envelope_arrives_whole(void **state)
{
    SEND(envelope);
    assert_int_equal(got.protocol, MSG_PROTOCOL);
    assert_int_equal(got.kind, MSG_KIND_BATCH_OK);
    assert_int_equal(got.term, 300);
}

static void a_beat_arrives_whole(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1024);
    struct msg_beat got;

    (void)state;
    assert_int_equal(msg_beat_encode(&beat, &out), SB_OK);
    assert_int_equal(msg_beat_decode(sb_buf_slice(&out), arena, &got), SB_OK);
    assert_true(sb_slice_is(got.worker, "host-0"));
    assert_true(got.boot == beat.boot);
    SAME_VERSION(beat);
    assert_int_equal(got.in_flight, 21);
    assert_int_equal(got.connections, 22);
    assert_int_equal(got.requests, 230000);
    assert_int_equal(got.spool_bytes, 240000);
    assert_true(got.spool_limit == 4294967296);
    assert_int_equal(got.spool_next, 26);
    assert_int_equal(got.spool_acked, 25);
    assert_true(got.from_disk);
    assert_false(got.draining);
    assert_int_equal(got.n_rows, 2);
    assert_int_equal(got.rows[0].endpoint, 11);
    assert_int_equal(got.rows[0].second, 1790000000);
    assert_int_equal(got.rows[0].attempts, 12);
    assert_int_equal(got.rows[0].successes, 9);
    assert_int_equal(got.rows[0].faults, 2);
    assert_int_equal(got.rows[0].rate_limited, 1);
    assert_int_equal(got.rows[0].prompt_tokens, 13000);
    assert_int_equal(got.rows[0].completion_tokens, 14000);
    assert_int_equal(got.rows[0].cost, 150000000000);
    assert_int_equal(got.rows[0].retry_after, 16000);
    assert_true(sb_slice_is(got.rows[0].first_token, "\x01\x02\x03"));
    assert_true(sb_slice_is(got.rows[0].throughput, "\x04\x05"));
    assert_int_equal(got.rows[1].endpoint, 12);
    assert_int_equal(got.rows[1].cost, -1);
    assert_int_equal(got.rows[1].first_token.n, 0);
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(msg_kind_name(MSG_KIND_HELLO), "HELLO");
    assert_string_equal(msg_kind_name(MSG_KIND_NOT_LEADER), "NOT_LEADER");
    assert_string_equal(msg_kind_name(0), "unknown");
    assert_string_equal(msg_kind_name(200), "unknown");
}

static void an_envelope_of_another_protocol_is_told_apart_from_garbage(void **state)
{
    /* A future protocol may change everything behind its number. */
    static const char future[] = "\x92\x02\xa4what";
    static const char past[] = "\x91\x00";
    struct msg_envelope got;

    (void)state;
    assert_int_equal(msg_envelope_decode(SB_SLICE_LIT(future), &got), SB_EVERSION);
    assert_int_equal(msg_envelope_decode(SB_SLICE_LIT(past), &got), SB_EVERSION);
    assert_int_equal(msg_envelope_decode(SB_SLICE_LIT("\x93\xa1\x31\x01\x01"), &got), SB_EPARSE);
}

/* An older sender: every field that it does not send is zero. */
static void fields_that_are_missing_are_zero(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1024);
    struct msg_welcome w = welcome;
    struct msg_ack a = ack;
    struct msg_announce n = announce;
    struct msg_beat b = beat;
    static const uint8_t zeros[MSG_HASH_BYTES];

    (void)state;
    assert_int_equal(msg_ack_decode(SB_SLICE_LIT("\x90"), &a), SB_OK);
    assert_true(msg_version_is_none(a.version));
    assert_int_equal(msg_welcome_decode(SB_SLICE_LIT("\x92\xa1x\xc3"), &w), SB_OK);
    assert_true(w.leader);
    assert_true(msg_version_is_none(w.version));
    assert_int_equal(w.tables_sequence, 0);
    assert_int_equal(msg_announce_decode(SB_SLICE_LIT("\x92\x01\x02"), &n), SB_OK);
    assert_int_equal(n.version.revision, 2);
    assert_memory_equal(n.hash, zeros, sizeof(zeros));
    assert_int_equal(msg_beat_decode(SB_SLICE_LIT("\x91\xa1x"), arena, &b), SB_OK);
    assert_int_equal(b.n_rows, 0);
    assert_int_equal(b.spool_limit, 0);
}

static void what_cannot_be_zero_is_refused(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1024);
    struct msg_hello h = hello;
    struct msg_get g = get;
    struct msg_batch b = batch;
    struct msg_beat beats = beat;

    (void)state;
    h.worker = SB_SLICE_NONE;
    assert_int_equal(msg_hello_encode(&h, &out), SB_OK);
    assert_int_equal(msg_hello_decode(sb_buf_slice(&out), &h), SB_EPARSE);
    assert_int_equal(msg_get_decode(SB_SLICE_LIT("\x90"), &g), SB_EPARSE);
    assert_int_equal(msg_get_decode(SB_SLICE_LIT("\x91\x03"), &g), SB_EPARSE);
    assert_int_equal(msg_batch_decode(SB_SLICE_LIT("\x90"), &b), SB_EPARSE);
    sb_buf_reset(&out);
    rows[1].endpoint = 0;
    assert_int_equal(msg_beat_encode(&beat, &out), SB_OK);
    assert_int_equal(msg_beat_decode(sb_buf_slice(&out), arena, &beats), SB_EPARSE);
    rows[1].endpoint = 12;
    assert_int_equal(g.what, MSG_GET_TABLES); /* untouched on failure */
}

static void a_newer_row_inside_an_array_is_read(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1024);
    struct wire_writer w = wire_writer_init(&out);
    struct msg_beat got;

    (void)state;
    wire_write_array(&w, 14);
    wire_write_text(&w, SB_SLICE_LIT("w"), 1);
    for (int i = 0; i < 10; i++)
        wire_write_u64(&w, 0);
    wire_write_bool(&w, false);
    wire_write_bool(&w, true);
    wire_write_array(&w, 2);
    wire_write_array(&w, 14); /* two more than we know */
    wire_write_u64(&w, 1);
    wire_write_i64(&w, -5);
    for (int i = 0; i < 8; i++)
        wire_write_u64(&w, 3);
    wire_write_bytes(&w, SB_SLICE_NONE, 0);
    wire_write_bytes(&w, SB_SLICE_NONE, 0);
    wire_write_array(&w, 1);
    wire_write_nil(&w);
    wire_write_text(&w, SB_SLICE_LIT("new"), 3);
    wire_write_array(&w, 1); /* fewer */
    wire_write_u64(&w, 2);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    assert_int_equal(msg_beat_decode(sb_buf_slice(&out), arena, &got), SB_OK);
    assert_int_equal(got.n_rows, 2);
    assert_int_equal(got.rows[0].second, -5);
    assert_int_equal(got.rows[1].endpoint, 2);
    assert_int_equal(got.rows[1].attempts, 0);
}

static void fields_over_their_ceiling_are_refused_on_both_sides(void **state)
{
    static char big[MSG_TEXT_MAX + 1];
    struct sb_slice over = sb_slice_make(big, sizeof(big));
    struct msg_hello h = hello;
    struct msg_nack n = nack;
    struct msg_query q = query;
    struct wire_writer w;

    (void)state;
    memset(big, 'x', sizeof(big));
    h.worker = sb_slice_make(big, MSG_WORKER_ID_MAX + 1);
    assert_int_equal(msg_hello_encode(&h, &out), SB_ETOOBIG);
    h.worker.n--;
    assert_int_equal(msg_hello_encode(&h, &out), SB_OK);
    n.text = over;
    assert_int_equal(msg_nack_encode(&n, &out), SB_ETOOBIG);
    q.argument = sb_slice_make(big, MSG_NAME_MAX + 1);
    assert_int_equal(msg_query_encode(&q, &out), SB_ETOOBIG);
    sb_buf_reset(&out);
    w = wire_writer_init(&out);
    wire_write_array(&w, 3);
    wire_write_u64(&w, 1);
    wire_write_u64(&w, 2);
    wire_write_text(&w, SB_SLICE_LIT("code is no text"), 100);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    assert_int_equal(msg_nack_decode(sb_buf_slice(&out), &n), SB_EPARSE);
    sb_buf_reset(&out);
    w = wire_writer_init(&out);
    wire_write_array(&w, 4);
    wire_write_u64(&w, 1);
    wire_write_u64(&w, 2);
    wire_write_i64(&w, -3);
    wire_write_text(&w, over, over.n);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    assert_int_equal(msg_nack_decode(sb_buf_slice(&out), &n), SB_ETOOBIG);
}

static void a_hash_of_another_length_is_refused(void **state)
{
    struct wire_writer w = wire_writer_init(&out);
    struct msg_announce got;

    (void)state;
    wire_write_array(&w, 3);
    wire_write_u64(&w, 1);
    wire_write_u64(&w, 2);
    wire_write_bytes(&w, SB_SLICE_LIT("short"), 100);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    assert_int_equal(msg_announce_decode(sb_buf_slice(&out), &got), SB_EPARSE);
}

static void a_beat_with_too_many_rows_is_refused_before_memory_is_taken(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1024);
    size_t held = sb_arena_held(arena), n = MSG_BEAT_ROWS_MAX + 1;
    struct msg_beat_row *many = sb_mem_new(n * sizeof(*many));
    struct msg_beat b = beat;
    struct wire_writer w;

    (void)state;
    b.rows = many;
    b.n_rows = n;
    assert_int_equal(msg_beat_encode(&b, &out), SB_ETOOBIG);
    assert_int_equal(sb_buf_len(&out), 0);
    sb_mem_free(many);
    b.n_rows = 0;
    assert_int_equal(msg_beat_encode(&b, &out), SB_OK);
    out.tail--; /* the empty array of rows */
    w = wire_writer_init(&out);
    wire_write_array(&w, n);
    for (size_t i = 0; i < n; i++)
        wire_write_array(&w, 0);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    assert_int_equal(msg_beat_decode(sb_buf_slice(&out), arena, &b), SB_ETOOBIG);
    assert_int_equal(sb_arena_held(arena), held);
}

static void a_beat_without_memory_for_its_rows_fails_cleanly(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(16);
    struct msg_beat got = {.in_flight = 99};

    (void)state;
    assert_int_equal(msg_beat_encode(&beat, &out), SB_OK);
    sb_mem_fail_nth(1);
    assert_int_equal(msg_beat_decode(sb_buf_slice(&out), arena, &got), SB_ENOMEM);
    assert_int_equal(got.in_flight, 99);
}

static void a_batch_is_walked_record_by_record(void **state)
{
    struct sb_slice bulk, record;

    (void)state;
    assert_int_equal(msg_batch_append(&out, SB_SLICE_LIT("first")), SB_OK);
    assert_int_equal(msg_batch_append(&out, SB_SLICE_NONE), SB_OK);
    assert_int_equal(msg_batch_append(&out, SB_SLICE_LIT("3")), SB_OK);
    assert_memory_equal(out.data,
                        "\0\0\0\x05"
                        "first\0\0\0\0\0\0\0\x01"
                        "3",
                        18);
    bulk = sb_buf_slice(&out);
    assert_int_equal(msg_batch_next(&bulk, &record), SB_OK);
    assert_true(sb_slice_is(record, "first"));
    assert_int_equal(msg_batch_next(&bulk, &record), SB_OK);
    assert_int_equal(record.n, 0);
    assert_int_equal(msg_batch_next(&bulk, &record), SB_OK);
    assert_true(sb_slice_is(record, "3"));
    assert_int_equal(msg_batch_next(&bulk, &record), SB_EEOF);
    assert_true(sb_slice_is(record, "3")); /* untouched at the end */
}

static void a_batch_that_is_cut_or_lies_about_a_length_is_refused(void **state)
{
    struct sb_slice bulk, record = SB_SLICE_NONE;
    struct sb_buf fresh;

    (void)state;
    assert_int_equal(msg_batch_append(&out, SB_SLICE_LIT("record")), SB_OK);
    for (size_t n = 1; n < sb_buf_len(&out); n++) {
        bulk = sb_slice_make(out.data, n);
        assert_int_equal(msg_batch_next(&bulk, &record), SB_EPARSE);
        assert_int_equal(bulk.n, n);
    }
    bulk = SB_SLICE_LIT("\xff\xff\xff\xff....");
    assert_int_equal(msg_batch_next(&bulk, &record), SB_ETOOBIG);
    bulk = SB_SLICE_LIT("\x00\x02\x00\x01....");
    assert_int_equal(msg_batch_next(&bulk, &record), SB_ETOOBIG);
    sb_mem_fail_nth(1);
    bulk = sb_slice_make(out.data, sb_buf_len(&out));
    sb_buf_init(&fresh, 100);
    assert_int_equal(msg_batch_append(&fresh, bulk), SB_ENOMEM);
    assert_int_equal(sb_buf_len(&fresh), 0);
    bulk = sb_slice_make(out.data, MSG_RECORD_MAX + 1);
    assert_int_equal(msg_batch_append(&out, bulk), SB_ETOOBIG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_message_keeps_its_bytes),
        TEST(a_hello_arrives_whole),
        TEST(a_welcome_arrives_whole),
        TEST(a_get_arrives_whole),
        TEST(an_announcement_arrives_whole),
        TEST(a_nack_arrives_whole),
        TEST(a_batch_arrives_whole),
        TEST(a_batch_ok_arrives_whole),
        TEST(a_heartbeat_arrives_whole),
        TEST(a_query_arrives_whole),
        TEST(an_answer_arrives_whole),
        TEST(an_envelope_arrives_whole),
        TEST(a_beat_arrives_whole),
        TEST(kinds_have_names),
        TEST(an_envelope_of_another_protocol_is_told_apart_from_garbage),
        TEST(fields_that_are_missing_are_zero),
        TEST(what_cannot_be_zero_is_refused),
        TEST(a_newer_row_inside_an_array_is_read),
        TEST(fields_over_their_ceiling_are_refused_on_both_sides),
        TEST(a_hash_of_another_length_is_refused),
        TEST(a_beat_with_too_many_rows_is_refused_before_memory_is_taken),
        TEST(a_beat_without_memory_for_its_rows_fails_cleanly),
        TEST(a_batch_is_walked_record_by_record),
        TEST(a_batch_that_is_cut_or_lies_about_a_length_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
