/* dataplane/route/trial.c */
#include "dataplane/route/trial.h"

#include "common/arena.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/own_keys.h"
#include "dataplane/route/view.h"

/* What is asked for by nothing but the path: an embedding, or a text. */
static bool is_of_another_kind(const struct dp_requirements *ask,
                               const struct dp_endpoint *endpoint)
{
    const struct sb_splice_member *said = dp_requirements_member(ask, DP_MEMBER_MODALITIES);

    return (said == NULL || said->type == SB_SPLICE_NULL) &&
           (ask->output_modalities & ~(uint32_t)endpoint->output_modalities) != 0;
}

static bool is_hopeless(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    return !endpoint->dialect_known || !dp_has_key(filter, endpoint) ||
           is_of_another_kind(filter->ask, endpoint);
}

static struct dp_judged judge(const struct dp_trial *trial, const struct dp_endpoint *endpoint)
{
    struct dp_judged one = {
        .endpoint = endpoint,
        .failed = dp_filter_all_steps(&trial->filter, endpoint),
        .is_hopeless = is_hopeless(&trial->filter, endpoint),
    };

    for (int by = 0; by < DP_BY_COUNT && one.failed != 0; by++)
        one.by[by] = dp_blame_steps(&trial->blame, endpoint, by);
    return one;
}

void dp_trial_make(struct dp_trial *trial, const struct dp_route *route,
                   const struct dp_decision *decision, struct sb_arena *arena)
{
    trial->filter = (struct dp_filter){
        .snapshot = route->snapshot,
        .tables = route->tables,
        .ask = route->ask,
        .plan = &decision->plan,
        .tenant = route->key->tenant,
        .now = route->now,
        .moment = msg_moment_of(route->unix_seconds),
        .today = decision->today,
    };
    dp_blame_init(&trial->blame, &trial->filter);
    trial->n = 0;
    trial->judged = sb_arena_alloc_raw(arena, decision->endpoints * sizeof(*trial->judged) + 1);
    for (uint32_t m = 0; m < decision->models.n; m++) {
        const struct dp_model *model = decision->models.at[m].model;

        for (uint32_t i = 0; i < model->n; i++) {
            const struct dp_endpoint *endpoint = &route->snapshot->endpoints[model->first + i];

            trial->judged[trial->n++] = judge(trial, endpoint);
        }
    }
}
