/* tests/unit/common/test_network.c */
#include "common/network.h"

#include <arpa/inet.h>

#include "common/err.h"
#include "tests/lib/test.h"

static struct sb_address address_of(const char *text)
{
    struct sb_address address;

    if (sb_address_parse(sb_slice_of(text), &address) != SB_OK)
        fail_msg("'%s' is an address", text);
    return address;
}

static bool is_in(const char *network_text, const char *address_text)
{
    struct sb_address address = address_of(address_text);
    struct sb_network network;

    if (sb_network_parse(sb_slice_of(network_text), &network) != SB_OK)
        fail_msg("'%s' is a network", network_text);
    return sb_network_has(&network, &address);
}

static void addresses_have_one_form(void **state)
{
    static const char *const forms[][2] = {
        {"192.0.2.7", "192.0.2.7"},        {"2001:DB8:0:0::1", "2001:db8::1"},
        {"::ffff:192.0.2.7", "192.0.2.7"}, {"::", "::"},
        {"::ffff:c000:207", "192.0.2.7"},  {"0.0.0.0", "0.0.0.0"},
        {"::192.0.2.7", "::192.0.2.7"},    {"255.255.255.255", "255.255.255.255"},
    };
    char text[SB_ADDRESS_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(forms); i++) {
        struct sb_address address = address_of(forms[i][0]);

        assert_int_equal(sb_address_format(&address, text), strlen(forms[i][1]));
        assert_string_equal(text, forms[i][1]);
    }
}

static void a_sockets_name_has_an_address(void **state)
{
    struct sockaddr_storage name;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 80};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = 80};
    struct sb_address got, want = address_of("192.0.2.7");

    (void)state;
    assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr), 1);
    memcpy(&name, &v4, sizeof(v4));
    assert_int_equal(sb_address_from(&name, &got), SB_OK);
    assert_true(sb_address_eq(&got, &want));
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7", &v6.sin6_addr), 1);
    memcpy(&name, &v6, sizeof(v6));
    assert_int_equal(sb_address_from(&name, &got), SB_OK);
    assert_true(sb_address_eq(&got, &want)); /* of a socket for both */
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr), 1);
    memcpy(&name, &v6, sizeof(v6));
    want = address_of("2001:db8::1");
    assert_int_equal(sb_address_from(&name, &got), SB_OK);
    assert_true(sb_address_eq(&got, &want));
    name.ss_family = AF_UNIX;
    assert_int_equal(sb_address_from(&name, &got), SB_EINVAL);
}

static void what_is_no_address_is_refused(void **state)
{
    static const struct sb_slice bad[] = {
        SB_SLICE_INIT(""),
        SB_SLICE_INIT("unknown"),
        SB_SLICE_INIT("_hidden"),
        SB_SLICE_INIT("192.0.2"),
        SB_SLICE_INIT("192.0.2.256"),
        SB_SLICE_INIT("192.0.2.07"),
        SB_SLICE_INIT("192.0.2.7:80"),
        SB_SLICE_INIT("[2001:db8::1]"),
        SB_SLICE_INIT("fe80::1%eth0"),
        SB_SLICE_INIT(" 192.0.2.7"),
        SB_SLICE_INIT("192.0.2.7 "),
        SB_SLICE_INIT("192.0.2.7\0"),
        SB_SLICE_INIT("2001:db8:::1"),
        SB_SLICE_INIT("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"),
    };
    struct sb_address address = address_of("192.0.2.1"), before = address;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++)
        assert_int_equal(sb_address_parse(bad[i], &address), SB_EPARSE);
    assert_true(sb_address_eq(&address, &before));
}

static void a_network_has_the_addresses_of_its_prefix(void **state)
{
    (void)state;
    assert_true(is_in("10.0.0.0/8", "10.255.255.255"));
    assert_false(is_in("10.0.0.0/8", "11.0.0.0"));
    assert_true(is_in("172.16.0.0/12", "172.31.0.1"));
    assert_false(is_in("172.16.0.0/12", "172.32.0.1"));
    assert_true(is_in("192.0.2.7", "192.0.2.7"));
    assert_false(is_in("192.0.2.7", "192.0.2.6"));
    assert_true(is_in("192.0.2.6/31", "192.0.2.7"));
    assert_true(is_in("0.0.0.0/0", "203.0.113.9"));
    assert_true(is_in("2001:db8::/32", "2001:db8:ffff::1"));
    assert_false(is_in("2001:db8::/32", "2001:db9::1"));
    assert_true(is_in("fe80::/10", "febf::1"));
    assert_false(is_in("fe80::/10", "fec0::1"));
    assert_true(is_in("::/0", "2001:db8::1"));
}

static void both_kinds_do_not_mix(void **state)
{
    (void)state;
    assert_false(is_in("0.0.0.0/0", "2001:db8::1"));
    assert_false(is_in("10.0.0.0/8", "a00::1"));
    assert_true(is_in("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(is_in("::/0", "10.1.2.3")); /* its mapped form is one */
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "10.0.0.0/ 8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.1/8", /* a bit behind the prefix */
        "10.0.0.0/4",
        "2001:db8::/129",
        "2001:db8::/28",
        "localhost",
        "10.0.0.0/18446744073709551624",
    };
    struct sb_network network = {.bits = 7};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++)
        if (sb_network_parse(sb_slice_of(bad[i]), &network) != SB_EPARSE)
            fail_msg("'%s' is no network", bad[i]);
    assert_int_equal(network.bits, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_one_form),
        cmocka_unit_test(a_sockets_name_has_an_address),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_network_has_the_addresses_of_its_prefix),
        cmocka_unit_test(both_kinds_do_not_mix),
        cmocka_unit_test(what_is_no_network_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
