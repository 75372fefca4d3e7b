/* The token of the file: read from a private one, and nothing but it is it. */
#include "tests/lib/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/attr.h"
#include "controlplane/admin/token.h"
#include "tests/lib/tempdir.h"

static struct tempdir dir;
static char path[100];

static int set_up(void **state)
{
    (void)state;
    if (!tempdir_make(&dir))
        return 1;
    (void)snprintf(path, sizeof(path), "%s/token", dir.path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return tempdir_remove(&dir) ? 0 : 1;
}

static int load(const char *text, mode_t mode, struct cp_tokens **tokens, struct sb_errmsg *err)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return cp_tokens_load(path, tokens, err);
}

static void only_the_token_lets_in(void **state)
{
    static const char *const wrong[] = {"",
                                        "Bearer",
                                        "Bearer ",
                                        "Bearer 0123456789abcde",
                                        "Bearer 0123456789abcdef0",
                                        "Bearer 0123456789ABCDEF",
                                        "Bearer 0123456789abcdef ",
                                        "Basic 0123456789abcdef",
                                        "0123456789abcdef"};
    static const char *const right[] = {"Bearer 0123456789abcdef", "bearer 0123456789abcdef",
                                        "BEARER   0123456789abcdef"};
    SB_CLEANUP(cp_tokens_destroy) struct cp_tokens *tokens = NULL;
    struct sb_slice token;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(load("# ours\n\n  0123456789abcdef  \nmore\n", 0600, &tokens, NULL), SB_OK);
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        int rc = cp_bearer_read(sb_slice_of(wrong[i]), &token, &err);

        if (rc == SB_OK)
            assert_false(cp_tokens_has(tokens, token));
        else
            assert_int_equal(rc, SB_EAUTH);
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(right); i++) {
        assert_int_equal(cp_bearer_read(sb_slice_of(right[i]), &token, NULL), SB_OK);
        assert_true(cp_tokens_has(tokens, token));
    }
}

static void a_field_that_is_no_bearer_says_what_is_missing(void **state)
{
    static const char *const wrong[] = {"", "Bearer", "Basic 0123456789abcdef", "0123456789abcdef"};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        struct sb_slice token = SB_SLICE_LIT("untouched");
        struct sb_errmsg err = {.text = ""};

        assert_int_equal(cp_bearer_read(sb_slice_of(wrong[i]), &token, &err), SB_EAUTH);
        assert_non_null(strstr(err.text, "Bearer <token>"));
        assert_true(sb_slice_is(token, "untouched"));
    }
}

static void a_file_that_will_not_do_is_refused(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        int rc;
    } files[] = {
        {"", 0600, SB_EINVAL},
        {"# nothing but words\n", 0600, SB_EINVAL},
        {"0123456789abcde\n", 0600, SB_EINVAL},
        {"0123456789 abcdef\n", 0600, SB_EINVAL},
        {"0123456789\x7f"
         "bcdef\n",
         0600, SB_EINVAL},
        {"0123456789abcdef\n", 0644, SB_EACCES},
    };
    struct cp_tokens *tokens = NULL;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(files); i++) {
        struct sb_errmsg err = {.text = ""};

        assert_int_equal(load(files[i].text, files[i].mode, &tokens, &err), files[i].rc);
        assert_non_null(strstr(err.text, path));
        assert_null(strstr(err.text, "0123456789")); /* never the token */
        assert_null(tokens);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(cp_tokens_load(path, &tokens, NULL), SB_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_token_lets_in),
        cmocka_unit_test(a_field_that_is_no_bearer_says_what_is_missing),
        cmocka_unit_test(a_file_that_will_not_do_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
