/* controlplane/rows.h - reads what a statement of controlplane/db.h gave.
 *
 * Values are in PostgreSQL's binary form: cast in SQL to text what has no
 * accessor here (jsonb, numeric).  https://www.postgresql.org/docs/15/protocol-overview.html
 *
 * NULL values give 0, false, no bytes.  A value of another type is a bug of
 * the statement: SB_NEVER(), and 0.  Slices live as long as rows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

struct cp_rows;
struct pg_result; /* libpq's, for controlplane/db.c */

/* Takes result. */
struct cp_rows *cp_rows_new(struct pg_result *result);
/* Fits SB_CLEANUP; NULL is fine. */
void cp_rows_destroy(struct cp_rows **rows);
size_t cp_rows_count(const struct cp_rows *rows);
bool cp_rows_is_null(const struct cp_rows *rows, size_t row, int column);
int64_t cp_rows_i64(const struct cp_rows *rows, size_t row, int column); /* int2, int4, int8, oid */
bool cp_rows_bool(const struct cp_rows *rows, size_t row, int column);
struct sb_slice cp_rows_bytes(const struct cp_rows *rows, size_t row, int column); /* text, bytea */
/* timestamptz: microseconds since 1970 UTC; date: days since 1970-01-01. */
int64_t cp_rows_usec(const struct cp_rows *rows, size_t row, int column);
int32_t cp_rows_day(const struct cp_rows *rows, size_t row, int column);
/* The elements of a one-dimensional array of text or bytea: of NULL and of
 * what is no such array there are none.  raw: cp_rows_bytes() of its column. */
struct cp_array {
    struct sb_slice left;
    size_t n; /* elements left */
};
struct cp_array cp_array_open(struct sb_slice raw);
bool cp_array_next(struct cp_array *array, struct sb_slice *ret_element);

/* The parts of a composite value (raw: cp_rows_bytes() of its column), in their
 * order; NULL and what is no composite has none. */
struct cp_record {
    struct sb_slice left;
    size_t n; /* parts left */
};
struct cp_record cp_record_open(struct sb_slice raw);
/* A part that is NULL has no bytes. */
bool cp_record_next(struct cp_record *record, struct sb_slice *ret_part);
/* A part that is a date: days since 1970-01-01; 0 for NULL. */
int32_t cp_record_day(struct sb_slice part);
