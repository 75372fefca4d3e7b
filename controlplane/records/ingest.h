/* controlplane/records/ingest.h - stores batches of records, each record once.
 *
 * The identity of a record is (worker, boot, sequence).  How far a boot is
 * stored is one row of ingest_cursor, which is locked and advanced in the
 * transaction that stores; what is not newer was stored before and is skipped.
 * A record that cannot be stored goes to the table quarantine, as bytes, and
 * counts as stored.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct cp_db;
struct cp_stats;

struct cp_ingest_batch {
    struct sb_slice worker; /* borrowed, as bulk */
    uint64_t boot, first;
    struct sb_slice bulk; /* frames of msg_batch_next() */
    uint64_t last;        /* result: highest sequence of this boot that is stored */
};

enum {
    CP_INGEST_BATCHES_MAX = 64,
    /* ms.  A daemon that was stopped in a COPY can hold rows for longer, until another collector
     * wants them (controlplane/stuck.h). */
    CP_INGEST_STATEMENT = 20000,
};

/* Stores them all, or those that it came to before an error; only after SB_OK
 * are they acknowledged.  In one transaction, unless the database refuses a
 * record: that one is found by halving.
 *
 * SB_ENOTLEADER: the term is over; other codes of controlplane/db.h: the
 * database is in trouble, try again later. */
int cp_ingest(struct cp_db *db, uint64_t term, struct cp_ingest_batch *batches, size_t n,
              struct cp_stats *stats) SB_MUSTCHECK;
