/* tests/unit/proto/test_tables.c */
#include "proto/tables.h"

#include "proto/wire.h"
#include "tests/lib/message.h"

static struct msg_table_row rows[] = {
    {.endpoint = 41,
     .age = 1500,
     .outage = true,
     .outage_age = 2500,
     .samples = 300,
     .uptime = 987654,
     .first_token = {210, 320, 430, MSG_NO_DATA},
     .throughput = {91000, 82000, 73000, 64000},
     .mean_completion = 333,
     .cooldown = 5000,
     .uptime_half_hour = 998000,
     .uptime_day = 999900,
     .first_token_half_hour = {200, 300, 400, 500},
     .throughput_half_hour = {90000, 80000, 70000, MSG_NO_DATA}},
    {.endpoint = 42,
     .uptime = MSG_NO_DATA,
     .uptime_half_hour = MSG_NO_DATA,
     .uptime_day = MSG_NO_DATA,
     .first_token = {MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA},
     .throughput = {MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA},
     .first_token_half_hour = {MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA},
     .throughput_half_hour = {MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA}},
};
static const struct msg_tables tables = {.epoch = 9,
                                         .term = 8,
                                         .sequence = 70001,
                                         .complete = true,
                                         .rows = rows,
                                         .n_rows = SB_ARRAY_LEN(rows)};

MESSAGE_RECODE_ROWS(tables)

static struct sb_buf out;
static struct sb_arena *arena;

static int set_up(void **state)
{
    (void)state;
    sb_buf_init(&out, 1 << 20);
    arena = sb_arena_new(16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_mem_fail_nth(0);
    sb_buf_release(&out);
    sb_arena_destroy(&arena);
    return 0;
}

static void tables_keep_their_bytes(void **state)
{
    (void)state;
    assert_int_equal(msg_tables_encode(&tables, &out), SB_OK);
    check_message("tables", sb_buf_slice(&out), recode_tables);
}

static void tables_arrive_whole(void **state)
{
    struct msg_tables got;

    (void)state;
    assert_int_equal(msg_tables_encode(&tables, &out), SB_OK);
    assert_int_equal(msg_tables_decode(sb_buf_slice(&out), arena, &got), SB_OK);
    assert_int_equal(got.epoch, 9);
    assert_int_equal(got.term, 8);
    assert_int_equal(got.sequence, 70001);
    assert_true(got.complete);
    assert_int_equal(got.n_rows, 2);
    for (size_t i = 0; i < got.n_rows; i++) {
        assert_int_equal(got.rows[i].endpoint, rows[i].endpoint);
        assert_int_equal(got.rows[i].age, rows[i].age);
        assert_int_equal(got.rows[i].outage, rows[i].outage);
        assert_int_equal(got.rows[i].outage_age, rows[i].outage_age);
        assert_int_equal(got.rows[i].samples, rows[i].samples);
        assert_int_equal(got.rows[i].uptime, rows[i].uptime);
        assert_memory_equal(got.rows[i].first_token, rows[i].first_token,
                            sizeof(rows[i].first_token));
        assert_memory_equal(got.rows[i].throughput, rows[i].throughput, sizeof(rows[i].throughput));
        assert_int_equal(got.rows[i].mean_completion, rows[i].mean_completion);
        assert_int_equal(got.rows[i].cooldown, rows[i].cooldown);
        assert_int_equal(got.rows[i].uptime_half_hour, rows[i].uptime_half_hour);
        assert_int_equal(got.rows[i].uptime_day, rows[i].uptime_day);
        assert_memory_equal(got.rows[i].first_token_half_hour, rows[i].first_token_half_hour,
                            sizeof(rows[i].first_token_half_hour));
        assert_memory_equal(got.rows[i].throughput_half_hour, rows[i].throughput_half_hour,
                            sizeof(rows[i].throughput_half_hour));
    }
}

/* Zero milliseconds would make an unmeasured endpoint the fastest of all. */
static void a_measurement_that_is_missing_is_no_data(void **state)
{
    struct msg_tables got;

    (void)state;
    /* one row of [endpoint] */
    assert_int_equal(
        msg_tables_decode(SB_SLICE_LIT("\x95\x01\x02\x03\xc2\x91\x91\x05"), arena, &got), SB_OK);
    assert_int_equal(got.n_rows, 1);
    assert_int_equal(got.rows[0].endpoint, 5);
    assert_int_equal(got.rows[0].samples, 0);
    assert_int_equal(got.rows[0].uptime, MSG_NO_DATA);
    assert_int_equal(got.rows[0].uptime_half_hour, MSG_NO_DATA);
    assert_int_equal(got.rows[0].uptime_day, MSG_NO_DATA);
    for (size_t i = 0; i < MSG_PERCENTILES; i++) {
        assert_int_equal(got.rows[0].first_token[i], MSG_NO_DATA);
        assert_int_equal(got.rows[0].throughput[i], MSG_NO_DATA);
        assert_int_equal(got.rows[0].first_token_half_hour[i], MSG_NO_DATA);
        assert_int_equal(got.rows[0].throughput_half_hour[i], MSG_NO_DATA);
    }
}

static void a_row_of_no_endpoint_is_refused(void **state)
{
    struct msg_tables got;

    (void)state;
    assert_int_equal(msg_tables_decode(SB_SLICE_LIT("\x95\x01\x02\x03\xc2\x91\x90"), arena, &got),
                     SB_EPARSE);
}

static void the_mark_for_no_data_is_not_a_number_on_the_wire(void **state)
{
    struct msg_tables got;

    (void)state;
    assert_int_equal(
        msg_tables_decode(
            SB_SLICE_LIT("\x95\x01\x02\x03\xc2\x91\x96\x05\x00\xc2\x00\x00\xce\xff\xff\xff\xff"),
            arena, &got),
        SB_EPARSE);
}

static void too_many_rows_are_refused_before_memory_is_taken(void **state)
{
    struct msg_tables got = tables;
    size_t held = sb_arena_held(arena);
    struct wire_writer w;

    (void)state;
    sb_buf_clear(&out);
    sb_buf_init(&out, 1 << 23);
    w = wire_writer_init(&out);
    wire_write_array(&w, 5);
    for (int i = 0; i < 3; i++)
        wire_write_u64(&w, 1);
    wire_write_bool(&w, true);
    wire_write_array(&w, MSG_ROWS_MAX + 1);
    for (size_t i = 0; i <= MSG_ROWS_MAX; i++)
        wire_write_array(&w, 0);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    assert_int_equal(msg_tables_decode(sb_buf_slice(&out), arena, &got), SB_ETOOBIG);
    assert_int_equal(sb_arena_held(arena), held);
    assert_int_equal(got.sequence, 70001);
}

static void without_memory_for_the_rows_it_fails_cleanly(void **state)
{
    struct msg_tables got = {.sequence = 1};

    (void)state;
    sb_mem_fail_nth(1);
    assert_int_equal(msg_tables_encode(&tables, &out), SB_ENOMEM);
    assert_int_equal(msg_tables_encode(&tables, &out), SB_OK);
    sb_mem_fail_nth(1);
    assert_int_equal(msg_tables_decode(sb_buf_slice(&out), arena, &got), SB_ENOMEM);
    assert_int_equal(got.sequence, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tables_keep_their_bytes),
        TEST(tables_arrive_whole),
        TEST(a_measurement_that_is_missing_is_no_data),
        TEST(a_row_of_no_endpoint_is_refused),
        TEST(the_mark_for_no_data_is_not_a_number_on_the_wire),
        TEST(too_many_rows_are_refused_before_memory_is_taken),
        TEST(without_memory_for_the_rows_it_fails_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
