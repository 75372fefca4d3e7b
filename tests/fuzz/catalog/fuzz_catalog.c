/* tests/fuzz/controlplane/fuzz_catalog.c - whatever somebody applies.
 *
 * What is read without a problem has a normal form that reads as itself:
 * otherwise every apply of the same file would change something.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "controlplane/catalog/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The house credential has the provider's problems, and its place. */
static void check_object(const struct cp_object *object, struct sb_arena *arena)
{
    struct cp_problems problems;
    struct cp_catalog *again = NULL;
    yyjson_doc *doc = NULL;

    if (object->json.n == 0)
        return;
    if (sb_json_read(object->json, object->json.n, &doc, NULL) != SB_OK)
        abort();
    sb_json_free(&doc);
    cp_problems_init(&problems, arena);
    if (cp_catalog_read_object(object->kind, object->name, object->json, arena, &problems,
                               &again) != SB_OK ||
        problems.n > 0 || again->n[object->kind] != 1 ||
        !sb_slice_eq(again->objects[object->kind][0].json, object->json))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_arena *arena = sb_arena_new(4096);
    struct cp_catalog *catalog = NULL;
    struct cp_problems problems;
    int rc;

    cp_problems_init(&problems, arena);
    rc = cp_catalog_read(sb_slice_make(data, size), CP_DOC_AUTO, arena, &problems, &catalog);
    if ((rc != SB_OK) != (catalog == NULL) || (rc == SB_EINVAL && problems.n == 0))
        abort();
    for (int kind = 0; rc == SB_OK && problems.n == 0 && kind < CP_KINDS; kind++)
        for (size_t i = 0; i < catalog->n[kind]; i++)
            check_object(&catalog->objects[kind][i], arena);
    sb_arena_destroy(&arena);
    return 0;
}
