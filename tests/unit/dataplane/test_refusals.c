/* tests/unit/dataplane/test_refusals.c - counts of refusals, in a real spool. */
#include "dataplane/refusals.h"

#include "common/arena.h"
#include "common/err.h"
#include "dataplane/records/spool.h"
#include "proto/record.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#define MINUTE INT64_C(60000000)

static struct tempdir dir;
static struct dp_spool *spool;
static struct dp_refusals *refusals;

static int set_up(void **state)
{
    struct sb_errmsg err;

    (void)state;
    if (!tempdir_make(&dir))
        return -1;
    refusals = dp_refusals_new();
    return dp_spool_open(
        &(struct dp_spool_conf){.home = dir.path, .worker = "host-0", .limit = 64 << 20}, &spool,
        &err);
}

static int tear_down(void **state)
{
    (void)state;
    dp_refusals_destroy(&refusals);
    dp_spool_close(&spool);
    return tempdir_remove(&dir) ? 0 : -1;
}

/* What the spool holds of refusals. */
struct found {
    const char *reason; /* to look for */
    uint64_t records;   /* of any reason */
    uint64_t n;         /* of this one */
    int64_t minute;
};

static bool look(void *ctx, struct sb_slice bytes)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    struct found *found = ctx;
    struct msg_record record;

    assert_int_equal(msg_record_decode(bytes, arena, &record), SB_OK);
    assert_int_equal(record.kind, MSG_RECORD_REFUSALS);
    found->records++;
    if (sb_slice_is(record.refusal, found->reason)) {
        found->n += record.refusals;
        found->minute = record.received_at;
    }
    return false;
}

static struct found find(const char *reason)
{
    struct found found = {.reason = reason};

    assert_int_equal(dp_spool_search(spool, 1 << 20, look, &found), SB_ENOENT);
    return found;
}

static void a_minute_makes_one_record_for_each_reason(void **state)
{
    struct found found;

    (void)state;
    dp_refusals_add(refusals, "authentication", 10 * MINUTE + 5);
    dp_refusals_add(refusals, "HEAD_LIMIT", 10 * MINUTE + 6);
    dp_refusals_add(refusals, "authentication", 11 * MINUTE - 1);
    dp_refusals_flush(refusals, spool, 11 * MINUTE - 1);
    assert_int_equal(find("authentication").records, 0);
    dp_refusals_flush(refusals, spool, 11 * MINUTE);
    found = find("authentication");
    assert_int_equal(found.records, 2);
    assert_int_equal(found.n, 2);
    assert_int_equal(found.minute, 10 * MINUTE);
    assert_int_equal(find("HEAD_LIMIT").n, 1);
    dp_refusals_flush(refusals, spool, 20 * MINUTE);
    assert_int_equal(find("HEAD_LIMIT").records, 2);
}

static void the_end_writes_what_has_not_had_its_minute(void **state)
{
    (void)state;
    dp_refusals_add(refusals, "authentication", 10 * MINUTE);
    dp_refusals_flush_all(refusals, spool);
    assert_int_equal(find("authentication").n, 1);
    dp_refusals_flush_all(refusals, spool);
    assert_int_equal(find("authentication").n, 1);
}

static void reasons_beyond_the_table_are_counted_together(void **state)
{
    static char reasons[40][8];
    uint64_t named = 0;

    (void)state;
    for (int i = 0; i < 40; i++) {
        (void)snprintf(reasons[i], sizeof(reasons[i]), "r%d", i);
        dp_refusals_add(refusals, reasons[i], MINUTE);
        dp_refusals_add(refusals, reasons[i], MINUTE);
    }
    dp_refusals_flush_all(refusals, spool);
    for (int i = 0; i < 40; i++)
        named += find(reasons[i]).n;
    assert_int_equal(named, 2 * 31);
    assert_int_equal(find("other").n, 2 * 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_minute_makes_one_record_for_each_reason, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_writes_what_has_not_had_its_minute, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reasons_beyond_the_table_are_counted_together, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
