/* tests/unit/controlplane/test_minutes.c - against a real PostgreSQL. */
#include "controlplane/tables/minutes.h"

#include "common/mem.h"
#include "controlplane/mail.h"
#include "tests/lib/ingest_fixture.h"

enum { MINUTE = 29833333 };

static struct cp_db *db;
static struct sb_list list;

static int set_up(void **state)
{
    (void)state;
    db = fixture_connect(fixture_database(), CP_DB_SERVICE_ROLE);
    sb_list_init(&list);
    return 0;
}

static void drop_list(void)
{
    struct sb_list *link;

    while ((link = sb_list_pop(&list)) != NULL) {
        struct cp_minute *minute = container_of(link, struct cp_minute, link);

        cp_minute_destroy(&minute);
    }
}

static int tear_down(void **state)
{
    (void)state;
    drop_list();
    cp_db_destroy(&db);
    return 0;
}

/* attempts of them, each with a latency of that many milliseconds. */
static struct cp_minute *put(uint64_t endpoint, int64_t minute, uint32_t attempts, double latency)
{
    struct cp_minute *one = sb_mem_new(sizeof(*one));

    sb_list_init(&one->link);
    one->endpoint = endpoint;
    one->minute = minute;
    one->sums.attempts = one->sums.successes = attempts;
    one->sums.completion_tokens = 10 * attempts;
    one->sums.cost = 123456789012345678;
    if (latency > 0)
        assert_int_equal(sb_sketch_add(&one->sums.first_token, latency, attempts), SB_OK);
    sb_list_add_tail(&list, &one->link);
    return one;
}

static void store(void)
{
    if (cp_minutes_store(db, FIXTURE_TERM, &list) != SB_OK)
        fail_msg("%s", cp_db_last_error(db)->text.text);
    drop_list();
}

static void what_is_stored_is_read_again(void **state)
{
    struct cp_past *past;

    (void)state;
    (void)put(9, MINUTE - 3, 2, 400);
    (void)put(7, MINUTE - 2, 5, 0);
    (void)put(7, MINUTE - 90, 100, 10);
    store();
    assert_int_equal(cp_minutes_read(db, 4, MINUTE - 30, MINUTE, MINUTE, &past), SB_OK);
    assert_int_equal(past->n, 2);
    assert_int_equal(past->rows[0].endpoint, 7);
    assert_int_equal(past->rows[0].age, 90000);
    assert_int_equal(past->rows[0].sums.attempts, 5);
    assert_int_equal(past->rows[0].sums.completion_tokens, 50);
    assert_int_equal(past->rows[0].sums.first_token.count, 0);
    assert_int_equal(past->rows[1].endpoint, 9);
    assert_int_equal(past->rows[1].sums.first_token.count, 2);
    assert_true(sb_sketch_quantile(&past->rows[1].sums.first_token, 0.5) == 400);
    cp_mail_free(&past->mail);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM telemetry_minutes"
                                        " WHERE cost = 123456789012345678"),
                     3);
}

static void parts_of_one_minute_are_merged(void **state)
{
    struct cp_past *past;

    (void)state;
    (void)put(7, MINUTE, 1, 100);
    (void)put(9, MINUTE, 1, 100);
    store();
    (void)put(8, MINUTE, 4, 0);
    (void)put(7, MINUTE, 3, 900);
    (void)put(7, MINUTE + 1, 7, 0);
    store();
    assert_int_equal(cp_minutes_read(db, 4, MINUTE, MINUTE, MINUTE, &past), SB_OK);
    assert_int_equal(past->n, 3);
    assert_int_equal(past->rows[0].sums.attempts, 4);
    assert_int_equal(past->rows[0].sums.first_token.count, 4);
    assert_true(past->rows[0].sums.first_token.min == 100);
    assert_true(past->rows[0].sums.first_token.max == 900);
    assert_int_equal(past->rows[1].endpoint, 8);
    assert_int_equal(past->rows[2].sums.attempts, 1);
    cp_mail_free(&past->mail);
    assert_int_equal(fixture_number(db, "SELECT (cost = 2 * 123456789012345678::numeric)::int"
                                        " FROM telemetry_minutes WHERE endpoint_id = 7"
                                        " ORDER BY minute LIMIT 1"),
                     1);
}

static void an_hour_is_one_row_per_endpoint(void **state)
{
    struct cp_past *past;

    (void)state;
    for (int i = 0; i < 60; i++) {
        (void)put(7, MINUTE - i, 2, 50);
        if (i % 2 == 0)
            (void)put(8, MINUTE - i, 1, 70);
    }
    store();
    assert_int_equal(cp_minutes_sum(db, 4, MINUTE - 59, MINUTE, MINUTE + 30, &past), SB_OK);
    assert_int_equal(past->n, 2);
    assert_int_equal(past->rows[0].sums.attempts, 120);
    assert_int_equal(past->rows[0].sums.first_token.count, 120);
    assert_int_equal(past->rows[0].span, CP_SPAN_DAY);
    assert_in_range(past->rows[0].age, 58 * 60000, 61 * 60000);
    assert_int_equal(past->rows[1].sums.attempts, 30);
    cp_mail_free(&past->mail);
}

static void who_does_not_lead_any_more_stores_nothing(void **state)
{
    (void)state;
    (void)put(7, MINUTE, 1, 100);
    assert_int_equal(cp_minutes_store(db, FIXTURE_TERM - 1, &list), SB_ENOTLEADER);
    assert_int_equal(fixture_number(db, "SELECT count(*) FROM telemetry_minutes"), 0);
}

static void a_sketch_that_cannot_be_read_costs_only_itself(void **state)
{
    struct cp_past *past;

    (void)state;
    (void)put(7, MINUTE, 6, 100);
    store();
    assert_int_equal(
        cp_db_exec(db, "UPDATE telemetry_minutes SET first_token = 'x'", CP_NO_PARAMS, NULL),
        SB_OK);
    assert_int_equal(cp_minutes_read(db, 4, MINUTE, MINUTE, MINUTE, &past), SB_OK);
    assert_int_equal(past->rows[0].sums.attempts, 6);
    assert_int_equal(past->rows[0].sums.first_token.count, 0);
    cp_mail_free(&past->mail);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_stored_is_read_again),
        TEST(parts_of_one_minute_are_merged),
        TEST(an_hour_is_one_row_per_endpoint),
        TEST(who_does_not_lead_any_more_stores_nothing),
        TEST(a_sketch_that_cannot_be_read_costs_only_itself),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
