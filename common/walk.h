/* common/walk.h - a cursor over JSON text that was validated before.
 *
 * For what lies inside a text that common/splice.h has scanned: it steps over
 * strings and nested values without reading them, so it costs a fraction of
 * another scan.  On text that is not valid JSON it finds nonsense, but never
 * reads beyond the end.  Names and strings are given as written: one with an
 * escape in it differs from its plain spelling.
 *
 *      struct sb_walk walk = sb_walk_into(object);
 *      while (sb_walk_member(&walk, &name, &value))
 *          ...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/slice.h"

struct sb_walk {
    const char *p, *end;
};

enum { SB_WALK_SHORT = 16 }; /* bytes */

static inline const char *sb_walk_skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* From an opening quote to behind the closing one.  Most strings are names and
 * roles, shorter than a call of memchr() is worth. */
static inline const char *sb_walk_skip_string(const char *p, const char *end)
{
    const char *start = ++p;
    const char *near = end - p > SB_WALK_SHORT ? p + SB_WALK_SHORT : end;

    for (; p < near && *p != '\\'; p++) {
        if (*p == '"')
            return p + 1;
    }
    while (p < end) {
        const char *quote = memchr(p, '"', (size_t)(end - p)), *slash = quote;

        if (quote == NULL)
            break;
        while (slash > start && slash[-1] == '\\')
            slash--;
        p = quote + 1;
        if (((quote - slash) & 1) == 0) /* an even number of backslashes escapes themselves */
            return p;
    }
    return end;
}

static inline const char *sb_walk_skip_nested(const char *p, const char *end)
{
    unsigned depth = 0;

    while (p < end) {
        switch (*p) {
        case '"':
            p = sb_walk_skip_string(p, end);
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0)
                return p + 1;
            break;
        default:
            break;
        }
        p++;
    }
    return end;
}

/* From the first byte of a value to behind its last. */
static inline const char *sb_walk_skip_value(const char *p, const char *end)
{
    if (p < end && *p == '"')
        return sb_walk_skip_string(p, end);
    if (p < end && (*p == '{' || *p == '['))
        return sb_walk_skip_nested(p, end);
    while (p < end && *p != ',' && *p != ']' && *p != '}' && (unsigned char)*p > ' ')
        p++;
    return p;
}

/* The inside of an object or array. */
static inline struct sb_walk sb_walk_into(struct sb_slice value)
{
    return (struct sb_walk){.p = value.p + 1, .end = value.p + value.n};
}

/* Past a comma, when there is one. */
static inline const char *sb_walk_skip_comma(const char *p, const char *end)
{
    p = sb_walk_skip_space(p, end);
    return p < end && *p == ',' ? sb_walk_skip_space(p + 1, end) : p;
}

/* The next element of an array that was entered. */
static inline bool sb_walk_element(struct sb_walk *c, struct sb_slice *ret_value)
{
    const char *start = sb_walk_skip_comma(c->p, c->end);

    if (start >= c->end || *start == ']')
        return false;
    c->p = sb_walk_skip_value(start, c->end);
    *ret_value = sb_slice_make(start, (size_t)(c->p - start));
    return true;
}

/* The next member of an object that was entered; the name as written. */
static inline bool sb_walk_member(struct sb_walk *c, struct sb_slice *ret_name,
                                  struct sb_slice *ret_value)
{
    const char *name = sb_walk_skip_comma(c->p, c->end), *behind, *value;

    if (name >= c->end || *name != '"')
        return false;
    behind = sb_walk_skip_string(name, c->end);
    value = sb_walk_skip_space(behind, c->end);
    if (value < c->end && *value == ':')
        value = sb_walk_skip_space(value + 1, c->end);
    c->p = sb_walk_skip_value(value, c->end);
    *ret_name = sb_slice_make(name + 1, (size_t)(behind - name) - 2);
    *ret_value = sb_slice_make(value, (size_t)(c->p - value));
    return true;
}
