/* controlplane/admin/cell.c */
#include "controlplane/admin/cell.h"

#include "common/json.h"
#include "common/money.h"
#include "common/num.h"
#include "controlplane/admin/csv.h"
#include "controlplane/db.h"

size_t cp_cell_time(const struct cp_rows *rows, size_t row, int column,
                    char ret_text[SB_TIME_TEXT_MAX])
{
    return sb_time_format((sb_usec)cp_rows_usec(rows, row, column), 6, ret_text);
}

/* --- JSON ------------------------------------------------------------------------ */

void cp_cell_add_text(struct sb_json *json, const char *name, const struct cp_rows *rows,
                      size_t row, int column)
{
    if (cp_rows_is_null(rows, row, column))
        sb_json_add_null(json, name);
    else
        sb_json_add_text(json, name, cp_rows_bytes(rows, row, column));
}

void cp_cell_add_number(struct sb_json *json, const char *name, const struct cp_rows *rows,
                        size_t row, int column)
{
    if (cp_rows_is_null(rows, row, column))
        sb_json_add_null(json, name);
    else
        sb_json_add_i64(json, name, cp_rows_i64(rows, row, column));
}

void cp_cell_add_thousandth(struct sb_json *json, const char *name, const struct cp_rows *rows,
                            size_t row, int column)
{
    if (cp_rows_is_null(rows, row, column))
        sb_json_add_null(json, name);
    else
        sb_json_add_double(json, name, (double)cp_rows_i64(rows, row, column) / 1000);
}

void cp_cell_add_money(struct sb_json *json, const char *name, const struct cp_rows *rows,
                       size_t row, int column)
{
    char text[SB_MONEY_TEXT_MAX];
    size_t n = sb_money_format(cp_rows_i64(rows, row, column), text);

    sb_json_add_text(json, name, sb_slice_make(text, n));
}

void cp_cell_add_time(struct sb_json *json, const char *name, const struct cp_rows *rows,
                      size_t row, int column)
{
    char text[SB_TIME_TEXT_MAX];
    size_t n = cp_cell_time(rows, row, column, text);

    sb_json_add_text(json, name, sb_slice_make(text, n));
}

void cp_cell_add_raw(struct sb_json *json, const char *name, const struct cp_rows *rows, size_t row,
                     int column)
{
    if (cp_rows_is_null(rows, row, column))
        sb_json_add_null(json, name);
    else
        sb_json_add_raw(json, name, cp_rows_bytes(rows, row, column));
}

/* --- CSV -------------------------------------------------------------------------- */

void cp_cell_put_text(struct cp_csv *csv, const struct cp_rows *rows, size_t row, int column)
{
    cp_csv_text(csv, cp_rows_bytes(rows, row, column));
}

void cp_cell_put_number(struct cp_csv *csv, const struct cp_rows *rows, size_t row, int column)
{
    if (cp_rows_is_null(rows, row, column))
        cp_csv_none(csv);
    else
        cp_csv_i64(csv, cp_rows_i64(rows, row, column));
}

void cp_cell_put_money(struct cp_csv *csv, const struct cp_rows *rows, size_t row, int column)
{
    char text[SB_MONEY_TEXT_MAX];
    size_t n = sb_money_format(cp_rows_i64(rows, row, column), text);

    cp_csv_text(csv, sb_slice_make(text, n));
}

void cp_cell_put_time(struct cp_csv *csv, const struct cp_rows *rows, size_t row, int column)
{
    char text[SB_TIME_TEXT_MAX];
    size_t n = cp_cell_time(rows, row, column, text);

    cp_csv_text(csv, sb_slice_make(text, n));
}

void cp_cell_put_flag(struct cp_csv *csv, bool flag)
{
    cp_csv_text(csv, sb_slice_of(flag ? "true" : "false"));
}

/* --- cursors ----------------------------------------------------------------------- */

struct sb_slice cp_cell_take_part(struct sb_slice *left)
{
    struct sb_slice part = sb_slice_make(left->p, sb_slice_find(*left, CP_CELL_SEPARATOR));

    *left = part.n < left->n ? sb_slice_from(*left, part.n + 1) : SB_SLICE_NONE;
    return part;
}

bool cp_cell_read_time(struct sb_slice part, struct cp_param *ret_param)
{
    sb_usec wall;

    if (sb_time_parse(part, &wall) != SB_OK)
        return false;
    *ret_param = CP_P_TEXT(part);
    return true;
}

bool cp_cell_read_number(struct sb_slice part, struct cp_param *ret_param)
{
    uint64_t number = 0;

    if (!sb_num_read_u64(part, &number) || number > INT64_MAX)
        return false;
    *ret_param = CP_P_I64(number);
    return true;
}
