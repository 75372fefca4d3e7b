/* tests/unit/sim/test_journal.c */
#include "tests/sim/journal.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "tests/lib/test.h"

#define HEAD "POST /v1/x?y=1 HTTP/1.1\r\nHost: a\r\nX-Two: one\r\n\r\n"

static struct sim_record *add(struct sim_journal *journal, uint64_t number, const char *body,
                              struct sim_record **owner)
{
    struct sim_record facts = {.number = number, .connection = 1};

    sim_journal_add(journal, &facts, SB_SLICE_LIT(HEAD), sb_slice_of(body), owner);
    return *owner;
}

static void show(const struct sim_journal *journal, uint64_t since, yyjson_doc **ret_doc)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct sb_json json;

    sb_buf_init(&text, 1 << 20);
    sb_json_init(&json, &text);
    sim_journal_show(journal, since, &json);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_int_equal(sb_json_read(sb_buf_slice(&text), 1 << 20, ret_doc, NULL), SB_OK);
}

static void shows_what_came_as_it_came(void **state)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sim_journal journal;
    struct sim_record *owner;
    yyjson_val *record;

    (void)state;
    sim_journal_init(&journal, 10);
    add(&journal, 1, "the \"body\"", &owner)->status = 200;
    sim_journal_leave(&owner);
    show(&journal, 0, &doc);
    record = yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "requests"));
    assert_string_equal(yyjson_get_str(yyjson_obj_get(record, "raw_head")), HEAD);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(record, "method")), "POST");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(record, "target")), "/v1/x?y=1");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_obj_get(record, "headers"), "x-two")),
                        "one");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(record, "body")), "the \"body\"");
    assert_int_equal(yyjson_get_int(yyjson_obj_get(record, "status")), 200);
    sim_journal_release(&journal);
}

static void keeps_the_last_ones_only(void **state)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sim_journal journal;
    struct sim_record *first, *second, *third;
    yyjson_val *list;

    (void)state;
    sim_journal_init(&journal, 2);
    add(&journal, 1, "", &first);
    add(&journal, 2, "", &second);
    add(&journal, 3, "", &third);
    assert_null(first); /* whoever wrote to it learns that it is gone */
    assert_non_null(second);
    show(&journal, 2, &doc);
    list = yyjson_obj_get(yyjson_doc_get_root(doc), "requests");
    assert_int_equal(yyjson_arr_size(list), 1);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(yyjson_arr_get_first(list), "number")), 3);
    sim_journal_clear(&journal);
    assert_null(second);
    assert_null(third);
    sim_journal_release(&journal);
}

static void clearing_keeps_the_gauges(void **state)
{
    struct sim_journal journal;

    (void)state;
    sim_journal_init(&journal, 2);
    journal.count.requests = 7;
    journal.count.open_streams = 3;
    sim_journal_clear(&journal);
    assert_int_equal(journal.count.requests, 0);
    assert_int_equal(journal.count.open_streams, 3);
    sim_journal_release(&journal);
}

static bool meets(uint64_t requests, const char *range)
{
    struct sim_counters count = {.requests = requests};
    bool met = false;

    assert_int_equal(sim_counters_meet(&count, SB_SLICE_LIT("requests"), sb_slice_of(range), &met),
                     SB_OK);
    return met;
}

static void conditions_are_ranges(void **state)
{
    (void)state;
    assert_true(meets(3, "3"));
    assert_true(meets(9, "3"));
    assert_false(meets(2, "3"));
    assert_true(meets(0, "0-0"));
    assert_false(meets(1, "0-0"));
    assert_true(meets(5, "3-5"));
}

static void what_is_no_condition_is_refused(void **state)
{
    static const char *const bad[][2] = {
        {"requests", ""}, {"requests", "x"}, {"requests", "1-"}, {"no_such", "1"}, {"", "1"},
    };
    struct sim_counters count = {.requests = 1};
    bool met = false;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++)
        assert_int_equal(
            sim_counters_meet(&count, sb_slice_of(bad[i][0]), sb_slice_of(bad[i][1]), &met),
            SB_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_what_came_as_it_came),
        cmocka_unit_test(keeps_the_last_ones_only),
        cmocka_unit_test(clearing_keeps_the_gauges),
        cmocka_unit_test(conditions_are_ranges),
        cmocka_unit_test(what_is_no_condition_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
