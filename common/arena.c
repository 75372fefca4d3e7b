/* common/arena.c */
#include "common/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"

enum {
    ALIGN = alignof(max_align_t),
    /* Requests over this share of a block get a block of their own. */
    BIG_SHARE = 4,
};

struct block {
    struct block *next;
    size_t size; /* of data */
    alignas(max_align_t) char data[];
};

struct cleanup {
    struct cleanup *next;
    sb_arena_cleanup_cb *run;
    void *ctx;
};

struct sb_arena {
    char *at, *end;           /* room left in the current block */
    struct block *blocks;     /* beyond the first, newest first */
    struct cleanup *cleanups; /* newest first */
    struct sb_arena *next;    /* in a cache */
    size_t first_block;
    size_t held;
    alignas(max_align_t) char first[];
};

struct sb_arena_cache {
    struct sb_arena *idle;
    size_t first_block;
    unsigned n, max;
};

static size_t aligned(size_t size)
{
    return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void reset(struct sb_arena *arena)
{
    arena->at = arena->first;
    arena->end = arena->first + arena->first_block;
    arena->blocks = NULL;
    arena->cleanups = NULL;
    arena->held = arena->first_block;
}

/* Runs the cleanups and frees all but the arena with its first block. */
static void empty(struct sb_arena *arena)
{
    for (struct cleanup *c = arena->cleanups; c != NULL; c = c->next)
        c->run(c->ctx);
    for (struct block *b = arena->blocks, *next; b != NULL; b = next) {
        next = b->next;
        sb_mem_free(b);
    }
}

struct sb_arena *sb_arena_new(size_t first_block)
{
    struct sb_arena *arena;

    first_block = aligned(first_block);
    arena = sb_mem_resize(NULL, sizeof(*arena) + first_block);
    SB_BUG_ON(arena == NULL);
    arena->first_block = first_block;
    arena->next = NULL;
    reset(arena);
    return arena;
}

void sb_arena_destroy(struct sb_arena **arena)
{
    if (*arena == NULL)
        return;
    empty(*arena);
    sb_mem_free(*arena);
    *arena = NULL;
}

static void *alloc_in_new_block(struct sb_arena *arena, size_t size)
{
    size_t normal = arena->first_block > 4096 ? arena->first_block : 4096;
    bool big = size > normal / BIG_SHARE;
    size_t data = big ? size : normal;
    struct block *block;

    if (data > SIZE_MAX - sizeof(*block))
        return NULL;
    block = sb_mem_resize(NULL, sizeof(*block) + data);
    if (block == NULL)
        return NULL;
    block->size = data;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->held += data;
    if (!big) { /* a big one is used up at once; the current block keeps its room */
        arena->at = block->data + size;
        arena->end = block->data + data;
    }
    return block->data;
}

void *sb_arena_try(struct sb_arena *arena, size_t size)
{
    void *p;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = aligned(size);
    if (size > (size_t)(arena->end - arena->at))
        return alloc_in_new_block(arena, size);
    p = arena->at;
    arena->at += size;
    return p;
}

void *sb_arena_alloc_raw(struct sb_arena *arena, size_t size)
{
    void *p = sb_arena_try(arena, size);

    SB_BUG_ON(p == NULL);
    return p;
}

void *sb_arena_alloc(struct sb_arena *arena, size_t size)
{
    return memset(sb_arena_alloc_raw(arena, size), 0, size);
}

struct sb_slice sb_arena_dup(struct sb_arena *arena, struct sb_slice bytes)
{
    char *p = sb_arena_alloc_raw(arena, bytes.n + 1);

    if (bytes.n > 0)
        memcpy(p, bytes.p, bytes.n);
    p[bytes.n] = '\0';
    return sb_slice_make(p, bytes.n);
}

struct sb_slice sb_arena_printf(struct sb_arena *arena, const char *fmt, ...)
{
    va_list ap;
    char *p;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    SB_BUG_ON(n < 0);
    p = sb_arena_alloc_raw(arena, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return sb_slice_make(p, (size_t)n);
}

void sb_arena_on_destroy(struct sb_arena *arena, sb_arena_cleanup_cb *cleanup, void *ctx)
{
    struct cleanup *c = sb_arena_alloc_raw(arena, sizeof(*c));

    *c = (struct cleanup){.next = arena->cleanups, .run = cleanup, .ctx = ctx};
    arena->cleanups = c;
}

size_t sb_arena_held(const struct sb_arena *arena)
{
    return arena->held;
}

struct sb_arena_cache *sb_arena_cache_new(size_t first_block, unsigned max)
{
    struct sb_arena_cache *cache = sb_mem_new(sizeof(*cache));

    cache->first_block = first_block;
    cache->max = max;
    return cache;
}

void sb_arena_cache_destroy(struct sb_arena_cache **cache)
{
    if (*cache == NULL)
        return;
    for (struct sb_arena *a = (*cache)->idle, *next; a != NULL; a = next) {
        next = a->next;
        sb_mem_free(a);
    }
    sb_mem_free(*cache);
    *cache = NULL;
}

struct sb_arena *sb_arena_cache_take(struct sb_arena_cache *cache)
{
    struct sb_arena *arena = cache->idle;

    if (arena == NULL)
        return sb_arena_new(cache->first_block);
    cache->idle = arena->next;
    cache->n--;
    arena->next = NULL;
    return arena;
}

void sb_arena_cache_give(struct sb_arena_cache *cache, struct sb_arena **arena)
{
    struct sb_arena *a = *arena;

    if (a == NULL)
        return;
    if (cache->n >= cache->max) {
        sb_arena_destroy(arena);
        return;
    }
    empty(a);
    reset(a);
    a->next = cache->idle;
    cache->idle = a;
    cache->n++;
    *arena = NULL;
}
