/* tests/sim/query.h - "a=1&b=2"; names and values of ours need no decoding. */
#pragma once

#include <stdbool.h>

#include "common/slice.h"

/* Takes the next pair off the front of the query; false when none is left. */
static inline bool sim_query_next(struct sb_slice *query, struct sb_slice *ret_name,
                                  struct sb_slice *ret_value)
{
    size_t n, equals;

    while (query->n > 0 && query->p[0] == '&')
        *query = sb_slice_from(*query, 1);
    if (query->n == 0)
        return false;
    n = sb_slice_find(*query, '&');
    *ret_name = sb_slice_make(query->p, n);
    equals = sb_slice_find(*ret_name, '=');
    *ret_value = equals < n ? sb_slice_make(query->p + equals + 1, n - equals - 1) : SB_SLICE_NONE;
    ret_name->n = equals;
    *query = sb_slice_from(*query, n);
    return true;
}
