/* tests/unit/dataplane/test_sync.c */
#include "dataplane/courier/sync.h"

#include "proto/tables.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

static void a_leader_is_judged_by_epoch_then_term(void **state)
{
    static const struct {
        struct dp_claim have, offer;
        enum dp_claim_verdict verdict;
    } rows[] = {
        {{0, 0}, {0, 0}, DP_CLAIM_SAME},
        {{0, 0}, {0, 1}, DP_CLAIM_NEW}, /* nothing published yet */
        {{0, 0}, {9, 1}, DP_CLAIM_NEW},
        {{9, 4}, {9, 4}, DP_CLAIM_SAME},
        {{9, 4}, {9, 5}, DP_CLAIM_NEW},
        {{9, 4}, {9, 3}, DP_CLAIM_OLD},  /* cut off, and does not know it */
        {{9, 4}, {10, 1}, DP_CLAIM_NEW}, /* a restored database counts anew */
        {{9, 4}, {8, 9}, DP_CLAIM_OLD},
        {{9, 4}, {0, 9}, DP_CLAIM_OLD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(dp_sync_judge_claim(rows[i].have, rows[i].offer), rows[i].verdict);
}

static void a_snapshot_is_judged_by_epoch_then_revision_then_hash(void **state)
{
    static const struct {
        struct msg_version have, offer;
        int hash; /* -1: not said, 0: the same, 1: another */
        enum dp_sync_verdict verdict;
    } rows[] = {
        {{0, 0}, {5, 1}, 1, DP_SYNC_APPLY},    {{5, 10}, {5, 11}, 1, DP_SYNC_APPLY},
        {{5, 10}, {5, 11}, 0, DP_SYNC_APPLY}, /* a change that changed nothing */
        {{5, 10}, {6, 1}, 1, DP_SYNC_APPLY},   {{5, 10}, {5, 9}, 1, DP_SYNC_OLD},
        {{5, 10}, {4, 99}, 1, DP_SYNC_OLD},    {{5, 10}, {0, 0}, -1, DP_SYNC_OLD},
        {{5, 10}, {5, 10}, 0, DP_SYNC_HELD},   {{5, 10}, {5, 10}, -1, DP_SYNC_HELD},
        {{5, 10}, {5, 10}, 1, DP_SYNC_RESYNC}, /* two contents of one version */
        {{0, 0}, {0, 0}, -1, DP_SYNC_HELD},    /* nobody has anything */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct dp_sync_held have = {.version = rows[i].have, .hash = {7}};
        uint8_t hash[MSG_HASH_BYTES] = {7};

        hash[31] = (uint8_t)(rows[i].hash > 0);
        assert_int_equal(dp_sync_judge(&have, rows[i].offer, rows[i].hash >= 0 ? hash : NULL),
                         rows[i].verdict);
    }
}

static void tables_are_judged_by_epoch_then_term_then_sequence(void **state)
{
    static const struct {
        struct dp_sync_tables have, offer;
        enum dp_sync_verdict part, complete;
    } rows[] = {
        {{0, 0, 0}, {0, 0, 1}, DP_SYNC_APPLY, DP_SYNC_APPLY},
        {{0, 0, 0}, {5, 1, 1}, DP_SYNC_RESYNC, DP_SYNC_APPLY},
        {{5, 1, 7}, {5, 1, 8}, DP_SYNC_APPLY, DP_SYNC_APPLY},
        {{5, 1, 7}, {5, 1, 9}, DP_SYNC_RESYNC, DP_SYNC_APPLY}, /* one is missing */
        {{5, 1, 7}, {5, 1, 7}, DP_SYNC_OLD, DP_SYNC_OLD},
        {{5, 1, 7}, {5, 1, 6}, DP_SYNC_OLD, DP_SYNC_OLD},
        {{5, 1, 7}, {5, 2, 8}, DP_SYNC_RESYNC, DP_SYNC_APPLY}, /* not the same row of numbers */
        {{5, 2, 7}, {5, 1, 8}, DP_SYNC_OLD, DP_SYNC_OLD},
        {{5, 2, 7}, {6, 1, 1}, DP_SYNC_RESYNC, DP_SYNC_APPLY},
        {{5, 2, 7}, {4, 9, 8}, DP_SYNC_OLD, DP_SYNC_OLD},
        {{5, 2, UINT64_MAX}, {5, 2, 0}, DP_SYNC_OLD, DP_SYNC_OLD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct msg_tables offer = {.epoch = rows[i].offer.epoch,
                                   .term = rows[i].offer.term,
                                   .sequence = rows[i].offer.sequence};

        assert_int_equal(dp_sync_judge_tables(&rows[i].have, &offer), rows[i].part);
        offer.complete = true;
        assert_int_equal(dp_sync_judge_tables(&rows[i].have, &offer), rows[i].complete);
    }
}

/* Whatever arrives in whatever order: who follows the verdicts never goes back,
 * and is at the newest in the end. */
static void following_the_verdicts_ends_at_the_newest(void **state)
{
    uint64_t seed = 4;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct dp_sync_held have = {.version = {0, 0}};
        struct msg_version newest = {0, 0};

        for (int i = 0; i < 50; i++) {
            struct msg_version offer = {.epoch = 1 + random_below(&seed, 3),
                                        .revision = random_below(&seed, 20)};
            struct msg_version before = have.version;

            if (dp_sync_judge(&have, offer, NULL) == DP_SYNC_APPLY)
                have.version = offer;
            if (msg_version_cmp(offer, newest) > 0)
                newest = offer;
            assert_true(msg_version_cmp(have.version, before) >= 0);
        }
        assert_int_equal(msg_version_cmp(have.version, newest), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_is_judged_by_epoch_then_term),
        cmocka_unit_test(a_snapshot_is_judged_by_epoch_then_revision_then_hash),
        cmocka_unit_test(tables_are_judged_by_epoch_then_term_then_sequence),
        cmocka_unit_test(following_the_verdicts_ends_at_the_newest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
