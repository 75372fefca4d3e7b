/* dataplane/bill.h - what an answer cost, exactly.
 *
 * Tokens times prices in 1e-15 USD, in integers (common/money.h).  Cached
 * prompt tokens cost the cache's price where the endpoint has one; written
 * ones likewise.  Where a provider told no usage it is estimated from bytes,
 * and says so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "proto/record.h"
#include "proto/snapshot.h"

struct sb_buf;

struct dp_bill {
    int64_t prompt, completion; /* 1e-15 USD; prompt with caches and pictures */
    int64_t total;              /* with the price per request */
};

/* Prices of an endpoint, copied so that they outlive the snapshot. */
struct dp_prices {
    int64_t at[MSG_PRICE_COUNT]; /* as msg_endpoint.price */
};

/* Saturates at the largest amount instead of overflowing: such a bill comes
 * from a provider's nonsense. */
struct dp_bill dp_bill_make(const struct dp_prices *prices, const struct msg_usage *usage);

/* Fills what the provider did not tell. */
void dp_usage_estimate(struct msg_usage *usage, double prompt_tokens, uint64_t content_bytes);

/* The "usage" object of an answer (ROUTING.md 9), appended to out, where the
 * slice lies.  charged: what the tenant pays. */
struct sb_slice dp_usage_json(const struct msg_usage *usage, const struct dp_bill *bill,
                              int64_t charged, bool is_byok, struct sb_buf *out);
