/* dataplane/receipt.c */
#include "dataplane/receipt.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/http1.h"
#include "common/mem.h"
#include "common/secret.h"
#include "dataplane/records/spool.h"
#include "dataplane/request.h"
#include "dataplane/route/view.h"
#include "dataplane/worker.h"
#include "proto/limits.h"
#include "proto/receipt.h"

_Static_assert((int)SB_SIGN_PUBLIC == (int)MSG_PUBLIC_KEY_BYTES, "as on the bus");

struct dp_receipts {
    struct sb_secret *seed;
    uint8_t public_key[SB_SIGN_PUBLIC];
    struct sb_buf certificate; /* empty: none yet */
    struct sb_buf json, text;  /* of the promise that is being written */
};

struct dp_receipts *dp_receipts_new(void)
{
    struct dp_receipts *receipts = sb_mem_new(sizeof(*receipts));

    receipts->seed = sb_sign_seed_new();
    sb_sign_public(receipts->seed, receipts->public_key);
    sb_buf_init(&receipts->certificate, MSG_CERTIFICATE_MAX);
    sb_buf_init(&receipts->json, MSG_PROMISE_MAX);
    sb_buf_init(&receipts->text, MSG_PROMISE_MAX);
    return receipts;
}

void dp_receipts_destroy(struct dp_receipts **receiptsp)
{
    struct dp_receipts *receipts = *receiptsp;

    *receiptsp = NULL;
    if (receipts == NULL)
        return;
    sb_secret_destroy(&receipts->seed);
    sb_buf_release(&receipts->certificate);
    sb_buf_release(&receipts->json);
    sb_buf_release(&receipts->text);
    sb_mem_free(receipts);
}

const uint8_t *dp_receipts_public_key(const struct dp_receipts *receipts)
{
    return receipts->public_key;
}

void dp_receipts_certify(struct dp_receipts *receipts, struct sb_slice certificate)
{
    sb_buf_reset(&receipts->certificate);
    if (sb_buf_append(&receipts->certificate, certificate) != SB_OK)
        sb_buf_reset(&receipts->certificate); /* none, then */
}

bool dp_receipt_is_wanted(const struct dp_request *req, struct sb_slice value)
{
    return value.n > 0 || (req->key->policy != NULL && req->key->policy->said->receipts);
}

int dp_receipt_put_field(struct dp_request *req, struct sb_buf *out)
{
    struct dp_worker *worker = req->worker;
    struct dp_receipts *receipts = worker->receipts;
    const struct msg_promiser by = {
        .seed = receipts->seed,
        .worker = sb_slice_of(worker->name),
        .boot = dp_spool_boot(worker->spool),
        .certificate = sb_buf_slice(&receipts->certificate),
    };

    sb_buf_reset(&receipts->text);
    if (by.certificate.n > 0 && req->record.salt.n > 0 &&
        msg_promise_write(&by, &req->record, (int64_t)sb_clock_wall(worker->clock), &receipts->json,
                          &receipts->text) == SB_OK) {
        worker->stats.promises++;
        return sb_http1_put_field(out, SB_SLICE_LIT(MSG_RECEIPT_HEADER),
                                  sb_buf_slice(&receipts->text));
    }
    worker->stats.promises_missed++;
    return sb_http1_put_field(out, SB_SLICE_LIT(MSG_RECEIPT_HEADER), SB_SLICE_LIT("none"));
}
