/* tests/unit/common/test_merkle.c - against the recursive definitions of
 * RFC 6962, section 2.1, written down as they stand there. */
#include "common/merkle.h"

#include "tests/lib/random.h"
#include "tests/lib/test.h"

enum { LEAVES = 600 };

static struct sb_hash leaves[LEAVES];
static struct sb_merkle_edge edges[LEAVES + 1]; /* [size] */
/* What the sink was given. */
static struct {
    struct sb_hash nodes[LEAVES];
    size_t n;
} levels[SB_MERKLE_LEVELS];

/* MTH(D[first:first + n]); remembered, since proofs ask for the same again. */
static struct sb_hash mth(size_t first, size_t n)
{
    static struct sb_hash known[LEAVES + 1][LEAVES + 1];
    static bool is_known[LEAVES + 1][LEAVES + 1];
    uint8_t bytes[65] = {1};
    struct sb_hash left, right;
    size_t k = 1;

    if (is_known[first][n])
        return known[first][n];
    is_known[first][n] = true;
    if (n == 0) {
        sb_sha256(SB_SLICE_NONE, known[first][n].bytes);
    } else if (n == 1) {
        known[first][n] = leaves[first];
    } else {
        while (2 * k < n)
            k *= 2;
        left = mth(first, k);
        right = mth(first + k, n - k);
        memcpy(bytes + 1, left.bytes, 32);
        memcpy(bytes + 33, right.bytes, 32);
        sb_sha256(sb_slice_make(bytes, sizeof(bytes)), known[first][n].bytes);
    }
    return known[first][n];
}

/* PATH(m, D[first:first + n]) */
static void path(size_t m, size_t first, size_t n, struct sb_merkle_proof *proof)
{
    size_t k = 1;

    if (n <= 1)
        return;
    while (2 * k < n)
        k *= 2;
    if (m < k) {
        path(m, first, k, proof);
        proof->nodes[proof->n++] = mth(first + k, n - k);
    } else {
        path(m - k, first + k, n - k, proof);
        proof->nodes[proof->n++] = mth(first, k);
    }
}

/* SUBPROOF(m, D[first:first + n], b) */
static void subproof(size_t m, size_t first, size_t n, bool b, struct sb_merkle_proof *proof)
{
    size_t k = 1;

    if (m == n) {
        if (!b)
            proof->nodes[proof->n++] = mth(first, n);
        return;
    }
    while (2 * k < n)
        k *= 2;
    if (m <= k) {
        subproof(m, first, k, b, proof);
        proof->nodes[proof->n++] = mth(first + k, n - k);
    } else {
        subproof(m - k, first + k, n - k, false, proof);
        proof->nodes[proof->n++] = mth(first, k);
    }
}

static void assert_same_hash(struct sb_hash a, struct sb_hash b)
{
    assert_memory_equal(a.bytes, b.bytes, sizeof(a.bytes));
}

static void assert_same_proof(const struct sb_merkle_proof *a, const struct sb_merkle_proof *b)
{
    assert_int_equal(a->n, b->n);
    for (unsigned i = 0; i < a->n; i++)
        assert_same_hash(a->nodes[i], b->nodes[i]);
}

static void on_node(void *ctx, unsigned level, uint64_t index, const struct sb_hash *node)
{
    (void)ctx;
    assert_in_range(level, 0, SB_MERKLE_LEVELS - 1);
    assert_int_equal(index, levels[level].n);
    levels[level].nodes[levels[level].n++] = *node;
}

/* Gives what lies in levels[]; more was never complete. */
static int read_levels(void *ctx, unsigned level, uint64_t first, size_t n, struct sb_hash *ret)
{
    (void)ctx;
    assert_in_range(level, 0, SB_MERKLE_LEVELS - 1);
    assert_in_range(n, 1, 256);
    if (first + n > levels[level].n)
        return SB_ENOENT;
    memcpy(ret, &levels[level].nodes[first], n * sizeof(*ret));
    return SB_OK;
}

static const struct sb_merkle_source source = {.read = read_levels};

static int grow_tree(void **state)
{
    const struct sb_merkle_sink sink = {.add = on_node};
    char entry[16];

    (void)state;
    for (size_t i = 0; i < LEAVES; i++) {
        (void)snprintf(entry, sizeof(entry), "entry %zu", i);
        sb_merkle_leaf(sb_slice_of(entry), &leaves[i]);
        edges[i + 1] = edges[i];
        sb_merkle_append(&edges[i + 1], &leaves[i], &sink);
    }
    return 0;
}

static void check_hex(const struct sb_hash *hash, const char *hex)
{
    char text[65];

    for (unsigned i = 0; i < sizeof(hash->bytes); i++)
        (void)snprintf(text + 2 * i, 3, "%02x", hash->bytes[i]);
    assert_string_equal(text, hex);
}

/* The tree of eight entries that implementations of certificate transparency
 * have been tested with since the first one. */
static void gives_the_roots_of_the_classic_tree(void **state)
{
    static const struct sb_slice entries[] = {
        SB_SLICE_INIT(""),
        SB_SLICE_INIT("\x00"),
        SB_SLICE_INIT("\x10"),
        SB_SLICE_INIT("\x20\x21"),
        SB_SLICE_INIT("\x30\x31"),
        SB_SLICE_INIT("\x40\x41\x42\x43"),
        SB_SLICE_INIT("\x50\x51\x52\x53\x54\x55\x56\x57"),
        SB_SLICE_INIT("\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"),
    };
    static const char *const roots[] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    };
    struct sb_merkle_edge edge = {.size = 0};
    struct sb_hash leaf, root;

    (void)state;
    for (unsigned n = 0; n < SB_ARRAY_LEN(roots); n++) {
        sb_merkle_root(&edge, &root);
        check_hex(&root, roots[n]);
        if (n == SB_ARRAY_LEN(entries))
            break;
        sb_merkle_leaf(entries[n], &leaf);
        sb_merkle_append(&edge, &leaf, NULL);
    }
}

static void root_of_every_size_is_that_of_the_definition(void **state)
{
    (void)state;
    for (size_t size = 0; size <= LEAVES; size++) {
        struct sb_hash root;

        assert_int_equal(edges[size].size, size);
        assert_int_equal(edges[size].n, __builtin_popcountll(size));
        sb_merkle_root(&edges[size], &root);
        assert_same_hash(root, mth(0, size));
    }
}

static void sink_gets_every_complete_node_once_and_in_order(void **state)
{
    (void)state;
    assert_int_equal(levels[0].n, LEAVES);
    assert_int_equal(levels[1].n, LEAVES / 256);
    assert_int_equal(levels[2].n, 0);
    for (size_t i = 0; i < levels[0].n; i++)
        assert_same_hash(levels[0].nodes[i], leaves[i]);
    for (size_t i = 0; i < levels[1].n; i++)
        assert_same_hash(levels[1].nodes[i], mth(256 * i, 256));
}

/* The node of 65 536 leaves, which are all the same here. */
static struct sb_hash second_level;
static uint64_t seen[3];

static void on_counted_node(void *ctx, unsigned level, uint64_t index, const struct sb_hash *node)
{
    (void)ctx;
    assert_in_range(level, 0, 2);
    assert_int_equal(index, seen[level]++);
    if (level == 2)
        second_level = *node;
}

static void sink_gets_nodes_of_the_second_level(void **state)
{
    const struct sb_merkle_sink sink = {.add = on_counted_node};
    struct sb_merkle_edge edge = {.size = 0};
    struct sb_hash node = leaves[0];

    (void)state;
    for (unsigned i = 0; i < 65536 + 300; i++)
        sb_merkle_append(&edge, &leaves[0], &sink);
    assert_int_equal(seen[0], 65836);
    assert_int_equal(seen[1], 257);
    assert_int_equal(seen[2], 1);
    for (int height = 0; height < 16; height++)
        sb_merkle_node(&node, &node, &node);
    assert_same_hash(second_level, node);
}

static void edge_of_every_former_size_is_found_in_the_nodes(void **state)
{
    (void)state;
    for (size_t size = 0; size <= LEAVES; size++) {
        struct sb_merkle_edge edge;

        assert_int_equal(sb_merkle_edge_at(&source, size, &edge), SB_OK);
        assert_int_equal(edge.size, size);
        assert_int_equal(edge.n, edges[size].n);
        for (unsigned i = 0; i < edge.n; i++)
            assert_same_hash(edge.nodes[i], edges[size].nodes[i]);
    }
}

static void edge_survives_as_bytes(void **state)
{
    struct sb_merkle_edge edge;

    (void)state;
    for (size_t size = 0; size <= LEAVES; size++) {
        struct sb_slice bytes = sb_merkle_edge_bytes(&edges[size]);

        assert_int_equal(sb_merkle_edge_read(size, bytes, &edge), SB_OK);
        assert_int_equal(edge.size, size);
        assert_int_equal(edge.n, edges[size].n);
        assert_memory_equal(edge.nodes, edges[size].nodes, bytes.n);
        assert_int_equal(sb_merkle_edge_read(size ^ 1, bytes, &edge), SB_EPARSE);
    }
    assert_int_equal(sb_merkle_edge_read(UINT64_C(1) << 63, sb_merkle_edge_bytes(&edges[1]), &edge),
                     SB_EPARSE);
}

static void check_inclusion(size_t index, size_t size)
{
    struct sb_merkle_proof proof, expected = {.n = 0};
    struct sb_hash root = mth(0, size);

    path(index, 0, size, &expected);
    assert_int_equal(sb_merkle_prove_inclusion(&source, index, size, &proof), SB_OK);
    assert_same_proof(&proof, &expected);
    assert_int_equal(sb_merkle_verify_inclusion(&leaves[index], index, size, &proof, &root), SB_OK);
}

static void check_consistency(size_t old_size, size_t new_size)
{
    struct sb_merkle_proof proof, expected = {.n = 0};
    struct sb_hash old_root = mth(0, old_size), new_root = mth(0, new_size);

    if (old_size > 0)
        subproof(old_size, 0, new_size, true, &expected);
    assert_int_equal(sb_merkle_prove_consistency(&source, old_size, new_size, &proof), SB_OK);
    assert_same_proof(&proof, &expected);
    assert_int_equal(sb_merkle_verify_consistency(old_size, &old_root, new_size, &new_root, &proof),
                     SB_OK);
}

static void proofs_of_every_size_are_those_of_the_definition(void **state)
{
    (void)state;
    for (size_t size = 1; size <= LEAVES; size++) {
        /* All of small trees and of those around a tile; of the others some,
         * which differ from size to size, and the last. */
        size_t step = size <= 66 || (size >= 255 && size <= 257) ? 1 : 61;

        for (size_t at = step == 1 ? 0 : size % step; at < size; at += step) {
            check_inclusion(at, size);
            check_consistency(at, size);
        }
        check_inclusion(size - 1, size);
        check_consistency(size, size);
    }
}

static void proof_of_anything_else_fails(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        size_t size = 1 + random_below(&seed, LEAVES - 1), index = random_below(&seed, size);
        struct sb_hash root = mth(0, size), wrong = mth(0, size + 1);
        struct sb_merkle_proof proof, bad;

        assert_int_equal(sb_merkle_prove_inclusion(&source, index, size, &proof), SB_OK);
        assert_int_equal(
            sb_merkle_verify_inclusion(&leaves[(index + 1) % LEAVES], index, size, &proof, &root),
            SB_EHASH);
        assert_int_equal(
            sb_merkle_verify_inclusion(&leaves[index], (index + 1) % size, size, &proof, &root),
            size == 1 ? SB_OK : SB_EHASH);
        assert_int_equal(sb_merkle_verify_inclusion(&leaves[index], size, size, &proof, &root),
                         SB_EHASH);
        assert_int_equal(sb_merkle_verify_inclusion(&leaves[index], index, size, &proof, &wrong),
                         SB_EHASH);
        bad = proof;
        bad.nodes[bad.n++] = root;
        assert_int_equal(sb_merkle_verify_inclusion(&leaves[index], index, size, &bad, &root),
                         SB_EHASH);
        if (proof.n == 0)
            continue;
        bad = proof;
        bad.nodes[random_below(&seed, bad.n)].bytes[random_below(&seed, 32)] ^= 1;
        assert_int_equal(sb_merkle_verify_inclusion(&leaves[index], index, size, &bad, &root),
                         SB_EHASH);
        bad = proof;
        bad.n--;
        assert_int_equal(sb_merkle_verify_inclusion(&leaves[index], index, size, &bad, &root),
                         SB_EHASH);
    }
}

static void trees_that_are_not_consistent_are_told(void **state)
{
    uint64_t seed = 5;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        size_t new_size = 2 + random_below(&seed, LEAVES - 1);
        size_t old_size = 1 + random_below(&seed, new_size - 1);
        struct sb_hash old_root = mth(0, old_size), new_root = mth(0, new_size), other = old_root;
        struct sb_merkle_proof proof, bad;

        other.bytes[31] ^= 1;
        assert_int_equal(sb_merkle_prove_consistency(&source, old_size, new_size, &proof), SB_OK);
        assert_int_equal(
            sb_merkle_verify_consistency(old_size, &other, new_size, &new_root, &proof), SB_EHASH);
        assert_int_equal(
            sb_merkle_verify_consistency(old_size, &old_root, new_size, &other, &proof), SB_EHASH);
        assert_int_equal(
            sb_merkle_verify_consistency(new_size, &new_root, old_size, &old_root, &proof),
            SB_EHASH);
        assert_int_equal(
            sb_merkle_verify_consistency(new_size, &old_root, new_size, &new_root, &proof),
            SB_EHASH);
        bad = proof;
        bad.nodes[random_below(&seed, bad.n)].bytes[random_below(&seed, 32)] ^= 1;
        assert_int_equal(
            sb_merkle_verify_consistency(old_size, &old_root, new_size, &new_root, &bad), SB_EHASH);
        bad = proof;
        bad.n--;
        assert_int_equal(
            sb_merkle_verify_consistency(old_size, &old_root, new_size, &new_root, &bad), SB_EHASH);
        bad = proof;
        bad.nodes[bad.n++] = new_root;
        assert_int_equal(
            sb_merkle_verify_consistency(old_size, &old_root, new_size, &new_root, &bad), SB_EHASH);
    }
}

/* No proof at all: everything follows the empty tree, and a tree itself. */
static void empty_proofs_prove_little(void **state)
{
    const struct sb_merkle_proof none = {.n = 0};
    struct sb_hash one = mth(0, 1), two = mth(0, 2), empty = mth(0, 0);

    (void)state;
    assert_int_equal(sb_merkle_verify_consistency(0, &empty, 0, &empty, &none), SB_OK);
    assert_int_equal(sb_merkle_verify_consistency(0, &empty, 2, &two, &none), SB_OK);
    assert_int_equal(sb_merkle_verify_consistency(2, &two, 2, &two, &none), SB_OK);
    assert_int_equal(sb_merkle_verify_consistency(2, &one, 2, &two, &none), SB_EHASH);
    assert_int_equal(sb_merkle_verify_consistency(1, &one, 2, &two, &none), SB_EHASH);
    assert_int_equal(sb_merkle_verify_inclusion(&one, 0, 1, &none, &one), SB_OK);
    assert_int_equal(sb_merkle_verify_inclusion(&one, 0, 0, &none, &one), SB_EHASH);
}

/* More nodes than any tree has: counts are the peer's. */
static void longest_proof_is_read_to_its_end(void **state)
{
    struct sb_merkle_proof proof = {.n = SB_MERKLE_PROOF_MAX};

    (void)state;
    assert_int_equal(sb_merkle_verify_inclusion(&leaves[0], 0, INT64_MAX, &proof, &leaves[0]),
                     SB_EHASH);
    assert_int_equal(
        sb_merkle_verify_consistency(INT64_MAX - 1, &leaves[0], INT64_MAX, &leaves[0], &proof),
        SB_EHASH);
    assert_int_equal(sb_merkle_verify_inclusion(&leaves[0], 0, UINT64_MAX, &proof, &leaves[0]),
                     SB_EHASH);
}

static void wrong_sizes_and_missing_nodes_are_errors(void **state)
{
    struct sb_merkle_proof proof = {.n = 77};
    struct sb_merkle_edge edge = {.n = 77};

    (void)state;
    assert_int_equal(sb_merkle_prove_inclusion(&source, 5, 5, &proof), SB_EINVAL);
    assert_int_equal(sb_merkle_prove_inclusion(&source, 0, 0, &proof), SB_EINVAL);
    assert_int_equal(sb_merkle_prove_inclusion(&source, 0, LEAVES + 1, &proof), SB_ENOENT);
    assert_int_equal(sb_merkle_prove_consistency(&source, 6, 5, &proof), SB_EINVAL);
    assert_int_equal(sb_merkle_prove_consistency(&source, 5, LEAVES + 100, &proof), SB_ENOENT);
    assert_int_equal(sb_merkle_edge_at(&source, LEAVES + 1, &edge), SB_ENOENT);
    assert_int_equal(sb_merkle_edge_at(&source, UINT64_MAX, &edge), SB_EINVAL);
    assert_int_equal(proof.n, 77);
    assert_int_equal(edge.n, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_roots_of_the_classic_tree),
        cmocka_unit_test(root_of_every_size_is_that_of_the_definition),
        cmocka_unit_test(sink_gets_every_complete_node_once_and_in_order),
        cmocka_unit_test(sink_gets_nodes_of_the_second_level),
        cmocka_unit_test(edge_of_every_former_size_is_found_in_the_nodes),
        cmocka_unit_test(edge_survives_as_bytes),
        cmocka_unit_test(proofs_of_every_size_are_those_of_the_definition),
        cmocka_unit_test(proof_of_anything_else_fails),
        cmocka_unit_test(trees_that_are_not_consistent_are_told),
        cmocka_unit_test(empty_proofs_prove_little),
        cmocka_unit_test(longest_proof_is_read_to_its_end),
        cmocka_unit_test(wrong_sizes_and_missing_nodes_are_errors),
    };

    return cmocka_run_group_tests(tests, grow_tree, NULL);
}
