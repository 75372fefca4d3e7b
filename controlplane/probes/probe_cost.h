/* controlplane/probes/probe_cost.h - what probes may cost, and when.
 *
 * Pure.  Amounts are in 1e-15 USD (common/money.h).
 *
 * The budget of a day (UTC) is never exceeded, since the worst case of a probe
 * is taken from it before it is sent.  It is also spread: probes that only
 * look whether numbers are still true may use no more than the share of the
 * day that has passed, and an hour's more, so that a short budget lasts until
 * the evening.  Looking whether what was down is back may use all of it.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "controlplane/probes/probe.h"

struct msg_endpoint;

/* The most that a completion can cost: a token for every byte of the request
 * and a chat template's on top, max_tokens, and the request, each at the dearest
 * price that can ever be in force.  max_tokens: 0 of an embedding.  SB_EINVAL:
 * the endpoint has no prices; SB_ETOOBIG. */
int cp_probe_worst(const struct msg_endpoint *endpoint, size_t request_bytes, uint32_t max_tokens,
                   int64_t *ret_worst) SB_MUSTCHECK;

/* How much of the day's budget may be gone at that time of the system's clock. */
int64_t cp_probe_allowance(int64_t budget, enum cp_probe_reason reason, sb_usec wall);
