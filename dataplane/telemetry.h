/* dataplane/telemetry.h - attempts folded per endpoint and second, for the
 * tables of the control plane.
 *
 * No spool and no acknowledgement: what is lost is lost.  The loop folds; the
 * courier sends what was folded with its next beat, at once when a fault is
 * among it.
 */
#pragma once

#include "common/attr.h"
#include "common/clock.h"
#include "dataplane/breaker.h"
#include "proto/record.h"

struct dp_telemetry;
struct sb_buf;

struct dp_telemetry *dp_telemetry_new(const struct sb_clock *clock);
void dp_telemetry_destroy(struct dp_telemetry **telemetry);

/* An attempt ended.  usage counts when it has a source.  retry_after: of a 429,
 * 0 none.  Attempts on tenants' own keys are not folded. */
void dp_telemetry_add(struct dp_telemetry *telemetry, const struct msg_attempt *attempt,
                      const struct msg_usage *usage, int64_t cost, enum dp_breaker_verdict verdict,
                      sb_msec retry_after);
