/* controlplane/log/checkpoint_file.c */
#include "controlplane/log/checkpoint_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"

enum { TAIL = 64 * 1024 }; /* bytes: some notes, however many witnesses signed them */

static int fail(struct sb_errmsg *err, const char *what, const char *path)
{
    int errnum = errno;

    return sb_err_set(err, sb_err_from_errno(errnum), "cannot %s %s: %s", what, path,
                      strerror(errnum));
}

/* The end of the file, and whether it is the whole. */
static int read_tail(int fd, const char *path, struct sb_buf *buf, bool *ret_whole,
                     struct sb_errmsg *err)
{
    struct stat st;
    off_t at;

    if (fstat(fd, &st) != 0)
        return fail(err, "look at", path);
    if (!S_ISREG(st.st_mode))
        return sb_err_set(err, SB_EINVAL, "%s is not a file", path);
    at = st.st_size > TAIL ? st.st_size - TAIL : 0;
    *ret_whole = at == 0;
    for (;;) {
        ssize_t n;

        if (sb_buf_reserve(buf, 4096) != SB_OK)
            return sb_err_set(err, SB_ENOMEM, "no memory for the end of %s", path);
        n = pread(fd, sb_buf_end(buf), 4096, at);
        if (n < 0)
            return fail(err, "read", path);
        if (n == 0)
            return SB_OK;
        sb_buf_commit(buf, (size_t)n);
        at += n;
    }
}

int cp_checkpoint_file_last(const char *path, const struct sb_note_key *key,
                            struct sb_checkpoint *ret, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf tail = {.data = NULL};
    struct sb_errmsg why = {.text = "nothing that ends like a note"};
    struct sb_checkpoint checkpoint;
    struct sb_slice text, note;
    bool is_whole = false, is_found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), rc;

    if (fd < 0)
        return fail(err, "read", path);
    sb_buf_init(&tail, (size_t)4 * TAIL);
    rc = read_tail(fd, path, &tail, &is_whole, err);
    (void)close(fd);
    if (rc != SB_OK)
        return rc;
    text = sb_buf_slice(&tail);
    if (text.n == 0)
        return sb_err_set(err, SB_ENOENT, "%s is empty", path);
    if (!is_whole) /* it begins inside of a note */
        (void)sb_checkpoint_next(&text, &note);
    while (sb_checkpoint_next(&text, &note))
        if (sb_checkpoint_open(note, key, &checkpoint, &why) == SB_OK) {
            *ret = checkpoint;
            ret->origin = SB_SLICE_NONE;
            is_found = true;
        }
    if (!is_found)
        return sb_err_set(err, SB_EINVAL,
                          "%.100s holds no checkpoint of this log's key (%.80s): give the key that "
                          "signed it, or another file",
                          path, why.text);
    return SB_OK;
}

int cp_checkpoint_file_append(const char *path, struct sb_slice note, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.data = NULL};
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    struct stat st;
    char last = '\n';
    int rc = SB_OK;

    if (fd < 0)
        return fail(err, "open", path);
    sb_buf_init(&text, note.n + 2);
    /* Whatever was torn there, an empty line ends it. */
    if (fstat(fd, &st) != 0 || (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1))
        rc = fail(err, "read", path);
    if (rc == SB_OK && last != '\n')
        rc = sb_buf_append_text(&text, "\n");
    if (rc == SB_OK && st.st_size > 0)
        rc = sb_buf_append_text(&text, "\n");
    if (rc == SB_OK)
        rc = sb_buf_append(&text, note);
    while (rc == SB_OK && sb_buf_len(&text) > 0) {
        ssize_t n = write(fd, sb_buf_slice(&text).p, sb_buf_len(&text));

        if (n < 0 && errno != EINTR)
            rc = fail(err, "write", path);
        else if (n > 0)
            sb_buf_consume(&text, (size_t)n);
    }
    if (rc == SB_OK && fsync(fd) != 0)
        rc = fail(err, "write", path);
    (void)close(fd);
    return rc;
}
