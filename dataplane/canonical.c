/* dataplane/canonical.c */
#include "dataplane/canonical.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/splice.h"

struct named {
    struct sb_slice name; /* unescaped */
    const struct sb_splice_member *member;
};

/* Of one level at a time, so that many small objects take no more memory than
 * one. */
struct level {
    struct sb_splice_member members[SB_SPLICE_MEMBERS];
    struct named sorted[SB_SPLICE_MEMBERS];
};

struct writer {
    char *at;
    struct sb_arena *arena;
    struct level *levels[DP_CANONICAL_DEPTH]; /* NULL until there is one so deep */
};

static void put(struct writer *out, char c)
{
    *out->at++ = c;
}

static void put_bytes(struct writer *out, struct sb_slice bytes)
{
    if (bytes.n > 0)
        memcpy(out->at, bytes.p, bytes.n);
    out->at += bytes.n;
}

static void put_string(struct writer *out, struct sb_slice text)
{
    static const char hex[] = "0123456789abcdef";

    put(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        const char *brief = c >= '\b' && c <= '\r' && c != '\v' ? &"btn.fr"[c - '\b'] : NULL;

        if (c == '"' || c == '\\') {
            put(out, '\\');
            put(out, (char)c);
        } else if (brief != NULL) {
            put(out, '\\');
            put(out, *brief);
        } else if (c < 0x20) {
            put_bytes(out, SB_SLICE_LIT("\\u00"));
            put(out, hex[c >> 4]);
            put(out, hex[c & 15]);
        } else {
            put(out, (char)c);
        }
    }
    put(out, '"');
}

/* A member's name without its quotes: they stand around it in the text. */
static int name_of(const struct sb_splice *doc, const struct sb_splice_member *member,
                   struct sb_arena *arena, struct sb_slice *ret_name)
{
    struct sb_slice quoted = sb_slice_make(doc->text.p + member->name - 1, member->name_n + 2U);

    return sb_splice_get_string(quoted, arena, ret_name);
}

static int compare(struct sb_slice a, struct sb_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Objects that people write are short, and sorted more often than not. */
static int sort_members(const struct sb_splice *doc, struct sb_arena *arena, struct named *sorted)
{
    for (uint32_t i = 0; i < doc->n; i++) {
        struct named one = {.member = &doc->members[i]};
        uint32_t at = i;
        int rc = name_of(doc, one.member, arena, &one.name);

        if (rc != SB_OK)
            return rc;
        for (; at > 0 && compare(sorted[at - 1].name, one.name) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = one;
    }
    return SB_OK;
}

static int put_value(struct writer *out, struct sb_slice value, unsigned depth);

static int put_object(struct writer *out, const struct sb_splice *doc, unsigned depth)
{
    struct named *sorted = out->levels[depth]->sorted;
    int rc = sort_members(doc, out->arena, sorted);

    put(out, '{');
    for (uint32_t i = 0; rc == SB_OK && i < doc->n; i++) {
        if (i > 0)
            put(out, ',');
        put_string(out, sorted[i].name);
        put(out, ':');
        rc = put_value(out, sb_splice_value(doc, sorted[i].member), depth + 1);
    }
    put(out, '}');
    return rc;
}

static int put_array(struct writer *out, const struct sb_splice *doc, unsigned depth)
{
    int rc = SB_OK;

    put(out, '[');
    for (uint32_t i = 0; rc == SB_OK && i < doc->n; i++) {
        if (i > 0)
            put(out, ',');
        rc = put_value(out, sb_splice_value(doc, &doc->members[i]), depth + 1);
    }
    put(out, ']');
    return rc;
}

static int put_nested(struct writer *out, struct sb_slice value, unsigned depth)
{
    struct sb_splice doc;
    int rc;

    if (depth == DP_CANONICAL_DEPTH)
        return SB_ETOOBIG;
    if (out->levels[depth] == NULL)
        out->levels[depth] = sb_arena_alloc_raw(out->arena, sizeof(struct level));
    sb_splice_init(&doc, out->levels[depth]->members, SB_SPLICE_MEMBERS);
    rc = sb_splice_scan(&doc, value, SB_SPLICE_DEPTH, NULL);
    if (rc != SB_OK)
        return rc;
    if (doc.count > doc.n)
        return SB_ETOOBIG;
    return doc.type == SB_SPLICE_OBJECT ? put_object(out, &doc, depth)
                                        : put_array(out, &doc, depth);
}

static int put_value(struct writer *out, struct sb_slice value, unsigned depth)
{
    enum sb_splice_type type = sb_splice_type_of(value);
    struct sb_slice text;
    int rc;

    if (type == SB_SPLICE_OBJECT || type == SB_SPLICE_ARRAY)
        return put_nested(out, value, depth);
    if (type != SB_SPLICE_STRING) {
        put_bytes(out, value);
        return SB_OK;
    }
    rc = sb_splice_get_string(value, out->arena, &text);
    if (rc == SB_OK)
        put_string(out, text);
    return rc;
}

int dp_canonical(struct sb_slice value, size_t max, struct sb_arena *arena,
                 struct sb_slice *ret_text)
{
    struct writer out = {.arena = arena};
    char *text;
    int rc;

    if (value.n > max)
        return SB_ETOOBIG;
    /* An escape is never shorter than what stands for it here. */
    text = sb_arena_alloc_raw(arena, value.n + 2);
    out.at = text;
    rc = put_value(&out, value, 0);
    if (rc == SB_OK)
        *ret_text = sb_slice_make(text, (size_t)(out.at - text));
    return rc;
}
