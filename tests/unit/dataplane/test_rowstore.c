/* tests/unit/dataplane/test_rowstore.c */
#include "dataplane/courier/rowstore.h"

#include <sys/stat.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/mem.h"
#include "dataplane/courier/snapstore.h"
#include "proto/tables.h"
#include "tests/lib/random.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

static struct tempdir dir;
static struct dp_rowstore *store;
static struct sb_arena *arena;

static int set_up(void **state)
{
    (void)state;
    assert_true(tempdir_make(&dir));
    store = dp_rowstore_new();
    arena = sb_arena_new(4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dp_rowstore_destroy(&store);
    sb_arena_destroy(&arena);
    assert_true(tempdir_remove(&dir));
    return 0;
}

static void apply(uint64_t sequence, bool complete, struct msg_table_row *rows, size_t n,
                  sb_msec now)
{
    const struct msg_tables message = {.epoch = 5,
                                       .term = 2,
                                       .sequence = sequence,
                                       .complete = complete,
                                       .rows = rows,
                                       .n_rows = n};

    assert_int_equal(dp_rowstore_apply(store, &message, now), SB_OK);
    assert_int_equal(dp_rowstore_held(store)->sequence, sequence);
}

static struct msg_tables saved(sb_msec now)
{
    struct msg_tables tables;
    struct dp_stored stored;
    struct sb_errmsg err;
    struct sb_slice bytes;
    struct sb_buf buf;

    assert_int_equal(dp_rowstore_save(store, dir.path, now, &err), SB_OK);
    sb_buf_init(&buf, 1 << 20);
    assert_int_equal(dp_snapstore_read(dir.path, "tables", &buf, &stored, &bytes, &err), SB_OK);
    assert_int_equal(msg_tables_decode(sb_arena_dup(arena, bytes), arena, &tables), SB_OK);
    assert_int_equal(tables.epoch, 5);
    assert_int_equal(tables.term, 2);
    assert_true(tables.complete);
    sb_buf_release(&buf);
    return tables;
}

static const struct msg_table_row *row_of(const struct msg_tables *tables, uint64_t endpoint)
{
    for (size_t i = 0; i < tables->n_rows; i++)
        if (tables->rows[i].endpoint == endpoint)
            return &tables->rows[i];
    return NULL;
}

static void merges_rows_as_they_come(void **state)
{
    struct msg_table_row rows[] = {{.endpoint = 1, .samples = 10}, {.endpoint = 2, .samples = 20}};
    struct msg_tables tables;

    (void)state;
    apply(1, true, rows, 2, 1000);
    rows[0].samples = 11;
    apply(2, false, rows, 1, 2000);
    rows[0] = (struct msg_table_row){.endpoint = 3, .samples = 30};
    apply(3, false, rows, 1, 2000);
    tables = saved(2000);
    assert_int_equal(tables.sequence, 3);
    assert_int_equal(tables.n_rows, 3);
    assert_int_equal(row_of(&tables, 1)->samples, 11);
    assert_int_equal(row_of(&tables, 2)->samples, 20);
    assert_int_equal(row_of(&tables, 3)->samples, 30);
    apply(9, true, rows, 1, 3000); /* all there are */
    tables = saved(3000);
    assert_int_equal(tables.n_rows, 1);
}

static void rows_grow_older_while_they_lie_here(void **state)
{
    struct msg_table_row row = {
        .endpoint = 1, .age = 500, .outage = true, .outage_age = 100, .cooldown = 5000};
    struct msg_tables tables;

    (void)state;
    apply(1, true, &row, 1, 1000);
    tables = saved(3000);
    assert_int_equal(row_of(&tables, 1)->age, 2500);
    assert_int_equal(row_of(&tables, 1)->outage_age, 2100);
    assert_int_equal(row_of(&tables, 1)->cooldown, 3000);
    row.age = UINT32_MAX - 10;
    row.cooldown = 10;
    apply(2, false, &row, 1, 4000);
    tables = saved(9000);
    assert_int_equal(row_of(&tables, 1)->age, UINT32_MAX);
    assert_int_equal(row_of(&tables, 1)->cooldown, 0);
}

static void writes_only_what_is_new(void **state)
{
    struct msg_table_row row = {.endpoint = 1};
    char path[128];
    struct sb_errmsg err;
    struct stat st;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/tables", dir.path);
    assert_int_equal(dp_rowstore_save(store, dir.path, 1000, &err), SB_OK);
    assert_int_not_equal(stat(path, &st), 0); /* nothing came yet */
    apply(1, true, &row, 1, 1000);
    (void)saved(1000);
    assert_int_equal(remove(path), 0);
    assert_int_equal(dp_rowstore_save(store, dir.path, 1000, &err), SB_OK);
    assert_int_not_equal(stat(path, &st), 0);
}

static void a_row_stands_once_however_often_it_comes(void **state)
{
    enum { ENDPOINTS = 200 };
    uint32_t samples[ENDPOINTS] = {0};
    struct msg_tables tables;
    uint64_t seed = 9;

    (void)state;
    for (uint64_t sequence = 1; sequence <= 500; sequence++) {
        struct msg_table_row rows[20];

        for (size_t i = 0; i < 20; i++) {
            uint64_t endpoint = random_below(&seed, ENDPOINTS);

            samples[endpoint] = (uint32_t)random_next(&seed);
            rows[i] =
                (struct msg_table_row){.endpoint = endpoint + 1, .samples = samples[endpoint]};
        }
        apply(sequence, false, rows, 20, sequence);
    }
    tables = saved(1000);
    assert_int_equal(tables.n_rows, ENDPOINTS);
    for (uint64_t i = 0; i < ENDPOINTS; i++)
        assert_int_equal(row_of(&tables, i + 1)->samples, samples[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(merges_rows_as_they_come),
        TEST(rows_grow_older_while_they_lie_here),
        TEST(writes_only_what_is_new),
        TEST(a_row_stands_once_however_often_it_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
