/* controlplane/catalog/problem.c */
#include "controlplane/catalog/problem.h"

#include <stdarg.h>
#include <stdio.h>

void cp_problems_init(struct cp_problems *problems, struct sb_arena *arena)
{
    *problems = (struct cp_problems){.arena = arena};
}

void cp_problems_add(struct cp_problems *problems, struct sb_slice path, unsigned line,
                     const char *fmt, ...)
{
    char text[1024];
    struct cp_problem *problem;
    va_list ap;

    if (++problems->n > CP_PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    problem = sb_arena_alloc(problems->arena, sizeof(*problem));
    problem->path = sb_arena_dup(problems->arena, path);
    problem->problem = line != 0 ? sb_arena_printf(problems->arena, "%s (line %u)", text, line)
                                 : sb_arena_dup(problems->arena, sb_slice_of(text));
    if (problems->last != NULL)
        problems->last->next = problem;
    else
        problems->first = problem;
    problems->last = problem;
}
