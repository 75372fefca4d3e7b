/* common/mem.h - allocation.  Nothing else in the tree calls malloc(). */
#pragma once

#include <stddef.h>

#include "common/attr.h"

/* Zeroed block of a fixed, small size; aborts when there is none.  Never
 * call it with a size that a peer chose: use sb_mem_try() there. */
void *sb_mem_new(size_t size) __attribute__((returns_nonnull));
/* Zeroed block or NULL.  For sizes that come from outside, after a check
 * against a named limit. */
void *sb_mem_try(size_t size) SB_MUSTCHECK;
/* Grows or shrinks a block; new bytes are not zeroed.  NULL on failure, and
 * the old block stays valid. */
void *sb_mem_resize(void *p, size_t size) SB_MUSTCHECK;
/* A copy of a NUL-terminated string of our own; aborts as sb_mem_new(). */
char *sb_mem_strdup(const char *text) __attribute__((returns_nonnull));
void sb_mem_free(void *p);

/* Tests only: the n-th allocation from now on fails once (1 = the next); 0
 * switches it off. */
void sb_mem_fail_nth(unsigned long n);
