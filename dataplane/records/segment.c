/* dataplane/records/segment.c */
#include "dataplane/records/segment.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/mem.h"
#include "proto/limits.h"

enum { FILE_MODE = 0600, SIZE_MAX_BYTES = 1 << 30 };

/* The last byte is the format's number; read by another byte order it is
 * another magic. */
#define MAGIC UINT64_C(0x534253504f4f4c01)

struct head {
    uint64_t magic;
    uint64_t boot, use;
    uint64_t acked, not_acked; /* each other's complement, or neither counts */
};

struct frame_head {
    uint32_t length;
    uint32_t crc;
    uint64_t sequence;
};

_Static_assert(sizeof(struct head) <= DP_SEGMENT_HEAD, "the head has to fit");
_Static_assert(sizeof(struct frame_head) == DP_FRAME_HEAD, "no padding");

static int allocate(int fd, size_t bytes)
{
    return posix_fallocate(fd, 0, (off_t)bytes);
}

static int sync_file(int fd)
{
    return fdatasync(fd) == 0 ? 0 : errno;
}

const struct dp_disk dp_disk_system = {.allocate = allocate, .sync = sync_file};

/* --- life --------------------------------------------------------------------- */

static void name_of(uint64_t number, char name[DP_SEGMENT_NAME])
{
    (void)snprintf(name, DP_SEGMENT_NAME, "%016llx.seg", (unsigned long long)number);
}

static struct head *head_of(const struct dp_segment *segment)
{
    return (struct head *)(void *)segment->map;
}

static uint32_t seed_of(uint64_t boot, uint64_t use)
{
    const uint64_t whose[2] = {boot, use};

    return sb_crc32c(0, whose, sizeof(whose));
}

static void begin_use(struct dp_segment *segment, uint64_t use)
{
    segment->seed = seed_of(segment->boot, use);
    *head_of(segment) = (struct head){.magic = MAGIC, .boot = segment->boot, .use = use};
}

static struct dp_segment *new_segment(uint64_t boot, uint64_t number, size_t size, char *map)
{
    struct dp_segment *segment = sb_mem_new(sizeof(*segment));

    atomic_init(&segment->next, NULL);
    atomic_init(&segment->written, DP_SEGMENT_HEAD);
    segment->map = map;
    segment->size = size;
    segment->boot = boot;
    segment->number = number;
    segment->fd = -1;
    segment->synced = DP_SEGMENT_HEAD;
    return segment;
}

static int map_file(int fd, size_t size, char **ret_map)
{
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED)
        return sb_err_from_errno(errno);
    *ret_map = map;
    return SB_OK;
}

int dp_segment_new(int dir_fd, uint64_t boot, uint64_t number, size_t size,
                   const struct dp_disk *disk, struct dp_segment **ret_segment)
{
    char name[DP_SEGMENT_NAME], *map = NULL;
    struct dp_segment *segment;
    int fd, rc;

    name_of(number, name);
    fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return sb_err_from_errno(errno);
    rc = disk->allocate(fd, size);
    rc = rc == 0 ? map_file(fd, size, &map) : sb_err_from_errno(rc);
    if (rc != SB_OK) {
        (void)close(fd);
        (void)unlinkat(dir_fd, name, 0);
        return rc;
    }
    segment = new_segment(boot, number, size, map);
    segment->fd = fd;
    segment->has_file = true;
    begin_use(segment, number);
    *ret_segment = segment;
    return SB_OK;
}

int dp_segment_new_in_memory(uint64_t boot, size_t size, struct dp_segment **ret_segment)
{
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return SB_ENOMEM;
    *ret_segment = new_segment(boot, 0, size, map);
    (*ret_segment)->is_memory = true;
    begin_use(*ret_segment, 0);
    return SB_OK;
}

int dp_segment_save(struct dp_segment *segment, int dir_fd, uint64_t number,
                    const struct dp_disk *disk)
{
    size_t written = atomic_load_explicit(&segment->written, memory_order_acquire);
    struct dp_segment *file = NULL;
    int rc = dp_segment_new(dir_fd, segment->boot, number, segment->size, disk, &file);

    if (rc != SB_OK)
        return rc;
    if (SB_NEVER(file == NULL))
        return SB_EIO;
    memcpy(file->map, segment->map, written); /* with its use, 0 */
    if (disk->sync(file->fd) != 0 || disk->sync(dir_fd) != 0) {
        dp_segment_remove(&file, dir_fd);
        return SB_EIO;
    }
    dp_segment_destroy(&file);
    segment->number = number;
    segment->has_file = segment->is_linked = true;
    segment->is_unsafe = false;
    segment->synced = written;
    return SB_OK;
}

static bool is_zero(const char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

int dp_segment_open(int dir_fd, const char *name, uint64_t boot, uint64_t number,
                    struct dp_segment **ret_segment)
{
    int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct dp_segment *segment;
    char *map = NULL;
    struct stat st;
    int rc;

    if (fd < 0)
        return sb_err_from_errno(errno);
    if (fstat(fd, &st) != 0)
        rc = sb_err_from_errno(errno);
    else if (!S_ISREG(st.st_mode) || st.st_size < DP_SEGMENT_HEAD || st.st_size > SIZE_MAX_BYTES)
        rc = SB_EVERSION;
    else
        rc = map_file(fd, (size_t)st.st_size, &map);
    (void)close(fd);
    if (rc != SB_OK)
        return rc;
    if (SB_NEVER(map == NULL))
        return SB_EIO;
    segment = new_segment(boot, number, (size_t)st.st_size, map);
    segment->has_file = segment->is_linked = segment->is_old = true;
    atomic_init(&segment->written, segment->size); /* until it is known better */
    segment->synced = segment->size;
    /* All zeros: power went before the head came to the disk.  The frames may
     * have. */
    if (!is_zero(map, DP_SEGMENT_HEAD) &&
        (head_of(segment)->magic != MAGIC || head_of(segment)->boot != boot)) {
        dp_segment_destroy(&segment);
        return SB_EVERSION;
    }
    /* A head that never came to the disk is that of the first use: a later one
     * finds it there. */
    segment->seed =
        seed_of(boot, head_of(segment)->magic == MAGIC ? head_of(segment)->use : number);
    *ret_segment = segment;
    return SB_OK;
}

int dp_segment_reuse(struct dp_segment *segment, int dir_fd, uint64_t use)
{
    char name[DP_SEGMENT_NAME];

    if (segment->is_memory || segment->is_unsafe)
        return SB_EINVAL;
    if (segment->fd < 0) {
        name_of(segment->number, name);
        segment->fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
        if (segment->fd < 0)
            return sb_err_from_errno(errno);
    }
    begin_use(segment, use);
    segment->synced = DP_SEGMENT_HEAD;
    segment->forgotten = 0;
    atomic_store_explicit(&segment->written, DP_SEGMENT_HEAD, memory_order_relaxed);
    atomic_store_explicit(&segment->next, NULL, memory_order_relaxed);
    return SB_OK;
}

void dp_segment_destroy(struct dp_segment **segmentp)
{
    struct dp_segment *segment = *segmentp;

    *segmentp = NULL;
    if (segment == NULL)
        return;
    (void)munmap(segment->map, segment->size);
    if (segment->fd >= 0)
        (void)close(segment->fd);
    sb_mem_free(segment);
}

void dp_segment_remove(struct dp_segment **segment, int dir_fd)
{
    char name[DP_SEGMENT_NAME];

    if (*segment != NULL && (*segment)->has_file) {
        name_of((*segment)->number, name);
        (void)unlinkat(dir_fd, name, 0);
    }
    dp_segment_destroy(segment);
}

/* --- frames ------------------------------------------------------------------- */

/* Seeded with what says whose frame it is, so that blocks of another file or
 * use are not taken for ours. */
static uint32_t crc_of(uint32_t seed, uint64_t sequence, const char *bytes, size_t n)
{
    const uint64_t which[2] = {sequence, n};

    return sb_crc32c(sb_crc32c(seed, which, sizeof(which)), bytes, n);
}

void dp_segment_put(struct dp_segment *segment, uint64_t sequence, struct sb_slice bytes)
{
    size_t at = atomic_load_explicit(&segment->written, memory_order_relaxed);
    const struct frame_head head = {
        .length = (uint32_t)bytes.n,
        .crc = crc_of(segment->seed, sequence, bytes.p, bytes.n),
        .sequence = sequence,
    };

    SB_BUG_ON(bytes.n == 0 || bytes.n > MSG_RECORD_MAX);
    SB_BUG_ON(dp_frame_size(bytes.n) > segment->size - at);
    memcpy(segment->map + at + DP_FRAME_HEAD, bytes.p, bytes.n);
    memcpy(segment->map + at, &head, sizeof(head));
    atomic_store_explicit(&segment->written, at + dp_frame_size(bytes.n), memory_order_release);
}

static bool is_good(const struct dp_segment *segment, size_t at, uint64_t after,
                    const struct frame_head *head)
{
    return head->length > 0 && head->length <= MSG_RECORD_MAX && head->sequence > after &&
           dp_frame_size(head->length) <= segment->size - at &&
           head->crc == crc_of(segment->seed, head->sequence, segment->map + at + DP_FRAME_HEAD,
                               head->length);
}

bool dp_segment_next(struct dp_segment *segment, struct dp_segment_cursor *cursor,
                     struct dp_frame *ret_frame)
{
    size_t end = atomic_load_explicit(&segment->written, memory_order_acquire);
    struct frame_head head;

    for (size_t at = cursor->at; at + DP_FRAME_HEAD < end; at += DP_FRAME_ALIGN) {
        memcpy(&head, segment->map + at, sizeof(head));
        if (segment->is_old && !is_good(segment, at, cursor->after, &head))
            continue;
        segment->is_damaged = segment->is_damaged || at != cursor->at;
        cursor->at = at + dp_frame_size(head.length);
        cursor->after = head.sequence;
        *ret_frame = (struct dp_frame){
            .sequence = head.sequence,
            .bytes = {.p = segment->map + at + DP_FRAME_HEAD, .n = head.length},
        };
        return true;
    }
    /* Not to be searched again. */
    if (segment->is_old)
        atomic_store_explicit(&segment->written, cursor->at, memory_order_relaxed);
    return false;
}

/* --- the disk ----------------------------------------------------------------- */

int dp_segment_sync(struct dp_segment *segment, const struct dp_disk *disk)
{
    bool is_sealed = atomic_load_explicit(&segment->next, memory_order_acquire) != NULL;
    size_t written = atomic_load_explicit(&segment->written, memory_order_acquire);

    if (!segment->has_file || segment->is_unsafe)
        return SB_EIO;
    if (written > segment->synced) {
        /* After a failure the kernel may say that all is well, though pages
         * are gone: what failed once has failed. */
        if (disk->sync(segment->fd) != 0) {
            segment->is_unsafe = true;
            return SB_EIO;
        }
        segment->synced = written;
    }
    if (is_sealed && segment->fd >= 0) { /* the map stays */
        (void)close(segment->fd);
        segment->fd = -1;
    }
    return SB_OK;
}

void dp_segment_forget(struct dp_segment *segment, size_t below)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    below -= below % page;
    if (segment->is_memory || below <= segment->forgotten)
        return;
    /* Of a shared map this drops our view only, never what was written. */
    if (madvise(segment->map + segment->forgotten, below - segment->forgotten, MADV_DONTNEED) == 0)
        segment->forgotten = below;
}

void dp_segment_park(struct dp_segment *segment)
{
    if (!segment->is_memory)
        (void)madvise(segment->map, segment->size, MADV_DONTNEED);
}

void dp_segment_mark(struct dp_segment *segment, uint64_t acked)
{
    struct head *head = head_of(segment);

    head->acked = acked;
    head->not_acked = ~acked;
}

uint64_t dp_segment_marked(const struct dp_segment *segment)
{
    const struct head *head = head_of(segment);

    return head->acked == ~head->not_acked ? head->acked : 0;
}
