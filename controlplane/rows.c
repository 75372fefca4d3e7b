/* controlplane/rows.c - see rows.h for the contract. */
#include "controlplane/rows.h"

#include <libpq-fe.h>

#include "common/check.h"
#include "common/mem.h"

/* Types of PostgreSQL's catalogue; their numbers never change. */
enum pg_type {
    PG_BOOL = 16,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_OID = 26,
    PG_DATE = 1082,
    PG_TIMESTAMPTZ = 1184,
};

#define PG_EPOCH_DAYS 10957 /* 2000-01-01 */
#define PG_EPOCH_USEC (INT64_C(86400000000) * PG_EPOCH_DAYS)

struct cp_rows {
    PGresult *result;
};

struct cp_rows *cp_rows_new(PGresult *result)
{
    struct cp_rows *rows = sb_mem_new(sizeof(*rows));

    rows->result = result;
    return rows;
}

void cp_rows_destroy(struct cp_rows **rows)
{
    if (*rows == NULL)
        return;
    PQclear((*rows)->result);
    sb_mem_free(*rows);
    *rows = NULL;
}

size_t cp_rows_count(const struct cp_rows *rows)
{
    return (size_t)PQntuples(rows->result);
}

bool cp_rows_is_null(const struct cp_rows *rows, size_t row, int column)
{
    return PQgetisnull(rows->result, (int)row, column) != 0;
}

/* Big-endian, sign extended. */
static int64_t number_at(const char *p, int n)
{
    uint64_t value = 0;

    for (int i = 0; i < n; i++)
        value = value << 8 | (unsigned char)p[i];
    if (n == 4)
        return (int32_t)(uint32_t)value;
    return n == 2 ? (int16_t)(uint16_t)value : (int64_t)value;
}

int64_t cp_rows_i64(const struct cp_rows *rows, size_t row, int column)
{
    const char *p = PQgetvalue(rows->result, (int)row, column);

    if (cp_rows_is_null(rows, row, column))
        return 0;
    switch (PQftype(rows->result, column)) {
    case PG_INT2:
        return number_at(p, 2);
    case PG_INT4:
        return number_at(p, 4);
    case PG_INT8:
        return number_at(p, 8);
    case PG_OID:
        return (int64_t)(uint32_t)number_at(p, 4);
    default:
        (void)SB_NEVER(true); /* the statement has no such column */
        return 0;
    }
}

bool cp_rows_bool(const struct cp_rows *rows, size_t row, int column)
{
    if (cp_rows_is_null(rows, row, column) || SB_NEVER(PQftype(rows->result, column) != PG_BOOL))
        return false;
    return *PQgetvalue(rows->result, (int)row, column) != 0;
}

struct sb_slice cp_rows_bytes(const struct cp_rows *rows, size_t row, int column)
{
    return sb_slice_make(PQgetvalue(rows->result, (int)row, column),
                         (size_t)PQgetlength(rows->result, (int)row, column));
}

int64_t cp_rows_usec(const struct cp_rows *rows, size_t row, int column)
{
    int64_t usec;

    if (cp_rows_is_null(rows, row, column) ||
        SB_NEVER(PQftype(rows->result, column) != PG_TIMESTAMPTZ))
        return 0;
    usec = number_at(PQgetvalue(rows->result, (int)row, column), 8);
    /* Infinity, and what is nearly as far. */
    return usec <= INT64_MAX - PG_EPOCH_USEC ? usec + PG_EPOCH_USEC : INT64_MAX;
}

int32_t cp_rows_day(const struct cp_rows *rows, size_t row, int column)
{
    if (cp_rows_is_null(rows, row, column) || SB_NEVER(PQftype(rows->result, column) != PG_DATE))
        return 0;
    return (int32_t)number_at(PQgetvalue(rows->result, (int)row, column), 4) + PG_EPOCH_DAYS;
}

/* Header: dimensions, has nulls, element type, length and lower bound of the
 * one dimension; then length and bytes of each element.  An empty array has
 * no dimension and ends after the type. */
enum { ARRAY_HEADER = 20 };

struct cp_array cp_array_open(struct sb_slice raw)
{
    struct cp_array array = {.n = 0};

    if (raw.n < ARRAY_HEADER || number_at(raw.p, 4) != 1)
        return array;
    array.n = (size_t)number_at(raw.p + 12, 4);
    array.left = sb_slice_from(raw, ARRAY_HEADER);
    return array;
}

bool cp_array_next(struct cp_array *array, struct sb_slice *ret_element)
{
    int64_t n;

    if (array->n == 0 || array->left.n < 4)
        return false;
    n = number_at(array->left.p, 4);
    array->left = sb_slice_from(array->left, 4);
    array->n--;
    if (n < 0) /* NULL */
        n = 0;
    if ((size_t)n > array->left.n)
        return false;
    *ret_element = sb_slice_make(array->left.p, (size_t)n);
    array->left = sb_slice_from(array->left, (size_t)n);
    return true;
}

/* The number of parts; then type, length and bytes of each. */
struct cp_record cp_record_open(struct sb_slice raw)
{
    struct cp_record record = {.n = 0};

    if (raw.n < 4 || number_at(raw.p, 4) < 0)
        return record;
    record.n = (size_t)number_at(raw.p, 4);
    record.left = sb_slice_from(raw, 4);
    return record;
}

bool cp_record_next(struct cp_record *record, struct sb_slice *ret_part)
{
    int64_t n;

    if (record->n == 0 || record->left.n < 8)
        return false;
    n = number_at(record->left.p + 4, 4);
    record->left = sb_slice_from(record->left, 8);
    record->n--;
    if (n < 0) /* NULL */
        n = 0;
    if ((size_t)n > record->left.n)
        return false;
    *ret_part = sb_slice_make(record->left.p, (size_t)n);
    record->left = sb_slice_from(record->left, (size_t)n);
    return true;
}

int32_t cp_record_day(struct sb_slice part)
{
    return part.n == 4 ? (int32_t)number_at(part.p, 4) + PG_EPOCH_DAYS : 0;
}
