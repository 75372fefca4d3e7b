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

/* --- depth first ---------------------------------------------------------------
 *
 * One cursor for all levels, so that nothing is stepped over twice:
 *
 *      if (sb_walk_open(&walk))
 *          while (sb_walk_name(&walk, &name))
 *              if (wanted(name) && sb_walk_open(&walk)) ... its members, likewise
 *              else value = sb_walk_value(&walk);
 */

/* Steps into the object or array at the cursor; false when it is another
 * value. */
static inline bool sb_walk_open(struct sb_walk *walk)
{
    walk->p = sb_walk_skip_space(walk->p, walk->end);
    if (walk->p >= walk->end || (*walk->p != '{' && *walk->p != '['))
        return false;
    walk->p++;
    return true;
}

/* Whether another element follows; steps out of the array when none does. */
static inline bool sb_walk_more(struct sb_walk *walk)
{
    walk->p = sb_walk_skip_comma(walk->p, walk->end);
    if (walk->p < walk->end && *walk->p != ']' && *walk->p != '}')
        return true;
    if (walk->p < walk->end)
        walk->p++;
    return false;
}

/* The next name; its value is to be taken or opened.  Steps out of the object
 * when there is none. */
static inline bool sb_walk_name(struct sb_walk *walk, struct sb_slice *ret_name)
{
    const char *name;

    if (!sb_walk_more(walk))
        return false;
    name = walk->p;
    walk->p = sb_walk_skip_string(name, walk->end);
    *ret_name = sb_slice_make(name + 1, (size_t)(walk->p - name) - 2);
    walk->p = sb_walk_skip_space(walk->p, walk->end);
    if (walk->p < walk->end && *walk->p == ':')
        walk->p = sb_walk_skip_space(walk->p + 1, walk->end);
    return true;
}

static inline struct sb_slice sb_walk_value(struct sb_walk *walk)
{
    const char *start = walk->p;

    walk->p = sb_walk_skip_value(start, walk->end);
    return sb_slice_make(start, (size_t)(walk->p - start));
}
