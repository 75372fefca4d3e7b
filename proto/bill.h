/* proto/bill.h - what an answer cost, exactly.
 *
 * Tokens times prices in 1e-15 USD, in integers (common/money.h).  Cached
 * prompt tokens cost the cache's price where the endpoint has one; written
 * ones likewise.  Workers bill requests by it, the control plane its probes.
 */
#pragma once

#include <stdint.h>

#include "proto/record.h"
#include "proto/vocabulary.h"

struct msg_tariff;

struct msg_bill {
    int64_t prompt, completion; /* 1e-15 USD; prompt with caches and pictures */
    int64_t total;              /* with the price per request */
};

struct msg_prices {
    int64_t at[MSG_PRICE_COUNT]; /* as msg_endpoint.price */
};

/* Saturates at the largest amount instead of overflowing: such a bill comes
 * from a provider's nonsense. */
struct msg_bill msg_bill_make(const struct msg_prices *prices, const struct msg_usage *usage);
/* By the prices that were in force for so many prompt tokens at that moment,
 * in Unix seconds: when the request was received. */
struct msg_bill msg_bill_make_at(const struct msg_tariff *tariff, int64_t unix_seconds,
                                 const struct msg_usage *usage);
