/* dataplane/route/blame.c */
#include "dataplane/route/blame.h"

#include "common/arena.h"

void dp_blame_init(struct dp_blame *blame, const struct dp_filter *filter)
{
    const struct dp_plan *plan = filter->plan;

    dp_plan_merge(NULL, NULL, filter->ask, &blame->nobodys_plan);
    dp_plan_merge(plan->set[DP_BY_POLICY], NULL, filter->ask, &blame->plan[DP_BY_POLICY]);
    dp_plan_merge(NULL, plan->set[DP_BY_REQUEST], filter->ask, &blame->plan[DP_BY_REQUEST]);
    blame->nobody = *filter;
    blame->nobody.plan = &blame->nobodys_plan;
    for (int by = 0; by < DP_BY_COUNT; by++) {
        blame->alone[by] = *filter;
        blame->alone[by].plan = &blame->plan[by];
    }
}

uint32_t dp_blame_steps(const struct dp_blame *blame, const struct dp_endpoint *endpoint, int by)
{
    return dp_filter_all_steps(&blame->alone[by], endpoint) &
           ~dp_filter_all_steps(&blame->nobody, endpoint);
}

/* A policy has the members of both objects, without their names. */
static struct sb_slice as_policys(struct sb_slice text, struct sb_arena *arena)
{
    static const struct sb_slice objects[] = {SB_SLICE_INIT("provider."),
                                              SB_SLICE_INIT("switchboard.")};
    const struct sb_slice policy = SB_SLICE_LIT("policy.");
    char *named = sb_arena_alloc_raw(arena, text.n + 1); /* it gets no longer */
    size_t n = 0;

    while (text.n > 0) {
        size_t skip = 0;

        for (size_t i = 0; i < SB_ARRAY_LEN(objects); i++)
            if (sb_slice_starts_with(text, objects[i]))
                skip = objects[i].n;
        if (skip > 0) {
            memcpy(named + n, policy.p, policy.n);
            n += policy.n;
        } else {
            named[n++] = text.p[skip++];
        }
        text = sb_slice_from(text, skip);
    }
    return sb_slice_make(named, n);
}

struct sb_slice dp_blame_name(enum dp_step step, int by, struct sb_arena *arena)
{
    if (by == DP_BY_COUNT && step == DP_STEP_CREDENTIAL)
        return SB_SLICE_LIT("nothing: there is no key for the provider, or it is suspended");
    if (by != DP_BY_POLICY)
        return sb_slice_of(dp_step_relax(step));
    return as_policys(sb_slice_of(dp_step_relax(step)), arena);
}
