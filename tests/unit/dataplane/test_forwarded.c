/* tests/unit/dataplane/test_forwarded.c */
#include "dataplane/forwarded.h"

#include "common/http1.h"
#include "tests/lib/test.h"

enum { FIELDS = 20 };

static struct dp_proxies proxies;

static void trust(const char *list)
{
    struct sb_errmsg err = {.text = ""};

    dp_proxies_release(&proxies);
    if (dp_proxies_parse(list, &proxies, &err) != SB_OK)
        fail_msg("%s", err.text);
}

static int tear_down(void **state)
{
    (void)state;
    dp_proxies_release(&proxies);
    return 0;
}

/* The client of a request by this peer, with these lines in its head. */
static const char *client_of(const char *peer, const char *lines)
{
    static char text[SB_ADDRESS_TEXT_MAX];
    static const struct sb_http1_limits limits = {.target_bytes = 100, .head_bytes = 4096};
    struct sb_http1_field fields[FIELDS];
    struct sb_http1_head head = {.fields = fields, .fields_max = FIELDS};
    struct sb_http1_step step;
    struct sb_http1 parser;
    struct sb_address address;
    char bytes[2048];
    int n = snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", lines);

    sb_http1_init(&parser, SB_HTTP1_REQUEST, &limits);
    assert_int_equal(sb_http1_execute(&parser, &head, sb_slice_make(bytes, (size_t)n), &step),
                     SB_OK);
    assert_true((step.got & SB_HTTP1_GOT_HEAD) != 0);
    assert_int_equal(sb_address_parse(sb_slice_of(peer), &address), SB_OK);
    address = dp_proxies_client(&proxies, &address, &head, bytes);
    (void)sb_address_format(&address, text);
    return text;
}

#define FORWARDED(list) "X-Forwarded-For: " list "\r\n"

static void without_trusted_proxies_the_peer_is_the_client(void **state)
{
    (void)state;
    trust(NULL);
    assert_string_equal(client_of("10.0.0.1", FORWARDED("192.0.2.7")), "10.0.0.1");
    trust("");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("192.0.2.7")), "10.0.0.1");
}

static void who_is_not_trusted_cannot_name_another(void **state)
{
    (void)state;
    trust("10.0.0.0/8");
    assert_string_equal(client_of("192.0.2.1", FORWARDED("192.0.2.7")), "192.0.2.1");
    assert_string_equal(client_of("2001:db8::1", FORWARDED("192.0.2.7")), "2001:db8::1");
}

static void a_trusted_proxy_names_the_client(void **state)
{
    (void)state;
    trust("10.0.0.0/8, 2001:db8:1::/48 ,192.0.2.200");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("198.51.100.7")), "198.51.100.7");
    assert_string_equal(client_of("2001:db8:1::5", FORWARDED("2001:db8:2::7")), "2001:db8:2::7");
    assert_string_equal(client_of("192.0.2.200", "x-forwarded-for:\t198.51.100.7 \r\n"),
                        "198.51.100.7");
    assert_string_equal(client_of("::ffff:10.0.0.1", FORWARDED("198.51.100.7")), "198.51.100.7");
    assert_string_equal(client_of("10.0.0.1", ""), "10.0.0.1"); /* asks by itself */
}

static void the_last_that_is_not_trusted_is_the_client(void **state)
{
    (void)state;
    trust("10.0.0.0/8,2001:db8:1::/48");
    /* what stands before it, the client may have made up */
    assert_string_equal(client_of("10.0.0.1", FORWARDED("1.1.1.1, 198.51.100.7, 10.9.9.9")),
                        "198.51.100.7");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("198.51.100.7,2001:db8:1::9 , 10.9.9.9")),
                        "198.51.100.7");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("<script>, , 198.51.100.7")),
                        "198.51.100.7");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("10.3.3.3, 10.2.2.2")), "10.3.3.3");
}

static void several_lines_are_one_list(void **state)
{
    (void)state;
    trust("10.0.0.0/8");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("1.1.1.1") "Accept: x\r\n" FORWARDED(
                                                  "198.51.100.7") FORWARDED("10.2.2.2")),
                        "198.51.100.7");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("198.51.100.7") FORWARDED("10.2.2.2")),
                        "198.51.100.7");
}

static void addresses_may_have_ports_and_brackets(void **state)
{
    (void)state;
    trust("10.0.0.0/8");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("198.51.100.7:4711")), "198.51.100.7");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("[2001:db8::7]:4711")), "2001:db8::7");
    assert_string_equal(client_of("10.0.0.1", FORWARDED("[2001:db8::7]")), "2001:db8::7");
}

static void a_list_that_says_nothing_means_the_peer(void **state)
{
    static const char *const bad[] = {
        FORWARDED(""),
        FORWARDED("unknown"),
        FORWARDED("198.51.100.7, unknown"),
        FORWARDED("198.51.100.7,"),
        FORWARDED("198.51.100.7, , 10.2.2.2"),
        FORWARDED("unknown, 10.2.2.2"),
        FORWARDED("198.51.100.7:"),
        FORWARDED("198.51.100.7:65536"),
        FORWARDED("198.51.100.7:80:80"),
        FORWARDED("[2001:db8::7"),
        FORWARDED("[2001:db8::7]x"),
        FORWARDED("[]"),
        FORWARDED("198.51.100.0/24"),
        FORWARDED("for=198.51.100.7"),
        FORWARDED("198.51.100.7 198.51.100.8"),
        FORWARDED("198.51.100.7") FORWARDED("unknown"),
    };

    (void)state;
    trust("10.0.0.0/8");
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++)
        if (strcmp(client_of("10.0.0.1", bad[i]), "10.0.0.1") != 0)
            fail_msg("%s", bad[i]);
}

static void a_wrong_network_is_named(void **state)
{
    static const char *const bad[][2] = {
        {"10.0.0.0/8,10.0.0.0/40", "'10.0.0.0/40'"},
        {"proxy.example", "'proxy.example'"},
        {"10.1.0.0/8", "'10.1.0.0/8'"},
        {"10.0.0.0/8,,::1", "''"},
        {"10.0.0.0/8 ::1", "'10.0.0.0/8 ::1'"},
    };
    struct dp_proxies none = {.n = 0};
    struct sb_errmsg err;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        assert_int_equal(dp_proxies_parse(bad[i][0], &none, &err), SB_EINVAL);
        assert_non_null(strstr(err.text, bad[i][1]));
        assert_null(none.networks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_trusted_proxies_the_peer_is_the_client),
        cmocka_unit_test(who_is_not_trusted_cannot_name_another),
        cmocka_unit_test(a_trusted_proxy_names_the_client),
        cmocka_unit_test(the_last_that_is_not_trusted_is_the_client),
        cmocka_unit_test(several_lines_are_one_list),
        cmocka_unit_test(addresses_may_have_ports_and_brackets),
        cmocka_unit_test(a_list_that_says_nothing_means_the_peer),
        cmocka_unit_test(a_wrong_network_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down);
}
