/* tests/unit/common/test_hostport.c */
#include "common/hostport.h"

#include "tests/lib/test.h"

static void addresses_are_split(void **state)
{
    static const struct {
        const char *address, *host;
        unsigned port;
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080},
        {"localhost:0", "localhost", 0},
        {"[::1]:65535", "::1", 65535},
        {"*:80", "", 80},
        {"gateway-1.example:8080", "gateway-1.example", 8080},
    };
    char host[SB_HOST_MAX];
    unsigned port;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        assert_int_equal(sb_hostport_split(cases[i].address, host, &port, NULL), SB_OK);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

static void what_is_none_is_refused_with_its_words(void **state)
{
    static const char *const bad[] = {
        "",
        ":80",
        "8080",
        "nonsense",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "host:-1",
        "host:+1",
        "host: 80",
        "host:80 ",
        "host:99999999999",
        "host:0x50",
        "[]:80",
        "[::1]80",
        "[::1:80",
        "::1:80",
        "http://h:1",
        "host name:1",
        "[[::1]]:8080",
        "host:name:1",
    };
    char host[SB_HOST_MAX] = "kept";
    struct sb_errmsg err;
    unsigned port = 7;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        err.text[0] = '\0';
        assert_int_equal(sb_hostport_split(bad[i], host, &port, &err), SB_EINVAL);
        assert_non_null(strstr(err.text, bad[i]));
        assert_non_null(strstr(err.text, "HOST:PORT"));
        assert_int_equal(port, 7);
    }
}

static void a_host_that_is_too_long_is_refused(void **state)
{
    char address[SB_HOST_MAX + 8], host[SB_HOST_MAX];
    unsigned port;

    (void)state;
    memset(address, 'a', SB_HOST_MAX);
    (void)strcpy(address + SB_HOST_MAX - 1, ":80");
    assert_int_equal(sb_hostport_split(address, host, &port, NULL), SB_OK);
    (void)strcpy(address + SB_HOST_MAX - 1, "a:80");
    assert_int_equal(sb_hostport_split(address, host, &port, NULL), SB_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_split),
        cmocka_unit_test(what_is_none_is_refused_with_its_words),
        cmocka_unit_test(a_host_that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
