/* dataplane/route/index.c */
#include "dataplane/route/index.h"

#include "common/arena.h"
#include "common/err.h"

int dp_index_init(struct dp_index *index, struct sb_arena *arena, size_t n)
{
    size_t slots = 8;

    while (slots < 2 * n)
        slots *= 2;
    index->slot = sb_arena_try(arena, slots * sizeof(*index->slot));
    if (index->slot == NULL)
        return SB_ENOMEM;
    memset(index->slot, 0xff, slots * sizeof(*index->slot)); /* DP_NONE everywhere */
    index->mask = (uint32_t)(slots - 1);
    return SB_OK;
}

void dp_index_add(struct dp_index *index, uint32_t hash, uint32_t item)
{
    uint32_t at = hash;

    while (index->slot[at & index->mask].item != DP_NONE)
        at++;
    index->slot[at & index->mask] = (struct dp_index_slot){.hash = hash, .item = item};
}

/* FNV-1a, with the high bits folded in since the low ones choose the slot. */
uint32_t dp_hash_text(struct sb_slice text)
{
    uint32_t hash = UINT32_C(2166136261);

    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (unsigned char)text.p[i]) * UINT32_C(16777619);
    return hash ^ hash >> 15;
}

uint32_t dp_hash_nocase(struct sb_slice text)
{
    uint32_t hash = UINT32_C(2166136261);

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        c |= c >= 'A' && c <= 'Z' ? 0x20 : 0;
        hash = (hash ^ c) * UINT32_C(16777619);
    }
    return hash ^ hash >> 15;
}
