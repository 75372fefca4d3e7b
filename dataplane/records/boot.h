/* dataplane/records/boot.h - the records of one run of a worker, in their order.
 *
 * A directory "BOOT@WORKER" with segments.  The name says whose records they
 * are, and one rename moves all of them to another worker's home, or none: a
 * boot in two places would be sent by two processes, out of order.
 *
 * The boot of this process is live: the loop adds segments to its end, by
 * setting the last one's `next`; everything else here is the courier's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/list.h"
#include "common/slice.h"
#include "dataplane/records/segment.h"
#include "proto/limits.h"

struct sb_buf;

enum { DP_BOOT_NAME = 16 + 1 + MSG_WORKER_ID_MAX + 1 };

struct dp_boot {
    struct sb_list link;
    uint64_t id;                        /* microseconds since 1970, when it began */
    char worker[MSG_WORKER_ID_MAX + 1]; /* whose records these are */
    char name[DP_BOOT_NAME];            /* of the directory */
    int dir_fd;
    bool is_live;
    bool is_foreign; /* holds files that are not ours: the directory stays */

    struct dp_segment *head;     /* the oldest that is needed; of a live boot never NULL */
    struct dp_segment_cursor at; /* in head: behind the last acknowledged record */
    uint64_t acked;              /* sequence */

    /* What the last fill gave, so that its acknowledgement costs nothing. */
    struct dp_segment *sent_in;
    struct dp_segment_cursor sent_at;
    uint64_t sent;
    uint64_t bytes; /* of files in it; of an old boot only */
};

/* Makes the directory of a new boot, with no segment but an empty one that
 * has no file: the loop's first goes behind it. */
int dp_boot_new(int slot_fd, const char *worker, uint64_t id, struct dp_boot **ret_boot,
                struct sb_errmsg *err) SB_MUSTCHECK;
/* Opens what an earlier process left.  SB_EPARSE: not such a directory. */
int dp_boot_open(int slot_fd, const char *name, struct dp_boot **ret_boot,
                 struct sb_errmsg *err) SB_MUSTCHECK;
/* Reads a name; false when it is none of a boot. */
bool dp_boot_parse(const char *name, uint64_t *ret_id, char worker[MSG_WORKER_ID_MAX + 1]);
/* Keeps the files. */
void dp_boot_destroy(struct dp_boot **boot);
/* Removes the directory when nothing is left to be sent from it. */
void dp_boot_remove(struct dp_boot **boot, int slot_fd);

struct dp_boot_batch {
    uint64_t first;
    uint32_t count;
};
/* Appends the oldest records that are not acknowledged, as the bulk frame of
 * a BATCH, until one more would be too many or too long (one always fits an
 * empty bulk).  Their sequences have no gap.  SB_EAGAIN: there are none;
 * SB_ENOMEM. */
int dp_boot_fill(struct dp_boot *boot, size_t max_bytes, uint32_t max_records, struct sb_buf *bulk,
                 struct dp_boot_batch *ret_batch) SB_MUSTCHECK;
/* Everything up to a sequence is stored elsewhere.  Gives the segments that
 * nobody needs any more, linked by `next`, or NULL. */
void dp_boot_ack(struct dp_boot *boot, uint64_t last, struct dp_segment **ret_freed);
/* Gives the memory of what is acknowledged back to the system, for a while
 * without records. */
void dp_boot_rest(struct dp_boot *boot);
/* Of an old boot: nothing is left. */
bool dp_boot_is_empty(struct dp_boot *boot);

/* true: this is it. */
typedef bool dp_record_match(void *ctx, struct sb_slice record);
/* Shows records that are not acknowledged, newest segment first, until one
 * matches (SB_OK) or *budget bytes are looked at (SB_EAGAIN); SB_ENOENT. */
int dp_boot_search(struct dp_boot *boot, size_t *budget, dp_record_match *match, void *ctx);
