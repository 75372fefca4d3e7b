/* dataplane/dialect.c */
#include "dataplane/dialect.h"

static const struct dp_dialect *const dialects[] = {&dp_dialect_openai};
const char *const dp_dialects[] = {"openai", NULL};

const struct dp_dialect *dp_dialect_find(struct sb_slice name)
{
    for (size_t i = 0; i < SB_ARRAY_LEN(dialects); i++)
        if (sb_slice_is(name, dialects[i]->name))
            return dialects[i];
    return NULL;
}

size_t dp_pieces_body(const struct dp_pieces *pieces)
{
    size_t bytes = 0;

    for (size_t i = DP_PIECES_HEAD; i < pieces->n; i++)
        bytes += pieces->list[i].n;
    return bytes;
}

const char *dp_dialect_names(void)
{
    return "openai";
}
