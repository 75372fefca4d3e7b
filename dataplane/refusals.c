/* dataplane/refusals.c */
#include "dataplane/refusals.h"

#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"
#include "dataplane/records/spool.h"
#include "proto/record.h"

enum { REASONS_MAX = 32 };
#define MINUTE INT64_C(60000000) /* microseconds */

struct dp_refusals {
    int64_t minute; /* its start, microseconds since 1970 UTC */
    struct {
        const char *reason; /* static; the last one collects what has no place */
        uint64_t n;
    } count[REASONS_MAX];
    unsigned n_reasons;
};

struct dp_refusals *dp_refusals_new(void)
{
    return sb_mem_new(sizeof(struct dp_refusals));
}

void dp_refusals_destroy(struct dp_refusals **refusals)
{
    sb_mem_free(*refusals);
    *refusals = NULL;
}

void dp_refusals_add(struct dp_refusals *refusals, const char *reason, int64_t wall)
{
    unsigned i = 0;

    if (refusals->n_reasons == 0)
        refusals->minute = wall - wall % MINUTE;
    while (i < refusals->n_reasons && strcmp(refusals->count[i].reason, reason) != 0)
        i++;
    if (i == REASONS_MAX)
        i = REASONS_MAX - 1;
    else if (i == refusals->n_reasons)
        refusals->count[refusals->n_reasons++].reason = i == REASONS_MAX - 1 ? "other" : reason;
    refusals->count[i].n++;
}

static int write_record(const struct dp_refusals *refusals, unsigned i, struct dp_spool *spool)
{
    const struct msg_record record = {
        .kind = MSG_RECORD_REFUSALS,
        .received_at = refusals->minute,
        .refusal = sb_slice_of(refusals->count[i].reason),
        .refusals = refusals->count[i].n,
    };
    SB_CLEANUP(sb_buf_release) struct sb_buf bytes;

    sb_buf_init(&bytes, MSG_RECORD_MAX);
    if (!dp_spool_reserve(spool))
        return SB_ENOSPC;
    if (SB_NEVER(msg_record_encode(&record, &bytes) != SB_OK)) {
        dp_spool_unreserve(spool);
        return SB_EINTERNAL;
    }
    (void)dp_spool_append(spool, sb_buf_slice(&bytes));
    return SB_OK;
}

void dp_refusals_flush_all(struct dp_refusals *refusals, struct dp_spool *spool)
{
    if (refusals == NULL || spool == NULL)
        return;
    while (refusals->n_reasons > 0) {
        unsigned last = refusals->n_reasons - 1;

        if (write_record(refusals, last, spool) == SB_ENOSPC)
            return;
        refusals->count[last].n = 0;
        refusals->n_reasons = last;
    }
}

void dp_refusals_flush(struct dp_refusals *refusals, struct dp_spool *spool, int64_t wall)
{
    if (refusals->n_reasons > 0 && wall >= refusals->minute + MINUTE)
        dp_refusals_flush_all(refusals, spool);
}
