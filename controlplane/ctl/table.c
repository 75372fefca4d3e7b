/* controlplane/ctl/table.c */
#include "controlplane/ctl/table.h"

#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/utf8.h"

enum {
    COLUMNS_MAX = 24,
    GAP = 2,       /* blanks between columns */
    NARROWEST = 8, /* of a column that shrinks */
    READABLE = 20, /* while others may leave for it */
    CELLS_AT_ONCE = 256,
};

struct cell {
    struct sb_slice text;
    uint32_t width;
    enum ctl_style style;
};

struct block {
    struct block *next;
    struct cell cells[CELLS_AT_ONCE];
};

struct ctl_table {
    struct sb_arena *arena;
    const struct ctl_column *columns;
    unsigned n_columns;
    struct block *first, *last;
    size_t n; /* cells */
};

/* --- text on a terminal ------------------------------------------------------------- */

static bool is_in(uint32_t code, const uint32_t (*ranges)[2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (code >= ranges[i][0] && code <= ranges[i][1])
            return true;
    }
    return false;
}

static unsigned code_width(uint32_t code)
{
    static const uint32_t none[][2] = {
        {0x0300, 0x036f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}};
    static const uint32_t wide[][2] = {{0x1100, 0x115f},   {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
                                       {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                                       {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
                                       {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};

    if (is_in(code, none, SB_ARRAY_LEN(none)))
        return 0;
    return is_in(code, wide, SB_ARRAY_LEN(wide)) ? 2 : 1;
}

size_t ctl_text_width(struct sb_slice text)
{
    size_t width = 0, n;

    for (; text.n > 0; text = sb_slice_from(text, n))
        width += code_width(sb_utf8_next(text, &n));
    return width;
}

/* Controls, and what turns the direction of a line. */
static bool is_harmful(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == SB_UTF8_BAD ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

struct sb_slice ctl_text_clean(struct sb_arena *arena, struct sb_slice text)
{
    char *out = sb_arena_alloc(arena, text.n + 1);
    size_t used = 0, n;

    for (; text.n > 0; text = sb_slice_from(text, n)) {
        if (is_harmful(sb_utf8_next(text, &n))) {
            out[used++] = '?';
            continue;
        }
        memcpy(out + used, text.p, n);
        used += n;
    }
    return sb_slice_make(out, used);
}

/* The beginning of text that is at most width columns wide. */
static struct sb_slice cut(struct sb_slice text, size_t width)
{
    struct sb_slice left = text;
    size_t n;

    while (left.n > 0) {
        unsigned one = code_width(sb_utf8_next(left, &n));

        if (one > width)
            break;
        width -= one;
        left = sb_slice_from(left, n);
    }
    return sb_slice_make(text.p, text.n - left.n);
}

/* --- style ------------------------------------------------------------------------------ */

static const char *style_code(enum ctl_style style)
{
    static const char *const codes[] = {
        [CTL_PLAIN] = "",        [CTL_BOLD] = "\033[1m",  [CTL_DIM] = "\033[2m",
        [CTL_GOOD] = "\033[32m", [CTL_WARN] = "\033[33m", [CTL_BAD] = "\033[31m",
        [CTL_NAME] = "\033[36m",
    };

    return codes[style];
}

static int put_styled(struct sb_buf *out, const struct ctl_term *term, enum ctl_style style,
                      struct sb_slice text)
{
    bool is_plain = !term->has_colour || style == CTL_PLAIN || text.n == 0;
    int rc = is_plain ? SB_OK : sb_buf_append_text(out, style_code(style));

    if (rc == SB_OK)
        rc = sb_buf_append(out, text);
    return rc == SB_OK && !is_plain ? sb_buf_append_text(out, "\033[0m") : rc;
}

int ctl_style_write(struct sb_buf *out, const struct ctl_term *term, enum ctl_style style,
                    struct sb_slice text)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(512);

    return put_styled(out, term, style, ctl_text_clean(arena, text));
}

/* --- the table ------------------------------------------------------------------------------ */

struct ctl_table *ctl_table_new(struct sb_arena *arena, const struct ctl_column *columns,
                                unsigned n)
{
    struct ctl_table *table = sb_arena_alloc(arena, sizeof(*table));

    SB_BUG_ON(n == 0 || n > COLUMNS_MAX);
    table->arena = arena;
    table->columns = columns;
    table->n_columns = n;
    return table;
}

void ctl_table_add(struct ctl_table *table, enum ctl_style style, struct sb_slice text)
{
    struct cell *cell;

    if (table->n % CELLS_AT_ONCE == 0) {
        struct block *block = sb_arena_alloc(table->arena, sizeof(*block));

        if (table->first == NULL)
            table->first = block;
        else
            table->last->next = block;
        table->last = block;
    }
    cell = &table->last->cells[table->n++ % CELLS_AT_ONCE];
    cell->text = ctl_text_clean(table->arena, text);
    cell->width = (uint32_t)ctl_text_width(cell->text);
    cell->style = style;
}

size_t ctl_table_rows(const struct ctl_table *table)
{
    return table->n / table->n_columns;
}

struct layout {
    size_t widths[COLUMNS_MAX]; /* 0: it is left out */
    size_t gap;                 /* blanks between columns */
};

static void measure(const struct ctl_table *table, struct layout *layout)
{
    size_t left = table->n, *widths = layout->widths;

    layout->gap = GAP;

    for (unsigned i = 0; i < table->n_columns; i++)
        widths[i] = strlen(table->columns[i].title);
    for (const struct block *block = table->first; block != NULL; block = block->next) {
        size_t before = table->n - left;

        for (size_t i = 0; i < CELLS_AT_ONCE && left > 0; i++, left--) {
            unsigned column = (unsigned)((before + i) % table->n_columns);

            if (block->cells[i].width > widths[column])
                widths[column] = block->cells[i].width;
        }
    }
}

/* Of the columns that are shown, with the blanks between them. */
static size_t total_of(const struct ctl_table *table, const struct layout *layout)
{
    size_t total = 0;

    for (unsigned i = 0; i < table->n_columns; i++)
        if (layout->widths[i] > 0)
            total += layout->widths[i] + (total > 0 ? layout->gap : 0);
    return total;
}

/* Takes from the widest of those that may shrink, until all fits or none can
 * give any more. */
static bool shrink(const struct ctl_table *table, unsigned room, unsigned narrowest,
                   struct layout *layout)
{
    size_t total = total_of(table, layout), *widths = layout->widths;

    while (total > room) {
        unsigned widest = table->n_columns;

        for (unsigned i = 0; i < table->n_columns; i++) {
            if (table->columns[i].may_shrink && widths[i] > narrowest &&
                (widest == table->n_columns || widths[i] > widths[widest]))
                widest = i;
        }
        if (widest == table->n_columns)
            return false;
        widths[widest]--;
        total--;
    }
    return true;
}

/* Leaves out the one that has the highest number, if that is at least `least`;
 * those that were shrunk for it are as wide as they were.  False: none is. */
static bool leave_out(const struct ctl_table *table, unsigned least, const struct layout *whole,
                      struct layout *layout)
{
    unsigned next = table->n_columns;

    for (unsigned i = 0; i < table->n_columns; i++)
        if (layout->widths[i] > 0 && table->columns[i].leaves >= least &&
            (next == table->n_columns || table->columns[i].leaves > table->columns[next].leaves))
            next = i;
    if (next == table->n_columns)
        return false;
    layout->widths[next] = 0;
    for (unsigned i = 0; i < table->n_columns; i++)
        if (layout->widths[i] > 0)
            layout->widths[i] = whole->widths[i];
    return true;
}

/* Leaves out what is least missed while names would not be readable, then
 * shrinks them, draws the columns together, and leaves out what may leave. */
static void fit(const struct ctl_table *table, unsigned room, struct layout *layout)
{
    const struct layout whole = *layout;
    unsigned narrowest = READABLE, least = 2;

    while (!shrink(table, room, narrowest, layout)) {
        if (leave_out(table, least, &whole, layout))
            continue;
        if (narrowest > NARROWEST)
            narrowest = NARROWEST;
        else if (layout->gap > 1)
            layout->gap = 1;
        else if (least > 1)
            least = 1;
        else
            return;
    }
}

/* One line: blanks are owed until something follows them. */
struct line {
    struct sb_buf *out;
    const struct ctl_term *term;
    size_t gap;
    size_t owed;
    int rc;
};

/* The end of text that is at most width columns wide. */
static struct sb_slice cut_front(struct sb_slice text, size_t width)
{
    size_t own = ctl_text_width(text), n;

    while (own > width && text.n > 0) {
        own -= code_width(sb_utf8_next(text, &n));
        text = sb_slice_from(text, n);
    }
    return text;
}

static void put_part(struct line *line, enum ctl_style style, struct sb_slice text)
{
    if (line->rc == SB_OK)
        line->rc = put_styled(line->out, line->term, style, text);
}

/* Names lose their middle, since their ends tell them apart; else the end goes. */
static size_t put_cut(struct line *line, size_t width, struct sb_slice text, enum ctl_style style)
{
    size_t tail = style == CTL_NAME ? (width - 1) / 2 : 0;
    struct sb_slice head = cut(text, width - 1 - tail), end = cut_front(text, tail);

    put_part(line, style, head);
    put_part(line, CTL_DIM, SB_SLICE_LIT("…"));
    put_part(line, style, end);
    return ctl_text_width(head) + 1 + ctl_text_width(end);
}

static void put_cell(struct line *line, const struct ctl_column *column, size_t width,
                     struct sb_slice text, enum ctl_style style)
{
    size_t own = ctl_text_width(text);

    if (width == 0)
        return;
    if (column->is_right && own < width)
        line->owed += width - own;
    while (text.n > 0 && line->owed > 0 && line->rc == SB_OK) {
        line->rc = sb_buf_append_byte(line->out, ' ');
        line->owed--;
    }
    if (own > width)
        own = put_cut(line, width, text, style);
    else
        put_part(line, style, text);
    if (!column->is_right)
        line->owed += width - own;
    line->owed += line->gap;
}

static int end_line(struct line *line)
{
    line->owed = 0;
    return line->rc == SB_OK ? sb_buf_append_byte(line->out, '\n') : line->rc;
}

int ctl_table_write(const struct ctl_table *table, const struct ctl_term *term, struct sb_buf *out)
{
    struct line line = {.out = out, .term = term};
    struct layout layout;
    size_t done = 0;
    int rc;

    SB_BUG_ON(table->n % table->n_columns != 0);
    measure(table, &layout);
    if (term->width > 0)
        fit(table, term->width, &layout);
    line.gap = layout.gap;
    for (unsigned i = 0; i < table->n_columns; i++)
        put_cell(&line, &table->columns[i], layout.widths[i], sb_slice_of(table->columns[i].title),
                 CTL_BOLD);
    rc = end_line(&line);
    for (const struct block *block = table->first; rc == SB_OK && block != NULL;
         block = block->next) {
        for (size_t i = 0; rc == SB_OK && i < CELLS_AT_ONCE && done < table->n; i++, done++) {
            unsigned column = (unsigned)(done % table->n_columns);

            put_cell(&line, &table->columns[column], layout.widths[column], block->cells[i].text,
                     block->cells[i].style);
            if (column == table->n_columns - 1)
                rc = end_line(&line);
        }
    }
    return rc == SB_OK ? line.rc : rc;
}
