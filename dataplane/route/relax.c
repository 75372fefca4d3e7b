/* dataplane/route/relax.c */
#include "dataplane/route/relax.h"

#include "common/json.h"
#include "dataplane/route/explain.h"
#include "dataplane/route/trial.h"
#include "dataplane/route/view.h"

enum { RELAXED = 5 /* ways that are shown */ };

/* Few steps before many; of as many, those that the request itself can relax;
 * of those, what lets more endpoints in. */
static bool is_easier(const struct dp_judged *a, uint32_t a_count, const struct dp_judged *b,
                      uint32_t b_count)
{
    int a_steps = __builtin_popcount(a->failed), b_steps = __builtin_popcount(b->failed);
    int a_policys = __builtin_popcount(a->by[DP_BY_POLICY]),
        b_policys = __builtin_popcount(b->by[DP_BY_POLICY]);

    if (a_steps != b_steps)
        return a_steps < b_steps;
    return a_policys != b_policys ? a_policys < b_policys : a_count > b_count;
}

/* Whether what lets one in lets in the other. */
static bool is_same_way(const struct dp_judged *a, const struct dp_judged *b)
{
    return a->failed == b->failed && memcmp(a->by, b->by, sizeof(a->by)) == 0 && !b->is_hopeless;
}

static uint32_t count_of_way(const struct dp_trial *trial, const struct dp_judged *way)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < trial->n; i++)
        n += is_same_way(way, &trial->judged[i]);
    return n;
}

/* A rule that both have set must be relaxed in both. */
static void add_rules(struct sb_json *json, const struct dp_judged *way, struct sb_arena *arena)
{
    for (uint32_t steps = way->failed; steps != 0; steps &= steps - 1) {
        enum dp_step step = (enum dp_step)__builtin_ctz(steps);
        bool is_somebodys = false;

        for (int by = DP_BY_COUNT - 1; by >= 0; by--) { /* the request's first */
            if ((way->by[by] >> step & 1) == 0)
                continue;
            sb_json_put_text(json, dp_blame_name(step, by, arena));
            is_somebodys = true;
        }
        if (!is_somebodys)
            sb_json_put_text(json, dp_blame_name(step, DP_BY_COUNT, arena));
    }
}

static void add_way(struct sb_json *json, const struct dp_trial *trial, const struct dp_judged *way,
                    struct sb_arena *arena)
{
    uint32_t named = 0;

    sb_json_open_object(json);
    sb_json_add_array(json, "rules");
    add_rules(json, way, arena);
    sb_json_close_array(json);
    sb_json_add_array(json, "endpoints");
    for (uint32_t i = 0; i < trial->n; i++) {
        if (is_same_way(way, &trial->judged[i]) && named++ < DP_EXPLAIN_NAMED)
            sb_json_put_text(json, trial->judged[i].endpoint->row->tag);
    }
    sb_json_close_array(json);
    sb_json_close_object(json);
}

static bool is_shown(const struct dp_judged *const *shown, uint32_t n, const struct dp_judged *one)
{
    for (uint32_t i = 0; i < n; i++) {
        if (is_same_way(shown[i], one))
            return true;
    }
    return false;
}

void dp_relax_add(struct sb_json *json, const struct dp_trial *trial, struct sb_arena *arena)
{
    const struct dp_judged *shown[RELAXED];
    uint32_t n_shown = 0;

    sb_json_add_array(json, "relax");
    while (n_shown < RELAXED) {
        const struct dp_judged *best = NULL;
        uint32_t best_count = 0;

        for (uint32_t i = 0; i < trial->n; i++) {
            const struct dp_judged *one = &trial->judged[i];
            uint32_t count;

            if (one->failed == 0 || one->is_hopeless || is_shown(shown, n_shown, one) ||
                (best != NULL && is_same_way(best, one)))
                continue;
            if (best != NULL && __builtin_popcount(one->failed) > __builtin_popcount(best->failed))
                continue;
            count = count_of_way(trial, one);
            if (best == NULL || is_easier(one, count, best, best_count)) {
                best = one;
                best_count = count;
            }
        }
        if (best == NULL)
            break;
        shown[n_shown++] = best;
        add_way(json, trial, best, arena);
    }
    sb_json_close_array(json);
}
