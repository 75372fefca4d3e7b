/* dataplane/route/warnings.h - what was accepted but not served as asked; goes
 * into the metadata of the answer. */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_arena;

enum { DP_WARNINGS_MAX = 16 };

struct dp_warnings {
    struct sb_slice text[DP_WARNINGS_MAX]; /* from the arena */
    uint32_t n;                            /* all there were; those beyond the end have no text */
};

/* Adds one, when there is room. */
void dp_warnings_add(struct dp_warnings *warnings, struct sb_arena *arena, const char *fmt, ...)
    SB_PRINTF(3, 4);
