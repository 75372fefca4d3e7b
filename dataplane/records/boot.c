/* dataplane/records/boot.c */
#include "dataplane/records/boot.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/bus.h"

enum { ID_DIGITS = 16, SEGMENTS_MAX = 1 << 20 };

/* --- names -------------------------------------------------------------------- */

static bool parse_hex(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (int i = 0; i < ID_DIGITS; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9')
            number = number << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret_number = number;
    return true;
}

bool dp_boot_parse(const char *name, uint64_t *ret_id, char worker[MSG_WORKER_ID_MAX + 1])
{
    struct sb_slice rest;
    uint64_t id;

    if (!parse_hex(name, &id) || id == 0 || name[ID_DIGITS] != '@')
        return false;
    rest = sb_slice_of(name + ID_DIGITS + 1);
    if (rest.n == 0 || !sb_slice_copy_text(rest, worker, MSG_WORKER_ID_MAX + 1))
        return false;
    *ret_id = id;
    return true;
}

static bool parse_segment(const char *name, uint64_t *ret_number)
{
    return parse_hex(name, ret_number) && strcmp(name + ID_DIGITS, ".seg") == 0;
}

/* --- life --------------------------------------------------------------------- */

static struct dp_boot *new_boot(const char *name, uint64_t id, const char *worker, int dir_fd)
{
    struct dp_boot *boot = sb_mem_new(sizeof(*boot));

    sb_list_init(&boot->link);
    boot->id = id;
    (void)snprintf(boot->name, sizeof(boot->name), "%s", name);
    (void)snprintf(boot->worker, sizeof(boot->worker), "%s", worker);
    boot->dir_fd = dir_fd;
    boot->at = dp_segment_begin();
    return boot;
}

static int open_dir(int slot_fd, const char *name, int *ret_fd, struct sb_errmsg *err)
{
    int fd = openat(slot_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return sb_err_set(err, sb_err_from_errno(errno), "cannot open the directory '%s': %s", name,
                          strerror(errno));
    *ret_fd = fd;
    return SB_OK;
}

int dp_boot_new(int slot_fd, const char *worker, uint64_t id, struct dp_boot **ret_boot,
                struct sb_errmsg *err)
{
    char name[DP_BOOT_NAME];
    struct dp_segment *none;
    struct dp_boot *boot;
    int fd = -1, rc;

    (void)snprintf(name, sizeof(name), "%016" PRIx64 "@%s", id, worker);
    if (mkdirat(slot_fd, name, S_IRWXU) != 0)
        return sb_err_set(err, sb_err_from_errno(errno), "cannot make the directory '%s': %s", name,
                          strerror(errno));
    rc = open_dir(slot_fd, name, &fd, err);
    if (rc == SB_OK)
        rc = dp_segment_new_in_memory(id, DP_SEGMENT_HEAD, &none);
    if (rc != SB_OK) {
        if (fd >= 0)
            (void)close(fd);
        (void)unlinkat(slot_fd, name, AT_REMOVEDIR);
        return rc;
    }
    boot = new_boot(name, id, worker, fd);
    boot->is_live = true;
    boot->head = none;
    *ret_boot = boot;
    return SB_OK;
}

void dp_boot_destroy(struct dp_boot **bootp)
{
    struct dp_boot *boot = *bootp;

    *bootp = NULL;
    if (boot == NULL)
        return;
    while (boot->head != NULL) {
        struct dp_segment *segment = boot->head;

        boot->head = atomic_load(&segment->next);
        dp_segment_destroy(&segment);
    }
    sb_list_remove(&boot->link);
    (void)close(boot->dir_fd);
    sb_mem_free(boot);
}

void dp_boot_remove(struct dp_boot **boot, int slot_fd)
{
    char name[DP_BOOT_NAME];
    bool stays = (*boot)->is_foreign;

    (void)snprintf(name, sizeof(name), "%s", (*boot)->name);
    while ((*boot)->head != NULL) {
        struct dp_segment *segment = (*boot)->head;

        (*boot)->head = atomic_load(&segment->next);
        dp_segment_remove(&segment, (*boot)->dir_fd);
    }
    dp_boot_destroy(boot);
    if (!stays)
        (void)unlinkat(slot_fd, name, AT_REMOVEDIR);
}

/* --- what another process left ------------------------------------------------ */

struct found {
    struct dp_segment *segment;
    uint64_t first;
};

/* Segments are numbered as they are made, which is nearly, but not always,
 * the order in which they are begun. */
static int by_first(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

/* Opens one file; nothing in it: removes it.  Returns false when it is not
 * ours to touch. */
static bool take_file(struct dp_boot *boot, const char *name, struct found *ret_found)
{
    struct dp_segment_cursor cursor = dp_segment_begin();
    struct dp_segment *segment = NULL;
    struct dp_frame frame;
    uint64_t number, acked;
    int rc;

    *ret_found = (struct found){.segment = NULL};
    if (!parse_segment(name, &number))
        return false;
    rc = dp_segment_open(boot->dir_fd, name, boot->id, number, &segment);
    if (rc != SB_OK) {
        sb_log_error(SPOOL, "left a file alone that cannot be read boot=%s file=%s code=%s",
                     boot->name, name, sb_err_name(rc));
        return false;
    }
    acked = dp_segment_marked(segment);
    boot->acked = acked > boot->acked ? acked : boot->acked;
    if (!dp_segment_next(segment, &cursor, &frame)) { /* made ahead, never begun */
        dp_segment_remove(&segment, boot->dir_fd);
        return true;
    }
    boot->bytes += segment->size;
    *ret_found = (struct found){.segment = segment, .first = frame.sequence};
    return true;
}

static int take_files(struct dp_boot *boot, DIR *dir, struct found **files, size_t *n)
{
    size_t room = 0;
    struct dirent *entry;

    while ((entry = readdir(dir)) != NULL) {
        struct found found;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!take_file(boot, entry->d_name, &found))
            boot->is_foreign = true;
        if (found.segment == NULL)
            continue;
        if (*n == room) {
            struct found *more =
                *n < SEGMENTS_MAX ? sb_mem_resize(*files, (room * 2 + 16) * sizeof(**files)) : NULL;

            if (more == NULL) {
                dp_segment_destroy(&found.segment);
                return SB_ENOMEM;
            }
            *files = more;
            room = room * 2 + 16;
        }
        (*files)[(*n)++] = found;
    }
    return SB_OK;
}

int dp_boot_open(int slot_fd, const char *name, struct dp_boot **ret_boot, struct sb_errmsg *err)
{
    char worker[MSG_WORKER_ID_MAX + 1];
    struct found *files = NULL;
    struct dp_boot *boot;
    size_t n = 0;
    int fd = -1, rc;
    uint64_t id;
    DIR *dir;

    if (!dp_boot_parse(name, &id, worker))
        return sb_err_set(err, SB_EPARSE, "'%s' is not the name of a boot", name);
    rc = open_dir(slot_fd, name, &fd, err);
    if (rc != SB_OK)
        return rc;
    dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (dir == NULL) {
        (void)close(fd);
        return sb_err_set(err, SB_EIO, "cannot list the directory '%s'", name);
    }
    boot = new_boot(name, id, worker, fd);
    rc = take_files(boot, dir, &files, &n);
    (void)closedir(dir);
    if (n > 0)
        qsort(files, n, sizeof(*files), by_first);
    for (size_t i = 0; i < n; i++) {
        if (i == 0)
            boot->head = files[i].segment;
        else
            atomic_store(&files[i - 1].segment->next, files[i].segment);
    }
    sb_mem_free(files);
    if (rc != SB_OK) {
        dp_boot_destroy(&boot);
        return sb_err_set(err, rc, "cannot read the directory '%s'", name);
    }
    *ret_boot = boot;
    return SB_OK;
}

/* --- sending ------------------------------------------------------------------ */

/* Moves to the segment behind one that is read to its end. */
static bool move_on(struct dp_segment **segment, struct dp_segment_cursor *cursor)
{
    struct dp_segment *next = atomic_load_explicit(&(*segment)->next, memory_order_acquire);
    uint64_t after = cursor->after;

    if (next == NULL)
        return false;
    *segment = next;
    *cursor = dp_segment_begin();
    cursor->after = after;
    return true;
}

/* The next frame, in whatever segment; both are moved. */
static bool next_frame(struct dp_segment **segment, struct dp_segment_cursor *cursor,
                       struct dp_frame *ret_frame)
{
    while (*segment != NULL) {
        /* First whether it is sealed, then what is in it: not the other way
         * round, or the last frames before the seal are missed. */
        bool is_sealed = atomic_load_explicit(&(*segment)->next, memory_order_acquire) != NULL;

        if (dp_segment_next(*segment, cursor, ret_frame))
            return true;
        if (!is_sealed || !move_on(segment, cursor))
            return false;
    }
    return false;
}

/* Takes off what lies before a segment; NULL: all. */
static struct dp_segment *free_before(struct dp_boot *boot, const struct dp_segment *until)
{
    struct dp_segment *first = boot->head, *last = NULL;

    while (boot->head != until) {
        last = boot->head;
        if (last->is_damaged)
            sb_log_error(SPOOL, "damaged bytes were skipped boot=%s segment=%" PRIx64, boot->name,
                         last->number);
        boot->head = atomic_load_explicit(&last->next, memory_order_acquire);
        if (boot->sent_in == last)
            boot->sent_in = NULL;
    }
    if (last == NULL)
        return NULL;
    atomic_store_explicit(&last->next, NULL, memory_order_relaxed);
    return first;
}

void dp_boot_ack(struct dp_boot *boot, uint64_t last, struct dp_segment **ret_freed)
{
    struct dp_segment *segment = boot->head, *ahead_in;
    struct dp_segment_cursor cursor = boot->at, ahead;
    struct dp_frame frame;

    if (last > boot->acked)
        boot->acked = last;
    if (boot->sent_in != NULL && boot->sent == boot->acked) {
        segment = boot->sent_in;
        cursor = boot->sent_at;
    }
    for (;;) {
        ahead = cursor;
        ahead_in = segment;
        if (!next_frame(&ahead_in, &ahead, &frame)) {
            cursor = ahead;
            segment = boot->is_live ? ahead_in : NULL; /* an old one is over */
            break;
        }
        if (frame.sequence > boot->acked) {
            if (ahead_in != segment)
                cursor = dp_segment_begin();
            segment = ahead_in;
            break;
        }
        cursor = ahead;
        segment = ahead_in;
    }
    *ret_freed = free_before(boot, segment);
    boot->at = cursor;
    if (segment != NULL)
        dp_segment_mark(segment, boot->acked);
}

void dp_boot_rest(struct dp_boot *boot)
{
    if (boot->head != NULL)
        dp_segment_forget(boot->head, boot->at.at);
}

int dp_boot_fill(struct dp_boot *boot, size_t max_bytes, uint32_t max_records, struct sb_buf *bulk,
                 struct dp_boot_batch *ret_batch)
{
    struct dp_segment *segment = boot->head, *at_in = segment;
    struct dp_segment_cursor cursor = boot->at, at = cursor;
    struct dp_boot_batch batch = {.count = 0};
    struct dp_frame frame;
    int rc;

    while (batch.count < max_records && next_frame(&segment, &cursor, &frame)) {
        if (frame.sequence <= boot->acked)
            continue; /* marked as acknowledged before a crash */
        if (batch.count > 0 && (frame.sequence != batch.first + batch.count ||
                                sb_buf_len(bulk) + sizeof(uint32_t) + frame.bytes.n > max_bytes))
            break;
        rc = msg_batch_append(bulk, frame.bytes);
        if (rc != SB_OK && batch.count == 0)
            return rc;
        if (rc != SB_OK)
            break;
        if (batch.count++ == 0)
            batch.first = frame.sequence;
        at = cursor;
        at_in = segment;
    }
    if (batch.count == 0)
        return SB_EAGAIN;
    boot->sent_in = at_in;
    boot->sent_at = at;
    boot->sent = batch.first + batch.count - 1;
    *ret_batch = batch;
    return SB_OK;
}

bool dp_boot_is_empty(struct dp_boot *boot)
{
    struct dp_segment *segment = boot->head;
    struct dp_segment_cursor cursor = boot->at;
    struct dp_frame frame;

    while (next_frame(&segment, &cursor, &frame))
        if (frame.sequence > boot->acked)
            return false;
    return true;
}

/* --- looking ------------------------------------------------------------------ */

/* One segment, in its order.  from: what lies before is acknowledged. */
static int search_segment(struct dp_segment *segment, struct dp_segment_cursor from, uint64_t acked,
                          size_t *budget, dp_record_match *match, void *ctx)
{
    struct dp_frame frame;

    while (dp_segment_next(segment, &from, &frame)) {
        size_t cost = dp_frame_size(frame.bytes.n);

        if (cost > *budget)
            return SB_EAGAIN;
        *budget -= cost;
        if (frame.sequence > acked && match(ctx, frame.bytes))
            return SB_OK;
    }
    return SB_ENOENT;
}

int dp_boot_search(struct dp_boot *boot, size_t *budget, dp_record_match *match, void *ctx)
{
    struct dp_segment **segments, *segment;
    size_t n = 0, i = 0;
    int rc = SB_ENOENT;

    for (segment = boot->head; segment != NULL;
         segment = atomic_load_explicit(&segment->next, memory_order_acquire))
        n++;
    if (n == 0)
        return SB_ENOENT;
    segments = sb_mem_try(n * sizeof(struct dp_segment *));
    if (segments == NULL)
        return SB_EAGAIN;
    for (segment = boot->head; i < n;
         segment = atomic_load_explicit(&segment->next, memory_order_acquire))
        segments[i++] = segment;
    while (rc == SB_ENOENT && i-- > 0) {
        rc = search_segment(segments[i], i == 0 ? boot->at : dp_segment_begin(), boot->acked,
                            budget, match, ctx);
        if (atomic_load_explicit(&segments[i]->next, memory_order_acquire) != NULL && i > 0)
            dp_segment_park(segments[i]);
    }
    sb_mem_free(segments);
    return rc;
}
