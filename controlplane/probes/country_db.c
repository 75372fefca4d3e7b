/* controlplane/probes/country_db.c */
#define _GNU_SOURCE /* memfd_create() */
#include "controlplane/probes/country_db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/network.h"
#include "common/timefmt.h"
#include "proto/country.h"

#define SECONDS_MAX UINT64_C(253402300800) /* of the year 10000, which no date has */

/* By what a file is told from another one. */
struct mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct cp_country_db {
    const char *path; /* borrowed */
    struct mark mark;
    MMDB_s file;
    bool is_open;
    char date[SB_DATE_TEXT_MAX];
};

static struct mark mark_of(const struct stat *status)
{
    return (struct mark){.device = status->st_dev,
                         .inode = status->st_ino,
                         .size = status->st_size,
                         .changed = status->st_mtim};
}

static bool is_same(const struct mark *a, const struct mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static int system_error(const char *path, int code, struct sb_errmsg *err)
{
    return sb_err_set(err,
                      code == ENOENT   ? SB_ENOENT
                      : code == EACCES ? SB_EACCES
                                       : SB_EIO,
                      "%s: %s", path, strerror(code));
}

/* --- reading ------------------------------------------------------------------------- */

/* The bytes of fd in memory, as a descriptor; negative errno. */
static int copy_bytes(int fd, off_t size)
{
    int copy = memfd_create("country-database", MFD_CLOEXEC);
    off_t at = 0;

    if (copy < 0)
        return -errno;
    while (at < size) {
        ssize_t n = sendfile(copy, fd, &at, (size_t)(size - at));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int code = n < 0 ? errno : EIO; /* it has become shorter */

            (void)close(copy);
            return -code;
        }
    }
    return copy;
}

static int open_copy(const char *path, int copy, MMDB_s *ret_file, struct sb_errmsg *err)
{
    char name[64];
    int status;

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", copy);
    status = MMDB_open(name, MMDB_MODE_MMAP, ret_file);
    if (status != MMDB_SUCCESS)
        return sb_err_set(err, status == MMDB_OUT_OF_MEMORY_ERROR ? SB_ENOMEM : SB_EPARSE,
                          "%s is no database in MaxMind's format: %s", path, MMDB_strerror(status));
    return SB_OK;
}

/* Also notes what was seen of the file. */
static int read_file(struct cp_country_db *db, int fd, MMDB_s *ret_file, struct sb_errmsg *err)
{
    struct stat status;
    int copy, rc;

    if (fstat(fd, &status) != 0)
        return system_error(db->path, errno, err);
    db->mark = mark_of(&status);
    if (!S_ISREG(status.st_mode))
        return sb_err_set(err, SB_EPARSE, "%s is no file", db->path);
    if (status.st_size > CP_COUNTRY_DB_MAX)
        return sb_err_set(err, SB_ETOOBIG, "%s is over %d bytes", db->path, CP_COUNTRY_DB_MAX);
    copy = copy_bytes(fd, status.st_size);
    if (copy < 0)
        return system_error(db->path, -copy, err);
    rc = open_copy(db->path, copy, ret_file, err);
    (void)close(copy); /* what is mapped stays */
    return rc;
}

int cp_country_db_reload(struct cp_country_db *db, struct sb_errmsg *err)
{
    int fd = open(db->path, O_RDONLY | O_CLOEXEC), rc;
    MMDB_s file = {.file_size = 0};
    uint64_t built;

    if (fd < 0)
        return system_error(db->path, errno, err);
    rc = read_file(db, fd, &file, err);
    (void)close(fd);
    if (rc != SB_OK)
        return rc;
    if (db->is_open)
        MMDB_close(&db->file);
    db->file = file;
    db->is_open = true;
    built = file.metadata.build_epoch;
    (void)sb_date_format(built < SECONDS_MAX ? sb_day_of(built * SB_USEC_PER_SEC) : 0, db->date);
    return SB_OK;
}

int cp_country_db_new(const char *path, struct cp_country_db **ret, struct sb_errmsg *err)
{
    struct cp_country_db *db = sb_mem_new(sizeof(*db));
    int rc;

    db->path = path;
    rc = cp_country_db_reload(db, err);
    if (rc != SB_OK) {
        cp_country_db_destroy(&db);
        return rc;
    }
    *ret = db;
    return SB_OK;
}

void cp_country_db_destroy(struct cp_country_db **db)
{
    if (*db != NULL && (*db)->is_open)
        MMDB_close(&(*db)->file);
    sb_mem_free(*db);
    *db = NULL;
}

bool cp_country_db_has_changed(const struct cp_country_db *db)
{
    struct stat status;
    struct mark mark;

    if (stat(db->path, &status) != 0)
        return false; /* between two: what was read serves on */
    mark = mark_of(&status);
    return !is_same(&mark, &db->mark);
}

/* --- looking up --------------------------------------------------------------------------- */

static int read_country(MMDB_entry_s *entry)
{
    static const char *const paths[][3] = {
        {"country", "iso_code", NULL}, {"country_code", NULL}, {"country", NULL}};
    MMDB_entry_data_s data;

    for (size_t i = 0; i < SB_ARRAY_LEN(paths); i++) {
        int status = MMDB_aget_value(entry, &data, paths[i]);

        if (status == MMDB_SUCCESS && data.has_data && data.type == MMDB_DATA_TYPE_UTF8_STRING)
            return msg_country_parse(sb_slice_make(data.utf8_string, data.data_size));
    }
    return -1;
}

static bool is_ipv4(const struct sb_address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

int cp_country_db_find(const struct cp_country_db *db, const struct sb_address *address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    MMDB_lookup_result_s found;
    int status = MMDB_SUCCESS;

    memcpy(&v4.sin_addr, address->bytes + 12, sizeof(v4.sin_addr));
    memcpy(&v6.sin6_addr, address->bytes, sizeof(v6.sin6_addr));
    found = MMDB_lookup_sockaddr(&db->file,
                                 is_ipv4(address) ? (const struct sockaddr *)(const void *)&v4
                                                  : (const struct sockaddr *)(const void *)&v6,
                                 &status);
    return status == MMDB_SUCCESS && found.found_entry ? read_country(&found.entry) : -1;
}

const char *cp_country_db_date(const struct cp_country_db *db)
{
    return db->date;
}
