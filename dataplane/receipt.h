/* dataplane/receipt.h - promises in the heads of answers.
 *
 * Whoever sends the header MSG_RECEIPT_HEADER: request, or has a policy with
 * `receipts: true`, gets a promise (proto/receipt.h) in the head of the answer:
 * signed by a key that lives as long as this process, and that the log's key
 * has certified by way of the bus.  The head of a stream leaves with the first
 * content, so the endpoint is in it; where a comment had to go out before,
 * or nobody served the request, the promise names no endpoint.
 *
 * Without a certificate (no control daemon has a log key, or none was heard
 * yet), and for what leaves no record, the header says "none": nothing was
 * promised, and the answer is as good as any other.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct dp_receipts;
struct dp_request;
struct sb_buf;

/* Makes the key of this boot. */
struct dp_receipts *dp_receipts_new(void);
void dp_receipts_destroy(struct dp_receipts **receipts);
/* MSG_PUBLIC_KEY_BYTES; live as long as receipts. */
const uint8_t *dp_receipts_public_key(const struct dp_receipts *receipts);
/* Copies; the newest counts. */
void dp_receipts_certify(struct dp_receipts *receipts, struct sb_slice certificate);

/* Whether a request asks for a promise; value: of its header, or none.  What
 * the header says is refused by the caller unless it is "request". */
bool dp_receipt_is_wanted(const struct dp_request *req, struct sb_slice value);
/* The field of the head, of a request that wants it. */
int dp_receipt_put_field(struct dp_request *req, struct sb_buf *out) SB_MUSTCHECK;
