/* common/slice.h - borrowed bytes: a pointer and a length.
 *
 * A slice never owns.  It is valid as long as what it points into; whoever
 * keeps one longer than the call says where the bytes live.  Not terminated:
 * print it with "%.*s" and SB_SLICE_ARGS().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/attr.h"

struct sb_slice {
    const char *p; /* may be NULL when n is 0 */
    size_t n;      /* bytes */
};

#define SB_SLICE_LIT(text) ((struct sb_slice){.p = (text), .n = sizeof(text) - 1})
/* The same for static initialisers. */
#define SB_SLICE_INIT(text)                                                                        \
    {                                                                                              \
        .p = (text), .n = sizeof(text) - 1                                                         \
    }
#define SB_SLICE_NONE        ((struct sb_slice){.p = NULL, .n = 0})
#define SB_SLICE_ARGS(slice) (int)(slice).n, (slice).n > 0 ? (slice).p : ""

static inline struct sb_slice sb_slice_of(const char *text)
{
    return (struct sb_slice){.p = text, .n = text != NULL ? strlen(text) : 0};
}

static inline struct sb_slice sb_slice_make(const void *p, size_t n)
{
    return (struct sb_slice){.p = p, .n = n};
}

static inline bool sb_slice_eq(struct sb_slice a, struct sb_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, b.n) == 0); /* b is mostly a literal */
}

/* ASCII letters compare without case; other bytes as they are. */
static inline bool sb_slice_eq_nocase(struct sb_slice a, struct sb_slice b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

static inline bool sb_slice_is(struct sb_slice a, const char *text)
{
    return sb_slice_eq(a, sb_slice_of(text));
}

static inline bool sb_slice_starts_with(struct sb_slice a, struct sb_slice prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

/* The bytes from offset at on; at may be at most n. */
static inline struct sb_slice sb_slice_from(struct sb_slice a, size_t at)
{
    return (struct sb_slice){.p = a.p + at, .n = a.n - at};
}

/* Index of the first byte c, or n when there is none. */
static inline size_t sb_slice_find(struct sb_slice a, char c)
{
    const char *at = a.n > 0 ? memchr(a.p, c, a.n) : NULL;

    return at != NULL ? (size_t)(at - a.p) : a.n;
}

/* Copies into a fixed array and terminates it; false (and nothing copied)
 * when it does not fit with its NUL. */
static inline bool sb_slice_copy_text(struct sb_slice a, char *text, size_t size)
{
    if (a.n >= size)
        return false;
    if (a.n > 0)
        memcpy(text, a.p, a.n);
    text[a.n] = '\0';
    return true;
}
