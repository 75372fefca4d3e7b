/* common/keyfile.c */
#include "common/keyfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/secret.h"

static int fail(struct sb_errmsg *err, const char *what, const char *path)
{
    int errnum = errno;

    return sb_err_set(err, sb_err_from_errno(errnum), "cannot %s %s: %s", what, path,
                      strerror(errnum));
}

static int check(int fd, const char *path, bool is_private, struct sb_errmsg *err)
{
    struct stat st;
    mode_t too_much;

    if (fstat(fd, &st) != 0)
        return fail(err, "look at", path);
    if (!S_ISREG(st.st_mode))
        return sb_err_set(err, SB_EINVAL, "%s is not a file", path);
    too_much = st.st_uid == 0 ? 0137 : 0177;
    if (is_private && (st.st_mode & too_much) != 0)
        return sb_err_set(err, SB_EACCES,
                          "%s holds a secret and has mode %04o: change it to 0600 (chmod 600), and "
                          "the secret if somebody may have read it",
                          path, (unsigned)(st.st_mode & 07777));
    if (st.st_size > SB_KEYFILE_MAX)
        return sb_err_set(err, SB_ETOOBIG, "%s is over %d bytes: not a key file", path,
                          (int)SB_KEYFILE_MAX);
    return SB_OK;
}

static int read_all(int fd, char *bytes, size_t size, size_t *ret_n)
{
    size_t n = 0;

    while (n < size) {
        ssize_t got = read(fd, bytes + n, size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sb_err_from_errno(errno);
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret_n = n;
    return SB_OK;
}

int sb_keyfile_read(const char *path, bool is_private, struct sb_secret **ret,
                    struct sb_errmsg *err)
{
    char bytes[SB_KEYFILE_MAX];
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int rc;

    if (fd < 0)
        return fail(err, "read", path);
    rc = check(fd, path, is_private, err);
    if (rc == SB_OK) {
        rc = read_all(fd, bytes, sizeof(bytes), &n);
        if (rc != SB_OK)
            (void)fail(err, "read", path);
    }
    (void)close(fd);
    if (rc == SB_OK)
        rc = sb_secret_new(sb_slice_make(bytes, n), ret);
    sb_secret_wipe(bytes, sizeof(bytes));
    return rc;
}

static int write_all(int fd, struct sb_slice content)
{
    while (content.n > 0) {
        ssize_t put = write(fd, content.p, content.n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        content = sb_slice_from(content, (size_t)put);
    }
    return fsync(fd);
}

/* So that the name survives a power loss too. */
static int sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = sb_mem_strdup(slash == NULL ? "." : path);
    int fd, rc;

    if (slash != NULL)
        dir[slash == path ? 1 : slash - path] = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sb_mem_free(dir);
    if (fd < 0)
        return -1;
    rc = fsync(fd);
    (void)close(fd);
    return rc;
}

int sb_keyfile_create(const char *path, unsigned mode, struct sb_slice content,
                      struct sb_errmsg *err)
{
    /* Private until it is complete; the mask of the process may only tighten
     * open()'s mode, so what is wanted is set afterwards. */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = SB_OK;

    if (fd < 0)
        return fail(err, "create", path);
    if (write_all(fd, content) != 0 || fchmod(fd, (mode_t)mode) != 0 ||
        sync_directory_of(path) != 0) {
        rc = fail(err, "write", path);
        (void)unlink(path);
    }
    (void)close(fd);
    return rc;
}

int sb_keyfile_replace(const char *path, struct sb_slice content, struct sb_errmsg *err)
{
    size_t size = strlen(path) + 32;
    char *aside = sb_mem_new(size);
    int rc;

    (void)snprintf(aside, size, "%s.%08x.new", path, (unsigned)sb_random_u64());
    rc = sb_keyfile_create(aside, 0600, content, err);
    if (rc == SB_OK && rename(aside, path) != 0) {
        rc = fail(err, "replace", path);
        (void)unlink(aside);
    }
    if (rc == SB_OK && sync_directory_of(path) != 0)
        rc = fail(err, "write", path);
    sb_mem_free(aside);
    return rc;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool sb_keyfile_next_line(struct sb_slice *text, struct sb_slice *ret_line)
{
    struct sb_slice line;
    size_t end;

    if (text->n == 0)
        return false;
    end = sb_slice_find(*text, '\n');
    line = sb_slice_make(text->p, end);
    *text = sb_slice_from(*text, end < text->n ? end + 1 : end);
    while (line.n > 0 && is_blank(line.p[0]))
        line = sb_slice_from(line, 1);
    while (line.n > 0 && is_blank(line.p[line.n - 1]))
        line.n--;
    *ret_line = line;
    return true;
}

struct sb_slice sb_keyfile_field(struct sb_slice text, struct sb_slice name)
{
    struct sb_slice line;

    while (sb_keyfile_next_line(&text, &line)) {
        if (!sb_slice_starts_with(line, name))
            continue;
        line = sb_slice_from(line, name.n);
        while (line.n > 0 && is_blank(line.p[0]))
            line = sb_slice_from(line, 1);
        return line;
    }
    return SB_SLICE_NONE;
}
