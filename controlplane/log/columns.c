/* controlplane/log/columns.c */
#include "controlplane/log/columns.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "controlplane/copy.h"
#include "controlplane/db.h"

/* How PostgreSQL shows a column of a type. */
#define AS_I16(name)   #name
#define AS_I32(name)   #name
#define AS_I64(name)   #name
#define AS_BOOL(name)  #name
#define AS_TEXT(name)  #name
#define AS_BYTES(name) #name
#define AS_JSON(name)  #name "::text"
#define AS_INET(name)  "abbrev(" #name ")" /* without a netmask that covers the whole */
#define AS_TIME(name)  #name
#define IS_IN          true
#define IS_BESIDE      false

#define COLUMN(type, name, where) {CP_COLUMN_##type, IS_##where, SB_SLICE_INIT("\"" #name "\":")},
/* Behind each a comma, behind the last one, too. */
#define NAME(type, name, where)     #name ","
#define SELECTED(type, name, where) AS_##type(name) ","

static const struct cp_column request[] = {CP_REQUEST_COLUMNS(COLUMN)};
static const struct cp_column dispatch[] = {CP_DISPATCH_COLUMNS(COLUMN)};
static const struct cp_column refusals[] = {CP_REFUSALS_COLUMNS(COLUMN)};
static const struct cp_column quarantined[] = {CP_QUARANTINED_COLUMNS(COLUMN)};
static const struct cp_column change[] = {CP_CHANGE_COLUMNS(COLUMN)};
static const struct cp_column dropped[] = {CP_DROPPED_COLUMNS(COLUMN)};
static const struct cp_column erased[] = {CP_ERASED_COLUMNS(COLUMN)};
static const struct cp_column action[] = {CP_ACTION_COLUMNS(COLUMN)};

#define QUARANTINED_ROWS                                                                           \
    "(SELECT at, boot_id, sha256(bytes) AS bytes_sha256, code, leaf, problem, sequence,"           \
    " worker_id FROM quarantine) AS e"
#define OBJECT                                                                                     \
    "(jsonb_build_object('kind', c.kind, 'name', c.name, 'secret_changed', c.secret_changed)"      \
    " || CASE WHEN c.before IS NULL THEN '{}' ELSE jsonb_build_object('before', c.before) END"     \
    " || CASE WHEN c.after IS NULL THEN '{}' ELSE jsonb_build_object('after', c.after) END)"
#define OBJECT_ORDER   " ORDER BY c.kind COLLATE \"C\", c.name COLLATE \"C\""
#define CHANGE_OBJECTS " FROM audit_changes c WHERE c.revision = r.revision"
#define CHANGE_ROWS                                                                                \
    "(SELECT r.action, r.address, r.at, r.author, r.epoch, r.forced, l.leaf, r.note,"              \
    " CASE WHEN s.fits THEN (SELECT jsonb_agg(" OBJECT OBJECT_ORDER ")" CHANGE_OBJECTS             \
    ") END AS objects,"                                                                            \
    " CASE WHEN NOT s.fits THEN (SELECT sha256(string_agg(sha256(convert_to(" OBJECT               \
    "::text, 'UTF8')), ''::bytea" OBJECT_ORDER "))" CHANGE_OBJECTS ") END AS objects_sha256,"      \
    " r.revision, r.role"                                                                          \
    " FROM revisions r LEFT JOIN log_changes l ON l.revision = r.revision,"                        \
    " LATERAL (SELECT coalesce(sum(octet_length(" OBJECT                                           \
    "::text)), 0) <= 4194304 AS fits" CHANGE_OBJECTS ") AS s) AS e"
_Static_assert(CP_ENTRY_OBJECTS == 4194304, "as above");
#define DROPPED_ROWS                                                                               \
    "(SELECT d.at, to_char(d.day, 'YYYY-MM-DD') AS day, d.first_leaf, d.history, d.id,"            \
    " d.last_leaf, l.leaf, d.rows FROM log_drops d LEFT JOIN log_dropped l ON l.drop_id = d.id)"   \
    " AS e"
#define ERASED_ROWS                                                                                \
    "(SELECT d.at, d.author, d.id, l.leaf, d.rows"                                                 \
    " FROM log_erasures d LEFT JOIN log_erased l ON l.erasure_id = d.id) AS e"
#define ACTION_ROWS                                                                                \
    "(SELECT a.action, a.address, a.at, a.author, a.detail, a.id, l.leaf, a.role, a.subject"       \
    " FROM admin_actions a LEFT JOIN log_actions l ON l.action_id = a.id) AS e"

/* The constant ends the list. */
#define SELECT_FROM(columns, rows) "SELECT " columns(SELECTED) "0 FROM " rows

static const struct cp_columns tables[CP_ENTRY_KINDS] = {
    [CP_ENTRY_REQUEST] = {.kind = "request",
                          .select = SELECT_FROM(CP_REQUEST_COLUMNS, "audit_requests"),
                          .table = "audit_requests",
                          .names = CP_REQUEST_COLUMNS(NAME),
                          .at = request,
                          .n = CP_REQUEST_N,
                          .leaf = CP_REQUEST_leaf,
                          .kind_at = CP_REQUEST_leaf},
    [CP_ENTRY_DISPATCH] = {.kind = "dispatch",
                           .select = SELECT_FROM(CP_DISPATCH_COLUMNS, "audit_dispatches"),
                           .table = "audit_dispatches",
                           .names = CP_DISPATCH_COLUMNS(NAME),
                           .at = dispatch,
                           .n = CP_DISPATCH_N,
                           .leaf = CP_DISPATCH_leaf,
                           .kind_at = CP_DISPATCH_leaf},
    [CP_ENTRY_REFUSALS] = {.kind = "refusals",
                           .select = SELECT_FROM(CP_REFUSALS_COLUMNS, "audit_refusals"),
                           .table = "audit_refusals",
                           .names = CP_REFUSALS_COLUMNS(NAME),
                           .at = refusals,
                           .n = CP_REFUSALS_N,
                           .leaf = CP_REFUSALS_leaf,
                           .kind_at = CP_REFUSALS_leaf},
    [CP_ENTRY_QUARANTINED] = {.kind = "quarantined",
                              .select = SELECT_FROM(CP_QUARANTINED_COLUMNS, QUARANTINED_ROWS),
                              .at = quarantined,
                              .n = CP_QUARANTINED_N,
                              .leaf = CP_QUARANTINED_leaf,
                              .kind_at = CP_QUARANTINED_leaf},
    [CP_ENTRY_CHANGE] = {.kind = "change",
                         .select = SELECT_FROM(CP_CHANGE_COLUMNS, CHANGE_ROWS),
                         .at = change,
                         .n = CP_CHANGE_N,
                         .leaf = CP_CHANGE_leaf,
                         .kind_at = CP_CHANGE_leaf},
    [CP_ENTRY_DROPPED] = {.kind = "dropped",
                          .select = SELECT_FROM(CP_DROPPED_COLUMNS, DROPPED_ROWS),
                          .at = dropped,
                          .n = CP_DROPPED_N,
                          .leaf = CP_DROPPED_leaf,
                          .kind_at = CP_DROPPED_last_leaf},
    [CP_ENTRY_ERASED] = {.kind = "erased",
                         .select = SELECT_FROM(CP_ERASED_COLUMNS, ERASED_ROWS),
                         .at = erased,
                         .n = CP_ERASED_N,
                         .leaf = CP_ERASED_leaf,
                         .kind_at = CP_ERASED_leaf},
    [CP_ENTRY_ACTION] = {.kind = "action",
                         .select = SELECT_FROM(CP_ACTION_COLUMNS, ACTION_ROWS),
                         .at = action,
                         .n = CP_ACTION_N,
                         .leaf = CP_ACTION_leaf,
                         .kind_at = CP_ACTION_leaf},
};

const struct cp_columns *cp_columns_of(enum cp_entry_kind kind)
{
    return &tables[kind];
}

int cp_columns_copy_sql(const struct cp_columns *columns, struct sb_buf *sql)
{
    struct sb_slice names = sb_slice_of(columns->names);

    return sb_buf_printf(sql, "COPY %s (%.*s) FROM STDIN (FORMAT binary)", columns->table,
                         (int)names.n - 1, names.p);
}

/* --- values ------------------------------------------------------------------------ */

static int copy_value(struct sb_buf *buf, enum cp_column_type type, const struct cp_value *value)
{
    if (!value->is_set)
        return cp_copy_null(buf);
    switch (type) {
    case CP_COLUMN_I16:
        return cp_copy_i16(buf, (int16_t)value->number);
    case CP_COLUMN_I32:
        return cp_copy_i32(buf, (int32_t)value->number);
    case CP_COLUMN_I64:
        return cp_copy_i64(buf, value->number);
    case CP_COLUMN_BOOL:
        return cp_copy_bool(buf, value->number != 0);
    case CP_COLUMN_JSON:
        return cp_copy_json(buf, value->bytes);
    case CP_COLUMN_INET:
        return cp_copy_inet(buf, value->bytes);
    case CP_COLUMN_TIME:
        return cp_copy_usec(buf, value->number);
    case CP_COLUMN_TEXT:
    case CP_COLUMN_BYTES:
        break;
    }
    return cp_copy_bytes(buf, value->bytes);
}

int cp_columns_copy(const struct cp_columns *columns, const struct cp_value *values,
                    struct sb_buf *buf)
{
    size_t before = sb_buf_len(buf);
    int rc = cp_copy_row(buf, (int16_t)columns->n);

    for (int i = 0; rc == SB_OK && i < columns->n; i++)
        rc = copy_value(buf, columns->at[i].type, &values[i]);
    if (rc != SB_OK)
        sb_buf_truncate(buf, before);
    return rc;
}

static void read_value(enum cp_column_type type, const struct cp_rows *rows, size_t row, int column,
                       struct cp_value *ret_value)
{
    ret_value->is_set = !cp_rows_is_null(rows, row, column);
    ret_value->number = 0;
    ret_value->bytes = SB_SLICE_NONE;
    if (!ret_value->is_set)
        return;
    switch (type) {
    case CP_COLUMN_I16:
    case CP_COLUMN_I32:
    case CP_COLUMN_I64:
        ret_value->number = cp_rows_i64(rows, row, column);
        return;
    case CP_COLUMN_BOOL:
        ret_value->number = cp_rows_bool(rows, row, column) ? 1 : 0;
        return;
    case CP_COLUMN_TIME:
        ret_value->number = cp_rows_usec(rows, row, column);
        return;
    case CP_COLUMN_TEXT:
    case CP_COLUMN_BYTES:
    case CP_COLUMN_JSON:
    case CP_COLUMN_INET:
        ret_value->bytes = cp_rows_bytes(rows, row, column);
    }
}

void cp_columns_read(const struct cp_columns *columns, const struct cp_rows *rows, size_t row,
                     struct cp_value *ret_values)
{
    for (int i = 0; i < columns->n; i++)
        read_value(columns->at[i].type, rows, row, i, &ret_values[i]);
}
