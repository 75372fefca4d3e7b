/* tests/unit/controlplane/test_log_tree.c - against a real PostgreSQL. */
#include "controlplane/log/log_tree.h"

#include "tests/lib/ingest_fixture.h"
#include "tests/lib/log_fixture.h"
#include "tests/lib/random.h"

static struct cp_db *db;
static struct log_fixture tree; /* as it grew */

static int set_up(void **state)
{
    (void)state;
    db = fixture_connect(fixture_database(), NULL);
    tree = (struct log_fixture){.edge = {.size = 0}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_db_destroy(&db);
    return 0;
}

/* Transactions of any size cut the levels anywhere. */
static void proofs_are_found_however_the_nodes_are_cut(void **state)
{
    static const size_t batches[] = {1, 255, 1, 1, 300, 7, 1000, 512, 3};
    static struct sb_merkle_edge edges[SB_ARRAY_LEN(batches)];
    struct cp_log_tree stored;
    struct sb_merkle_edge head;
    uint64_t seed = 1;

    (void)state;
    assert_int_equal(cp_log_head_read(db, &head, NULL), SB_OK);
    assert_int_equal(head.size, 0);
    for (size_t i = 0; i < SB_ARRAY_LEN(batches); i++) {
        log_fixture_append(&tree, db, batches[i], 1);
        edges[i] = tree.edge;
    }
    assert_int_equal(cp_log_head_read(db, &head, NULL), SB_OK);
    assert_int_equal(head.size, tree.edge.size);
    cp_log_tree_init(&stored, db);
    for (size_t i = 0; i < SB_ARRAY_LEN(batches); i++) {
        struct sb_merkle_edge edge;
        struct sb_merkle_proof proof;
        struct sb_hash old_root, root, leaf;
        char entry[64];
        uint64_t index = random_below(&seed, edges[i].size);

        assert_int_equal(sb_merkle_edge_at(&stored.source, edges[i].size, &edge), SB_OK);
        sb_merkle_root(&edge, &old_root);
        sb_merkle_root(&edges[i], &root);
        assert_true(sb_hash_equal(&old_root, &root));
        (void)snprintf(entry, sizeof(entry), "1 %" PRIu64, index);
        sb_merkle_leaf(sb_slice_of(entry), &leaf);
        assert_int_equal(sb_merkle_prove_inclusion(&stored.source, index, edges[i].size, &proof),
                         SB_OK);
        assert_int_equal(sb_merkle_verify_inclusion(&leaf, index, edges[i].size, &proof, &root),
                         SB_OK);
        sb_merkle_root(&head, &root);
        assert_int_equal(
            sb_merkle_prove_consistency(&stored.source, edges[i].size, head.size, &proof), SB_OK);
        assert_int_equal(
            sb_merkle_verify_consistency(edges[i].size, &old_root, head.size, &root, &proof),
            SB_OK);
    }
}

static void what_is_missing_is_named(void **state)
{
    struct cp_log_tree stored;
    struct sb_merkle_edge edge;
    struct sb_errmsg err = {.text = ""};

    (void)state;
    log_fixture_append(&tree, db, 100, 1);
    log_fixture_append(&tree, db, 100, 1);
    cp_log_tree_init(&stored, db);
    assert_int_equal(sb_merkle_edge_at(&stored.source, 300, &edge), SB_ENOENT);
    assert_int_equal(cp_db_script(db, "DELETE FROM log_nodes WHERE first = 100"), SB_OK);
    assert_int_equal(sb_merkle_edge_at(&stored.source, 64, &edge), SB_OK);
    assert_int_equal(sb_merkle_edge_at(&stored.source, 128, &edge), SB_ENOENT);
    assert_string_equal(stored.err.text, "node 100 of level 0 of the log is missing");
    assert_int_equal(cp_db_script(db, "UPDATE log_head SET size = 201"), SB_OK);
    assert_int_equal(cp_log_head_read(db, &edge, &err), SB_EPARSE);
    assert_non_null(strstr(err.text, "201"));
    assert_int_equal(cp_db_script(db, "DELETE FROM log_head"), SB_OK);
    assert_int_equal(cp_log_head_read(db, &edge, &err), SB_EPARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(proofs_are_found_however_the_nodes_are_cut, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_missing_is_named, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, fixture_group_start, fixture_group_stop);
}
