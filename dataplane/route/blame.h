/* dataplane/route/blame.h - whose rule it is that an endpoint fails: the
 * policy's, the request's, or both.
 *
 * The plan is merged, and does not say.  So each rule set is judged once more
 * by itself, and the body's own demands (tools, the length of the prompt) by
 * themselves: for those who explain, not for those who route.
 */
#pragma once

#include <stdint.h>

#include "common/slice.h"
#include "dataplane/route/filter.h"

struct dp_endpoint;
struct sb_arena;

struct dp_blame {
    struct dp_filter nobody, alone[DP_BY_COUNT];
    struct dp_plan nobodys_plan, plan[DP_BY_COUNT];
};

/* Borrows all that the filter refers to. */
void dp_blame_init(struct dp_blame *blame, const struct dp_filter *filter);
/* Bits 1 << enum dp_step of what the endpoint fails because of that set; by:
 * DP_BY_POLICY or DP_BY_REQUEST.  A step that it fails without any rules is
 * nobody's. */
uint32_t dp_blame_steps(const struct dp_blame *blame, const struct dp_endpoint *endpoint, int by);
/* What would have to be relaxed: "policy.zdr", "provider.zdr".  by:
 * DP_BY_COUNT for a step that is nobody's.  From arena, or static. */
struct sb_slice dp_blame_name(enum dp_step step, int by, struct sb_arena *arena);
