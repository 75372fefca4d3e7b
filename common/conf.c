/* common/conf.c */
#include "common/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/closest.h"
#include "common/confvalue.h"

enum {
    ITEMS_MAX = 128,
    NAME_MAX_LEN = 48,
    VARIABLE_MAX = 64,
    PAGE_MAX = 1 << 16,
    COLUMNS = 100, /* that a page may take */
};

/* Text of each setting, and where it is from; NULL: nowhere. */
struct texts {
    const char *text[ITEMS_MAX];
    const char *source[ITEMS_MAX];
};

static const char from_flag[] = "flag";
static const char from_environment[] = "environment";
static const char from_default[] = "default";

/* Flags that are not settings. */
static const struct {
    const char *name;
    enum sb_conf_action action;
    const char *help;
} actions[] = {
    {"help", SB_CONF_HELP, "this page (also -h)"},
    {"version", SB_CONF_VERSION, "the version"},
    {"check", SB_CONF_CHECK, "checks the settings and ends"},
    {"show-config", SB_CONF_SHOW, "prints the settings as they would be used, and ends"},
};

static void variable_of(const struct sb_conf_item *item, char variable[VARIABLE_MAX])
{
    size_t n = (size_t)snprintf(variable, VARIABLE_MAX, "SWITCHBOARD_%s", item->name);

    for (size_t i = 0; i < n && i < VARIABLE_MAX; i++) {
        if (variable[i] >= 'a' && variable[i] <= 'z')
            variable[i] = (char)(variable[i] - 'a' + 'A');
        else if (variable[i] == '-')
            variable[i] = '_';
    }
}

/* Mistakes in the table itself. */
static void check_table(const struct sb_conf_spec *spec)
{
    SB_BUG_ON(spec->n_items > ITEMS_MAX);
    for (size_t i = 0; i < spec->n_items; i++) {
        const struct sb_conf_item *item = &spec->items[i];
        bool required = (item->flags & SB_CONF_REQUIRED) != 0;

        SB_BUG_ON(item->size != sb_conf_value_size(item->type));
        SB_BUG_ON(strlen(item->name) >= NAME_MAX_LEN);
        SB_BUG_ON((item->type == SB_CONF_ENUM) != (item->choices != NULL));
        SB_BUG_ON((item->flags & SB_CONF_SECRET) != 0 && item->type != SB_CONF_STRING);
        SB_BUG_ON(required ? item->fallback != NULL
                           : item->fallback == NULL && item->type != SB_CONF_STRING);
    }
}

/* --- did you mean --------------------------------------------------------- */

static int unknown_flag(const struct sb_conf_spec *spec, struct sb_slice wrong,
                        struct sb_errmsg *err)
{
    struct sb_closest guess = sb_closest_begin(wrong);

    for (size_t i = 0; i < spec->n_items; i++)
        sb_closest_try(&guess, spec->items[i].name);
    for (size_t i = 0; i < SB_ARRAY_LEN(actions); i++)
        sb_closest_try(&guess, actions[i].name);
    if (guess.best == NULL)
        return sb_err_set(err, SB_EINVAL, "--%.*s is no setting; --help shows all",
                          (int)(wrong.n < 60 ? wrong.n : 60), wrong.p);
    return sb_err_set(err, SB_EINVAL, "--%.*s is no setting; did you mean --%s?", (int)wrong.n,
                      wrong.p, guess.best);
}

/* --- collecting the texts --------------------------------------------------- */

static bool find_action(struct sb_slice name, enum sb_conf_action *ret_action)
{
    for (size_t i = 0; i < SB_ARRAY_LEN(actions); i++) {
        if (sb_slice_is(name, actions[i].name)) {
            *ret_action = actions[i].action;
            return true;
        }
    }
    return false;
}

/* The index of the setting, or n_items. */
static size_t find_item(const struct sb_conf_spec *spec, struct sb_slice name)
{
    size_t i = 0;

    while (i < spec->n_items && !sb_slice_is(name, spec->items[i].name))
        i++;
    return i;
}

/* The name in "--name" or "--name=value". */
static struct sb_slice name_in(const char *arg)
{
    return sb_slice_make(arg + 2, strcspn(arg + 2, "="));
}

static bool is_flag(const char *arg)
{
    return strncmp(arg, "--", 2) == 0;
}

/* A command line and how far it was read. */
struct args {
    int argc;
    char *const *argv;
    int at;
};

static int take_flag(const struct sb_conf_spec *spec, struct args *args, struct texts *texts,
                     struct sb_errmsg *err)
{
    const char *arg = args->argv[args->at++];
    struct sb_slice name = name_in(arg);
    size_t i = find_item(spec, name);

    if (i == spec->n_items)
        return unknown_flag(spec, name, err);
    texts->source[i] = from_flag;
    if (arg[2 + name.n] == '=')
        texts->text[i] = arg + 2 + name.n + 1;
    else if (args->at < args->argc && !is_flag(args->argv[args->at]))
        texts->text[i] = args->argv[args->at++];
    else if (spec->items[i].type == SB_CONF_BOOL)
        texts->text[i] = "true";
    else
        return sb_err_set(err, SB_EINVAL, "--%s needs a value", spec->items[i].name);
    return SB_OK;
}

static int collect_flags(const struct sb_conf_spec *spec, int argc, char *const *argv,
                         struct texts *texts, enum sb_conf_action *ret_action,
                         struct sb_errmsg *err)
{
    struct args args = {.argc = argc, .argv = argv, .at = 1};
    int rc = SB_OK;

    while (rc == SB_OK && args.at < argc) {
        const char *arg = argv[args.at];

        if (!is_flag(arg))
            return sb_err_set(err, SB_EINVAL, "'%.60s' is no flag; settings are --name value", arg);
        if (find_action(sb_slice_of(arg + 2), ret_action))
            args.at++;
        else
            rc = take_flag(spec, &args, texts, err);
    }
    return rc;
}

/* What no flag gave: from the environment, else the default. */
static void collect_rest(const struct sb_conf_spec *spec, struct texts *texts)
{
    for (size_t i = 0; i < spec->n_items; i++) {
        char variable[VARIABLE_MAX];
        const char *value;

        if (texts->text[i] != NULL)
            continue;
        variable_of(&spec->items[i], variable);
        value = getenv(variable);
        if (value != NULL && value[0] == '\0')
            value = NULL;
        texts->text[i] = value != NULL ? value : spec->items[i].fallback;
        texts->source[i] = value != NULL ? from_environment : from_default;
    }
}

/* --- reading -------------------------------------------------------------- */

static int refuse(const struct sb_conf_item *item, const char *text, const char *source,
                  struct sb_errmsg *err)
{
    char allowed[SB_CONF_ALLOWED_MAX], name[VARIABLE_MAX];

    sb_conf_value_allowed(item, allowed);
    if (source == from_environment)
        variable_of(item, name);
    else
        (void)snprintf(name, sizeof(name), "--%s", item->name);
    if (text == NULL)
        return sb_err_set(err, SB_EINVAL, "%s is required: %s", name, allowed);
    if ((item->flags & SB_CONF_SECRET) != 0)
        return sb_err_set(err, SB_EINVAL, "%s: this secret is not allowed: want %s", name, allowed);
    return sb_err_set(err, SB_EINVAL, "%s: '%.60s' is not allowed: want %s", name, text, allowed);
}

static int read_values(const struct sb_conf_spec *spec, const struct texts *texts,
                       union sb_conf_value values[ITEMS_MAX], struct sb_errmsg *err)
{
    for (size_t i = 0; i < spec->n_items; i++) {
        const struct sb_conf_item *item = &spec->items[i];
        const char *text = texts->text[i];

        if (text == NULL && (item->flags & SB_CONF_REQUIRED) == 0)
            values[i].string = NULL;
        else if (text == NULL || !sb_conf_value_read(item, text, &values[i]))
            return refuse(item, text, texts->source[i], err);
    }
    return SB_OK;
}

/* Exchanges the settings in target with the values. */
static void exchange(const struct sb_conf_spec *spec, void *target,
                     union sb_conf_value values[ITEMS_MAX])
{
    for (size_t i = 0; i < spec->n_items; i++) {
        char *member = (char *)target + spec->items[i].offset;
        union sb_conf_value old;

        memcpy(&old, member, spec->items[i].size);
        memcpy(member, &values[i], spec->items[i].size);
        memcpy(&values[i], &old, spec->items[i].size);
    }
}

int sb_conf_read(const struct sb_conf_spec *spec, int argc, char *const *argv, void *target,
                 enum sb_conf_action *ret_action, struct sb_errmsg *err)
{
    enum sb_conf_action action = SB_CONF_RUN;
    union sb_conf_value values[ITEMS_MAX];
    struct texts texts = {.text = {NULL}};
    int rc;

    check_table(spec);
    /* Who asks for help gets it, whatever else is on the line. */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            action = SB_CONF_HELP;
        else if (strcmp(argv[i], "--version") == 0 && action == SB_CONF_RUN)
            action = SB_CONF_VERSION;
    }
    if (action != SB_CONF_RUN) {
        *ret_action = action;
        return SB_OK;
    }
    rc = collect_flags(spec, argc, argv, &texts, &action, err);
    if (rc != SB_OK)
        return rc;
    collect_rest(spec, &texts);
    rc = read_values(spec, &texts, values, err);
    if (rc != SB_OK)
        return rc;
    exchange(spec, target, values);
    if (spec->check != NULL)
        rc = spec->check(target, err);
    if (rc != SB_OK) {
        exchange(spec, target, values);
        return rc;
    }
    *ret_action = action;
    return SB_OK;
}

/* --- pages ---------------------------------------------------------------- */

/* Width of the longest "--name WORD". */
static int flag_width(const struct sb_conf_spec *spec)
{
    size_t width = 0;

    for (size_t i = 0; i < spec->n_items; i++) {
        size_t n =
            3 + strlen(spec->items[i].name) + strlen(sb_conf_value_word(spec->items[i].type));

        width = n > width ? n : width;
    }
    return (int)width;
}

/* How much of text goes on a line of room columns: up to a blank, where one is. */
static size_t line_of(const char *text, size_t room)
{
    size_t n = strlen(text), end;

    if (n <= room)
        return n;
    for (end = room; end > 0 && text[end] != ' ';)
        end--;
    return end > 0 ? end : strcspn(text, " ");
}

/* text behind left, on as many lines as it needs. */
static int help_lines(const char *left, int width, const char *text, struct sb_buf *page)
{
    int rc = SB_OK;

    do {
        size_t n = line_of(text, (size_t)(COLUMNS - 4 - width));

        rc = sb_buf_printf(page, "  %-*s  %.*s\n", width, left, (int)n, text);
        left = "";
        text += n + (text[n] == ' ' ? 1 : 0);
    } while (rc == SB_OK && *text != '\0');
    return rc;
}

static int help_item(const struct sb_conf_item *item, int width, struct sb_buf *page)
{
    char flag[NAME_MAX_LEN + 16], variable[VARIABLE_MAX], allowed[SB_CONF_ALLOWED_MAX];
    char line[VARIABLE_MAX + SB_CONF_ALLOWED_MAX + 2];
    bool required = (item->flags & SB_CONF_REQUIRED) != 0;
    int rc;

    variable_of(item, variable);
    sb_conf_value_allowed(item, allowed);
    (void)snprintf(flag, sizeof(flag), "--%s %s", item->name, sb_conf_value_word(item->type));
    (void)snprintf(line, sizeof(line), "%s; %s", variable, allowed);
    rc = help_lines(flag, width, item->help, page);
    if (rc == SB_OK)
        rc = help_lines("", width, line, page);
    if (rc == SB_OK)
        rc = sb_buf_printf(page, "  %-*s  %s%s%s\n", width, "",
                           required                 ? "required"
                           : item->fallback == NULL ? "no default"
                                                    : "default ",
                           item->fallback != NULL ? item->fallback : "",
                           (item->flags & SB_CONF_RELOAD) != 0 ? "; may change while running" : "");
    return rc;
}

static int help_examples(const struct sb_conf_spec *spec, struct sb_buf *page)
{
    int rc = spec->examples[0] != NULL ? sb_buf_append_text(page, "\nExamples:\n") : SB_OK;

    for (size_t i = 0; rc == SB_OK && i < SB_ARRAY_LEN(spec->examples); i++)
        if (spec->examples[i] != NULL)
            rc = sb_buf_printf(page, "  %s %s\n", spec->program, spec->examples[i]);
    return rc;
}

int sb_conf_help(const struct sb_conf_spec *spec, struct sb_buf *page)
{
    int width = flag_width(spec);
    const char *group = NULL;
    int rc;

    check_table(spec);
    rc = sb_buf_printf(
        page,
        "%s: %s\n\nusage: %s [--name value]...\n\n"
        "A setting is a flag, else a variable of the environment, else its default.\n",
        spec->program, spec->summary, spec->program);
    if (rc == SB_OK)
        rc = help_examples(spec, page);
    for (size_t i = 0; rc == SB_OK && i < spec->n_items; i++) {
        const struct sb_conf_item *item = &spec->items[i];

        if (group == NULL || strcmp(group, item->group) != 0)
            rc = sb_buf_printf(page, "\n%s\n", item->group);
        group = item->group;
        if (rc == SB_OK)
            rc = help_item(item, width, page);
    }
    if (rc == SB_OK)
        rc = sb_buf_append_text(page, "\nOther\n");
    for (size_t i = 0; rc == SB_OK && i < SB_ARRAY_LEN(actions); i++)
        rc = sb_buf_printf(page, "  --%-*s  %s\n", width - 2, actions[i].name, actions[i].help);
    return rc;
}

int sb_conf_show(const struct sb_conf_spec *spec, int argc, char *const *argv, struct sb_buf *page)
{
    struct texts texts = {.text = {NULL}};
    enum sb_conf_action action;
    int rc;

    check_table(spec);
    rc = collect_flags(spec, argc, argv, &texts, &action, NULL);
    collect_rest(spec, &texts);
    for (size_t i = 0; rc == SB_OK && i < spec->n_items; i++) {
        const struct sb_conf_item *item = &spec->items[i];
        const char *text = texts.text[i];

        if (text != NULL && (item->flags & SB_CONF_SECRET) != 0)
            text = "(set)";
        rc = sb_buf_printf(page, "%s=%s  # %s\n", item->name, text != NULL ? text : "",
                           texts.source[i]);
    }
    return rc;
}

/* --- for main() ------------------------------------------------------------- */

static int print_page(const struct sb_conf_spec *spec, enum sb_conf_action action, int argc,
                      char *const *argv)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf page;
    int rc;

    sb_buf_init(&page, PAGE_MAX);
    if (action == SB_CONF_HELP)
        rc = sb_conf_help(spec, &page);
    else if (action == SB_CONF_VERSION)
        rc = sb_buf_printf(&page, "%s %s\n", spec->program, spec->version);
    else if (action == SB_CONF_SHOW)
        rc = sb_conf_show(spec, argc, argv, &page);
    else
        rc = sb_buf_printf(&page, "%s: all settings are right\n", spec->program);
    if (rc == SB_OK &&
        fwrite(sb_buf_slice(&page).p, 1, sb_buf_len(&page), stdout) == sb_buf_len(&page) &&
        fflush(stdout) == 0)
        return 0;
    (void)fprintf(stderr, "%s: cannot print: %s\n", spec->program,
                  sb_err_str(rc != SB_OK ? rc : SB_EIO));
    return 1;
}

int sb_conf_judge(const char *name, int rc, const struct sb_errmsg *why, struct sb_errmsg *err)
{
    return rc == SB_OK ? rc : sb_err_set(err, SB_EINVAL, "%s: %.220s", name, why->text);
}

bool sb_conf_start(const struct sb_conf_spec *spec, int argc, char *const *argv, void *target,
                   int *ret_status)
{
    enum sb_conf_action action;
    struct sb_errmsg err;
    int rc = sb_conf_read(spec, argc, argv, target, &action, &err);

    if (rc == SB_OK && spec->inspect != NULL && (action == SB_CONF_RUN || action == SB_CONF_CHECK))
        rc = spec->inspect(target, &err);
    if (rc != SB_OK) {
        (void)fprintf(stderr, "%s: %s\n", spec->program, err.text);
        *ret_status = 2;
        return false;
    }
    if (action == SB_CONF_RUN)
        return true;
    *ret_status = print_page(spec, action, argc, argv);
    return false;
}
