/* common/arena.h - memory whose life is one request.
 *
 * Nothing taken from an arena is freed alone; all of it goes at once.  The
 * first block is part of the arena itself, so a small request makes one
 * allocation, or none when its arena comes from an sb_arena_cache.  Not
 * shared between threads.
 *
 *      new -> alloc/dup/printf/on_destroy ... -> destroy (cleanups run last
 *      registered first, then every block goes)
 */
#pragma once

#include <stddef.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_arena;
struct sb_arena_cache;

typedef void sb_arena_cleanup_cb(void *ctx);

/* first_block: bytes at hand without another allocation. */
struct sb_arena *sb_arena_new(size_t first_block);
/* Runs the cleanups, frees everything, sets *arena to NULL (NULL is fine). */
void sb_arena_destroy(struct sb_arena **arena);

/* Zeroed, aligned for any type, of a size that is ours; aborts when memory is
 * gone. */
void *sb_arena_alloc(struct sb_arena *arena, size_t size) __attribute__((returns_nonnull));
/* As above without the zeroing. */
void *sb_arena_alloc_raw(struct sb_arena *arena, size_t size) __attribute__((returns_nonnull));
/* For sizes that a peer chose: NULL when memory is gone.  Not zeroed. */
void *sb_arena_try(struct sb_arena *arena, size_t size) SB_MUSTCHECK;
/* Copies; the result is terminated too, one byte past its length. */
struct sb_slice sb_arena_dup(struct sb_arena *arena, struct sb_slice bytes);
struct sb_slice sb_arena_printf(struct sb_arena *arena, const char *fmt, ...) SB_PRINTF(2, 3);
/* Calls cleanup(ctx) when the arena goes: for files and handles. */
void sb_arena_on_destroy(struct sb_arena *arena, sb_arena_cleanup_cb *cleanup, void *ctx);
/* Bytes held in blocks, the first included. */
size_t sb_arena_held(const struct sb_arena *arena);

/* Keeps up to max arenas that were given back, so that a busy worker does
 * not allocate at all.  Arenas of one cache have one first_block. */
struct sb_arena_cache *sb_arena_cache_new(size_t first_block, unsigned max);
void sb_arena_cache_destroy(struct sb_arena_cache **cache);
struct sb_arena *sb_arena_cache_take(struct sb_arena_cache *cache);
/* Takes the arena as sb_arena_destroy() does, and keeps its first block. */
void sb_arena_cache_give(struct sb_arena_cache *cache, struct sb_arena **arena);
