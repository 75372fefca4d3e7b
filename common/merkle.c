/* common/merkle.c */
#include "common/merkle.h"

#include "common/check.h"

void sb_merkle_leaf(struct sb_slice entry, struct sb_hash *ret)
{
    struct sb_slice parts[] = {sb_slice_make("\0", 1), entry};

    sb_sha256_parts(parts, SB_ARRAY_LEN(parts), ret->bytes);
}

void sb_merkle_node(const struct sb_hash *left, const struct sb_hash *right, struct sb_hash *ret)
{
    uint8_t bytes[1 + 2 * SB_SHA256_BYTES];

    bytes[0] = 1;
    memcpy(bytes + 1, left->bytes, SB_SHA256_BYTES);
    memcpy(bytes + 1 + SB_SHA256_BYTES, right->bytes, SB_SHA256_BYTES);
    sb_sha256(sb_slice_make(bytes, sizeof(bytes)), ret->bytes);
}

void sb_merkle_append(struct sb_merkle_edge *edge, const struct sb_hash *leaf,
                      const struct sb_merkle_sink *sink)
{
    struct sb_hash node = *leaf;
    uint64_t index = edge->size;

    SB_BUG_ON(edge->size >= SB_MERKLE_SIZE_MAX);
    if (sink != NULL)
        sink->add(sink->ctx, 0, index, leaf);
    /* Each one bit at the end of the size is a subtree that becomes full. */
    for (unsigned height = 1; (edge->size >> (height - 1) & 1) != 0; height++) {
        sb_merkle_node(&edge->nodes[--edge->n], &node, &node);
        if (sink != NULL && height % SB_MERKLE_LEVEL_BITS == 0)
            sink->add(sink->ctx, height / SB_MERKLE_LEVEL_BITS, index >> height, &node);
    }
    edge->nodes[edge->n++] = node;
    edge->size++;
}

void sb_merkle_root(const struct sb_merkle_edge *edge, struct sb_hash *ret)
{
    struct sb_hash node;

    if (edge->n == 0) {
        sb_sha256(SB_SLICE_NONE, ret->bytes);
        return;
    }
    node = edge->nodes[edge->n - 1];
    for (unsigned i = edge->n - 1; i > 0; i--)
        sb_merkle_node(&edge->nodes[i - 1], &node, &node);
    *ret = node;
}

int sb_merkle_edge_read(uint64_t size, struct sb_slice bytes, struct sb_merkle_edge *ret)
{
    unsigned n = (unsigned)__builtin_popcountll(size);

    if (size > SB_MERKLE_SIZE_MAX || bytes.n != (size_t)n * SB_SHA256_BYTES)
        return SB_EPARSE;
    ret->size = size;
    ret->n = n;
    if (n > 0)
        memcpy(ret->nodes, bytes.p, bytes.n);
    return SB_OK;
}

struct sb_slice sb_merkle_edge_bytes(const struct sb_merkle_edge *edge)
{
    return sb_slice_make(edge->nodes, (size_t)edge->n * SB_SHA256_BYTES);
}

/* The root of the subtree of 2^height leaves that begins at leaf first, a
 * multiple of it: from up to 128 nodes of the next lower level. */
static int read_perfect(const struct sb_merkle_source *source, uint64_t first, unsigned height,
                        struct sb_hash *ret)
{
    struct sb_hash nodes[1U << (SB_MERKLE_LEVEL_BITS - 1)];
    unsigned level = height / SB_MERKLE_LEVEL_BITS;
    size_t n = (size_t)1 << height % SB_MERKLE_LEVEL_BITS;
    int rc = source->read(source->ctx, level, first >> level * SB_MERKLE_LEVEL_BITS, n, nodes);

    if (rc != SB_OK)
        return rc;
    for (; n > 1; n /= 2)
        for (size_t i = 0; i < n / 2; i++)
            sb_merkle_node(&nodes[2 * i], &nodes[2 * i + 1], &nodes[i]);
    *ret = nodes[0];
    return SB_OK;
}

/* The perfect subtrees that leaves first to first + n - 1 are made of.  first
 * is a multiple of a power of two that is not below n, or 0. */
static int read_edge(const struct sb_merkle_source *source, uint64_t first, uint64_t n,
                     struct sb_merkle_edge *edge)
{
    edge->size = n;
    edge->n = 0;
    for (unsigned height = 63; height-- > 0;) {
        int rc;

        if ((n >> height & 1) == 0)
            continue;
        rc = read_perfect(source, first, height, &edge->nodes[edge->n]);
        if (rc != SB_OK)
            return rc;
        edge->n++;
        first += UINT64_C(1) << height;
    }
    return SB_OK;
}

int sb_merkle_edge_at(const struct sb_merkle_source *source, uint64_t size,
                      struct sb_merkle_edge *ret)
{
    struct sb_merkle_edge edge;
    int rc;

    if (size > SB_MERKLE_SIZE_MAX)
        return SB_EINVAL;
    rc = read_edge(source, 0, size, &edge);
    if (rc == SB_OK)
        *ret = edge;
    return rc;
}

/* Leaves of a tree: first to first + n - 1. */
struct range {
    uint64_t first;
    uint64_t n;
};

/* The greatest power of two below n, which is at least 2: where RFC 6962
 * splits a tree. */
static uint64_t split_of(uint64_t n)
{
    return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* The roots of the ranges, from the last to the first: they were found from
 * the tree's root down, and a proof begins below. */
static int read_proof(const struct sb_merkle_source *source, const struct range *ranges, unsigned n,
                      struct sb_merkle_proof *ret)
{
    struct sb_merkle_proof proof = {.n = n};

    for (unsigned i = 0; i < n; i++) {
        const struct range *range = &ranges[n - 1 - i];
        struct sb_merkle_edge edge;
        int rc = read_edge(source, range->first, range->n, &edge);

        if (rc != SB_OK)
            return rc;
        sb_merkle_root(&edge, &proof.nodes[i]);
    }
    *ret = proof;
    return SB_OK;
}

int sb_merkle_prove_inclusion(const struct sb_merkle_source *source, uint64_t index, uint64_t size,
                              struct sb_merkle_proof *ret)
{
    struct range ranges[SB_MERKLE_PROOF_MAX];
    struct range tree = {0, size};
    unsigned n = 0;

    if (size > SB_MERKLE_SIZE_MAX || index >= size)
        return SB_EINVAL;
    while (tree.n > 1) {
        uint64_t left = split_of(tree.n);

        if (index - tree.first < left) {
            ranges[n++] = (struct range){tree.first + left, tree.n - left};
            tree.n = left;
        } else {
            ranges[n++] = (struct range){tree.first, left};
            tree = (struct range){tree.first + left, tree.n - left};
        }
    }
    return read_proof(source, ranges, n, ret);
}

int sb_merkle_prove_consistency(const struct sb_merkle_source *source, uint64_t old_size,
                                uint64_t new_size, struct sb_merkle_proof *ret)
{
    struct range ranges[SB_MERKLE_PROOF_MAX] = {{0, 0}};
    struct range tree = {0, new_size};
    uint64_t old = old_size; /* leaves of the old tree within tree */
    unsigned n = 0;

    if (new_size > SB_MERKLE_SIZE_MAX || old_size > new_size)
        return SB_EINVAL;
    while (old > 0 && old < tree.n) {
        uint64_t left = split_of(tree.n);

        if (old <= left) {
            ranges[n++] = (struct range){tree.first + left, tree.n - left};
            tree.n = left;
        } else {
            ranges[n++] = (struct range){tree.first, left};
            tree = (struct range){tree.first + left, tree.n - left};
            old -= left;
        }
    }
    /* What is left ends where the old tree ended.  When it begins where that
     * began it is the whole old tree, whose root the reader has. */
    if (tree.first > 0)
        ranges[n++] = tree;
    return read_proof(source, ranges, n, ret);
}

int sb_merkle_verify_inclusion(const struct sb_hash *leaf, uint64_t index, uint64_t size,
                               const struct sb_merkle_proof *proof, const struct sb_hash *root)
{
    uint64_t at = index, last = size - 1;
    struct sb_hash node = *leaf;

    if (index >= size || size > SB_MERKLE_SIZE_MAX)
        return SB_EHASH;
    for (unsigned i = 0; i < proof->n; i++) {
        if (last == 0)
            return SB_EHASH;
        if ((at & 1) != 0 || at == last) {
            sb_merkle_node(&proof->nodes[i], &node, &node);
            /* The last node of a level without a brother goes up as it is. */
            for (; (at & 1) == 0 && at != 0; at >>= 1)
                last >>= 1;
        } else {
            sb_merkle_node(&node, &proof->nodes[i], &node);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && sb_hash_equal(&node, root) ? SB_OK : SB_EHASH;
}

int sb_merkle_verify_consistency(uint64_t old_size, const struct sb_hash *old_root,
                                 uint64_t new_size, const struct sb_hash *new_root,
                                 const struct sb_merkle_proof *proof)
{
    uint64_t at = old_size - 1, last = new_size - 1;
    struct sb_hash old_node, new_node;
    unsigned i = 0;

    if (old_size > new_size || new_size > SB_MERKLE_SIZE_MAX)
        return SB_EHASH;
    if (old_size == 0)
        return proof->n == 0 ? SB_OK : SB_EHASH;
    if (old_size == new_size)
        return proof->n == 0 && sb_hash_equal(old_root, new_root) ? SB_OK : SB_EHASH;
    for (; (at & 1) != 0; at >>= 1)
        last >>= 1;
    /* A size that is a power of two is one node: the old root itself. */
    if (at > 0 && proof->n == 0)
        return SB_EHASH;
    old_node = new_node = at > 0 ? proof->nodes[i++] : *old_root;
    for (; i < proof->n; i++) {
        if (last == 0)
            return SB_EHASH;
        if ((at & 1) != 0 || at == last) {
            sb_merkle_node(&proof->nodes[i], &old_node, &old_node);
            sb_merkle_node(&proof->nodes[i], &new_node, &new_node);
            for (; (at & 1) == 0 && at != 0; at >>= 1)
                last >>= 1;
        } else {
            sb_merkle_node(&new_node, &proof->nodes[i], &new_node);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && sb_hash_equal(&old_node, old_root) && sb_hash_equal(&new_node, new_root)
               ? SB_OK
               : SB_EHASH;
}
