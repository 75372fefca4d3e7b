/* dataplane/records/segment.h - one file of records, mapped into memory.
 *
 * Made at its full size, so that a full disk is noticed then and not when a
 * record is stored.  A record is framed by
 *
 *      length (4)  CRC-32C (4)  sequence (8)  bytes  up to a multiple of 8
 *
 * with the CRC over boot, use, sequence, length and bytes.  Numbers are in the
 * machine's order: a spool is read where it was written.  Whatever a crash
 * leaves - a tail half written, blocks that came to the disk in another order,
 * a bad sector - the CRC decides frame by frame, and reading goes on behind
 * what is damaged.
 *
 * A file whose records are all acknowledged is used again, over and over: its
 * pages are at hand and its blocks are written ones, which halves the cost of
 * a record.  Each use has a number of its own in the head and in every CRC, so
 * that what is left of the use before is not taken for a record.
 *
 * One thread appends (dp_segment_put), another reads, syncs and frees.  They
 * share `written` and `next`: what lies below `written` does not change any
 * more, and once `next` is set neither does `written`.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

enum {
    DP_SEGMENT_HEAD = 64, /* bytes before the first frame */
    DP_SEGMENT_NAME = 24, /* "0000000000000001.seg" and its NUL */
    DP_FRAME_HEAD = 16,
    DP_FRAME_ALIGN = 8,
};

/* How blocks are got and made safe; tests put failures in here. */
struct dp_disk {
    int (*allocate)(int fd, size_t bytes); /* 0 or an errno */
    int (*sync)(int fd);                   /* 0 or an errno */
};
extern const struct dp_disk dp_disk_system;

struct dp_segment {
    _Atomic(struct dp_segment *) next; /* that was begun after this one; set once */
    atomic_size_t written;             /* end of the last whole frame */
    char *map;
    size_t size;
    uint64_t boot;
    uint64_t number; /* its name, and its first use */
    uint32_t seed;   /* CRC of boot and use */
    int fd;          /* -1: none is open */
    bool has_file;
    bool is_memory; /* the map is memory of ours, whether or not there is a file */
    bool is_old;    /* of an earlier process: every frame is checked */

    /* The reader's. */
    bool is_linked;   /* its name is on stable storage */
    bool is_unsafe;   /* the disk refused to store it; never trust it again */
    size_t synced;    /* bytes known to be on stable storage */
    size_t forgotten; /* bytes that were dropped from our memory */
    bool is_damaged;  /* bytes were skipped */
};

/* A place between two frames. */
struct dp_segment_cursor {
    size_t at;
    uint64_t after; /* sequence of the frame before; 0 none */
};

struct dp_frame {
    uint64_t sequence;
    struct sb_slice bytes; /* in the map */
};

static inline size_t dp_frame_size(size_t n)
{
    return (DP_FRAME_HEAD + n + DP_FRAME_ALIGN - 1) & ~(size_t)(DP_FRAME_ALIGN - 1);
}

/* Makes a file of that many bytes.  SB_ENOSPC, SB_EIO, ...: nothing is left. */
int dp_segment_new(int dir_fd, uint64_t boot, uint64_t number, size_t size,
                   const struct dp_disk *disk, struct dp_segment **ret_segment) SB_MUSTCHECK;
/* One without a file, when there is none to be had: survives nothing. */
int dp_segment_new_in_memory(uint64_t boot, size_t size,
                             struct dp_segment **ret_segment) SB_MUSTCHECK;
/* Writes one of memory to a file after all; its appender has moved on. */
int dp_segment_save(struct dp_segment *segment, int dir_fd, uint64_t number,
                    const struct dp_disk *disk) SB_MUSTCHECK;
/* One that another process left.  SB_EVERSION: not one of this format, to be
 * left alone. */
int dp_segment_open(int dir_fd, const char *name, uint64_t boot, uint64_t number,
                    struct dp_segment **ret_segment) SB_MUSTCHECK;
/* Empties one whose appender has moved on and whose records nobody needs any
 * more.  use: greater than any before of this boot.  On error it is as good as
 * before, to be removed. */
int dp_segment_reuse(struct dp_segment *segment, int dir_fd, uint64_t use) SB_MUSTCHECK;
/* Keeps the file. */
void dp_segment_destroy(struct dp_segment **segment);
/* Removes the file too. */
void dp_segment_remove(struct dp_segment **segment, int dir_fd);

/* --- who appends -------------------------------------------------------------- */

/* Bytes left for frames. */
static inline size_t dp_segment_room(const struct dp_segment *segment)
{
    return segment->size - atomic_load_explicit(&segment->written, memory_order_relaxed);
}

/* The frame must fit; the bytes are 1 to MSG_RECORD_MAX. */
void dp_segment_put(struct dp_segment *segment, uint64_t sequence, struct sb_slice bytes);

/* --- who reads ---------------------------------------------------------------- */

static inline struct dp_segment_cursor dp_segment_begin(void)
{
    return (struct dp_segment_cursor){.at = DP_SEGMENT_HEAD, .after = 0};
}

/* It has a record. */
static inline bool dp_segment_is_begun(const struct dp_segment *segment)
{
    return atomic_load_explicit(&segment->written, memory_order_acquire) > DP_SEGMENT_HEAD;
}

/* Gives the next frame and moves past it; false when none is there (yet). */
bool dp_segment_next(struct dp_segment *segment, struct dp_segment_cursor *cursor,
                     struct dp_frame *ret_frame);
/* Puts what was written so far on stable storage.  SB_EIO: it never will be. */
int dp_segment_sync(struct dp_segment *segment, const struct dp_disk *disk) SB_MUSTCHECK;
/* Gives the memory of the bytes below `below` back to the system; they can
 * still be read, from the file. */
void dp_segment_forget(struct dp_segment *segment, size_t below);
/* The same with all of them, when nobody will need them for a while. */
void dp_segment_park(struct dp_segment *segment);
/* Notes in the file how far records are acknowledged. */
void dp_segment_mark(struct dp_segment *segment, uint64_t acked);
/* What was noted; 0 when nothing was, or it is damaged. */
uint64_t dp_segment_marked(const struct dp_segment *segment);
