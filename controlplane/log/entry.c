/* controlplane/log/entry.c */
#include "controlplane/log/entry.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/buf.h"
#include "common/canon.h"
#include "common/err.h"
#include "common/num.h"

enum { ANY_MAX = INET6_ADDRSTRLEN + 2 }; /* a number, an address */

/* A value, but for foreign JSON, as text: at most so many bytes. */
static size_t room_for(const struct cp_column *column, const struct cp_value *value)
{
    const size_t comma = 1;

    if (!value->is_set || !column->is_in)
        return 0;
    return comma + column->label.n + ANY_MAX + SB_CANON_TEXT_MAX(value->bytes.n);
}

static char *put_bytes(char *to, struct sb_slice bytes)
{
    if (bytes.n > 0)
        memcpy(to, bytes.p, bytes.n);
    return to + bytes.n;
}

/* IPv6 in one form, whoever wrote it; a netmask stays. */
static char *put_address(char *to, struct sb_slice text)
{
    struct in6_addr address;
    char copy[INET6_ADDRSTRLEN];

    if (sb_slice_find(text, ':') == text.n || !sb_slice_copy_text(text, copy, sizeof(copy)) ||
        inet_pton(AF_INET6, copy, &address) != 1)
        return sb_canon_text(to, text);
    (void)inet_ntop(AF_INET6, &address, copy, sizeof(copy));
    return sb_canon_text(to, sb_slice_of(copy));
}

static char *put_value(char *to, const struct cp_column *column, const struct cp_value *value)
{
    switch (column->type) {
    case CP_COLUMN_BOOL:
        return put_bytes(to, value->number != 0 ? SB_SLICE_LIT("true") : SB_SLICE_LIT("false"));
    case CP_COLUMN_INET:
        return put_address(to, value->bytes);
    case CP_COLUMN_TEXT:
        return sb_canon_text(to, value->bytes);
    case CP_COLUMN_BYTES:
        return sb_canon_hex(to, value->bytes);
    case CP_COLUMN_JSON:
        return put_bytes(to, value->bytes);
    case CP_COLUMN_I16:
    case CP_COLUMN_I32:
    case CP_COLUMN_I64:
    case CP_COLUMN_TIME:
        break;
    }
    return to + sb_num_put_i64(to, value->number);
}

static char *put_kind(char *to, const char *kind, bool is_first)
{
    *to = ',';
    to = put_bytes(to + (is_first ? 0 : 1), SB_SLICE_LIT("\"kind\":"));
    return sb_canon_text(to, sb_slice_of(kind));
}

/* PostgreSQL prints JSON in an order of its own. */
static int put_foreign(struct sb_buf *out, const struct cp_column *column,
                       const struct cp_value *value, bool is_first)
{
    int rc = is_first ? SB_OK : sb_buf_append_byte(out, ',');

    if (rc == SB_OK)
        rc = sb_buf_append(out, column->label);
    return rc == SB_OK ? sb_canon_json(out, value->bytes) : rc;
}

static int put_columns(const struct cp_columns *columns, const struct cp_value *values,
                       bool is_foreign, struct sb_buf *out)
{
    bool is_first = true;
    size_t room = 64 + 6 * strlen(columns->kind); /* braces and kind */
    char *to;
    int rc;

    for (int i = 0; i < columns->n; i++)
        room += room_for(&columns->at[i], &values[i]);
    rc = sb_buf_append_byte(out, '{');
    if (rc == SB_OK)
        rc = sb_buf_reserve(out, room);
    if (rc != SB_OK)
        return rc;
    to = sb_buf_end(out);
    for (int i = 0; i < columns->n; i++) {
        const struct cp_column *column = &columns->at[i];

        if (i == columns->kind_at) {
            to = put_kind(to, columns->kind, is_first);
            is_first = false;
        }
        if (!column->is_in || !values[i].is_set)
            continue;
        if (is_foreign && column->type == CP_COLUMN_JSON) {
            sb_buf_commit(out, (size_t)(to - sb_buf_end(out)));
            rc = put_foreign(out, column, &values[i], is_first);
            if (rc == SB_OK)
                rc = sb_buf_reserve(out, room);
            if (rc != SB_OK)
                return rc;
            to = sb_buf_end(out);
        } else {
            *to = ',';
            to = put_bytes(to + (is_first ? 0 : 1), column->label);
            to = put_value(to, column, &values[i]);
        }
        is_first = false;
    }
    sb_buf_commit(out, (size_t)(to - sb_buf_end(out)));
    return sb_buf_append_byte(out, '}');
}

static int put_line(enum cp_entry_kind kind, const struct cp_value *values, bool is_foreign,
                    struct sb_buf *out)
{
    size_t before = sb_buf_len(out);
    int rc = put_columns(cp_columns_of(kind), values, is_foreign, out);

    if (rc != SB_OK)
        sb_buf_truncate(out, before);
    return rc;
}

int cp_entry_put(enum cp_entry_kind kind, const struct cp_value *values, struct sb_buf *out)
{
    return put_line(kind, values, false, out);
}

int cp_entry_put_row(enum cp_entry_kind kind, const struct cp_rows *rows, size_t row,
                     struct sb_buf *out)
{
    struct cp_value values[CP_COLUMNS_MAX];

    cp_columns_read(cp_columns_of(kind), rows, row, values);
    return put_line(kind, values, true, out);
}
