/* controlplane/log/holds.h - legal holds: days of the audit that must stay.
 *
 * No partition of a day under a hold is dropped and nothing in it is erased;
 * the database's own functions see to that (controlplane/sql).  Setting and
 * lifting one are entries of the log.  A name is used once.
 *
 * Calls are on a store, and connect it again as those of controlplane/config/store.h do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct cp_actor;
struct cp_page;
struct cp_store;
struct sb_buf;

struct cp_hold_wish {
    struct sb_slice name; /* as that of a token; see cp_hold_name_is_fit() */
    int32_t from, to;     /* days, both included */
    struct sb_slice note; /* why; 1 to CP_HOLD_NOTE_MAX bytes */
};
enum { CP_HOLD_NOTE_MAX = 2000 };

/* 1 to 64 of letters, digits and "._@-", the first a letter or digit. */
bool cp_hold_name_is_fit(struct sb_slice name);
/* SB_EEXIST: one of that name is or was there. */
int cp_hold_set(struct cp_store *store, const struct cp_hold_wish *wish, const struct cp_actor *by,
                struct sb_errmsg *err) SB_MUSTCHECK;
/* SB_ENOENT; SB_ECONFLICT: it was lifted before. */
int cp_hold_lift(struct cp_store *store, struct sb_slice name, const struct cp_actor *by,
                 struct sb_errmsg *err) SB_MUSTCHECK;

/* Append JSON, as cp_token_list() and cp_token_get() do: {"name", "from", "to",
 * "note", "state": active|lifted, "set_at", "set_by", "lifted_at", "lifted_by"}. */
int cp_hold_list(struct cp_store *store, struct cp_page *page, struct sb_buf *out) SB_MUSTCHECK;
int cp_hold_get(struct cp_store *store, struct sb_slice name, struct sb_buf *out) SB_MUSTCHECK;
