/* tests/unit/common/test_metrics.c */
#include "common/metrics.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/test.h"

enum { OUTCOMES = 3 };

struct stats {
    uint64_t accepted;
    uint64_t outcomes[OUTCOMES];
    int64_t in_flight;
    int64_t drift_usec;
    struct sb_histogram first_byte;
    struct sb_histogram sizes[2];
};

static const char *outcome_label(int index)
{
    static const char *const names[OUTCOMES] = {"ok", NULL, "odd \"\\\n one"};

    return names[index];
}

static const char *direction_label(int index)
{
    return index == 0 ? "in" : "out";
}

static const struct sb_histogram_bounds two = {.n = 2, .upper = {5, 1500}};

#define AT(member) SB_METRIC_AT(struct stats, member)

static const struct sb_metric metrics[] = {
    {SB_COUNTER, "t_accepted_total", "Connections accepted.", AT(accepted),
     .fixed = "plane=\"data\""},
    {SB_COUNTER, "t_outcomes_total", "Attempts \\ by\noutcome.", AT(outcomes), .label = "outcome",
     .label_value = outcome_label},
    {SB_GAUGE, "t_in_flight", "Requests.", AT(in_flight)},
    {SB_GAUGE, "t_drift_seconds", "Drift.", AT(drift_usec), .scale = 1000000},
    {SB_HISTOGRAM, "t_first_byte_seconds", "Time.", AT(first_byte), .scale = 1000},
    {SB_HISTOGRAM, "t_size_bytes", "Sizes.", AT(sizes), .label = "direction",
     .label_value = direction_label, .fixed = "a=\"b\""},
};

static struct stats stats;
static struct sb_buf page;

static int set_up(void **state)
{
    (void)state;
    memset(&stats, 0, sizeof(stats));
    sb_histogram_init(&stats.first_byte, &two);
    sb_histogram_init(&stats.sizes[0], &two);
    sb_histogram_init(&stats.sizes[1], &two);
    sb_buf_init(&page, 1 << 16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_buf_release(&page);
    return 0;
}

static void assert_page(const char *expected)
{
    struct sb_slice text = sb_buf_slice(&page);

    if (!sb_slice_is(text, expected))
        fail_msg("the page is:\n%.*s", SB_SLICE_ARGS(text));
}

static void a_table_gives_the_page_of_its_struct(void **state)
{
    (void)state;
    stats.accepted = UINT64_MAX;
    stats.outcomes[0] = 1;
    stats.outcomes[1] = 2;
    stats.outcomes[2] = 3;
    stats.in_flight = -4;
    stats.drift_usec = -1500000;
    sb_histogram_add(&stats.first_byte, 0);
    sb_histogram_add(&stats.first_byte, 5);
    sb_histogram_add(&stats.first_byte, 6);
    sb_histogram_add(&stats.first_byte, 1501);
    sb_histogram_add(&stats.sizes[1], 1500);
    assert_int_equal(sb_metrics_write(&page, metrics, SB_ARRAY_LEN(metrics), &stats), SB_OK);
    assert_page("# HELP t_accepted_total Connections accepted.\n"
                "# TYPE t_accepted_total counter\n"
                "t_accepted_total{plane=\"data\"} 18446744073709551615\n"
                "# HELP t_outcomes_total Attempts \\\\ by\\noutcome.\n"
                "# TYPE t_outcomes_total counter\n"
                "t_outcomes_total{outcome=\"ok\"} 1\n"
                "t_outcomes_total{outcome=\"odd \\\"\\\\\\n one\"} 3\n"
                "# HELP t_in_flight Requests.\n"
                "# TYPE t_in_flight gauge\n"
                "t_in_flight -4\n"
                "# HELP t_drift_seconds Drift.\n"
                "# TYPE t_drift_seconds gauge\n"
                "t_drift_seconds -1.5\n"
                "# HELP t_first_byte_seconds Time.\n"
                "# TYPE t_first_byte_seconds histogram\n"
                "t_first_byte_seconds_bucket{le=\"0.005\"} 2\n"
                "t_first_byte_seconds_bucket{le=\"1.5\"} 3\n"
                "t_first_byte_seconds_bucket{le=\"+Inf\"} 4\n"
                "t_first_byte_seconds_sum 1.512\n"
                "t_first_byte_seconds_count 4\n"
                "# HELP t_size_bytes Sizes.\n"
                "# TYPE t_size_bytes histogram\n"
                "t_size_bytes_bucket{a=\"b\",direction=\"in\",le=\"5\"} 0\n"
                "t_size_bytes_bucket{a=\"b\",direction=\"in\",le=\"1500\"} 0\n"
                "t_size_bytes_bucket{a=\"b\",direction=\"in\",le=\"+Inf\"} 0\n"
                "t_size_bytes_sum{a=\"b\",direction=\"in\"} 0\n"
                "t_size_bytes_count{a=\"b\",direction=\"in\"} 0\n"
                "t_size_bytes_bucket{a=\"b\",direction=\"out\",le=\"5\"} 0\n"
                "t_size_bytes_bucket{a=\"b\",direction=\"out\",le=\"1500\"} 1\n"
                "t_size_bytes_bucket{a=\"b\",direction=\"out\",le=\"+Inf\"} 1\n"
                "t_size_bytes_sum{a=\"b\",direction=\"out\"} 1500\n"
                "t_size_bytes_count{a=\"b\",direction=\"out\"} 1\n");
}

static void values_that_live_elsewhere_are_written_one_by_one(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf labels;

    (void)state;
    sb_buf_init(&labels, 200);
    assert_int_equal(sb_metrics_family(&page, SB_GAUGE, "t_state", "State."), SB_OK);
    assert_int_equal(sb_metrics_label(&labels, "provider", SB_SLICE_LIT("a\"b")), SB_OK);
    assert_int_equal(sb_metrics_label(&labels, "state", SB_SLICE_LIT("open")), SB_OK);
    assert_int_equal(sb_metrics_sample(&page, "t_state", sb_buf_slice(&labels), 10050, 1000),
                     SB_OK);
    assert_int_equal(sb_metrics_sample(&page, "t_state", SB_SLICE_NONE, INT64_MIN, 0), SB_OK);
    assert_page("# HELP t_state State.\n# TYPE t_state gauge\n"
                "t_state{provider=\"a\\\"b\",state=\"open\"} 10.05\n"
                "t_state -9223372036854775808\n");
}

static void a_full_page_is_an_error(void **state)
{
    (void)state;
    sb_buf_release(&page);
    sb_buf_init(&page, 300);
    assert_int_equal(sb_metrics_write(&page, metrics, SB_ARRAY_LEN(metrics), &stats), SB_ETOOBIG);
    sb_buf_clear(&page);
    sb_mem_fail_nth(1);
    assert_int_equal(sb_metrics_write(&page, metrics, SB_ARRAY_LEN(metrics), &stats), SB_ENOMEM);
}

static void the_standard_bounds_ascend(void **state)
{
    const struct sb_histogram_bounds *const all[] = {&sb_bounds_msec, &sb_bounds_usec,
                                                     &sb_bounds_bytes};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(all); i++) {
        struct sb_histogram histogram;

        sb_histogram_init(&histogram, all[i]);
        assert_true(all[i]->n > 0 && all[i]->n <= SB_HISTOGRAM_BOUNDS_MAX);
        for (unsigned k = 0; k < all[i]->n; k++) {
            assert_true(all[i]->upper[k] > (k > 0 ? all[i]->upper[k - 1] : 0));
            sb_histogram_add(&histogram, all[i]->upper[k]);
            assert_true(histogram.counts[k] == 1);
        }
        sb_histogram_add(&histogram, UINT64_MAX);
        assert_true(histogram.counts[all[i]->n] == 1);
    }
}

/* --- joining ---------------------------------------------------------------- */

static int joined(const char *first, const char *second)
{
    const struct sb_metrics_page pages[] = {
        {.text = sb_slice_of(first), .labels = SB_SLICE_LIT("w=\"1\"")},
        {.text = sb_slice_of(second), .labels = SB_SLICE_LIT("w=\"2\"")},
    };

    return sb_metrics_join(&page, pages, 2);
}

static void families_of_all_pages_stand_together(void **state)
{
    (void)state;
    assert_int_equal(joined("# HELP a A.\n# TYPE a counter\na 1\na{x=\"y\"} 2\n"
                            "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 0.5\n"
                            "h_count 1\n"
                            "# HELP only1 Only.\n# TYPE only1 gauge\nonly1 -7\n",
                            "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n"
                            "h_count 2\n"
                            "# HELP a Another text.\n# TYPE a counter\na 3\n"
                            "# HELP only2 Only.\n# TYPE only2 gauge\n"
                            "# HELP only1 Only.\n# TYPE only1 counter\nonly1 8\n"),
                     SB_OK);
    assert_page("# HELP a A.\n# TYPE a counter\n"
                "a{w=\"1\"} 1\na{w=\"1\",x=\"y\"} 2\na{w=\"2\"} 3\n"
                "# HELP h H.\n# TYPE h histogram\n"
                "h_bucket{w=\"1\",le=\"+Inf\"} 1\nh_sum{w=\"1\"} 0.5\nh_count{w=\"1\"} 1\n"
                "h_bucket{w=\"2\",le=\"+Inf\"} 2\nh_sum{w=\"2\"} 1\nh_count{w=\"2\"} 2\n"
                "# HELP only1 Only.\n# TYPE only1 gauge\nonly1{w=\"1\"} -7\n"
                "# HELP only2 Only.\n# TYPE only2 gauge\n");
}

static void what_a_table_writes_can_be_joined(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf one;
    struct sb_metrics_page pages[2];

    (void)state;
    sb_buf_init(&one, 1 << 16);
    assert_int_equal(sb_metrics_write(&one, metrics, SB_ARRAY_LEN(metrics), &stats), SB_OK);
    pages[0] = (struct sb_metrics_page){.text = sb_buf_slice(&one)};
    assert_int_equal(sb_metrics_join(&page, pages, 1), SB_OK);
    assert_true(sb_slice_eq(sb_buf_slice(&page), sb_buf_slice(&one)));
    /* The result is a page too. */
    pages[0].labels = SB_SLICE_LIT("worker=\"w1\"");
    pages[1] = (struct sb_metrics_page){.text = sb_buf_slice(&one),
                                        .labels = SB_SLICE_LIT("worker=\"w2\"")};
    sb_buf_reset(&page);
    assert_int_equal(sb_metrics_join(&page, pages, 2), SB_OK);
    sb_buf_reset(&one);
    pages[0] = (struct sb_metrics_page){.text = sb_buf_slice(&page)};
    assert_int_equal(sb_metrics_join(&one, pages, 1), SB_OK);
    assert_true(sb_slice_eq(sb_buf_slice(&page), sb_buf_slice(&one)));
}

static void pages_of_another_form_are_refused(void **state)
{
    static const char *const wrong[] = {
        "a 1\n",
        "# HELP a A.\n",
        "# HELP a A.\n# TYPE a counter\na 1",
        "# HELP a A.\n# TYPE b counter\n",
        "# HELP a A.\n# TYPE a summary\n",
        "# HELP  A.\n# TYPE  counter\n",
        "# TYPE a counter\na 1\n",
        "# HELP a A.\n# TYPE a counter\n\n",
        "# HELP a A.\n# TYPE a counter\nb 1\n",
        "# HELP a A.\n# TYPE a counter\nab 1\n",
        "# HELP a A.\n# TYPE a counter\na\n",
        "# HELP a A.\n# TYPE a counter\na \n",
        "# HELP a A.\n# TYPE a counter\na one\n",
        "# HELP a A.\n# TYPE a counter\na 1 2\n",
        "# HELP a A.\n# TYPE a counter\na{} 1\n",
        "# HELP a A.\n# TYPE a counter\na{x} 1\n",
        "# HELP a A.\n# TYPE a counter\na{x=1} 1\n",
        "# HELP a A.\n# TYPE a counter\na{x=\"1} 1\n",
        "# HELP a A.\n# TYPE a counter\na{x=\"1\\\"} 1\n",
        "# HELP a A.\n# TYPE a counter\na{x=\"1\",} 1\n",
        "# HELP a A.\n# TYPE a counter\na{x=\"1\"}1\n",
        "# HELP a A.\n# TYPE a histogram\na 1\n",
        "# HELP a A.\n# TYPE a counter\n# HELP a A.\n# TYPE a counter\n",
        "# EOF\n",
    };

    (void)state;
    assert_int_equal(sb_buf_append_text(&page, "kept"), SB_OK);
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        if (joined("", wrong[i]) != SB_EPARSE)
            fail_msg("a page was read:\n%s", wrong[i]);
    }
    assert_page("kept");
}

static void a_join_that_fails_leaves_the_page_as_it_was(void **state)
{
    static const char text[] = "# HELP a A.\n# TYPE a counter\na 1\n";

    (void)state;
    sb_buf_release(&page);
    sb_buf_init(&page, 50);
    assert_int_equal(sb_buf_append_text(&page, "kept"), SB_OK);
    assert_int_equal(joined(text, text), SB_ETOOBIG);
    assert_page("kept");
    sb_mem_fail_nth(1);
    assert_int_equal(joined(text, ""), SB_ENOMEM);
    assert_page("kept");
}

#define METRICS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        METRICS_TEST(a_table_gives_the_page_of_its_struct),
        METRICS_TEST(values_that_live_elsewhere_are_written_one_by_one),
        METRICS_TEST(a_full_page_is_an_error),
        METRICS_TEST(the_standard_bounds_ascend),
        METRICS_TEST(families_of_all_pages_stand_together),
        METRICS_TEST(what_a_table_writes_can_be_joined),
        METRICS_TEST(pages_of_another_form_are_refused),
        METRICS_TEST(a_join_that_fails_leaves_the_page_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
