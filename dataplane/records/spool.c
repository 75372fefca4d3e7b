/* dataplane/records/spool.c */
#include "dataplane/records/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "dataplane/records/orphans.h"

enum {
    READY_MAX = 32,            /* segments made ahead */
    AVERAGE_RECORD = 4096,     /* so many bytes per admitted request are made ahead */
    LOCK_TRIES = 100,          /* somebody may be looking what there is to adopt */
    LOCK_PAUSE = 10 * 1000000, /* nanoseconds */
    SEGMENT_MIN = 256 * 1024,  /* holds the largest record */
    SEGMENT_USUAL = 4 << 20,   /* of a limit below 4 GiB */
    SEGMENT_MAX = 256 << 20,
    SEGMENTS_PER_LIMIT = 1024,
    CACHE_LINE = 64,
};

struct dp_spool {
    /* Never changes. */
    char dir[PATH_MAX], home[PATH_MAX], worker[MSG_WORKER_ID_MAX + 1];
    int lock_fd, slot_fd;
    uint64_t boot, limit;
    size_t segment_bytes;
    uint64_t per_segment; /* largest records that surely fit into one */
    const struct dp_disk *disk;
    struct dp_boot *live;

    /* The loop's. */
    char pad_loop[CACHE_LINE];
    struct dp_segment *current;
    uint64_t next;

    /* Both. */
    atomic_uint_fast64_t last;     /* sequence appended */
    atomic_uint_fast64_t reserved; /* written by the loop */
    atomic_uint_fast64_t full;     /* likewise */
    atomic_uint_fast64_t bytes, numbers;
    atomic_uint ready_taken; /* ready[ready_taken % READY_MAX] is the loop's next */
    char pad_both[CACHE_LINE];
    atomic_uint ready_made;
    atomic_uint_fast64_t synced, acked, adopted;
    atomic_bool failing;
    struct dp_segment *ready[READY_MAX];

    /* The courier's. */
    char pad_courier[CACHE_LINE];
    struct sb_list old;           /* boots, oldest first */
    struct dp_segment *sync_from; /* the oldest of the live boot not yet safe */
    bool is_unsafe;               /* it has segments that are not stored */
    unsigned warned;              /* percent of the limit */
};

static uint64_t get(const atomic_uint_fast64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

/* --- segments ----------------------------------------------------------------- */

static int make_segment(struct dp_spool *spool, struct dp_segment **ret_segment)
{
    uint64_t number = atomic_fetch_add(&spool->numbers, 1);
    int rc = dp_segment_new(spool->live->dir_fd, spool->boot, number, spool->segment_bytes,
                            spool->disk, ret_segment);

    if (rc == SB_OK)
        (void)atomic_fetch_add(&spool->bytes, spool->segment_bytes);
    return rc;
}

static void free_segment(struct dp_spool *spool, struct dp_boot *boot, struct dp_segment **segment)
{
    if ((*segment)->has_file)
        (void)atomic_fetch_sub(&spool->bytes, (*segment)->size);
    dp_segment_remove(segment, boot->dir_fd);
}

static unsigned count_ready(const struct dp_spool *spool)
{
    return atomic_load_explicit(&spool->ready_made, memory_order_acquire) -
           atomic_load_explicit(&spool->ready_taken, memory_order_acquire);
}

static void add_ready(struct dp_spool *spool, struct dp_segment *segment)
{
    unsigned made = atomic_load_explicit(&spool->ready_made, memory_order_relaxed);

    spool->ready[made % READY_MAX] = segment;
    atomic_store_explicit(&spool->ready_made, made + 1, memory_order_release);
}

static unsigned wanted_ready(const struct dp_spool *spool)
{
    uint64_t wanted = 1 + get(&spool->reserved) * AVERAGE_RECORD / spool->segment_bytes;

    return wanted < READY_MAX ? (unsigned)wanted : READY_MAX - 1;
}

static bool is_allowed(const struct dp_spool *spool)
{
    return get(&spool->bytes) + spool->segment_bytes <= spool->limit;
}

static void set_failing(struct dp_spool *spool, bool failing, const char *what, int rc)
{
    if (atomic_load_explicit(&spool->failing, memory_order_relaxed) == failing)
        return;
    atomic_store_explicit(&spool->failing, failing, memory_order_relaxed);
    if (failing)
        sb_log_error(SPOOL, "the disk %s, new requests are refused code=%s dir=%s", what,
                     sb_err_name(rc), spool->dir);
    else
        sb_log_info(SPOOL, "the disk takes records again dir=%s", spool->dir);
}

/* What the disk has refused is safe once it is acknowledged, or written after
 * all. */
enum rescued {
    RESCUED_ALL,
    RESCUED_BUT_CURRENT, /* the loop leaves it with its next record */
    RESCUED_NOT_ALL,
};

static enum rescued rescue(struct dp_spool *spool, bool is_closing)
{
    enum rescued result = RESCUED_ALL;
    struct dp_segment *next;

    for (struct dp_segment *at = spool->live->head; at != NULL; at = next) {
        next = atomic_load_explicit(&at->next, memory_order_acquire);
        if (at->has_file ? !at->is_unsafe : !dp_segment_is_begun(at))
            continue;
        if (at->has_file)
            return RESCUED_NOT_ALL;
        if (next == NULL && !is_closing) {
            result = RESCUED_BUT_CURRENT;
            continue;
        }
        if (dp_segment_save(at, spool->live->dir_fd, atomic_fetch_add(&spool->numbers, 1),
                            spool->disk) != SB_OK)
            return RESCUED_NOT_ALL;
        (void)atomic_fetch_add(&spool->bytes, at->size);
    }
    return result;
}

static void warn_of_limit(struct dp_spool *spool)
{
    uint64_t ahead = (uint64_t)count_ready(spool) * spool->segment_bytes;
    uint64_t bytes = get(&spool->bytes);
    uint64_t percent = (bytes > ahead ? bytes - ahead : 0) * 100 / spool->limit;
    unsigned level = percent >= 80 ? 80 : percent >= 50 ? 50 : 0;

    if (level > spool->warned)
        sb_log_warn(
            SPOOL, "records wait for the control plane percent=%u bytes=%" PRIu64 " limit=%" PRIu64,
            level, bytes - ahead, spool->limit);
    spool->warned = level;
}

void dp_spool_tend(struct dp_spool *spool)
{
    unsigned wanted = wanted_ready(spool);
    enum rescued rescued = RESCUED_ALL;
    int rc = SB_OK;

    while (count_ready(spool) < wanted && is_allowed(spool)) {
        struct dp_segment *segment;

        rc = make_segment(spool, &segment);
        if (rc != SB_OK)
            break;
        add_ready(spool, segment);
    }
    if (spool->is_unsafe)
        rescued = rescue(spool, false);
    spool->is_unsafe = rescued != RESCUED_ALL;
    set_failing(spool, rc != SB_OK || rescued == RESCUED_NOT_ALL, "takes no records", rc);
    warn_of_limit(spool);
}

/* --- the loop ----------------------------------------------------------------- */

bool dp_spool_reserve(struct dp_spool *spool)
{
    const size_t largest = dp_frame_size(MSG_RECORD_MAX);
    uint64_t reserved = get(&spool->reserved), bytes = get(&spool->bytes), room;

    /* What a segment surely takes of records of any size: as many as it would
     * of the largest. */
    room = dp_segment_room(spool->current) / largest + count_ready(spool) * spool->per_segment;
    if (room <= reserved && bytes < spool->limit &&
        !atomic_load_explicit(&spool->failing, memory_order_relaxed))
        room += (spool->limit - bytes) / spool->segment_bytes * spool->per_segment;
    if (room <= reserved) {
        atomic_store_explicit(&spool->full, get(&spool->full) + 1, memory_order_relaxed);
        return false;
    }
    atomic_store_explicit(&spool->reserved, reserved + 1, memory_order_relaxed);
    return true;
}

void dp_spool_unreserve(struct dp_spool *spool)
{
    uint64_t reserved = get(&spool->reserved);

    SB_BUG_ON(reserved == 0);
    atomic_store_explicit(&spool->reserved, reserved - 1, memory_order_relaxed);
}

/* A segment that was made ahead, or one made now, or memory. */
static struct dp_segment *take_segment(struct dp_spool *spool)
{
    unsigned taken = atomic_load_explicit(&spool->ready_taken, memory_order_relaxed);
    struct dp_segment *segment;

    if (atomic_load_explicit(&spool->ready_made, memory_order_acquire) != taken) {
        segment = spool->ready[taken % READY_MAX];
        atomic_store_explicit(&spool->ready_taken, taken + 1, memory_order_release);
        return segment;
    }
    if (make_segment(spool, &segment) == SB_OK)
        return segment;
    SB_BUG_ON(dp_segment_new_in_memory(spool->boot, spool->segment_bytes, &segment) != SB_OK);
    return segment;
}

uint64_t dp_spool_append(struct dp_spool *spool, struct sb_slice record)
{
    uint64_t sequence = spool->next++;

    if (SB_UNLIKELY(dp_segment_room(spool->current) < dp_frame_size(record.n) ||
                    (spool->current->is_memory && count_ready(spool) > 0))) {
        struct dp_segment *segment = take_segment(spool), *full = spool->current;

        spool->current = segment;
        /* The courier may free the full one from here on. */
        atomic_store_explicit(&full->next, segment, memory_order_release);
    }
    dp_segment_put(spool->current, sequence, record);
    atomic_store_explicit(&spool->last, sequence, memory_order_release);
    dp_spool_unreserve(spool);
    return sequence;
}

bool dp_spool_is_synced(const struct dp_spool *spool, uint64_t sequence)
{
    return atomic_load_explicit(&spool->synced, memory_order_acquire) >= sequence;
}

/* --- any thread --------------------------------------------------------------- */

void dp_spool_stats(const struct dp_spool *spool, struct dp_spool_stats *ret_stats)
{
    uint64_t last = get(&spool->last);

    *ret_stats = (struct dp_spool_stats){
        .bytes = get(&spool->bytes),
        .limit = spool->limit,
        .records = last,
        .next = last + 1,
        .acked = get(&spool->acked),
        .adopted = get(&spool->adopted),
        .full = get(&spool->full),
        .failing = atomic_load_explicit(&spool->failing, memory_order_relaxed),
    };
}

uint64_t dp_spool_boot(const struct dp_spool *spool)
{
    return spool->boot;
}

uint64_t dp_spool_last(const struct dp_spool *spool)
{
    return atomic_load_explicit(&spool->last, memory_order_acquire);
}

uint64_t dp_spool_synced(const struct dp_spool *spool)
{
    return atomic_load_explicit(&spool->synced, memory_order_acquire);
}

const char *dp_spool_dir(const struct dp_spool *spool)
{
    return spool->dir;
}

/* --- the courier -------------------------------------------------------------- */

/* A new name is safe when its directory is. */
static int link_segment(struct dp_spool *spool, struct dp_segment *segment)
{
    if (segment->is_linked)
        return SB_OK;
    if (spool->disk->sync(spool->live->dir_fd) != 0)
        return SB_EIO;
    segment->is_linked = true;
    return SB_OK;
}

int dp_spool_sync(struct dp_spool *spool)
{
    uint64_t last = dp_spool_last(spool);
    int rc = SB_OK;

    if (last == get(&spool->synced))
        return SB_OK;
    for (;;) {
        struct dp_segment *segment = spool->sync_from, *next;

        next = atomic_load_explicit(&segment->next, memory_order_acquire);
        if (dp_segment_is_begun(segment)) {
            rc = segment->has_file ? link_segment(spool, segment) : SB_EIO;
            if (rc == SB_OK)
                rc = dp_segment_sync(segment, spool->disk);
            else
                segment->is_unsafe = true;
        }
        if (rc != SB_OK || next == NULL)
            break;
        if (segment != spool->live->head)
            dp_segment_park(segment);
        spool->sync_from = next;
    }
    if (rc != SB_OK) {
        spool->is_unsafe = true;
        set_failing(spool, true, "does not store records", rc);
        return rc;
    }
    atomic_store_explicit(&spool->synced, last, memory_order_release);
    return SB_OK;
}

static struct dp_boot *oldest(struct dp_spool *spool)
{
    struct sb_list *first;

    while ((first = sb_list_first(&spool->old)) != NULL) {
        struct dp_boot *boot = container_of(first, struct dp_boot, link);

        if (!dp_boot_is_empty(boot))
            return boot;
        sb_log_info(SPOOL, "records of an earlier boot are stored boot=%s last=%" PRIu64,
                    boot->name, boot->acked);
        (void)atomic_fetch_sub(&spool->bytes, boot->bytes);
        (void)atomic_fetch_sub(&spool->adopted, 1);
        dp_boot_remove(&boot, spool->slot_fd);
    }
    return spool->live;
}

int dp_spool_fill(struct dp_spool *spool, size_t max_bytes, uint32_t max_records,
                  struct sb_buf *bulk, struct dp_spool_batch *ret_batch)
{
    struct dp_boot *boot = oldest(spool);
    struct dp_boot_batch batch;
    int rc = dp_boot_fill(boot, max_bytes, max_records, bulk, &batch);

    if (rc != SB_OK)
        return rc;
    *ret_batch = (struct dp_spool_batch){
        .worker = boot->worker,
        .boot = boot->id,
        .first = batch.first,
        .count = batch.count,
    };
    return SB_OK;
}

static void ack_live(struct dp_spool *spool, uint64_t last)
{
    struct dp_boot *live = spool->live;
    struct dp_segment *at, *freed;

    dp_boot_ack(live, last, &freed);
    atomic_store_explicit(&spool->acked, live->acked, memory_order_relaxed);
    /* What is stored elsewhere needs no disk: its segments may be gone. */
    if (live->acked > get(&spool->synced))
        atomic_store_explicit(&spool->synced, live->acked, memory_order_release);
    for (at = live->head; at != NULL && at != spool->sync_from;
         at = atomic_load_explicit(&at->next, memory_order_acquire))
        ;
    if (at == NULL)
        spool->sync_from = live->head;
    while (freed != NULL) {
        at = freed;
        freed = atomic_load_explicit(&at->next, memory_order_relaxed);
        if (count_ready(spool) <= wanted_ready(spool) && at->size == spool->segment_bytes &&
            get(&spool->bytes) <= spool->limit &&
            dp_segment_reuse(at, live->dir_fd, atomic_fetch_add(&spool->numbers, 1)) == SB_OK)
            add_ready(spool, at);
        else
            free_segment(spool, live, &at);
    }
}

static void ack_old(struct dp_spool *spool, struct dp_boot *boot, uint64_t last)
{
    struct dp_segment *at, *freed;

    dp_boot_ack(boot, last, &freed);
    while (freed != NULL) {
        at = freed;
        freed = atomic_load_explicit(&at->next, memory_order_relaxed);
        boot->bytes -= at->size;
        free_segment(spool, boot, &at);
    }
}

int dp_spool_ack(struct dp_spool *spool, struct sb_slice worker, uint64_t boot, uint64_t last)
{
    sb_list_for_each(link, &spool->old)
    {
        struct dp_boot *old = container_of(link, struct dp_boot, link);

        if (old->id != boot || !sb_slice_is(worker, old->worker))
            continue;
        ack_old(spool, old, last);
        return SB_OK;
    }
    if (boot != spool->boot || !sb_slice_is(worker, spool->worker))
        return SB_ENOENT;
    if (last > dp_spool_last(spool))
        return SB_EINVAL;
    ack_live(spool, last);
    return SB_OK;
}

void dp_spool_rest(struct dp_spool *spool)
{
    dp_boot_rest(spool->live);
    for (unsigned i = atomic_load_explicit(&spool->ready_taken, memory_order_acquire);
         i != atomic_load_explicit(&spool->ready_made, memory_order_relaxed); i++)
        dp_segment_park(spool->ready[i % READY_MAX]);
}

bool dp_spool_is_drained(struct dp_spool *spool)
{
    return oldest(spool) == spool->live && get(&spool->acked) == dp_spool_last(spool);
}

int dp_spool_search(struct dp_spool *spool, size_t budget, dp_record_match *match, void *ctx)
{
    int rc = dp_boot_search(spool->live, &budget, match, ctx);
    struct sb_list *link = spool->old.prev;

    for (; rc == SB_ENOENT && link != &spool->old; link = link->prev)
        rc = dp_boot_search(container_of(link, struct dp_boot, link), &budget, match, ctx);
    return rc;
}

/* --- life --------------------------------------------------------------------- */

static void add_old(struct dp_spool *spool, struct dp_boot *boot)
{
    struct sb_list *before = spool->old.next;

    while (before != &spool->old && container_of(before, struct dp_boot, link)->id < boot->id)
        before = before->next;
    sb_list_insert(before, &boot->link);
    (void)atomic_fetch_add(&spool->bytes, boot->bytes);
    (void)atomic_fetch_add(&spool->adopted, 1);
}

/* Opens a boot in our own directory.  What cannot be read is left alone: it
 * may be of a newer version. */
static void on_boot(void *ctx, const char *name)
{
    struct dp_spool *spool = ctx;
    struct dp_boot *boot = NULL;
    struct sb_errmsg err;

    if (dp_boot_open(spool->slot_fd, name, &boot, &err) != SB_OK) {
        sb_log_error(SPOOL, "cannot read an earlier boot boot=%s: %s", name, err.text);
        return;
    }
    if (boot->is_foreign && dp_boot_is_empty(boot)) {
        dp_boot_destroy(&boot);
        return;
    }
    add_old(spool, boot);
}

unsigned dp_spool_adopt(struct dp_spool *spool)
{
    unsigned n = dp_orphans_move(spool->home, spool->worker, spool->slot_fd, on_boot, spool);

    if (n > 0)
        sb_log_info(SPOOL, "took over what other workers left boots=%u", n);
    return n;
}

static bool is_name(const char *worker)
{
    size_t n = strlen(worker);

    return n > 0 && n <= MSG_WORKER_ID_MAX && worker[0] != '.' && strchr(worker, '/') == NULL;
}

/* Somebody who looks for orphans holds the lock for a moment. */
static int lock_patiently(const char *dir, int *ret_fd, struct sb_errmsg *err)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE};
    int rc = sb_dir_lock(dir, ret_fd, err);

    for (int i = 0; rc == SB_EAGAIN && i < LOCK_TRIES; i++) {
        (void)nanosleep(&pause, NULL);
        rc = sb_dir_lock(dir, ret_fd, err);
    }
    return rc;
}

static int open_directory(struct dp_spool *spool, const struct dp_spool_conf *conf,
                          struct sb_errmsg *err)
{
    int n = snprintf(spool->dir, sizeof(spool->dir), "%s/%s", conf->home, conf->worker);
    int rc;

    if (!is_name(conf->worker))
        return sb_err_set(err, SB_EINVAL, "a worker cannot be named '%s'", conf->worker);
    if (n < 0 || (size_t)n >= sizeof(spool->dir))
        return sb_err_set(err, SB_EINVAL, "the path of the spool is too long");
    (void)snprintf(spool->home, sizeof(spool->home), "%s", conf->home);
    (void)snprintf(spool->worker, sizeof(spool->worker), "%s", conf->worker);
    rc = sb_dir_make(spool->dir, S_IRWXU, err);
    if (rc == SB_OK)
        rc = lock_patiently(spool->dir, &spool->lock_fd, err);
    if (rc != SB_OK)
        return rc;
    spool->slot_fd = open(spool->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->slot_fd < 0)
        return sb_err_set(err, sb_err_from_errno(errno), "cannot open '%s': %s", spool->dir,
                          strerror(errno));
    return dp_orphans_list(spool->slot_fd, on_boot, spool, err);
}

static size_t segment_bytes(const struct dp_spool_conf *conf)
{
    uint64_t bytes = conf->limit / SEGMENTS_PER_LIMIT;

    if (conf->segment_bytes > 0)
        return conf->segment_bytes;
    if (bytes < SEGMENT_USUAL) /* a small spool is not to be one segment */
        bytes = conf->limit / 8 < SEGMENT_USUAL ? conf->limit / 8 : SEGMENT_USUAL;
    bytes = bytes < SEGMENT_MIN ? SEGMENT_MIN : bytes > SEGMENT_MAX ? SEGMENT_MAX : bytes;
    return (size_t)(bytes - bytes % SEGMENT_MIN);
}

static uint64_t new_boot_id(const struct dp_spool *spool)
{
    uint64_t id = sb_clock_wall(&sb_clock_system);
    struct sb_list *last = sb_list_last(&spool->old);

    if (last != NULL) { /* the clock may have been set back */
        uint64_t newest = container_of(last, struct dp_boot, link)->id;

        id = id > newest ? id : newest + 1;
    }
    return id;
}

int dp_spool_open(const struct dp_spool_conf *conf, struct dp_spool **ret_spool,
                  struct sb_errmsg *err)
{
    struct dp_spool *spool = sb_mem_new(sizeof(*spool));
    int rc;

    spool->lock_fd = spool->slot_fd = -1;
    spool->limit = conf->limit;
    spool->disk = conf->disk != NULL ? conf->disk : &dp_disk_system;
    spool->segment_bytes = segment_bytes(conf);
    spool->per_segment = (spool->segment_bytes - DP_SEGMENT_HEAD) / dp_frame_size(MSG_RECORD_MAX);
    sb_list_init(&spool->old);
    rc = open_directory(spool, conf, err);
    if (rc == SB_OK) {
        spool->boot = new_boot_id(spool);
        rc = dp_boot_new(spool->slot_fd, spool->worker, spool->boot, &spool->live, err);
    }
    if (rc != SB_OK) {
        dp_spool_close(&spool);
        return rc;
    }
    (void)fsync(spool->slot_fd);
    spool->current = spool->sync_from = spool->live->head;
    spool->next = 1;
    atomic_store(&spool->numbers, 1);
    dp_spool_tend(spool);
    *ret_spool = spool;
    return SB_OK;
}

static void close_live(struct dp_spool *spool)
{
    if (dp_spool_sync(spool) != SB_OK && rescue(spool, true) != RESCUED_ALL)
        sb_log_error(SPOOL,
                     "records could not be stored and are lost unless they were sent "
                     "boot=%s from=%" PRIu64 " to=%" PRIu64,
                     spool->live->name, get(&spool->synced) + 1, dp_spool_last(spool));
    while (count_ready(spool) > 0) {
        struct dp_segment *segment = take_segment(spool);

        dp_segment_remove(&segment, spool->live->dir_fd);
    }
    if (get(&spool->acked) == dp_spool_last(spool))
        dp_boot_remove(&spool->live, spool->slot_fd);
    else
        dp_boot_destroy(&spool->live);
}

void dp_spool_close(struct dp_spool **spoolp)
{
    struct dp_spool *spool = *spoolp;

    *spoolp = NULL;
    if (spool == NULL)
        return;
    if (spool->live != NULL) {
        (void)oldest(spool); /* removes those that are sent */
        close_live(spool);
    }
    sb_list_for_each_safe(link, &spool->old)
    {
        struct dp_boot *boot = container_of(link, struct dp_boot, link);

        dp_boot_destroy(&boot);
    }
    if (spool->slot_fd >= 0)
        (void)close(spool->slot_fd);
    sb_dir_unlock(&spool->lock_fd);
    sb_mem_free(spool);
}
