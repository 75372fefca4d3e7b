/* dataplane/route/prices.h - what an endpoint charges for this request.
 *
 * Most endpoints have one price each, which lies in dp_endpoint; those with
 * overrides (proto/tariff.h) are asked here: by the estimate of the prompt,
 * images included, and the moment at which the request was received.
 */
#pragma once

#include <stdint.h>

#include "common/money.h"
#include "proto/bill.h"

struct dp_endpoint;
struct dp_filter;
struct msg_override;
struct sb_json;

/* The prices in force there.  Returns bits of the overrides that apply. */
uint32_t dp_prices_in_force(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                            struct msg_prices *ret_prices);

/* As dp_endpoint_cost(), at the prices in force.  *ret_applied: the overrides. */
double dp_prices_cost(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                      double prompt, double completion, uint32_t *ret_applied);

/* USD 1e-15 that the request can cost at most: up to half its bytes as prompt
 * tokens, whatever override they reach, and `n` times the longest completion;
 * SB_MONEY_MAX when it is beyond all amounts. */
sb_money dp_prices_worst(const struct dp_filter *filter, const struct dp_endpoint *endpoint);

/* As /v1/models shows them, in USD per token, request or piece: into an object
 * that is open. */
void dp_prices_add(struct sb_json *json, const int64_t price[MSG_PRICE_COUNT]);
/* Conditions and prices of one override, likewise. */
void dp_prices_add_override(struct sb_json *json, const struct msg_override *override);
