/* tests/unit/controlplane/test_windows.c */
#include "controlplane/windows.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"
#include "common/sketch.h"
#include "proto/sketch.h"
#include "tests/lib/test.h"

static struct cp_windows *windows;
static struct sb_arena *arena;
static sb_msec now;

static int set_up(void **state)
{
    (void)state;
    windows = cp_windows_new();
    arena = sb_arena_new(4096);
    now = 1000000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_windows_destroy(&windows);
    sb_arena_destroy(&arena);
    return 0;
}

static void add(struct msg_beat_row row)
{
    assert_int_equal(cp_windows_add(windows, &row, now), SB_OK);
}

static struct msg_beat_row good(uint64_t endpoint, uint32_t n)
{
    return (struct msg_beat_row){.endpoint = endpoint,
                                 .second = (int64_t)(now / 1000),
                                 .attempts = n,
                                 .successes = n,
                                 .completion_tokens = 10 * n};
}

static struct msg_beat_row bad(uint64_t endpoint, uint32_t n)
{
    return (struct msg_beat_row){
        .endpoint = endpoint, .second = (int64_t)(now / 1000), .attempts = n, .faults = n};
}

static struct msg_tables due(void)
{
    struct msg_tables tables;

    assert_int_equal(cp_windows_rows(windows, false, now, arena, &tables), SB_OK);
    assert_false(tables.complete);
    return tables;
}

/* The one row that is due. */
static struct msg_table_row due_row(void)
{
    struct msg_tables tables = due();

    assert_int_equal(tables.n_rows, 1);
    return tables.rows[0];
}

static struct msg_table_row row_of(uint64_t endpoint)
{
    struct msg_tables tables;

    assert_int_equal(cp_windows_rows(windows, true, now, arena, &tables), SB_OK);
    assert_true(tables.complete);
    for (size_t i = 0; i < tables.n_rows; i++)
        if (tables.rows[i].endpoint == endpoint)
            return tables.rows[i];
    fail_msg("no row of endpoint %d", (int)endpoint);
    return (struct msg_table_row){.endpoint = 0};
}

/* n values, from 1 to n times unit. */
static struct sb_slice sketch_of(int n, double unit, struct sb_buf *out)
{
    struct sb_sketch sketch;

    sb_sketch_init(&sketch);
    for (int i = 1; i <= n; i++)
        assert_int_equal(sb_sketch_add(&sketch, i * unit, 1), SB_OK);
    sb_buf_init(out, MSG_SKETCH_MAX);
    assert_int_equal(msg_sketch_encode(&sketch, out), SB_OK);
    sb_sketch_release(&sketch);
    return sb_buf_slice(out);
}

static void beats_of_all_workers_add_up(void **state)
{
    struct msg_table_row row;

    (void)state;
    add(good(7, 3));
    add(good(7, 5));
    add(bad(7, 2));
    now += 500;
    row = due_row();
    assert_int_equal(row.endpoint, 7);
    assert_int_equal(row.samples, 10);
    assert_int_equal(row.uptime, 800000);
    assert_int_equal(row.mean_completion, 10);
    assert_int_equal(row.age, 500);
    assert_int_equal(row.first_token[0], MSG_NO_DATA);
    assert_int_equal(row.throughput[3], MSG_NO_DATA);
    assert_int_equal(due().n_rows, 0);
}

static void what_is_older_than_five_minutes_is_not_counted(void **state)
{
    (void)state;
    add(good(7, 4));
    now += 60000;
    add(bad(7, 4));
    now += 180000;
    assert_int_equal(row_of(7).samples, 8);
    now += 60000;
    assert_int_equal(row_of(7).samples, 4);
    assert_int_equal(row_of(7).uptime, 0);
    now += 60000;
    assert_int_equal(row_of(7).samples, 0);
    assert_int_equal(row_of(7).uptime, MSG_NO_DATA);
}

static void a_slot_that_is_used_again_begins_at_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * CP_WINDOW_SLOTS; i++) {
        add(good(7, 1));
        now += CP_WINDOW_SLOT;
    }
    assert_in_range(row_of(7).samples, CP_WINDOW_SLOTS - 1, CP_WINDOW_SLOTS);
}

static void latency_rises_and_throughput_falls_with_the_percentile(void **state)
{
    struct sb_buf latency, throughput;
    struct msg_beat_row row = good(7, 100);
    struct msg_table_row out;

    (void)state;
    row.first_token = sketch_of(100, 10.0, &latency);
    row.throughput = sketch_of(100, 1.0, &throughput);
    add(row);
    out = due_row();
    assert_in_range(out.first_token[0], 490, 510);
    assert_in_range(out.first_token[1], 740, 760);
    assert_in_range(out.first_token[2], 885, 910);
    assert_in_range(out.first_token[3], 970, 1000);
    assert_in_range(out.throughput[0], 49000, 51000);
    assert_in_range(out.throughput[1], 24500, 26500);
    assert_in_range(out.throughput[2], 9800, 11200);
    assert_in_range(out.throughput[3], 900, 2100);
    sb_buf_release(&latency);
    sb_buf_release(&throughput);
}

static void a_broken_sketch_costs_only_itself(void **state)
{
    struct msg_beat_row row = good(7, 2);

    (void)state;
    row.first_token = SB_SLICE_LIT("\xc1 no sketch");
    assert_int_equal(cp_windows_add(windows, &row, now), SB_EPARSE);
    assert_int_equal(due_row().samples, 2);
}

static void five_faults_in_a_row_are_an_outage_and_one_success_ends_it(void **state)
{
    (void)state;
    add(bad(7, 4));
    assert_false(due_row().outage);
    add(bad(7, 1));
    assert_true(due_row().outage);
    now += 200;
    assert_int_equal(row_of(7).outage_age, 200);
    add(good(7, 1));
    assert_false(due_row().outage);
    add(bad(7, 4));
    assert_false(row_of(7).outage);
}

static void few_faults_over_three_seconds_are_an_outage_too(void **state)
{
    (void)state;
    add(bad(7, 1));
    now += 2000;
    add(bad(7, 1));
    assert_false(row_of(7).outage);
    now += 1000;
    add(bad(7, 1));
    assert_true(row_of(7).outage);
}

static void an_outage_without_news_is_forgotten(void **state)
{
    (void)state;
    add(bad(7, 9));
    now += CP_OUTAGE_LIFE - 1;
    assert_true(row_of(7).outage);
    now += 1;
    assert_false(row_of(7).outage);
    add(bad(7, 1)); /* a single fault is not the same outage again */
    assert_false(row_of(7).outage);
}

static void rate_limits_are_neither_uptime_nor_outage(void **state)
{
    struct msg_beat_row limited = {.endpoint = 7,
                                   .second = (int64_t)(now / 1000),
                                   .attempts = 50,
                                   .rate_limited = 50,
                                   .retry_after = 3000};

    (void)state;
    add(bad(7, 4));
    add(limited);
    assert_false(row_of(7).outage);
    assert_int_equal(row_of(7).uptime, 0);
    assert_int_equal(row_of(7).cooldown, 3000);
    add(bad(7, 1));
    assert_true(row_of(7).outage);
    now += 1000;
    assert_int_equal(row_of(7).cooldown, 2000);
    now += 2000;
    assert_int_equal(row_of(7).cooldown, 0);
}

static void a_row_is_due_when_it_moved_by_five_percent(void **state)
{
    (void)state;
    add(good(7, 100));
    assert_int_equal(due().n_rows, 1);
    now += 1000;
    add(good(7, 4));
    assert_int_equal(due().n_rows, 0);
    now += 1000;
    add(good(7, 2)); /* 106 against the 100 that were published */
    assert_int_equal(due().n_rows, 1);
}

static void a_row_with_news_is_due_every_ten_seconds(void **state)
{
    (void)state;
    add(good(7, 1000));
    assert_int_equal(due().n_rows, 1);
    now += CP_ROW_REFRESH - 1;
    add(good(7, 1));
    assert_int_equal(due().n_rows, 0);
    now += 1;
    add(good(7, 1));
    assert_int_equal(due().n_rows, 1);
    now += CP_ROW_REFRESH;
    assert_int_equal(due().n_rows, 0); /* no news */
}

static void asking_for_all_rows_takes_nothing_from_the_others(void **state)
{
    struct msg_tables all;

    (void)state;
    add(good(7, 1));
    add(good(8, 1));
    assert_int_equal(cp_windows_rows(windows, true, now, arena, &all), SB_OK);
    assert_int_equal(all.n_rows, 2);
    assert_int_equal(due().n_rows, 2);
}

static void a_silent_endpoint_is_published_as_unknown_once_and_forgotten(void **state)
{
    struct msg_table_row row;

    (void)state;
    add(good(7, 1));
    (void)due();
    now += (sb_msec)CP_WINDOW_SLOT * CP_WINDOW_SLOTS;
    row = due_row();
    assert_int_equal(row.samples, 0);
    assert_int_equal(row.uptime, MSG_NO_DATA);
    assert_int_equal(cp_windows_count(windows), 0);
    assert_int_equal(due().n_rows, 0);
}

static void people_see_units_and_health(void **state)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_buf out, latency;
    struct msg_beat_row row = good(9, 100);
    yyjson_val *first;

    (void)state;
    sb_buf_init(&out, 1 << 16);
    row.first_token = sketch_of(100, 10.0, &latency);
    add(row);
    add(bad(3, 6));
    assert_int_equal(cp_windows_json(windows, now, &out), SB_OK);
    assert_int_equal(sb_json_read(sb_buf_slice(&out), 1 << 16, &doc, NULL), SB_OK);
    first = yyjson_arr_get(yyjson_doc_get_root(doc), 0);
    assert_int_equal(yyjson_get_uint(yyjson_obj_get(first, "endpoint_id")), 3);
    assert_true(sb_slice_is(sb_json_text(yyjson_obj_get(first, "health")), "outage"));
    assert_true(yyjson_is_null(yyjson_obj_get(first, "latency_ms")));
    first = yyjson_arr_get(yyjson_doc_get_root(doc), 1);
    assert_true(yyjson_get_num(yyjson_obj_get(first, "uptime")) == 1.0);
    assert_in_range((int)yyjson_get_num(yyjson_obj_get(yyjson_obj_get(first, "latency_ms"), "p50")),
                    490, 510);
    sb_buf_release(&out);
    sb_buf_release(&latency);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(beats_of_all_workers_add_up),
        TEST(what_is_older_than_five_minutes_is_not_counted),
        TEST(a_slot_that_is_used_again_begins_at_nothing),
        TEST(latency_rises_and_throughput_falls_with_the_percentile),
        TEST(a_broken_sketch_costs_only_itself),
        TEST(five_faults_in_a_row_are_an_outage_and_one_success_ends_it),
        TEST(few_faults_over_three_seconds_are_an_outage_too),
        TEST(an_outage_without_news_is_forgotten),
        TEST(rate_limits_are_neither_uptime_nor_outage),
        TEST(a_row_is_due_when_it_moved_by_five_percent),
        TEST(a_row_with_news_is_due_every_ten_seconds),
        TEST(asking_for_all_rows_takes_nothing_from_the_others),
        TEST(a_silent_endpoint_is_published_as_unknown_once_and_forgotten),
        TEST(people_see_units_and_health),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
