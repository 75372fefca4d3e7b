/* tests/unit/dataplane/test_conf.c */
#include "dataplane/conf.h"

#include "tests/lib/test.h"

static struct sb_errmsg err;

static int read_with(const char *name, const char *value, struct dp_conf *conf)
{
    const char *const argv[] = {"switchboard-worker", name, value};
    enum sb_conf_action action;

    err.text[0] = '\0';
    return sb_conf_read(&dp_conf_spec, name != NULL ? 3 : 1, (char *const *)(uintptr_t)argv, conf,
                        &action, &err);
}

static void the_defaults_are_right(void **state)
{
    struct dp_conf conf;

    (void)state;
    assert_int_equal(read_with(NULL, NULL, &conf), SB_OK);
    assert_string_equal(conf.listen, "127.0.0.1:8080");
    assert_null(conf.status);
    assert_null(conf.cors_origin);
    assert_int_equal(conf.head_limit, 32 << 10);
    assert_int_equal(conf.body_limit, 32 << 20);
}

/* A worker that finds it out later is started again and again. */
static void texts_that_mean_nothing_are_refused_with_their_name(void **state)
{
    static const struct {
        const char *name, *value;
    } wrong[] = {
        {"--listen", "nonsense"},
        {"--listen", "127.0.0.1:99999"},
        {"--status", "9000"},
        {"--name", "a/b"},
        {"--name", ".."},
        {"--log-level", "loud"},
        {"--control", "bogus"},
        {"--control", "tcp://10.0.0.1:1"},
        {"--control", "ipc:///run/a,bogus"},
        {"--control", ","},
        {"--publish", "tcp://10.0.0.1:1"},
        {"--cors-origin", "app.example"},
        {"--cors-origin", "https://app.example/"},
        {"--cors-origin", "https://a.example,https://b.example"},
        {"--cors-origin", "https://*.example"},
    };
    struct dp_conf conf;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        if (read_with(wrong[i].name, wrong[i].value, &conf) == SB_OK)
            fail_msg("%s %s was taken", wrong[i].name, wrong[i].value);
        assert_memory_equal(err.text, wrong[i].name + 2, strlen(wrong[i].name + 2));
    }
}

static void texts_that_are_right_are_taken(void **state)
{
    static const struct {
        const char *name, *value;
    } right[] = {
        {"--listen", "[::]:8080"},
        {"--listen", "*:0"},
        {"--status", "localhost:9000"},
        {"--name", "eu-1.gateway"},
        {"--log-level", "info,req=debug"},
        {"--control", "ipc:///run/a, tcp://127.0.0.1:5555,ipc://here"},
        {"--cors-origin", "*"},
        {"--cors-origin", "https://app.example:8443"},
        {"--cors-origin", "chrome-extension://abcdef"},
    };
    struct dp_conf conf;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(right); i++)
        if (read_with(right[i].name, right[i].value, &conf) != SB_OK)
            fail_msg("%s %s: %s", right[i].name, right[i].value, err.text);
}

static void every_worker_needs_a_port_for_its_status(void **state)
{
    const char *const argv[] = {"switchboard-worker", "--status", "127.0.0.1:65535", "--workers",
                                "2"};
    enum sb_conf_action action;
    struct dp_conf conf;

    (void)state;
    assert_int_equal(read_with("--status", "127.0.0.1:65535", &conf), SB_OK);
    assert_int_equal(
        sb_conf_read(&dp_conf_spec, 5, (char *const *)(uintptr_t)argv, &conf, &action, &err),
        SB_EINVAL);
    assert_non_null(strstr(err.text, "status"));
}

static void limits_that_exclude_each_other_are_refused(void **state)
{
    struct dp_conf conf;

    (void)state;
    assert_int_equal(read_with("--body-memory", "1MiB", &conf), SB_EINVAL);
    assert_non_null(strstr(err.text, "body-limit"));
    assert_int_equal(read_with("--bus-key", "k", &conf), SB_EINVAL);
    assert_non_null(strstr(err.text, "bus-server"));
}

static void files_are_looked_at(void **state)
{
    struct dp_conf conf;

    (void)state;
    assert_int_equal(read_with("--keyring", "/nonexistent/keyring", &conf), SB_OK);
    assert_int_equal(dp_conf_spec.inspect(&conf, &err), SB_EINVAL);
    assert_memory_equal(err.text, "keyring: ", 9);
    assert_non_null(strstr(err.text, "/nonexistent/keyring"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_right),
        cmocka_unit_test(texts_that_mean_nothing_are_refused_with_their_name),
        cmocka_unit_test(texts_that_are_right_are_taken),
        cmocka_unit_test(every_worker_needs_a_port_for_its_status),
        cmocka_unit_test(limits_that_exclude_each_other_are_refused),
        cmocka_unit_test(files_are_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
