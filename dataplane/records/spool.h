/* dataplane/records/spool.h - records on their way to the control plane, on disk.
 *
 * Append-only segments (dataplane/records/segment.h), mapped into memory: a record is
 * copied into the map before the last byte of its answer leaves, so that a
 * killed worker loses none.  Against power loss the courier syncs the maps at
 * most every spool-sync.
 *
 *      HOME/WORKER/lock                    held while the worker lives
 *      HOME/WORKER/BOOT@WORKER/N.seg       dataplane/records/boot.h
 *
 * What an earlier boot left behind is sent first.  So is what another worker
 * left in the same HOME when no process holds its directory: its boots are
 * moved over, each by one rename.
 *
 * Room: an admitted request has reserved room for the largest record there is,
 * counted in segments that exist or that the limit still allows.  Segments
 * are made ahead; when a burst is faster, the loop makes one itself.  When the
 * disk has just then no room, the records go into memory, no request is
 * admitted any more, and they are written as soon as it has.
 *
 * Two threads: the loop reserves and appends, the courier does all the rest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "dataplane/records/boot.h"

struct dp_disk;
struct dp_spool;
struct sb_buf;

struct dp_spool_conf {
    const char *home;   /* directory; made when missing */
    const char *worker; /* name in the fleet, e.g. "host-0" */
    uint64_t limit;     /* bytes on disk, all boots together */
    /* Tests: */
    const struct dp_disk *disk; /* NULL: the system's */
    size_t segment_bytes;       /* 0: chosen by the limit */
};

/* Opens a new boot.  SB_EAGAIN: another process holds the directory; SB_EINVAL:
 * a name that cannot be one of a directory.  A full disk is no error. */
int dp_spool_open(const struct dp_spool_conf *conf, struct dp_spool **ret_spool,
                  struct sb_errmsg *err) SB_MUSTCHECK;
/* Syncs and closes; what was not acknowledged stays on disk. */
void dp_spool_close(struct dp_spool **spool);

/* --- the loop ----------------------------------------------------------------- */

/* Room for one record of a request that is admitted, up to MSG_RECORD_MAX;
 * false when the spool is full (or its disk is): answer 503. */
bool dp_spool_reserve(struct dp_spool *spool);
/* Gives a reservation back unused. */
void dp_spool_unreserve(struct dp_spool *spool);
/* Writes a record under a reservation, which is used up.  Cannot fail: that is
 * what the reservation is for.  Gives its sequence. */
uint64_t dp_spool_append(struct dp_spool *spool, struct sb_slice record);
/* Whether everything up to a sequence is on stable storage. */
bool dp_spool_is_synced(const struct dp_spool *spool, uint64_t sequence);

/* --- any thread --------------------------------------------------------------- */

struct dp_spool_stats {
    uint64_t bytes, limit; /* on disk */
    uint64_t records;      /* written in this boot */
    uint64_t next;         /* sequence */
    uint64_t acked;        /* highest of this boot that is stored */
    uint64_t adopted;      /* boots of earlier processes that are not sent yet */
    uint64_t full;         /* reservations refused */
    bool failing;          /* the disk does not take segments */
};
void dp_spool_stats(const struct dp_spool *spool, struct dp_spool_stats *ret_stats);
uint64_t dp_spool_boot(const struct dp_spool *spool);
/* Sequence of the newest record of this boot; 0 before the first. */
uint64_t dp_spool_last(const struct dp_spool *spool);
/* Sequence up to which all is on stable storage, here or at the control plane. */
uint64_t dp_spool_synced(const struct dp_spool *spool);
/* HOME/WORKER: for what else the worker keeps. */
const char *dp_spool_dir(const struct dp_spool *spool);

/* --- the courier -------------------------------------------------------------- */

/* Makes segments ahead.  Call it after appends, and once a second. */
void dp_spool_tend(struct dp_spool *spool);
/* Puts what was appended so far on stable storage.  Errors: SB_EIO, and the
 * spool is failing until those records are acknowledged. */
int dp_spool_sync(struct dp_spool *spool) SB_MUSTCHECK;
/* Nothing is going on: gives memory back to the system. */
void dp_spool_rest(struct dp_spool *spool);
/* Takes over what other workers of the same home left; returns how many
 * boots. */
unsigned dp_spool_adopt(struct dp_spool *spool);

struct dp_spool_batch {
    const char *worker; /* lives until the next call of the courier */
    uint64_t boot, first;
    uint32_t count;
};
/* Appends the oldest records that are not acknowledged to bulk, as BATCH has
 * them, oldest boot first.  The same again until they are.  SB_EAGAIN: none
 * are left; SB_ENOMEM. */
int dp_spool_fill(struct dp_spool *spool, size_t max_bytes, uint32_t max_records,
                  struct sb_buf *bulk, struct dp_spool_batch *ret_batch) SB_MUSTCHECK;
/* The control plane has committed a boot's records up to a sequence.
 * SB_ENOENT: no such boot (any more); SB_EINVAL: nothing was written that far. */
int dp_spool_ack(struct dp_spool *spool, struct sb_slice worker, uint64_t boot,
                 uint64_t last) SB_MUSTCHECK;
/* Nothing is left to be sent. */
bool dp_spool_is_drained(struct dp_spool *spool);
/* Shows records that are not acknowledged, newest first by and large, until
 * one matches (SB_OK), none is left (SB_ENOENT), or so many bytes were looked
 * at (SB_EAGAIN). */
int dp_spool_search(struct dp_spool *spool, size_t budget, dp_record_match *match,
                    void *ctx) SB_MUSTCHECK;
