/* controlplane/ctl/table.h - text in aligned columns, for people.
 *
 * Pure: the width of the terminal and whether it has colours are given.  Cells
 * come from anywhere: bytes that could steer a terminal are replaced.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/slice.h"

struct ctl_table;
struct sb_buf;

enum ctl_style {
    CTL_PLAIN,
    CTL_BOLD,
    CTL_DIM,
    CTL_GOOD, /* green */
    CTL_WARN, /* yellow */
    CTL_BAD,  /* red */
    CTL_NAME, /* cyan */
};

/* What is written to. */
struct ctl_term {
    bool has_colour;
    unsigned width; /* columns; 0: without an end (a file, a pipe) */
};

struct ctl_column {
    const char *title;
    bool is_right;   /* numbers */
    bool may_shrink; /* loses its end when the terminal is too narrow */
    unsigned leaves; /* when it is too narrow: the highest first; 1: only when nothing else
                        helps; 0: never */
};

/* columns: borrowed as long as the table lives, which is the arena's life. */
struct ctl_table *ctl_table_new(struct sb_arena *arena, const struct ctl_column *columns,
                                unsigned n);
/* The next cell; rows fill from left to right.  Copies text. */
void ctl_table_add(struct ctl_table *table, enum ctl_style style, struct sb_slice text);
size_t ctl_table_rows(const struct ctl_table *table);
/* Appends the title line and the rows; no line ends in blanks. */
int ctl_table_write(const struct ctl_table *table, const struct ctl_term *term,
                    struct sb_buf *out) SB_MUSTCHECK;

/* Appends text in a style, made harmless. */
int ctl_style_write(struct sb_buf *out, const struct ctl_term *term, enum ctl_style style,
                    struct sb_slice text) SB_MUSTCHECK;
/* Columns that text takes on a terminal. */
size_t ctl_text_width(struct sb_slice text);
/* A copy in which control characters and bytes that are not UTF-8 are '?'. */
struct sb_slice ctl_text_clean(struct sb_arena *arena, struct sb_slice text);
