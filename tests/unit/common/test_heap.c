/* tests/unit/common/test_heap.c */
#include "common/heap.h"

#include "tests/lib/random.h"
#include "tests/lib/test.h"

enum { NODES = 300, STEPS = 200000 };

static struct sb_heap_node nodes[NODES];

static uint64_t smallest_key(void)
{
    uint64_t key = UINT64_MAX;

    for (int i = 0; i < NODES; i++) {
        if (nodes[i].queued && nodes[i].key < key)
            key = nodes[i].key;
    }
    return key;
}

static void the_root_is_always_the_smallest(void **state)
{
    struct sb_heap heap = {NULL};
    uint64_t seed = 1;

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        struct sb_heap_node *node = &nodes[random_below(&seed, NODES)];

        if (!node->queued)
            sb_heap_insert(&heap, node, random_below(&seed, 1000));
        else if (random_below(&seed, 2) == 0)
            sb_heap_decrease(&heap, node, random_below(&seed, node->key + 1));
        else if (random_below(&seed, 2) == 0)
            sb_heap_remove(&heap, node);
        else
            sb_heap_remove(&heap, heap.root);
        if (heap.root != NULL)
            assert_true(heap.root->key == smallest_key());
        else
            assert_true(smallest_key() == UINT64_MAX);
    }
    while (heap.root != NULL) {
        assert_true(heap.root->key == smallest_key());
        sb_heap_remove(&heap, heap.root);
    }
    assert_true(smallest_key() == UINT64_MAX);
}

static void sorted_input_comes_out_sorted(void **state)
{
    struct sb_heap heap = {NULL};

    (void)state;
    for (uint64_t i = 0; i < NODES; i++)
        sb_heap_insert(&heap, &nodes[i], i);
    for (uint64_t i = 0; i < NODES; i++) {
        assert_true(heap.root == &nodes[i]);
        sb_heap_remove(&heap, heap.root);
    }
    assert_null(heap.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_is_always_the_smallest),
        cmocka_unit_test(sorted_input_comes_out_sorted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
