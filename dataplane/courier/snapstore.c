/* dataplane/courier/snapstore.c */
#include "dataplane/courier/snapstore.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/secret.h"

#define MAGIC "SBSTATE1"

/* Numbers are in the machine's order: the file is read where it was written. */
struct head {
    char magic[8];
    uint64_t epoch, revision, size;
    uint8_t hash[MSG_HASH_BYTES];
};

static int path_of(const char *dir, const char *name, char path[PATH_MAX], struct sb_errmsg *err)
{
    int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);

    return n > 0 && n < PATH_MAX ? SB_OK : sb_err_set(err, SB_EINVAL, "the path is too long");
}

int dp_snapstore_write(const char *dir, const char *name, struct msg_version version,
                       const uint8_t *hash, struct sb_slice bytes, struct sb_errmsg *err)
{
    struct head head = {.epoch = version.epoch, .revision = version.revision, .size = bytes.n};
    const struct sb_slice parts[] = {sb_slice_make(&head, sizeof(head)), bytes};
    char path[PATH_MAX];
    int rc = path_of(dir, name, path, err);

    if (rc != SB_OK)
        return rc;
    memcpy(head.magic, MAGIC, sizeof(head.magic));
    if (hash != NULL)
        memcpy(head.hash, hash, sizeof(head.hash));
    else
        sb_hash(bytes, head.hash);
    return sb_file_write_parts(path, parts, SB_ARRAY_LEN(parts), S_IRUSR | S_IWUSR, err);
}

/* The time of the file says when; a stamp inside could be torn. */
int dp_snapstore_confirm(const char *dir, const char *name)
{
    char path[PATH_MAX];
    int rc = path_of(dir, name, path, NULL);

    if (rc != SB_OK)
        return rc;
    return utimensat(AT_FDCWD, path, NULL, 0) == 0 ? SB_OK : sb_err_from_errno(errno);
}

int dp_snapstore_read(const char *dir, const char *name, struct sb_buf *buf,
                      struct dp_stored *ret_stored, struct sb_slice *ret_bytes,
                      struct sb_errmsg *err)
{
    uint8_t hash[MSG_HASH_BYTES];
    struct sb_slice bytes;
    char path[PATH_MAX];
    struct head head;
    struct stat st;
    int rc = path_of(dir, name, path, err);

    if (rc == SB_OK)
        rc = sb_file_read(path, buf, err);
    if (rc != SB_OK)
        return rc;
    bytes = sb_buf_slice(buf);
    if (bytes.p == NULL || bytes.n < sizeof(head) ||
        memcmp(bytes.p, MAGIC, sizeof(head.magic)) != 0)
        return sb_err_set(err, SB_EVERSION, "'%s' is not ours, or of another version", path);
    memcpy(&head, bytes.p, sizeof(head));
    bytes = sb_slice_from(bytes, sizeof(head));
    sb_hash(bytes, hash);
    if (bytes.n != head.size || memcmp(hash, head.hash, sizeof(hash)) != 0)
        return sb_err_set(err, SB_EHASH, "'%s' is damaged", path);
    if (stat(path, &st) != 0)
        return sb_err_set(err, SB_EIO, "cannot look at '%s': %s", path, strerror(errno));
    *ret_stored = (struct dp_stored){
        .version = {.epoch = head.epoch, .revision = head.revision},
        .confirmed_at = (sb_usec)st.st_mtim.tv_sec * 1000000 + (sb_usec)st.st_mtim.tv_nsec / 1000,
    };
    memcpy(ret_stored->hash, head.hash, sizeof(ret_stored->hash));
    *ret_bytes = bytes;
    return SB_OK;
}
