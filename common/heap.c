/* common/heap.c */
#include "common/heap.h"

#include <stddef.h>

#include "common/check.h"

/* Makes the larger of two roots the first child of the other. */
static struct sb_heap_node *meld(struct sb_heap_node *a, struct sb_heap_node *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    if (b->key < a->key) {
        struct sb_heap_node *swap = a;

        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* Cuts the subtree of a node that is not the root out of the heap. */
static void cut(struct sb_heap_node *node)
{
    if (node->prev->child == node)
        node->prev->child = node->next;
    else
        node->prev->next = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

/* Melds a list of siblings: in pairs from left to right, then the pairs from
 * right to left.  That order is what makes removal logarithmic. */
static struct sb_heap_node *meld_siblings(struct sb_heap_node *first)
{
    struct sb_heap_node *pairs = NULL; /* linked by next, the last one first */
    struct sb_heap_node *root = NULL;

    while (first != NULL) {
        struct sb_heap_node *a = first;
        struct sb_heap_node *b = a->next;

        first = b != NULL ? b->next : NULL;
        a->prev = a->next = NULL;
        if (b != NULL)
            b->prev = b->next = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct sb_heap_node *next = pairs->next;

        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void sb_heap_insert(struct sb_heap *heap, struct sb_heap_node *node, uint64_t key)
{
    SB_BUG_ON(node->queued);
    *node = (struct sb_heap_node){.key = key, .queued = true};
    heap->root = meld(heap->root, node);
}

void sb_heap_decrease(struct sb_heap *heap, struct sb_heap_node *node, uint64_t key)
{
    SB_BUG_ON(!node->queued || key > node->key);
    node->key = key;
    if (node == heap->root)
        return;
    cut(node);
    heap->root = meld(heap->root, node);
}

void sb_heap_remove(struct sb_heap *heap, struct sb_heap_node *node)
{
    SB_BUG_ON(!node->queued);
    if (node == heap->root) {
        heap->root = meld_siblings(node->child);
    } else {
        cut(node);
        heap->root = meld(heap->root, meld_siblings(node->child));
    }
    *node = (struct sb_heap_node){.queued = false};
}
