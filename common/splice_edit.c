/* common/splice_edit.c - looking at a scanned text, and changing it. */
#include "common/splice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/num.h"
#include "common/splice_text.h"

/* --- names and strings ----------------------------------------------------- */

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* p is at the backslash of an escape that the scan has passed. */
static const char *unescape_one(const char *p, const char *end, char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const unsigned char *u = (const unsigned char *)p, *stop = (const unsigned char *)end;
    uint32_t c;

    if (p[1] != 'u') {
        out[(*n)++] = to[(const char *)memchr(from, p[1], sizeof(from)) - from];
        return p + 2;
    }
    c = (uint32_t)sb_splice_hex4(u + 2, stop);
    if (c < 0xd800 || c > 0xdbff) {
        *n += put_utf8(out + *n, c);
        return p + 6;
    }
    c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)sb_splice_hex4(u + 8, stop) - 0xdc00);
    *n += put_utf8(out + *n, c);
    return p + 12;
}

size_t sb_splice_unescape(struct sb_slice inside, char *out)
{
    const char *p = inside.p, *end = inside.p + inside.n;
    size_t n = 0;

    while (p < end) {
        size_t plain = sb_slice_find(sb_slice_make(p, (size_t)(end - p)), '\\');

        memcpy(out + n, p, plain);
        n += plain;
        p += plain;
        if (p < end)
            p = unescape_one(p, end, out, &n);
    }
    return n;
}

bool sb_splice_name_is(const struct sb_splice *doc, const struct sb_splice_member *member,
                       struct sb_slice name)
{
    struct sb_slice written = sb_splice_name(doc, member);
    char unescaped[SB_SPLICE_NAME_BYTES];

    if (SB_LIKELY(!member->name_escaped))
        return sb_slice_eq(written, name);
    return sb_slice_eq(sb_slice_make(unescaped, sb_splice_unescape(written, unescaped)), name);
}

const struct sb_splice_member *sb_splice_find(const struct sb_splice *doc, struct sb_slice name)
{
    uint32_t hash = sb_splice_hash(name);

    if (doc->type != SB_SPLICE_OBJECT)
        return NULL;
    for (uint32_t i = 0; i < doc->n; i++) {
        if (doc->members[i].hash == hash && sb_splice_name_is(doc, &doc->members[i], name))
            return &doc->members[i];
    }
    return NULL;
}

/* --- values ---------------------------------------------------------------- */

int sb_splice_get_string(struct sb_slice value, struct sb_arena *arena, struct sb_slice *ret_string)
{
    struct sb_slice inside;
    char *out;

    if (sb_splice_type_of(value) != SB_SPLICE_STRING || value.n < 2)
        return SB_EINVAL;
    inside = sb_slice_make(value.p + 1, value.n - 2);
    if (sb_slice_find(inside, '\\') < inside.n) {
        out = sb_arena_try(arena, inside.n);
        if (out == NULL)
            return SB_ENOMEM;
        inside = sb_slice_make(out, sb_splice_unescape(inside, out));
    }
    *ret_string = inside;
    return SB_OK;
}

int sb_splice_get_int(struct sb_slice value, int64_t *ret_int)
{
    bool negative = value.n > 0 && value.p[0] == '-';
    struct sb_slice digits = negative ? sb_slice_from(value, 1) : value;
    uint64_t number;

    if (sb_splice_type_of(value) != SB_SPLICE_NUMBER)
        return SB_EINVAL;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return SB_EINVAL;
    }
    if (!sb_num_read_u64(digits, &number) || number > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return SB_ETOOBIG;
    *ret_int = negative ? (int64_t)(0 - number) : (int64_t)number;
    return SB_OK;
}

int sb_splice_get_number(struct sb_slice value, double *ret_number)
{
    char text[512];

    if (sb_splice_type_of(value) != SB_SPLICE_NUMBER)
        return SB_EINVAL;
    if (!sb_slice_copy_text(value, text, sizeof(text)))
        return SB_ETOOBIG;
    *ret_number = strtod(text, NULL);
    return SB_OK;
}

int sb_splice_get_bool(struct sb_slice value, bool *ret_bool)
{
    enum sb_splice_type type = sb_splice_type_of(value);

    if (type != SB_SPLICE_TRUE && type != SB_SPLICE_FALSE)
        return SB_EINVAL;
    *ret_bool = type == SB_SPLICE_TRUE;
    return SB_OK;
}

/* The significant digits of a number and its magnitude: 0.d1d2d3... times ten
 * to the power of it. */
struct decimal {
    char digits[400]; /* more than the 309 that the border has; see add_digit() */
    size_t n;
    int64_t power;
    bool in_fraction;
};

static void add_digit(struct decimal *decimal, char digit)
{
    if (decimal->n == 0 && digit == '0') {
        decimal->power -= decimal->in_fraction ? 1 : 0;
        return;
    }
    decimal->power += decimal->in_fraction ? 0 : 1;
    if (decimal->n < sizeof(decimal->digits))
        decimal->digits[decimal->n++] = digit;
    else if (digit != '0') /* all that counts of the rest is that it is not zero */
        decimal->digits[decimal->n - 1] |= 1;
}

bool sb_splice_is_finite(const char *start, const char *end)
{
    /* More than the digits of a text of 4 GiB can make up for. */
    const int64_t exponent_enough = INT64_C(1000000000000);
    struct decimal decimal = {.n = 0};
    char text[sizeof(decimal.digits) + 8] = "0.";
    const char *p = start;
    int64_t exponent = 0;
    bool negative;

    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.')
            decimal.in_fraction = true;
        else if (*p != '-')
            add_digit(&decimal, *p);
    }
    negative = p + 1 < end && p[1] == '-';
    for (; p < end; p++) {
        if (*p >= '0' && *p <= '9' && exponent < exponent_enough)
            exponent = exponent * 10 + (*p - '0');
    }
    decimal.power += negative ? -exponent : exponent;
    /* Doubles end at 1.797e308. */
    if (decimal.n == 0 || decimal.power < 309)
        return true;
    if (decimal.power > 309)
        return false;
    memcpy(text + 2, decimal.digits, decimal.n);
    memcpy(text + 2 + decimal.n, "e309", 5);
    return isfinite(strtod(text, NULL));
}

/* --- changes --------------------------------------------------------------- */

void sb_splice_edits_init(struct sb_splice_edits *edits, const struct sb_splice *doc,
                          struct sb_splice_edit *items, uint32_t max)
{
    SB_BUG_ON(doc->type != SB_SPLICE_OBJECT);
    *edits = (struct sb_splice_edits){.doc = doc, .items = items, .max = max};
}

/* The item of that member, made when there is none; NULL when the list is
 * full.  Lists are short, and mostly made in order. */
static struct sb_splice_edit *item_of(struct sb_splice_edits *edits, uint32_t member)
{
    uint32_t i = edits->n;

    while (i > 0 && edits->items[i - 1].member > member)
        i--;
    if (i > 0 && edits->items[i - 1].member == member && member != UINT32_MAX)
        return &edits->items[i - 1];
    if (edits->n == edits->max)
        return NULL;
    memmove(&edits->items[i + 1], &edits->items[i], (edits->n - i) * sizeof(edits->items[0]));
    edits->n++;
    edits->items[i] = (struct sb_splice_edit){.member = member};
    return &edits->items[i];
}

int sb_splice_replace(struct sb_splice_edits *edits, const struct sb_splice_member *member,
                      struct sb_slice value)
{
    struct sb_splice_edit *item = item_of(edits, (uint32_t)(member - edits->doc->members));

    if (item == NULL)
        return SB_ENOSPC;
    item->cut = false;
    item->value = value;
    return SB_OK;
}

int sb_splice_cut(struct sb_splice_edits *edits, const struct sb_splice_member *member)
{
    struct sb_splice_edit *item = item_of(edits, (uint32_t)(member - edits->doc->members));

    if (item == NULL)
        return SB_ENOSPC;
    item->cut = true;
    return SB_OK;
}

int sb_splice_append(struct sb_splice_edits *edits, struct sb_slice name, struct sb_slice value)
{
    struct sb_splice_edit *item = item_of(edits, UINT32_MAX);

    if (item == NULL)
        return SB_ENOSPC;
    item->name = name;
    item->value = value;
    return SB_OK;
}

/* Counts what is put, and copies or lists it where there is room for it. */
struct writer {
    char *p;                 /* NULL: no copy */
    struct sb_slice *pieces; /* NULL: no list */
    size_t n, n_pieces;
};

static inline void put(struct writer *out, const char *bytes, size_t n)
{
    if (out->p != NULL && n > 0)
        memcpy(out->p + out->n, bytes, n);
    if (out->pieces != NULL && n > 0)
        out->pieces[out->n_pieces++] = sb_slice_make(bytes, n);
    out->n += n;
}

/* Cuts a member with one comma: the one before it, or the one behind it when
 * nothing before it is left.  Returns from where to go on. */
static size_t cut_member(struct writer *out, const struct sb_splice *doc, uint32_t i, size_t from,
                         bool first)
{
    size_t start = i > 0 ? doc->members[i - 1].end + 1 : doc->open + 1;
    size_t end = doc->members[i].end;

    if (!first)
        start--;
    else if (i + 1 < doc->n)
        end++;
    put(out, doc->text.p + from, start - from);
    return end;
}

static void write_all(struct writer *out, const struct sb_splice_edits *edits)
{
    const struct sb_splice *doc = edits->doc;
    const char *text = doc->text.p;
    uint32_t gone = 0;
    size_t from = 0, i = 0;
    bool comma;

    for (; i < edits->n && edits->items[i].member != UINT32_MAX; i++) {
        const struct sb_splice_edit *edit = &edits->items[i];
        const struct sb_splice_member *member = &doc->members[edit->member];

        if (edit->cut) {
            from = cut_member(out, doc, edit->member, from, edit->member == gone);
            gone++;
            continue;
        }
        put(out, text + from, member->value - from);
        put(out, edit->value.p, edit->value.n);
        from = member->value + member->value_n;
    }
    comma = gone < doc->n;
    for (; i < edits->n; i++) {
        const struct sb_splice_edit *edit = &edits->items[i];

        put(out, text + from, doc->close - from);
        from = doc->close;
        put(out, comma ? ",\"" : "\"", comma ? 2 : 1);
        put(out, edit->name.p, edit->name.n);
        put(out, "\":", 2);
        put(out, edit->value.p, edit->value.n);
        comma = true;
    }
    put(out, text + from, doc->text.n - from);
}

size_t sb_splice_length(const struct sb_splice_edits *edits)
{
    struct writer out = {.p = NULL};

    write_all(&out, edits);
    return out.n;
}

/* No less than sb_splice_length(), and quickly. */
static size_t length_at_most(const struct sb_splice_edits *edits)
{
    size_t n = edits->doc->text.n;

    for (uint32_t i = 0; i < edits->n; i++)
        n += edits->items[i].value.n + edits->items[i].name.n + sizeof(",\"\":");
    return n;
}

int sb_splice_emit(const struct sb_splice_edits *edits, struct sb_buf *out)
{
    struct writer writer = {.p = NULL};
    int rc = sb_buf_reserve(out, length_at_most(edits));

    if (rc == SB_ETOOBIG) /* it may fit all the same */
        rc = sb_buf_reserve(out, sb_splice_length(edits));
    if (rc != SB_OK)
        return rc;
    writer.p = sb_buf_end(out);
    write_all(&writer, edits);
    sb_buf_commit(out, writer.n);
    return SB_OK;
}

size_t sb_splice_pieces(const struct sb_splice_edits *edits, struct sb_slice *ret_pieces)
{
    struct writer writer = {.pieces = ret_pieces};

    write_all(&writer, edits);
    return writer.n_pieces;
}
