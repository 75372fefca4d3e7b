/* dataplane/route/warnings.c */
#include "dataplane/route/warnings.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/arena.h"

void dp_warnings_add(struct dp_warnings *warnings, struct sb_arena *arena, const char *fmt, ...)
{
    char text[256];
    va_list args;
    int n;

    if (warnings->n++ >= DP_WARNINGS_MAX)
        return;
    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof(text))
        n = (int)sizeof(text) - 1;
    warnings->text[warnings->n - 1] = sb_arena_dup(arena, sb_slice_make(text, (size_t)n));
}
