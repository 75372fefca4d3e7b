/* common/merkle.h - the Merkle tree of the audit log.
 *
 * Hashing, proofs and their verification are those of RFC 6962 (section 2.1)
 * and RFC 9162 (2.1.3.2, 2.1.4.2), with SHA-256:
 *
 *   leaf = SHA-256(0x00 || entry)      node = SHA-256(0x01 || left || right)
 *
 * A tree that grows needs its edge only: the roots of the perfect subtrees
 * that it is made of, one for each set bit of its size, largest first.  What
 * proofs need besides is kept by whoever appends, as tiles of levels: level L
 * holds the roots of the complete subtrees of 256^L leaves, in order; level 0
 * is the leaf hashes.  So a tree is stored in 1 + 1/255 hashes per leaf, all
 * of them written once, and any perfect subtree is at most 128 of them away.
 *
 * Pure: no I/O but by the caller's callbacks.  Nothing here trusts what it
 * reads: a proof made from wrong nodes does not verify.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/sha256.h"
#include "common/slice.h"

enum {
    SB_MERKLE_EDGE_MAX = 63,  /* subtrees; sizes are below 2^63, as PostgreSQL's bigint */
    SB_MERKLE_PROOF_MAX = 64, /* hashes */
    SB_MERKLE_LEVEL_BITS = 8, /* a node of level L + 1 covers 256 of level L */
    SB_MERKLE_LEVELS = 8,     /* 0 to 7 */
};
#define SB_MERKLE_SIZE_MAX INT64_MAX /* leaves */

struct sb_hash {
    uint8_t bytes[SB_SHA256_BYTES];
};

static inline bool sb_hash_equal(const struct sb_hash *a, const struct sb_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void sb_merkle_leaf(struct sb_slice entry, struct sb_hash *ret);
/* ret may be left or right. */
void sb_merkle_node(const struct sb_hash *left, const struct sb_hash *right, struct sb_hash *ret);

/* The edge.  All zero is the empty tree.  n is the number of set bits of size. */
struct sb_merkle_edge {
    uint64_t size; /* leaves */
    unsigned n;
    struct sb_hash nodes[SB_MERKLE_EDGE_MAX]; /* largest subtree first */
};

/* Called for each node of a tile level as soon as it is complete, in the
 * order of its level: index 0, 1, ...  The leaf itself comes first. */
struct sb_merkle_sink {
    void (*add)(void *ctx, unsigned level, uint64_t index, const struct sb_hash *node);
    void *ctx;
};

/* sink may be NULL. */
void sb_merkle_append(struct sb_merkle_edge *edge, const struct sb_hash *leaf,
                      const struct sb_merkle_sink *sink);
/* Of the empty tree: SHA-256 of nothing. */
void sb_merkle_root(const struct sb_merkle_edge *edge, struct sb_hash *ret);
/* As bytes: n * 32, largest first (log_head.edge).  SB_EPARSE: bytes are not
 * as long as size says, or size is over the maximum. */
int sb_merkle_edge_read(uint64_t size, struct sb_slice bytes,
                        struct sb_merkle_edge *ret) SB_MUSTCHECK;
/* Borrows edge. */
struct sb_slice sb_merkle_edge_bytes(const struct sb_merkle_edge *edge);

/* Stored nodes: gives nodes first to first + n - 1 of a level; n is at most
 * 256.  Its errors are passed on. */
struct sb_merkle_source {
    int (*read)(void *ctx, unsigned level, uint64_t first, size_t n, struct sb_hash *ret);
    void *ctx;
};

/* The edge that the tree had when it had size leaves. */
int sb_merkle_edge_at(const struct sb_merkle_source *source, uint64_t size,
                      struct sb_merkle_edge *ret) SB_MUSTCHECK;

struct sb_merkle_proof {
    unsigned n;
    struct sb_hash nodes[SB_MERKLE_PROOF_MAX]; /* as on the wire: nearest the leaf first */
};

/* That leaf index is in the tree of size leaves.  SB_EINVAL: index is not
 * below size. */
int sb_merkle_prove_inclusion(const struct sb_merkle_source *source, uint64_t index, uint64_t size,
                              struct sb_merkle_proof *ret) SB_MUSTCHECK;
/* That the first leaves of the tree of new_size leaves are the tree of
 * old_size.  Empty when the sizes are equal or old_size is 0.  SB_EINVAL:
 * old_size is over new_size. */
int sb_merkle_prove_consistency(const struct sb_merkle_source *source, uint64_t old_size,
                                uint64_t new_size, struct sb_merkle_proof *ret) SB_MUSTCHECK;

/* SB_EHASH: the proof does not prove it. */
int sb_merkle_verify_inclusion(const struct sb_hash *leaf, uint64_t index, uint64_t size,
                               const struct sb_merkle_proof *proof,
                               const struct sb_hash *root) SB_MUSTCHECK;
/* With the empty tree everything is consistent; two trees of one size, when
 * their roots are the same. */
int sb_merkle_verify_consistency(uint64_t old_size, const struct sb_hash *old_root,
                                 uint64_t new_size, const struct sb_hash *new_root,
                                 const struct sb_merkle_proof *proof) SB_MUSTCHECK;
