/* dataplane/route/reason.h - why an endpoint fails a step of the filter, in
 * words that a person can act on. */
#pragma once

#include "common/slice.h"
#include "dataplane/route/filter.h"

struct dp_endpoint;
struct sb_arena;

/* For a step that the endpoint does fail: "zdr is unknown", "prompt costs 0.9
 * USD per million tokens, the limit is 0.5".  From arena, or static. */
struct sb_slice dp_reason(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                          enum dp_step step, struct sb_arena *arena);
