/* dataplane/bill.h - the usage of an answer: what the provider did not tell, and
 * how it is shown with what it cost (proto/bill.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "proto/bill.h"
#include "proto/record.h"

struct sb_buf;

struct dp_request;

/* What so much costs at the endpoint that serves, by its prices at the moment
 * when the request was received; nothing before one does. */
struct msg_bill dp_bill(const struct dp_request *req, const struct msg_usage *usage);

/* Fills what the provider did not tell. */
void dp_usage_estimate(struct msg_usage *usage, double prompt_tokens, uint64_t content_bytes);

/* The "usage" object of an answer (ROUTING.md 9), appended to out, where the
 * slice lies.  charged: what the tenant pays. */
struct sb_slice dp_usage_json(const struct msg_usage *usage, const struct msg_bill *bill,
                              int64_t charged, bool is_byok, struct sb_buf *out);
