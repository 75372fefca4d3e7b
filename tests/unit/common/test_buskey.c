/* tests/unit/common/test_buskey.c */
#include "common/buskey.h"

#include "common/secret.h"
#include "tests/lib/tmpdir.h"

static struct test_tmpdir dir;

static int make_dir(void **state)
{
    (void)state;
    test_tmpdir_make(&dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    test_tmpdir_remove(&dir);
    return 0;
}

static void a_generated_key_is_private_and_loads(void **state)
{
    char path[64], public_text[SB_BUSKEY_TEXT + 1];
    struct sb_buskey *key = NULL;
    struct sb_errmsg err = {.text = ""};

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "control"));
    assert_int_equal(sb_buskey_generate(path, NULL), SB_OK);
    assert_int_equal(test_file_mode(path), 0600);
    assert_int_equal(test_file_mode(test_tmp(&dir, "control.pub")), 0644);
    assert_int_equal(sb_buskey_load(path, &key, NULL), SB_OK);
    assert_int_equal(sb_buskey_load_public(test_tmp(&dir, "control.pub"), public_text, NULL),
                     SB_OK);
    assert_string_equal(public_text, sb_buskey_public(key));
    assert_int_equal(sb_buskey_load_public(path, public_text, NULL), SB_OK);
    assert_string_equal(public_text, sb_buskey_public(key));
    assert_true(sb_buskey_is_public_text(sb_slice_of(public_text)));
    assert_int_equal(sb_secret_len(sb_buskey_secret(key)), SB_BUSKEY_TEXT);

    assert_int_equal(sb_buskey_generate(path, &err), SB_EEXIST); /* and nothing is lost */
    assert_non_null(strstr(err.text, path));
    sb_buskey_destroy(&key);
    assert_null(key);
    assert_int_equal(sb_buskey_load(path, &key, NULL), SB_OK);
    assert_string_equal(public_text, sb_buskey_public(key));
    sb_buskey_destroy(&key);
    test_tmpdir_empty(&dir);
}

static void a_public_half_in_the_way_leaves_no_secret_behind(void **state)
{
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "worker"));
    test_write_file(test_tmp(&dir, "worker.pub"), "old", 0644);
    assert_int_equal(sb_buskey_generate(path, NULL), SB_EEXIST);
    assert_int_equal(access(path, F_OK), -1);
    test_tmpdir_empty(&dir);
}

static void keys_are_all_different(void **state)
{
    struct sb_buskey *a = sb_buskey_new(), *b = sb_buskey_new();

    (void)state;
    assert_string_not_equal(sb_buskey_public(a), sb_buskey_public(b));
    assert_false(sb_secret_equal(sb_secret_expose(sb_buskey_secret(a)),
                                 sb_secret_expose(sb_buskey_secret(b))));
    sb_buskey_destroy(&a);
    sb_buskey_destroy(&b);
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    struct sb_buskey *key = NULL;
    struct sb_errmsg err = {.text = ""};
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "k"));
    assert_int_equal(sb_buskey_load(path, &key, &err), SB_ENOENT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(sb_buskey_generate(path, NULL), SB_OK);
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(sb_buskey_load(path, &key, &err), SB_EACCES);
    assert_non_null(strstr(err.text, "0604"));
    assert_non_null(strstr(err.text, "0600"));
    assert_null(key);
    test_tmpdir_empty(&dir);
}

static void write_pair(const char *path, const char *public_text, struct sb_slice secret)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "public: %s\r\n  secret:%.*s", public_text,
                   SB_SLICE_ARGS(secret));
    test_write_file(path, text, 0600);
}

static void wrong_files_say_what_is_wrong(void **state)
{
    struct sb_buskey *a = sb_buskey_new(), *b = sb_buskey_new(), *key = NULL;
    struct sb_errmsg err = {.text = ""};
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "k"));
    write_pair(path, sb_buskey_public(a), sb_secret_expose(sb_buskey_secret(a)));
    assert_int_equal(sb_buskey_load(path, &key, &err), SB_OK);
    sb_buskey_destroy(&key);
    write_pair(path, sb_buskey_public(a), sb_secret_expose(sb_buskey_secret(b)));
    assert_int_equal(sb_buskey_load(path, &key, &err), SB_EPARSE);
    assert_non_null(strstr(err.text, "not that of the secret"));
    write_pair(path, sb_buskey_public(a), SB_SLICE_LIT("short"));
    assert_int_equal(sb_buskey_load(path, &key, &err), SB_EPARSE);
    assert_non_null(strstr(err.text, "secret:"));
    test_write_file(path, "", 0600);
    assert_int_equal(sb_buskey_load(path, &key, &err), SB_EPARSE);
    assert_non_null(strstr(err.text, "public:"));
    assert_null(key);
    sb_buskey_destroy(&a);
    sb_buskey_destroy(&b);
    test_tmpdir_empty(&dir);
}

static void public_text_is_forty_characters_of_z85(void **state)
{
    static const char good[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

    (void)state;
    assert_true(sb_buskey_is_public_text(SB_SLICE_LIT(good)));
    assert_false(sb_buskey_is_public_text(sb_slice_make(good, 39)));
    assert_false(sb_buskey_is_public_text(SB_SLICE_NONE));
    assert_false(
        sb_buskey_is_public_text(SB_SLICE_LIT("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf,")));
    assert_false(
        sb_buskey_is_public_text(SB_SLICE_LIT("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\x80")));
    assert_false(
        sb_buskey_is_public_text(SB_SLICE_LIT("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\0")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generated_key_is_private_and_loads),
        cmocka_unit_test(a_public_half_in_the_way_leaves_no_secret_behind),
        cmocka_unit_test(keys_are_all_different),
        cmocka_unit_test(a_key_that_others_can_read_is_refused),
        cmocka_unit_test(wrong_files_say_what_is_wrong),
        cmocka_unit_test(public_text_is_forty_characters_of_z85),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
