/* tests/lib/splice_check.h - holds the splicer against yyjson on one text.
 *
 * Include tests/lib/splice_scalar.h before. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/splice.h"
#include "tests/lib/splice_hear.h"

/* Both as yyjson writes them: its own comparison is lost where a name comes
 * twice, deeper down.  Takes both texts. */
static bool splice_check_same(char *a, char *b)
{
    bool same = a != NULL && b != NULL && strcmp(a, b) == 0;

    free(a);
    free(b);
    return same;
}

/* The text of one value, against yyjson's. */
static bool splice_check_value(struct sb_slice text, yyjson_val *want)
{
    yyjson_doc *doc = splice_check_read(text);
    bool same = splice_check_same(yyjson_val_write(yyjson_doc_get_root(doc), 0, NULL),
                                  yyjson_val_write(want, 0, NULL));
    int64_t number;
    bool flag;

    if (yyjson_is_bool(want))
        same = same && sb_splice_get_bool(text, &flag) == SB_OK && flag == yyjson_get_bool(want);
    else
        same = same && sb_splice_get_bool(text, &flag) == SB_EINVAL;
    if (yyjson_is_sint(want) || (yyjson_is_uint(want) && yyjson_get_uint(want) <= INT64_MAX))
        same = same && sb_splice_get_int(text, &number) == SB_OK && number == yyjson_get_sint(want);
    else
        same = same && sb_splice_get_int(text, &number) != SB_OK;
    yyjson_doc_free(doc);
    return same;
}

static bool splice_check_string(struct sb_slice text, yyjson_val *want)
{
    struct sb_arena *arena = sb_arena_new(64);
    struct sb_slice got;
    int rc = sb_splice_get_string(text, arena, &got);
    bool same =
        yyjson_is_str(want) ? rc == SB_OK && sb_slice_eq(got, sb_json_text(want)) : rc == SB_EINVAL;

    sb_arena_destroy(&arena);
    return same;
}

/* The recorded spans, against yyjson's members or elements. */
static const char *splice_check_members(const struct sb_splice *doc, yyjson_val *root)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(root);
    bool object = yyjson_is_obj(root);

    if (doc->count != unsafe_yyjson_get_len(root) || (object && doc->n != doc->count))
        return "another number of members";
    for (uint32_t i = 0; i < doc->n; i++) {
        const struct sb_splice_member *member = &doc->members[i];
        yyjson_val *name = object ? yyjson_obj_iter_next(&iter) : NULL;
        yyjson_val *value = object ? yyjson_obj_iter_get_val(name) : yyjson_arr_get(root, i);

        if (object && (!sb_splice_name_is(doc, member, sb_json_text(name)) ||
                       sb_splice_find(doc, sb_json_text(name)) != member))
            return "another name";
        if (!splice_check_value(sb_splice_value(doc, member), value) ||
            !splice_check_string(sb_splice_value(doc, member), value))
            return "another value";
        if (memchr(",}]", doc->text.p[member->end], 3) == NULL)
            return "no separator at the end";
    }
    return NULL;
}

/* The same text without a copy, in no more pieces than were told, none empty. */
static bool splice_check_pieces(const struct sb_splice_edits *edits, struct sb_slice whole)
{
    size_t max = sb_splice_pieces_max(edits);
    struct sb_slice *pieces = calloc(max, sizeof(*pieces));
    size_t n = sb_splice_pieces(edits, pieces);
    bool same = n <= max;

    for (size_t i = 0; i < n && same; i++) {
        same = pieces[i].n > 0 && pieces[i].n <= whole.n &&
               memcmp(pieces[i].p, whole.p, pieces[i].n) == 0;
        if (same)
            whole = sb_slice_from(whole, pieces[i].n);
    }
    free(pieces);
    return same && whole.n == 0;
}

/* Does to yyjson's document what `kinds` says for each member (0 keep, 1
 * replace, 2 cut), and appends one. */
static const char *splice_check_edits(const struct sb_splice *doc, yyjson_doc *read,
                                      const unsigned char *kinds)
{
    struct sb_splice_edit items[SPLICE_CHECK_MEMBERS + 1];
    yyjson_mut_doc *want = yyjson_doc_mut_copy(read, NULL);
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(yyjson_mut_doc_get_root(want));
    struct sb_splice_edits edits;
    const char *wrong = NULL;
    yyjson_doc *got;
    struct sb_buf out;
    int rc = SB_OK;

    sb_splice_edits_init(&edits, doc, items, SB_ARRAY_LEN(items));
    for (uint32_t i = 0; i < doc->n; i++) {
        yyjson_mut_val *name = yyjson_mut_obj_iter_next(&iter);

        if (kinds[i] % 3 == 1) {
            yyjson_mut_set_sint(yyjson_mut_obj_iter_get_val(name), -1);
            rc |= sb_splice_replace(&edits, &doc->members[i], SB_SLICE_LIT("-1"));
        } else if (kinds[i] % 3 == 2) {
            (void)yyjson_mut_obj_iter_remove(&iter);
            rc |= sb_splice_cut(&edits, &doc->members[i]);
        }
    }
    if (kinds[SPLICE_CHECK_MEMBERS] % 2 == 1) {
        (void)yyjson_mut_obj_add_bool(want, yyjson_mut_doc_get_root(want), "new", true);
        rc |= sb_splice_append(&edits, SB_SLICE_LIT("new"), SB_SLICE_LIT("true"));
    }
    sb_buf_init(&out, 1 << 24);
    rc |= sb_splice_emit(&edits, &out);
    got = splice_check_read(sb_buf_slice(&out));
    if (rc != SB_OK || sb_buf_len(&out) != sb_splice_length(&edits))
        wrong = "another length than told";
    else if (!splice_check_pieces(&edits, sb_buf_slice(&out)))
        wrong = "another text in pieces";
    else if (!splice_check_same(yyjson_write(got, 0, NULL), yyjson_mut_write(want, 0, NULL)))
        wrong = "edited differently";
    yyjson_mut_doc_free(want);
    yyjson_doc_free(got);
    sb_buf_release(&out);
    return wrong;
}

static bool splice_check_has_double(yyjson_val *root)
{
    size_t i, max;
    yyjson_val *name, *value;

    yyjson_obj_foreach(root, i, max, name, value)
    {
        if (yyjson_obj_getn(root, yyjson_get_str(name), yyjson_get_len(name)) != value)
            return true;
    }
    return false;
}

/* NULL, or in what they disagree.  kinds: SPLICE_CHECK_MEMBERS + 1 bytes that
 * say what to edit.  ret_rc: what the scan said. */
static const char *splice_check(splice_scan_fn *scan, splice_visit_fn *visit, struct sb_slice text,
                                const unsigned char *kinds, int *ret_rc)
{
    struct sb_splice_member members[SPLICE_CHECK_MEMBERS];
    yyjson_doc *read = splice_check_read(text);
    yyjson_val *root = yyjson_doc_get_root(read);
    struct sb_splice_error error = {.offset = SIZE_MAX};
    const char *wrong = NULL;
    struct sb_splice doc;

    sb_splice_init(&doc, members, SPLICE_CHECK_MEMBERS);
    *ret_rc = scan(&doc, text, SB_SPLICE_DEPTH, &error);
    switch (*ret_rc) {
    case SB_OK:
        if (read == NULL)
            wrong = "only the splicer accepts it";
        else if (yyjson_is_ctn(root))
            wrong = splice_check_members(&doc, root);
        if (wrong == NULL && yyjson_is_obj(root))
            wrong = splice_check_edits(&doc, read, kinds);
        if (wrong == NULL)
            wrong = splice_check_visit(visit, text, root);
        break;
    case SB_EPARSE:
        wrong = read != NULL ? "only yyjson accepts it" : NULL;
        break;
    case SB_EEXIST:
        wrong = read != NULL && !splice_check_has_double(root) ? "no name is doubled" : NULL;
        break;
    case SB_ETOOBIG:
        break; /* limits that yyjson does not have */
    default:
        wrong = "another code than promised";
        break;
    }
    if (*ret_rc != SB_OK && (error.offset > text.n || error.reason == NULL))
        wrong = "no place told";
    yyjson_doc_free(read);
    return wrong;
}
