/* tests/unit/proto/test_credential.c */
#include "common/err.h"
#include "common/mem.h"
#include "proto/snapshot.h"
#include "tests/lib/test.h"

static struct sb_buf out;

static int set_up(void **state)
{
    (void)state;
    sb_buf_init(&out, 1 << 16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_mem_fail_nth(0);
    sb_buf_release(&out);
    return 0;
}

static int bind_url(struct sb_slice url)
{
    sb_buf_reset(&out);
    return msg_credential_binding(7, SB_SLICE_LIT("shop"), SB_SLICE_LIT("acme"), url, &out);
}

/* Sealed keys are bound to these bytes: they are never to change. */
static void the_text_is_what_keys_are_sealed_to(void **state)
{
    (void)state;
    assert_int_equal(bind_url(SB_SLICE_LIT("https://api.acme.example/v1")), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&out), "switchboard credential 1\n"
                                                "id 7\n"
                                                "tenant 4:shop\n"
                                                "provider 4:acme\n"
                                                "origin https://api.acme.example:443\n"));
    sb_buf_reset(&out);
    assert_int_equal(msg_credential_binding(UINT64_MAX, SB_SLICE_NONE, SB_SLICE_LIT("a"),
                                            SB_SLICE_LIT("http://[::1]:8081"), &out),
                     SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&out), "switchboard credential 1\n"
                                                "id 18446744073709551615\n"
                                                "tenant 0:\n"
                                                "provider 1:a\n"
                                                "origin http://[::1]:8081\n"));
}

static void one_origin_has_one_text(void **state)
{
    static const char *const same[] = {
        "https://api.acme.example",          "https://api.acme.example/",
        "https://api.acme.example:443",      "https://api.acme.example:443/v1/chat",
        "HTTPS://API.Acme.Example/other",    "https://api.acme.example?x=1",
        "https://api.acme.example#fragment", "https://api.acme.example:0443/v1",
    };
    struct sb_buf first;

    (void)state;
    assert_int_equal(bind_url(sb_slice_of(same[0])), SB_OK);
    sb_buf_init(&first, 1 << 16);
    assert_int_equal(sb_buf_append(&first, sb_buf_slice(&out)), SB_OK);
    for (size_t i = 0; i < SB_ARRAY_LEN(same); i++) {
        assert_int_equal(bind_url(sb_slice_of(same[i])), SB_OK);
        assert_true(sb_slice_eq(sb_buf_slice(&out), sb_buf_slice(&first)));
    }
    sb_buf_release(&first);
}

static void whatever_differs_gives_another_text(void **state)
{
    static const struct {
        uint64_t id;
        const char *tenant, *provider, *url;
    } all[] = {
        {7, "shop", "acme", "https://a.example"},
        {8, "shop", "acme", "https://a.example"},
        {7, "shop2", "acme", "https://a.example"},
        {7, "", "acme", "https://a.example"},
        {7, "shop", "acm", "https://a.example"},
        {7, "shop", "acme", "http://a.example"},
        {7, "shop", "acme", "https://a.example:8443"},
        {7, "shop", "acme", "https://b.example"},
        {7, "shop", "acme", "https://a.example."},
        {7, "shop\nprovider 4:acme", "acme", "http://a"},
        {7, "shop", "acme\nprovider 4:acme", "http://a"},
    };
    struct sb_buf text[SB_ARRAY_LEN(all)];

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(all); i++) {
        sb_buf_init(&text[i], 1 << 16);
        assert_int_equal(msg_credential_binding(all[i].id, sb_slice_of(all[i].tenant),
                                                sb_slice_of(all[i].provider),
                                                sb_slice_of(all[i].url), &text[i]),
                         SB_OK);
        for (size_t k = 0; k < i; k++)
            assert_false(sb_slice_eq(sb_buf_slice(&text[i]), sb_buf_slice(&text[k])));
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(all); i++)
        sb_buf_release(&text[i]);
}

/* What two programs could read as two hosts is bound to none. */
static void a_url_whose_host_is_in_doubt_has_no_origin(void **state)
{
    static const char *const bad[] = {
        "",
        "api.acme.example",
        "ftp://api.acme.example",
        "https:/api.acme.example",
        "https://",
        "https:///v1",
        "https://:443/",
        "https://host:",
        "https://host:0",
        "https://host:65536",
        "https://host:99999999999999999999",
        "https://host:443x",
        "https://user@evil.example",
        "https://good.example@evil.example",
        "https://good.example\\@evil.example",
        "https://good.example:443@evil.example",
        "https://good%2eexample",
        "https://b\303\274cher.example",
        "https://good.example evil.example",
        "https://good.example\t",
        "https://[::1",
        "https://[]",
        "https://[::1]x",
        "https://[good.example]",
        "https://[fe80::1%25eth0]",
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        assert_int_equal(bind_url(sb_slice_of(bad[i])), SB_EINVAL);
        assert_int_equal(sb_buf_len(&out), 0);
    }
    assert_int_equal(bind_url(SB_SLICE_LIT("https://good.example\0evil")), SB_EINVAL);
}

static void names_and_urls_over_their_ceiling_are_refused(void **state)
{
    static char big[MSG_URL_MAX + 1];
    struct sb_slice url = SB_SLICE_LIT("https://a.example");

    (void)state;
    memset(big, 'a', sizeof(big));
    assert_int_equal(msg_credential_binding(1, sb_slice_make(big, MSG_SLUG_MAX + 1),
                                            SB_SLICE_LIT("p"), url, &out),
                     SB_ETOOBIG);
    assert_int_equal(
        msg_credential_binding(1, SB_SLICE_NONE, sb_slice_make(big, MSG_SLUG_MAX + 1), url, &out),
        SB_ETOOBIG);
    assert_int_equal(bind_url(sb_slice_make(big, sizeof(big))), SB_ETOOBIG);
    assert_int_equal(msg_credential_binding(1, SB_SLICE_LIT("a\0b"), SB_SLICE_LIT("p"), url, &out),
                     SB_EINVAL);
    assert_int_equal(msg_credential_binding(1, SB_SLICE_NONE, SB_SLICE_LIT("p\0"), url, &out),
                     SB_EINVAL);
}

static void without_memory_it_fails_cleanly(void **state)
{
    (void)state;
    sb_mem_fail_nth(1);
    assert_int_equal(bind_url(SB_SLICE_LIT("https://a.example")), SB_ENOMEM);
    assert_int_equal(sb_buf_len(&out), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_text_is_what_keys_are_sealed_to),
        TEST(one_origin_has_one_text),
        TEST(whatever_differs_gives_another_text),
        TEST(a_url_whose_host_is_in_doubt_has_no_origin),
        TEST(names_and_urls_over_their_ceiling_are_refused),
        TEST(without_memory_it_fails_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
