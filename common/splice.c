/* common/splice.c - the scan; the rest of the contract is in splice_edit.c. */
#include "common/splice.h"

#include <stdlib.h>
#include <string.h>

/* SB_SPLICE_SCALAR: leave the vector instructions out, to test the fallback. */
#if defined(__SSE2__) && !defined(SB_SPLICE_SCALAR)
#define USE_SSE2 1
#include <emmintrin.h>
#else
#define USE_SSE2 0
#endif

#include "common/check.h"
#include "common/err.h"
#include "common/splice_text.h"

typedef unsigned char byte;

/* A value that a visitor hears of: where it and its name begin. */
struct spot {
    uint32_t name, name_n, value;
};

struct scan {
    struct sb_splice *doc;
    const byte *base, *end;
    struct sb_splice_visitor *visitor;            /* or NULL */
    struct sb_splice_member *current;             /* outermost member being read, or NULL */
    struct sb_splice_member spare;                /* for elements that are not recorded */
    struct spot spots[SB_SPLICE_VISIT_DEPTH + 1]; /* per level behind the first */
    const byte *place;                            /* of the error */
    const char *reason;
    int rc;
    unsigned max_depth;
    unsigned heard; /* deepest level of the current ones that is recorded or told */
    bool escaped;   /* set by a backslash; cleared before a name */
};

/* Always NULL, so that a failed step is one statement. */
static const byte *fail(struct scan *s, int rc, const byte *place, const char *reason)
{
    s->rc = rc;
    s->place = place;
    s->reason = reason;
    return NULL;
}

static const byte *fail_parse(struct scan *s, const byte *place, const char *reason)
{
    return fail(s, SB_EPARSE, place, place < s->end ? reason : "text ends too early");
}

static uint32_t offset_of(const struct scan *s, const byte *p)
{
    return (uint32_t)(p - s->base);
}

static inline const byte *skip_space(const byte *p, const byte *end)
{
    while (p < end && SB_UNLIKELY(*p <= ' ')) {
        if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t')
            break;
        p++;
    }
    return p;
}

/* --- strings --------------------------------------------------------------- */

/* Bytes that stand for themselves in a string: a bit for each. */
static const uint32_t plain_bits[8] = {0, ~(1u << ('"' - 32)), ~(1u << ('\\' - 64)), ~0u};

static inline bool is_plain(byte c)
{
    return (plain_bits[c >> 5] >> (c & 31) & 1) != 0;
}

/* What may follow a backslash, but for 'u'. */
static const bool escapable[256] = {
    ['"'] = 1, ['\\'] = 1, ['/'] = 1, ['b'] = 1, ['f'] = 1, ['n'] = 1, ['r'] = 1, ['t'] = 1};

#if USE_SSE2
/* A bit for each of 16 bytes that is not plain. */
static inline unsigned special_of(const byte *p)
{
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quoting = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));

    /* Signed: bytes beyond ASCII are below a space, too. */
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmplt_epi8(bytes, space), quoting));
}
#endif

/* p is at the backslash; behind the escape, a pair of surrogates as one. */
static const byte *scan_escape(struct scan *s, const byte *p)
{
    const byte *const end = s->end;
    int32_t unit;

    s->escaped = true;
    if (end - p < 2)
        return fail_parse(s, end, "");
    if (escapable[p[1]])
        return p + 2;
    if (p[1] != 'u')
        return fail_parse(s, p, "unknown escape");
    unit = sb_splice_hex4(p + 2, end);
    if (unit < 0)
        return fail_parse(s, p, "malformed \\u escape");
    if (unit < 0xd800 || unit > 0xdfff)
        return p + 6;
    if (unit > 0xdbff || end - p < 8 || p[6] != '\\' || p[7] != 'u')
        return fail_parse(s, p, "half a surrogate pair");
    unit = sb_splice_hex4(p + 8, end);
    if (unit < 0xdc00 || unit > 0xdfff)
        return fail_parse(s, p, "half a surrogate pair");
    return p + 12;
}

/* No longer than needed, no surrogates. */
static inline bool is_three(const byte *p)
{
    return (p[0] & 0xf0) == 0xe0 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 &&
           (p[0] != 0xe0 || p[1] >= 0xa0) && (p[0] != 0xed || p[1] < 0xa0);
}

/* No longer than needed, nothing over U+10FFFF. */
static inline bool is_four(const byte *p)
{
    return (p[0] & 0xf8) == 0xf0 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 &&
           (p[3] & 0xc0) == 0x80 && (p[0] != 0xf0 || p[1] >= 0x90) &&
           (p[0] < 0xf4 || (p[0] == 0xf4 && p[1] < 0x90));
}

/* p is at a byte beyond ASCII; behind all of them that follow each other, or
 * with single others between them, as scripts have spaces. */
static const byte *scan_utf8(struct scan *s, const byte *p)
{
    const byte *const end = s->end;

    while (end - p >= 4) { /* so that all that a character can have is there */
        if (p[0] < 0x80) {
            if (p[1] < 0x80 || !is_plain(p[0]))
                return p;
            p++;
        } else if (p[0] >= 0xc2 && p[0] < 0xe0 && (p[1] & 0xc0) == 0x80) {
            p += 2;
        } else if (is_three(p)) {
            p += 3;
        } else if (is_four(p)) {
            p += 4;
        } else {
            return fail_parse(s, p, "not UTF-8");
        }
    }
    while (p < end && p[0] >= 0x80) {
        if (end - p >= 2 && p[0] >= 0xc2 && p[0] < 0xe0 && (p[1] & 0xc0) == 0x80)
            p += 2;
        else if (end - p >= 3 && is_three(p))
            p += 3;
        else
            return fail_parse(s, p, "not UTF-8");
    }
    return p;
}

/* p is at a byte that is not plain, and not a quote. */
static const byte *scan_special(struct scan *s, const byte *p)
{
    if (*p == '\\')
        return scan_escape(s, p);
    if (*p >= 0x80)
        return scan_utf8(s, p);
    return fail_parse(s, p, "control character in a string");
}

#if USE_SSE2
/* One letter beyond ASCII before one that is not; a text full of those is
 * faster elsewhere. */
static inline bool is_lone_pair(const byte *p)
{
    return p[0] >= 0xc2 && p[0] < 0xe0 && (p[1] & 0xc0) == 0x80 && p[2] < 0x80;
}

/* Goes on as long as there are 16 bytes; stops at a quote, near the end, or
 * with NULL. */
static inline const byte *scan_blocks(struct scan *s, const byte *p)
{
    const byte *const end = s->end;

    while (end - p >= 16) {
        unsigned mask = special_of(p);
        const byte *at = p + 16;

        while (mask != 0) {
            unsigned i = (unsigned)__builtin_ctz(mask);

            at = p + i;
            if (*at == '"')
                return at;
            /* Text is full of \n and \", and has a letter with an accent now and then: they need
             * not leave the block. */
            if (*at == '\\' && i < 15 && escapable[at[1]]) {
                s->escaped = true;
            } else if (i >= 14 || !is_lone_pair(at)) {
                at = scan_special(s, at);
                if (SB_UNLIKELY(at == NULL))
                    return NULL;
                break;
            }
            mask &= ~(3u << i);
            at = p + 16;
        }
        p = at;
    }
    return p;
}
#endif

/* p is behind the opening quote; gives the place of the closing one. */
__attribute__((always_inline)) static inline const byte *scan_string(struct scan *s, const byte *p)
{
    const byte *const end = s->end;

#if USE_SSE2
    p = scan_blocks(s, p);
    if (SB_UNLIKELY(p == NULL))
        return NULL;
#endif
    for (;;) {
        while (p < end && is_plain(*p))
            p++;
        if (SB_UNLIKELY(p == end))
            return fail_parse(s, p, "");
        if (*p == '"')
            return p;
        p = scan_special(s, p);
        if (SB_UNLIKELY(p == NULL))
            return NULL;
    }
}

/* --- numbers and words ----------------------------------------------------- */

static inline bool is_digit_or_minus(byte c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

static inline bool is_digit(const byte *p, const byte *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

static const byte *scan_number(struct scan *s, const byte *p)
{
    const byte *const start = p, *const end = s->end;
    const byte *exponent = NULL;

    p += *p == '-' ? 1 : 0;
    if (!is_digit(p, end))
        return fail_parse(s, p, "digit expected");
    if (*p == '0') {
        p++;
        if (is_digit(p, end))
            return fail_parse(s, p, "number with a leading zero");
    }
    while (is_digit(p, end))
        p++;
    if (p < end && *p == '.') {
        p++;
        if (!is_digit(p, end))
            return fail_parse(s, p, "digit expected");
        while (is_digit(p, end))
            p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-') ? 1 : 0;
        exponent = p;
        if (!is_digit(p, end))
            return fail_parse(s, p, "digit expected");
        while (is_digit(p, end))
            p++;
    }
    /* What is short enough cannot be too big. */
    if (SB_UNLIKELY(p - start > 200 || (exponent != NULL && p - exponent > 2)) &&
        !sb_splice_is_finite((const char *)start, (const char *)p))
        return fail_parse(s, start, "number out of range");
    return p;
}

static const byte *scan_word(struct scan *s, const byte *p)
{
    const char *word = *p == 't' ? "true" : *p == 'f' ? "false" : *p == 'n' ? "null" : "";
    size_t n = strlen(word);

    if (n == 0)
        return fail_parse(s, p, "value expected");
    for (size_t i = 1; i < n; i++) {
        if (p + i == s->end || p[i] != (byte)word[i])
            return fail_parse(s, p + i, "unknown word");
    }
    return p + n;
}

/* --- the outermost level --------------------------------------------------- */

/* Both away from add_member(), for the room that they need. */
__attribute__((noinline)) static uint32_t hash_escaped(struct sb_slice name)
{
    char unescaped[SB_SPLICE_NAME_BYTES];

    return sb_splice_hash(sb_slice_make(unescaped, sb_splice_unescape(name, unescaped)));
}

__attribute__((noinline)) static bool is_same_name(const struct sb_splice *doc,
                                                   const struct sb_splice_member *a,
                                                   const struct sb_splice_member *b)
{
    struct sb_slice name = sb_splice_name(doc, b);
    char unescaped[SB_SPLICE_NAME_BYTES];

    if (b->name_escaped)
        name = sb_slice_make(unescaped, sb_splice_unescape(name, unescaped));
    return sb_splice_name_is(doc, a, name);
}

/* The name between start and stop; NULL when it cannot be recorded. */
static inline const byte *add_member(struct scan *s, const byte *start, const byte *stop)
{
    struct sb_splice *doc = s->doc;
    struct sb_splice_member *member = &doc->members[doc->n];
    struct sb_slice name = sb_slice_make(start, (size_t)(stop - start));

    if (doc->n == doc->max)
        return fail(s, SB_ETOOBIG, start - 1, "too many members");
    if (name.n > SB_SPLICE_NAME_BYTES)
        return fail(s, SB_ETOOBIG, start - 1, "member name too long");
    member->name = offset_of(s, start);
    member->name_n = (uint32_t)name.n;
    member->name_escaped = s->escaped;
    member->hash = SB_UNLIKELY(s->escaped) ? hash_escaped(name) : sb_splice_hash(name);
    for (const struct sb_splice_member *other = doc->members; other < member; other++) {
        if (SB_UNLIKELY(other->hash == member->hash) && is_same_name(doc, other, member)) {
            s->current = member; /* for the error to name it */
            return fail(s, SB_EEXIST, start - 1, "doubled member name");
        }
    }
    doc->n++;
    doc->count++;
    s->current = member;
    return stop;
}

/* The name of a value of a level behind the first. */
static inline void note_name(struct scan *s, unsigned depth, const byte *start, const byte *stop)
{
    s->spots[depth].name = offset_of(s, start);
    s->spots[depth].name_n = (uint32_t)(stop - start);
}

/* closing: the bracket that ends what the value lies in. */
static inline void begin_value(struct scan *s, const byte *p, unsigned depth, byte closing)
{
    struct sb_splice *doc = s->doc;

    if (depth > 1) {
        s->spots[depth].value = offset_of(s, p);
        return;
    }
    if (closing == ']') {
        s->current = doc->n < doc->max ? &doc->members[doc->n++] : &s->spare;
        *s->current = (struct sb_splice_member){.name = 0};
        doc->count++;
    }
    s->current->value = offset_of(s, p);
    s->current->type = (uint8_t)sb_splice_type_of(sb_slice_make(p, 1));
}

static inline void end_value(struct scan *s, const byte *p, unsigned depth)
{
    const struct spot *spot = &s->spots[depth];

    if (depth == 1)
        s->current->value_n = offset_of(s, p) - s->current->value;
    else
        s->visitor->value(s->visitor, depth, sb_slice_make(s->base + spot->name, spot->name_n),
                          sb_slice_make(s->base + spot->value, offset_of(s, p) - spot->value));
}

/* p: at the bracket of a value that is recorded or told.  Whether the visitor
 * wants to hear of its inside. */
static bool is_wanted(struct scan *s, const byte *p, unsigned depth)
{
    struct sb_slice name;

    if (depth == 1)
        name = sb_slice_make(s->base + s->current->name, s->current->name_n);
    else
        name = sb_slice_make(s->base + s->spots[depth].name, s->spots[depth].name_n);
    return s->visitor->open(s->visitor, depth, name,
                            *p == '{' ? SB_SPLICE_OBJECT : SB_SPLICE_ARRAY);
}

/* A value that lies in `depth` others begins a level of its own. */
static inline void open_level(struct scan *s, const byte *p, unsigned depth)
{
    if (s->visitor == NULL || depth - 1 >= s->heard || depth >= SB_SPLICE_VISIT_DEPTH ||
        !is_wanted(s, p, depth))
        return;
    s->heard = depth + 1;
    s->spots[depth + 1] = (struct spot){.name = 0};
}

/* A whole value, whatever is inside; behind it, or NULL. */
static const byte *scan_value(struct scan *s, const byte *p)
{
    const byte *const end = s->end;
    byte closing[SB_SPLICE_DEPTH_MAX + 1]; /* per level: the bracket that ends it */
    unsigned depth = 0;
    const byte *name;

value:
    p = skip_space(p, end);
    if (SB_UNLIKELY(p == end))
        return fail_parse(s, p, "");
    if (depth - 1 < s->heard) /* not the outermost value itself */
        begin_value(s, p, depth, closing[depth]);
    if (*p == '"') {
        p = scan_string(s, p + 1);
        if (SB_UNLIKELY(p == NULL))
            return NULL;
        p++;
    } else if (*p == '{' || *p == '[') {
        if (SB_UNLIKELY(depth == s->max_depth))
            return fail(s, SB_ETOOBIG, p, "nested too deep");
        if (depth == 0)
            s->doc->open = offset_of(s, p);
        open_level(s, p, depth);
        closing[++depth] = *p == '{' ? '}' : ']';
        p = skip_space(p + 1, end);
        if (p < end && *p == closing[depth])
            goto close;
        if (closing[depth] == '}')
            goto name;
        goto value;
    } else {
        p = is_digit_or_minus(*p) ? scan_number(s, p) : scan_word(s, p);
        if (SB_UNLIKELY(p == NULL))
            return NULL;
    }
after:
    if (depth == 0)
        return p;
    if (depth <= s->heard)
        end_value(s, p, depth);
    p = skip_space(p, end);
    if (SB_UNLIKELY(p == end))
        return fail_parse(s, p, "");
    if (depth == 1)
        s->current->end = offset_of(s, p);
    if (*p == closing[depth]) {
    close:
        if (depth == 1)
            s->doc->close = offset_of(s, p);
        else if (depth == s->heard)
            s->heard = depth - 1;
        depth--;
        p++;
        goto after;
    }
    if (SB_UNLIKELY(*p != ','))
        return fail_parse(s, p, "comma or closing bracket expected");
    p++;
    if (depth == 1)
        s->current = NULL;
    if (closing[depth] == ']')
        goto value;
name:
    p = skip_space(p, end);
    if (SB_UNLIKELY(p == end || *p != '"'))
        return fail_parse(s, p, "member name expected");
    name = p + 1;
    s->escaped = false;
    p = scan_string(s, name);
    if (SB_UNLIKELY(p == NULL) || (depth == 1 && add_member(s, name, p) == NULL))
        return NULL;
    if (depth - 2 < s->heard - 1)
        note_name(s, depth, name, p);
    p = skip_space(p + 1, end);
    if (SB_UNLIKELY(p == end || *p != ':'))
        return fail_parse(s, p, "colon expected");
    p++;
    goto value;
}

void sb_splice_init(struct sb_splice *doc, struct sb_splice_member *members, uint32_t max)
{
    *doc = (struct sb_splice){.members = members, .max = max};
}

static int report(const struct scan *s, struct sb_splice_error *ret_error)
{
    if (ret_error == NULL)
        return s->rc;
    *ret_error =
        (struct sb_splice_error){.offset = (size_t)(s->place - s->base), .reason = s->reason};
    if (s->current != NULL && s->current->name_n > 0)
        ret_error->member = sb_splice_name(s->doc, s->current);
    return s->rc;
}

int sb_splice_visit(struct sb_splice *doc, struct sb_slice text, unsigned max_depth,
                    struct sb_splice_visitor *visitor, struct sb_splice_error *ret_error)
{
    const byte *p = (const byte *)(text.n > 0 ? text.p : "");
    struct scan s;

    SB_BUG_ON(max_depth > SB_SPLICE_DEPTH_MAX);
    s.doc = doc;
    s.base = p;
    s.end = p + text.n;
    s.visitor = visitor;
    s.current = NULL;
    s.max_depth = max_depth;
    s.heard = 1;
    s.escaped = false;
    doc->text = text;
    doc->n = doc->count = doc->open = doc->close = 0;
    if (text.n > UINT32_MAX) {
        (void)fail(&s, SB_ETOOBIG, p, "text of 4 GiB or more");
        return report(&s, ret_error);
    }
    p = skip_space(p, s.end);
    doc->type = p < s.end ? sb_splice_type_of(sb_slice_make(p, 1)) : SB_SPLICE_NULL;
    p = scan_value(&s, p);
    s.current = p != NULL ? NULL : s.current;
    p = p != NULL ? skip_space(p, s.end) : NULL;
    if (p != NULL && p < s.end)
        p = fail_parse(&s, p, "more text behind the value");
    return p != NULL ? SB_OK : report(&s, ret_error);
}

int sb_splice_scan(struct sb_splice *doc, struct sb_slice text, unsigned max_depth,
                   struct sb_splice_error *ret_error)
{
    return sb_splice_visit(doc, text, max_depth, NULL, ret_error);
}

bool sb_splice_is_inside(struct sb_slice inside)
{
    const byte *p = (const byte *)inside.p;
    struct scan s;

    s.base = p;
    s.end = p + inside.n + 1;
    return scan_string(&s, p) == p + inside.n;
}
