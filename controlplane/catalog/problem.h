/* controlplane/catalog/problem.h - everything that is wrong with a document, at once.
 *
 * Whoever checks adds what it finds and goes on; who asked looks at the end.
 * The texts are in the arena that the list was made with.
 */
#pragma once

#include <stddef.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/slice.h"

struct cp_problem {
    struct cp_problem *next;
    struct sb_slice path;    /* "endpoints[3].pricing.prompt"; empty: the whole */
    struct sb_slice problem; /* a sentence without a capital and a dot */
};

/* Beyond this many they are only counted. */
enum { CP_PROBLEMS_MAX = 1000 };

struct cp_problems {
    struct sb_arena *arena; /* borrowed */
    struct cp_problem *first, *last;
    size_t n; /* found, also those that are not kept */
};

void cp_problems_init(struct cp_problems *problems, struct sb_arena *arena);
/* Copies both.  line 0: unknown, else it is named in the text. */
void cp_problems_add(struct cp_problems *problems, struct sb_slice path, unsigned line,
                     const char *fmt, ...) SB_PRINTF(4, 5);
