/* common/canon.c */
#include "common/canon.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/mem.h"

enum { WORD = sizeof(uint64_t) };

static const char hex[] = "0123456789abcdef";

static bool is_special(unsigned char c)
{
    return c < ' ' || c == '"' || c == '\\';
}

/* Does a word hold a byte that is escaped?  A false alarm costs time only. */
static bool may_be_special(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');

    return (((word - ones * ' ') | (quote - ones) | (slash - ones)) & ~word & tops) != 0;
}

static char *escape(char *to, unsigned char c)
{
    static const char names[] = "btn\0fr"; /* from 8 on; 11 has none */

    *to++ = '\\';
    if (c == '"' || c == '\\') {
        *to++ = (char)c;
    } else if (c >= '\b' && c <= '\r' && names[c - '\b'] != '\0') {
        *to++ = names[c - '\b'];
    } else {
        memcpy(to, "u00", 3);
        to[3] = hex[c >> 4];
        to[4] = hex[c & 15];
        to += 5;
    }
    return to;
}

char *sb_canon_text(char *to, struct sb_slice text)
{
    const char *p = text.p, *end = text.n > 0 ? text.p + text.n : text.p;
    uint64_t word;

    *to++ = '"';
    while (p < end) {
        while (end - p >= WORD) {
            memcpy(&word, p, WORD);
            if (may_be_special(word))
                break;
            memcpy(to, p, WORD);
            to += WORD;
            p += WORD;
        }
        /* The rest of the word, or of the text. */
        for (int i = 0; i < WORD && p < end; i++, p++) {
            if (is_special((unsigned char)*p))
                to = escape(to, (unsigned char)*p);
            else
                *to++ = *p;
        }
    }
    *to++ = '"';
    return to;
}

char *sb_canon_hex(char *to, struct sb_slice bytes)
{
    *to++ = '"';
    for (size_t i = 0; i < bytes.n; i++) {
        *to++ = hex[(unsigned char)bytes.p[i] >> 4];
        *to++ = hex[(unsigned char)bytes.p[i] & 15];
    }
    *to++ = '"';
    return to;
}

/* --- a whole text ------------------------------------------------------------------ */

struct member {
    struct sb_slice name;
    yyjson_val *value;
};

static int put_value(struct sb_buf *out, yyjson_val *value);

static int put_text(struct sb_buf *out, struct sb_slice text)
{
    int rc = text.n < out->limit ? sb_buf_reserve(out, SB_CANON_TEXT_MAX(text.n)) : SB_ETOOBIG;

    if (rc == SB_OK)
        sb_buf_commit(out, (size_t)(sb_canon_text(sb_buf_end(out), text) - sb_buf_end(out)));
    return rc;
}

static int put_array(struct sb_buf *out, yyjson_val *array)
{
    yyjson_val *value;
    size_t i, n;
    int rc = sb_buf_append_byte(out, '[');

    yyjson_arr_foreach(array, i, n, value)
    {
        if (rc == SB_OK && i > 0)
            rc = sb_buf_append_byte(out, ',');
        if (rc == SB_OK)
            rc = put_value(out, value);
    }
    return rc == SB_OK ? sb_buf_append_byte(out, ']') : rc;
}

static int compare(const void *left, const void *right)
{
    struct sb_slice a = ((const struct member *)left)->name;
    struct sb_slice b = ((const struct member *)right)->name;
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int put_members(struct sb_buf *out, struct member *members, size_t n)
{
    int rc = sb_buf_append_byte(out, '{');

    qsort(members, n, sizeof(*members), compare);
    for (size_t i = 0; rc == SB_OK && i < n; i++) {
        if (i > 0 && sb_slice_eq(members[i].name, members[i - 1].name))
            return SB_EPARSE;
        if (i > 0)
            rc = sb_buf_append_byte(out, ',');
        if (rc == SB_OK)
            rc = put_text(out, members[i].name);
        if (rc == SB_OK)
            rc = sb_buf_append_byte(out, ':');
        if (rc == SB_OK)
            rc = put_value(out, members[i].value);
    }
    return rc == SB_OK ? sb_buf_append_byte(out, '}') : rc;
}

static int put_object(struct sb_buf *out, yyjson_val *object)
{
    struct member few[16], *members = few;
    size_t n = yyjson_obj_size(object), i, max;
    yyjson_val *name, *value;
    int rc;

    if (n > SB_ARRAY_LEN(few)) {
        members = sb_mem_try(n * sizeof(*members));
        if (members == NULL)
            return SB_ENOMEM;
    }
    yyjson_obj_foreach(object, i, max, name, value)
    {
        members[i] = (struct member){.name = sb_json_text(name), .value = value};
    }
    rc = put_members(out, members, n);
    if (members != few)
        sb_mem_free(members);
    return rc;
}

static int put_value(struct sb_buf *out, yyjson_val *value)
{
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_ARR:
        return put_array(out, value);
    case YYJSON_TYPE_OBJ:
        return put_object(out, value);
    case YYJSON_TYPE_STR:
        return put_text(out, sb_json_text(value));
    case YYJSON_TYPE_RAW:
        return sb_buf_append(out, sb_slice_make(yyjson_get_raw(value), yyjson_get_len(value)));
    case YYJSON_TYPE_BOOL:
        return sb_buf_append_text(out, yyjson_get_bool(value) ? "true" : "false");
    default:
        return sb_buf_append_text(out, "null");
    }
}

int sb_canon_json(struct sb_buf *out, struct sb_slice json)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    size_t before = sb_buf_len(out);
    int rc = sb_json_read_raw(json, &doc);

    if (rc == SB_OK)
        rc = put_value(out, yyjson_doc_get_root(doc));
    if (rc != SB_OK)
        sb_buf_truncate(out, before);
    return rc;
}
