/* common/attr.h - compiler attributes and small idioms, spelled once. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SB_MUSTCHECK         __attribute__((warn_unused_result))
#define SB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SB_NORETURN          _Noreturn
#define SB_LIKELY(x)         __builtin_expect(!!(x), 1)
#define SB_UNLIKELY(x)       __builtin_expect(!!(x), 0)
/* Runs fn(&var) when the variable leaves scope; every *_destroy() fits. */
#define SB_CLEANUP(fn) __attribute__((cleanup(fn)))

#define SB_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The object whose embedded member ptr points to; const where the given type
 * is.  By way of an integer, so that no cast warns about a const ptr. */
#define container_of(ptr, type, member) ((type *)((uintptr_t)(ptr)-offsetof(type, member)))
