/* common/heap.h - a priority queue through nodes embedded in its items.
 *
 * A pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986): it needs no
 * memory of its own, so that arming a timer can never fail.  Insert and
 * "make earlier" touch two nodes; removing costs O(log n) amortised.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sb_heap_node {
    uint64_t key;               /* smallest first; changed by sb_heap_ functions only */
    struct sb_heap_node *child; /* first child */
    struct sb_heap_node *next;  /* next sibling */
    struct sb_heap_node *prev;  /* previous sibling, or the parent of a first child */
    bool queued;
};

struct sb_heap {
    struct sb_heap_node *root; /* the smallest key; NULL when empty */
};

/* Queues a node that is not queued. */
void sb_heap_insert(struct sb_heap *heap, struct sb_heap_node *node, uint64_t key);
/* Gives a queued node a key that is not larger than the one it has. */
void sb_heap_decrease(struct sb_heap *heap, struct sb_heap_node *node, uint64_t key);
/* Takes a queued node out. */
void sb_heap_remove(struct sb_heap *heap, struct sb_heap_node *node);
