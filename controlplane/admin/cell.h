/* controlplane/admin/cell.h - values of a row of a result, as members of an
 * object and as values of a line: what all long lists (view.h) are written with.
 *
 * A value that is NULL is null in JSON and empty in CSV.  column: its number in
 * the statement.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "common/timefmt.h"

struct cp_csv;
struct cp_param;
struct cp_rows;
struct sb_json;

/* A time in text, to the microsecond; gives its length. */
size_t cp_cell_time(const struct cp_rows *rows, size_t row, int column,
                    char ret_text[SB_TIME_TEXT_MAX]);

/* --- JSON ------------------------------------------------------------------------ */

void cp_cell_add_text(struct sb_json *json, const char *name, const struct cp_rows *rows,
                      size_t row, int column);
void cp_cell_add_number(struct sb_json *json, const char *name, const struct cp_rows *rows,
                        size_t row, int column);
/* A thousandth of what is stored: microseconds as milliseconds, and rates. */
void cp_cell_add_thousandth(struct sb_json *json, const char *name, const struct cp_rows *rows,
                            size_t row, int column);
/* 1e-15 USD as an exact decimal of USD, in text. */
void cp_cell_add_money(struct sb_json *json, const char *name, const struct cp_rows *rows,
                       size_t row, int column);
void cp_cell_add_time(struct sb_json *json, const char *name, const struct cp_rows *rows,
                      size_t row, int column);
/* JSON in text. */
void cp_cell_add_raw(struct sb_json *json, const char *name, const struct cp_rows *rows, size_t row,
                     int column);

/* --- CSV -------------------------------------------------------------------------- */

void cp_cell_put_text(struct cp_csv *csv, const struct cp_rows *rows, size_t row, int column);
void cp_cell_put_number(struct cp_csv *csv, const struct cp_rows *rows, size_t row, int column);
void cp_cell_put_money(struct cp_csv *csv, const struct cp_rows *rows, size_t row, int column);
void cp_cell_put_time(struct cp_csv *csv, const struct cp_rows *rows, size_t row, int column);
/* "true" and "false". */
void cp_cell_put_flag(struct cp_csv *csv, bool flag);

/* --- cursors ----------------------------------------------------------------------- */

/* Between the parts of a cursor; only the last one may hold it. */
#define CP_CELL_SEPARATOR '~'

/* Takes the text before the next separator off the front; all, when there is
 * none. */
struct sb_slice cp_cell_take_part(struct sb_slice *left);
/* A part as a parameter; false: it is no time, or no number of the database. */
bool cp_cell_read_time(struct sb_slice part, struct cp_param *ret_param);
bool cp_cell_read_number(struct sb_slice part, struct cp_param *ret_param);
