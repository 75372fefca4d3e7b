/* controlplane/ctl/args.c */
#include "controlplane/ctl/args.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/closest.h"
#include "common/slice.h"

enum { WORDS_MAX = CTL_OPERANDS_MAX + 2, NAME_MAX_LEN = 64 };

/* --- commands --------------------------------------------------------------------- */

static const struct ctl_command *find_command(const struct ctl_table_of_commands *table,
                                              const char *name)
{
    for (size_t i = 0; i < table->n_commands; i++) {
        if (strcmp(table->commands[i].name, name) == 0)
            return &table->commands[i];
    }
    return NULL;
}

/* Two words before one: "key create" is not the command "key". */
static const struct ctl_command *match_command(const struct ctl_table_of_commands *table,
                                               const char *const *words, unsigned n,
                                               unsigned *ret_used)
{
    const struct ctl_command *command = NULL;
    char name[NAME_MAX_LEN];

    if (n >= 2 && (size_t)snprintf(name, sizeof(name), "%s %s", words[0], words[1]) < sizeof(name))
        command = find_command(table, name);
    *ret_used = command != NULL ? 2 : 1;
    return command != NULL ? command : find_command(table, words[0]);
}

/* Whether a command of two words begins so. */
static bool is_first_word(const struct ctl_table_of_commands *table, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i < table->n_commands; i++) {
        if (strncmp(table->commands[i].name, word, n) == 0 && table->commands[i].name[n] == ' ')
            return true;
    }
    return false;
}

/* "key" alone: what may follow it. */
static int half_command(const struct ctl_table_of_commands *table, const char *word,
                        struct sb_errmsg *err)
{
    size_t n = strlen(word);
    char list[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < table->n_commands; i++) {
        const char *name = table->commands[i].name;

        if (strncmp(name, word, n) != 0 || name[n] != ' ' || used >= sizeof(list) - 1)
            continue;
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s'%s'", used > 0 ? " or " : "",
                                 name);
    }
    return sb_err_set(err, SB_EINVAL, "'%s' is half a command; there is %s", word, list);
}

static const char *guess_command(const struct ctl_table_of_commands *table, const char *wrong)
{
    struct sb_closest guess = sb_closest_begin(sb_slice_of(wrong));

    for (size_t i = 0; i < table->n_commands; i++)
        sb_closest_try(&guess, table->commands[i].name);
    return guess.best;
}

/* Whether it is none of ours yet; "report compliance" begins with one. */
static const char *find_planned(const struct ctl_table_of_commands *table, const char *const *words,
                                unsigned n)
{
    char pair[NAME_MAX_LEN] = "";

    if (n >= 2)
        (void)snprintf(pair, sizeof(pair), "%s %s", words[0], words[1]);
    for (const char *const *name = table->planned; *name != NULL; name++) {
        if (strcmp(*name, words[0]) == 0 || strcmp(*name, pair) == 0)
            return *name;
    }
    return NULL;
}

static int unknown_command(const struct ctl_table_of_commands *table, const char *const *words,
                           unsigned n, struct sb_errmsg *err)
{
    char pair[NAME_MAX_LEN];
    const char *wrong = words[0], *guess, *planned = find_planned(table, words, n);

    if (planned != NULL)
        return sb_err_set(err, SB_EINVAL,
                          "'%s' is not part of this release; NEWS.md says what is not there yet",
                          planned);
    if (n == 1 && is_first_word(table, words[0]))
        return half_command(table, words[0], err);
    guess = guess_command(table, words[0]);
    if (n >= 2 && (guess == NULL || is_first_word(table, words[0]))) {
        (void)snprintf(pair, sizeof(pair), "%s %s", words[0], words[1]);
        guess = guess_command(table, pair);
        if (guess != NULL || is_first_word(table, words[0]))
            wrong = pair;
    }
    if (guess == NULL)
        return sb_err_set(err, SB_EINVAL, "there is no command '%s'; --help shows all", wrong);
    return sb_err_set(err, SB_EINVAL, "there is no command '%s'; did you mean '%s'?", wrong, guess);
}

/* --- flags -------------------------------------------------------------------------- */

static size_t count_flags(const struct ctl_flag *flags)
{
    size_t n = 0;

    while (flags[n].name != NULL)
        n++;
    SB_BUG_ON(n > CTL_FLAGS_MAX);
    return n;
}

static const struct ctl_flag *find_flag(const struct ctl_flag *flags, struct sb_slice name,
                                        char letter)
{
    for (; flags->name != NULL; flags++) {
        if (letter != 0 ? flags->letter == letter : sb_slice_is(name, flags->name))
            return flags;
    }
    return NULL;
}

static int unknown_flag(const struct ctl_table_of_commands *table,
                        const struct ctl_command *command, struct sb_slice name,
                        struct sb_errmsg *err)
{
    struct sb_closest guess = sb_closest_begin(name);

    for (const struct ctl_flag *flag = command != NULL ? command->flags : table->common;
         flag->name != NULL; flag++)
        sb_closest_try(&guess, flag->name);
    for (const struct ctl_flag *flag = table->common; flag->name != NULL; flag++)
        sb_closest_try(&guess, flag->name);
    if (guess.best != NULL)
        return sb_err_set(err, SB_EINVAL, "there is no --%.*s; did you mean --%s?",
                          SB_SLICE_ARGS(name), guess.best);
    return sb_err_set(err, SB_EINVAL, "there is no --%.*s; --help shows all",
                      name.n < 60 ? (int)name.n : 60, name.p);
}

/* The word that begins a flag: "--name", "--name=value", "-f", "-fvalue". */
struct flag_word {
    struct sb_slice name; /* without the dashes; empty: a letter */
    char letter;
    const char *value; /* what is attached, or NULL */
};

static struct flag_word take_apart(const char *word)
{
    struct flag_word flag = {.value = NULL};
    struct sb_slice text = sb_slice_of(word);
    size_t equals;

    if (word[1] != '-') {
        flag.letter = word[1];
        flag.value = word[2] != '\0' ? word + 2 : NULL;
        return flag;
    }
    text = sb_slice_from(text, 2);
    equals = sb_slice_find(text, '=');
    flag.name = sb_slice_make(text.p, equals);
    flag.value = equals < text.n ? text.p + equals + 1 : NULL;
    return flag;
}

static bool is_flag(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* --- reading ------------------------------------------------------------------------- */

struct reading {
    const struct ctl_table_of_commands *table;
    const struct ctl_command *command; /* for its flags; NULL: not known yet */
    int argc;
    char *const *argv;
    int at;
    struct ctl_args *args;
    const char *words[WORDS_MAX];
    unsigned n_words;
    bool too_many;
};

static int keep_flag(struct reading *reading, const struct ctl_flag *flag, const char **slot,
                     const char *value, struct sb_errmsg *err)
{
    if (flag->value == NULL && value != NULL)
        return sb_err_set(err, SB_EINVAL, "--%s takes no value", flag->name);
    if (flag->value != NULL && value == NULL) {
        if (reading->at + 1 >= reading->argc)
            return sb_err_set(err, SB_EINVAL, "--%s wants %s", flag->name, flag->value);
        value = reading->argv[++reading->at];
    }
    *slot = value != NULL ? value : "";
    return SB_OK;
}

static int read_flag(struct reading *reading, struct sb_errmsg *err)
{
    struct flag_word word = take_apart(reading->argv[reading->at]);
    const struct ctl_command *command = reading->command;
    const struct ctl_flag *flag;

    if (sb_slice_is(word.name, "help") || word.letter == 'h') {
        reading->args->action = CTL_HELP;
        return SB_OK;
    }
    if (sb_slice_is(word.name, "version")) {
        reading->args->action = CTL_VERSION;
        return SB_OK;
    }
    if (command != NULL) {
        flag = find_flag(command->flags, word.name, word.letter);
        if (flag != NULL)
            return keep_flag(reading, flag, &reading->args->own[flag - command->flags], word.value,
                             err);
    }
    flag = find_flag(reading->table->common, word.name, word.letter);
    if (flag != NULL)
        return keep_flag(reading, flag, &reading->args->common[flag - reading->table->common],
                         word.value, err);
    return unknown_flag(
        reading->table, command,
        word.letter != 0 ? sb_slice_make(&reading->argv[reading->at][1], 1) : word.name, err);
}

/* Which command it is has to be known before its flags can be read: the first
 * words that are no flags and no values of common flags. */
static const struct ctl_command *peek_command(const struct ctl_table_of_commands *table, int argc,
                                              char *const *argv, const char *words[2],
                                              unsigned *ret_n)
{
    unsigned n = 0, used;

    for (int i = 1; i < argc && n < 2; i++) {
        struct flag_word word;
        const struct ctl_flag *flag;

        if (strcmp(argv[i], "--") == 0)
            continue;
        if (!is_flag(argv[i])) {
            words[n++] = argv[i];
            continue;
        }
        word = take_apart(argv[i]);
        flag = find_flag(table->common, word.name, word.letter);
        if (flag != NULL && flag->value != NULL && word.value == NULL)
            i++;
        else if (flag == NULL && n > 0)
            break; /* a flag of the command: its words are over */
    }
    *ret_n = n;
    return n > 0 ? match_command(table, words, n, &used) : NULL;
}

static int read_words(struct reading *reading, struct sb_errmsg *err)
{
    bool only_words = false;

    for (reading->at = 1; reading->at < reading->argc; reading->at++) {
        const char *word = reading->argv[reading->at];
        int rc = SB_OK;

        if (!only_words && strcmp(word, "--") == 0)
            only_words = true;
        else if (!only_words && is_flag(word))
            rc = read_flag(reading, err);
        else if (reading->n_words < WORDS_MAX)
            reading->words[reading->n_words++] = word;
        else
            reading->too_many = true;
        if (rc != SB_OK)
            return rc;
    }
    return SB_OK;
}

static int check_operands(struct reading *reading, unsigned used, struct sb_errmsg *err)
{
    const struct ctl_command *command = reading->command;
    struct ctl_args *args = reading->args;

    for (unsigned i = used; i < reading->n_words; i++) {
        if (args->n_operands == command->max_operands)
            return sb_err_set(err, SB_EINVAL, "%s: '%s' is one too many", command->name,
                              reading->words[i]);
        args->operands[args->n_operands++] = reading->words[i];
    }
    if (reading->too_many)
        return sb_err_set(err, SB_EINVAL, "%s: too many words", command->name);
    if (args->n_operands < command->min_operands)
        return sb_err_set(err, SB_EINVAL, "%s wants %s", command->name, command->operands);
    return SB_OK;
}

/* "key --help" and --version want no command that exists. */
static bool is_answered_by_all(const struct reading *reading)
{
    if (reading->args->action == CTL_HELP)
        return reading->n_words == 1 && is_first_word(reading->table, reading->words[0]);
    return reading->args->action == CTL_VERSION;
}

int ctl_args_read(const struct ctl_table_of_commands *table, int argc, char *const *argv,
                  struct ctl_args *ret_args, struct sb_errmsg *err)
{
    struct ctl_args args = {.action = CTL_RUN};
    struct reading reading = {.table = table, .argc = argc, .argv = argv, .args = &args};
    const char *first[2];
    unsigned used = 0, n_first;
    int rc;

    if (argc > 1 && strcmp(argv[1], "help") == 0) {
        args.action = CTL_HELP;
        reading.argc = --argc; /* it stands where the program's name was */
        reading.argv = ++argv;
    }
    reading.command = peek_command(table, argc, argv, first, &n_first);
    rc = read_words(&reading, err);
    if (rc != SB_OK && n_first > 0 && reading.command == NULL) /* its flags are unknown, too */
        return unknown_command(table, first, n_first, err);
    if (rc == SB_OK && reading.n_words > 0) {
        args.command = match_command(table, reading.words, reading.n_words, &used);
        if (args.command == NULL && !is_answered_by_all(&reading))
            rc = unknown_command(table, reading.words, reading.n_words, err);
    }
    if (rc == SB_OK && args.command == NULL && args.action == CTL_RUN)
        rc = sb_err_set(err, SB_EINVAL, "a command is missing; --help shows all");
    if (rc == SB_OK && args.action == CTL_RUN)
        rc = check_operands(&reading, used, err);
    if (rc == SB_OK)
        *ret_args = args;
    return rc;
}

const char *ctl_args_get(const struct ctl_table_of_commands *table, const struct ctl_args *args,
                         const char *name)
{
    const struct ctl_flag *flag = NULL;

    if (args->command != NULL)
        flag = find_flag(args->command->flags, sb_slice_of(name), 0);
    if (flag != NULL)
        return args->own[flag - args->command->flags];
    flag = find_flag(table->common, sb_slice_of(name), 0);
    SB_BUG_ON(flag == NULL);
    return args->common[flag - table->common];
}

/* --- help --------------------------------------------------------------------------------- */

static int help_flags(const struct ctl_flag *flags, struct sb_buf *page)
{
    int rc = SB_OK;

    for (size_t i = 0; rc == SB_OK && i < count_flags(flags); i++) {
        const struct ctl_flag *flag = &flags[i];
        char left[64], letter[8] = "    ";

        if (flag->letter != 0)
            (void)snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
        (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, flag->name,
                       flag->value != NULL ? " " : "", flag->value != NULL ? flag->value : "");
        rc = sb_buf_printf(page, "  %-30s %s\n", left, flag->help);
    }
    return rc;
}

static int help_all(const struct ctl_table_of_commands *table, struct sb_buf *page)
{
    int rc = sb_buf_append_text(page, "usage: switchboardctl [options] COMMAND [...]\n\n"
                                      "Asks and changes a Switchboard control plane.\n\n"
                                      "Commands (COMMAND --help says more):\n");

    for (size_t i = 0; rc == SB_OK && i < table->n_commands; i++) {
        const struct ctl_command *command = &table->commands[i];
        char left[64];

        (void)snprintf(left, sizeof(left), "%s%s%s", command->name,
                       *command->operands != '\0' ? " " : "", command->operands);
        rc = sb_buf_printf(page, "  %-30s %s\n", left, command->summary);
    }
    if (rc == SB_OK)
        rc = sb_buf_append_text(page, "\nOptions of all commands:\n");
    if (rc == SB_OK)
        rc = help_flags(table->common, page);
    if (rc == SB_OK)
        rc = sb_buf_append_text(page, "      --version                  the version\n\n"
                                      "Exit status: 0 done, 1 refused or failed, 2 wrong usage.\n");
    return rc;
}

static int help_examples(const char *lines, struct sb_buf *page)
{
    int rc = sb_buf_append_text(page, "\nExamples:\n");

    while (rc == SB_OK && *lines != '\0') {
        int n = (int)strcspn(lines, "\n");

        rc = sb_buf_printf(page, "  switchboardctl %.*s\n", n, lines);
        lines += lines[n] == '\n' ? n + 1 : n;
    }
    return rc;
}

int ctl_args_help(const struct ctl_table_of_commands *table, const struct ctl_command *command,
                  struct sb_buf *page)
{
    int rc;

    if (command == NULL)
        return help_all(table, page);
    rc = sb_buf_printf(page, "usage: switchboardctl %s%s%s [options]\n\n%c%s%s\n", command->name,
                       *command->operands != '\0' ? " " : "", command->operands,
                       command->summary[0] & ~0x20, command->summary + 1,
                       command->summary[strlen(command->summary) - 1] == '?' ? "" : ".");
    if (rc == SB_OK && command->more != NULL)
        rc = sb_buf_printf(page, "\n%s", command->more);
    if (rc == SB_OK)
        rc = help_examples(command->examples, page);
    if (rc == SB_OK && command->flags[0].name != NULL) {
        rc = sb_buf_append_text(page, "\nOptions:\n");
        if (rc == SB_OK)
            rc = help_flags(command->flags, page);
    }
    if (rc == SB_OK)
        rc = sb_buf_append_text(page, "\nOptions of all commands:\n");
    return rc == SB_OK ? help_flags(table->common, page) : rc;
}
