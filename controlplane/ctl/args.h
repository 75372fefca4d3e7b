/* controlplane/ctl/args.h - the command line of switchboardctl, taken apart.
 *
 * Pure.  A command is one or two words; it and its flags are rows of a table,
 * which the parser, --help and "did you mean" walk.  Flags may stand anywhere,
 * as "--name value" or "--name=value"; "--" ends them.  "help" as the first
 * word is "--help".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"
#include "common/err.h"

struct ctl;
struct sb_buf;

enum {
    CTL_FLAGS_MAX = 24,      /* of a command */
    CTL_OPERANDS_MAX = 4000, /* ten years of exported days */
};

struct ctl_flag {
    const char *name;  /* "dry-run" */
    char letter;       /* 'f'; 0: none */
    const char *value; /* what it takes, for --help: "FILE"; NULL: nothing, it is a switch */
    const char *help;
};

struct ctl_command {
    const char *name;     /* "key create" */
    const char *operands; /* for --help: "NAME"; "" */
    unsigned min_operands, max_operands;
    const struct ctl_flag *flags; /* a NULL name at the end */
    const char *summary;          /* one line, no dot */
    const char *more;             /* lines for --help, or NULL */
    const char *examples;         /* lines for --help: words as they are typed, without quotes */
    /* Exit status: CTL_DONE, CTL_FAILED, CTL_USAGE. */
    int (*run)(struct ctl *ctl);
};

enum { CTL_DONE = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

enum ctl_action {
    CTL_RUN,
    CTL_HELP, /* of the command, or of all when there is none */
    CTL_VERSION,
};

struct ctl_args {
    enum ctl_action action;
    const struct ctl_command *command; /* NULL: none was named (HELP, VERSION) */
    const char *common[CTL_FLAGS_MAX]; /* values by index in the table; NULL: absent; */
    const char *own[CTL_FLAGS_MAX];    /* a switch that is there is "" */
    const char *operands[CTL_OPERANDS_MAX];
    unsigned n_operands;
};

struct ctl_table_of_commands {
    const struct ctl_command *commands;
    size_t n_commands;
    const struct ctl_flag *common; /* of every command; a NULL name at the end */
    const char *const *planned;    /* names that are promised and not there yet; NULL at the end */
};

/* SB_EINVAL: err says what is wrong, and what may have been meant.  Texts of
 * *ret_args are borrowed from argv. */
int ctl_args_read(const struct ctl_table_of_commands *table, int argc, char *const *argv,
                  struct ctl_args *ret_args, struct sb_errmsg *err) SB_MUSTCHECK;
/* The value of a flag of the command, or of all; NULL: absent.  A name that is
 * in neither table is a bug. */
const char *ctl_args_get(const struct ctl_table_of_commands *table, const struct ctl_args *args,
                         const char *name);
/* Appends the page for a command (NULL: for all). */
int ctl_args_help(const struct ctl_table_of_commands *table, const struct ctl_command *command,
                  struct sb_buf *page) SB_MUSTCHECK;
