/* common/file.c */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"

/* Says what could not be done, to which path and why. */
static int failed(struct sb_errmsg *err, const char *what, const char *path, int errnum)
{
    char reason[128];

    if (strerror_r(errnum, reason, sizeof(reason)) != 0)
        (void)snprintf(reason, sizeof(reason), "error %d", errnum);
    return sb_err_set(err, sb_err_from_errno(errnum), "cannot %s '%s': %s", what, path, reason);
}

static ssize_t read_some(int fd, void *to, size_t n)
{
    ssize_t got;

    do {
        got = read(fd, to, n);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* --- reading -------------------------------------------------------------- */

/* Bytes to make room for: the size that the file claims, else a block. */
static size_t first_room(int fd, const struct sb_buf *buf)
{
    enum { BLOCK = 4096 };
    size_t left = buf->limit - sb_buf_len(buf);
    size_t want = BLOCK;
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        want = (size_t)st.st_size;
    return want < left ? want : left;
}

static int read_all(int fd, const char *path, struct sb_buf *buf, struct sb_errmsg *err)
{
    char beyond;
    ssize_t got;
    int rc = sb_buf_reserve(buf, first_room(fd, buf));

    if (rc != SB_OK)
        return sb_err_set(err, rc, "cannot read '%s': %s", path, sb_err_str(rc));
    for (;;) {
        bool full = sb_buf_len(buf) == buf->limit;

        if (!full) {
            rc = sb_buf_room(buf) > 0 ? SB_OK : sb_buf_reserve(buf, 1);
            if (rc != SB_OK)
                return sb_err_set(err, rc, "cannot read '%s': %s", path, sb_err_str(rc));
        }
        got = full ? read_some(fd, &beyond, 1) : read_some(fd, sb_buf_end(buf), sb_buf_room(buf));
        if (got < 0)
            return failed(err, "read", path, errno);
        if (got == 0)
            return SB_OK;
        if (full)
            return sb_err_set(err, SB_ETOOBIG, "'%s' is larger than the limit of %zu bytes", path,
                              buf->limit);
        sb_buf_commit(buf, (size_t)got);
    }
}

int sb_file_read(const char *path, struct sb_buf *buf, struct sb_errmsg *err)
{
    size_t before = sb_buf_len(buf);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return failed(err, "open", path, errno);
    rc = read_all(fd, path, buf, err);
    if (rc != SB_OK)
        sb_buf_truncate(buf, before);
    (void)close(fd);
    return rc;
}

/* --- writing -------------------------------------------------------------- */

static bool write_all(int fd, struct sb_slice bytes)
{
    while (bytes.n > 0) {
        ssize_t put = write(fd, bytes.p, bytes.n);

        if (put < 0 && errno != EINTR)
            return false;
        if (put > 0)
            bytes = sb_slice_from(bytes, (size_t)put);
    }
    return true;
}

/* A rename is durable once its directory is. */
static int sync_parent(const char *path, struct sb_errmsg *err)
{
    char parent[PATH_MAX];
    struct sb_slice name = sb_slice_of(path);
    int fd, rc = SB_OK;

    while (name.n > 0 && name.p[name.n - 1] != '/')
        name.n--;
    if (!sb_slice_copy_text(name.n > 0 ? name : SB_SLICE_LIT("."), parent, sizeof(parent)))
        return failed(err, "sync the directory of", path, ENAMETOOLONG);
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        rc = failed(err, "sync", parent, errno);
    if (fd >= 0)
        (void)close(fd);
    return rc;
}

/* Makes the complete file aside. */
static int write_aside(const char *aside, const struct sb_slice *parts, size_t n, mode_t mode,
                       struct sb_errmsg *err)
{
    size_t i = 0;
    int fd, rc = SB_OK;

    /* What a crash left goes first: O_EXCL then follows no link that somebody
     * put in the way, and takes over no owner or mode. */
    (void)unlink(aside);
    fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return failed(err, "create", aside, errno);
    while (i < n && write_all(fd, parts[i]))
        i++;
    if (i < n)
        rc = failed(err, "write", aside, errno);
    else if (fchmod(fd, mode) != 0)
        rc = failed(err, "set the mode of", aside, errno);
    else if (fsync(fd) != 0)
        rc = failed(err, "sync", aside, errno);
    if (close(fd) != 0 && rc == SB_OK)
        rc = failed(err, "close", aside, errno);
    return rc;
}

int sb_file_write(const char *path, struct sb_slice bytes, mode_t mode, struct sb_errmsg *err)
{
    return sb_file_write_parts(path, &bytes, 1, mode, err);
}

int sb_file_write_parts(const char *path, const struct sb_slice *parts, size_t n_parts, mode_t mode,
                        struct sb_errmsg *err)
{
    char aside[PATH_MAX];
    int n = snprintf(aside, sizeof(aside), "%s.new", path);
    int rc;

    if (n < 0 || (size_t)n >= sizeof(aside))
        return failed(err, "write", path, ENAMETOOLONG);
    rc = write_aside(aside, parts, n_parts, mode, err);
    if (rc == SB_OK && rename(aside, path) != 0)
        rc = failed(err, "replace", path, errno);
    if (rc != SB_OK) {
        (void)unlink(aside);
        return rc;
    }
    return sync_parent(path, err);
}

/* --- directories ---------------------------------------------------------- */

static int make_one(const char *path, mode_t mode, struct sb_errmsg *err)
{
    struct stat st;

    if (mkdir(path, S_IRWXU) == 0)
        return chmod(path, mode) == 0 ? SB_OK : failed(err, "set the mode of", path, errno);
    if (errno != EEXIST)
        return failed(err, "make the directory", path, errno);
    if (stat(path, &st) != 0)
        return failed(err, "look at", path, errno);
    if (!S_ISDIR(st.st_mode))
        return sb_err_set(err, SB_EEXIST, "'%s' is not a directory", path);
    return SB_OK;
}

int sb_dir_make(const char *path, mode_t mode, struct sb_errmsg *err)
{
    char part[PATH_MAX];
    int rc = SB_OK;

    if (path[0] == '\0' || !sb_slice_copy_text(sb_slice_of(path), part, sizeof(part)))
        return failed(err, "make the directory", path, path[0] == '\0' ? ENOENT : ENAMETOOLONG);
    for (char *at = strchr(part + 1, '/'); rc == SB_OK && at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        rc = make_one(part, mode, err);
        *at = '/';
    }
    return rc == SB_OK ? make_one(part, mode, err) : rc;
}

int sb_dir_lock(const char *path, int *ret_fd, struct sb_errmsg *err)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof(name), "%s/lock", path);
    struct stat st;
    int fd, rc = SB_OK;

    if (n < 0 || (size_t)n >= sizeof(name))
        return failed(err, "lock", path, ENAMETOOLONG);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return failed(err, "open", name, errno);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            rc = sb_err_set(err, SB_EAGAIN, "'%s' is in use by another process", path);
        else
            rc = failed(err, "lock", name, errno);
    } else if (fstat(fd, &st) != 0 || st.st_nlink == 0) {
        /* Its holder removed the directory between our open and our lock. */
        rc = failed(err, "lock", name, ENOENT);
    }
    if (rc != SB_OK) {
        (void)close(fd);
        return rc;
    }
    *ret_fd = fd;
    return SB_OK;
}

void sb_dir_unlock(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

uint64_t sb_file_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}
