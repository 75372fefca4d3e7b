/* common/conf.h - a program's settings as a table.
 *
 * A row says all there is to know about a setting: the parser, --help,
 * --check, --show-config and the "did you mean" of a wrong flag walk the same
 * table.  A value comes from `--name value` or `--name=value` (the last one
 * wins), else from the environment as SWITCHBOARD_NAME (capitals, '-' as
 * '_'; an empty one counts as not set), else from the default.  A value that
 * begins with "--" needs the form with '='.
 *
 *      static const struct sb_conf_item items[] = {
 *          {"port", SB_CONF_INT, SB_CONF_AT(struct conf, port), 1, 65535, "8080",
 *           0, "Listening", "port for clients", NULL},
 *          ...
 *      };
 *      static const struct sb_conf_spec spec = {
 *          .program = "switchboard-worker", .summary = "...", .version = "0.1.0",
 *          .items = items, .n_items = SB_ARRAY_LEN(items)};
 *
 *      if (!sb_conf_start(&spec, argc, argv, &conf, &status))
 *          return status;
 *
 * Texts of the filled struct are borrowed from argv, the environment and the
 * table: all three live as long as the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"

struct sb_buf;

/* Type of the value, and of the struct member it is stored in. */
enum sb_conf_type {
    SB_CONF_INT,    /* int64_t; "42", "-1" */
    SB_CONF_SIZE,   /* uint64_t bytes; "4096", "32KiB", "8MiB", "4GiB" */
    SB_CONF_MSEC,   /* sb_msec; "250ms", "60s", "5m", "2h", "1d", or "0" */
    SB_CONF_BOOL,   /* bool; true/false, yes/no, on/off, 1/0; a bare --name is true */
    SB_CONF_STRING, /* const char *; NULL when the default is NULL and nothing is given */
    SB_CONF_ENUM,   /* int: the index of the value in choices */
};

enum sb_conf_flags {
    SB_CONF_RELOAD = 1 << 0,   /* may change while the program runs; --help says so */
    SB_CONF_SECRET = 1 << 1,   /* STRING; never shown, by messages neither */
    SB_CONF_REQUIRED = 1 << 2, /* without a default, and must be given */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order one reads a row */
struct sb_conf_item {
    const char *name; /* "body-limit" */
    enum sb_conf_type type;
    size_t offset, size;  /* SB_CONF_AT(struct x, member) */
    int64_t min, max;     /* INT; SIZE in bytes; MSEC in ms; STRING: its length; 0 and 0: any */
    const char *fallback; /* the default, as one would write it; NULL: none */
    unsigned flags;       /* of enum sb_conf_flags */
    const char *group;    /* heading in --help; items of a group stand together */
    const char *help;     /* one line, no capital, no dot */
    const char *const *choices; /* ENUM: the values, ended by NULL */
};

#define SB_CONF_AT(type, member) offsetof(type, member), sizeof(((type *)NULL)->member)

struct sb_conf_spec {
    const char *program; /* "switchboard-worker" */
    const char *summary; /* one line for --help */
    const char *version;
    const char *examples[2]; /* arguments, as they are typed, for --help; NULL: none */
    const struct sb_conf_item *items;
    size_t n_items;
    /* Looks at the filled struct as a whole, may complete it.  May be NULL. */
    int (*check)(void *target, struct sb_errmsg *err);
    /* Looks at the files that settings name, before the program runs and for
     * --check.  Opens what it needs and keeps nothing.  May be NULL. */
    int (*inspect)(const void *target, struct sb_errmsg *err);
};

/* What the command line asks for. */
enum sb_conf_action {
    SB_CONF_RUN,
    SB_CONF_HELP,    /* --help, -h */
    SB_CONF_VERSION, /* --version */
    SB_CONF_CHECK,   /* --check: settings are right, and that is all */
    SB_CONF_SHOW,    /* --show-config */
};

/* Fills target.  SB_EINVAL with the name, the value and what is allowed in
 * err; the settings in target are then as before.  For HELP and VERSION the
 * values are not looked at, and target is as before. */
int sb_conf_read(const struct sb_conf_spec *spec, int argc, char *const *argv, void *target,
                 enum sb_conf_action *ret_action, struct sb_errmsg *err) SB_MUSTCHECK;
/* Appends the --help page: all settings, their variables and defaults, in 100
 * columns. */
int sb_conf_help(const struct sb_conf_spec *spec, struct sb_buf *page) SB_MUSTCHECK;
/* Appends "name=value  # from where" per setting; secrets as "(set)".  For a
 * command line that sb_conf_read() took. */
int sb_conf_show(const struct sb_conf_spec *spec, int argc, char *const *argv,
                 struct sb_buf *page) SB_MUSTCHECK;

/* For checks: of any failure, SB_EINVAL with why behind the setting's name. */
int sb_conf_judge(const char *name, int rc, const struct sb_errmsg *why,
                  struct sb_errmsg *err) SB_MUSTCHECK;

/* All of it, for main(): true when the program is to run.  Else the page went
 * to stdout or the mistake to stderr, and *ret_status is the exit status (0,
 * or 2 for a wrong setting). */
bool sb_conf_start(const struct sb_conf_spec *spec, int argc, char *const *argv, void *target,
                   int *ret_status) SB_MUSTCHECK;
