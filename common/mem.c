/* common/mem.c */
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#ifdef SB_TEST_BUILD
static _Thread_local unsigned long fail_in;

static int must_fail(void)
{
    return fail_in > 0 && --fail_in == 0;
}

void sb_mem_fail_nth(unsigned long n)
{
    fail_in = n;
}
#else
static int must_fail(void)
{
    return 0;
}

void sb_mem_fail_nth(unsigned long n)
{
    (void)n;
}
#endif

void *sb_mem_new(size_t size)
{
    void *p = calloc(1, size);

    SB_BUG_ON(p == NULL);
    return p;
}

void *sb_mem_try(size_t size)
{
    return must_fail() ? NULL : calloc(1, size);
}

void *sb_mem_resize(void *p, size_t size)
{
    return must_fail() ? NULL : realloc(p, size);
}

char *sb_mem_strdup(const char *text)
{
    size_t n = strlen(text) + 1;

    return memcpy(sb_mem_new(n), text, n);
}

void sb_mem_free(void *p)
{
    free(p);
}
