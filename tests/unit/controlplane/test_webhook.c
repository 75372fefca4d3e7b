/* tests/unit/controlplane/test_webhook.c - what needs no receiver; posting is proved by
 * tests/integration/test_tables.py. */
#include "controlplane/events/webhook.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/secret.h"
#include "tests/lib/test.h"

static void a_signature_is_hmac_sha256_of_time_and_body(void **state)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *key = NULL;
    char text[CP_WEBHOOK_SIGNATURE];

    (void)state;
    assert_int_equal(sb_secret_new(SB_SLICE_LIT("0123456789abcdef"), &key), SB_OK);
    cp_webhook_sign(key, 1790000000, SB_SLICE_LIT("{\"id\":1}"), text);
    /* printf '1790000000.{"id":1}' | openssl dgst -sha256 -hmac 0123456789abcdef */
    assert_string_equal(text, "t=1790000000,v1="
                              "b36b01c11d09d5f3bed6dc8c6cbcbff72183f9a15742b4a9ee4b70a2a262ba51");
}

static void waits_double_from_a_second_to_five_minutes(void **state)
{
    (void)state;
    assert_int_equal(cp_webhook_backoff(1), 1000);
    assert_int_equal(cp_webhook_backoff(2), 2000);
    assert_int_equal(cp_webhook_backoff(5), 16000);
    assert_int_equal(cp_webhook_backoff(10), 300000);
    assert_int_equal(cp_webhook_backoff(UINT32_MAX), 300000);
}

static void what_cannot_work_is_refused_at_the_start(void **state)
{
    static const char *const urls[] = {"", "ftp://x/", "no url", "http://"};
    struct cp_webhook *webhook = NULL;
    struct sb_errmsg err;
    char path[128];
    FILE *file;

    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/sbhook-%ld", (long)getpid());
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("0123456789abcdef\n", file);
    (void)fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    for (size_t i = 0; i < SB_ARRAY_LEN(urls); i++)
        assert_int_equal(cp_webhook_new(urls[i], path, &webhook, &err), SB_EINVAL);
    assert_int_equal(cp_webhook_new("http://127.0.0.1:1/", path, &webhook, &err), SB_OK);
    assert_int_equal(cp_webhook_post(webhook, "k", 1, SB_SLICE_LIT("{}"), &err), SB_ECONNREFUSED);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    cp_webhook_destroy(&webhook);
    assert_int_equal(truncate(path, 8), 0);
    assert_int_equal(cp_webhook_new("http://127.0.0.1:1/", path, &webhook, &err), SB_EINVAL);
    assert_non_null(strstr(err.text, "16 characters"));
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_is_hmac_sha256_of_time_and_body),
        cmocka_unit_test(waits_double_from_a_second_to_five_minutes),
        cmocka_unit_test(what_cannot_work_is_refused_at_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
