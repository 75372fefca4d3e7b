/* tests/fuzz/controlplane/fuzz_models_list.c - whatever a provider says it offers.
 *
 * Every model that is given is found again by its name, and its prices are
 * none or not negative.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/arena.h"
#include "controlplane/probes/models_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_arena *arena = sb_arena_new(4096);
    struct cp_listed *models = NULL;
    struct sb_errmsg err;
    size_t n = 0;

    if (cp_models_read(sb_slice_make(data, size), arena, &models, &n, &err) != SB_OK)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct cp_listed *found = cp_models_find(models, n, models[i].id);

        if (found == NULL || !sb_slice_eq(found->id, models[i].id))
            abort();
        for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
            if (models[i].price[kind] < -1)
                abort();
    }
    sb_arena_destroy(&arena);
    return 0;
}
