/* controlplane/ctl/ctl.h - one run of switchboardctl: what its commands share.
 *
 * Results go to stdout, at once and at the end; all else (problems, progress,
 * what to do next) to stderr.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/json.h"
#include "common/slice.h"
#include "controlplane/ctl/args.h"
#include "controlplane/ctl/rest.h"
#include "controlplane/ctl/table.h"

enum ctl_format { CTL_AS_TABLE, CTL_AS_JSON, CTL_AS_YAML };

struct ctl {
    struct sb_arena *arena;
    struct ctl_args args;
    enum ctl_format format;
    struct ctl_term term; /* stdout */
    struct sb_buf out;    /* for stdout */
    struct ctl_term err_term;
    struct ctl_rest *rest; /* NULL until the first call */
    bool reader_is_gone;   /* nobody reads stdout any more */
    bool shows_progress;
    bool progress_is_on; /* a line of it stands on the terminal */
    unsigned progress_step;
    sb_msec progress_from, progress_at; /* when the work began, the next line is due; 0: neither */
    const char *doing;                  /* for progress: "applying" */
    long status;                        /* of the last answer */
};

enum { CTL_OUT_MAX = 512 << 20 };

/* All of the program; the exit status. */
int ctl_main(int argc, char *const *argv);

/* The value of a flag; NULL: absent. */
const char *ctl_flag(const struct ctl *ctl, const char *name);
/* Whether a switch is there. */
bool ctl_has(const struct ctl *ctl, const char *name);
/* $SWITCHBOARD_HOME, or ./.switchboard. */
const char *ctl_home(void);

/* --- speaking ------------------------------------------------------------------------ */

/* One line on stderr; gives CTL_FAILED, so that a failure is one statement. */
int ctl_fail(struct ctl *ctl, const char *fmt, ...) SB_PRINTF(2, 3);
/* The same for wrong usage: CTL_USAGE. */
int ctl_misuse(struct ctl *ctl, const char *fmt, ...) SB_PRINTF(2, 3);
/* A line on stderr that is not a failure. */
void ctl_note(struct ctl *ctl, const char *fmt, ...) SB_PRINTF(2, 3);

/* To ctl->out. */
void ctl_print(struct ctl *ctl, const char *fmt, ...) SB_PRINTF(2, 3);
void ctl_print_styled(struct ctl *ctl, enum ctl_style style, struct sb_slice text);
void ctl_print_table(struct ctl *ctl, const struct ctl_table *table);
/* As JSON or YAML, as ctl->format says. */
void ctl_print_value(struct ctl *ctl, yyjson_val *value);
/* How far long work is, in a line on stderr that comes and goes: on a terminal
 * only, not at once, and as often as it is worth it. */
void ctl_progress(struct ctl *ctl, const char *doing, uint64_t done, uint64_t total);
/* Sends what is in ctl->out to stdout.  That nobody reads is no failure. */
int ctl_flush(struct ctl *ctl) SB_MUSTCHECK;

/* --- asking --------------------------------------------------------------------------- */

/* Escapes what may not stand in a path; slashes stay. */
const char *ctl_escape(struct ctl *ctl, const char *text);
/* Adds "name=value" to a query that begins empty; a NULL value adds nothing. */
struct ctl_query {
    struct ctl *ctl;
    struct sb_slice text;
};
void ctl_query_add(struct ctl_query *query, const char *name, const char *value);
/* A switch of the command as a parameter: --dry-run as dry_run=true. */
void ctl_query_add_switch(struct ctl_query *query, const char *flag, const char *name);
/* path and query as one. */
const char *ctl_query_path(const struct ctl_query *query, const char *path);

/* CTL_DONE with an answer of 2xx; else the problems were shown.  The answer is
 * released with the arena.  An on_piece that ends the call says why itself, and
 * returns SB_ECANCELED; *ret_root is then untouched. */
int ctl_call(struct ctl *ctl, const struct ctl_request *request,
             yyjson_val **ret_root) SB_MUSTCHECK;
int ctl_get(struct ctl *ctl, const char *path, yyjson_val **ret_root) SB_MUSTCHECK;
/* A list, page after page, up to `most` objects: an array.  filters: NULL for
 * none. */
#define CTL_ALL SIZE_MAX
int ctl_get_list(struct ctl *ctl, const char *path, const struct ctl_query *filters, size_t most,
                 yyjson_val **ret_list) SB_MUSTCHECK;
