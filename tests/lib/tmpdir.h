/* tests/lib/tmpdir.h - a directory of the test's own, short enough for sockets. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/test.h"

struct test_tmpdir {
    char path[32];
    char file[56]; /* of the last test_tmp() */
};

static inline void test_tmpdir_make(struct test_tmpdir *dir)
{
    memcpy(dir->path, "/tmp/sbt-XXXXXX", sizeof("/tmp/sbt-XXXXXX"));
    assert_non_null(mkdtemp(dir->path));
}

/* "DIR/name"; valid until the next call. */
static inline const char *test_tmp(struct test_tmpdir *dir, const char *name)
{
    (void)snprintf(dir->file, sizeof(dir->file), "%s/%s", dir->path, name);
    return dir->file;
}

static inline void test_tmpdir_empty(struct test_tmpdir *dir)
{
    DIR *list = opendir(dir->path);
    struct dirent *entry;

    assert_non_null(list);
    while ((entry = readdir(list)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            assert_int_equal(unlinkat(dirfd(list), entry->d_name, 0), 0);
    (void)closedir(list);
}

static inline void test_tmpdir_remove(struct test_tmpdir *dir)
{
    test_tmpdir_empty(dir);
    assert_int_equal(rmdir(dir->path), 0);
}

static inline void test_write_file(const char *path, const char *text, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, (mode_t)mode), 0);
    assert_int_equal(close(fd), 0);
}

static inline unsigned test_file_mode(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (unsigned)(st.st_mode & 07777);
}
