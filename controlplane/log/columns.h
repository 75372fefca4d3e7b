/* controlplane/log/columns.h - the columns of what the log holds, in one place.
 *
 * COPY, SELECT, the values of a row in memory and the line that is hashed
 * (controlplane/log/entry.h) are all made of the lists of controlplane/log/column_map.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "controlplane/log/column_map.h"

struct cp_rows;
struct sb_buf;

enum cp_entry_kind {
    CP_ENTRY_REQUEST,     /* audit_requests */
    CP_ENTRY_DISPATCH,    /* audit_dispatches */
    CP_ENTRY_REFUSALS,    /* audit_refusals */
    CP_ENTRY_QUARANTINED, /* a record that could not be stored: who it is, SHA-256 of its bytes */
    CP_ENTRY_CHANGE,      /* a revision of the configuration with the objects that it changed */
    CP_ENTRY_DROPPED,     /* a partition that retention dropped */
    CP_ENTRY_ERASED,      /* salts that were destroyed for a person */
    CP_ENTRY_ACTION,      /* what an administrator did, or was refused, that is no revision */
    CP_ENTRY_KINDS,
};
enum cp_column_type {
    CP_COLUMN_I16,
    CP_COLUMN_I32,
    CP_COLUMN_I64,
    CP_COLUMN_BOOL,
    CP_COLUMN_TEXT,
    CP_COLUMN_BYTES,
    CP_COLUMN_JSON,
    CP_COLUMN_INET,
    CP_COLUMN_TIME,
};

/* CP_REQUEST_api, ...: where the value of a column is among those of its row. */
#define X(type, name, where) CP_REQUEST_##name,
enum cp_request_column { CP_REQUEST_COLUMNS(X) CP_REQUEST_N };
#undef X
#define X(type, name, where) CP_DISPATCH_##name,
enum cp_dispatch_column { CP_DISPATCH_COLUMNS(X) CP_DISPATCH_N };
#undef X
#define X(type, name, where) CP_REFUSALS_##name,
enum cp_refusals_column { CP_REFUSALS_COLUMNS(X) CP_REFUSALS_N };
#undef X
#define X(type, name, where) CP_QUARANTINED_##name,
enum cp_quarantined_column { CP_QUARANTINED_COLUMNS(X) CP_QUARANTINED_N };
#undef X
#define X(type, name, where) CP_CHANGE_##name,
enum cp_change_column { CP_CHANGE_COLUMNS(X) CP_CHANGE_N };
#undef X
#define X(type, name, where) CP_DROPPED_##name,
enum cp_dropped_column { CP_DROPPED_COLUMNS(X) CP_DROPPED_N };
#undef X
#define X(type, name, where) CP_ERASED_##name,
enum cp_erased_column { CP_ERASED_COLUMNS(X) CP_ERASED_N };
#undef X
#define X(type, name, where) CP_ACTION_##name,
enum cp_action_column { CP_ACTION_COLUMNS(X) CP_ACTION_N };
#undef X

/* One value of a row. */
struct cp_value {
    bool is_set;           /* else NULL */
    int64_t number;        /* numbers, booleans, times (microseconds since 1970 UTC) */
    struct sb_slice bytes; /* the others; borrowed */
};

enum {
    CP_COLUMNS_MAX = CP_REQUEST_N,
    CP_ENTRY_OBJECTS = 4 << 20, /* bytes */
};

struct cp_column {
    enum cp_column_type type;
    bool is_in;            /* the entry */
    struct sb_slice label; /* "\"name\":" */
};
struct cp_columns {
    const char *kind;   /* "request": also the member "kind" */
    const char *select; /* "SELECT <the columns> FROM ...": go on with WHERE */
    const char *table;  /* to COPY to; NULL: that is not how it is stored */
    const char *names;  /* "api,attempts,...,": for COPY */
    const struct cp_column *at;
    int n;
    int leaf;    /* the column of that name */
    int kind_at; /* the first column whose name comes after "kind" */
};
const struct cp_columns *cp_columns_of(enum cp_entry_kind kind);

/* "COPY ..." of a kind that has a table.  Errors of sb_buf_append(). */
int cp_columns_copy_sql(const struct cp_columns *columns, struct sb_buf *sql) SB_MUSTCHECK;
/* Appends the values, one for each column, as a row of COPY.  SB_EINVAL: one
 * of them fits no column; SB_ETOOBIG, SB_ENOMEM.  buf is then as before. */
int cp_columns_copy(const struct cp_columns *columns, const struct cp_value *values,
                    struct sb_buf *buf) SB_MUSTCHECK;
/* The values of a row that the select gave; borrowed from rows.  JSON is as
 * PostgreSQL prints it. */
void cp_columns_read(const struct cp_columns *columns, const struct cp_rows *rows, size_t row,
                     struct cp_value *ret_values);
