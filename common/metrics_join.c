/* common/metrics_join.c - pages of several programs as one page.
 *
 * A page is families, a family is a HELP line, a TYPE line and samples: what
 * sb_metrics_write() makes.  Everything is checked before anything is
 * written, since one bad line would make Prometheus drop the whole page.
 */
#include <stdbool.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/metrics.h"

enum {
    FAMILIES_MAX = 1 << 16,
    PAGE_FAMILIES_MAX = 512,
};

#define NAME_CHARS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define VALUE_CHARS "0123456789.-+"

struct family {
    const struct sb_metrics_page *page;
    struct sb_slice name;
    struct sb_slice type;    /* "counter" */
    struct sb_slice head;    /* both comment lines */
    struct sb_slice samples; /* lines */
};

struct families {
    struct family *item;
    size_t n, room;
};

static void families_release(struct families *families)
{
    sb_mem_free(families->item);
}

static int families_add(struct families *families, const struct family *family)
{
    if (families->n == FAMILIES_MAX)
        return SB_ETOOBIG;
    if (families->n == families->room) {
        size_t room = families->room > 0 ? families->room * 2 : 64;
        struct family *item = sb_mem_resize(families->item, room * sizeof(*item));

        if (item == NULL)
            return SB_ENOMEM;
        families->item = item;
        families->room = room;
    }
    families->item[families->n++] = *family;
    return SB_OK;
}

/* --- reading a page --------------------------------------------------------- */

/* Cuts a prefix off, when it is there. */
static bool skip(struct sb_slice *text, struct sb_slice prefix)
{
    if (!sb_slice_starts_with(*text, prefix))
        return false;
    *text = sb_slice_from(*text, prefix.n);
    return true;
}

/* Cuts off the bytes that are in the set. */
static struct sb_slice take(struct sb_slice *text, const char *set)
{
    struct sb_slice taken = {.p = text->p, .n = 0};

    while (taken.n < text->n && text->p[taken.n] != '\0' && strchr(set, text->p[taken.n]) != NULL)
        taken.n++;
    *text = sb_slice_from(*text, taken.n);
    return taken;
}

/* Cuts off the line with its end; false when there is no end, or a NUL before. */
static bool take_line(struct sb_slice *text, struct sb_slice *ret_line)
{
    size_t n = sb_slice_find(*text, '\n');

    if (n == text->n || memchr(text->p, '\0', n) != NULL)
        return false;
    *ret_line = sb_slice_make(text->p, n);
    *text = sb_slice_from(*text, n + 1);
    return true;
}

/* key="value" with escapes in the value. */
static bool skip_label(struct sb_slice *text)
{
    if (take(text, NAME_CHARS).n == 0 || !skip(text, SB_SLICE_LIT("=\"")))
        return false;
    while (text->n > 0 && text->p[0] != '"') {
        size_t n = text->p[0] == '\\' ? 2 : 1;

        if (n > text->n)
            return false;
        *text = sb_slice_from(*text, n);
    }
    return skip(text, SB_SLICE_LIT("\""));
}

/* name{labels} value, the name being the family's or one of a histogram. */
static bool is_sample(struct sb_slice line, const struct family *family)
{
    if (!skip(&line, family->name))
        return false;
    if (sb_slice_is(family->type, "histogram") && !skip(&line, SB_SLICE_LIT("_bucket")) &&
        !skip(&line, SB_SLICE_LIT("_sum")) && !skip(&line, SB_SLICE_LIT("_count")))
        return false;
    if (skip(&line, SB_SLICE_LIT("{"))) {
        do {
            if (!skip_label(&line))
                return false;
        } while (skip(&line, SB_SLICE_LIT(",")));
        if (!skip(&line, SB_SLICE_LIT("}")))
            return false;
    }
    return skip(&line, SB_SLICE_LIT(" ")) && take(&line, VALUE_CHARS).n > 0 && line.n == 0;
}

static bool read_head(struct sb_slice *rest, struct family *family)
{
    const char *start = rest->p;
    struct sb_slice line;

    if (!take_line(rest, &line) || !skip(&line, SB_SLICE_LIT("# HELP ")))
        return false;
    family->name = take(&line, NAME_CHARS);
    if (family->name.n == 0 || !skip(&line, SB_SLICE_LIT(" ")))
        return false;
    if (!take_line(rest, &line) || !skip(&line, SB_SLICE_LIT("# TYPE ")) ||
        !skip(&line, family->name) || !skip(&line, SB_SLICE_LIT(" ")))
        return false;
    family->type = line;
    family->head = sb_slice_make(start, (size_t)(rest->p - start));
    return sb_slice_is(line, "counter") || sb_slice_is(line, "gauge") ||
           sb_slice_is(line, "histogram");
}

static bool read_family(struct sb_slice *rest, struct family *family)
{
    struct sb_slice line;
    const char *start;

    if (!read_head(rest, family))
        return false;
    start = rest->p;
    while (rest->n > 0 && rest->p[0] != '#') {
        if (!take_line(rest, &line) || !is_sample(line, family))
            return false;
    }
    family->samples = sb_slice_make(start, (size_t)(rest->p - start));
    return true;
}

/* --- writing ---------------------------------------------------------------- */

static int put_samples(struct sb_buf *page, const struct family *family)
{
    struct sb_slice rest = family->samples, extra = family->page->labels, line;
    int rc = SB_OK;

    while (rc == SB_OK && take_line(&rest, &line)) {
        struct sb_slice name = take(&line, NAME_CHARS);

        if (extra.n == 0)
            rc = sb_buf_printf(page, "%.*s%.*s\n", SB_SLICE_ARGS(name), SB_SLICE_ARGS(line));
        else if (skip(&line, SB_SLICE_LIT("{")))
            rc = sb_buf_printf(page, "%.*s{%.*s,%.*s\n", SB_SLICE_ARGS(name), SB_SLICE_ARGS(extra),
                               SB_SLICE_ARGS(line));
        else
            rc = sb_buf_printf(page, "%.*s{%.*s}%.*s\n", SB_SLICE_ARGS(name), SB_SLICE_ARGS(extra),
                               SB_SLICE_ARGS(line));
    }
    return rc;
}

/* The index of the first family of that name. */
static size_t first_of(const struct families *families, struct sb_slice name)
{
    size_t i = 0;

    while (!sb_slice_eq(families->item[i].name, name))
        i++;
    return i;
}

static int put_all(struct sb_buf *page, const struct families *families)
{
    int rc = SB_OK;

    for (size_t i = 0; rc == SB_OK && i < families->n; i++) {
        const struct family *first = &families->item[i];

        if (first_of(families, first->name) != i)
            continue; /* written with that one */
        rc = sb_buf_append(page, first->head);
        for (size_t k = i; rc == SB_OK && k < families->n; k++) {
            const struct family *other = &families->item[k];

            if (sb_slice_eq(other->name, first->name) && sb_slice_eq(other->type, first->type))
                rc = put_samples(page, other);
        }
    }
    return rc;
}

/* Reads all families of a page, none of which may come twice. */
static int read_page(struct families *families, const struct sb_metrics_page *page)
{
    struct sb_slice rest = page->text;
    size_t start = families->n;
    int rc;

    while (rest.n > 0) {
        struct family family = {.page = page};

        if (!read_family(&rest, &family))
            return SB_EPARSE;
        for (size_t i = start; i < families->n; i++) {
            if (sb_slice_eq(families->item[i].name, family.name))
                return SB_EPARSE;
        }
        rc = families->n - start < PAGE_FAMILIES_MAX ? families_add(families, &family) : SB_ETOOBIG;
        if (rc != SB_OK)
            return rc;
    }
    return SB_OK;
}

int sb_metrics_join(struct sb_buf *page, const struct sb_metrics_page *pages, size_t n)
{
    SB_CLEANUP(families_release) struct families families = {.n = 0};
    size_t before = sb_buf_len(page);
    int rc = SB_OK;

    for (size_t i = 0; rc == SB_OK && i < n; i++)
        rc = read_page(&families, &pages[i]);
    if (rc != SB_OK)
        return rc;
    rc = put_all(page, &families);
    if (rc != SB_OK)
        sb_buf_truncate(page, before);
    return rc;
}
