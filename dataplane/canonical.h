/* dataplane/canonical.h - one spelling of a JSON value, so that it can be
 * hashed: no white space, members sorted by the bytes of their names, strings
 * with no escapes but those that must be.  Numbers stay as they were written.
 */
#pragma once

#include <stddef.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_arena;

enum {
    DP_CANONICAL_DEPTH = 8, /* objects and arrays around the innermost value */
    /* and in each at most SB_SPLICE_MEMBERS members or elements */
};

/* value: JSON text that passed a scan.  Gives text in the arena, never longer
 * than the value.  SB_ETOOBIG: over max bytes, or over the limits above;
 * SB_EEXIST: a name comes twice in one object. */
int dp_canonical(struct sb_slice value, size_t max, struct sb_arena *arena,
                 struct sb_slice *ret_text) SB_MUSTCHECK;
