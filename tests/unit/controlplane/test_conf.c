/* tests/unit/controlplane/test_conf.c */
#include "controlplane/conf.h"

#include "tests/lib/test.h"

static struct sb_errmsg err;

#define READ(conf, ...)                                                                            \
    read_all(conf, (const char *const[]){"switchboard-control", __VA_ARGS__, NULL})

static int read_all(struct cp_conf *conf, const char *const *argv)
{
    enum sb_conf_action action;
    int argc = 0;

    while (argv[argc] != NULL)
        argc++;
    err.text[0] = '\0';
    return sb_conf_read(&cp_conf_spec, argc, (char *const *)(uintptr_t)argv, conf, &action, &err);
}

static void a_database_is_all_that_it_needs(void **state)
{
    struct cp_conf conf;

    (void)state;
    assert_int_equal(READ(&conf, "--name", "x"), SB_EINVAL);
    assert_non_null(strstr(err.text, "database"));
    assert_int_equal(READ(&conf, "--database", "host=/tmp"), SB_OK);
    assert_null(conf.owner_database);
    assert_null(conf.collector_database); /* the same login, as another role */
    assert_false(conf.new_epoch);
    assert_string_equal(conf.control, "ipc://.switchboard/run/control");
    assert_int_equal(conf.tables_interval, 1000);
    assert_int_equal(conf.audit_keep, 0);
}

static void passwords_are_not_shown(void **state)
{
    struct cp_conf conf;

    (void)state;
    assert_int_equal(READ(&conf, "--database", "password=hunter2", "--bus-key", "k"), SB_EINVAL);
    assert_null(strstr(err.text, "hunter2"));
    for (size_t i = 0; i < cp_conf_spec.n_items; i++)
        if (strstr(cp_conf_spec.items[i].name, "database") != NULL)
            assert_true(cp_conf_spec.items[i].flags & SB_CONF_SECRET);
}

static void a_webhook_needs_the_key_that_signs(void **state)
{
    struct cp_conf conf;

    (void)state;
    assert_int_equal(READ(&conf, "--database", "x", "--webhook-url", "http://[::1]/"), SB_EINVAL);
    assert_non_null(strstr(err.text, "webhook-secret-file"));
    assert_int_equal(READ(&conf, "--database", "x", "--webhook-secret-file", "f"), SB_EINVAL);
    assert_int_equal(READ(&conf, "--database", "x", "--webhook-url", "http://[::1]/",
                          "--webhook-secret-file", "f"),
                     SB_OK);
}

static void plaintext_beyond_loopback_and_half_of_curve_are_refused(void **state)
{
    struct cp_conf conf;

    (void)state;
    assert_int_equal(READ(&conf, "--database", "x", "--control", "tcp://10.0.0.1:1"), SB_EINVAL);
    assert_int_equal(READ(&conf, "--database", "x", "--publish", "tcp://*:1"), SB_EINVAL);
    assert_int_equal(READ(&conf, "--database", "x", "--bus-clients", "c"), SB_EINVAL);
    assert_int_equal(READ(&conf, "--database", "x", "--control", "tcp://127.0.0.1:1"), SB_OK);
    assert_int_equal(READ(&conf, "--database", "x", "--control", "tcp://10.0.0.1:1", "--publish",
                          "tcp://10.0.0.1:2", "--bus-key", "k", "--bus-clients", "c"),
                     SB_OK);
}

static void texts_that_mean_nothing_are_refused_with_their_name(void **state)
{
    struct cp_conf conf;

    (void)state;
    assert_int_equal(READ(&conf, "--database", "x", "--admin", "nonsense"), SB_EINVAL);
    assert_memory_equal(err.text, "admin: ", 7);
    assert_int_equal(READ(&conf, "--database", "x", "--log-level", "loud"), SB_EINVAL);
    assert_memory_equal(err.text, "log-level: ", 11);
    assert_int_equal(READ(&conf, "--database", "x", "--admin", "[::1]:0"), SB_OK);
}

static void files_are_looked_at(void **state)
{
    struct cp_conf conf;

    (void)state;
    assert_int_equal(READ(&conf, "--database", "x", "--keyring", "/nonexistent/ring"), SB_OK);
    assert_int_equal(cp_conf_spec.inspect(&conf, &err), SB_EINVAL);
    assert_memory_equal(err.text, "keyring: ", 9);
}

static void the_name_is_the_hosts_unless_it_is_said(void **state)
{
    struct cp_conf conf = {.name = "one"};
    char name[CP_NAME_MAX];

    (void)state;
    cp_conf_name(&conf, name);
    assert_string_equal(name, "one");
    conf.name = NULL;
    cp_conf_name(&conf, name);
    assert_true(strlen(name) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_database_is_all_that_it_needs),
        cmocka_unit_test(passwords_are_not_shown),
        cmocka_unit_test(a_webhook_needs_the_key_that_signs),
        cmocka_unit_test(plaintext_beyond_loopback_and_half_of_curve_are_refused),
        cmocka_unit_test(texts_that_mean_nothing_are_refused_with_their_name),
        cmocka_unit_test(files_are_looked_at),
        cmocka_unit_test(the_name_is_the_hosts_unless_it_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
