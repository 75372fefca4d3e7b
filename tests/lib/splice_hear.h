/* tests/lib/splice_hear.h - what a visitor of the splicer hears, held against a
 * document of yyjson.
 *
 * Include tests/lib/splice_scalar.h before. */
#pragma once

#include <stdlib.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/splice.h"

enum { SPLICE_CHECK_MEMBERS = 32 };

static yyjson_doc *splice_check_read(struct sb_slice text)
{
    return yyjson_read(text.n > 0 ? text.p : "", text.n, 0);
}

struct splice_check_ear {
    struct sb_splice_visitor visitor;
    struct sb_buf heard; /* a line for every value */
};

/* A line; takes both texts. */
static void splice_check_write(struct sb_buf *out, unsigned depth, char *name, char *value)
{
    if (sb_buf_printf(out, "%u %s %s\n", depth, name != NULL ? name : "-",
                      value != NULL ? value : "-") != SB_OK)
        abort();
    free(name);
    free(value);
}

static char *splice_check_anew(struct sb_slice text)
{
    yyjson_doc *doc = splice_check_read(text);
    char *written = yyjson_write(doc, 0, NULL);

    yyjson_doc_free(doc);
    return written;
}

static bool splice_check_on_open(struct sb_splice_visitor *visitor, unsigned depth,
                                 struct sb_slice name, enum sb_splice_type type)
{
    (void)visitor;
    (void)name;
    return depth != 3 || type == SB_SPLICE_OBJECT;
}

static void splice_check_on_value(struct sb_splice_visitor *visitor, unsigned depth,
                                  struct sb_slice name, struct sb_slice value)
{
    struct splice_check_ear *ear = container_of(visitor, struct splice_check_ear, visitor);

    splice_check_write(&ear->heard, depth,
                       name.n > 0 ? splice_check_anew(sb_slice_make(name.p - 1, name.n + 2)) : NULL,
                       splice_check_anew(value));
}

/* The same lines, of a document. */
static void splice_check_tell(yyjson_val *name, yyjson_val *value, unsigned depth,
                              struct sb_buf *out)
{
    yyjson_val *inner_name, *inner;
    size_t i, n;

    if (depth < SB_SPLICE_VISIT_DEPTH && (depth != 3 || yyjson_is_obj(value))) {
        yyjson_obj_foreach(value, i, n, inner_name, inner)
            splice_check_tell(inner_name, inner, depth + 1, out);
        yyjson_arr_foreach(value, i, n, inner) splice_check_tell(NULL, inner, depth + 1, out);
    }
    if (depth >= 2)
        splice_check_write(
            out, depth,
            name != NULL && yyjson_get_len(name) > 0 ? yyjson_val_write(name, 0, NULL) : NULL,
            yyjson_val_write(value, 0, NULL));
}

static const char *splice_check_visit(splice_visit_fn *visit, struct sb_slice text,
                                      yyjson_val *root)
{
    struct sb_splice_member members[SPLICE_CHECK_MEMBERS];
    struct splice_check_ear ear = {
        .visitor = {.open = splice_check_on_open, .value = splice_check_on_value}};
    const char *wrong = NULL;
    struct sb_splice doc;
    struct sb_buf want;

    sb_splice_init(&doc, members, SPLICE_CHECK_MEMBERS);
    sb_buf_init(&ear.heard, 1 << 26);
    sb_buf_init(&want, 1 << 26);
    splice_check_tell(NULL, root, 0, &want);
    if (visit(&doc, text, SB_SPLICE_DEPTH, &ear.visitor, NULL) != SB_OK)
        wrong = "a visitor makes a difference";
    else if (!sb_slice_eq(sb_buf_slice(&ear.heard), sb_buf_slice(&want)))
        wrong = "a visitor hears something else";
    sb_buf_release(&ear.heard);
    sb_buf_release(&want);
    return wrong;
}
