/* dataplane/spool.h - records on their way to the control plane, on disk.
 *
 * Append-only segments, mapped into memory: a record is copied into the map
 * before the last byte of its answer leaves, so that a killed worker loses
 * none.  Each is framed by length, sequence and CRC.  Against power loss the
 * courier syncs the maps at most every spool-sync.
 *
 * One directory per worker slot under a lock (common/file.h); inside, one
 * sub-directory or file set per boot.  What an earlier boot, or another slot
 * that no process holds, left behind is adopted and sent first.
 *
 * Two threads: the loop appends (dp_spool_append and what it says "loop"), the
 * courier reads, syncs and frees.  They share an atomic count of what is
 * written, nothing else; segments are made ahead by the courier, so that the
 * loop never waits for a file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"

struct dp_spool;

struct dp_spool_conf {
    const char *home;   /* directory; made when missing */
    const char *worker; /* name in the fleet, e.g. "host-0" */
    uint64_t limit;     /* bytes on disk, all boots together */
};

/* Opens a new boot.  SB_EAGAIN: another process holds the directory. */
int dp_spool_open(const struct dp_spool_conf *conf, struct dp_spool **ret_spool,
                  struct sb_errmsg *err) SB_MUSTCHECK;
/* Syncs and closes; what was not acknowledged stays on disk. */
void dp_spool_close(struct dp_spool **spool);

/* loop: room for one record of a request that is admitted, up to
 * MSG_RECORD_MAX; false when the spool is full (or its disk is): answer 503. */
bool dp_spool_reserve(struct dp_spool *spool);
/* loop: gives a reservation back unused. */
void dp_spool_unreserve(struct dp_spool *spool);
/* loop: writes a record under a reservation, which is used up.  Cannot fail:
 * that is what the reservation is for.  Gives its sequence. */
uint64_t dp_spool_append(struct dp_spool *spool, struct sb_slice record);
/* loop: whether everything up to a sequence is on stable storage. */
bool dp_spool_is_synced(const struct dp_spool *spool, uint64_t sequence);

struct dp_spool_stats {
    uint64_t bytes, limit; /* on disk */
    uint64_t records;      /* written in this boot */
    uint64_t next;         /* sequence */
    uint64_t acked;        /* highest of this boot that is stored */
    uint64_t adopted;      /* records of other boots found at start */
    uint64_t full;         /* reservations refused */
    bool failing;          /* the disk does not take segments */
};
/* Any thread. */
void dp_spool_stats(const struct dp_spool *spool, struct dp_spool_stats *ret_stats);
uint64_t dp_spool_boot(const struct dp_spool *spool);
