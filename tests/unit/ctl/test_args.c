/* Command lines: what was meant is found, what is wrong is named. */
#include "tests/lib/test.h"

#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"
#include "controlplane/ctl/args.h"
#include "controlplane/ctl/commands.h"

static const struct ctl_flag common[] = {
    {"url", 0, "URL", "where"},
    {"output", 'o', "FORMAT", "how"},
    {"quiet", 'q', NULL, "less"},
    {NULL, 0, NULL, NULL},
};
static const struct ctl_flag apply_flags[] = {
    {"file", 'f', "FILE", "what"},
    {"dry-run", 0, NULL, "only look"},
    {NULL, 0, NULL, NULL},
};
static const struct ctl_flag none[] = {{NULL, 0, NULL, NULL}};
static const struct ctl_command commands[] = {
    {"apply", "", 0, 0, apply_flags, "apply a file", NULL, "apply -f a\napply -f b\n", NULL},
    {"get", "KIND [NAME]", 1, 2, none, "show objects", "More of it.\n", "get keys\n", NULL},
    {"key create", "NAME", 1, 1, apply_flags, "make a key", NULL, "key create app\n", NULL},
    {"key revoke", "NAME", 1, 1, none, "end a key", NULL, "key revoke app\n", NULL},
};
static const char *const planned[] = {"key check", "forecast", NULL};
static const struct ctl_table_of_commands table = {.commands = commands,
                                                   .n_commands = SB_ARRAY_LEN(commands),
                                                   .common = common,
                                                   .planned = planned};

static struct ctl_args args;
static struct sb_errmsg err;

/* The words of line, which is cut at its blanks. */
static int read_words(const struct ctl_table_of_commands *words_of, const char *line)
{
    static char text[200];
    static char *argv[32];
    int argc = 0;
    char *at = text;

    (void)snprintf(text, sizeof(text), "switchboardctl %s", line);
    while (at != NULL && *at != '\0') {
        argv[argc++] = at;
        at = strchr(at, ' ');
        if (at != NULL)
            *at++ = '\0';
    }
    args.command = NULL;
    err.text[0] = '\0';
    return ctl_args_read(words_of, argc, argv, &args, &err);
}

static int read_line(const char *line)
{
    return read_words(&table, line);
}

static void assert_command(const char *line, const char *name)
{
    assert_int_equal(read_line(line), SB_OK);
    assert_int_equal(args.action, CTL_RUN);
    assert_string_equal(args.command->name, name);
}

static void assert_wrong(const char *line, const char *wanted)
{
    assert_int_equal(read_line(line), SB_EINVAL);
    assert_string_equal(err.text, wanted);
    assert_null(args.command); /* untouched */
}

static void commands_have_one_word_or_two(void **state)
{
    (void)state;
    assert_command("apply", "apply");
    assert_command("get keys", "get");
    assert_int_equal(args.n_operands, 1);
    assert_string_equal(args.operands[0], "keys");
    assert_command("get keys key", "get");
    assert_int_equal(args.n_operands, 2);
    assert_command("key create create", "key create");
    assert_string_equal(args.operands[0], "create");
}

static void flags_may_stand_anywhere(void **state)
{
    static const char *const lines[] = {
        "apply --file x --dry-run -o json", "-o json apply --dry-run --file x",
        "--output=json apply --file=x --dry-run", "apply -ojson -fx --dry-run",
        "-o json apply -f x --dry-run"};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(lines); i++) {
        assert_command(lines[i], "apply");
        assert_string_equal(ctl_args_get(&table, &args, "file"), "x");
        assert_string_equal(ctl_args_get(&table, &args, "dry-run"), "");
        assert_string_equal(ctl_args_get(&table, &args, "output"), "json");
        assert_null(ctl_args_get(&table, &args, "url"));
        assert_null(ctl_args_get(&table, &args, "quiet"));
    }
    assert_command("-q key -o json create --dry-run name", "key create");
    assert_string_equal(args.operands[0], "name");
}

static void a_value_may_look_like_a_flag_or_a_command(void **state)
{
    (void)state;
    assert_command("apply --file --dry-run", "apply");
    assert_string_equal(ctl_args_get(&table, &args, "file"), "--dry-run");
    assert_null(ctl_args_get(&table, &args, "dry-run"));
    assert_command("--url get apply", "apply");
    assert_string_equal(ctl_args_get(&table, &args, "url"), "get");
    assert_command("apply -f -", "apply");
    assert_string_equal(ctl_args_get(&table, &args, "file"), "-");
    assert_command("apply --file=", "apply");
    assert_string_equal(ctl_args_get(&table, &args, "file"), "");
}

static void two_dashes_end_the_flags(void **state)
{
    (void)state;
    assert_command("key revoke -- --odd", "key revoke");
    assert_string_equal(args.operands[0], "--odd");
}

static void the_last_one_wins(void **state)
{
    (void)state;
    assert_command("apply -f a -f b", "apply");
    assert_string_equal(ctl_args_get(&table, &args, "file"), "b");
}

static void wrong_words_are_named(void **state)
{
    (void)state;
    assert_wrong("", "a command is missing; --help shows all");
    assert_wrong("aply", "there is no command 'aply'; did you mean 'apply'?");
    assert_wrong("aply -f x", "there is no command 'aply'; did you mean 'apply'?");
    assert_wrong("nothing", "there is no command 'nothing'; --help shows all");
    assert_wrong("key", "'key' is half a command; there is 'key create' or 'key revoke'");
    assert_wrong("key crate x", "there is no command 'key crate'; did you mean 'key create'?");
    assert_wrong("kye create x", "there is no command 'kye create'; did you mean 'key create'?");
    assert_wrong("apply --dry-rum", "there is no --dry-rum; did you mean --dry-run?");
    assert_wrong("apply --nothing", "there is no --nothing; --help shows all");
    assert_wrong("apply -x", "there is no --x; --help shows all");
    assert_wrong("get keys --file x", "there is no --file; --help shows all");
    assert_wrong("apply --file", "--file wants FILE");
    assert_wrong("apply --dry-run=yes", "--dry-run takes no value");
    assert_wrong("get", "get wants KIND [NAME]");
    assert_wrong("get a b c", "get: 'c' is one too many");
    assert_wrong("get a b c d e f g h", "get: 'c' is one too many");
    assert_wrong("apply x", "apply: 'x' is one too many");
}

static void help_and_version_go_before_all(void **state)
{
    (void)state;
    assert_int_equal(read_line("--help"), SB_OK);
    assert_int_equal(args.action, CTL_HELP);
    assert_null(args.command);
    assert_int_equal(read_line("get -h"), SB_OK); /* though KIND is missing */
    assert_int_equal(args.action, CTL_HELP);
    assert_string_equal(args.command->name, "get");
    assert_int_equal(read_line("key --help"), SB_OK);
    assert_int_equal(args.action, CTL_HELP);
    assert_int_equal(read_line("--version"), SB_OK);
    assert_int_equal(args.action, CTL_VERSION);
}

static char *help(const struct ctl_command *command)
{
    static char text[4096];
    struct sb_buf page;

    sb_buf_init(&page, sizeof(text) - 1);
    assert_int_equal(ctl_args_help(&table, command, &page), SB_OK);
    assert_true(sb_slice_copy_text(sb_buf_slice(&page), text, sizeof(text)));
    sb_buf_release(&page);
    return text;
}

static void help_may_be_the_first_word(void **state)
{
    (void)state;
    assert_int_equal(read_line("help"), SB_OK);
    assert_int_equal(args.action, CTL_HELP);
    assert_null(args.command);
    assert_int_equal(read_line("help key create"), SB_OK);
    assert_int_equal(args.action, CTL_HELP);
    assert_string_equal(args.command->name, "key create");
    assert_wrong("help aply", "there is no command 'aply'; did you mean 'apply'?");
    assert_wrong("aply --help", "there is no command 'aply'; did you mean 'apply'?");
    assert_wrong("key creat --help", "there is no command 'key creat'; did you mean 'key create'?");
    assert_int_equal(read_line("get help"), SB_OK); /* a kind, for all we know */
    assert_int_equal(args.action, CTL_RUN);
}

static void what_is_planned_is_told_from_what_is_unknown(void **state)
{
    (void)state;
    assert_wrong("key check", "'key check' is not part of this release; "
                              "NEWS.md says what is not there yet");
    assert_wrong("key check --deep NAME", "'key check' is not part of this release; "
                                          "NEWS.md says what is not there yet");
    assert_wrong("forecast", "'forecast' is not part of this release; "
                             "NEWS.md says what is not there yet");
    assert_wrong("forecast monday --sunny", "'forecast' is not part of this release; "
                                            "NEWS.md says what is not there yet");
    assert_wrong("key chek", "there is no command 'key chek'; --help shows all");
}

static void help_names_everything(void **state)
{
    const char *page = help(NULL);

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(commands); i++)
        assert_non_null(strstr(page, commands[i].name));
    assert_non_null(strstr(page, "-o, --output FORMAT"));
    page = help(&commands[1]);
    assert_non_null(strstr(page, "usage: switchboardctl get KIND [NAME]"));
    assert_non_null(strstr(page, "Show objects."));
    assert_non_null(strstr(page, "More of it."));
    assert_null(strstr(page, "\nOptions:\n"));
    page = help(&commands[0]);
    assert_non_null(strstr(page, "-f, --file FILE"));
    assert_non_null(strstr(page, "\nExamples:\n"
                                 "  switchboardctl apply -f a\n"
                                 "  switchboardctl apply -f b\n"
                                 "\nOptions:\n"));
}

/* The real table: complete, and without a name that comes twice. */
static void the_commands_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < ctl_commands_n; i++) {
        const struct ctl_command *one = &ctl_commands[i];

        assert_non_null(one->run);
        assert_true(one->min_operands <= one->max_operands);
        assert_true(one->max_operands <= CTL_OPERANDS_MAX);
        assert_int_equal(one->max_operands > 0, *one->operands != '\0');
        for (size_t j = 0; j < i; j++)
            assert_true(strcmp(one->name, ctl_commands[j].name) != 0);
        for (size_t a = 0; one->flags[a].name != NULL; a++) {
            assert_true(a < CTL_FLAGS_MAX);
            for (size_t b = 0; b < a; b++) {
                assert_true(strcmp(one->flags[a].name, one->flags[b].name) != 0);
                assert_true(one->flags[a].letter == 0 ||
                            one->flags[a].letter != one->flags[b].letter);
            }
        }
    }
}

static void assert_narrow(const char *page)
{
    for (; *page != '\0'; page += strcspn(page, "\n") + 1)
        if (strcspn(page, "\n") > 100)
            fail_msg("wider than 100 columns: %.*s", (int)strcspn(page, "\n"), page);
}

static void every_command_has_examples_that_are_right(void **state)
{
    const struct ctl_table_of_commands real = {.commands = ctl_commands,
                                               .n_commands = ctl_commands_n,
                                               .common = common,
                                               .planned = ctl_commands_planned};

    (void)state;
    for (size_t i = 0; i < ctl_commands_n; i++) {
        const char *line = ctl_commands[i].examples;

        assert_non_null(line);
        assert_true(*line != '\0');
        for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
            char one[200];

            assert_int_equal(line[strcspn(line, "\n")], '\n');
            (void)snprintf(one, sizeof(one), "%.*s", (int)strcspn(line, "\n"), line);
            assert_int_equal(read_words(&real, one), SB_OK);
            assert_ptr_equal(args.command, &ctl_commands[i]);
        }
        assert_narrow(help(&ctl_commands[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_have_one_word_or_two),
        cmocka_unit_test(flags_may_stand_anywhere),
        cmocka_unit_test(a_value_may_look_like_a_flag_or_a_command),
        cmocka_unit_test(two_dashes_end_the_flags),
        cmocka_unit_test(the_last_one_wins),
        cmocka_unit_test(wrong_words_are_named),
        cmocka_unit_test(help_and_version_go_before_all),
        cmocka_unit_test(help_may_be_the_first_word),
        cmocka_unit_test(what_is_planned_is_told_from_what_is_unknown),
        cmocka_unit_test(help_names_everything),
        cmocka_unit_test(the_commands_are_sound),
        cmocka_unit_test(every_command_has_examples_that_are_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
