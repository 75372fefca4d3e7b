/* tests/unit/common/test_notekey.c */
#include "common/notekey.h"

#include "common/buf.h"
#include "tests/lib/tmpdir.h"

static struct test_tmpdir dir;
static char path[64], public_path[64];

static int make_dir(void **state)
{
    (void)state;
    test_tmpdir_make(&dir);
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "log.key"));
    (void)snprintf(public_path, sizeof(public_path), "%s", test_tmp(&dir, "log.key.pub"));
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    test_tmpdir_remove(&dir);
    return 0;
}

static void assert_same_key(const struct sb_note_key *a, const struct sb_note_key *b)
{
    assert_string_equal(a->name, b->name);
    assert_memory_equal(a->id, b->id, sizeof(a->id));
    assert_memory_equal(a->public_key, b->public_key, sizeof(a->public_key));
}

static void a_generated_key_is_private_and_signs(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf out = {.data = NULL};
    struct sb_note_signer *signer = NULL;
    struct sb_errmsg err = {.text = ""};
    struct sb_note_key key;
    struct sb_note note;

    (void)state;
    sb_buf_init(&out, SB_NOTE_MAX);
    assert_int_equal(sb_note_signer_generate(path, SB_SLICE_LIT("log/of tests"), &err), SB_EINVAL);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(sb_note_signer_generate(path, SB_SLICE_LIT("log/of-tests"), NULL), SB_OK);
    assert_int_equal(test_file_mode(path), 0600);
    assert_int_equal(test_file_mode(public_path), 0644);
    assert_int_equal(sb_note_signer_generate(path, SB_SLICE_LIT("log"), &err), SB_EEXIST);
    assert_int_equal(sb_note_signer_load(path, &signer, NULL), SB_OK);
    assert_string_equal(sb_note_signer_key(signer)->name, "log/of-tests");
    assert_int_equal(sb_note_key_load(path, &key, NULL), SB_OK);
    assert_same_key(&key, sb_note_signer_key(signer));
    assert_int_equal(sb_note_key_load(public_path, &key, NULL), SB_OK);
    assert_same_key(&key, sb_note_signer_key(signer));
    assert_int_equal(sb_note_signer_sign(signer, SB_SLICE_LIT("text\n"), &out), SB_OK);
    assert_int_equal(sb_note_parse(sb_buf_slice(&out), &note, NULL), SB_OK);
    assert_int_equal(sb_note_verify(&note, &key, NULL), SB_OK);
    sb_note_signer_destroy(&signer);
    assert_null(signer);
    test_tmpdir_empty(&dir);
}

static void a_public_half_in_the_way_leaves_no_secret_behind(void **state)
{
    (void)state;
    test_write_file(public_path, "old", 0644);
    assert_int_equal(sb_note_signer_generate(path, SB_SLICE_LIT("log"), NULL), SB_EEXIST);
    assert_int_equal(access(path, F_OK), -1);
    test_tmpdir_empty(&dir);
}

/* The pair of the examples of golang.org/x/mod/sumdb/note. */
#define PUBLIC "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define SECRET "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"

static void keys_of_go_tools_are_taken(void **state)
{
    struct sb_note_signer *signer = NULL;
    struct sb_note_key key;

    (void)state;
    test_write_file(path, "public: " PUBLIC "\nsecret: " SECRET "\n", 0600);
    assert_int_equal(sb_note_signer_load(path, &signer, NULL), SB_OK);
    assert_string_equal(sb_note_signer_key(signer)->name, "PeterNeumann");
    sb_note_signer_destroy(&signer);
    test_write_file(path, "# the value alone\n\n" PUBLIC "\n", 0644);
    assert_int_equal(sb_note_key_load(path, &key, NULL), SB_OK);
    assert_string_equal(key.name, "PeterNeumann");
    test_tmpdir_empty(&dir);
}

static void what_is_no_key_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "# nothing\n",
        "public: " PUBLIC "\n",
        "secret: " SECRET "\n",
        "public: " PUBLIC "\nsecret: " PUBLIC "\n",
        "public: " PUBLIC "\nsecret: PRIVATE+KEY+\n",
        "public: " PUBLIC "\nsecret: " SECRET "AAAA\n",
        /* halves of two keys */
        "public: " PUBLIC "\nsecret: "
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFy\n",
    };
    struct sb_note_signer *signer = NULL;
    struct sb_errmsg err = {.text = ""};
    struct sb_note_key key;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        test_write_file(path, bad[i], 0600);
        err.text[0] = '\0';
        assert_int_equal(sb_note_signer_load(path, &signer, &err), SB_EPARSE);
        assert_non_null(strstr(err.text, path));
        assert_null(signer);
    }
    test_write_file(path, "public: " PUBLIC "\nsecret: " SECRET "\n", 0644);
    assert_int_equal(sb_note_signer_load(path, &signer, &err), SB_EACCES);
    test_write_file(path, "a line of words\n", 0644);
    assert_int_equal(sb_note_key_load(path, &key, &err), SB_EPARSE);
    test_tmpdir_empty(&dir);
    assert_int_equal(sb_note_signer_load(path, &signer, &err), SB_ENOENT);
    assert_int_equal(sb_note_key_load(path, &key, &err), SB_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generated_key_is_private_and_signs),
        cmocka_unit_test(a_public_half_in_the_way_leaves_no_secret_behind),
        cmocka_unit_test(keys_of_go_tools_are_taken),
        cmocka_unit_test(what_is_no_key_is_refused),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
