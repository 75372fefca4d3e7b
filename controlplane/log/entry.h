/* controlplane/log/entry.h - an entry of the log: one line, made of the columns of a row.
 *
 * The line is canonical JSON (common/canon.h): an object of the columns under
 * their names (controlplane/log/column_map.h) and "kind".  A column that is NULL is
 * left out; so are the leaf, which is where the line is in the log, and what
 * can be destroyed without a trace in the tree: salts and plain personal data.
 * Numbers are integers: times are microseconds since 1970 UTC, money is 1e-15
 * USD, closed lists are those of proto/vocabulary.h.  Bytes are hexadecimal;
 * an address has a netmask only where that does not cover the whole.
 *
 * A line is not stored: whoever shows or verifies an entry makes it of the row
 * again, so a row that was edited does not fit its leaf any more.
 */
#pragma once

#include <stddef.h>

#include "common/attr.h"
#include "controlplane/log/columns.h"

struct cp_rows;
struct sb_buf;

enum { CP_ENTRY_LINE_MAX = 8 << 20 }; /* bytes: above those of any entry */

/* Both append the line, without a newline.  Errors: SB_ETOOBIG, SB_ENOMEM; out
 * is then as before.
 *
 * Of values whose JSON is canonical. */
int cp_entry_put(enum cp_entry_kind kind, const struct cp_value *values,
                 struct sb_buf *out) SB_MUSTCHECK;
/* Of a row of the select of its kind.  SB_ETOOBIG says also that JSON in it is
 * nested deeper than any of ours. */
int cp_entry_put_row(enum cp_entry_kind kind, const struct cp_rows *rows, size_t row,
                     struct sb_buf *out) SB_MUSTCHECK;
