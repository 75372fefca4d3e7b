/* tests/unit/common/test_keyfile.c */
#include "common/keyfile.h"

#include "common/secret.h"
#include "tests/lib/tmpdir.h"

static struct test_tmpdir dir;
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    test_tmpdir_make(&dir);
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "key"));
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    test_tmpdir_remove(&dir);
    return 0;
}

static void assert_content(const char *text)
{
    struct sb_secret *content = NULL;

    assert_int_equal(sb_keyfile_read(path, true, &content, NULL), SB_OK);
    assert_true(sb_slice_is(sb_secret_expose(content), text));
    sb_secret_destroy(&content);
}

static void a_new_file_is_private_whatever_the_mask(void **state)
{
    mode_t mask = umask(0);

    (void)state;
    assert_int_equal(sb_keyfile_create(path, 0600, SB_SLICE_LIT("secret"), NULL), SB_OK);
    assert_int_equal(test_file_mode(path), 0600);
    assert_content("secret");
    assert_int_equal(sb_keyfile_create(path, 0600, SB_SLICE_LIT("other"), NULL), SB_EEXIST);
    assert_content("secret");
    (void)umask(077);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sb_keyfile_create(path, 0644, SB_SLICE_LIT("public"), NULL), SB_OK);
    assert_int_equal(test_file_mode(path), 0644);
    (void)umask(mask);
    test_tmpdir_empty(&dir);
}

static void a_link_is_not_followed_to_create(void **state)
{
    char target[64];

    (void)state;
    (void)snprintf(target, sizeof(target), "%s", test_tmp(&dir, "target"));
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(sb_keyfile_create(path, 0600, SB_SLICE_LIT("x"), NULL), SB_EEXIST);
    assert_int_equal(access(target, F_OK), -1);
    test_tmpdir_empty(&dir);
}

static void loose_modes_are_refused(void **state)
{
    static const unsigned tight[] = {0600, 0400}, loose[] = {0644, 0604, 0660, 0620, 0700, 0666};
    struct sb_secret *content = NULL;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(tight); i++) {
        test_write_file(path, "x", tight[i]);
        assert_content("x");
        assert_int_equal(unlink(path), 0);
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(loose); i++) {
        struct sb_errmsg err = {.text = ""};

        test_write_file(path, "x", loose[i]);
        assert_int_equal(sb_keyfile_read(path, true, &content, &err), SB_EACCES);
        assert_non_null(strstr(err.text, path));
        assert_null(content);
        assert_int_equal(sb_keyfile_read(path, false, &content, NULL), SB_OK);
        sb_secret_destroy(&content);
        assert_int_equal(unlink(path), 0);
    }
    /* Mounted secrets: root's, with a group. */
    test_write_file(path, "x", 0640);
    assert_int_equal(sb_keyfile_read(path, true, &content, NULL),
                     geteuid() == 0 ? SB_OK : SB_EACCES);
    sb_secret_destroy(&content);
    test_tmpdir_empty(&dir);
}

static void what_is_no_key_file_is_refused(void **state)
{
    static char big[SB_KEYFILE_MAX + 2];
    struct sb_secret *content = NULL;
    struct sb_errmsg err = {.text = ""};

    (void)state;
    assert_int_equal(sb_keyfile_read(path, true, &content, &err), SB_ENOENT);
    assert_int_equal(sb_keyfile_read(dir.path, true, &content, &err), SB_EINVAL);
    memset(big, 'x', sizeof(big) - 1);
    test_write_file(path, big, 0600);
    assert_int_equal(sb_keyfile_read(path, true, &content, &err), SB_ETOOBIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sb_keyfile_read(path, true, &content, &err), SB_EINVAL); /* and no hanging */
    assert_null(content);
    assert_int_equal(sb_keyfile_create("/nonexistent/key", 0600, SB_SLICE_NONE, &err), SB_ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/key"));
    test_tmpdir_empty(&dir);
}

static void a_file_is_replaced_whole(void **state)
{
    DIR *list;
    int n = 0;

    (void)state;
    test_write_file(path, "a longer text that was there", 0644);
    assert_int_equal(sb_keyfile_replace(path, SB_SLICE_LIT("new"), NULL), SB_OK);
    assert_content("new");
    assert_int_equal(test_file_mode(path), 0600);
    assert_int_equal(sb_keyfile_replace("/nonexistent/key", SB_SLICE_LIT("new"), NULL), SB_ENOENT);
    list = opendir(dir.path);
    assert_non_null(list);
    while (readdir(list) != NULL)
        n++;
    (void)closedir(list);
    assert_int_equal(n, 3); /* itself, and the two dots: nothing is left aside */
    test_tmpdir_empty(&dir);
}

static void lines_come_without_their_ends(void **state)
{
    struct sb_slice text = SB_SLICE_LIT("one\r\n\n \t two \n# three"), line;

    (void)state;
    assert_true(sb_keyfile_next_line(&text, &line));
    assert_true(sb_slice_is(line, "one"));
    assert_true(sb_keyfile_next_line(&text, &line));
    assert_int_equal(line.n, 0);
    assert_true(sb_keyfile_next_line(&text, &line));
    assert_true(sb_slice_is(line, "two"));
    assert_true(sb_keyfile_next_line(&text, &line));
    assert_true(sb_slice_is(line, "# three"));
    assert_false(sb_keyfile_next_line(&text, &line));
}

static void a_field_is_the_first_line_of_its_name(void **state)
{
    struct sb_slice text = SB_SLICE_LIT("# a: no\n a:  one two\t\na: later\nb:\n");

    (void)state;
    assert_true(sb_slice_is(sb_keyfile_field(text, SB_SLICE_LIT("a:")), "one two"));
    assert_int_equal(sb_keyfile_field(text, SB_SLICE_LIT("b:")).n, 0);
    assert_int_equal(sb_keyfile_field(text, SB_SLICE_LIT("c:")).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_is_private_whatever_the_mask),
        cmocka_unit_test(a_link_is_not_followed_to_create),
        cmocka_unit_test(loose_modes_are_refused),
        cmocka_unit_test(what_is_no_key_file_is_refused),
        cmocka_unit_test(a_file_is_replaced_whole),
        cmocka_unit_test(lines_come_without_their_ends),
        cmocka_unit_test(a_field_is_the_first_line_of_its_name),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
