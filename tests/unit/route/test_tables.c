/* tests/unit/route/test_tables.c */
#include "dataplane/route/tables.h"

#include "tests/lib/route_build.h"

static struct msg_table_row row_of(uint64_t endpoint, uint32_t throughput)
{
    struct msg_table_row row = {.endpoint = endpoint, .samples = 1};

    for (size_t i = 0; i < MSG_PERCENTILES; i++) {
        row.throughput[i] = throughput;
        row.first_token[i] = MSG_NO_DATA;
    }
    return row;
}

static int apply(struct dp_tables *tables, uint64_t term, uint64_t sequence, bool complete,
                 struct msg_table_row *rows, size_t n)
{
    const struct msg_tables message = {.epoch = 1,
                                       .term = term,
                                       .sequence = sequence,
                                       .complete = complete,
                                       .rows = rows,
                                       .n_rows = n};

    return dp_tables_apply(tables, &message, WORLD_NOW);
}

static void rows_are_merged_by_endpoint(void **state)
{
    struct dp_tables *tables = dp_tables_new();
    struct msg_table_row rows[2] = {row_of(10, 1), row_of(20, 2)};
    struct msg_table_row more[2] = {row_of(20, 3), row_of(30, 4)};

    (void)state;
    assert_null(dp_tables_find_id(tables, 10));
    assert_int_equal(apply(tables, 1, 5, true, rows, 2), SB_OK);
    assert_int_equal(apply(tables, 1, 6, false, more, 2), SB_OK);
    assert_int_equal(dp_tables_count(tables), 3);
    assert_int_equal(dp_tables_sequence(tables), 6);
    assert_int_equal(dp_tables_find_id(tables, 10)->throughput[0], 1);
    assert_int_equal(dp_tables_find_id(tables, 20)->throughput[0], 3);
    assert_int_equal(dp_tables_find_id(tables, 30)->throughput[0], 4);
    assert_null(dp_tables_find_id(tables, 40));
    dp_tables_destroy(&tables);
    assert_null(tables);
}

static void marks_are_counted_while_they_count(void **state)
{
    struct dp_tables *tables = dp_tables_new();
    struct msg_table_row rows[3] = {row_of(10, 1), row_of(20, 2), row_of(30, 3)};
    size_t out, cooling;

    (void)state;
    rows[0].outage = true;
    rows[1].cooldown = 500;
    rows[2].outage = true;
    rows[2].outage_age = DP_OUTAGE_LIFE; /* is over */
    assert_int_equal(apply(tables, 1, 1, true, rows, 3), SB_OK);
    dp_tables_count_marks(tables, WORLD_NOW, &out, &cooling);
    assert_int_equal(out, 1);
    assert_int_equal(cooling, 1);
    dp_tables_count_marks(tables, WORLD_NOW + DP_OUTAGE_LIFE, &out, &cooling);
    assert_int_equal(out + cooling, 0);
    dp_tables_destroy(&tables);
}

static void a_complete_message_replaces_all(void **state)
{
    struct dp_tables *tables = dp_tables_new();
    struct msg_table_row rows[2] = {row_of(10, 1), row_of(20, 2)};

    (void)state;
    assert_int_equal(apply(tables, 1, 1, true, rows, 2), SB_OK);
    assert_int_equal(apply(tables, 1, 9, true, &rows[1], 1), SB_OK); /* holes do not matter then */
    assert_int_equal(dp_tables_count(tables), 1);
    assert_null(dp_tables_find_id(tables, 10));
    dp_tables_destroy(&tables);
}

static void old_messages_are_dropped_and_holes_are_told(void **state)
{
    struct dp_tables *tables = dp_tables_new();
    struct msg_table_row first = row_of(10, 1), second = row_of(10, 2);

    (void)state;
    assert_int_equal(apply(tables, 1, 1, false, &first, 1), SB_EGAP); /* nothing to build on */
    assert_int_equal(apply(tables, 2, 7, true, &first, 1), SB_OK);
    assert_int_equal(apply(tables, 2, 7, false, &second, 1), SB_OK);
    assert_int_equal(apply(tables, 2, 3, true, &second, 1), SB_OK);
    assert_int_equal(apply(tables, 1, 99, true, &second, 1), SB_OK); /* of an older term */
    assert_int_equal(dp_tables_find_id(tables, 10)->throughput[0], 1);
    assert_int_equal(apply(tables, 2, 9, false, &second, 1), SB_EGAP);
    assert_int_equal(apply(tables, 3, 1, false, &second, 1), SB_EGAP); /* another leader's */
    assert_int_equal(dp_tables_find_id(tables, 10)->throughput[0], 1);
    assert_int_equal(apply(tables, 2, 8, false, &second, 1), SB_OK);
    assert_int_equal(dp_tables_find_id(tables, 10)->throughput[0], 2);
    assert_int_equal(apply(tables, 3, 1, true, &first, 1), SB_OK);
    assert_int_equal(dp_tables_sequence(tables), 1);
    dp_tables_destroy(&tables);
}

static void every_value_ages_from_its_own_moment(void **state)
{
    struct dp_tables *tables = dp_tables_new();
    struct msg_table_row row = row_of(10, 1);
    const struct dp_row *found;

    (void)state;
    row.age = 299000;
    row.first_token_half_hour[3] = 7;
    row.throughput_half_hour[0] = 8;
    row.outage = true;
    row.outage_age = 29000;
    row.cooldown = 1500;
    assert_int_equal(apply(tables, 1, 1, true, &row, 1), SB_OK);
    found = dp_tables_find_id(tables, 10);
    assert_true(dp_row_is_fresh(found, WORLD_NOW + 999));
    assert_false(dp_row_is_fresh(found, WORLD_NOW + 1000));
    assert_false(dp_row_is_fresh(NULL, WORLD_NOW));
    assert_int_equal(found->half_hour_until, WORLD_NOW + 1501000);
    assert_int_equal(found->day_until, WORLD_NOW + 86101000);
    assert_int_equal(found->first_token_half_hour[3], 7);
    assert_int_equal(found->throughput_half_hour[0], 8);
    assert_int_equal(found->outage_until, WORLD_NOW + 1000);
    assert_int_equal(found->cooldown_until, WORLD_NOW + 1500);
    row.outage = false; /* an age without a mark is nothing */
    row.age = 300000;
    assert_int_equal(apply(tables, 1, 2, false, &row, 1), SB_OK);
    found = dp_tables_find_id(tables, 10);
    assert_int_equal(found->outage_until, 0);
    assert_false(dp_row_is_fresh(found, WORLD_NOW));
    dp_tables_destroy(&tables);
}

static void many_rows_are_found_while_the_table_grows(void **state)
{
    enum { ROWS = 20000 };
    struct dp_tables *tables = dp_tables_new();

    (void)state;
    for (uint32_t i = 0; i < ROWS; i++) {
        struct msg_table_row row = row_of((uint64_t)i * 4096 + 1, i);

        assert_int_equal(apply(tables, 1, i + 1, i == 0, &row, 1), SB_OK);
    }
    assert_int_equal(dp_tables_count(tables), ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        assert_int_equal(dp_tables_find_id(tables, (uint64_t)i * 4096 + 1)->throughput[0], i);
    dp_tables_destroy(&tables);
}

static void a_new_catalogue_finds_the_old_rows(void **state)
{
    struct world *one = world_new("{'endpoints': [{'tag': 'a'}, {'tag': 'b'}],"
                                  " 'tables': {'a': {'throughput': 1}, 'b': {'throughput': 2}}}");
    struct world *two = world_new("{'endpoints': [{'tag': 'b'}, {'tag': 'c'}]}");
    const struct dp_row *row;

    (void)state;
    for (int round = 0; round < 2; round++) { /* the second time by the cache */
        row = dp_tables_find(one->tables, one->snap, &one->snap->endpoints[1]);
        assert_int_equal(row->throughput[0], 2000);
        row = dp_tables_find(one->tables, two->snap, &two->snap->endpoints[0]);
        assert_int_equal(row->throughput[0], 2000);
        assert_null(dp_tables_find(one->tables, two->snap, &two->snap->endpoints[1]));
        assert_null(dp_tables_find(NULL, two->snap, &two->snap->endpoints[0]));
    }
    /* and other tables are not believed by the cache of these */
    assert_null(dp_tables_find(two->tables, one->snap, &one->snap->endpoints[1]));
    world_free(&one);
    world_free(&two);
}

static void a_models_mean_is_weighed_by_samples(void **state)
{
    struct world *world = world_new(
        "{'endpoints': [{'tag': 'a'}, {'tag': 'b'}, {'tag': 'c'}, {'tag': 'd'}, {'tag': 'e', "
        "'model': 'm/b'}],"
        " 'tables': {'a': {'mean': 100, 'samples': 30}, 'b': {'mean': 500, 'samples': 10},"
        "            'c': {'mean': 9000, 'samples': 1000, 'age': 301}, 'd': {'samples': 5}}}");
    const struct dp_model *model = dp_snapshot_find_model(world->snap, SB_SLICE_LIT("m/a"));
    const struct dp_model *other = dp_snapshot_find_model(world->snap, SB_SLICE_LIT("m/b"));
    struct msg_table_row row = row_of(0, 0);

    (void)state;
    assert_true(dp_tables_mean_completion(world->tables, world->snap, model, WORLD_NOW) == 200);
    assert_true(dp_tables_mean_completion(world->tables, world->snap, other, WORLD_NOW) == 0);
    assert_true(dp_tables_mean_completion(NULL, world->snap, model, WORLD_NOW) == 0);
    row.endpoint = world->snap->endpoints[model->first].row->id;
    row.mean_completion = 500;
    row.samples = 10;
    assert_int_equal(apply(world->tables, 1, 2, false, &row, 1), SB_OK);
    assert_true(dp_tables_mean_completion(world->tables, world->snap, model, WORLD_NOW) == 500);
    assert_true(dp_tables_mean_completion(world->tables, world->snap, model,
                                          WORLD_NOW + DP_PERCENTILE_LIFE) == 0);
    world_free(&world);
}

static void memory_that_is_gone_leaves_what_was_there(void **state)
{
    struct dp_tables *tables = dp_tables_new();
    struct msg_table_row rows[300];

    (void)state;
    for (uint32_t i = 0; i < 300; i++)
        rows[i] = row_of(i + 1, i);
    assert_int_equal(apply(tables, 1, 1, true, rows, 1), SB_OK);
    for (unsigned long nth = 1; nth <= 2; nth++) {
        sb_mem_fail_nth(nth);
        assert_int_equal(apply(tables, 1, 2, false, rows, 300), SB_ENOMEM);
        sb_mem_fail_nth(0);
        assert_int_equal(dp_tables_count(tables), 1);
        assert_non_null(dp_tables_find_id(tables, 1));
    }
    assert_int_equal(apply(tables, 1, 2, false, rows, 300), SB_OK);
    assert_int_equal(dp_tables_count(tables), 300);
    dp_tables_destroy(&tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_merged_by_endpoint),
        cmocka_unit_test(marks_are_counted_while_they_count),
        cmocka_unit_test(a_complete_message_replaces_all),
        cmocka_unit_test(old_messages_are_dropped_and_holes_are_told),
        cmocka_unit_test(every_value_ages_from_its_own_moment),
        cmocka_unit_test(many_rows_are_found_while_the_table_grows),
        cmocka_unit_test(a_new_catalogue_finds_the_old_rows),
        cmocka_unit_test(a_models_mean_is_weighed_by_samples),
        cmocka_unit_test(memory_that_is_gone_leaves_what_was_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
