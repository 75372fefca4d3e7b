/* dataplane/courier/sync.h - what to do with what a control daemon says: pure decisions.
 *
 * A leader is known by (epoch, term).  The term grows with every change of the
 * leader inside one history of the database, so whoever says a lower one is
 * out of date; a history that was restored counts terms from an earlier
 * number, but has a higher epoch, which goes before.
 *
 * Snapshots are ordered by their version, (epoch, revision); a worker never
 * goes back.  Tables are ordered by (epoch, term, sequence), without a gap.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "proto/limits.h"
#include "proto/version.h"

struct msg_tables;

struct dp_claim {
    uint64_t epoch, term;
};

enum dp_claim_verdict {
    DP_CLAIM_OLD,  /* of somebody who has lost: ignore it */
    DP_CLAIM_SAME, /* of the leader we know */
    DP_CLAIM_NEW,  /* there is a newer one */
};
enum dp_claim_verdict dp_sync_judge_claim(struct dp_claim have, struct dp_claim offer);

/* A snapshot; {0} is none. */
struct dp_sync_held {
    struct msg_version version;
    uint8_t hash[MSG_HASH_BYTES];
};

enum dp_sync_verdict {
    DP_SYNC_OLD,    /* not newer than what we hold: drop it */
    DP_SYNC_HELD,   /* it is what we hold */
    DP_SYNC_APPLY,  /* newer: fetch it, or take it */
    DP_SYNC_RESYNC, /* it does not fit: say what we hold, and start over */
};
/* hash: NULL when it was not said. */
enum dp_sync_verdict dp_sync_judge(const struct dp_sync_held *have, struct msg_version offer,
                                   const uint8_t *hash);

struct dp_sync_tables {
    uint64_t epoch, term, sequence;
};
/* RESYNC: messages were missed; ask for all rows. */
enum dp_sync_verdict dp_sync_judge_tables(const struct dp_sync_tables *have,
                                          const struct msg_tables *offer);
