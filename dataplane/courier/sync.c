/* dataplane/courier/sync.c */
#include "dataplane/courier/sync.h"

#include <string.h>

#include "proto/tables.h"

enum dp_claim_verdict dp_sync_judge_claim(struct dp_claim have, struct dp_claim offer)
{
    if (offer.epoch != have.epoch)
        return offer.epoch > have.epoch ? DP_CLAIM_NEW : DP_CLAIM_OLD;
    if (offer.term != have.term)
        return offer.term > have.term ? DP_CLAIM_NEW : DP_CLAIM_OLD;
    return DP_CLAIM_SAME;
}

enum dp_sync_verdict dp_sync_judge(const struct dp_sync_held *have, struct msg_version offer,
                                   const uint8_t *hash)
{
    int order = msg_version_cmp(offer, have->version);

    if (order != 0)
        return order > 0 ? DP_SYNC_APPLY : DP_SYNC_OLD;
    /* One version, two contents: the database is another one.  Told what we
     * hold, the leader begins a new epoch. */
    if (hash != NULL && memcmp(hash, have->hash, sizeof(have->hash)) != 0)
        return DP_SYNC_RESYNC;
    return DP_SYNC_HELD;
}

enum dp_sync_verdict dp_sync_judge_tables(const struct dp_sync_tables *have,
                                          const struct msg_tables *offer)
{
    if (offer->epoch != have->epoch) {
        if (offer->epoch < have->epoch)
            return DP_SYNC_OLD;
    } else if (offer->term != have->term) {
        if (offer->term < have->term)
            return DP_SYNC_OLD;
    } else if (offer->sequence <= have->sequence) {
        return DP_SYNC_OLD;
    } else if (offer->sequence == have->sequence + 1) {
        return DP_SYNC_APPLY;
    }
    return offer->complete ? DP_SYNC_APPLY : DP_SYNC_RESYNC;
}
