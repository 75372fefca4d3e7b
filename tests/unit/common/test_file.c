/* tests/unit/common/test_file.c */
#include "common/file.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

static struct tempdir dir;
static char path_text[256];

/* A path under the test's own directory; good until the next call. */
static const char *in_home(const char *name)
{
    (void)snprintf(path_text, sizeof(path_text), "%s/%s", dir.path, name);
    return path_text;
}

static int set_up(void **state)
{
    (void)state;
    return tempdir_make(&dir) ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    return tempdir_remove(&dir) ? 0 : 1;
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void assert_holds(const char *path, struct sb_slice bytes)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;

    sb_buf_init(&buf, 1 << 20);
    assert_int_equal(sb_file_read(path, &buf, NULL), SB_OK);
    assert_true(sb_slice_eq(sb_buf_slice(&buf), bytes));
}

static void what_is_written_is_read_with_the_mode_asked_for(void **state)
{
    static char big[100001];
    mode_t mask = umask(0077);

    (void)state;
    memset(big, 'x', sizeof(big));
    assert_int_equal(sb_file_write(in_home("a"), SB_SLICE_LIT("one\0two"), 0644, NULL), SB_OK);
    assert_holds(in_home("a"), SB_SLICE_LIT("one\0two"));
    assert_int_equal(mode_of(in_home("a")), 0644);
    assert_int_equal(sb_file_write(in_home("a"), sb_slice_make(big, sizeof(big)), 0600, NULL),
                     SB_OK);
    assert_holds(in_home("a"), sb_slice_make(big, sizeof(big)));
    assert_int_equal(mode_of(in_home("a")), 0600);
    assert_int_equal(sb_file_write(in_home("a"), SB_SLICE_NONE, 0600, NULL), SB_OK);
    assert_holds(in_home("a"), SB_SLICE_NONE);
    assert_int_equal(access(in_home("a.new"), F_OK), -1);
    (void)umask(mask);
}

static void a_file_of_the_working_directory_needs_no_slash(void **state)
{
    char before[1024];

    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(dir.path), 0);
    assert_int_equal(sb_file_write("plain", SB_SLICE_LIT("x"), 0600, NULL), SB_OK);
    assert_holds("plain", SB_SLICE_LIT("x"));
    assert_int_equal(chdir(before), 0);
}

static void a_failed_write_leaves_the_old_file_and_nothing_aside(void **state)
{
    struct sb_errmsg err = {""};

    (void)state;
    /* A directory with something in it cannot be replaced by a file. */
    assert_int_equal(sb_dir_make(in_home("d/inside"), 0755, NULL), SB_OK);
    assert_true(sb_file_write(in_home("d"), SB_SLICE_LIT("x"), 0600, &err) < 0);
    assert_non_null(strstr(err.text, "cannot replace"));
    assert_int_equal(access(in_home("d/inside"), F_OK), 0);
    assert_int_equal(access(in_home("d.new"), F_OK), -1);
    assert_int_equal(sb_file_write(in_home("none/x"), SB_SLICE_LIT("x"), 0600, &err), SB_ENOENT);
    assert_non_null(strstr(err.text, "none/x"));
    assert_non_null(strstr(err.text, "No such file"));
}

static void a_link_left_aside_is_not_followed(void **state)
{
    char target[256];

    (void)state;
    (void)snprintf(target, sizeof(target), "%s", in_home("victim"));
    assert_int_equal(sb_file_write(target, SB_SLICE_LIT("precious"), 0600, NULL), SB_OK);
    assert_int_equal(symlink(target, in_home("f.new")), 0);
    assert_int_equal(sb_file_write(in_home("f"), SB_SLICE_LIT("x"), 0600, NULL), SB_OK);
    assert_holds(target, SB_SLICE_LIT("precious"));
    assert_holds(in_home("f"), SB_SLICE_LIT("x"));
}

static void the_ceiling_of_the_buffer_is_the_ceiling_of_the_file(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    struct sb_errmsg err = {""};

    (void)state;
    assert_int_equal(sb_file_write(in_home("ten"), SB_SLICE_LIT("0123456789"), 0600, NULL), SB_OK);
    sb_buf_init(&buf, 12);
    assert_int_equal(sb_buf_append_text(&buf, "ab"), SB_OK);
    assert_int_equal(sb_file_read(in_home("ten"), &buf, NULL), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&buf), "ab0123456789"));
    sb_buf_consume(&buf, 1);
    sb_buf_clear(&buf);
    assert_int_equal(sb_buf_append_text(&buf, "abc"), SB_OK);
    assert_int_equal(sb_file_read(in_home("ten"), &buf, &err), SB_ETOOBIG);
    assert_true(sb_slice_is(sb_buf_slice(&buf), "abc"));
    assert_non_null(strstr(err.text, "12 bytes"));
}

static void what_has_no_size_is_read_to_its_end(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    static char sent[20000];
    char name[32];
    int ends[2];

    (void)state;
    memset(sent, 'x', sizeof(sent));
    sb_buf_init(&buf, 1 << 20);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], sent, sizeof(sent)), sizeof(sent));
    (void)close(ends[1]);
    (void)snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
    assert_int_equal(sb_file_read(name, &buf, NULL), SB_OK);
    (void)close(ends[0]);
    assert_true(sb_slice_eq(sb_buf_slice(&buf), sb_slice_make(sent, sizeof(sent))));
}

static void reading_says_what_is_wrong(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    struct sb_errmsg err = {""};

    (void)state;
    sb_buf_init(&buf, 100);
    assert_int_equal(sb_file_read(in_home("none"), &buf, &err), SB_ENOENT);
    assert_non_null(strstr(err.text, "cannot open"));
    assert_int_equal(sb_file_read(dir.path, &buf, &err), SB_EIO);
    assert_int_equal(sb_file_write(in_home("f"), SB_SLICE_LIT("x"), 0600, NULL), SB_OK);
    sb_buf_clear(&buf);
    sb_mem_fail_nth(1);
    assert_int_equal(sb_file_read(in_home("f"), &buf, &err), SB_ENOMEM);
    assert_int_equal(sb_buf_len(&buf), 0);
}

static void directories_are_made_with_their_parents_and_mode(void **state)
{
    mode_t mask = umask(0077);
    struct sb_errmsg err = {""};

    (void)state;
    assert_int_equal(sb_dir_make(in_home("a//b/c/"), 0755, NULL), SB_OK);
    assert_int_equal(mode_of(in_home("a")), 0755);
    assert_int_equal(mode_of(in_home("a/b/c")), 0755);
    /* What is there keeps its mode. */
    assert_int_equal(sb_dir_make(in_home("a/b/c/d"), 0700, NULL), SB_OK);
    assert_int_equal(sb_dir_make(in_home("a/b/c/d"), 0755, NULL), SB_OK);
    assert_int_equal(mode_of(in_home("a/b/c")), 0755);
    assert_int_equal(mode_of(in_home("a/b/c/d")), 0700);
    assert_int_equal(sb_dir_make("/", 0700, NULL), SB_OK);
    assert_int_equal(sb_file_write(in_home("file"), SB_SLICE_LIT("x"), 0600, NULL), SB_OK);
    assert_int_equal(sb_dir_make(in_home("file/x"), 0755, &err), SB_EEXIST);
    assert_non_null(strstr(err.text, "/file' is not a directory"));
    assert_int_equal(sb_dir_make("", 0755, NULL), SB_ENOENT);
    (void)umask(mask);
}

static void a_directory_has_one_holder(void **state)
{
    struct sb_errmsg err = {""};
    int first = -1, second = -2;

    (void)state;
    assert_int_equal(sb_dir_lock(dir.path, &first, NULL), SB_OK);
    assert_true(first >= 0);
    assert_int_equal(sb_dir_lock(dir.path, &second, &err), SB_EAGAIN);
    assert_int_equal(second, -2);
    assert_non_null(strstr(err.text, dir.path));
    sb_dir_unlock(&first);
    assert_int_equal(first, -1);
    sb_dir_unlock(&first);
    assert_int_equal(sb_dir_lock(dir.path, &second, NULL), SB_OK);
    sb_dir_unlock(&second);
    assert_int_equal(sb_dir_lock(in_home("none"), &second, NULL), SB_ENOENT);
}

static void the_lock_dies_with_its_process(void **state)
{
    int ready[2], status, fd = -1;
    char byte;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int held;

        if (sb_dir_lock(dir.path, &held, NULL) != SB_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    assert_int_equal(sb_dir_lock(dir.path, &fd, NULL), SB_EAGAIN);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(sb_dir_lock(dir.path, &fd, NULL), SB_OK);
    sb_dir_unlock(&fd);
}

static void descriptors_are_limited_by_the_system_alone(void **state)
{
    struct rlimit before, low, after;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){.rlim_cur = 64, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(sb_file_raise_limit(), before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(after.rlim_cur, before.rlim_max);
    assert_int_equal(sb_file_raise_limit(), before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(what_is_written_is_read_with_the_mode_asked_for),
        FILE_TEST(a_file_of_the_working_directory_needs_no_slash),
        FILE_TEST(a_failed_write_leaves_the_old_file_and_nothing_aside),
        FILE_TEST(a_link_left_aside_is_not_followed),
        FILE_TEST(the_ceiling_of_the_buffer_is_the_ceiling_of_the_file),
        FILE_TEST(what_has_no_size_is_read_to_its_end),
        FILE_TEST(reading_says_what_is_wrong),
        FILE_TEST(directories_are_made_with_their_parents_and_mode),
        FILE_TEST(a_directory_has_one_holder),
        FILE_TEST(the_lock_dies_with_its_process),
        FILE_TEST(descriptors_are_limited_by_the_system_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
