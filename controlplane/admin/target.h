/* controlplane/admin/target.h - the target of a request: a path, and a query.
 *
 * Pure.  Escapes are undone per segment and per value, so that a name may hold
 * any character, a slash too; an escaped NUL is refused, and what is not UTF-8.
 */
#pragma once

#include <stddef.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

enum { CP_TARGET_PARAMS_MAX = 64 };

struct cp_target_param {
    struct sb_slice name, value; /* unescaped */
};

struct cp_target {
    struct sb_slice path; /* as sent, without the query */
    struct cp_target_param *params;
    size_t n_params;
};

/* Everything is in arena, or borrowed from text.  SB_EPARSE: an escape that is
 * none, or no text; SB_ETOOBIG: too many parameters. */
int cp_target_parse(struct sb_slice text, struct sb_arena *arena, struct cp_target *ret_target,
                    struct sb_errmsg *err) SB_MUSTCHECK;

/* Undoes %XX, and '+' for a blank when is_form.  SB_EPARSE. */
int cp_target_unescape(struct sb_slice text, bool is_form, struct sb_arena *arena,
                       struct sb_slice *ret_text) SB_MUSTCHECK;

/* Segments that "{name}" of a pattern stands for; "{name...}" at its end
 * stands for all that is left, slashes included. */
enum { CP_TARGET_ARGS_MAX = 2 };

/* Whether path is of the form of pattern; then its arguments, as sent. */
bool cp_target_match(const char *pattern, struct sb_slice path,
                     struct sb_slice ret_args[CP_TARGET_ARGS_MAX]);
