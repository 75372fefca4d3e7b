/* dataplane/records/orphans.c */
#include "dataplane/records/orphans.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "dataplane/records/boot.h"

static DIR *list_of(int fd)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again >= 0 ? fdopendir(again) : NULL;

    if (dir == NULL && again >= 0)
        (void)close(again);
    return dir;
}

static bool is_boot(const char *name)
{
    char worker[MSG_WORKER_ID_MAX + 1];
    uint64_t id;

    return dp_boot_parse(name, &id, worker);
}

int dp_orphans_list(int slot_fd, dp_orphan_cb *on_boot, void *ctx, struct sb_errmsg *err)
{
    DIR *dir = list_of(slot_fd);
    struct dirent *entry;

    if (dir == NULL)
        return sb_err_set(err, SB_EIO, "cannot list the spool: %s", strerror(errno));
    while ((entry = readdir(dir)) != NULL)
        if (is_boot(entry->d_name))
            on_boot(ctx, entry->d_name);
    (void)closedir(dir);
    return SB_OK;
}

/* Locking makes a file: not in directories that are none of ours. */
static bool has_boots(int fd)
{
    DIR *dir = list_of(fd);
    struct dirent *entry;
    bool has = false;

    while (dir != NULL && !has && (entry = readdir(dir)) != NULL)
        has = is_boot(entry->d_name);
    if (dir != NULL)
        (void)closedir(dir);
    return has;
}

static unsigned move_boots(int from_fd, int slot_fd, const char *from, dp_orphan_cb *on_boot,
                           void *ctx)
{
    DIR *dir = list_of(from_fd);
    struct dirent *entry;
    unsigned n = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!is_boot(entry->d_name))
            continue;
        if (renameat(from_fd, entry->d_name, slot_fd, entry->d_name) != 0) {
            sb_log_error(SPOOL, "cannot take over a boot dir=%s boot=%s reason=%s", from,
                         entry->d_name, strerror(errno));
            continue;
        }
        /* Both ends of the move, before any of its records is sent. */
        (void)fsync(slot_fd);
        (void)fsync(from_fd);
        on_boot(ctx, entry->d_name);
        n++;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

static unsigned look_into(const char *home, const char *name, int slot_fd, dp_orphan_cb *on_boot,
                          void *ctx)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", home, name);
    int fd, lock = -1;
    unsigned moved = 0;

    if (n < 0 || (size_t)n >= sizeof(path))
        return 0;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (has_boots(fd) && sb_dir_lock(path, &lock, NULL) == SB_OK) {
        moved = move_boots(fd, slot_fd, name, on_boot, ctx);
        sb_dir_unlock(&lock);
    }
    (void)close(fd);
    return moved;
}

unsigned dp_orphans_move(const char *home, const char *own, int slot_fd, dp_orphan_cb *on_boot,
                         void *ctx)
{
    DIR *dir = opendir(home);
    struct dirent *entry;
    unsigned n = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, own) != 0)
            n += look_into(home, entry->d_name, slot_fd, on_boot, ctx);
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}
