/* Drops by retention: which can be, and what they explain. */
#include "controlplane/ctl/drops.h"

#include <inttypes.h>

#include "common/clock.h"
#include "tests/lib/test.h"

/* 2026-09-21T14:13:20Z, a day before and a day after. */
#define NOON      INT64_C(1790000000000000)
#define DAY       INT64_C(86400000000)
#define YESTERDAY (NOON - DAY)
#define TOMORROW  (NOON + DAY)

static struct ctl_drops *drops;

static int set_up(void **state)
{
    (void)state;
    drops = ctl_drops_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ctl_drops_destroy(&drops);
    return 0;
}

static void see(const char *entry, uint64_t leaf)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;

    assert_int_equal(sb_json_read(sb_slice_of(entry), 4096, &doc, NULL), SB_OK);
    ctl_drops_see_entry(drops, yyjson_doc_get_root(doc), leaf);
}

/* Of the requests of 2026-09-21, the day after it. */
static void see_drop(uint64_t first, uint64_t last, uint64_t leaf)
{
    char entry[300];

    (void)snprintf(entry, sizeof(entry),
                   "{\"at\":%" PRId64 ",\"day\":\"2026-09-21\",\"first_leaf\":%" PRIu64
                   ",\"history\":\"audit_requests\",\"kind\":\"dropped\",\"last_leaf\":%" PRIu64
                   ",\"rows\":%" PRIu64 "}",
                   TOMORROW, first, last, last - first + 1);
    see(entry, leaf);
}

static void see_request(int64_t at, uint64_t leaf, unsigned file)
{
    const struct ctl_there there = {
        .table = CTL_HISTORY_REQUESTS, .received_at = at, .leaf = leaf, .file = file};

    ctl_drops_see_record(drops, &there);
}

static void expect_wrong(size_t at, const char *words)
{
    size_t n;
    const struct ctl_drop *list = ctl_drops_list(drops, &n);

    assert_true(at < n);
    if (words == NULL)
        assert_null(list[at].wrong);
    else if (list[at].wrong == NULL || strstr(list[at].wrong, words) == NULL)
        fail_msg("%s", list[at].wrong != NULL ? list[at].wrong : "nothing is wrong");
}

static void other_days_and_late_records_do_not_matter(void **state)
{
    (void)state;
    see_request(YESTERDAY, 5, 0);
    see_request(TOMORROW, 30, 0);
    see_drop(10, 20, 40);
    see_request(NOON, 41, 0);
    expect_wrong(0, NULL);
    ctl_drops_judge(drops, 41);
    ctl_drops_turn_to(drops, 0);
    assert_int_equal(ctl_drops_reach(drops, 10, 20), 21);
    assert_int_equal(ctl_drops_reach(drops, 15, 30), 21);
    assert_int_equal(ctl_drops_reach(drops, 9, 20), 9);
    assert_int_equal(ctl_drops_next(drops, 1, 30), 10);
    assert_int_equal(ctl_drops_next(drops, 1, 8), 9);
    assert_int_equal(ctl_drops_next(drops, 10, 30), 31);
}

static void a_day_that_is_there_in_part_is_not_dropped(void **state)
{
    uint64_t there;

    (void)state;
    see_request(NOON, 15, 0);
    see_request(TOMORROW, 18, 0);
    see_drop(10, 20, 40);
    expect_wrong(0, NULL);
    ctl_drops_judge(drops, 41);
    ctl_drops_turn_to(drops, 0);
    assert_int_equal(ctl_drops_reach(drops, 14, 14), 14);
    assert_int_equal(ctl_drops_next(drops, 14, 20), 16);
    assert_int_equal(ctl_drops_reach(drops, 16, 17), 18); /* it was dropped while this was read */
    assert_int_equal(ctl_drops_claim(drops, 14, &there)->leaf, 40);
    assert_int_equal(there, 15);
    assert_null(ctl_drops_claim(drops, 21, &there));
    /* in another file, which was written later, all of it is gone */
    ctl_drops_turn_to(drops, 1);
    assert_int_equal(ctl_drops_reach(drops, 10, 20), 21);
}

static void a_record_before_the_first_one_contradicts(void **state)
{
    (void)state;
    see_request(NOON, 3, 0);
    see_drop(10, 20, 40);
    expect_wrong(0, "entry 3 is of it as well");
    ctl_drops_judge(drops, 41);
    ctl_drops_turn_to(drops, 0);
    assert_int_equal(ctl_drops_reach(drops, 10, 20), 10);
}

static void a_day_is_dropped_once_and_when_it_is_over(void **state)
{
    (void)state;
    see_drop(10, 20, 40);
    see_drop(21, 21, 50);
    see("{\"at\":1790000000000000,\"day\":\"2026-09-21\",\"history\":\"audit_refusals\","
        "\"kind\":\"dropped\",\"rows\":3}",
        60);
    expect_wrong(0, NULL);
    expect_wrong(1, "entry 40 says already");
    expect_wrong(2, "not over");
}

static void see_action(const char *action, const char *name, int64_t at, uint64_t leaf)
{
    char entry[300];

    (void)snprintf(entry, sizeof(entry),
                   "{\"action\":\"%s\",\"at\":%" PRId64 ",\"detail\":{\"from\":\"2026-09-01\","
                   "\"to\":\"2026-09-21\"},\"kind\":\"action\",\"subject\":\"%s\"}",
                   action, at, name);
    see(entry, leaf);
}

static void a_day_under_a_hold_is_not_dropped(void **state)
{
    (void)state;
    see_action("hold_set", "a", NOON, 1);
    see_action("hold_set", "b", NOON, 2);
    see_action("hold_lifted", "b", NOON + 1, 3);
    see_drop(10, 20, 40);
    see_action("hold_lifted", "a", TOMORROW + 1, 41);
    ctl_drops_judge(drops, 50);
    expect_wrong(0, "the legal hold 'a' (entry 1) had it");
}

/* The database has dropped first, or lifted first: the log's order of the two is no matter. */
static void a_hold_counts_from_its_time_to_its_lifting(void **state)
{
    (void)state;
    see_action("hold_set", "late", TOMORROW + 1, 1);
    see_action("hold_set", "lifted", NOON, 2);
    see_drop(10, 20, 40);
    see_action("hold_lifted", "lifted", TOMORROW - 1, 41);
    ctl_drops_judge(drops, 50);
    expect_wrong(0, NULL);
}

static void a_drop_is_not_dated_back(void **state)
{
    (void)state;
    see_action("hold_set", "a", TOMORROW + DAY + 1, 1);
    see_drop(10, 20, 40);
    ctl_drops_judge(drops, 50);
    expect_wrong(0, "more than a day younger");
}

static void a_drop_is_not_dated_ahead(void **state)
{
    (void)state;
    see_drop(10, 20, 40);
    see_action("hold_set", "a", TOMORROW - DAY - 1, 41);
    ctl_drops_judge(drops, 50);
    expect_wrong(0, "more than a day older");
}

static void what_is_no_drop_is_nothing(void **state)
{
    static const char *const none[] = {
        "{}",
        "{\"kind\":\"dropped\"}",
        "{\"at\":1790086400000000,\"day\":\"2026-09-21\",\"history\":\"revisions\","
        "\"kind\":\"dropped\",\"rows\":3}",
        "{\"at\":1790086400000000,\"day\":\"soon\",\"history\":\"audit_requests\","
        "\"kind\":\"dropped\",\"rows\":3}",
        "{\"at\":1790086400000000,\"day\":\"2026-09-21\",\"first_leaf\":7,"
        "\"history\":\"audit_requests\",\"kind\":\"dropped\",\"last_leaf\":9,\"rows\":3}",
    };
    size_t n;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(none); i++)
        see(none[i], 9); /* the last one says that it was dropped itself */
    (void)ctl_drops_list(drops, &n);
    assert_int_equal(n, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(other_days_and_late_records_do_not_matter),
        TEST(a_day_that_is_there_in_part_is_not_dropped),
        TEST(a_record_before_the_first_one_contradicts),
        TEST(a_day_is_dropped_once_and_when_it_is_over),
        TEST(a_day_under_a_hold_is_not_dropped),
        TEST(a_hold_counts_from_its_time_to_its_lifting),
        TEST(a_drop_is_not_dated_back),
        TEST(a_drop_is_not_dated_ahead),
        TEST(what_is_no_drop_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
