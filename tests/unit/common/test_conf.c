/* tests/unit/common/test_conf.c */
#include "common/conf.h"

#include <unistd.h>

#include "common/buf.h"
#include "tests/lib/test.h"

struct conf {
    int64_t port;
    uint64_t body_limit;
    uint64_t timeout;
    bool verbose;
    const char *name;
    const char *token;
    int format;
    int64_t free_number;
};

static const char *const formats[] = {"logfmt", "json", NULL};

#define AT(member) SB_CONF_AT(struct conf, member)

static const struct sb_conf_item items[] = {
    {"port", SB_CONF_INT, AT(port), 1, 65535, "8080", 0, "Listening", "port for clients", NULL},
    {"body-limit", SB_CONF_SIZE, AT(body_limit), 1024, INT64_C(1) << 30, "32MiB", SB_CONF_RELOAD,
     "Limits", "largest body", NULL},
    {"first-byte-timeout", SB_CONF_MSEC, AT(timeout), 0, 600000, "60s", 0, "Limits",
     "time for the first byte", NULL},
    {"verbose", SB_CONF_BOOL, AT(verbose), 0, 0, "false", 0, "Other", "says more", NULL},
    {"name", SB_CONF_STRING, AT(name), 2, 8, NULL, 0, "Other", "name of this", NULL},
    {"token", SB_CONF_STRING, AT(token), 4, 64, NULL, SB_CONF_SECRET, "Other",
     "a secret, of which there is so much to be said that it does not go on one line of a hundred",
     NULL},
    {"log-format", SB_CONF_ENUM, AT(format), 0, 0, "logfmt", 0, "Other", "form of the log",
     formats},
    {"free", SB_CONF_INT, AT(free_number), 0, 0, "0", 0, "Other", "any number", NULL},
};

static struct sb_conf_spec spec = {.program = "test-conf",
                                   .summary = "Tests settings.",
                                   .version = "1.2.3",
                                   .examples = {"--port 81"},
                                   .items = items,
                                   .n_items = SB_ARRAY_LEN(items)};

static struct conf conf;
static enum sb_conf_action action;
static struct sb_errmsg err;

static int set_up(void **state)
{
    (void)state;
    (void)unsetenv("SWITCHBOARD_PORT");
    (void)unsetenv("SWITCHBOARD_FIRST_BYTE_TIMEOUT");
    (void)unsetenv("SWITCHBOARD_TOKEN");
    memset(&conf, 0x55, sizeof(conf));
    memset(&err, 0, sizeof(err));
    action = SB_CONF_RUN;
    return 0;
}

enum { ARGS_MAX = 16 };

/* Cuts a command line at its blanks. */
static int split(const char *line, char *copy, size_t size, char *argv[ARGS_MAX])
{
    int argc = 0;

    assert_true(strlen(line) < size);
    (void)snprintf(copy, size, "%s", line);
    for (char *save = NULL, *word = strtok_r(copy, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        assert_true(argc + 1 < ARGS_MAX);
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return argc;
}

static char command[400];
static char *args[ARGS_MAX];

static int reading_of(const struct sb_conf_spec *of, const char *line)
{
    int argc = split(line, command, sizeof(command), args);

    return sb_conf_read(of, argc, args, &conf, &action, &err);
}

static int reading(const char *line)
{
    return reading_of(&spec, line);
}

static void without_flags_all_is_default(void **state)
{
    (void)state;
    assert_int_equal(reading("prog"), SB_OK);
    assert_int_equal(action, SB_CONF_RUN);
    assert_int_equal(conf.port, 8080);
    assert_int_equal(conf.body_limit, 32 << 20);
    assert_int_equal(conf.timeout, 60000);
    assert_false(conf.verbose);
    assert_null(conf.name);
    assert_null(conf.token);
    assert_int_equal(conf.format, 0);
}

static void flags_have_two_forms_and_the_last_one_wins(void **state)
{
    (void)state;
    assert_int_equal(
        reading("prog --port 1 --port=81 --body-limit=64KiB --first-byte-timeout 250ms "
                "--verbose --name=a=b --log-format json --free -12"),
        SB_OK);
    assert_int_equal(conf.port, 81);
    assert_int_equal(conf.body_limit, 65536);
    assert_int_equal(conf.timeout, 250);
    assert_true(conf.verbose);
    assert_string_equal(conf.name, "a=b");
    assert_int_equal(conf.format, 1);
    assert_int_equal(conf.free_number, -12);
    assert_int_equal(reading("prog --verbose off --name=--x"), SB_OK);
    assert_false(conf.verbose);
    assert_string_equal(conf.name, "--x");
}

static void a_flag_goes_before_the_environment_and_that_before_the_default(void **state)
{
    (void)state;
    (void)setenv("SWITCHBOARD_PORT", "90", 1);
    (void)setenv("SWITCHBOARD_FIRST_BYTE_TIMEOUT", "5m", 1);
    assert_int_equal(reading("prog --port 91"), SB_OK);
    assert_int_equal(conf.port, 91);
    assert_int_equal(conf.timeout, 300000);
    (void)setenv("SWITCHBOARD_FIRST_BYTE_TIMEOUT", "", 1);
    assert_int_equal(reading("prog"), SB_OK);
    assert_int_equal(conf.port, 90);
    assert_int_equal(conf.timeout, 60000);
}

static void values_in_all_units(void **state)
{
    static const struct {
        const char *flag;
        uint64_t size, timeout;
    } cases[] = {
        {"--body-limit 1024", 1024, 60000},
        {"--body-limit 1KiB", 1024, 60000},
        {"--body-limit 3MiB", 3 << 20, 60000},
        {"--body-limit 1GiB", 1 << 30, 60000},
        {"--first-byte-timeout 0", 32 << 20, 0},
        {"--first-byte-timeout 0s", 32 << 20, 0},
        {"--first-byte-timeout 1ms", 32 << 20, 1},
        {"--first-byte-timeout 2s", 32 << 20, 2000},
        {"--first-byte-timeout 10m", 32 << 20, 600000},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        char line[100];

        (void)snprintf(line, sizeof(line), "prog %s", cases[i].flag);
        assert_int_equal(reading(line), SB_OK);
        assert_true(conf.body_limit == cases[i].size && conf.timeout == cases[i].timeout);
    }
}

static void wrong_values_are_told_with_name_value_and_what_is_allowed(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"prog --port 0", "--port: '0' is not allowed: want a whole number from 1 to 65535"},
        {"prog --port 65536", "'65536' is not allowed"},
        {"prog --port 80x", "'80x' is not allowed"},
        {"prog --port=", "'' is not allowed"},
        {"prog --port 1.5", "'1.5' is not allowed"},
        {"prog --port +5", "'+5' is not allowed"},
        {"prog --port 99999999999999999999", "is not allowed"},
        {"prog --free -", "'-' is not allowed: want a whole number"},
        {"prog --free 9223372036854775808", "is not allowed"},
        {"prog --body-limit 1023", "KiB, MiB, GiB or TiB, from 1KiB to 1GiB"},
        {"prog --body-limit 2GiB", "is not allowed"},
        {"prog --body-limit 99999999TiB", "is not allowed"},
        {"prog --body-limit 5kb", "is not allowed"},
        {"prog --body-limit KiB", "is not allowed"},
        {"prog --body-limit -1KiB", "is not allowed"},
        {"prog --first-byte-timeout 60", "want a number with ms, s, m, h or d, from 0 to 10m"},
        {"prog --first-byte-timeout 11m", "is not allowed"},
        {"prog --first-byte-timeout 1.5s", "is not allowed"},
        {"prog --verbose=maybe", "--verbose: 'maybe' is not allowed: want true or false"},
        {"prog --name x", "want a text of 2 to 8 bytes"},
        {"prog --name 123456789", "is not allowed"},
        {"prog --log-format xml", "want logfmt or json"},
        {"prog --log-format JSON", "is not allowed"},
        {"prog --port", "--port needs a value"},
        {"prog --port --verbose", "--port needs a value"},
        {"prog 8080", "'8080' is no flag"},
        {"prog -p", "'-p' is no flag"},
    };
    struct conf before = conf;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        if (reading(cases[i].line) != SB_EINVAL || strstr(err.text, cases[i].message) == NULL)
            fail_msg("'%s' gives '%s'", cases[i].line, err.text);
    }
    (void)setenv("SWITCHBOARD_PORT", "many", 1);
    assert_int_equal(reading("prog"), SB_EINVAL);
    assert_string_equal(err.text, "SWITCHBOARD_PORT: 'many' is not allowed: want a whole number "
                                  "from 1 to 65535");
    assert_memory_equal(&conf, &before, sizeof(conf));
}

static void an_unknown_flag_is_told_what_was_meant(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"prog --prot 80", "--prot is no setting; did you mean --port?"},
        {"prog --bodylimit=1", "did you mean --body-limit?"},
        {"prog --first-byte-time 1s", "did you mean --first-byte-timeout?"},
        {"prog --fir 1s", "did you mean --first-byte-timeout?"},
        {"prog --chek", "did you mean --check?"},
        {"prog --check=1", "did you mean --check?"},
        {"prog --something-else 1", "--something-else is no setting; --help shows all"},
        {"prog --", "-- is no setting; --help"},
        {"prog --=1", "-- is no setting; --help"},
        {"prog --aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "--help"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        if (reading(cases[i].line) != SB_EINVAL || strstr(err.text, cases[i].message) == NULL)
            fail_msg("'%s' gives '%s'", cases[i].line, err.text);
    }
}

static void a_secret_is_never_shown(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf page;
    int argc;

    (void)state;
    sb_buf_init(&page, 10000);
    assert_int_equal(reading("prog --token abc"), SB_EINVAL);
    assert_string_equal(err.text,
                        "--token: this secret is not allowed: want a text of 4 to 64 bytes");
    argc = split("prog --token hunter2hunter2 --port 99", command, sizeof(command), args);
    assert_int_equal(sb_conf_show(&spec, argc, args, &page), SB_OK);
    assert_int_equal(sb_buf_append_byte(&page, '\0'), SB_OK);
    assert_null(strstr(page.data, "hunter2"));
    assert_non_null(strstr(page.data, "\ntoken=(set)  # flag\n"));
}

static void the_settings_are_shown_with_their_source(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf page;
    int argc = split("prog --show-config --port 99", command, sizeof(command), args);

    (void)state;
    (void)setenv("SWITCHBOARD_FIRST_BYTE_TIMEOUT", "5m", 1);
    sb_buf_init(&page, 10000);
    assert_int_equal(sb_conf_show(&spec, argc, args, &page), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&page), "port=99  # flag\n"
                                                 "body-limit=32MiB  # default\n"
                                                 "first-byte-timeout=5m  # environment\n"
                                                 "verbose=false  # default\n"
                                                 "name=  # default\n"
                                                 "token=  # default\n"
                                                 "log-format=logfmt  # default\n"
                                                 "free=0  # default\n"));
}

static void help_shows_every_setting_with_variable_and_default(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf page;

    (void)state;
    sb_buf_init(&page, 10000);
    assert_int_equal(sb_conf_help(&spec, &page), SB_OK);
    assert_int_equal(sb_buf_append_byte(&page, '\0'), SB_OK);
    assert_non_null(strstr(page.data, "test-conf: Tests settings.\n"));
    assert_non_null(strstr(page.data, "\nExamples:\n  test-conf --port 81\n"));
    assert_non_null(strstr(page.data, "\nListening\n"
                                      "  --port NUMBER              port for clients\n"));
    assert_non_null(strstr(page.data, "  SWITCHBOARD_FIRST_BYTE_TIMEOUT; a number with ms"));
    assert_non_null(strstr(page.data, "  default 32MiB; may change while running\n"));
    assert_non_null(strstr(page.data, "\n  --check "));
    assert_non_null(strstr(page.data,
                           "  --token TEXT               a secret, of which there is so much to be "
                           "said that it does not go on\n"
                           "                             one line of a hundred\n"
                           "                             SWITCHBOARD_TOKEN; "));
    for (char *line = page.data; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 100);
}

static void help_and_version_win_over_anything(void **state)
{
    struct conf before = conf;

    (void)state;
    assert_int_equal(reading("prog --bogus --port x --help"), SB_OK);
    assert_int_equal(action, SB_CONF_HELP);
    assert_int_equal(reading("prog -h --version"), SB_OK);
    assert_int_equal(action, SB_CONF_HELP);
    assert_int_equal(reading("prog --port x --version"), SB_OK);
    assert_int_equal(action, SB_CONF_VERSION);
    assert_memory_equal(&conf, &before, sizeof(conf));
    assert_int_equal(reading("prog --check --port 5"), SB_OK);
    assert_int_equal(action, SB_CONF_CHECK);
    assert_int_equal(conf.port, 5);
    assert_int_equal(reading("prog --show-config"), SB_OK);
    assert_int_equal(action, SB_CONF_SHOW);
}

static int check_port(void *target, struct sb_errmsg *why)
{
    struct conf *of = target;

    if (of->port == 13)
        return sb_err_set(why, SB_EINVAL, "not on port 13");
    of->free_number = of->port + 1;
    return SB_OK;
}

static void a_check_of_the_whole_can_refuse_and_complete(void **state)
{
    struct sb_conf_spec checked = spec;

    (void)state;
    checked.check = check_port;
    assert_int_equal(reading_of(&checked, "prog --port 12"), SB_OK);
    assert_int_equal(conf.free_number, 13);
    assert_int_equal(reading_of(&checked, "prog --port 13"), SB_EINVAL);
    assert_string_equal(err.text, "not on port 13");
    assert_int_equal(conf.port, 12);
}

static void what_is_required_must_be_given(void **state)
{
    static const struct sb_conf_item one[] = {
        {"port", SB_CONF_INT, AT(port), 1, 9, NULL, SB_CONF_REQUIRED, "Group", "port", NULL}};
    const struct sb_conf_spec required = {
        .program = "p", .summary = "", .version = "", .items = one, .n_items = 1};

    (void)state;
    assert_int_equal(reading_of(&required, "prog"), SB_EINVAL);
    assert_string_equal(err.text, "--port is required: a whole number from 1 to 9");
    (void)setenv("SWITCHBOARD_PORT", "7", 1);
    assert_int_equal(reading_of(&required, "prog"), SB_OK);
    assert_int_equal(conf.port, 7);
}

/* What sb_conf_start() prints to a descriptor, and its status. */
static int started(const char *line, int fd, char *printed, size_t size, bool *ret_runs)
{
    int argc = split(line, command, sizeof(command), args);
    int status = -1, pipes[2], kept = dup(fd);
    ssize_t n;

    assert_int_equal(pipe(pipes), 0);
    (void)fflush(stdout);
    assert_true(dup2(pipes[1], fd) >= 0);
    *ret_runs = sb_conf_start(&spec, argc, args, &conf, &status);
    assert_true(dup2(kept, fd) >= 0);
    (void)close(pipes[1]);
    (void)close(kept);
    n = read(pipes[0], printed, size - 1);
    (void)close(pipes[0]);
    assert_true(n >= 0);
    printed[n] = '\0';
    return status;
}

static void main_gets_a_page_or_a_mistake_or_runs(void **state)
{
    char text[16384];
    bool runs;

    (void)state;
    assert_int_equal(started("prog --version", STDOUT_FILENO, text, sizeof(text), &runs), 0);
    assert_false(runs);
    assert_string_equal(text, "test-conf 1.2.3\n");
    assert_int_equal(started("prog --check", STDOUT_FILENO, text, sizeof(text), &runs), 0);
    assert_false(runs);
    assert_string_equal(text, "test-conf: all settings are right\n");
    assert_int_equal(started("prog -h", STDOUT_FILENO, text, sizeof(text), &runs), 0);
    assert_non_null(strstr(text, "usage: test-conf"));
    assert_int_equal(started("prog --port 0", STDERR_FILENO, text, sizeof(text), &runs), 2);
    assert_false(runs);
    assert_memory_equal(text, "test-conf: --port: '0' is not", 29);
    assert_int_equal(started("prog --port 3", STDOUT_FILENO, text, sizeof(text), &runs), -1);
    assert_true(runs);
    assert_string_equal(text, "");
    assert_int_equal(conf.port, 3);
}

static int inspected;

static int inspect(const void *target, struct sb_errmsg *ret)
{
    inspected++;
    return ((const struct conf *)target)->port == 4
               ? sb_conf_judge("port", SB_ENOENT, &(struct sb_errmsg){.text = "no file"}, ret)
               : SB_OK;
}

static void files_are_looked_at_before_it_runs_and_for_a_check(void **state)
{
    char text[16384];
    bool runs;

    (void)state;
    inspected = 0;
    spec.inspect = inspect;
    assert_int_equal(started("prog --version", STDOUT_FILENO, text, sizeof(text), &runs), 0);
    assert_int_equal(started("prog --show-config", STDOUT_FILENO, text, sizeof(text), &runs), 0);
    assert_int_equal(inspected, 0);
    assert_int_equal(started("prog --port 3", STDOUT_FILENO, text, sizeof(text), &runs), -1);
    assert_true(runs);
    assert_int_equal(started("prog --check", STDOUT_FILENO, text, sizeof(text), &runs), 0);
    assert_int_equal(inspected, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(started(i == 0 ? "prog --port 4" : "prog --check --port 4", STDERR_FILENO,
                                 text, sizeof(text), &runs),
                         2);
        assert_false(runs);
        assert_string_equal(text, "test-conf: port: no file\n");
    }
    spec.inspect = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_flags_all_is_default, set_up),
        cmocka_unit_test_setup(flags_have_two_forms_and_the_last_one_wins, set_up),
        cmocka_unit_test_setup(a_flag_goes_before_the_environment_and_that_before_the_default,
                               set_up),
        cmocka_unit_test_setup(values_in_all_units, set_up),
        cmocka_unit_test_setup(wrong_values_are_told_with_name_value_and_what_is_allowed, set_up),
        cmocka_unit_test_setup(an_unknown_flag_is_told_what_was_meant, set_up),
        cmocka_unit_test_setup(a_secret_is_never_shown, set_up),
        cmocka_unit_test_setup(the_settings_are_shown_with_their_source, set_up),
        cmocka_unit_test_setup(help_shows_every_setting_with_variable_and_default, set_up),
        cmocka_unit_test_setup(help_and_version_win_over_anything, set_up),
        cmocka_unit_test_setup(a_check_of_the_whole_can_refuse_and_complete, set_up),
        cmocka_unit_test_setup(what_is_required_must_be_given, set_up),
        cmocka_unit_test_setup(main_gets_a_page_or_a_mistake_or_runs, set_up),
        cmocka_unit_test_setup(files_are_looked_at_before_it_runs_and_for_a_check, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
