/* controlplane/named.h - what is kept under a name that is used once: tokens of the
 * admin API, legal holds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"
#include "common/slice.h"

struct cp_page;
struct cp_store;
struct sb_buf;

/* A time as SQL that shows it: "2026-01-02T03:04:05Z". */
#define CP_NAMED_TIME(column)                                                                      \
    "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

/* 1 to most characters: letters, digits, and, but in front, ". _ @ -". */
bool cp_named_is_fit(struct sb_slice name, size_t most);
/* Appends a page of them as a JSON array.  sql gives name and JSON text of those whose
 * name is above $1, at most $2, in the order of their names. */
int cp_named_list(struct cp_store *store, const char *sql, struct cp_page *page,
                  struct sb_buf *out) SB_MUSTCHECK;
/* Appends one.  sql gives the JSON text of that with the name $1.  SB_ENOENT. */
int cp_named_get(struct cp_store *store, const char *sql, struct sb_slice name,
                 struct sb_buf *out) SB_MUSTCHECK;
