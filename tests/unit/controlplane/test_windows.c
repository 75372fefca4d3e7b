/* tests/unit/controlplane/test_windows.c */
#include "controlplane/tables/windows.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/sketch.h"
#include "controlplane/tables/outage.h"
#include "proto/sketch.h"
#include "tests/lib/test.h"

static struct cp_windows *windows;
static struct sb_arena *arena;
static sb_msec now;
static sb_usec wall_now;

static int set_up(void **state)
{
    (void)state;
    windows = cp_windows_new();
    arena = sb_arena_new(4096);
    now = 1000000000;
    wall_now = UINT64_C(1790000000000000);
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
    assert_int_equal(cp_windows_add(windows, CP_SAMPLE_TRAFFIC, &row, now, wall_now), SB_OK);
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
    for (int i = 0; i < 90; i++) {
        add(good(7, 1));
        now += CP_SLOT;
    }
    assert_in_range(row_of(7).samples, 29, 30);
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
    assert_int_equal(cp_windows_add(windows, CP_SAMPLE_TRAFFIC, &row, now, wall_now), SB_EPARSE);
    assert_int_equal(due_row().samples, 2);
}

/* The verdicts since the last time: +1 began, -1 ended; their sum and number. */
static int verdicts(int *ret_n)
{
    struct sb_list list, *link;
    int sum = 0;

    *ret_n = 0;
    sb_list_init(&list);
    cp_windows_verdicts(windows, &list);
    while ((link = sb_list_pop(&list)) != NULL) {
        struct cp_verdict *verdict = container_of(link, struct cp_verdict, link);

        assert_int_equal(verdict->endpoint, 7);
        sum += verdict->is_out ? 1 : -1;
        ++*ret_n;
        sb_mem_free(verdict);
    }
    return sum;
}

static void an_outage_is_urgent_and_told_when_it_begins_and_ends(void **state)
{
    int n;

    (void)state;
    add(bad(7, 4));
    assert_false(cp_windows_is_urgent(windows));
    assert_false(due_row().outage);
    add(bad(7, 1));
    assert_true(cp_windows_is_urgent(windows));
    assert_int_equal(verdicts(&n), 1);
    assert_true(due_row().outage);
    assert_false(cp_windows_is_urgent(windows));
    now += 4000;
    assert_int_equal(row_of(7).outage_age, 4000);
    add(good(7, 1));
    assert_int_equal(verdicts(&n), -1);
    assert_true(cp_windows_is_urgent(windows));
    assert_false(due_row().outage);
    assert_int_equal(verdicts(&n), 0);
    assert_int_equal(n, 0);
}

static void an_outage_without_news_is_over_in_the_end(void **state)
{
    int n;

    (void)state;
    add(bad(7, 9));
    (void)due();
    (void)verdicts(&n);
    now += CP_OUTAGE_LIFE - 1;
    assert_true(row_of(7).outage);
    (void)due();
    assert_int_equal(verdicts(&n), 0);
    now += 1;
    assert_false(row_of(7).outage);
    assert_false(due_row().outage); /* without news, and yet it is told */
    assert_int_equal(verdicts(&n), -1);
}

static void a_new_leader_knows_who_was_out(void **state)
{
    int n;

    (void)state;
    assert_int_equal(cp_windows_restore_outage(windows, 7, now), SB_OK);
    assert_true(due_row().outage);
    assert_int_equal(verdicts(&n), 0);
    assert_int_equal(n, 0); /* it was told before */
    now += CP_OUTAGE_LIFE;
    assert_false(due_row().outage);
    assert_int_equal(verdicts(&n), -1);
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

static void a_cooldown_that_grows_is_urgent_each_time(void **state)
{
    struct msg_beat_row limited = {
        .endpoint = 7, .attempts = 1, .rate_limited = 1, .retry_after = 3000};

    (void)state;
    add(limited);
    assert_true(cp_windows_is_urgent(windows));
    assert_int_equal(due_row().cooldown, 3000);
    add(limited); /* ends when the other does */
    assert_false(cp_windows_is_urgent(windows));
    limited.retry_after = 60000;
    add(limited);
    assert_true(cp_windows_is_urgent(windows));
    assert_int_equal(due_row().cooldown, 60000);
}

static void probe(struct msg_beat_row row)
{
    assert_int_equal(cp_windows_add(windows, CP_SAMPLE_PROBE, &row, now, wall_now), SB_OK);
}

static void probes_count_where_traffic_says_nothing(void **state)
{
    struct sb_buf latency, slow;
    struct msg_beat_row row = good(7, 3);
    struct msg_table_row out;

    (void)state;
    row.first_token = sketch_of(3, 100.0, &latency);
    probe(row);
    out = due_row();
    assert_int_equal(out.samples, 3);
    assert_int_equal(out.uptime, 1000000);
    assert_in_range(out.first_token[0], 198, 202);
    assert_int_equal(out.mean_completion, 0); /* a probe asks for next to nothing */
    row = good(7, 1);
    row.successes = 0;
    row.faults = 1;
    add(row);
    out = due_row();
    assert_int_equal(out.samples, 1);
    assert_int_equal(out.uptime, 0);               /* of traffic, */
    assert_in_range(out.first_token[0], 198, 202); /* which measured no latency */
    row = good(7, 1);
    row.first_token = sketch_of(1, 900.0, &slow);
    add(row);
    assert_in_range(due_row().first_token[0], 891, 909);
    sb_buf_release(&latency);
    sb_buf_release(&slow);
}

static void a_probe_that_succeeds_ends_an_outage_of_traffic(void **state)
{
    (void)state;
    add(bad(7, 6));
    now += 5000;
    assert_true(row_of(7).outage);
    probe(good(7, 1));
    assert_false(row_of(7).outage);
}

/* So many seconds, in each of which three attempts run at that pace. */
static void run_at(double pace, int seconds)
{
    struct msg_beat_row row = good(7, 3);
    struct sb_buf bytes;
    struct sb_sketch sketch;

    sb_sketch_init(&sketch);
    sb_buf_init(&bytes, MSG_SKETCH_MAX);
    assert_int_equal(sb_sketch_add(&sketch, pace, 3), SB_OK);
    assert_int_equal(msg_sketch_encode(&sketch, &bytes), SB_OK);
    row.throughput = sb_buf_slice(&bytes);
    for (; seconds > 0; seconds--, now += 1000)
        add(row);
    sb_sketch_release(&sketch);
    sb_buf_release(&bytes);
}

static void a_step_of_the_pace_is_not_hidden_by_five_minutes_of_another(void **state)
{
    (void)state;
    run_at(100, 245);
    run_at(80, 9);
    assert_in_range(row_of(7).throughput[0], 99000, 101000); /* that is no step */
    run_at(20, 9);
    assert_in_range(row_of(7).throughput[0], 19800, 20200);
    assert_int_equal(row_of(7).samples, 3 * 263);
    run_at(100, 9);
    assert_in_range(row_of(7).throughput[0], 99000, 101000);
}

static void a_step_is_known_before_its_slot_is_over(void **state)
{
    (void)state;
    run_at(100, 248);
    run_at(20, 5); /* fewer than what the slot has of the pace before */
    assert_in_range(row_of(7).throughput[0], 19800, 20200);
}

/* Two streams a second say how fast they are. */
static void streams_run_at(double pace, int seconds)
{
    struct msg_beat_row row = {.endpoint = 7};
    struct sb_buf bytes;
    struct sb_sketch sketch;

    sb_sketch_init(&sketch);
    sb_buf_init(&bytes, MSG_SKETCH_MAX);
    assert_int_equal(sb_sketch_add(&sketch, pace, 2), SB_OK);
    assert_int_equal(msg_sketch_encode(&sketch, &bytes), SB_OK);
    row.throughput = sb_buf_slice(&bytes);
    for (; seconds > 0; seconds--, now += 1000)
        add(row);
    sb_sketch_release(&sketch);
    sb_buf_release(&bytes);
}

static void streams_that_run_make_a_step_and_are_no_attempts(void **state)
{
    (void)state;
    run_at(100, 250);
    streams_run_at(20, 8);
    assert_in_range(row_of(7).throughput[0], 19800, 20200);
    assert_int_equal(row_of(7).samples, 3 * 250);
    assert_int_equal(row_of(7).uptime, 1000000);
}

static void a_pace_that_nobody_tries_again_stays_what_it_was(void **state)
{
    (void)state;
    run_at(100, 240);
    run_at(20, 12);
    assert_in_range(row_of(7).throughput[0], 19800, 20200);
    /* all who want more have left */
    for (int i = 0; i < 22; i++) {
        now += 10000;
        assert_in_range(row_of(7).throughput[0], 19800, 20200);
    }
    run_at(100, 12);
    assert_in_range(row_of(7).throughput[0], 99000, 101000);
}

static void failures_do_not_hide_a_step_of_the_pace(void **state)
{
    (void)state;
    run_at(100, 240);
    for (int i = 0; i < 12; i++) {
        add(bad(7, 20));
        run_at(20, 1);
        now += 4000;
    }
    assert_in_range(row_of(7).throughput[0], 19800, 20200);
}

static void a_few_odd_attempts_are_no_step(void **state)
{
    (void)state;
    run_at(100, 250);
    now += 60000;
    run_at(20, 4); /* 12 attempts after a pause */
    assert_in_range(row_of(7).throughput[0], 99000, 101000);
}

static void longer_times_have_an_uptime_of_their_own(void **state)
{
    struct msg_table_row row;

    (void)state;
    add(bad(7, 10));
    now += 1200000; /* 20 minutes */
    add(good(7, 10));
    row = row_of(7);
    assert_int_equal(row.uptime, 1000000);
    assert_int_equal(row.uptime_half_hour, 500000);
    assert_int_equal(row.uptime_day, 500000);
    now += 2400000;
    row = row_of(7);
    assert_int_equal(row.samples, 0);
    assert_int_equal(row.uptime, MSG_NO_DATA);
    assert_int_equal(row.uptime_half_hour, MSG_NO_DATA);
    assert_int_equal(row.uptime_day, 500000);
}

static void half_an_hour_has_percentiles_of_its_own(void **state)
{
    struct msg_table_row row;

    (void)state;
    run_at(100, 60);
    row = due_row();
    assert_in_range(row.throughput_half_hour[0], 99000, 101000);
    assert_int_equal(row.first_token_half_hour[0], MSG_NO_DATA);
    now += 600000;
    row = due_row(); /* the five minutes are over */
    assert_int_equal(row.throughput[0], MSG_NO_DATA);
    assert_in_range(row.throughput_half_hour[0], 99000, 101000);
    run_at(20, 20);
    row = row_of(7);
    assert_in_range(row.throughput[0], 19800, 20200);
    assert_in_range(row.throughput_half_hour[0], 99000, 101000); /* of three times as many */
    assert_in_range(row.throughput_half_hour[3], 19800, 20200);
}

static void half_an_hour_is_told_again_until_nothing_is_left_of_it(void **state)
{
    struct msg_table_row row = {.endpoint = 0};
    unsigned told = 0;

    (void)state;
    run_at(100, 60);
    (void)due_row();
    for (int minute = 0; minute < 60; minute++, now += 60000) {
        struct msg_tables tables = due();

        told += (unsigned)tables.n_rows;
        if (tables.n_rows > 0)
            row = tables.rows[0];
    }
    assert_int_equal(row.endpoint, 7);
    assert_int_equal(row.throughput_half_hour[0], MSG_NO_DATA);
    assert_in_range(told, 6, 12); /* about every five minutes, not each time */
}

static uint64_t attempts_of_minutes(bool flush)
{
    struct sb_list list, *link;
    uint64_t attempts = 0;

    sb_list_init(&list);
    cp_windows_minutes(windows, flush, now, wall_now, &list);
    while ((link = sb_list_pop(&list)) != NULL) {
        struct cp_minute *minute = container_of(link, struct cp_minute, link);

        assert_int_equal(minute->endpoint, 7);
        attempts += minute->sums.attempts;
        cp_minute_destroy(&minute);
    }
    return attempts;
}

static void what_was_heard_becomes_history_once(void **state)
{
    uint64_t sent = 0, stored = 0;

    (void)state;
    for (int second = 0; second < 200; second++) {
        add(good(7, 3));
        probe(good(7, 5)); /* whoever probes keeps records of its own */
        sent += 3;
        now += 1000;
        wall_now += 1000000;
        stored += attempts_of_minutes(false);
    }
    assert_in_range(stored, sent - 3 * 70, sent);
    stored += attempts_of_minutes(true);
    assert_int_equal(stored, sent);
    assert_int_equal(attempts_of_minutes(true), 0);
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

static void a_silent_endpoint_is_published_as_unknown_and_forgotten_in_the_end(void **state)
{
    struct msg_table_row row;
    uint32_t samples = 1;

    (void)state;
    add(good(7, 1));
    (void)due();
    now += CP_SPAN_NOW_LIFE;
    row = due_row();
    assert_int_equal(row.samples, 0);
    assert_int_equal(row.uptime, MSG_NO_DATA);
    assert_int_equal(row.uptime_day, 1000000);
    for (int i = 0; i < 25 * 360; i++) {
        struct msg_tables tables = due();

        if (tables.n_rows > 0)
            samples = tables.rows[0].samples;
        now += CP_SLOT;
        wall_now += CP_SLOT * 1000;
        (void)attempts_of_minutes(false);
        sb_arena_destroy(&arena);
        arena = sb_arena_new(4096);
    }
    (void)due();
    assert_int_equal(samples, 0);
    assert_int_equal(cp_windows_count(windows), 0);
    assert_int_equal(due().n_rows, 0);
}

static void people_see_units_and_health(void **state)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_buf out, latency;
    struct msg_beat_row row = good(9, 100);
    static const uint64_t ids[] = {3, 5, 9};
    yyjson_val *first;

    (void)state;
    sb_buf_init(&out, 1 << 16);
    row.first_token = sketch_of(100, 10.0, &latency);
    add(row);
    add(bad(3, 6));
    assert_int_equal(cp_windows_json(windows, ids, SB_ARRAY_LEN(ids), now, &out), SB_OK);
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
        TEST(an_outage_is_urgent_and_told_when_it_begins_and_ends),
        TEST(an_outage_without_news_is_over_in_the_end),
        TEST(a_new_leader_knows_who_was_out),
        TEST(rate_limits_are_neither_uptime_nor_outage),
        TEST(a_cooldown_that_grows_is_urgent_each_time),
        TEST(probes_count_where_traffic_says_nothing),
        TEST(a_probe_that_succeeds_ends_an_outage_of_traffic),
        TEST(a_step_of_the_pace_is_not_hidden_by_five_minutes_of_another),
        TEST(a_pace_that_nobody_tries_again_stays_what_it_was),
        TEST(failures_do_not_hide_a_step_of_the_pace),
        TEST(a_step_is_known_before_its_slot_is_over),
        TEST(streams_that_run_make_a_step_and_are_no_attempts),
        TEST(a_few_odd_attempts_are_no_step),
        TEST(longer_times_have_an_uptime_of_their_own),
        TEST(half_an_hour_has_percentiles_of_its_own),
        TEST(half_an_hour_is_told_again_until_nothing_is_left_of_it),
        TEST(what_was_heard_becomes_history_once),
        TEST(a_row_is_due_when_it_moved_by_five_percent),
        TEST(a_row_with_news_is_due_every_ten_seconds),
        TEST(asking_for_all_rows_takes_nothing_from_the_others),
        TEST(a_silent_endpoint_is_published_as_unknown_and_forgotten_in_the_end),
        TEST(people_see_units_and_health),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
