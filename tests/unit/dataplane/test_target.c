/* tests/unit/dataplane/test_target.c */
#include "dataplane/upstream/target.h"

#include "proto/snapshot.h"
#include "tests/lib/test.h"

static struct msg_provider provider(const char *base_url)
{
    return (struct msg_provider){.slug = SB_SLICE_LIT("acme"),
                                 .base_url = sb_slice_of(base_url),
                                 .max_connections = 5,
                                 .max_in_flight = 9};
}

static struct dp_target target_of(const char *base_url)
{
    struct msg_provider p = provider(base_url);
    struct dp_target target = {0};
    struct sb_errmsg err;

    assert_int_equal(dp_target_init(&target, &p, &err), SB_OK);
    return target;
}

static void takes_a_base_url_apart(void **state)
{
    struct dp_target t;

    (void)state;
    t = target_of("https://api.acme.example/v1");
    assert_true(t.tls);
    assert_int_equal(t.port, 443);
    assert_true(sb_slice_is(t.host, "api.acme.example"));
    assert_true(sb_slice_is(t.authority, "api.acme.example"));
    assert_true(sb_slice_is(t.path, "/v1"));
    assert_int_equal(t.max_connections, 5);
    assert_int_equal(t.max_in_flight, 9);
    t = target_of("HTTP://127.0.0.1:8000");
    assert_false(t.tls);
    assert_int_equal(t.port, 8000);
    assert_true(sb_slice_is(t.host, "127.0.0.1"));
    assert_true(sb_slice_is(t.authority, "127.0.0.1:8000"));
    assert_int_equal(t.path.n, 0);
    t = target_of("http://[2001:db8::7]:81/a/b//");
    assert_int_equal(t.port, 81);
    assert_true(sb_slice_is(t.host, "2001:db8::7"));
    assert_true(sb_slice_is(t.authority, "[2001:db8::7]:81"));
    assert_true(sb_slice_is(t.path, "/a/b"));
    assert_int_equal(target_of("http://[::1]").port, 80);
    assert_int_equal(target_of("http://h:65535/").port, 65535);
}

static void refuses_what_two_parsers_could_read_differently(void **state)
{
    static const char *const bad[] = {
        "",
        "api.acme.example",
        "ftp://acme.example",
        "https:/acme.example",
        "https://",
        "https:///v1",
        "https://user@acme.example",
        "https://user:secret@acme.example/v1",
        "https://good.example\\@evil.example",
        "https://good.example#@evil.example",
        "https://good.example?@evil.example",
        "https://acme.example?key=1",
        "https://acme.example/v1?key=1",
        "https://acme.example/v1#top",
        "https://acme.example/v 1",
        "https://acme.example/v\r\n1",
        "https://acme example",
        "https://acme.example:",
        "https://acme.example:0",
        "https://acme.example:65536",
        "https://acme.example:4294967739",
        "https://acme.example:443x",
        "https://acme.example:443:443",
        "https://%61cme.example",
        "https://acm\xc3\xa9.example",
        "https://[::1",
        "https://[::1]443",
        "https://[]",
        "https://[::1%25lo]",
        "https://[acme.example]",
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        struct msg_provider p = provider(bad[i]);
        struct dp_target target = {.port = 7};
        struct sb_errmsg err = {{0}};

        if (dp_target_init(&target, &p, &err) != SB_EINVAL)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(target.port, 7); /* untouched */
        assert_true(err.text[0] != '\0');
    }
}

static void a_host_name_has_a_limit(void **state)
{
    char url[400] = "https://";
    struct msg_provider p;
    struct dp_target target;

    (void)state;
    memset(url + 8, 'a', DP_HOST_MAX + 1);
    p = provider(url);
    assert_int_equal(dp_target_init(&target, &p, NULL), SB_EINVAL);
    url[8 + DP_HOST_MAX] = '\0';
    p = provider(url);
    assert_int_equal(dp_target_init(&target, &p, NULL), SB_OK);
}

static void knows_the_kinds_of_proxies(void **state)
{
    static const char *const good[] = {"",
                                       "http://proxy:3128",
                                       "https://user:pass@proxy.example:8443",
                                       "socks5://10.0.0.1:1080",
                                       "SOCKS5H://proxy:1080",
                                       "socks4a://proxy"};
    static const char *const bad[] = {"proxy:3128", "ftp://proxy", "http://", "http://a b",
                                      "quic://proxy"};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(good); i++) {
        struct msg_provider p = provider("https://acme.example");
        struct dp_target target;

        p.proxy = sb_slice_of(good[i]);
        assert_int_equal(dp_target_init(&target, &p, NULL), SB_OK);
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        struct msg_provider p = provider("https://acme.example");
        struct dp_target target;

        p.proxy = sb_slice_of(bad[i]);
        assert_int_equal(dp_target_init(&target, &p, NULL), SB_EINVAL);
    }
}

static void everything_a_connection_depends_on_is_in_the_key(void **state)
{
    struct msg_provider p = provider("https://acme.example/v1");
    struct dp_target base, other;

    (void)state;
    assert_int_equal(dp_target_init(&base, &p, NULL), SB_OK);

    p.base_url = SB_SLICE_LIT("https://ACME.example:443/v2");
    p.max_connections = 77;
    assert_int_equal(dp_target_init(&other, &p, NULL), SB_OK);
    assert_true(dp_target_same(&base, &other)); /* neither path nor limits nor case */

    p = provider("http://acme.example:443/v1");
    assert_int_equal(dp_target_init(&other, &p, NULL), SB_OK);
    assert_false(dp_target_same(&base, &other));
    p = provider("https://acme.example:444/v1");
    assert_int_equal(dp_target_init(&other, &p, NULL), SB_OK);
    assert_false(dp_target_same(&base, &other));
    p = provider("https://acme.examples/v1");
    assert_int_equal(dp_target_init(&other, &p, NULL), SB_OK);
    assert_false(dp_target_same(&base, &other));
    p = provider("https://acme.example/v1");
    p.proxy = SB_SLICE_LIT("http://proxy:3128");
    assert_int_equal(dp_target_init(&other, &p, NULL), SB_OK);
    assert_false(dp_target_same(&base, &other));
    p = provider("https://acme.example/v1");
    p.ca_file = SB_SLICE_LIT("/etc/acme.pem");
    assert_int_equal(dp_target_init(&other, &p, NULL), SB_OK);
    assert_false(dp_target_same(&base, &other));
    p = provider("https://acme.example/v1");
    p.slug = SB_SLICE_LIT("other");
    assert_int_equal(dp_target_init(&other, &p, NULL), SB_OK);
    assert_false(dp_target_same(&base, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_base_url_apart),
        cmocka_unit_test(refuses_what_two_parsers_could_read_differently),
        cmocka_unit_test(a_host_name_has_a_limit),
        cmocka_unit_test(knows_the_kinds_of_proxies),
        cmocka_unit_test(everything_a_connection_depends_on_is_in_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
